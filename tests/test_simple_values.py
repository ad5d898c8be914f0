"""The simple API's values, its default model, and what the system tells of itself."""

import asyncio
from typing import Any

import httpx2 as httpx
import pytest
from conftest import Start
from hypothesis import given
from hypothesis import strategies as st

from interlingua.errors import GatewayError
from interlingua.fold import unfold
from interlingua.ir import Choice, Citation, Failure, Finish, Media, Response, Text, Thinking, ToolCall, Usage
from interlingua.losses import Losses
from interlingua.protocols import simple
from interlingua.protocols.registry import CLIENTS, PROTOCOLS
from tests import strategies as ir

Json = dict[str, Any]
PATH = "/api/gemini/generate"


async def test_another_default_model(start: Start) -> None:
    house = await start('[routing]\nattempts = 1\ndefault_model = "exact-openai"\n')
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert (await http.post(PATH, json={"prompt": "hi"})).json()["model"] == "exact-openai"
        told = await http.post(PATH, json={"prompt": "hi", "model": "nobody"})
        assert (told.status_code, told.json()["error"]["field"]) == (404, "model")


async def test_the_system_tells_its_totals(start: Start) -> None:
    house = await start()
    async with httpx.AsyncClient(base_url=house.url) as http:
        before = (await http.get("/api/system/status")).json()
        assert before["totals"]["requests"] == 0 and before["workers"] == 1
        for _ in range(2):
            await http.post(PATH, json={"prompt": "[[usage]]", "model": "exact-openai"})
        await http.post(PATH, json={"prompt": "[[500]]", "model": "exact-openai"})
        with pytest.raises(httpx.ReadTimeout):
            await http.post(PATH, json={"prompt": "[[slow:60000]]", "model": "exact-openai"}, timeout=0.2)
        async with asyncio.timeout(10):
            while (status := (await http.get("/api/system/status")).json())["totals"]["left"] == 0:
                await asyncio.sleep(0.005)
    totals = status["totals"]
    assert {name: totals[name] for name in ("requests", "successes", "failures", "left", "in_flight", "rotations")} == {
        "requests": 4,
        "successes": 2,
        "failures": 1,
        "left": 1,
        "in_flight": 0,
        "rotations": 0,
    }
    kinds = {"input": 200, "cache_read": 80, "cache_write": 40, "output": 42, "reasoning": 32}
    assert totals["tokens"] == {**kinds, "total": 242}
    assert status["uptime_seconds"] > 0 and status["backends"]["openai"]["requests"] == 4
    house.refusals = True


def test_no_provider_speaks_it() -> None:
    assert set(CLIENTS) - set(PROTOCOLS) == {"simple"}


ANSWER = Response(
    id="r1",
    model="m",
    choices=[
        Choice(
            parts=[
                Thinking(text="hm"),
                Text(text="a", citations=[Citation(url="u")]),
                ToolCall(id="1", name="f"),
                Media(kind="image", mime="image/png", data="QQ=="),
                Text(text="b"),
            ],
            finish=Finish(reason="length"),
        ),
        Choice(parts=[Text(text="other")]),
    ],
    usage=Usage(input=3, output=4, cache_read=1),
)


def asked() -> Any:
    return simple.parse_request({"prompt": "p"}, "m")


def test_what_it_cannot_say_is_a_loss() -> None:
    losses = Losses()
    told = simple.format_response(ANSWER, asked(), losses)
    assert (told["text"], told["thinking"], told["images"]) == ("ab", "hm", ["data:image/png;base64,QQ=="])
    assert told["usage"] == {"input_tokens": 3, "output_tokens": 4, "cached_tokens": 1, "total_tokens": 7}
    parts = "response.choices[0].parts"
    assert [loss.path for loss in losses] == [f"{parts}[1].citations", f"{parts}[2]", "response.choices[1]"]


def test_a_stream_tells_what_the_whole_does() -> None:
    losses = Losses()
    outs = [out.data for out in simple.Formatter(asked(), losses).feed(unfold(ANSWER))]
    assert outs == [
        {"thinking": "hm"},
        {"text": "a"},
        {"image": "data:image/png;base64,QQ=="},
        {"text": "b"},
        {"done": True, "id": "r1", "model": "m", "finish_reason": "length", "usage": outs[-1]["usage"]},
    ]
    parts = "response.choices[0].parts"
    assert [loss.path for loss in losses] == [f"{parts}[2]", "response.choices[1].parts[0]"]


@given(ir.responses)
def test_any_answer_is_told(answer: Response) -> None:
    """Streamed and whole, the words are the same."""
    whole = simple.format_response(answer, asked(), Losses())
    outs = [out.data for out in simple.Formatter(asked(), Losses()).feed(unfold(answer))]
    assert "".join(out.get("text", "") for out in outs) == whole["text"]
    assert outs[-1]["done"] is True and outs[-1]["usage"] == whole["usage"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(["data", "mime_type"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["prompt", "model", "images", "stop", "system", "schema", "json", "x"]), JSON))
def test_any_body_is_read_or_refused(body: Json) -> None:
    try:
        request = simple.parse_request(dict(body), "m")
    except GatewayError as error:
        assert error.failure.status == 400 and error.failure.param
    else:
        assert request.messages[-1].parts


def test_paths_are_the_clients() -> None:
    request = simple.parse_request({"prompt": ["a", "b"], "system": "s", "images": ["http://h/1", "http://h/2"]}, "m")
    told = {
        "temperature": "temperature",
        "output.schema": "schema",
        "stop[1]": "stop[1]",
        "messages[0].parts[0]": "system",
        "messages[1].parts[1].text": "prompt",
        "messages[1].parts[3]": "images[1]",
        "messages[9]": "prompt",
    }
    assert {path: simple.field_path(path, request) for path in told} == told


def test_an_overloaded_provider_is_unavailable() -> None:
    status, body = simple.format_error(Failure(status=529, kind="overloaded", message="m"))
    assert (status, body["error"]["status"]) == (503, 503)
