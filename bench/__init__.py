"""The bench: what a request costs here and in Envoy, nginx and LiteLLM, measured side by side in one run (docs/bench.md)."""
