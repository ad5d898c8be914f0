"""The official SDKs are the judges of our wire: each of seven clients against each of nine backends, whole and streamed.

The mock behind the gateway is strict: what its vendor would refuse fails the test (`House.judge`). Where a client has no
word for something it is not asked; where a backend has none, the loss is in a table here, by the client's own name for it.
"""

import json
from typing import Any

import pytest
from google.genai import errors, types
from running import House
from sdks_speakers import CITY, CLOSED, PDF, PIXEL, PLAIN, ROWS, SPEAK, STOP, THREE, TOOL, Ask, Json, Speaker

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_text(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("Hello, you")], system="Be kind.")
    told = await client.ask(ask, stream)
    assert (told.text, told.finish, told.calls) == ("You said: Hello, you", STOP[client.speaks], [])
    assert told.model == PLAIN[backend]
    assert told.tokens.input and told.tokens.output
    assert told.losses == {}
    assert "/".join((told.heads["x-interlingua-backend"], told.heads["x-interlingua-model"])) == PLAIN[backend]
    assert told.heads["x-interlingua-route"] == "explicit"
    assert "Be kind." in str(house.sent)
    again = await client.ask(Ask(model=PLAIN[backend], turns=[*ask.turns, told.native, client.user("And more")]), stream)
    assert again.text == "You said: And more"
    assert [word for word in ("You", "said:", "Hello,", "you") if word not in str(house.sent)] == []


@pytest.mark.parametrize("client", ["openai", "anthropic", "gemini", "responses", "azure"], indirect=True)
@pytest.mark.parametrize("backend", THREE, indirect=True)
@pytest.mark.parametrize("name", ["exact-{}", "from-{}-text"])
async def test_an_answer_bears_the_name_that_was_asked_for(
    house: House, client: Speaker, backend: str, stream: bool, name: str
) -> None:
    told = await client.ask(Ask(model=name.format(backend), turns=[client.user("Hi")]), stream)
    assert (told.text, told.model) == ("You said: Hi", name.format(backend))
    assert told.heads["x-interlingua-route"] == "model_mapping"
    assert told.heads["x-interlingua-request-id"].startswith("req_")


MIDDLE = [*PLAIN.values(), "anthropic/claude-opus-5-5", "bedrock/anthropic.claude-opus-5-5-v1:0"]


@pytest.mark.parametrize("client", ["openai", "azure", "responses"], indirect=True)
@pytest.mark.parametrize("role", ["system", "developer"])
@pytest.mark.parametrize("model", MIDDLE)
async def test_openai_speaks_to_the_model_in_the_middle(house: House, client: Speaker, model: str, role: str) -> None:
    turns = [
        client.user("one"),
        {"role": "assistant", "content": "two"},
        client.user("three"),
        {"role": role, "content": "Short."},
    ]
    told = await client.ask(Ask(model=model, turns=turns, system="Be kind."), stream=False)
    assert told.text == "You said: three"
    assert "Short." in str(house.sent) and "Be kind." in str(house.sent)
    hoisted = "haiku" in model or "gemini" in model  # they take such words at the start alone
    path = "input[3]" if client.speaks == "responses" else "messages[4]"
    assert told.losses == ({path: "changed"} if hoisted else {})


# Tools


async def test_a_tool_and_its_result(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[text_tool]] weather?")], tools={"weather": CITY})
    first = await client.ask(ask, stream)
    assert (first.text, first.finish) == ("Let me look.", TOOL[client.speaks])
    assert [(call.name, call.arguments) for call in first.calls] == [("weather", {"city": "mock city"})]
    ask.turns += [first.native, *client.results((first.calls[0], "mild"))]
    second = await client.ask(ask, stream)
    assert (second.text, second.finish) == ("The tools gave: weather: mild", STOP[client.speaks])


GRAMMAR = {"syntax": "regex", "definition": "[a-z ]+"}
FREE = {
    "openai": {"type": "custom", "custom": {"name": "shell", "format": {"type": "grammar", "grammar": GRAMMAR}}},
    "responses": {"type": "custom", "name": "shell", "format": {"type": "grammar", **GRAMMAR}},
}


@pytest.mark.parametrize("client", ["openai", "responses"], indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_a_tool_whose_input_is_free_text(house: House, client: Speaker, backend: str, stream: bool) -> None:
    """Told by either API to the other as it is, grammar and all; to other models as a function. Its call is the client's own."""
    model = f"{backend}/gpt-5" if backend in FREE else PLAIN[backend]
    call, turns = await free_text_call(client, model, [client.user("[[tool]] list it")], stream)
    assert call["name"] == "shell" and call["input"] and not call["input"].startswith("{")
    if backend in FREE:
        assert house.sent["tools"] == [FREE[backend]]
    await free_text_call(client, model, turns, stream)
    assert "tides.txt" in str(house.sent) and call["input"] in str(house.sent)


async def free_text_call(client: Any, model: str, turns: list[Any], stream: bool) -> tuple[Json, list[Any]]:
    """The call that is answered with, if any, and the turns with it and its result."""
    tools = [FREE[client.speaks]]
    if client.speaks == "responses":
        items = [item for turn in turns for item in (turn if isinstance(turn, list) else [turn])]
        if stream:
            async with client.client.responses.stream(model=model, input=items, tools=tools) as events:
                deltas = [event.delta async for event in events if event.type == "response.custom_tool_call_input.delta"]
                answer = await events.get_final_response()
        else:
            answer, deltas = await client.client.responses.create(model=model, input=items, tools=tools), None
        found = [item for item in answer.output if item.type == "custom_tool_call"]
        if not found:
            return {}, turns
        assert deltas is None or "".join(deltas) == found[0].input
        said = {"type": "custom_tool_call", "call_id": found[0].call_id, "name": found[0].name, "input": found[0].input}
        return said, [*turns, said, {"type": "custom_tool_call_output", "call_id": found[0].call_id, "output": "tides.txt"}]
    asked = {"model": model, "messages": turns, "tools": tools}
    if stream:
        deltas = [d async for d in await client.client.chat.completions.create(**asked, stream=True) if d.choices]
        pieces = [call.model_dump() for d in deltas for call in d.choices[0].delta.tool_calls or ()]
        told = (
            [{**pieces[0], "custom": {**pieces[0]["custom"], "input": "".join(p["custom"]["input"] for p in pieces)}}]
            if pieces
            else []
        )
    else:
        answer = await client.client.chat.completions.create(**asked)
        told = [call.model_dump() for call in answer.choices[0].message.tool_calls or ()]
    if not told:
        return {}, turns
    said = {key: told[0][key] for key in ("id", "type", "custom")}
    turn = {"role": "assistant", "content": None, "tool_calls": [said]}
    return said["custom"], [*turns, turn, {"role": "tool", "tool_call_id": said["id"], "content": "tides.txt"}]


async def test_parallel_tools(house: House, client: Speaker, backend: str, stream: bool) -> None:
    await parallel_tools(client, backend, stream, "parallel", ("weather", "time"))


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("scenario", ["parallel", "whole_args", "interleaved"])
async def test_one_tool_called_twice(house: House, client: Speaker, backend: str, stream: bool, scenario: str) -> None:
    await parallel_tools(client, backend, stream, scenario, ("weather",))


async def parallel_tools(client: Speaker, backend: str, stream: bool, scenario: str, names: tuple[str, ...]) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user(f"[[{scenario}]]")], tools=dict.fromkeys(names, CITY))
    first = await client.ask(ask, stream)
    assert [call.name for call in first.calls] == [names[0], names[-1]]
    assert [call.arguments for call in first.calls] == [{"city": "mock city"}] * 2
    one, other = first.calls
    if client.speaks == ROWS[backend].speaks == "gemini":  # this model of Google's gives no ids: the order tells the calls apart
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
    assert (told.text, told.calls, told.finish) == ("You said: hi I have 1 tool.", [], STOP[client.speaks])


@pytest.mark.parametrize(("force", "called"), [("none", []), ("any", ["weather"]), ("time", ["time"])])
async def test_forced_tools(house: House, client: Speaker, backend: str, stream: bool, force: str, called: list[str]) -> None:
    if (client.speaks, force) == ("bedrock", "none"):
        return  # which is to give no tools
    ask = Ask(model=PLAIN[backend], turns=[client.user("hi")], tools={"weather": CITY, "time": CITY}, force=force)
    told = await client.ask(ask, stream)
    assert [call.name for call in told.calls] == called
    assert told.finish == (TOOL if called else STOP)[client.speaks]
    no_none = force == "none" and ROWS[backend].speaks == "bedrock"  # which is said there by giving no tools
    assert told.losses == ({"tools": "dropped"} if no_none else {})


PARALLEL = {
    "openai": "parallel_tool_calls",
    "responses": "parallel_tool_calls",
    "anthropic": "tool_choice.disable_parallel_tool_use",
}


@pytest.mark.parametrize("client", [*PARALLEL, "azure"], indirect=True)
async def test_one_tool_at_a_time(house: House, client: Speaker, backend: str, stream: bool) -> None:
    turns = [client.user("[[parallel]]")]
    told = await client.ask(Ask(model=PLAIN[backend], turns=turns, tools={"weather": CITY, "time": CITY}, parallel=False), stream)
    if ROWS[backend].speaks in ("gemini", "bedrock"):  # which have no such word
        assert told.losses == {PARALLEL[client.speaks]: "dropped"}
        assert len(told.calls) == 2
    else:
        assert [call.name for call in told.calls] == ["weather"]
        assert told.losses == {}


FAILS = {"anthropic": "is_error", "gemini": "response.error", "bedrock": "status"}  # OpenAI's have no word for it
PICTURES = ("anthropic", "gemini", "responses", "bedrock")  # whose tools may give one


async def test_a_result_that_is_an_error_with_a_picture(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[tool]]")], tools={"weather": CITY})
    first = await client.ask(ask, stream)
    picture = [client.image()] if client.speaks in PICTURES else []
    ask.turns += [first.native, *client.result(first.calls[0], "broken", *picture, error=True)]
    second = await client.ask(ask, stream)
    assert second.text.startswith("The tools gave: weather: ") and "broken" in second.text
    sent, speaks = json.dumps(house.sent), ROWS[backend].speaks
    if picture:
        assert PIXEL in sent.replace("-", "+").replace("_", "/")  # Google's SDK writes URL-safe base64
    told = {"anthropic": '"is_error": true', "gemini": '"error": "broken"', "bedrock": '"status": "error"'}.get(speaks)
    if client.speaks in FAILS:
        assert told in sent if told else [path for path in second.losses if path.endswith(FAILS[client.speaks])]


# Forms


async def test_json_by_schema(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("hi")], form=CLOSED), stream)
    assert json.loads(told.text) == {"a": "mock a"}
    assert told.finish == STOP[client.speaks]


JSON_MODE = {"openai": "response_format", "responses": "text.format", "gemini": "generationConfig.responseMimeType"}


@pytest.mark.parametrize("client", [*JSON_MODE, "azure", "vertex"], indirect=True)
async def test_json_of_any_form(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("hi, in JSON")], form={}), stream)
    if ROWS[backend].speaks in ("anthropic", "bedrock"):
        assert told.losses == {JSON_MODE[client.speaks]: "dropped"}
    else:
        assert json.loads(told.text) == {"answer": "You said: hi, in JSON"}


# Media


def seen(what: str) -> str:
    return f"You said: Look I saw 1 attachment: {what}."


def a_picture(backend: str, what: str = "70 bytes") -> str:
    return f"image {'png' if ROWS[backend].speaks == 'bedrock' else 'image/png'} {what}"


async def test_an_image(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", client.image())]), stream)
    assert (told.text, told.losses) == (seen(a_picture(backend)), {})


CONTENT = {
    "openai": "messages[0].content[1]",
    "anthropic": "messages[0].content[1]",
    "gemini": "contents[0].parts[1]",
    "responses": "input[0].content[1]",
}
FETCH = set(ROWS) - {"gemini", "bedrock", "vertex-claude"}


@pytest.mark.parametrize("client", [*CONTENT, "azure", "vertex"], indirect=True)
async def test_an_image_by_its_address(house: House, client: Speaker, backend: str, stream: bool) -> None:
    url = "https://example.com/a.png"
    ask = Ask(model=PLAIN[backend], turns=[client.user("Look", client.image(url))])
    if (client.speaks, backend) == ("gemini", "gemini"):  # who speaks to Google in its own words hears its own refusal
        house.refusals = True
        with pytest.raises(errors.ClientError, match="unsupported file uri"):
            await client.ask(ask, stream)
        return
    told = await client.ask(ask, stream)
    if backend in FETCH:
        assert told.text.startswith("You said: Look I saw 1 attachment: ") and url in json.dumps(house.sent)
    else:
        assert (told.text, told.losses[CONTENT[client.speaks]]) == ("You said: Look", "dropped")


async def test_a_pdf(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", client.pdf())]), stream)
    named = ROWS[backend].speaks == "bedrock" and client.speaks in ("openai", "responses")  # Converse takes no dot in a name
    kind = "pdf" if ROWS[backend].speaks == "bedrock" else "application/pdf"
    assert told.text == seen(f"document {kind} {len(PDF) * 3 // 4} bytes")
    assert set(told.losses.values()) == ({"changed"} if named else set())


def audio(client: Speaker) -> Any:
    if client.speaks == "openai":
        return {"type": "input_audio", "input_audio": {"data": PIXEL, "format": "wav"}}
    return types.Part.model_validate({"inline_data": {"mime_type": "audio/wav", "data": PIXEL}})


@pytest.mark.parametrize("client", ["openai", "gemini"], indirect=True)
@pytest.mark.parametrize("backend", THREE, indirect=True)
async def test_audio(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", audio(client))]), stream)
    if backend == "anthropic":
        assert (told.text, told.losses[CONTENT[client.speaks]]) == ("You said: Look", "dropped")
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


@pytest.mark.parametrize("client", THREE, indirect=True)
@pytest.mark.parametrize("backend", THREE, indirect=True)
async def test_losses_bear_the_clients_own_names(house: House, client: Speaker, backend: str, stream: bool) -> None:
    own, lost = SAMPLING[client.speaks]
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("hi")], own=own), stream)
    assert told.text == "You said: hi"
    assert lost[backend] <= told.losses.keys() <= lost[backend] | {"cache_control"}
