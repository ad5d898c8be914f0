"""Which backends could serve a request, and in what order. Pure: a configuration and a request in, a Plan out."""

from interlingua.routing.plan import Decision, Plan, Refusal, Route
from interlingua.routing.router import EVIDENT, LONGEST, Pool, Router

__all__ = ["EVIDENT", "LONGEST", "Decision", "Plan", "Pool", "Refusal", "Route", "Router"]
