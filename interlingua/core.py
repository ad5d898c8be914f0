"""What one configuration amounts to at run time: its providers, its router, its policies. Built once, exchanged whole."""

import time
from typing import Any

from interlingua import __version__
from interlingua.catalog import Catalog
from interlingua.checks import Checks
from interlingua.client import Client
from interlingua.config import Config
from interlingua.health import Board, Health, Station
from interlingua.metrics import BREAKERS, Metrics
from interlingua.pipeline import Answer, Call, Policy, compose
from interlingua.policies.admission import Admission
from interlingua.policies.attempts import Attempts
from interlingua.policies.auth import Keys
from interlingua.policies.hedge import Hedge
from interlingua.policies.history import History
from interlingua.policies.sticky import Conversations
from interlingua.provider import Provider
from interlingua.routing import Router
from interlingua.store import Store


class Core:
    """`policies` are outermost first; the providers themselves are innermost."""

    def __init__(self, config: Config, client: Client, metrics: Metrics, store: Store, policies: list[Policy]) -> None:
        self.config = config
        self.client = client
        self.metrics = metrics
        self.store = store
        self.policies = policies
        self.router = Router(config)
        self.providers = {name: Provider(backend, client, config.routing) for name, backend in config.backends.items()}
        self.catalog = Catalog(self.providers, self.router, config.server.list_models)
        self.keys = Keys(config.client_keys) if config.auth.mode == "keys" else None
        self.aws_keys = {key.name: key.secret.reveal() for key in config.aws_keys}
        self.admission = Admission(config.server.max_in_flight, config.server.max_queue)
        self.board = Board(config.routing.breaker, _stations(config), changed=self._breaker_turned)
        self.checks = Checks(self.providers.values(), self.board)
        history = History(store, self._speaks_responses)  # makes a request for one kind of backend: one for each attempt
        self.handle = compose([*policies, self._attempts(), history], self._ask)
        self.began = time.time()
        self.ready = True

    def _attempts(self) -> Attempts:
        routing = self.config.routing
        hedge = None if routing.hedge == "off" else Hedge(routing.hedge, self.board, self.metrics)
        conversations = Conversations({name: backend.protocol for name, backend in self.config.backends.items()})
        return Attempts(routing, self.board, self.metrics, conversations, hedge)

    def _breaker_turned(self, health: Health) -> None:
        self.metrics.set(BREAKERS, (health.station.name, health.model), float(health.state != "closed"))

    def _speaks_responses(self, call: Call) -> bool:
        decision = call.decision
        return decision is not None and self.providers[decision.backend].way(decision.model).protocol.NAME == "responses"

    async def _ask(self, call: Call) -> Answer:
        assert call.decision is not None
        return await self.providers[call.decision.backend].ask(call)

    def readiness(self) -> dict[str, Any]:
        """What GET /ready says. A backend's health is what its requests and its active checks have shown."""
        return {
            "status": "ready" if self.ready else "draining",
            "backends": {name: self.board.told(name) for name in self.providers},
        }

    def status(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(time.time() - self.began, 3),
            "workers": self.config.server.workers,
            "in_flight": self.admission.inside,
            "backends": {
                name: {"protocol": p.backend.protocol, "url": p.backend.url, **self.board.told(name)}
                for name, p in self.providers.items()
            },
        }

    def follow(self, before: "Core") -> None:
        """Takes the place of another: what is known of backends that stay as they were goes on."""
        was = before.config.backends
        self.board.inherit(before.board, {name for name, backend in self.config.backends.items() if was.get(name) == backend})

    def retire(self) -> None:
        """Another core has taken over: requests under way end on this one."""
        self.checks.stop()
        self.board.reset()

    async def close(self) -> None:
        self.ready = False
        self.retire()
        await self.catalog.close()
        await self.client.close()
        self.store.close()


def _stations(config: Config) -> dict[str, Station]:
    return {name: Station(name, backend.settings.weight, backend.priority) for name, backend in config.backends.items()}
