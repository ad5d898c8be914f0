"""Answers through the SDKs: how they end, what they cost, what else they hold; and models that would refuse what was asked."""

import json
import re
from typing import Any

import anthropic
import openai
import pytest
from botocore.exceptions import ClientError
from google.genai import errors, types
from running import House
from sdks_speakers import (
    CITY,
    CLOSED,
    FILTER,
    LENGTH,
    PLAIN,
    ROWS,
    SPEAK,
    STOP,
    THREE,
    Anthropic,
    Ask,
    Gemini,
    Json,
    OpenAI,
    Speaker,
    Tokens,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def said(client: Speaker, backend: str, stream: bool, words: str, **fields: Any) -> Any:
    return await client.ask(Ask(model=PLAIN[backend], turns=[client.user(words)], **fields), stream)


STOPS = {
    "openai": "stop",
    "anthropic": "stop_sequences",
    "gemini": "generationConfig.stopSequences",
    "bedrock": "inferenceConfig.stopSequences",
}


@pytest.mark.parametrize("client", [*STOPS, "azure", "vertex"], indirect=True)
async def test_a_stop_sequence(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "one END two", stops=["END"])
    if backend == "responses":  # which has none
        assert (told.text, told.losses) == ("You said: one END two", {STOPS[client.speaks]: "dropped"})
        return
    assert told.text == "You said: one "
    if not {client.speaks, ROWS[backend].speaks} <= {"anthropic", "bedrock"}:  # who alone tell that it was a stop sequence
        assert told.finish == STOP[client.speaks]
    else:
        assert told.finish == "stop_sequence"
        if client.speaks == "anthropic":
            assert told.raw.stop_sequence == "END"


LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens")


async def test_the_token_limit(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "[[length]]", limit=100)
    assert (told.text, told.finish) == ("This answer is longer than", LENGTH[client.speaks])
    limits = {**house.sent, **house.sent.get("generationConfig", {}), **house.sent.get("inferenceConfig", {})}
    assert {limits[name] for name in LIMITS if name in limits} == {100}


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_a_content_filter(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "[[filter]]")
    assert (told.text, told.finish) == ("I was about to ", FILTER[client.speaks])


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_a_refusal(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "[[refusal]]")
    if client.speaks == "openai" and backend in ("openai", "responses"):
        assert (told.text, told.native.refusal, told.finish) == ("", "I cannot help with that.", "stop")
    else:
        assert told.text == "I cannot help with that."
    by_end = backend in ("anthropic", "bedrock") or client.speaks == "anthropic" and backend in ("openai", "responses")
    assert told.finish == (FILTER if by_end else STOP)[client.speaks]  # who refuses by why it ended


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_a_blocked_prompt(house: House, client: Speaker, backend: str, stream: bool) -> None:
    """Google answers with nothing but the reason; the others refuse with a 400."""
    house.refusals = True
    if backend == "gemini":
        told = await said(client, backend, stream, "[[blocked]]")
        assert (told.text, told.finish) == ("", None if client.speaks == "gemini" else FILTER[client.speaks])
        if client.speaks == "gemini":
            assert told.raw.prompt_feedback.block_reason == types.BlockedReason.SAFETY
        return
    refused = (openai.BadRequestError, anthropic.BadRequestError, errors.ClientError, ClientError)
    with pytest.raises(refused) as caught:
        await said(client, backend, stream, "[[blocked]]")
    assert "The prompt was blocked." in str(caught.value)


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_an_empty_answer(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "[[empty]]")
    assert (told.text, told.calls, told.thinking, told.finish) == ("", [], "", STOP[client.speaks])


UNICODE = (
    "Line\u2028separator, paragraph\u2029mark, next\u0085line, emoji \U0001f469\u200d\U0001f52c\U0001f1f3\U0001f1fa, "
    "combining e\u0301, \u4f60\u597d, end."
)


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_unicode_in_pieces(house: House, client: Speaker, backend: str, stream: bool) -> None:
    assert (await said(client, backend, stream, "[[unicode]]")).text == UNICODE


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_a_long_stream(house: House, client: Speaker, backend: str) -> None:
    told = await said(client, backend, True, "[[long:400]]")
    assert told.text == "".join(f"word{index} " for index in range(400))
    assert house.mock.journal.last.chunks >= 400


# Usage


async def test_usage(house: House, client: Speaker, backend: str, stream: bool) -> None:
    """Google tells nothing of what it writes to a cache, Converse nothing of reasoning, and Responses says 0 for not told."""
    told = await said(client, backend, stream, "[[usage]]")
    both, untold = {client.speaks, ROWS[backend].speaks}, 0 if client.speaks == "responses" else None
    written = untold if "gemini" in both else 20
    assert told.tokens == Tokens(100, 21, 40, written, untold if "bedrock" in both else 16)


@pytest.mark.parametrize("client", ["openai", "gemini"], indirect=True)
@pytest.mark.parametrize("backend", ["openai", "gemini"], indirect=True)
async def test_audio_tokens(house: House, client: Speaker, backend: str, stream: bool) -> None:
    raw = (await said(client, backend, stream, "[[usage:audio]]")).raw
    if client.speaks == "openai":
        assert raw.usage.prompt_tokens_details.audio_tokens == 10
    else:
        rows = raw.usage_metadata.prompt_tokens_details
        assert [row.token_count for row in rows if row.modality == types.MediaModality.AUDIO] == [10]


@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("client", ["openai"], indirect=True)
async def test_openai_is_told_the_usage_of_a_stream_when_it_asks(house: House, client: OpenAI, backend: str) -> None:
    asked: Json = {"model": PLAIN[backend], "messages": [client.user("hi")], "stream": True}
    plain = [chunk async for chunk in await client.client.chat.completions.create(**asked)]
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    counted = [
        chunk async for chunk in await client.client.chat.completions.create(**asked, stream_options={"include_usage": True})
    ]
    assert [bool(chunk.usage) for chunk in counted] == [False] * (len(counted) - 1) + [True]
    assert counted[-1].choices == [] and counted[-1].usage.total_tokens > counted[-1].usage.prompt_tokens > 0


@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("client", ["anthropic"], indirect=True)
async def test_anthropic_is_told_the_input_at_the_end_at_the_latest(house: House, client: Anthropic, backend: str) -> None:
    asked: Json = {"model": PLAIN[backend], "max_tokens": 99, "messages": [client.user("[[usage]] hi")]}
    async with client.client.messages.stream(**asked) as stream:
        rows = [row async for row in stream]
    last = next(row.usage for row in rows if row.type == "message_delta")
    written = 0 if backend == "gemini" else 20
    assert (last.input_tokens, last.cache_read_input_tokens) == (60 - written, 40)
    assert [row.type for row in rows].count("message_start") == 1


# What else an answer holds


@pytest.mark.parametrize("client", ["openai", "gemini"], indirect=True)
@pytest.mark.parametrize("backend", ["openai", "gemini"], indirect=True)
async def test_logprobs(house: House, client: Speaker, backend: str, stream: bool) -> None:
    own = {"logprobs": True, "top_logprobs": 2} if client.speaks == "openai" else {"response_logprobs": True, "logprobs": 2}
    if client.speaks == "gemini" and stream:
        rows = [
            row async for row in await client.client.models.generate_content_stream(**client.fields(asked(client, backend, own)))
        ]
        found = [t for row in rows for c in row.candidates if c.logprobs_result for t in c.logprobs_result.chosen_candidates]
        assert "".join(token.token for token in found) == "You said: hi"
        return
    raw = (await client.ask(asked(client, backend, own), stream)).raw
    if client.speaks == "openai":
        tokens = raw.choices[0].logprobs.content
        assert "".join(token.token for token in tokens) == "You said: hi"
        assert [len(token.top_logprobs) for token in tokens] == [2, 2, 2]
        assert tokens[0].logprob == pytest.approx(-0.1)
    else:
        told = raw.candidates[0].logprobs_result
        assert "".join(token.token for token in told.chosen_candidates) == "You said: hi"
        assert [len(top.candidates) for top in told.top_candidates] == [2, 2, 2]


def asked(client: Speaker, backend: str, own: Json) -> Ask:
    return Ask(model=PLAIN[backend], turns=[client.user("hi")], own=own)


@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("client", ["openai", "gemini"], indirect=True)
async def test_two_choices(house: House, client: Speaker, backend: str, stream: bool) -> None:
    own = {"n": 2} if client.speaks == "openai" else {"candidate_count": 2}
    told = await client.ask(asked(client, backend, own), stream)
    assert told.text.startswith("You said: hi")
    if backend in ("anthropic", "responses", "bedrock"):
        path = "n" if client.speaks == "openai" else "generationConfig.candidateCount"
        assert told.losses[path] == "dropped"
    elif client.speaks == "openai":
        assert [choice.index for choice in told.raw.choices] == [0, 1]
        assert all(choice.message.content.startswith("You ") for choice in told.raw.choices)
    elif not stream:
        assert [candidate.index or 0 for candidate in told.raw.candidates] == [0, 1]


@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("client", ["openai"], indirect=True)
async def test_openai_is_told_what_was_cited(house: House, client: OpenAI, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "[[citations]]")
    assert told.text == "The sky is blue. That much is known."
    links = [getattr(row, "url_citation", None) or row["url_citation"] for row in told.native.annotations]
    links = [link if isinstance(link, dict) else link.model_dump() for link in links]
    assert {link["url"] for link in links} == {"https://example.com/source"}
    if backend not in ("anthropic", "bedrock"):  # which cite with a whole block, not with a span of it
        assert (links[0]["start_index"], links[0]["end_index"]) == (0, 16)


@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("client", ["gemini"], indirect=True)
async def test_gemini_is_told_what_was_cited(house: House, client: Gemini, backend: str, stream: bool) -> None:
    told = await said(client, backend, stream, "[[citations]]")
    assert told.text == "The sky is blue. That much is known."
    if not stream:
        assert told.raw.candidates[0].grounding_metadata.grounding_chunks[0].web.uri == "https://example.com/source"


@pytest.mark.parametrize("backend", SPEAK, indirect=True)
@pytest.mark.parametrize("client", ["anthropic"], indirect=True)
async def test_anthropic_is_told_what_was_cited_by_its_own_kind(house: House, client: Anthropic, backend: str) -> None:
    """Anthropic's citations point into its own search results: others' cannot be told, and the loss says so."""
    told = await said(client, backend, False, "[[citations]]")
    cited = [block.citations for block in told.raw.content if block.citations]
    if backend == "anthropic":
        assert cited[0][0].url == "https://example.com/source"
    else:
        assert cited == [] and told.response_losses["response.choices[0].parts[0].citations[0]"] == "dropped"


SHOWN = {
    "anthropic": {
        "type": "document",
        "source": {"type": "text", "media_type": "text/plain", "data": "The sky is blue."},
        "title": "sky",
        "context": "A page.",
        "citations": {"enabled": True},
    },
    "bedrock": {
        "document": {
            "format": "txt",
            "name": "sky",
            "source": {"text": "The sky is blue."},
            "context": "A page.",
            "citations": {"enabled": True},
        }
    },
}
CITED: dict[str, Json] = {
    "anthropic": {
        "type": "char_location",
        "cited_text": "The sky is blue.",
        "document_index": 0,
        "document_title": "sky",
        "start_char_index": 0,
        "end_char_index": 16,
        "file_id": None,
    },
    "bedrock": {
        "title": "sky",
        "sourceContent": [{"text": "The sky is blue."}],
        "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": 16}},
    },
}


def cited_by(client: Speaker, told: Any) -> list[Json]:
    """The citations that a client is told, in its own words."""
    if isinstance(client, Anthropic):
        return [cited.model_dump() for block in told.raw.content for cited in block.citations or ()]
    blocks = told.raw["output"]["message"]["content"]
    return [row for block in blocks for row in block.get("citationsContent", {}).get("citations", ())]


@pytest.mark.parametrize("backend", CITED, indirect=True)
@pytest.mark.parametrize("client", CITED, indirect=True)
async def test_a_document_is_cited(house: House, client: Speaker, backend: str, stream: bool) -> None:
    """Shown by a client of either, cited by a model of either, and the citation brought back in the next turn."""
    ask = Ask(model=PLAIN[backend], turns=[client.user(SHOWN[client.speaks], "[[citations]]")])
    told = await client.ask(ask, stream)
    assert SHOWN[backend] in house.sent["messages"][0]["content"] and told.losses == {}
    assert not [path for path in told.response_losses if "citations" in path]
    assert cited_by(client, told) == [CITED[client.speaks]]
    again = await client.ask(Ask(model=PLAIN[backend], turns=[*ask.turns, told.native, client.user("So?")]), stream)
    assert again.losses == {}
    brought = str(house.sent["messages"][1])
    assert ("'start_char_index': 0" if backend == "anthropic" else str(CITED["bedrock"]["location"])) in brought


FOUND: dict[str, Json] = {
    "anthropic": {
        "type": "search_result",
        "source": "https://sky.test/",
        "title": "Sky",
        "content": [{"type": "text", "text": "The sky is blue."}],
        "citations": {"enabled": True},
    },
    "bedrock": {
        "searchResult": {
            "source": "https://sky.test/",
            "title": "Sky",
            "content": [{"text": "The sky is blue."}],
            "citations": {"enabled": True},
        }
    },
}
CITED_FOUND: dict[str, Json] = {
    "anthropic": {
        "type": "search_result_location",
        "cited_text": "The sky is blue.",
        "search_result_index": 0,
        "source": "https://sky.test/",
        "title": "Sky",
        "start_block_index": 0,
        "end_block_index": 1,
    },
    "bedrock": {
        "title": "Sky",
        "source": "https://sky.test/",
        "sourceContent": [{"text": "The sky is blue."}],
        "location": {"searchResultLocation": {"searchResultIndex": 0, "start": 0, "end": 1}},
    },
}


@pytest.mark.parametrize("backend", FOUND, indirect=True)
@pytest.mark.parametrize("client", FOUND, indirect=True)
async def test_a_search_result_is_cited(house: House, client: Speaker, backend: str, stream: bool) -> None:
    """Shown in a turn by a client of either, cited by a model of either; Bedrock alone refuses the citation when it is back."""
    ask = Ask(model=PLAIN[backend], turns=[client.user(FOUND[client.speaks], "[[citations]]")])
    told = await client.ask(ask, stream)
    assert house.sent["messages"][0]["content"][0] == FOUND[backend] and told.losses == {}
    assert cited_by(client, told) == [CITED_FOUND[client.speaks]]
    again = Ask(model=PLAIN[backend], turns=[*ask.turns, told.native, client.user("So?")])
    if client.speaks == backend == "bedrock":  # what its client wrote stands as it is
        house.refusals = True
        with pytest.raises(ClientError, match="type: Field required"):
            await client.ask(again, stream)
        return
    losses = (await client.ask(again, stream)).losses
    assert list(losses.values()) == (["dropped"] if backend == "bedrock" else [])
    assert all(re.fullmatch(r"messages\[1\]\.content\[\d\]\.citations\[0\]", path) for path in losses)
    assert ("'search_result_index': 0" in str(house.sent["messages"][1])) is (backend == "anthropic")


@pytest.mark.parametrize("backend", FOUND, indirect=True)
@pytest.mark.parametrize("client", FOUND, indirect=True)
async def test_a_search_result_of_a_tool_is_cited(house: House, client: Speaker, backend: str, stream: bool) -> None:
    ask = Ask(model=PLAIN[backend], turns=[client.user("Find it")], tools={"find": CITY}, force="find")
    called = await client.ask(ask, stream)
    (result,) = client.result(called.calls[0], "Found:", FOUND[client.speaks])
    turn = {**result, "content": [*result["content"], *client.user("!", "[[citations]]")["content"]]}
    told = await client.ask(Ask(model=ask.model, turns=[*ask.turns, called.native, turn], tools=ask.tools), stream)
    block = house.sent["messages"][2]["content"][0]
    assert (block.get("toolResult") or block)["content"][1] == FOUND[backend] and told.losses == {}
    assert cited_by(client, told) == [CITED_FOUND[client.speaks]]


@pytest.mark.parametrize("backend", ["openai", "gemini", "responses"], indirect=True)
@pytest.mark.parametrize("client", FOUND, indirect=True)
async def test_a_search_result_is_told_in_words(house: House, client: Speaker, backend: str, stream: bool) -> None:
    told = await client.ask(Ask(model=PLAIN[backend], turns=[client.user("Look", FOUND[client.speaks])]), stream)
    assert told.text == "You said: Look\nSky\nhttps://sky.test/\n\nThe sky is blue."
    where = "messages[0].content[1]" + (".searchResult" if client.speaks == "bedrock" else "")
    assert told.losses == {where: "changed", f"{where}.citations": "dropped"}


@pytest.mark.parametrize("client", ["gemini"], indirect=True)
async def test_gemini_is_told_of_a_picture(house: House, client: Gemini, stream: bool) -> None:
    told = await said(client, "gemini", stream, "[[images_out]]")
    pictures = [part.inline_data for part in told.native.parts if part.inline_data]
    assert [(picture.mime_type, picture.data[:4]) for picture in pictures] == [("image/png", b"\x89PNG")]


@pytest.mark.parametrize("client", ["openai", "anthropic", "responses", "bedrock"], indirect=True)
async def test_a_picture_goes_back_where_it_came_from(house: House, client: Speaker, stream: bool) -> None:
    """Neither client's answers can hold a picture: it travels sealed, and is whole again when the turn is sent back."""
    ask = Ask(model=PLAIN["gemini"], turns=[client.user("[[images_out]]")])
    first = await client.ask(ask, stream)
    assert first.text == "Here it is:"
    ask.turns += [first.native, client.user("Brighter")]
    assert (await client.ask(ask, stream)).text.startswith("You said: Brighter I saw 1 attachment: image image/png")


# What some models refuse is not asked of them, and the client is told

THINKING: dict[str, tuple[Json, str]] = {
    "openai": ({"reasoning_effort": "low"}, "reasoning_effort"),
    "anthropic": ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "thinking"),
    "gemini": ({"thinking_config": {"thinking_budget": 1024}}, "generationConfig.thinkingConfig"),
}
CHOICE = {"openai": "tool_choice", "anthropic": "tool_choice.type", "gemini": "toolConfig.functionCallingConfig.mode"}


@pytest.mark.parametrize("client", THREE, indirect=True)
@pytest.mark.parametrize("model", ["openai/gpt-5.5", "openai/gpt-6-sol"])
async def test_effort_beside_tools(house: House, client: Speaker, model: str) -> None:
    own, path = THINKING[client.speaks]
    told = await client.ask(Ask(model=model, turns=[client.user("hi")], tools={"weather": CITY}, own=own), stream=False)
    assert told.text == "You said: hi I have 1 tool."
    assert told.losses[path] == "dropped"


@pytest.mark.parametrize("client", THREE, indirect=True)
@pytest.mark.parametrize("model", ["openai/o3", "openai/gpt-5.5"])
async def test_stop_sequences_of_a_reasoning_model(house: House, client: Speaker, model: str) -> None:
    told = await client.ask(Ask(model=model, turns=[client.user("one END two")], stops=["END"]), stream=False)
    assert (told.text, told.losses[STOPS[client.speaks]]) == ("You said: one END two", "dropped")


@pytest.mark.parametrize("client", THREE, indirect=True)
@pytest.mark.parametrize("model", ["anthropic/claude-opus-5-5", "anthropic/claude-sonnet-5-5"])
async def test_a_forced_tool_of_a_model_that_cannot_be_forced(house: House, client: Speaker, model: str) -> None:
    ask = Ask(model=model, turns=[client.user("hi")], tools={"weather": CITY}, force="any")
    told = await client.ask(ask, stream=False)
    assert (told.text, told.losses[CHOICE[client.speaks]]) == ("You said: hi I have 1 tool.", "changed")


TEMPERATURE: dict[str, tuple[Json, str]] = {
    "openai": ({"temperature": 0.5, "top_p": 0.5}, "temperature"),
    "anthropic": ({"extra_body": {"temperature": 0.5}}, "temperature"),
    "gemini": ({"temperature": 0.5, "top_p": 0.5}, "generationConfig.temperature"),
}


@pytest.mark.parametrize("client", THREE, indirect=True)
@pytest.mark.parametrize("model", ["anthropic/claude-opus-5-5", "openai/o3", "openai/gpt-5.5"])
async def test_temperature_of_a_model_that_has_none(house: House, client: Speaker, model: str) -> None:
    own, path = TEMPERATURE[client.speaks]
    told = await client.ask(Ask(model=model, turns=[client.user("hi")], own=own), stream=False)
    assert (told.text, told.losses[path]) == ("You said: hi", "dropped")
    assert "temperature" not in house.sent and "top_p" not in house.sent


@pytest.mark.parametrize("client", ["openai", "gemini"], indirect=True)
async def test_temperature_above_one_is_more_than_claude_takes(house: House, client: Speaker) -> None:
    own = {"temperature": 1.5}
    told = await client.ask(Ask(model=PLAIN["anthropic"], turns=[client.user("hi")], own=own), stream=False)
    assert told.text == "You said: hi" and house.sent["temperature"] == 1
    assert told.losses[TEMPERATURE[client.speaks][1]] == "changed"


FORMS = {"openai": "response_format", "anthropic": "output_config.format"}


@pytest.mark.parametrize("client", ["openai", "anthropic"], indirect=True)
@pytest.mark.parametrize("model", ["gemini/gemini-2.5-pro", "gemini/gemini-3-pro"])
async def test_a_form_beside_tools(house: House, client: Speaker, model: str) -> None:
    """Gemini took one or the other until its third generation."""
    ask = Ask(model=model, turns=[client.user("hi")], tools={"weather": CITY}, form=CLOSED)
    told = await client.ask(ask, stream=False)
    if model == "gemini/gemini-3-pro":
        assert json.loads(told.text) == {"a": "mock a"}
    else:
        assert (told.text, told.losses[FORMS[client.speaks]]) == ("You said: hi I have 1 tool.", "dropped")


@pytest.mark.parametrize("client", ["openai", "anthropic"], indirect=True)
async def test_losses_where_the_sdks_show_heads(house: House, client: OpenAI | Anthropic) -> None:
    fields = client.fields(
        Ask(model="gemini/gemini-2.5-flash", turns=[client.user("hi")], parallel=False, tools={"weather": CITY})
    )
    if client.speaks == "openai":
        raw = await client.client.chat.completions.with_raw_response.create(**fields)
    else:
        raw = await client.client.messages.with_raw_response.create(**fields)
    path = {"openai": "parallel_tool_calls", "anthropic": "tool_choice.disable_parallel_tool_use"}[client.speaks]
    assert raw.headers["x-interlingua-losses"] == f"{path};dropped"


@pytest.mark.parametrize("client", SPEAK, indirect=True)
@pytest.mark.parametrize("backend", SPEAK, indirect=True)
async def test_names_and_arguments_survive(house: House, client: Speaker, backend: str, stream: bool) -> None:
    """A schema with everything that a vendor's dialect may choke on."""
    schema: Json = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "kind": {"const": "x"},
            "size": {"type": ["integer", "null"], "exclusiveMinimum": 0},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        },
        "required": ["kind", "size", "tags"],
        "additionalProperties": False,
        "$defs": {"tag": {"type": "string", "enum": ["a", "b"]}},
    }
    ask = Ask(model=PLAIN[backend], turns=[client.user("[[tool]]")], tools={"make_it": schema})
    told = await client.ask(ask, stream)
    assert told.calls[0].arguments["kind"] == "x"
    assert set(told.calls[0].arguments["tags"]) <= {"a", "b"}
    assert json.dumps("additionalProperties") in json.dumps(house.sent)
