"""Real clients through the gateway: what docs/clients/ shows, run as it stands by `make test-clients`."""
