"""`agent/NAME` as a model: who answers for it, and what it is asked, with the agent's instructions first and its parameters
where the client says nothing. To the client it stays the model `agent/NAME`, and its own request the one that paths name.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from msgspec.structs import replace

from interlingua.config import Agent
from interlingua.embeddings import Embedding
from interlingua.errors import GatewayError, NotFound, Unsupported
from interlingua.ir import Message, Reasoning, Request, Text
from interlingua.losses import Loss, Losses
from interlingua.pipeline import Answer, Call, Handler
from interlingua.provider import refuse
from interlingua.routing import ENDLESS, Decision, Plan, Router

PREFIX: Final = "agent/"
_PARAMETERS: Final = ("temperature", "top_p", "top_k", "max_tokens", "seed")
_PLANS: Final = 256
_OURS: Final = "agent.instructions"
_MESSAGE: Final = re.compile(r"messages\[(\d+)\](.*)", re.S)


class Agents:
    """A policy, innermost: each attempt's request is dressed on its way to the provider."""

    def __init__(self, agents: Mapping[str, Agent], router: Router) -> None:
        self._agents = agents
        self._router = router
        self._plans: dict[tuple[int, ...], tuple[list[Plan], Plan]] = {}

    def plan(self, request: Request, size: int = ENDLESS) -> Plan:
        """Who is asked: the agent's model, then each of its fallbacks. Raises as Router.plan does, and NotFound for an agent
        that is not there."""
        agent = self._agent(request)
        if agent is None:
            return self._router.plan(request, size)
        if isinstance(request, Embedding):
            raise Unsupported(f"{request.model} answers in words, and makes no embeddings.", param="model")
        asked = self._dressed(request, agent)
        plan = self._router.plan(replace(asked, model=agent.model))
        return self._joined([plan, *(self._router.plan(replace(asked, model=model)) for model in agent.fallback)])

    def decisions(self) -> dict[str, Decision]:
        """Where each agent's name leads first; those that lead nowhere are left out."""
        found: dict[str, Decision] = {}
        for name, agent in self._agents.items():
            with suppress(GatewayError):
                found[PREFIX + name] = self._router.route(agent.model)
        return found

    def dressed(self, request: Request) -> Request:
        """What the model is asked; the same request where it names no agent."""
        agent = self._agent(request)
        return request if agent is None else self._dressed(request, agent)

    async def __call__(self, call: Call, next: Handler) -> Answer:
        asked = call.request
        call.request = self.dressed(asked)
        if call.request is asked:
            return await next(call)
        try:
            return await next(call)
        except Unsupported:
            if not call.strict or not call.losses:
                raise
            losses = call.losses = of_client(call.losses, call.request, asked)
            call.request = asked
            refuse(call, losses)
            raise
        finally:
            if call.request is not asked:
                call.losses = of_client(call.losses, call.request, asked)
                call.request = asked

    def _agent(self, request: Request) -> Agent | None:
        model = request.model
        if not self._agents or not model.startswith(PREFIX):
            return None
        agent = self._agents.get(model[len(PREFIX) :])
        if agent is None:
            raise unknown(model[len(PREFIX) :], self._agents, "model")
        return agent

    def _dressed(self, request: Request, agent: Agent) -> Request:
        changes: dict[str, Any] = {
            name: value
            for name in _PARAMETERS
            if (value := getattr(agent.parameters, name)) is not None and getattr(request, name) is None
        }
        if agent.parameters.stop and not request.stop:
            changes["stop"] = list(agent.parameters.stop)
        if agent.parameters.effort is not None and request.reasoning is None:
            changes["reasoning"] = Reasoning(effort=agent.parameters.effort)
        if agent.instructions is not None:
            first = Message(role="system", parts=[Text(text=agent.instructions)])
            changes["messages"] = [first, *request.messages]
        return replace(request, **changes)

    def _joined(self, plans: list[Plan]) -> Plan:
        """One plan of several: the same one for the same plans, as the attempts remember what they know of it."""
        if len(plans) == 1:
            return plans[0]
        key = tuple(map(id, plans))
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            first, *rest = plans
            tiers = (*first.tiers, *(plan.tiers[0] for plan in rest))
            found = self._plans[key] = plans, replace(first, tiers=tiers)
        return found[1]


def unknown(name: str, agents: Mapping[str, Agent], param: str) -> NotFound:
    known = ", ".join(agents) or "none"
    shown = "".join(char if char.isprintable() else "?" for char in name[:80])
    return NotFound(f"There is no agent `{shown}` here; configured: {known}.", param=param, code="model_not_found")


def of_client(losses: Losses, dressed: Request, asked: Request) -> Losses:
    """Losses by the places that the client knows: its messages are one further on in what the provider was sent."""
    added = len(dressed.messages) - len(asked.messages)
    return Losses(Loss(_moved(loss.path, added), loss.how, loss.why) for loss in losses)


def _moved(path: str, added: int) -> str:
    match = _MESSAGE.fullmatch(path) if added else None
    if match is None:
        return path
    place = int(match[1]) - added
    return _OURS + match[2] if place < 0 else f"messages[{place}]{match[2]}"
