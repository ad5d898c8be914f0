"""What no single value can tell: settings that contradict each other, names that lead nowhere, and what this version lacks."""

import re
from collections.abc import Sequence
from typing import Final

from interlingua.config.document import Document, Problems
from interlingua.config.lines import Path
from interlingua.config.reader import did_you_mean
from interlingua.config.settings import PATIENCE, Agent, Auth, BackendSettings, CliSettings, Limits, Routing, Settings
from interlingua.config.values import backend_name, covers
from interlingua.errors import ConfigError

# Settings that only these protocols have
_ONLY: Final[dict[str, tuple[str, ...]]] = {
    "api_version": ("azure",),
    "project": ("vertex",),
    "location": ("vertex",),
    "access_token_env": ("azure", "vertex"),
    "aws_region": ("bedrock",),
    "claude": ("bedrock",),
}
_NEEDED: Final[dict[str, tuple[str, ...]]] = {"azure": ("url",), "newapi": ("url",), "vertex": ("project", "location")}
KEY_SOURCES: Final = ("api_key_env", "api_key_envs", "api_keys_file", "access_token_env")
LONGEST_TAG: Final = 256  # characters of a tag of early_stop
_LOCATION: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check_settings(document: Document, settings: Settings) -> None:
    """Raises ConfigError with all that is wrong; the environment is not looked at."""
    problems = Problems(document)
    _check_auth(settings.auth, problems)
    _check_routing(settings.routing, settings.backends, problems)
    for name, backend in settings.backends.items():
        _check_backend(name, backend, problems)
        _check_limits(name, backend.limits, settings.server.processes, problems)
    for name, agent in settings.agents.items():
        _check_agent(name, agent, settings, problems)
    problems.settle()
    if not settings.backends:
        raise ConfigError(f'{document.name}: has no backends; add one, for example [backends.mock] with protocol = "mock".')


def _check_auth(auth: Auth, problems: Problems) -> None:
    if auth.mode == "keys" and not auth.keys and not auth.aws_keys:
        problems.add(("auth", "mode"), "is keys, and there are none: add [[auth.keys]] with a name and a key_env")
    _check_repeats(("auth", "keys"), [key.name for key in auth.keys], problems, "name")
    _check_repeats(("auth", "aws_keys"), [key.access_key_id for key in auth.aws_keys], problems, "access_key_id")


def _check_routing(routing: Routing, backends: dict[str, BackendSettings], problems: Problems) -> None:
    if not routing.order:
        problems.add(("routing", "order"), "is empty, so that no model would be found")
    for name in ("order", "retry_on", "early_stop"):
        _check_repeats(("routing", name), getattr(routing, name), problems)
    _check_tags(("routing", "early_stop"), routing.early_stop, problems)
    for model, tags in routing.early_stop_models.items():
        _check_repeats(("routing", "early_stop_models", model), tags, problems)
        _check_tags(("routing", "early_stop_models", model), tags, problems)
    default = routing.default_backend
    if default is not None and default not in backends:
        problems.add(("routing", "default_backend"), f"names no backend ({default})" + did_you_mean(default, list(backends)))
    elif default is not None and "fallback" not in routing.order:
        problems.add(("routing", "default_backend"), "is never reached: routing.order lacks fallback")
    if routing.backoff > PATIENCE:
        problems.add(("routing", "backoff"), f"is longer than a request waits in all, {PATIENCE:.0f}s")
    for model, targets in routing.fallbacks.items():
        if model.count("*") > 1:
            problems.add(("routing", "fallbacks", model), "has more than one `*`")
        _check_repeats(("routing", "fallbacks", model), targets, problems)
        for index, target in enumerate(targets):
            _check_target(("routing", "fallbacks", model, index), target, routing, backends, problems)


def _check_target(path: Path, target: str, routing: Routing, backends: dict[str, BackendSettings], problems: Problems) -> None:
    """A model's name that nothing serves for sure: it names a backend that is not there."""
    name, slash, _ = target.partition("/")
    mapped = (key for backend in backends.values() for key in backend.model_mapping)
    if slash and name not in backends and routing.default_backend is None and not any(covers(key, target) for key in mapped):
        problems.add(path, f"names no backend ({name})" + did_you_mean(name, list(backends)))


def _check_agent(name: str, agent: Agent, settings: Settings, problems: Problems) -> None:
    path: Path = ("agents", name)
    try:
        backend_name(name)
    except ValueError as error:
        problems.add(path, str(error))
    if "agent" in settings.backends:
        problems.add(("backends", "agent"), "is what agents are called by (agent/NAME): give the backend another name")
    _check_repeats((*path, "fallback"), agent.fallback, problems)
    for where, model in [
        ((*path, "model"), agent.model),
        *(((*path, "fallback", i), one) for i, one in enumerate(agent.fallback)),
    ]:
        if model.startswith("agent/"):
            problems.add(where, "is an agent itself: name the model that answers")
        else:
            _check_target(where, model, settings.routing, settings.backends, problems)


def _check_tags(path: Path, tags: Sequence[str], problems: Problems) -> None:
    for index, tag in enumerate(tags):
        if len(tag) > LONGEST_TAG:
            problems.add((*path, index), f"is longer than {LONGEST_TAG} characters")


def _check_backend(name: str, backend: BackendSettings, problems: Problems) -> None:
    path: Path = ("backends", name)
    try:
        backend_name(name)
    except ValueError as error:
        problems.add(path, str(error))
    _check_repeats((*path, "early_stop"), backend.early_stop, problems)
    _check_tags((*path, "early_stop"), backend.early_stop, problems)
    for setting, protocols in _ONLY.items():
        if getattr(backend, setting) is not None and backend.protocol not in protocols:
            problems.add((*path, setting), f"belongs to protocol {' or '.join(protocols)} alone, not to {backend.protocol}")
    for setting in _NEEDED.get(backend.protocol, ()):
        if getattr(backend, setting) is None:
            problems.add(path, f"needs the setting `{setting}`, as its protocol is {backend.protocol}")
    if backend.location is not None and not _LOCATION.fullmatch(backend.location):
        problems.add((*path, "location"), "must be a region such as us-central1, or global")
    _check_cli(path, backend, problems)
    sources = [source for source in KEY_SOURCES if getattr(backend, source)]
    if len(sources) > 1:
        problems.add((*path, sources[1]), f"and {sources[0]} exclude each other: keep one")
    _check_repeats((*path, "api_key_envs"), backend.api_key_envs, problems)
    _check_capabilities(path, backend, problems)
    for key, value in backend.model_mapping.items():
        wrong = _mapping_mistake(key, value)
        if wrong:
            problems.add((*path, "model_mapping", key), wrong)


def _check_capabilities(path: Path, backend: BackendSettings, problems: Problems) -> None:
    lists = {path: backend.capabilities} | {(*path, "models", name): own.capabilities for name, own in backend.models.items()}
    for inner, listed in lists.items():
        if isinstance(listed, tuple):
            if not listed:
                problems.add((*inner, "capabilities"), "is empty, so that nothing would be asked of it: leave it out")
            _check_repeats((*inner, "capabilities"), listed, problems)
    for name in backend.models:
        if name.count("*") > 1:
            problems.add((*path, "models", name), "has more than one `*`")


def _check_limits(name: str, limits: Limits, workers: int, problems: Problems) -> None:
    for setting in ("rpm", "rpd", "tpm"):
        quota: int | None = getattr(limits, setting)
        if quota is not None and quota < workers:
            what = f"is shared out among {workers} workers, and is less than one for each: run fewer workers"
            problems.add(("backends", name, "limits", setting), what)


def _check_cli(path: Path, backend: BackendSettings, problems: Problems) -> None:
    if backend.protocol != "gemini-cli":
        if backend.cli != CliSettings():
            problems.add((*path, "cli"), f"belongs to protocol gemini-cli alone, not to {backend.protocol}")
        return
    if backend.health.path is not None:
        problems.add((*path, "health", "path"), "leads nowhere: the Gemini CLI is a program, and has no address")
    for setting in ("api_key_envs", "api_keys_file"):
        if getattr(backend, setting):
            problems.add((*path, setting), "is not for the Gemini CLI, whose processes have one key: use api_key_env")
    if backend.limits != Limits():
        problems.add((*path, "limits"), "is not for the Gemini CLI, which tells nothing of what it used")


def _mapping_mistake(key: str, value: str) -> str | None:
    if not key.strip():
        return "is an empty name: no client asks for it"
    if key.count("*") > 1:
        return "has more than one `*`"
    if value.count("*") > 1:
        return "has more than one `*` in its value"
    return "has a `*` in its value but none in its key" if "*" in value and "*" not in key else None


def _check_repeats(path: Path, words: Sequence[str], problems: Problems, field: str | None = None) -> None:
    for index, word in enumerate(words):
        if word in words[:index]:
            problems.add((*path, index) if field is None else (*path, index, field), "repeats an earlier one")
