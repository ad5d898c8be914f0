"""Agents: `agent/NAME` for every protocol's client, and tasks delegated to them, over the wire."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anthropic
import five
import httpx2 as httpx
import openai
import pytest
import running
from conftest import Start
from five import FIVE, speaking
from running import House

from interlingua.core import Core
from interlingua.metrics import totals
from interlingua.protocols.openai import parse_request

Json = dict[str, Any]
AGENTS = """
[agents.writer]
model = "exact-openai"
description = "Writes."
instructions = "You write."
fallback = ["exact-anthropic"]
[agents.writer.parameters]
temperature = 0.3
top_k = 5
stop = ["END"]
[agents.claude]
model = "exact-anthropic"
instructions = "You are Claude."
parameters = { max_tokens = 77 }
[agents.gemini]
model = "exact-gemini"
instructions = "You are Gemini."
"""
THINKER = """
[agents.thinker]
model = "exact-gemini"
parameters = { effort = "low", top_p = 0.5, seed = 4 }
"""
MORE = """
[agents.plain]
model = "responses/gpt-4o"
instructions = "You answer."
"""


def asking(text: str = "hi", **more: Any) -> Json:
    return {"model": "agent/writer", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
async def house(start: Start) -> AsyncIterator[House]:
    house = await start(AGENTS)
    yield house
    house.judge()


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=house.url, timeout=10) as client:
        yield client


# As a model


@pytest.mark.parametrize("agent", ["writer", "claude", "gemini", "plain"])
@pytest.mark.parametrize("name", ["openai", "responses", "anthropic", "gemini", "bedrock"])
async def test_an_agent_answers_every_protocols_client(
    start: Start, name: str, agent: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through unmodified SDKs, in front of backends of four protocols."""
    five.speaks_aws(monkeypatch)
    house = await start(AGENTS + MORE, FIVE)
    words = {"writer": "You write.", "claude": "You are Claude.", "gemini": "You are Gemini.", "plain": "You answer."}[agent]
    async with speaking(name, house.url) as ask:
        said = await ask(f"agent/{agent}", "hello there", stream, {})
    assert said.text == "You said: hello there"
    assert words in json.dumps(house.sent)
    backend = {"writer": "openai", "claude": "anthropic", "gemini": "gemini", "plain": "responses"}[agent]
    assert said.heads["x-interlingua-backend"] == backend
    if name in ("openai", "anthropic") and not stream:
        assert said.raw.model == f"agent/{agent}"
    house.judge()


async def test_the_client_overrides_parameters_and_adds_its_own_system(house: House) -> None:
    client = openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="any", max_retries=0)
    say: Any = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    await client.chat.completions.create(model="agent/writer", messages=say, temperature=0.9, max_tokens=7)
    sent = house.sent
    assert sent["messages"] == [{"role": "system", "content": "You write."}, *say]
    assert (sent["temperature"], sent["stop"], sent["max_tokens"]) == (0.9, "END", 7)
    await client.chat.completions.create(model="agent/writer", messages=say, stop=["HALT"])
    assert (house.sent["temperature"], house.sent["stop"]) == (0.3, "HALT")
    claude = anthropic.AsyncAnthropic(base_url=house.url, api_key="any", max_retries=0)
    told = await claude.messages.create(model="agent/writer", max_tokens=9, system="Be brief.", messages=[say[1]])
    assert told.model == "agent/writer" and house.sent["max_tokens"] == 9
    await client.close()
    await claude.close()


async def test_every_parameter_reaches_the_provider(start: Start) -> None:
    house = await start(THINKER)
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert (await http.post("/v1/chat/completions", json=asking(model="agent/thinker"))).status_code == 200
    config = house.sent["generationConfig"]
    assert (config["topP"], config["seed"], config["thinkingConfig"]["thinkingBudget"] > 0) == (0.5, 4, True)


async def test_a_stream_names_the_agent(house: House) -> None:
    async with openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key="any", max_retries=0) as client:
        chunks = [chunk async for chunk in await client.chat.completions.create(**asking(), stream=True)]
    assert {chunk.model for chunk in chunks} == {"agent/writer"}


async def test_losses_are_told_by_the_clients_own_places(http: httpx.AsyncClient) -> None:
    """What the agent adds counts as its own, and moves none of the client's messages."""
    told = await http.post("/v1/chat/completions", json=asking(model="agent/claude", seed=3))
    assert told.headers["x-interlingua-losses"] == "seed;dropped"
    odd: Json = asking(model="agent/claude", max_tokens=5000)
    odd["messages"][0]["name"] = "Ann"
    told = await http.post("/v1/chat/completions", json=odd)
    assert told.headers["x-interlingua-losses"] == "messages[0].name;dropped"
    strict = await http.post("/v1/chat/completions", json=odd, headers={"x-interlingua-strict": "true"})
    assert strict.status_code == 400 and strict.json()["error"]["param"] == "messages[0].name"
    own = await http.post("/v1/chat/completions", json=asking(), headers={"x-interlingua-strict": "true"})
    assert own.status_code == 400 and own.json()["error"]["param"] == "top_k"


TIRED = """
[routing]
attempts = 2
[agents.tired]
model = "dead/gpt-4o"
instructions = "You are tired."
fallback = ["exact-anthropic"]
"""
DEAD = """
[backends.dead]
protocol = "openai"
url = "http://127.0.0.1:1"
api_key_env = "OPENAI_KEY"
"""


async def test_the_fallback_answers_where_the_model_fails(start: Start) -> None:
    house = await start(TIRED + AGENTS, running.BACKENDS + DEAD)
    async with httpx.AsyncClient(base_url=house.url) as http:
        told = await http.post("/v1/chat/completions", json=asking("hello", model="agent/tired"))
        assert told.status_code == 200, told.text
        assert told.headers["x-interlingua-backend"] == "anthropic" and told.headers["x-interlingua-route"] == "fallback"
        assert told.json()["model"] == "agent/tired"
        assert "You are tired." in json.dumps(house.sent["system"])
        plans = {
            id(house.gateway.core.plan(request)) for request in [parse_request(asking(model="agent/tired")) for _ in range(2)]
        }
        assert len(plans) == 1  # what the attempts know of a plan is kept by the plan


async def test_lists_show_agents(http: httpx.AsyncClient) -> None:
    names = ["agent/claude", "agent/gemini", "agent/writer"]
    told = (await http.get("/v1/models")).json()["data"]
    assert [row["id"] for row in told if row["id"].startswith("agent/")] == sorted(names, key=lambda name: name != "agent/writer")
    assert (await http.get("/v1/models/agent/writer")).json()["id"] == "agent/writer"
    told = (await http.get("/v1beta/models")).json()["models"]
    assert {f"models/{name}" for name in names} <= {row["name"] for row in told}
    told = (await http.get("/v1/models", headers={"anthropic-version": "2023-06-01"})).json()["data"]
    assert set(names) <= {row["id"] for row in told}


async def test_tokens_are_counted_with_the_instructions(house: House, http: httpx.AsyncClient) -> None:
    ask = {"model": "agent/claude", "messages": [{"role": "user", "content": "hi"}]}
    told = await http.post("/v1/messages/count_tokens", json=ask, headers={"anthropic-version": "2023-06-01"})
    assert told.status_code == 200 and "You are Claude." in json.dumps(house.sent)


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", asking(model="agent/nobody"), "model"),
        ("/v1/chat/completions", asking(model="agent/"), "model"),
        ("/v1/embeddings", {"model": "agent/writer", "input": "hi"}, "model"),
        ("/v1/responses", {"model": "agent/nobody\u0000", "input": "hi"}, "model"),
    ],
)
async def test_what_no_agent_does(http: httpx.AsyncClient, path: str, body: Json, param: str) -> None:
    told = await http.post(path, json=body)
    assert told.status_code in (400, 404) and told.json()["error"]["param"] == param
    assert "agent" in told.json()["error"]["message"]


async def test_without_agents_the_name_is_any_models(start: Start) -> None:
    house = await start()
    async with httpx.AsyncClient(base_url=house.url) as http:
        told = await http.post("/v1/chat/completions", json=asking())
        assert told.status_code == 404 and "does not exist here" in told.json()["error"]["message"]
        assert (await http.get("/api/agents/status")).json() == {"agents": [], "tasks": []}
        assert (await http.get("/api/agents/status/task_1")).status_code == 404
        told = await http.post("/api/agents/delegate", json={"agent": "x", "task": "y"})
        assert told.json()["error"] == {
            "message": "There is no agent `x` here; configured: none.",
            "type": "not_found",
            "status": 404,
            "field": "agent",
        }


# Tasks


async def ended(http: httpx.AsyncClient, id: str) -> Json:
    async with asyncio.timeout(10):
        while (told := (await http.get(f"/api/agents/status/{id}")).json())["state"] in ("queued", "running"):
            await asyncio.sleep(0.005)
    return told


async def test_a_task_is_done_now(house: House, http: httpx.AsyncClient) -> None:
    told = await http.post("/api/agents/delegate", json={"agent": "agent/writer", "task": "Sum up.", "context": {"a": [1]}})
    assert told.status_code == 200
    body = told.json()
    assert (body["agent"], body["state"], body["task"], body["context"]) == ("writer", "done", "Sum up.", '{"a":[1]}')
    result = body["result"]
    assert result["text"] == 'You said: {"a":[1]}\nSum up.' and result["model"] == "agent/writer"
    assert result["usage"]["total_tokens"] == result["usage"]["input_tokens"] + result["usage"]["output_tokens"]
    assert result["gateway"] == {
        "backend": "openai",
        "model": "gpt-4o",
        "route": "model_mapping",
        "losses": "top_k;dropped",
    }
    assert body["created"] <= body["started"] <= body["ended"]
    assert house.sent["messages"][0] == {"role": "system", "content": "You write."}
    assert (await http.get(f"/api/agents/status/{body['id']}")).json() == body
    assert totals(house.gateway.core.metrics)["requests"] == 1


async def test_a_task_that_fails_says_why_with_its_status(house: House, http: httpx.AsyncClient) -> None:
    house.refusals = True
    strict = await http.post(
        "/api/agents/delegate", json={"agent": "writer", "task": "x"}, headers={"x-interlingua-strict": "true"}
    )
    assert strict.status_code == 400 and strict.json()["error"]["field"] == "top_k"
    told = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "[[429]]"})
    assert (told.status_code, told.json()["state"]) == (429, "failed")
    assert told.json()["error"]["type"] == "rate_limit"
    given = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "[[500]]", "wait": False})
    assert given.status_code == 202
    told = await ended(http, given.json()["id"])
    assert (told["state"], told["error"]["status"]) == ("failed", 500)
    counts = (await http.get("/metrics")).text
    assert 'interlingua_agent_tasks_total{agent="writer",state="failed"} 3.0' in counts


async def test_a_task_in_the_background_is_listed_and_forgotten(http: httpx.AsyncClient) -> None:
    long = "word " * 1000
    given = (await http.post("/api/agents/delegate", json={"agent": "writer", "task": long, "wait": False})).json()
    assert given["state"] == "queued" and given["id"].startswith("task_")
    told = await ended(http, given["id"])
    assert told["state"] == "done"
    await http.post("/api/agents/delegate", json={"agent": "claude", "task": "hi"})
    listed = (await http.get("/api/agents/status")).json()
    assert [task["agent"] for task in listed["tasks"]] == ["claude", "writer"]
    last = listed["tasks"][1]
    assert last["cut"] == ["task", "result"] and len(last["task"]) == len(last["result"]["text"]) == 2000
    writer = next(agent for agent in listed["agents"] if agent["name"] == "writer")
    assert writer["tasks"]["done"] == 1 and writer["description"] == "Writes."
    assert writer["serves"] == ["exact-openai", "exact-anthropic"]
    for query, agents in {
        "agent=claude": ["claude"],
        "state=failed": [],
        "limit=1": ["claude"],
        "state=done&agent=writer": ["writer"],
    }.items():
        assert [t["agent"] for t in (await http.get(f"/api/agents/status?{query}")).json()["tasks"]] == agents
    assert (await http.delete(f"/api/agents/status/{given['id']}")).json()["state"] == "done"
    assert (await http.get(f"/api/agents/status/{given['id']}")).status_code == 404


async def test_a_task_is_cancelled_and_its_provider_hung_up_on(house: House, http: httpx.AsyncClient) -> None:
    given = (await http.post("/api/agents/delegate", json={"agent": "writer", "task": "[[slow:60000]]", "wait": False})).json()
    async with asyncio.timeout(10):
        while not house.mock.journal.entries:
            await asyncio.sleep(0.005)
        told = (await http.delete(f"/api/agents/status/{given['id']}")).json()
        assert told["state"] == "cancelled" and "result" not in told
        while not house.mock.journal.last.aborted:
            await asyncio.sleep(0.005)
    assert (await ended(http, given["id"]))["state"] == "cancelled"


async def test_who_does_not_wait_for_its_task_cancels_it(house: House, http: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await http.post("/api/agents/delegate", json={"agent": "writer", "task": "[[slow:60000]]"}, timeout=0.3)
    async with asyncio.timeout(10):
        while not house.mock.journal.last.aborted:
            await asyncio.sleep(0.005)
        while (tasks := (await http.get("/api/agents/status")).json()["tasks"])[0]["state"] == "running":
            await asyncio.sleep(0.005)
    assert [task["state"] for task in tasks] == ["cancelled"]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({"task": "x"}, "agent", "agent is required"),
        ({"agent": "writer"}, "task", "task is required"),
        ({"agent": "writer", "task": " "}, "task", "task is empty"),
        ({"agent": 3, "task": "x"}, "agent", "agent must be a string"),
        ({"agent": "writer", "task": ["x"]}, "task", "task must be a string"),
        ({"agent": "writer", "task": "x", "wait": "no"}, "wait", "wait must be true or false"),
        ({"agent": "writer", "task": "x", "priority": 1}, "priority", "priority is no field of a task"),
        ({"agent": "nobody", "task": "x"}, "agent", "There is no agent `nobody` here"),
    ],
)
async def test_bad_tasks(http: httpx.AsyncClient, body: Json, field: str, words: str) -> None:
    told = await http.post("/api/agents/delegate", json=body)
    error = told.json()["error"]
    assert told.status_code == error["status"] == (404 if "nobody" in words else 400)
    assert error["field"] == field and error["message"].startswith(words)
    assert (await http.get("/api/agents/status")).json()["tasks"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=99999999999999", "state=over"])
async def test_bad_questions(http: httpx.AsyncClient, query: str) -> None:
    told = await http.get(f"/api/agents/status?{query}")
    assert told.status_code == 400 and told.json()["error"]["field"] == query.partition("=")[0]


async def test_methods_and_paths(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/agents/delegate")).status_code == 405
    assert (await http.post("/api/agents/status")).status_code == 405
    assert (await http.post("/api/agents/delegate", content=b"")).json()["error"]["message"] == "Request body is required"
    assert (await http.get("/api/agents/nothing")).json()["error"]["status"] == 404


async def test_a_full_queue_says_so(start: Start) -> None:
    house = await start(AGENTS + "[tasks]\nat_once = 1\nqueue = 2\n")
    async with httpx.AsyncClient(base_url=house.url) as http:

        async def give() -> httpx.Response:
            return await http.post("/api/agents/delegate", json={"agent": "writer", "task": "[[slow:60000]]", "wait": False})

        first = (await give()).json()["id"]
        async with asyncio.timeout(10):
            while (await http.get(f"/api/agents/status/{first}")).json()["state"] != "running":
                await asyncio.sleep(0.005)
        assert [(await give()).status_code for _ in range(3)] == [202, 202, 503]
        told = await give()
        assert told.headers["retry-after"] == "10" and "wait already" in told.json()["error"]["message"]
        for task in (await http.get("/api/agents/status")).json()["tasks"]:
            await http.delete(f"/api/agents/status/{task['id']}")


async def test_a_store_that_cannot_be_used_is_told(start: Start, tmp_path: Path) -> None:
    (tmp_path / "kept/tasks.sqlite").mkdir(parents=True)
    house = await start(AGENTS + '[server]\ndata = "kept"\n')
    async with httpx.AsyncClient(base_url=house.url) as http:
        told = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x", "wait": False})
        assert (told.status_code, told.headers["retry-after"]) == (503, "10")
        assert "kept" not in told.text and not house.mock.journal.entries
        assert (await http.post("/v1/chat/completions", json=asking())).status_code == 200
        (tmp_path / "kept/tasks.sqlite").rmdir()
        told = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x"})
        assert told.json()["state"] == "done"


async def test_a_reload_brings_agents(start: Start, tmp_path: Path) -> None:
    """Tasks under way end on the configuration they began with."""
    house = await start(AGENTS)
    async with httpx.AsyncClient(base_url=house.url) as http:
        go = house.hold()
        given = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x", "wait": False})
        async with asyncio.timeout(10):
            while (await http.get(f"/api/agents/status/{given.json()['id']}")).json()["state"] != "running":
                await asyncio.sleep(0.005)
        more = AGENTS.replace("agents.writer", "agents.poet")
        house.gateway.take(Core.after(house.gateway.core, running.configured(tmp_path, house.mock.url, more)))
        assert (await http.post("/api/agents/delegate", json={"agent": "poet", "task": "x"})).json()["state"] == "done"
        assert (await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x"})).status_code == 404
        go.set()
        assert (await ended(http, given.json()["id"]))["state"] == "done"


async def test_agents_may_come_with_a_reload(start: Start, tmp_path: Path) -> None:
    house = await start()
    house.gateway.take(Core.after(house.gateway.core, running.configured(tmp_path, house.mock.url, AGENTS)))
    async with httpx.AsyncClient(base_url=house.url) as http:
        given = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x", "wait": False})
        assert (await ended(http, given.json()["id"]))["state"] == "done"


async def test_a_tenant_sees_its_own_tasks_alone(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = '[auth]\nmode = "keys"\n'
    for name in ("ANN", "BOB"):
        monkeypatch.setitem(running.KEYS, f"{name}_KEY", f"key-of-{name}")
        keys += f'[[auth.keys]]\nname = "{name}"\nkey_env = "{name}_KEY"\n'
    house = await start(keys + AGENTS)
    ann, bob = ({"authorization": f"Bearer key-of-{name}"} for name in ("ANN", "BOB"))
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert (await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x"})).status_code == 401
        given = await http.post("/api/agents/delegate", json={"agent": "writer", "task": "x", "wait": False}, headers=ann)
        where = f"/api/agents/status/{given.json()['id']}"
        async with asyncio.timeout(10):
            while (await http.get(where, headers=ann)).json()["state"] != "done":
                await asyncio.sleep(0.005)
        assert (await http.get(where, headers=bob)).status_code == 404
        assert (await http.delete(where, headers=bob)).status_code == 404
        assert (await http.get("/api/agents/status", headers=bob)).json()["tasks"] == []
        counts = (await http.get("/api/agents/status", headers=bob)).json()["agents"][0]["tasks"]
        assert set(counts.values()) == {0}
        assert len((await http.get("/api/agents/status", headers=ann)).json()["tasks"]) == 1
        assert (await http.get(where)).status_code == 401
