"""`python -m bench.fuzz [EXAMPLES] [PYTEST ARGUMENTS]`: the property tests alone, with many more examples than `make test`."""

import sys

import pytest
from hypothesis import HealthCheck, settings


def main(arguments: list[str]) -> int:
    """pytest's own exit code."""
    examples = int(arguments[0]) if arguments and arguments[0].isdigit() else 3000
    rest = arguments[1:] if arguments and arguments[0].isdigit() else arguments
    settings.register_profile("fuzz", max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("fuzz")
    return int(pytest.main(["-m", "hypothesis", *rest]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
