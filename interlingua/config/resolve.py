"""From settings to a Config: addresses taken apart, and the secrets that the settings name fetched from the environment."""

import os
from collections.abc import Mapping
from pathlib import Path as File
from shutil import which
from typing import Final

from msgspec.structs import asdict, replace

from interlingua.config.checks import KEY_SOURCES, check_settings
from interlingua.config.document import Document, Problems
from interlingua.config.lines import Path
from interlingua.config.reader import read_settings
from interlingua.config.settings import (
    INSTALL_CLI,
    Backend,
    BackendSettings,
    ClientKey,
    Config,
    Limits,
    Overrides,
    Settings,
)
from interlingua.config.values import Secret, address, key_text
from interlingua.hosts import BEDROCK_BY_INVOKE, HOSTS, Host

_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"})


def build(document: Document, env: Mapping[str, str], overrides: Overrides) -> Config:
    """Raises ConfigError with what is wrong, all of one stage: the text, the meaning, the environment."""
    settings = read_settings(document)
    document, settings = _override(document, settings, overrides)
    check_settings(document, settings)
    problems = Problems(document)
    resolver = _Resolver(document, env, problems, settings.server.processes)
    backends = {name: resolver.backend(name, backend) for name, backend in settings.backends.items()}
    client_keys, aws_keys = resolver.client_keys(settings)
    config = Config(
        server=settings.server,
        auth=settings.auth,
        routing=settings.routing,
        log=settings.log,
        tasks=settings.tasks,
        agents=settings.agents,
        data=resolver.data(settings) if settings.agents else "",
        backends=backends,
        client_keys=client_keys,
        aws_keys=aws_keys,
        source=document.name,
        overrides=overrides,
        found=(f"configuration: {document.name}", *(_told(backend) for backend in backends.values())),
    )
    _check_loop(config, problems)
    _check_log(config, problems)
    problems.settle()
    return config


def _override(document: Document, settings: Settings, overrides: Overrides) -> tuple[Document, Settings]:
    """The command line's words in the settings' place, and in the place that errors name."""
    names = dict(document.names)
    server: dict[str, str | int] = {}
    for key in ("host", "port", "workers"):
        value = getattr(overrides, key)
        if value is not None:
            server[key] = value
            names["server", key] = f"--{key}"
    settings = replace(settings, server=replace(settings.server, **server))
    if overrides.backend is not None:
        names["routing", "default_backend"] = "--backend"
        settings = replace(settings, routing=replace(settings.routing, default_backend=overrides.backend))
    return replace(document, names=names), settings


class _Resolver:
    def __init__(self, document: Document, env: Mapping[str, str], problems: Problems, workers: int) -> None:
        self._workers = workers
        self._folder = File(document.name).parent
        self._env = env
        self._problems = problems

    def backend(self, name: str, settings: BackendSettings) -> Backend:
        row = BEDROCK_BY_INVOKE if settings.claude == "invoke" else HOSTS[settings.protocol]
        host = row.placed(
            api_version=settings.api_version,
            project=settings.project,
            location=settings.location,
            region=settings.aws_region or "us-east-1",
        )
        base, path = address(settings.url or host.url)
        where: Path = ("backends", name)
        token = settings.access_token_env
        if settings.protocol == "gemini-cli":
            self._check_cli(host, settings, where)
        own = None if token else self._own_key(host, settings)
        return Backend(
            name=name,
            host=host,
            base=base,
            prefix=path or host.prefix,
            keys=(self._secret(own, where),) if own else self._keys(where, settings),
            key_env=settings.api_key_env or own,
            access_token=self._secret(token, (*where, "access_token_env")) if token else None,
            limits=_share(settings.limits, self._workers),
            priority=settings.priority,
            model_mapping=settings.model_mapping,
            settings=settings,
        )

    def _check_cli(self, host: Host, settings: BackendSettings, where: Path) -> None:
        command = settings.cli.command
        if which(command, path=self._env.get("PATH")) is None:
            self._problems.add((*where, "cli", "command"), f"names no command here ({command}): {INSTALL_CLI}")
        if not any(getattr(settings, source) for source in KEY_SOURCES) and self._own_key(host, settings) is None:
            self._problems.add(where, "needs a key: the Gemini CLI does not begin without one; name it with api_key_env")

    def _own_key(self, host: Host, settings: BackendSettings) -> str | None:
        """The provider's own variable, where nothing else is said. It is for the provider's own address alone."""
        if settings.api_key_env or settings.api_key_envs or settings.api_keys_file or (settings.url and host.url):
            return None
        return next((name for name in host.keys if self._env.get(name)), None)

    def data(self, settings: Settings) -> str:
        """The folder of what is kept; one that cannot be written to would be noticed only by the first task."""
        folder = place = self._folder / (settings.server.data or ".interlingua")
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            what = (
                "names a folder that cannot be written to"
                if settings.server.data
                else f"is needed: {folder} cannot be written to"
            )
            self._problems.add(("server", "data"), f"{what}, and agents keep their tasks there")
        return str(folder)

    def client_keys(self, settings: Settings) -> tuple[tuple[ClientKey, ...], tuple[ClientKey, ...]]:
        """The clients' own keys and AWS keys; none where nobody is asked for them."""
        if settings.auth.mode != "keys":
            return (), ()
        keys: list[ClientKey] = []
        for index, key in enumerate(settings.auth.keys):
            path: Path = ("auth", "keys", index, "key_env")
            secret = self._secret(key.key_env, path)
            if secret in (earlier.secret for earlier in keys):
                self._problems.add(path, "holds the same key as an earlier one, so that its owner could not be told")
            keys.append(ClientKey(key.name, secret))
        aws = [
            ClientKey(key.access_key_id, self._secret(key.secret_env, ("auth", "aws_keys", index, "secret_env")))
            for index, key in enumerate(settings.auth.aws_keys)
        ]
        return tuple(keys), tuple(aws)

    def _keys(self, path: Path, settings: BackendSettings) -> tuple[Secret, ...]:
        if settings.api_key_env:
            return (self._secret(settings.api_key_env, (*path, "api_key_env")),)
        if settings.api_keys_file:
            return self._file(settings.api_keys_file, (*path, "api_keys_file"))
        names = enumerate(settings.api_key_envs)
        return tuple(self._secret(name, (*path, "api_key_envs", index)) for index, name in names)

    def _secret(self, name: str, path: Path) -> Secret:
        value = self._env.get(name)
        if not value:
            self._problems.add(path, f"names the environment variable {name}, which is not set")
            return Secret("")
        try:
            return Secret(key_text(value))
        except ValueError as error:
            self._problems.add(path, f"names the environment variable {name}, whose value {error}")
            return Secret("")

    def _file(self, name: str, path: Path) -> tuple[Secret, ...]:
        """One key a line; blank lines and lines that begin with # are passed over. The name is relative to the file's folder."""
        try:
            lines = (self._folder / name).read_text("utf-8").split("\n")
            keys = [Secret(key_text(line)) for line in lines if line.strip() and not line.startswith("#")]
        except OSError as error:
            self._problems.add(path, f"names a file that cannot be read ({error.strerror})")
            return ()
        except UnicodeDecodeError:
            self._problems.add(path, "names a file that is not UTF-8 text")
            return ()
        except ValueError as error:
            self._problems.add(path, f"names a file in which a key {error}")
            return ()
        if not keys:
            self._problems.add(path, "names a file that holds no key")
        return tuple(keys)


def _share(limits: Limits, workers: int) -> Limits:
    """One worker's part: workers do not ask each other."""
    parts = {name: quota and quota // workers for name, quota in asdict(limits).items()}
    return Limits(**parts)


def _told(backend: Backend) -> str:
    count = len(backend.keys)
    if token := backend.settings.access_token_env:
        key = f"token from {token}"
    elif backend.key_env or count:
        key = f"key from {backend.key_env or f'{count} keys'}"
    else:
        chains = {"google": "credentials of Google's standard chain", "aws": "credentials of AWS's standard chain"}
        key = chains.get(backend.host.credential, "no key")
    return f"backend {backend.name}: {backend.settings.protocol} at {backend.url}, {key}"


def _check_log(config: Config, problems: Problems) -> None:
    """A folder that cannot be written to would be noticed only by what is missing in it."""
    if config.log.requests == "off":
        return
    place = File(config.log.requests)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        problems.add(("log", "requests"), "names a folder that cannot be written to")


def _check_loop(config: Config, problems: Problems) -> None:
    """A backend that is this gateway itself would have it call itself for ever."""
    own = _LOCAL if config.server.host in _LOCAL else {config.server.host}
    for name, backend in config.backends.items():
        if backend.base.host in own and backend.base.port == config.server.port:
            problems.add(("backends", name, "url"), "is this gateway's own address: give the provider's")
