"""What one configuration amounts to at run time: its providers, its router, its policies. Built once, exchanged whole."""

import time
from typing import Any

from interlingua import __version__
from interlingua.client import Client
from interlingua.config import Config
from interlingua.metrics import Metrics
from interlingua.pipeline import Answer, Call, Policy, compose
from interlingua.policies.admission import Admission
from interlingua.policies.auth import Keys
from interlingua.policies.history import History
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
        self.keys = Keys(config.client_keys) if config.auth.mode == "keys" else None
        self.aws_keys = {key.name: key.secret.reveal() for key in config.aws_keys}
        self.admission = Admission(config.server.max_in_flight, config.server.max_queue)
        self.handle = compose([History(store, self._speaks_responses), *policies], self._ask)
        self.began = time.time()
        self.ready = True

    def _speaks_responses(self, call: Call) -> bool:
        decision = call.decision
        return decision is not None and self.providers[decision.backend].way(decision.model).protocol.NAME == "responses"

    async def _ask(self, call: Call) -> Answer:
        assert call.decision is not None
        return await self.providers[call.decision.backend].ask(call)

    def readiness(self) -> dict[str, Any]:
        """What GET /ready says. A backend's health is what its requests have shown; nobody is asked."""
        return {
            "status": "ready" if self.ready else "draining",
            "backends": {name: provider.health() for name, provider in self.providers.items()},
        }

    def status(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "uptime_seconds": round(time.time() - self.began, 3),
            "workers": self.config.server.workers,
            "in_flight": self.admission.inside,
            "backends": {
                name: {"protocol": p.backend.protocol, "url": p.backend.url, **p.health()} for name, p in self.providers.items()
            },
        }

    async def close(self) -> None:
        self.ready = False
        await self.client.close()
        self.store.close()
