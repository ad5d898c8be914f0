"""Which backends a request leads to. Pure: a configuration in, plans out; nothing is asked of any backend.

A name is looked up in the steps of `routing.order`:
1. `model_mapping`: a key that is the name; else `backend/model`; else a key with a `*`, of which the one with the most
   letters of its own comes first.
2. `capability`: the backends whose protocol evidently serves such a name (claude-… is Anthropic's); else those whose
   capabilities are listed in the configuration, and suffice.
3. `fallback`: `routing.default_backend`, under the name the client gave.
The first of these that has an answer gives the pool; within it the lower `priority` comes first, then the order written.

Of the pool those stay that are not known to lack what the request needs. Where none does, it goes to the name's own
`routing.fallbacks`; else on through the steps, where `capability` then also has every model named in the configuration that is
known to suffice. A `backend/model` name is never led elsewhere. The fallbacks are the plan's further tiers.

Vectors of two models cannot be compared, and nothing in an answer would tell. So a request for embeddings goes on only to the
very model that the client named, or to a fallback that is configured for that very name.

A value that is `*` alone is the whole name asked for: `"claude-*" = "*"`. A `*` within a longer value is what the key's `*`
stood for: `"claude-*" = "anthropic/claude-*"`.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from interlingua.config import Backend, Config, key_for
from interlingua.errors import NotFound
from interlingua.ir import Request
from interlingua.models import facts
from interlingua.routing.capabilities import Abilities, abilities
from interlingua.routing.choice import ENDLESS, Choice, Tier
from interlingua.routing.needs import EMBEDDINGS, MEDIA, estimate, read
from interlingua.routing.plan import Decision, Plan, Refusal

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


class _Span(Struct, frozen=True):
    """The plan for prompts of more than `over` tokens and no more than `room`."""

    over: int
    room: int
    plan: Plan


class Router:
    """`config` decides all; one Router serves one configuration."""

    def __init__(self, config: Config) -> None:
        self._order = config.routing.order
        self._default = config.routing.default_backend
        self._fallbacks = config.routing.fallbacks
        self._backends: dict[str, Backend] = dict(sorted(config.backends.items(), key=lambda item: item[1].priority))
        self._exact: dict[str, list[tuple[str, str]]] = {}
        globs: dict[str, list[tuple[str, str]]] = {}
        for name, backend in self._backends.items():
            for key, value in backend.model_mapping.items():
                (globs if "*" in key else self._exact).setdefault(key, []).append((name, value))
        longest_first = sorted(globs.items(), key=lambda item: -len(item[0]))
        self._globs = [_Glob(key, key.partition("*")[0], key.partition("*")[2], pool) for key, pool in longest_first]
        self._known = list(dict.fromkeys(key for backend in config.backends.values() for key in backend.model_mapping))
        self._steps = {"model_mapping": self._mapped, "capability": self._auto, "fallback": self._last}
        self._cache: dict[tuple[str, int], list[_Span]] = {}
        self.abilities = lru_cache(maxsize=_CACHED)(self._abilities)

    def route(self, model: str) -> Decision:
        """Where the name alone leads. Raises NotFound, in words for the client."""
        return self.plan_for(model, 0).first

    def candidates(self, model: str) -> Tier:
        """The pool that serves `model`, best first, never empty. Raises NotFound."""
        return self.plan_for(model, 0).tiers[0]

    def plan(self, request: Request, size: int = ENDLESS) -> Plan:
        """Who is asked, in what order. `size`: bytes of the body it came in, where they are known. Raises NotFound, and
        Unsupported where what is needed is nowhere; in words for the client."""
        needs = read(request)
        spans = self._cache.get((request.model, needs))
        if spans is not None and (size <= spans[0].room and not needs & MEDIA or spans[0].room == ENDLESS):
            return spans[0].plan
        return self.plan_for(request.model, needs, 0 if needs == EMBEDDINGS else estimate(request))

    def plan_for(self, model: str, needs: int, tokens: int = 0) -> Plan:
        """The same for what is no chat: `needs` are bits of routing.needs, `tokens` of the prompt. Raises as `plan`."""
        spans = self._cache.get((model, needs))
        if spans is None:
            spans = [self._planned(model, needs, 0)]
            if len(self._cache) >= _CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[model, needs] = spans
        for span in spans:
            if span.over < tokens <= span.room:
                return span.plan
        spans.append(self._planned(model, needs, tokens))
        return spans[-1].plan

    def pools(self, model: str) -> Iterator[Pool]:
        """Every pool that the name leads to, the one that serves it first."""
        for step in self._order if _is_name(model) else ():
            yield from self._steps[step](model)

    def models(self) -> list[tuple[str, str, str]]:
        """(the client's name, backend, the provider's name) of every name without a `*`, in the order written."""
        return [(key, *self._exact[key][0]) for key in self._known if key in self._exact]

    def mapping(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """(key, its backends and their values, best first), those without a `*` first, then in the order they are tried."""
        return [*self._exact.items(), *((glob.key, glob.pool) for glob in self._globs)]

    def concrete(self, backend: str) -> list[str]:
        """The provider's models that the configuration names for a backend."""
        settings = self._backends[backend].settings
        return [name for name in dict.fromkeys((*settings.models, *settings.model_mapping.values())) if "*" not in name]

    def _abilities(self, backend: str, model: str) -> Abilities:
        return abilities(self._backends[backend], model)

    def _planned(self, model: str, needs: int, tokens: int) -> _Span:
        choice = Choice(self.abilities, needs, tokens)
        plan = Plan(self._tiers(model, choice), tuple(choice.refused.values()), needs)
        over = max((window for window in choice.windows if window < tokens), default=-1)
        return _Span(over, min((window for window in choice.windows if window >= tokens), default=ENDLESS), plan)

    def _tiers(self, model: str, choice: Choice) -> tuple[Tier, ...]:
        pools = self._serving(model, choice)
        first = next(pools, None)
        if first is None:
            raise self._not_found(model)
        pinned = first[0].route == "explicit"
        named = tuple(first) if pinned else choice.tier(first)
        tiers = tuple(tier for tier in (named, *map(choice.tier, self._targets(model, pinned, choice))) if tier)
        if tiers:
            return tiers
        if choice.needs & EMBEDDINGS:
            pools = ([one for one in pool if one.model == model] for pool in pools)
        return (next((tier for pool in pools if (tier := choice.tier(pool))), None) or choice.anyway(first),)

    def _serving(self, model: str, choice: Choice) -> Iterator[Pool]:
        """The name's own pools, and at the end of `capability` those that offer what is needed."""
        for step in self._order if _is_name(model) else ():
            pools, led_on = self._steps[step](model), bool(choice.refused)
            if step == "capability" and led_on:  # the name may be one of ours, that no provider knows
                pools = list(pools)
                yield [one for pool in pools for one in pool if choice.knows(one.backend, one.model)]
                yield from self._able(model, choice)
            yield from pools
            if step == "capability" and not led_on:
                yield from self._able(model, choice)

    def _able(self, model: str, choice: Choice) -> Iterator[Pool]:
        """Backends known to have what is needed: under the name given where their capabilities are listed, and, once the
        name's own were refused, with another model of theirs."""
        pool: Pool = []
        for name, backend in self._backends.items():
            models = [model] if backend.settings.capabilities != "auto" else []
            if choice.refused and not choice.needs & EMBEDDINGS:
                models = self.concrete(name) or models
            able = next((one for one in models if choice.knows(name, one)), None)
            if able is not None:
                pool.append(Decision(name, able, "capability", f"{name} is known to have all that is needed"))
        if pool:
            yield pool

    def _targets(self, model: str, pinned: bool, choice: Choice) -> Iterator[Pool]:
        """The pool of each fallback of `model`. One that names its backend has none but those written for it; embeddings have
        none but those of their very name."""
        key = key_for((key for key in self._fallbacks if key != "default"), model)
        if choice.needs & EMBEDDINGS:
            key = model if key == model else None
        elif key is None and not pinned and "default" in self._fallbacks:
            key = "default"
        for target in self._fallbacks[key] if key is not None else ():
            pool = next(self.pools(target), None)
            if pool is None:
                choice.refused["", target] = Refusal("", target, "leads nowhere")
                continue
            reason = f"routing.fallbacks has {target} for {key}"
            yield [replace(decision, route="fallback", reason=reason) for decision in pool]

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

    def _last(self, model: str) -> Iterator[Pool]:
        if self._default is not None:
            yield [Decision(self._default, model, "fallback", f"nothing else serves it, and {self._default} is default_backend")]

    def _not_found(self, model: str) -> NotFound:
        shown = "".join(char if char.isprintable() else "?" for char in model[:80]) + ("…" if len(model) > 80 else "")
        listed = self._known[:_LISTED] + [f"{name}/MODEL" for name in self._backends]
        if len(self._known) > _LISTED:
            listed.append(f"and {len(self._known) - _LISTED} more")
        message = f"The model `{shown}` does not exist here; configured: {', '.join(listed)}."
        return NotFound(message, param="model", code="model_not_found")


def _is_name(model: str) -> bool:
    """Whether a model may be called so: names go into paths and headers."""
    return 0 < len(model) <= LONGEST and model.isprintable() and ".." not in model.split("/")


def _filled(value: str, model: str, star: str) -> str:
    return model if value == "*" else value.replace("*", star)


def _evident_protocol(model: str) -> str | None:
    family = _FAMILIES.get(facts(model).family)
    return family or next((protocol for pattern, protocol in _MORE if pattern.match(model)), None)
