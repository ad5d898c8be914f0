"""Which models there are: those that the configuration names, and those that the backends themselves list.

A backend is asked when somebody asks us, and again when its answer has grown old: in the background, in bounded time, so
that a request waits a moment at most, and only for a backend that has never answered. One that fails has nothing to add.
A backend's model is named as it can be asked for: by its own name where that leads to it, by what a pattern makes of it,
else as `backend/model`.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, cast

from msgspec import Struct

from interlingua import prices
from interlingua.config import Backend, key_for
from interlingua.errors import GatewayError
from interlingua.ir import Json
from interlingua.models import facts
from interlingua.prices import Known
from interlingua.protocols.wire import as_array, as_obj, as_text
from interlingua.provider import Provider
from interlingua.routing import Router, named
from interlingua.routing.capabilities import abilities
from interlingua.routing.needs import bits

PATIENCE: Final = 2.0  # seconds a request waits for what has never been heard
_BOUND: Final = 10.0  # seconds a backend has to answer
_AGAIN: Final = 60.0  # seconds after a failure
_MOST: Final = 5000  # models of one backend
# What servers call a model's sizes: OpenRouter and Together, Groq, vLLM, Mistral, llama.cpp, Anthropic, Gemini
_CONTEXT: Final = (
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "n_ctx_train",
    "max_input_tokens",
    "inputTokenLimit",
)
_OUTPUT: Final = ("max_output_tokens", "max_completion_tokens", "max_tokens", "outputTokenLimit")
# A word of config.Capability -> what servers call it
_CAN: Final = {
    "tools": ("tools", "function_calling", "server_tools"),
    "vision": ("vision", "image", "image_input"),
    "documents": ("file", "pdf_input"),
    "audio": ("audio",),
    "thinking": ("thinking", "reasoning"),
    "json_schema": ("structured_outputs",),
    "embeddings": ("embeddings", "embedContent"),
}


class Listed(Struct, frozen=True):
    """What a backend tells of one of its models. `row` is that in its own words, `created` Unix seconds."""

    id: str
    row: Json = {}
    created: int = 0
    context: int | None = None
    max_output: int | None = None
    can: tuple[str, ...] = ()


class Entry(Struct, frozen=True):
    """A model as a client names it, whom it leads to, and what is known of it there."""

    name: str
    backend: Backend
    listed: Listed
    known: Known

    @property
    def context(self) -> int | None:
        models = self.backend.settings.models
        key = key_for(models, self.listed.id)
        return (models[key].context if key is not None else None) or self.listed.context or self.known.context

    @property
    def max_output(self) -> int | None:
        return self.listed.max_output or facts(self.listed.id).max_output

    @property
    def capabilities(self) -> list[str]:
        """Those that are configured, else those that routing knows of and those that the backend tells; empty: unknown."""
        able = abilities(self.backend, self.listed.id)
        if able.listed:
            return named(able.has)
        return named((able.has | bits(self.listed.can)) & ~(able.lacks | able.weak))


class Catalog:
    """`ttl`: seconds a backend's answer holds; 0: none is asked."""

    def __init__(self, providers: Mapping[str, Provider], router: Router, ttl: float) -> None:
        self._providers, self._router, self._ttl = providers, router, ttl
        self._listed: dict[str, dict[str, Listed]] = {}
        self._due: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._warming: asyncio.Task[None] | None = None
        self._entries: dict[str, Entry] | None = None

    async def entries(self) -> dict[str, Entry]:
        """By name. Shared: do not change it."""
        await self._ask_around()
        if self._entries is None:
            self._entries = {entry.name: entry for entry in sorted(self._all(), key=lambda entry: entry.name)}
        return self._entries

    def entry(self, name: str, backend: str, model: str) -> Entry:
        """The entry of a name that leads to this model."""
        provider = self._providers[backend]
        listed = self._listed.get(backend, {}).get(model) or Listed(model)
        warm = self._warming is not None and self._warming.done()
        return Entry(name, provider.backend, listed, prices.known(provider.backend.settings.protocol, model) if warm else Known())

    @property
    def waiting(self) -> bool:
        """Whether a backend is being asked."""
        return bool(self._asking)

    async def close(self) -> None:
        tasks = [*self._asking.values(), *([self._warming] if self._warming else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _all(self) -> Iterator[Entry]:
        """Every name once, with the first of those it leads to."""
        named = [name for name, _, _ in self._router.models()]
        named += [name for backend, models in self._listed.items() for model in models for name in self._names(backend, model)]
        for name in dict.fromkeys(named):
            pool = next(self._router.pools(name), None)
            if pool:  # some names can be listed and not be asked for
                yield self.entry(name, pool[0].backend, pool[0].model)

    def _names(self, backend: str, model: str) -> Iterator[str]:
        """The names under which a backend's model can be asked for, short of those that are spelled out."""
        found = False
        for key, values in self._router.mapping():
            for name, value in values:
                if name == backend and "*" in key and "*" in value:
                    named = _unfilled(key, value, model)
                    if named is not None and self._leads(named, backend, model):
                        found = True
                        yield named
        if found:
            return
        yield model if self._leads(model, backend, model) else f"{backend}/{model}"

    def _leads(self, name: str, backend: str, model: str) -> bool:
        pool = next(self._router.pools(name), ())
        return any(decision.backend == backend and decision.model == model for decision in pool)

    # Asking

    async def _ask_around(self) -> None:
        if self._warming is None:
            self._warming = asyncio.create_task(asyncio.to_thread(prices.warm))
            self._warming.add_done_callback(self._changed)
        now = asyncio.get_running_loop().time()
        for name, provider in self._providers.items() if self._ttl else ():
            if provider.backend.host.list_path and name not in self._asking and now >= self._due.get(name, 0.0):
                self._asking[name] = asyncio.create_task(self._ask(provider))
        unheard = [task for name, task in self._asking.items() if name not in self._listed]
        if not self._warming.done():
            unheard.append(self._warming)
        if unheard:
            await asyncio.wait(unheard, timeout=PATIENCE)

    async def _ask(self, provider: Provider) -> None:
        loop, name = asyncio.get_running_loop(), provider.name
        holds = _AGAIN
        try:
            async with asyncio.timeout(_BOUND):
                told = await provider.models(loop.time() + _BOUND)
            rows = {listed.id: listed for listed in read(told)}
            kind = provider.backend.settings.protocol
            await asyncio.to_thread(lambda: [prices.known(kind, model) for model in rows])
            self._listed[name] = rows
            holds = self._ttl
        except (GatewayError, TimeoutError):
            self._listed.setdefault(name, {})
        finally:
            self._due[name] = loop.time() + holds
            del self._asking[name]
            self._entries = None

    def _changed(self, _: object) -> None:
        self._entries = None


def _unfilled(key: str, value: str, model: str) -> str | None:
    """The name that the pattern `key = value` turns into `model`; None where it turns none into it."""
    head, _, tail = (key if value == "*" else value).partition("*")
    if len(model) < len(head) + len(tail) or not (model.startswith(head) and model.endswith(tail)):
        return None
    return model if value == "*" else key.replace("*", model[len(head) : len(model) - len(tail)])


# What backends tell, whosever shape it is: OpenAI's and its kin's, Anthropic's, Gemini's


def read(told: Any) -> Iterator[Listed]:
    """The models of a list; rows that name none are passed over."""
    rows = cast("list[Any]", told) if type(told) is list else as_array(as_obj(told).get("data", as_obj(told).get("models")))
    for item in rows[:_MOST]:
        row = as_obj(item)
        id = as_text(row.get("id")) or (as_text(row.get("name")) or "").removeprefix("models/")
        if id:
            yield Listed(id, row, _created(row), _size(row, _CONTEXT), _size(row, _OUTPUT), tuple(_can(row)))


def _created(row: Json) -> int:
    created = row.get("created")
    if type(created) is int:
        return created
    try:
        return int(datetime.fromisoformat(as_text(row.get("created_at")) or "").timestamp())
    except ValueError:
        return 0


def _size(row: Json, names: tuple[str, ...]) -> int | None:
    inner = as_obj(row.get("top_provider")) or as_obj(row.get("meta"))
    sizes = [*(row.get(name) for name in names), *(inner.get(name) for name in names)]
    return next((size for size in sizes if type(size) is int and size > 0), None)


def _can(row: Json) -> Iterator[str]:
    modalities = as_obj(row.get("architecture")).get("input_modalities")
    told = as_array(row.get("supported_parameters")) + as_array(row.get("supportedGenerationMethods")) + as_array(modalities)
    words = {word for word in told if type(word) is str}
    for name, can in as_obj(row.get("capabilities")).items():
        if can is True or as_obj(can).get("supported") is True:
            words.add(name)
    if row.get("thinking") is True:
        words.add("thinking")
    for ours, theirs in _CAN.items():
        if not words.isdisjoint(theirs):
            yield ours
