"""What routing decides: a Plan is a value, with its reasons; it asks nobody and is shared by all requests like the first."""

from typing import Literal

from msgspec import Struct

Route = Literal["model_mapping", "explicit", "auto", "capability", "fallback"]


class Decision(Struct, frozen=True):
    """`model` is the provider's name. `key` is the mapping key that matched, "" where none did."""

    backend: str
    model: str
    route: Route
    reason: str
    key: str = ""


class Refusal(Struct, frozen=True):
    """A backend that was thought of and cannot serve the request."""

    backend: str
    model: str
    why: str


class Plan(Struct, frozen=True):
    """`tiers`: the pool that serves the model, then one for each of its fallbacks, in the order they are tried; none is
    empty, and there is at least one. Within a tier the strategy chooses among those that are well."""

    tiers: tuple[tuple[Decision, ...], ...]
    refused: tuple[Refusal, ...] = ()

    @property
    def first(self) -> Decision:
        return self.tiers[0][0]
