"""What the gateway is told to be: read from TOML, YAML or the environment, checked as a whole, and never changed afterwards."""

import os
from collections.abc import Mapping
from pathlib import Path as File

from msgspec.structs import replace

from interlingua.config.checks import LONGEST_TAG
from interlingua.config.document import read_document
from interlingua.config.environment import SOURCE, from_environment
from interlingua.config.resolve import build
from interlingua.config.settings import (
    INSTALL_CLI,
    PATIENCE,
    Agent,
    Auth,
    Backend,
    BackendSettings,
    Breaker,
    Capability,
    ClientKey,
    CliSettings,
    Config,
    Limits,
    Log,
    Overrides,
    Routing,
    Server,
    Tasks,
)
from interlingua.config.values import Base, Secret, key_for
from interlingua.config.watched import Watched

__all__ = [
    "INSTALL_CLI",
    "LONGEST_TAG",
    "PATIENCE",
    "Agent",
    "Auth",
    "Backend",
    "BackendSettings",
    "Base",
    "Breaker",
    "Capability",
    "CliSettings",
    "ClientKey",
    "Config",
    "Limits",
    "Log",
    "Overrides",
    "Routing",
    "Secret",
    "Server",
    "Tasks",
    "Watched",
    "find",
    "from_environment",
    "key_for",
    "load",
    "reload",
]

DEFAULT_FILE = "interlingua.toml"


def load(path: str, env: Mapping[str, str] | None = None, overrides: Overrides | None = None) -> Config:
    """The configuration in a file. Raises ConfigError: one sentence naming file, line and key; its notes are the other
    mistakes. `env` is where keys are looked up, os.environ unless given."""
    return build(read_document(path), os.environ if env is None else env, overrides or Overrides())


def find(path: str | None, env: Mapping[str, str], overrides: Overrides | None = None) -> Config:
    """The file named, else ./interlingua.toml, else the environment. Raises ConfigError as `load` does."""
    if path is None and File(DEFAULT_FILE).exists():
        path = DEFAULT_FILE
    return from_environment(env, overrides) if path is None else load(path, env, overrides)


def reload(config: Config, env: Mapping[str, str]) -> Config:
    """The same source read again, under the same overrides, for as many workers as run: each keeps to its share of the
    quotas. Raises ConfigError; `config` stays as it is."""
    running = replace(config.overrides, workers=config.server.workers)
    read = find(None if config.source == SOURCE else config.source, env, running)
    return replace(read, overrides=config.overrides)
