"""The gateway in front of a genuine small model on this machine: `make run-real`, and its tests, `make test-real`."""
