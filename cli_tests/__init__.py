"""The real Gemini CLI behind the gateway: not part of `make test`, since npm must bring it first (100 MB, once)."""
