"""Client keys and the native pass-through, over the wire: who is let in, and what goes on to the provider."""

from typing import Any

import anthropic
import httpx2 as httpx
import openai
import pytest
import running
from conftest import Start
from google import genai
from running import House

from interlingua.config import ClientKey, Secret
from interlingua.errors import GatewayError
from interlingua.policies.auth import Keys

KEYS = Keys([ClientKey("ci", Secret("key-one")), ClientKey("app", Secret("key-two"))])


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({b"authorization": b"Bearer key-two"}, b""),
        ({b"authorization": b"bearer  key-two"}, b""),
        ({b"x-api-key": b"key-two"}, b""),
        ({b"x-goog-api-key": b"key-two"}, b""),
        ({b"api-key": b"key-two"}, b""),
        ({}, b"alt=sse&key=key-two"),
    ],
)
def test_every_form_an_sdk_uses_is_read(headers: dict[bytes, bytes], query: bytes) -> None:
    assert KEYS.admit(headers, query) == "app"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"authorization": b"Bearer "},
        {b"authorization": b"Basic key-one"},
        {b"authorization": b"Bearer key-on"},
        {b"authorization": b"Bearer ' OR '1'='1"},
        {b"x-api-key": b"key-one\x00"},
        {b"x-api-key": b"***"},
    ],
)
def test_anything_else_is_refused_without_an_echo(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(GatewayError) as refused:
        KEYS.admit(headers, b"")
    assert refused.value.failure.status == 401
    assert "key-on" not in str(refused.value)


def test_a_key_set_never_shows_its_keys() -> None:
    assert "key-one" not in repr(KEYS) + repr(vars(KEYS))


MODE = """
[auth]
mode = "keys"
[[auth.keys]]
name = "ci"
key_env = "CI_KEY"
"""


@pytest.fixture
async def guarded(start: Start, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setitem(running.KEYS, "CI_KEY", "client-key")
    return await start(MODE)


async def test_the_sdks_are_let_in_with_the_key_and_refused_without(guarded: House) -> None:
    url = guarded.url
    say: Any = [{"role": "user", "content": "hi"}]
    for key, good in (("client-key", True), ("other", False)):
        gpt = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
        claude = anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0)
        google = genai.Client(api_key=key, http_options=genai.types.HttpOptions(base_url=url)).aio
        if good:
            assert await gpt.chat.completions.create(model="exact-anthropic", messages=say)
            assert await claude.messages.create(model="exact-openai", max_tokens=64, messages=say)
            assert await google.models.generate_content(model="exact-gemini", contents="hi")
        else:
            with pytest.raises(openai.AuthenticationError):
                await gpt.chat.completions.create(model="exact-anthropic", messages=say)
            with pytest.raises(anthropic.AuthenticationError):
                await claude.messages.create(model="exact-openai", max_tokens=64, messages=say)
            with pytest.raises(genai.errors.ClientError, match="401"):
                await google.models.generate_content(model="exact-gemini", contents="hi")
        await gpt.close()
        await claude.close()
        await google.aclose()
    for entry in guarded.mock.journal.entries:
        assert "client-key" not in repr(entry), "the client's key went upstream"


async def test_health_needs_no_key_but_the_figures_do(guarded: House) -> None:
    async with httpx.AsyncClient(base_url=guarded.url) as http:
        assert (await http.get("/health")).status_code == 200
        assert (await http.get("/ready")).status_code == 200
        assert (await http.get("/metrics")).status_code == 401
        assert (await http.get("/providers/openai/v1/models")).status_code == 401
        assert (await http.get("/metrics", headers={"x-api-key": "client-key"})).status_code == 200


async def test_a_providers_own_api_is_reached_as_it_is(start: Start) -> None:
    house = await start()
    async with httpx.AsyncClient(base_url=house.url) as http:
        found = await http.get("/providers/anthropic/v1/models?limit=2", headers={"anthropic-version": "2026-10-21"})
        assert found.status_code == 200 and found.headers["x-interlingua-backend"] == "anthropic"
        entry = house.mock.journal.last
        assert (entry.vendor, entry.path, entry.query) == ("anthropic", "/v1/models", {"limit": "2"})
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "[[long:5]]"}]}
        async with http.stream("POST", "/providers/openai/v1/chat/completions?key=mine", json=body) as stream:
            text = "".join([piece async for piece in stream.aiter_text()])
        assert text.endswith("data: [DONE]\n\n") and text.count('"content":"word') == 5
        assert house.mock.journal.last.query == {}


async def test_a_pass_through_to_nobody_is_not_found(start: Start) -> None:
    house = await start()
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert (await http.get("/providers/nobody/v1/models")).status_code == 404
        assert (await http.get("/providers/openai")).status_code == 404
        assert (await http.get("/providers/openai/..%2f..%2fv1/models")).status_code == 404
        assert not house.mock.journal.entries


async def test_a_broken_pass_through_is_broken_for_the_client_too(start: Start) -> None:
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "[[cut:2]]"}]}
    house = await start()
    async with httpx.AsyncClient(base_url=house.url) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            async with http.stream("POST", "/providers/openai/v1/chat/completions", json=body) as stream:
                assert [piece async for piece in stream.aiter_text()]
