"""`interlingua serve`: the gateway."""

import argparse
import os

from interlingua.commands import Commands, add_config, count, describe, port


def add(commands: Commands) -> None:
    examples = (
        "OPENAI_API_KEY=... interlingua serve",
        "interlingua serve --config interlingua.toml --port 9000 --workers 2",
        "interlingua serve --backend openai        # what no mapping names goes there",
    )
    command = commands.add_parser("serve", **describe("Runs the gateway.", examples))
    add_config(command)
    command.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    command.add_argument("--port", type=port, help="port to listen on (default 9000; 0: any free one)")
    command.add_argument("--workers", type=count, metavar="N", help="processes (default 1; 0: one per core)")
    command.add_argument("--backend", metavar="NAME", help="backend of last resort, for models that nothing else serves")
    command.set_defaults(run=run, stays=True)


def run(arguments: argparse.Namespace) -> int:
    from interlingua.config import Overrides, find

    overrides = Overrides(host=arguments.host, port=arguments.port, workers=arguments.workers, backend=arguments.backend)
    config = find(arguments.config, os.environ, overrides)
    from interlingua.app import serve

    return serve(config, found=list(config.found))
