"""The official SDKs are the judges of our wire: each of the three clients against each of the three backends, whole and streamed.

The mock behind the gateway is strict: what its vendor would refuse fails the test (`House.judge`).
"""

import json
from typing import Any

import pytest
from google.genai import errors, types
from running import House
from sdks_speakers import CITY, CLOSED, PDF, PIXEL, PLAIN, STOP, TOOL, Ask, Json, Speaker

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_text(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("Hello, you")], system="Be kind.")
    told = await client.ask(ask, stream)
    assert (told.text, told.finish, told.calls) == ("You said: Hello, you", STOP[client.name], [])
    assert told.model == PLAIN[backend]
    assert told.tokens.input and told.tokens.output
    assert told.heads["x-interlingua-backend"] == backend
    assert told.heads["x-interlingua-model"] == PLAIN[backend].partition("/")[2]
    assert told.heads["x-interlingua-route"] == "explicit"
    assert "Be kind." in str(house.sent)
    again = await client.ask(Ask(model=PLAIN[backend], turns=[*ask.turns, told.native, client.user("And more")]), stream)
    assert again.text == "You said: And more"
    assert [word for word in ("You", "said:", "Hello,", "you") if word not in str(house.sent)] == []


@pytest.mark.parametrize("name", ["exact-{}", "from-{}-text"])
async def test_an_answer_bears_the_name_that_was_asked_for(
    house: House, client: Speaker, backend: str, stream: bool, name: str
) -> None:
    told = await client.ask(Ask(model=name.format(backend), turns=[client.user("Hi")]), stream)
    assert (told.text, told.model) == ("You said: Hi", name.format(backend))
    assert told.heads["x-interlingua-route"] == "model_mapping"
    assert told.heads["x-interlingua-request-id"].startswith("req_")


@pytest.mark.parametrize("client", ["openai"], indirect=True)
@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("model", ["gpt-4o", "claude-opus-5-5", "claude-haiku-4-5", "gemini-2.5-flash"])
async def test_openai_speaks_to_the_model_in_the_middle(house: House, client: Speaker, model: str, role: str) -> None:
    backend = next(name for name, plain in PLAIN.items() if plain.partition("/")[2][:4] == model[:4])
    turns = [
        client.user("one"),
        {"role": "assistant", "content": "two"},
        client.user("three"),
        {"role": role, "content": "Short."},
    ]
    told = await client.ask(Ask(model=f"{backend}/{model}", turns=turns, system="Be kind."), stream=False)
    assert told.text == "You said: three"
    assert "Short." in str(house.sent) and "Be kind." in str(house.sent)
    hoisted = model in ("claude-haiku-4-5", "gemini-2.5-flash")  # they take such words at the start alone
    assert (told.losses.get("messages[4]") == "changed") is hoisted


# Tools


async def test_a_tool_and_its_result(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[text_tool]] weather?")], tools={"weather": CITY})
    first = await client.ask(ask, stream)
    assert (first.text, first.finish) == ("Let me look.", TOOL[client.name])
    assert [(call.name, call.arguments) for call in first.calls] == [("weather", {"city": "mock city"})]
    ask.turns += [first.native, *client.results((first.calls[0], "mild"))]
    second = await client.ask(ask, stream)
    assert (second.text, second.finish) == ("The tools gave: weather: mild", STOP[client.name])


@pytest.mark.parametrize("scenario", ["parallel", "whole_args", "interleaved"])
@pytest.mark.parametrize("names", [("weather", "time"), ("weather",)], ids=["two", "one_twice"])
async def test_parallel_tools(
    house: House, client: Speaker, backend: str, stream: bool, scenario: str, names: tuple[str, ...]
) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user(f"[[{scenario}]]")], tools=dict.fromkeys(names, CITY))
    first = await client.ask(ask, stream)
    assert [call.name for call in first.calls] == [names[0], names[-1]]
    assert [call.arguments for call in first.calls] == [{"city": "mock city"}] * 2
    one, other = first.calls
    if client.name == backend == "gemini":  # this model of Google's gives no ids: the order tells the calls apart
        assert one.id is other.id is None
        results = client.results((one, "mild"), (other, "late"))
    else:
        assert one.id and other.id and one.id != other.id
        results = client.results((other, "late"), (one, "mild"))
    ask.turns += [first.native, *results]
    second = await client.ask(ask, stream)
    gave = {f"{names[0]}: mild", f"{names[-1]}: late"}
    assert set(second.text.removeprefix("The tools gave: ").split("; ")) == gave


async def test_empty_tool_calls_are_no_calls(house: House, client: Speaker, stream: bool) -> None:
    ask = Ask(model=PLAIN["openai"], turns=[client.user("[[empty_tool_calls]] hi")], tools={"weather": CITY})
    told = await client.ask(ask, stream)
    assert (told.text, told.calls, told.finish) == ("You said: hi I have 1 tool.", [], STOP[client.name])


@pytest.mark.parametrize(("force", "called"), [("none", []), ("any", ["weather"]), ("time", ["time"])])
async def test_forced_tools(house: House, client: Speaker, backend: str, stream: bool, force: str, called: list[str]) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("hi")], tools={"weather": CITY, "time": CITY}, force=force)
    told = await client.ask(ask, stream)
    assert [call.name for call in told.calls] == called
    assert told.finish == (TOOL if called else STOP)[client.name]
    assert not [path for path in told.losses if path.startswith(("tool", "toolConfig"))]


PARALLEL = {"openai": "parallel_tool_calls", "anthropic": "tool_choice.disable_parallel_tool_use"}


@pytest.mark.parametrize("client", PARALLEL, indirect=True)
async def test_one_tool_at_a_time(house: House, client: Speaker, backend: str, stream: bool) -> None:
    turns = [client.user("[[parallel]]")]
    told = await client.ask(Ask(model=PLAIN[backend], turns=turns, tools={"weather": CITY, "time": CITY}, parallel=False), stream)
    if backend == "gemini":
        assert told.losses[PARALLEL[client.name]] == "dropped"
    else:
        assert [call.name for call in told.calls] == ["weather"]
        assert PARALLEL[client.name] not in told.losses


def failed_with_a_picture(client: Speaker, call: Any) -> list[Any]:
    """A tool's result that is an error, and a picture where the client can say it."""
    if client.name == "anthropic":
        content = [{"type": "text", "text": "broken"}, client.image()]
        return [client.user({"type": "tool_result", "tool_use_id": call.id, "is_error": True, "content": content})]
    if client.name == "gemini":
        picture = {"inline_data": {"mime_type": "image/png", "data": PIXEL}}
        told = {"id": call.id, "name": call.name, "response": {"error": "broken"}, "parts": [picture]}
        return [types.Content(role="user", parts=[types.Part.model_validate({"function_response": told})])]
    return [{"role": "tool", "tool_call_id": call.id, "content": [{"type": "text", "text": "broken"}]}]


async def test_a_result_that_is_an_error_with_a_picture(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[tool]]")], tools={"weather": CITY})
    first = await client.ask(ask, stream)
    ask.turns += [first.native, *failed_with_a_picture(client, first.calls[0])]
    second = await client.ask(ask, stream)
    assert second.text.startswith("The tools gave: weather: ") and "broken" in second.text
    sent = json.dumps(house.sent)
    if client.name == "openai":
        return
    assert PIXEL in sent.replace("-", "+").replace("_", "/")  # Google's SDK writes URL-safe base64
    told = {"anthropic": '"is_error": true', "gemini": '"error": "broken"', "openai": None}[backend]
    assert told in sent if told else [path for path in second.losses if path.endswith((".is_error", ".response.error"))]


# Forms


async def test_json_by_schema(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("hi")], form=CLOSED), stream)
    assert json.loads(told.text) == {"a": "mock a"}
    assert told.finish == STOP[client.name]


JSON_MODE = {"openai": "response_format", "gemini": "generationConfig.responseMimeType"}


@pytest.mark.parametrize("client", JSON_MODE, indirect=True)
async def test_json_of_any_form(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("hi, in JSON")], form={}), stream)
    if backend == "anthropic":
        assert told.losses[JSON_MODE[client.name]] == "dropped"
    else:
        assert json.loads(told.text) == {"answer": "You said: hi, in JSON"}


# Media


def seen(what: str) -> str:
    return f"You said: Look I saw 1 attachment: {what}."


async def test_an_image(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", client.image())]), stream)
    assert told.text == seen("image image/png 70 bytes")


CONTENT = {"openai": "messages[0].content[1]", "anthropic": "messages[0].content[1]", "gemini": "contents[0].parts[1]"}


async def test_an_image_by_its_address(house: House, client: Speaker, backend: str, stream: bool) -> None:
    url = "https://example.com/a.png"
    ask = Ask(model=PLAIN[backend], turns=[client.user("Look", client.image(url))])
    if client.name == backend == "gemini":  # who speaks to Google in its own words hears its own refusal
        house.refusals = True
        with pytest.raises(errors.ClientError, match="unsupported file uri"):
            await client.ask(ask, stream)
        return
    told = await client.ask(ask, stream)
    if backend == "gemini":
        assert (told.text, told.losses[CONTENT[client.name]]) == ("You said: Look", "dropped")
    else:
        assert told.text == seen(f"image {url}")


async def test_a_pdf(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", client.pdf())]), stream)
    assert told.text == seen(f"document application/pdf {len(PDF) * 3 // 4} bytes")


def audio(client: Speaker) -> Any:
    if client.name == "openai":
        return {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}
    return types.Part.model_validate({"inline_data": {"mime_type": "audio/wav", "data": PIXEL}})


@pytest.mark.parametrize("client", ["openai", "gemini"], indirect=True)
async def test_audio(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", audio(client))]), stream)
    if backend == "anthropic":
        assert (told.text, told.losses[CONTENT[client.name]]) == ("You said: Look", "dropped")
    else:
        assert told.text == seen("audio audio/wav 70 bytes")


# Losses, in the client's own words

SAMPLING: dict[str, tuple[Json, dict[str, set[str]]]] = {
    "openai": (
        {"seed": 7, "frequency_penalty": 0.5, "user": "ada"},
        {"openai": set(), "anthropic": {"seed", "frequency_penalty"}, "gemini": {"user"}},
    ),
    "anthropic": (
        {"metadata": {"user_id": "ada"}, "cache_control": {"type": "ephemeral"}},
        {"openai": set(), "anthropic": set(), "gemini": {"metadata.user_id"}},
    ),
    "gemini": (
        {"top_k": 4, "seed": 7},
        {"openai": {"generationConfig.topK"}, "anthropic": {"generationConfig.seed"}, "gemini": set()},
    ),
}


async def test_losses_bear_the_clients_own_names(house: House, client: Speaker, backend: str, stream: bool) -> None:
    own, lost = SAMPLING[client.name]
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("hi")], own=own), stream)
    assert told.text == "You said: hi"
    assert lost[backend] <= told.losses.keys() <= lost[backend] | {"cache_control"}
