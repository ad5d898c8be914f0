"""What routing decides: a Plan is a value, with its reasons; it asks nobody and is shared by all requests like the first."""

from typing import Literal

from msgspec import Struct

from interlingua.routing.needs import named

Route = Literal["model_mapping", "explicit", "auto", "capability", "fallback"]


class Decision(Struct, frozen=True):
    """`model` is the provider's name. `key` is the mapping key that matched, "" where none did. `weak`: it would leave out a
    wish of the request, and is asked after those of its tier that would not."""

    backend: str
    model: str
    route: Route
    reason: str
    key: str = ""
    weak: bool = False


class Refusal(Struct, frozen=True):
    """A backend that was thought of and cannot serve the request."""

    backend: str
    model: str
    why: str


class Plan(Struct, frozen=True):
    """`tiers`: the pool that serves the model, then one for each of its fallbacks, in the order they are tried; none is
    empty, and there is at least one. Within a tier the strategy chooses among those that are well. `needs` are bits of
    routing.needs."""

    tiers: tuple[tuple[Decision, ...], ...]
    refused: tuple[Refusal, ...] = ()
    needs: int = 0

    @property
    def first(self) -> Decision:
        return self.tiers[0][0]

    def __str__(self) -> str:
        """One line for a log."""
        tiers = "; then ".join(", ".join(f"{d.backend}/{d.model} ({d.route})" for d in tier) for tier in self.tiers)
        told = f"{tiers}: {self.first.reason}; needs {', '.join(named(self.needs)) or 'nothing'}"
        refused = "; ".join(f"{refusal.backend}/{refusal.model} {refusal.why}" for refusal in self.refused)
        return f"{told}; refused: {refused}" if refused else told
