"""One small file a command: `add` tells argparse, `run(arguments) -> exit code` does it. What a command needs it imports in
`run`, so that `--help` and `check` wait for nothing they do not use. This file holds what several of them share.

Exit codes: 0 fine, 1 failed, 2 wrong usage or configuration. A command raises errors.InterlinguaError; __main__ tells it.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BufferedReader
from typing import Any, cast
from typing import Protocol as Interface

import msgspec

from interlingua.errors import ConfigError, InvalidRequest
from interlingua.losses import Losses
from interlingua.protocols import Protocol


class Commands(Interface):
    """What argparse's add_subparsers gives."""

    def add_parser(self, name: str, **kwargs: Any) -> argparse.ArgumentParser: ...


def describe(text: str, examples: Sequence[str]) -> dict[str, Any]:
    """A command's help: what it does, and how it is typed."""
    shown = "\n".join(f"  {example}" for example in examples)
    return {
        "help": text[0].lower() + text[1:].rstrip("."),
        "description": text,
        "epilog": f"examples:\n{shown}",
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def port(text: str) -> int:
    return _whole(text, 65535)


def count(text: str) -> int:
    return _whole(text, None)


def _whole(text: str, highest: int | None) -> int:
    if not (text.isascii() and text.isdigit()) or (highest is not None and int(text[:9]) > highest):
        bounds = f"from 0 to {highest}" if highest is not None else "of 0 or more"
        raise argparse.ArgumentTypeError(f"must be a whole number {bounds}, not {text!r}")
    return int(text[:9])


def add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", metavar="FILE", help="TOML or YAML; else ./interlingua.toml, else the providers' keys in the environment"
    )


def protocol(name: str) -> Protocol:
    """The protocol of that name, or that a provider of that name speaks. Raises ConfigError with the names there are."""
    from interlingua.hosts import HOSTS
    from interlingua.protocols.registry import PROTOCOLS

    if name not in PROTOCOLS and name not in HOSTS:
        raise ConfigError(f"There is no protocol {name}: the names are {', '.join(dict.fromkeys((*PROTOCOLS, *HOSTS)))}.")
    return PROTOCOLS[name if name in PROTOCOLS else HOSTS[name].protocol]


def told_losses(losses: Losses, path_of: Callable[[str], str] = str) -> list[str]:
    """A line a loss, `path: dropped: why`. `path_of` puts an IR path in a client's own names."""
    return [f"{path_of(loss.path)}: {loss.how}" + (f": {loss.why}" if loss.why else "") for loss in losses]


def read_json(name: str | None) -> tuple[Any, str]:
    """(the JSON in a file or on stdin, what to call it in errors). Raises ConfigError, InvalidRequest."""
    shown = "stdin" if name in (None, "-") else name
    with open_bytes(name) as file:
        data = file.read()
    try:
        return msgspec.json.decode(data), str(shown)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidRequest(f"{shown} holds no JSON: {why}.") from None


def open_bytes(name: str | None) -> AbstractContextManager[BufferedReader]:
    """A file, or stdin for None and `-`. Raises ConfigError."""
    if name is None or name == "-":
        return nullcontext(cast(BufferedReader, sys.stdin.buffer))
    try:
        return open(name, "rb")
    except OSError as error:
        raise ConfigError(f"{name} cannot be read ({error.strerror}).") from None


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A text table; the first row is its head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def write(text: str) -> None:
    """To stdout, as UTF-8 whatever the locale."""
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
