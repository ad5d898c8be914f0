"""`interlingua demo`: the gateway in front of mock providers, no key needed."""

import argparse

from interlingua.commands import Commands, describe, port


def add(commands: Commands) -> None:
    examples = ("interlingua demo", "interlingua demo --once")
    text = "Starts mock providers and the gateway in front of them, and makes one request through every client protocol."
    command = commands.add_parser("demo", **describe(text, examples))
    command.add_argument("--once", action="store_true", help="leave after the tour")
    command.add_argument("--port", type=port, help="port of the gateway (default: any free one)")
    command.set_defaults(run=run, stays=True)


def run(arguments: argparse.Namespace) -> int:
    from interlingua import demo

    return demo.run(arguments.once, arguments.port)
