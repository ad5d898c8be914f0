"""Which backends could serve a request, and in what order. Pure: a configuration and a request in, a Plan out."""

from interlingua.routing.capabilities import Abilities, capability_words
from interlingua.routing.choice import ENDLESS
from interlingua.routing.needs import EMBEDDINGS, MEDIA, TEXT, estimate, named
from interlingua.routing.plan import Decision, Plan, Refusal, Route
from interlingua.routing.router import EVIDENT, LONGEST, Pool, Router

__all__ = [
    "EMBEDDINGS",
    "ENDLESS",
    "MEDIA",
    "EVIDENT",
    "LONGEST",
    "TEXT",
    "Abilities",
    "Decision",
    "Plan",
    "Pool",
    "Refusal",
    "Route",
    "Router",
    "capability_words",
    "estimate",
    "named",
]
