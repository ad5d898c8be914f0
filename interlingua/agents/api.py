"""POST /api/agents/delegate, GET /api/agents/status, GET and DELETE /api/agents/status/{id}: their bodies, in and out."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs

from interlingua.agents.desk import OWN, Desk
from interlingua.agents.dress import PREFIX, unknown
from interlingua.agents.tasks import STATES, Asked, Task
from interlingua.config import Config
from interlingua.errors import InvalidRequest, NotFound
from interlingua.ir import Json
from interlingua.protocols.wire import boolean, encode_json, need, text

_FIELDS: Final = ("agent", "task", "context", "wait")
_SHOWN: Final = 2000  # characters of a text in a list
_LISTED: Final = 100


async def delegate(desk: Desk, config: Config, body: Json, headers: Mapping[bytes, bytes], tenant: str) -> tuple[int, Json]:
    """(status, answer): 202 for what goes on in the background. Raises InvalidRequest naming the field, NotFound."""
    for key in body:
        if key not in _FIELDS:
            raise InvalidRequest(f"{key[:80]} is no field of a task: it has {', '.join(_FIELDS)}", param=key[:80])
    agent = text(need(body, "agent", "agent"), "agent").removeprefix(PREFIX)
    if agent not in config.agents:
        raise unknown(agent, config.agents, "agent")
    task = text(need(body, "task", "task"), "task")
    if not task.strip():
        raise InvalidRequest("task is empty", param="task")
    wait = boolean(True if body.get("wait") is None else body["wait"], "wait")
    context = body.get("context")
    words = context if context is None or type(context) is str else encode_json(context).decode()
    own = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items() if name.startswith(OWN.encode())}
    asked = Asked(task, words or None, own)
    if not wait:
        return 202, told(await desk.accept(agent, tenant, asked))
    ended = await desk.run_now(agent, tenant, asked)
    return (200 if ended.state == "done" else ended.told.get("error", {}).get("status", 503)), told(ended)


async def listed(desk: Desk, config: Config, query: bytes, tenant: str) -> Json:
    """The agents there are, and the newest of the client's tasks. `?agent=`, `?state=` and `?limit=` choose among these. Raises
    InvalidRequest."""
    asked = {key: values[-1] for key, values in parse_qs(query.decode("latin-1")).items()}
    limit, agent, state = asked.get("limit", "20"), asked.get("agent"), asked.get("state")
    if not limit.isdecimal() or not 1 <= int(limit[:6]) <= _LISTED:
        raise InvalidRequest(f"limit must be a whole number from 1 to {_LISTED}", param="limit")
    if state is not None and state not in STATES:
        raise InvalidRequest(f"state must be one of {', '.join(STATES)}", param="state")
    if not config.agents:
        return {"agents": [], "tasks": []}
    counts, newest = await desk.do(
        lambda tasks: (tasks.counts(tenant), tasks.newest(tenant, int(limit[:6]), agent and agent.removeprefix(PREFIX), state))
    )
    agents: list[Json] = [
        {
            "name": name,
            "model": PREFIX + name,
            "description": one.description,
            "serves": [one.model, *one.fallback],
            "tasks": dict.fromkeys(STATES, 0) | counts.get(name, {}),
        }
        for name, one in config.agents.items()
    ]
    return {"agents": agents, "tasks": [_short(told(task)) for task in newest]}


async def one(desk: Desk, config: Config, method: str, id: str, tenant: str) -> Json:
    """A task; DELETE ends it first, or forgets it once it has ended. Raises NotFound."""
    found = None
    if config.agents:
        found = await (desk.cancel(id, tenant) if method == "DELETE" else desk.do(lambda tasks: tasks.get(id, tenant)))
    if found is None:
        raise NotFound(f"There is no task {id[:80]!r} here.", param="id", code="task_not_found")
    return told(found)


def told(task: Task) -> Json:
    said: dict[str, Any] = {
        "id": task.id,
        "agent": task.agent,
        "state": task.state,
        "created": task.created,
        "started": task.started,
        "ended": task.ended,
        "task": task.asked.task,
        "context": task.asked.context,
        **task.told,
    }
    return {key: value for key, value in said.items() if value is not None}


def _short(said: Json) -> Json:
    """As a list tells it: `cut` names what is not there whole."""
    cut = [key for key in ("task", "context") if len(said.get(key, "")) > _SHOWN]
    for key in cut:
        said[key] = said[key][:_SHOWN]
    result = said.get("result", {})
    if len(result.get("text", "")) > _SHOWN or result.keys() & {"images", "thinking"}:
        kept = {key: value for key, value in result.items() if key not in ("images", "thinking")}
        said["result"] = {**kept, "text": kept["text"][:_SHOWN]}
        cut.append("result")
    return {**said, "cut": cut} if cut else said
