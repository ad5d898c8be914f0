"""`interlingua mock`: the mock providers alone."""

import argparse
from urllib.parse import urlsplit

from interlingua.commands import Commands, describe, port
from interlingua.hosts import HOSTS


def add(commands: Commands) -> None:
    default = urlsplit(HOSTS["mock"].url or "")
    examples = ("interlingua mock", "interlingua mock --port 9200")
    text = "Runs the mock providers: every backend protocol, streaming and not, with scripted scenarios."
    command = commands.add_parser("mock", **describe(text, examples))
    command.add_argument("--host", default=default.hostname, help=f"address to listen on (default {default.hostname})")
    command.add_argument("--port", type=port, default=default.port, help=f"port to listen on (default {default.port})")
    command.set_defaults(run=run, stays=True)


def run(arguments: argparse.Namespace) -> int:
    from interlingua import mock

    mock.run(arguments.host, arguments.port)
    return 0
