"""What one configuration amounts to at run time: its providers, its router, its policies. Built once, exchanged whole."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any

from interlingua import __version__, prices
from interlingua.agents.desk import Desk
from interlingua.agents.dress import Agents
from interlingua.catalog import Catalog
from interlingua.checks import Checks
from interlingua.cli import CliProvider
from interlingua.client import Client
from interlingua.config import Backend, Config, Routing
from interlingua.health import Board, Health, Station
from interlingua.metrics import BREAKERS, Metrics, totals
from interlingua.pipeline import Answer, Call, Policy, compose
from interlingua.policies import request_log
from interlingua.policies.admission import Admission
from interlingua.policies.attempts import Attempts
from interlingua.policies.auth import Keys
from interlingua.policies.early_stop import EarlyStop
from interlingua.policies.hedge import Hedge
from interlingua.policies.history import History
from interlingua.policies.request_log import RequestLog
from interlingua.policies.sticky import Conversations
from interlingua.policies.upstream_stream import UpstreamStream
from interlingua.provider import Provider
from interlingua.routing import Decision, Router
from interlingua.store import Store


class Core:
    """`policies` are outermost first; the providers themselves are innermost."""

    def __init__(
        self,
        config: Config,
        client: Client,
        metrics: Metrics,
        store: Store,
        policies: list[Policy],
        log: RequestLog | None = None,
    ) -> None:
        self.config = config
        self.client = client
        self.metrics = metrics
        self.store = store
        self.policies = policies
        self.router = Router(config)
        self.providers = {name: _provider(backend, client, config.routing, metrics) for name, backend in config.backends.items()}
        self._leaving: list[Provider] = []  # of cores before this one
        self.catalog = Catalog(self.providers, self.router, config.server.list_models)
        self.keys = Keys(config.client_keys) if config.auth.mode == "keys" else None
        self.aws_keys = {key.name: key.secret.reveal() for key in config.aws_keys}
        self.admission = Admission(config.server.max_in_flight, config.server.max_queue, metrics)
        self.board = Board(config.routing.breaker, _stations(self.providers), changed=self._breaker_turned)
        self.checks = Checks(self.providers.values(), self.board)
        history = History(store, self._speaks_responses)  # makes a request for one kind of backend: one for each attempt
        self.log = log
        upstream = UpstreamStream(config.routing.stream_upstream, EarlyStop(config, metrics))
        self.conversations = Conversations({name: backend.protocol for name, backend in config.backends.items()})
        self.agents = Agents(config.agents, self.router)
        self.plan = self.agents.plan if config.agents else self.router.plan
        whole = [
            *([log] if log else []),
            *policies,
            self._attempts(),
            history,
            upstream,
            *([self.agents] if config.agents else []),
        ]
        self.handle = compose(whole, self._ask)
        self.debugs = logging.getLogger("interlingua").isEnabledFor(logging.DEBUG)  # the level of a running process stays
        self.began = time.time()
        self.ready = True
        self.desk: Desk | None = None  # of agents' tasks: the gateway's
        self.loaded: Any = None  # what became of the configuration's files: operations.py

    @classmethod
    def after(cls, old: "Core", config: Config) -> "Core":
        """The hand-over: what a configuration read again goes on with. Connections, metrics, kept answers and policies are the
        same; so are the places of requests under way, and what is known of a backend that is still the same."""
        log = old.log if config.log == old.config.log else request_log.of(config, old.metrics)
        if log is not None and log is not old.log:
            log.before = old.log
        core = cls(config, old.client, old.metrics, old.store, old.policies, log)
        before = {name: provider.backend.identity for name, provider in old.providers.items()}
        same = {name for name, provider in core.providers.items() if before.get(name) == provider.backend.identity}
        core.board.inherit(old.board, same)
        core.conversations.inherit(old.conversations)
        for name in same:
            core.providers[name].inherit(old.providers[name])
            core.board.stations[name].keys = core.providers[name].keys
        core._leaving = [one for one in (*old._leaving, *old.providers.values()) if one.lingers]
        core.began, core.ready, core.loaded, core.desk = old.began, old.ready, old.loaded, old.desk
        core.admission = old.admission
        core.admission.resize(config.server.max_in_flight, config.server.max_queue)
        return core

    def _attempts(self) -> Attempts:
        routing = self.config.routing
        hedge = None if routing.hedge == "off" else Hedge(routing.hedge, self.board, self.metrics)
        if routing.strategy == "cheapest":
            prices.warm_aside()
        return Attempts(routing, self.board, self.metrics, self.conversations, hedge, self._cost)

    def _cost(self, decision: Decision) -> float | None:
        """USD for a million tokens in and a million out; None where that is not known, or not yet."""
        if not prices.is_warm():
            return None
        price = prices.price_of(self.config.backends[decision.backend].settings.protocol, decision.model)
        return None if price is None else price.input + price.output

    def _breaker_turned(self, health: Health) -> None:
        self.metrics.set(BREAKERS, (health.station.name, health.model), float(health.state != "closed"))

    def _speaks_responses(self, call: Call) -> bool:
        decision = call.decision
        return decision is not None and self.providers[decision.backend].way(decision.model).protocol.NAME == "responses"

    def _ask(self, call: Call) -> Awaitable[Answer]:
        assert call.decision is not None
        return self.providers[call.decision.backend].ask(call)

    def readiness(self) -> dict[str, Any]:
        """What GET /ready says. A backend's health is what its requests and its active checks have shown."""
        return {
            "status": "ready" if self.ready else "draining",
            "backends": {name: {**self.board.told(name), **p.keys_told()} for name, p in self.providers.items()},
        }

    def status(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(time.time() - self.began, 3),
            "workers": self.config.server.processes,
            "in_flight": self.admission.inside,
            "totals": totals(self.metrics),
            "configuration": self.loaded,
            "backends": {
                name: {"protocol": p.backend.protocol, "url": p.backend.url, **self.board.told(name), **p.keys_told()}
                for name, p in self.providers.items()
            },
        }

    def begin(self) -> None:
        """What runs beside the requests: active checks, and whatever a provider keeps warm. In a running loop."""
        self.checks.begin()
        for provider in self.providers.values():
            provider.begin()

    def retire(self) -> None:
        """Another core has taken over: requests under way end on this one."""
        self.checks.stop()
        self.board.reset()
        for provider in self.providers.values():
            provider.retire()

    async def close(self) -> None:
        self.ready = False
        self.retire()
        await self.catalog.close()
        for provider in (*self.providers.values(), *self._leaving):
            await provider.close()
        await self.client.close()
        if self.log is not None:
            await asyncio.to_thread(self.log.close)
        self.store.close()


def _provider(backend: Backend, client: Client, routing: Routing, metrics: Metrics) -> Provider:
    kind = CliProvider if backend.settings.protocol == "gemini-cli" else Provider
    return kind(backend, client, routing, metrics)


def _stations(providers: dict[str, Provider]) -> dict[str, Station]:
    return {name: Station(name, one.backend.settings.weight, one.backend.priority, one.keys) for name, one in providers.items()}
