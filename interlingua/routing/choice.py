"""One decision in the making: pools of candidates come in the order they are thought of, and go out as tiers of those that can.

A candidate is refused for what it is known to lack, never for what is not known of it. The windows that a prompt was measured
against are noted: between two of them every length leads to the same plan.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from interlingua.errors import Unsupported
from interlingua.routing.capabilities import Abilities
from interlingua.routing.needs import named
from interlingua.routing.plan import Decision, Refusal

ENDLESS: Final = 1 << 62  # tokens

Abled = Callable[[str, str], Abilities]
Tier = tuple[Decision, ...]


class Choice:
    """`needs` are bits, `tokens` the estimate of the prompt, `abled` tells of a backend's model."""

    def __init__(self, abled: Abled, needs: int, tokens: int) -> None:
        self.needs, self.tokens = needs, tokens
        self.refused: dict[tuple[str, str], Refusal] = {}
        self.windows: set[int] = set()
        self._abled = abled
        self._taken: set[tuple[str, str]] = set()

    def tier(self, pool: Iterable[Decision]) -> Tier:
        """Those of the pool that can serve and are in no tier yet; those that would leave out a wish come last."""
        good, weak = list[Decision](), list[Decision]()
        for decision in pool:
            at = decision.backend, decision.model
            if at in self._taken:
                continue
            able = self._abled(*at)
            why = self._against(able)
            if why:
                self.refused[at] = Refusal(*at, why)
                continue
            self._taken.add(at)
            if lost := able.weak & self.needs:
                reason = f"{decision.reason}; it lacks {', '.join(named(lost))}: who does not comes first"
                weak.append(replace(decision, weak=True, reason=reason))
            else:
                good.append(decision)
        return (*good, *weak)

    def knows(self, backend: str, model: str) -> bool:
        """Whether all that is needed is known to be there."""
        able = self._abled(backend, model)
        return able.has & self.needs == self.needs and not self._against(able)

    def anyway(self, pool: list[Decision]) -> Tier:
        """Nobody can: the pool's own are asked all the same, for what names tell may be old news, and a provider's own words
        are better than ours. What the configuration lists is no guess, and refused. Raises Unsupported."""
        tier = tuple(
            replace(decision, reason=f"{decision.reason}; it {self.refused[at].why}, but nothing else here can do more")
            for decision in pool
            if not (able := self._abled(*(at := (decision.backend, decision.model)))).listed or not able.lacks & self.needs
        )
        if not tier:
            told = "; ".join(f"{refusal.model} at {refusal.backend} {refusal.why}" for refusal in self.refused.values())
            raise Unsupported(f"No backend here can serve this request: {told}.", param="model", code="no_capable_backend")
        for decision in tier:
            del self.refused[decision.backend, decision.model]
        return tier

    def _against(self, able: Abilities) -> str:
        """What speaks against it, "" for nothing."""
        said = list[str]()
        if able.context is not None:
            self.windows.add(able.context)
            if self.tokens > able.context:
                said.append(f"has a context of {able.context} tokens, for a prompt of about {self.tokens}")
        if lacking := able.lacks & self.needs:
            said.insert(0, f"lacks {', '.join(named(lacking))}")
        return " and ".join(said)
