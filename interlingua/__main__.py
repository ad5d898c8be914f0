"""The command line. All a person sees of an error is one plain sentence on stderr, and an exit code: 0 fine, 1 failed,
2 wrong usage or configuration."""

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from interlingua import __version__
from interlingua.commands import check, demo, describe, explain, mock, serve, translate
from interlingua.errors import ConfigError, InterlinguaError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; `{self.prog} --help` shows what there is.\n")


def parser() -> argparse.ArgumentParser:
    examples = (
        "interlingua demo                          # all of it, with no key at all",
        "OPENAI_API_KEY=... interlingua serve      # the gateway, on 127.0.0.1:9000",
        "interlingua check --config interlingua.toml",
    )
    text = "An AI gateway: any client protocol in, any model provider out, and nothing lost in silence."
    options = {key: value for key, value in describe(text, examples).items() if key != "help"}
    root = _Parser(prog="interlingua", **options)
    root.add_argument("--version", action="version", version=f"interlingua {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True, parser_class=_Parser)
    for command in (serve, demo, mock, check, translate, explain):
        command.add(commands)
    return root


def main(argv: list[str] | None = None) -> int:
    """Runs a command; never raises."""
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as leave:  # argparse has said why
        return int(leave.code or 0)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except ConfigError as error:
        return _say(2, arguments, str(error), *getattr(error, "__notes__", []))
    except InterlinguaError as error:
        return _say(1, arguments, str(error))
    except KeyboardInterrupt:
        return 0 if arguments.stays else 1
    except BrokenPipeError:
        # whoever read our output has left: nothing can be said to them, nor at the interpreter's end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _say(
            1, arguments, f"{error.strerror or type(error).__name__}" + (f": {error.filename}" if error.filename else "") + "."
        )
    except Exception as error:
        # its text may hold anything, so only its kind and place are told
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return _say(1, arguments, f"a fault of ours: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}.")


def _say(code: int, arguments: argparse.Namespace, *sentences: str) -> int:
    for sentence in sentences:
        print(f"interlingua {arguments.command}: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
