"""Which backend a model's name leads to. Pure: a configuration in, decisions out; nothing is asked of any backend.

A name is looked up in the steps of `routing.order`:
1. `model_mapping`: a key that is the name; else `backend/model`; else a key with a `*`, of which the one with the most
   letters of its own comes first.
2. `capability`: the backends whose protocol evidently serves such a name (claude-… is Anthropic's).
3. `fallback`: `routing.default_backend`, under the name the client gave.
The first of these that has an answer gives the pool; within it the lower `priority` comes first, then the order written.

A value that is `*` alone is the whole name asked for: `"claude-*" = "*"`. A `*` within a longer value is what the key's `*`
stood for: `"claude-*" = "anthropic/claude-*"`.
"""

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from interlingua.config import Backend, Config
from interlingua.errors import NotFound
from interlingua.ir import Request
from interlingua.models import facts
from interlingua.routing.plan import Decision, Plan

Pool = list[Decision]

LONGEST: Final = 256  # characters of a model's name; what is longer is no model's and is not looked at
_CACHED: Final = 4096
_LISTED: Final = 20

# What a protocol evidently serves, beyond the families that models.facts knows: embedding models, by their makers' lists.
_FAMILIES: Final = {"claude": "anthropic", "gemini": "gemini", "openai": "openai", "openai_reasoning": "openai"}
_MORE: Final = (
    (re.compile(r"text-embedding-(3|ada)|omni-moderation|ft:|davinci|babbage"), "openai"),
    (re.compile(r"text-embedding-00|gemma-|imagen-|veo-"), "gemini"),
    (re.compile(r"(\w+\.)?(amazon\.titan-embed|cohere\.embed)"), "bedrock"),
)


# The same for people
EVIDENT: Final = {"openai": "gpt-…, o1…, chatgpt-…", "anthropic": "claude-…", "gemini": "gemini-…", "mock": "any"}


class _Glob(Struct, frozen=True):
    key: str
    head: str
    tail: str
    pool: list[tuple[str, str]]  # backend, value

    def star(self, model: str) -> str | None:
        """What the `*` stands for in `model`; None where the key does not match."""
        if len(model) < len(self.head) + len(self.tail) or not (model.startswith(self.head) and model.endswith(self.tail)):
            return None
        return model[len(self.head) : len(model) - len(self.tail)]


class Router:
    """`config` decides all; one Router serves one configuration."""

    def __init__(self, config: Config) -> None:
        self._order = config.routing.order
        self._default = config.routing.default_backend
        self._backends: dict[str, Backend] = dict(sorted(config.backends.items(), key=lambda item: item[1].priority))
        self._exact: dict[str, list[tuple[str, str]]] = {}
        globs: dict[str, list[tuple[str, str]]] = {}
        for name, backend in self._backends.items():
            for key, value in backend.model_mapping.items():
                (globs if "*" in key else self._exact).setdefault(key, []).append((name, value))
        longest_first = sorted(globs.items(), key=lambda item: -len(item[0]))
        self._globs = [_Glob(key, key.partition("*")[0], key.partition("*")[2], pool) for key, pool in longest_first]
        self._known = list(dict.fromkeys(key for backend in config.backends.values() for key in backend.model_mapping))
        self._cache: dict[str, Pool] = {}

    def route(self, model: str) -> Decision:
        """Raises NotFound, in words for the client."""
        return self.candidates(model)[0]

    def plan(self, request: Request) -> Plan:
        """Who is asked, in what order. Raises NotFound, in words for the client."""
        return Plan((tuple(self.candidates(request.model)),))

    def candidates(self, model: str) -> Pool:
        """The pool that serves `model`, best first, never empty: it is shared, do not change it. Raises NotFound."""
        pool = self._cache.get(model)
        if pool is None:
            pool = next(self.pools(model), None)
            if pool is None:
                raise self._not_found(model)
            if len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[model] = pool
        return pool

    def pools(self, model: str) -> Iterator[Pool]:
        """Every pool that could serve `model`, the one that does first."""
        if not 0 < len(model) <= LONGEST or not model.isprintable() or ".." in model.split("/"):
            return  # no model is called so, and the name goes into paths and headers
        steps = {"model_mapping": self._mapped, "capability": self._auto, "fallback": self._fallback}
        for step in self._order:
            yield from steps[step](model)

    def models(self) -> list[tuple[str, str, str]]:
        """(the client's name, backend, the provider's name) of every name without a `*`, in the order written."""
        return [(key, *self._exact[key][0]) for key in self._known if key in self._exact]

    def mapping(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """(key, its backends and their values, best first), those without a `*` first, then in the order they are tried."""
        return [*self._exact.items(), *((glob.key, glob.pool) for glob in self._globs)]

    def _mapped(self, model: str) -> Iterator[Pool]:
        if model in self._exact:
            reason = f"model_mapping has the name {model}"
            yield [Decision(name, value, "model_mapping", reason, model) for name, value in self._exact[model]]
        backend, slash, rest = model.partition("/")
        if slash and rest and backend in self._backends:
            yield [Decision(backend, rest, "explicit", f"the name itself says backend {backend}")]
        for glob in self._globs:
            star = glob.star(model)
            if star is not None:
                reason = f"model_mapping has {glob.key}, which fits"
                yield [
                    Decision(name, _filled(value, model, star), "model_mapping", reason, glob.key) for name, value in glob.pool
                ]

    def _auto(self, model: str) -> Iterator[Pool]:
        """Backends of the protocol such a name belongs to; the mock stands in for any where there are none."""
        wanted = _evident_protocol(model)
        serving = [name for name, backend in self._backends.items() if backend.settings.protocol == wanted]
        if serving:
            reason = f"a name like this is evidently served by protocol {wanted}"
            yield [Decision(name, model, "auto", reason) for name in serving]
        mocks = [name for name, backend in self._backends.items() if backend.settings.protocol == "mock"]
        if mocks:
            yield [Decision(name, model, "auto", "the mock serves any name") for name in mocks]

    def _fallback(self, model: str) -> Iterator[Pool]:
        if self._default is not None:
            yield [Decision(self._default, model, "fallback", f"nothing else serves it, and {self._default} is default_backend")]

    def _not_found(self, model: str) -> NotFound:
        shown = "".join(char if char.isprintable() else "?" for char in model[:80]) + ("…" if len(model) > 80 else "")
        listed = self._known[:_LISTED] + [f"{name}/MODEL" for name in self._backends]
        if len(self._known) > _LISTED:
            listed.append(f"and {len(self._known) - _LISTED} more")
        message = f"The model `{shown}` does not exist here; configured: {', '.join(listed)}."
        return NotFound(message, param="model", code="model_not_found")


def _filled(value: str, model: str, star: str) -> str:
    return model if value == "*" else value.replace("*", star)


def _evident_protocol(model: str) -> str | None:
    family = _FAMILIES.get(facts(model).family)
    return family or next((protocol for pattern, protocol in _MORE if pattern.match(model)), None)
