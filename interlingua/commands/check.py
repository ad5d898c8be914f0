"""`interlingua check`: is a configuration good, and where does it lead?"""

import argparse
import os

from interlingua.commands import Commands, add_config, aligned, describe, write
from interlingua.config import Backend, Config


def add(commands: Commands) -> None:
    examples = ("interlingua check", "interlingua check --config interlingua.toml")
    text = "Validates a configuration and prints the routing table it results in."
    command = commands.add_parser("check", **describe(text, examples))
    add_config(command)
    command.set_defaults(run=run, stays=False)


def run(arguments: argparse.Namespace) -> int:
    from interlingua.config import find

    config = find(arguments.config, os.environ)
    write(f"{config.source} is good.\n\n{_backends(config)}\n\n{_routes(config)}\n\n{_capabilities(config)}\n")
    return 0


def _backends(config: Config) -> str:
    rows = [("BACKEND", "PROTOCOL", "URL", "KEY", "PRIORITY")]
    rows += [
        (name, backend.settings.protocol, backend.url, _key(backend), str(backend.priority))
        for name, backend in config.backends.items()
    ]
    return aligned(rows)


def _key(backend: Backend) -> str:
    if not backend.keys:
        return "token" if backend.access_token else "chain" if backend.host.credential in ("google", "aws") else "no"
    return "yes" if len(backend.keys) == 1 else f"yes, {len(backend.keys)}"


def _routes(config: Config) -> str:
    """The table a name is looked up in, from the top."""
    rows: list[tuple[str, str, str, str]] = [("CLIENT MODEL", "BACKEND", "PROVIDER MODEL", "HOW")]
    rows += [
        (f"agent/{name}", "its models'", ", ".join([one.model, *one.fallback]), "agent") for name, one in config.agents.items()
    ]
    for step in config.routing.order:
        rows += {"model_mapping": _mapped, "capability": _auto, "fallback": _fallback}[step](config)
    return aligned(rows)


def _mapped(config: Config) -> list[tuple[str, str, str, str]]:
    from interlingua.routing import Router

    rows = [
        (key, name, "the same name" if value == "*" else value, "model_mapping")
        for key, pool in Router(config).mapping()
        for name, value in pool
    ]
    globs = next((i for i, row in enumerate(rows) if "*" in row[0]), len(rows))
    explicit = [(f"{name}/MODEL", name, "MODEL", "explicit") for name in config.backends]
    return rows[:globs] + explicit + rows[globs:]


def _auto(config: Config) -> list[tuple[str, str, str, str]]:
    from interlingua.routing import EVIDENT

    serving = sorted(config.backends.values(), key=lambda backend: backend.priority)
    kinds = [(backend.settings.protocol, backend.name) for backend in serving]
    rows = [(EVIDENT[kind], name, "the same name", "auto") for kind, name in kinds if kind in EVIDENT]
    listed = [backend.name for backend in serving if backend.settings.capabilities != "auto"]
    return rows + [("any other", name, "the same name", "capability, where it suffices") for name in listed]


def _fallback(config: Config) -> list[tuple[str, str, str, str]]:
    default = config.routing.default_backend
    return [("any other", default, "the same name", "fallback")] if default else []


def _capabilities(config: Config) -> str:
    """What is known of every model that the configuration names: `?` stands before what is not known."""
    from interlingua.routing import Router, capability_words

    router = Router(config)
    rows = [("BACKEND", "PROVIDER MODEL", "CONTEXT", "CAPABILITIES")]
    for name in config.backends:
        for model in router.concrete(name) or ["any"]:
            able = router.abilities(name, model)
            rows.append((name, model, str(able.context or "?"), capability_words(able)))
    return aligned(rows)
