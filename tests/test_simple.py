"""The simple API over the wire: its fields, its answers and streams, its errors."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2 as httpx
import pytest
from running import House
from sdks_speakers import PIXEL

Json = dict[str, Any]
PATH = "/api/gemini/generate"
SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=house.url, timeout=10) as client:
        yield client


pytestmark = pytest.mark.asyncio(loop_scope="module")


def events(text: str) -> list[Json]:
    lines = [line for line in text.split("\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines)
    return [json.loads(line[6:]) for line in lines]


# Over the wire


@pytest.mark.parametrize("backend", ["openai", "anthropic", "gemini"])
async def test_a_prompt_gives_a_text(house: House, http: httpx.AsyncClient, backend: str) -> None:
    body = {"prompt": "hello there", "model": f"exact-{backend}", "temperature": 0.5, "max_tokens": 50, "system": "Be brief."}
    told = await http.post(PATH, json=body)
    assert told.status_code == 200 and told.headers["x-interlingua-backend"] == backend
    answer = told.json()
    assert answer.keys() == {"id", "text", "model", "finish_reason", "usage"}
    assert (answer["text"], answer["model"], answer["finish_reason"]) == ("You said: hello there", f"exact-{backend}", "stop")
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
    assert "Be brief." in json.dumps(house.sent) and "0.5" in json.dumps(house.sent)


@pytest.mark.parametrize("backend", ["openai", "anthropic", "gemini"])
async def test_a_stream_is_pieces_and_an_end(http: httpx.AsyncClient, backend: str) -> None:
    told = await http.post(PATH, json={"prompt": "[[usage]] hi", "model": f"exact-{backend}", "stream": True})
    assert told.headers["content-type"].startswith("text/event-stream")
    *pieces, last = events(told.text)
    assert len(pieces) > 1 and "".join(piece["text"] for piece in pieces) == "You said: hi"
    assert (last["done"], last["model"], last["finish_reason"]) == (True, f"exact-{backend}", "stop")
    assert last["usage"]["input_tokens"] == 100


async def test_a_stream_that_breaks_ends_with_an_error(house: House, http: httpx.AsyncClient) -> None:
    told = await http.post(PATH, json={"prompt": "[[cut]] one two three", "model": "exact-openai", "stream": True})
    last = events(told.text)[-1]
    assert last["error"]["status"] == 502 and last["error"]["type"] == "bad_gateway"


async def test_the_default_model_and_another(house: House, http: httpx.AsyncClient) -> None:
    told = await http.post(PATH, json={"prompt": "hi"})
    assert told.json()["model"] == "gemini-2.5-flash" and told.headers["x-interlingua-backend"] == "gemini"


async def test_images_schemas_and_thinking(house: House, http: httpx.AsyncClient) -> None:
    images = [f"data:image/png;base64,{PIXEL}", {"data": PIXEL}, {"data": PIXEL, "mime_type": "image/webp"}]
    told = await http.post(PATH, json={"prompt": ["What is", "this?"], "images": images, "model": "exact-gemini"})
    assert told.status_code == 200
    parts = house.sent["contents"][0]["parts"]
    assert [part.get("text") for part in parts] == ["What is", "this?", None, None, None]
    assert [part["inlineData"]["mimeType"] for part in parts[2:]] == ["image/png", "image/png", "image/webp"]
    told = await http.post(PATH, json={"prompt": "hi", "schema": SCHEMA, "model": "exact-openai"})
    assert told.status_code == 200 and house.sent["response_format"]["json_schema"]["schema"] == SCHEMA
    told = await http.post(PATH, json={"prompt": "hi, in json", "json": True, "stop": "END", "model": "exact-openai"})
    assert house.sent["response_format"] == {"type": "json_object"} and house.sent["stop"] == "END"
    told = await http.post(PATH, json={"prompt": "hi", "images": ["https://h/a.png"], "model": "exact-openai"})
    assert house.sent["messages"][0]["content"][1]["image_url"]["url"] == "https://h/a.png"


async def test_other_names_for_the_same(house: House, http: httpx.AsyncClient) -> None:
    body = {"prompt": "hi", "system_instruction": "S", "max_output_tokens": 9, "stop_sequences": ["E"], "model": "exact-gemini"}
    assert (await http.post(PATH, json=body)).status_code == 200
    config = house.sent["generationConfig"]
    assert (config["maxOutputTokens"], config["stopSequences"]) == (9, ["E"])
    assert house.sent["systemInstruction"]["parts"] == [{"text": "S"}]


async def test_losses_are_told_and_refused_in_strict_mode(http: httpx.AsyncClient) -> None:
    body = {"prompt": "hi", "model": "exact-openai", "top_k": 4}
    assert (await http.post(PATH, json=body)).headers["x-interlingua-losses"] == "top_k;dropped"
    told = await http.post(PATH, json=body, headers={"x-interlingua-strict": "true"})
    assert (told.status_code, told.json()["error"]["field"]) == (400, "top_k")


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "prompt", "prompt is required"),
        ({"prompt": ""}, "prompt", "prompt is empty"),
        ({"prompt": []}, "prompt", "prompt is empty"),
        ({"prompt": 4}, "prompt", "prompt must be an array, not a number"),
        ({"prompt": ["a", 4]}, "prompt[1]", "prompt[1] must be a string"),
        ({"prompt": "a", "promt": "b"}, "promt", "promt is no field of this API; did you mean prompt?"),
        ({"prompt": "a", "zzz": 1}, "zzz", "zzz is no field of this API; it has prompt, model"),
        ({"prompt": "a", "max_tokens": "9"}, "max_tokens", "max_tokens must be an integer"),
        ({"prompt": "a", "temperature": True}, "temperature", "temperature must be a number"),
        ({"prompt": "a", "stream": 1}, "stream", "stream must be true or false"),
        ({"prompt": "a", "model": ""}, "model", "model is empty"),
        ({"prompt": "a", "model": 1}, "model", "model must be a string"),
        ({"prompt": "a", "schema": []}, "schema", "schema must be an object"),
        ({"prompt": "a", "images": ["hm"]}, "images[0]", "images[0] must be a data URL"),
        ({"prompt": "a", "images": [{}]}, "images[0].data", "images[0].data must be a string"),
        ({"prompt": "a", "images": [{"data": "x", "url": "y"}]}, "images[0].url", "images[0].url is no field of an image"),
        ({"prompt": "a", "system": "b", "system_instruction": "c"}, "system_instruction", "system_instruction and system say"),
    ],
)
async def test_bad_requests(http: httpx.AsyncClient, body: Json, field: str, words: str) -> None:
    told = await http.post(PATH, json=body)
    error = told.json()["error"]
    assert (told.status_code, error["status"], error["type"], error["field"]) == (400, 400, "invalid_request", field)
    assert error["message"].startswith(words)


async def test_errors_have_one_shape_under_api(house: House, http: httpx.AsyncClient) -> None:
    house.refusals = True
    told = await http.post(PATH, json={"prompt": "[[429]]", "model": "exact-openai"})
    assert told.status_code == 429
    assert told.json()["error"] == {"message": told.json()["error"]["message"], "type": "rate_limit", "status": 429}
    for method, path, status in (("GET", PATH, 405), ("POST", "/api/nothing", 404), ("POST", "/api/system/status", 405)):
        told = await http.request(method, path)
        assert told.status_code == told.json()["error"]["status"] == status
    assert (await http.post(PATH, content=b"{")).status_code == 400
    assert (await http.options(PATH)).status_code == 204
