"""The mock providers judged by the official SDKs: answers, streams, rounds of tools and thinking, errors, tokens, models."""

import json
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2
import mock_anthropic
import mock_gemini
import mock_openai
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from interlingua.mock import MockServer, seal, serve

Json = dict[str, Any]


@pytest.fixture
async def mock() -> AsyncIterator[MockServer]:
    async with serve() as server:
        yield server


@pytest.fixture
async def openai_client(mock: MockServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{mock.url}/v1", api_key="k", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
async def anthropic_client(mock: MockServer) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=mock.url, api_key="k", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
async def genai_client(mock: MockServer) -> AsyncIterator[Any]:
    options = genai_types.HttpOptions(base_url=mock.url, retry_options=genai_types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key="k", vertexai=False, http_options=options)
    yield client.aio
    await client.aio.aclose()
    client.close()


# OpenAI's SDK


async def test_openai_text(openai_client: openai.AsyncOpenAI) -> None:
    answer = await openai_client.chat.completions.create(model="gpt-4o", messages=mock_openai.GOOD["media"]["messages"])
    text = answer.choices[0].message.content
    assert text and text.startswith(
        "You said: See I saw 5 attachments: image https://example.com/a.png; image image/png 70 bytes; audio"
    )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage and answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


async def test_openai_stream_says_the_same(openai_client: openai.AsyncOpenAI) -> None:
    request: Json = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[parallel]]"}], "tools": [mock_openai.WEATHER]}
    async with openai_client.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
        streamed = await stream.get_final_completion()
    calls = streamed.choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["weather", "weather"]
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "mock city"}] * 2
    assert len({call.id for call in calls}) == 2
    assert streamed.choices[0].finish_reason == "tool_calls"
    assert streamed.usage and streamed.usage.completion_tokens > 0


async def test_openai_interleaved_calls_take_turns(openai_client: openai.AsyncOpenAI) -> None:
    tools: Any = [mock_openai.WEATHER, mock_openai.tool(name="time", parameters=mock_openai.CLOSED)]
    stream = await openai_client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": "[[interleaved]]"}], tools=tools, stream=True
    )
    deltas = [call async for chunk in stream for call in (chunk.choices[0].delta.tool_calls or [])]
    assert [delta.index for delta in deltas] == [0, 1, 0, 1, 0, 1]
    joined = ["".join((d.function and d.function.arguments) or "" for d in deltas if d.index == index) for index in (0, 1)]
    assert [json.loads(text) for text in joined] == [{"city": "mock city"}, {"a": "mock a"}]


async def test_openai_usage_only_when_asked(openai_client: openai.AsyncOpenAI) -> None:
    say: Any = [{"role": "user", "content": "hi"}]
    plain = [chunk async for chunk in await openai_client.chat.completions.create(model="gpt-4o", messages=say, stream=True)]
    assert all(chunk.usage is None and chunk.choices for chunk in plain)
    asked = await openai_client.chat.completions.create(
        model="gpt-4o", messages=say, stream=True, stream_options={"include_usage": True}
    )
    rows = [chunk async for chunk in asked]
    assert rows[-1].choices == [] and rows[-1].usage and rows[-1].usage.prompt_tokens == 5
    assert all(row.usage is None for row in rows[:-1])


async def test_openai_round_of_tools(openai_client: openai.AsyncOpenAI) -> None:
    conversation: list[Any] = [{"role": "user", "content": "weather?"}]
    first = await openai_client.chat.completions.create(
        model="gpt-4o", messages=conversation, tools=[mock_openai.WEATHER], tool_choice="required"
    )
    message = first.choices[0].message
    conversation += [
        message,
        *({"role": "tool", "tool_call_id": call.id, "content": "mild"} for call in message.tool_calls or []),
    ]
    second = await openai_client.chat.completions.create(model="gpt-4o", messages=conversation, tools=[mock_openai.WEATHER])
    assert second.choices[0].message.content == "The tools gave: weather: mild"


async def test_openai_structured_choices_logprobs(openai_client: openai.AsyncOpenAI) -> None:
    form: Any = mock_openai.schema_format(mock_openai.CLOSED)["response_format"]
    say: Any = [{"role": "user", "content": "hi"}]
    answer = await openai_client.chat.completions.create(
        model="gpt-4o", messages=say, response_format=form, n=2, logprobs=True, top_logprobs=2
    )
    assert json.loads(answer.choices[0].message.content or "") == {"a": "mock a"}
    assert [choice.index for choice in answer.choices] == [0, 1]
    logprobs = answer.choices[0].logprobs
    assert logprobs and logprobs.content and len(logprobs.content[0].top_logprobs) == 2
    stream = await openai_client.chat.completions.create(model="gpt-4o", messages=say, n=2, stream=True)
    rows = [chunk async for chunk in stream]
    assert {row.choices[0].index for row in rows} == {0, 1}


async def test_openai_ways_to_end(openai_client: openai.AsyncOpenAI) -> None:
    async def end(marker: str, **fields: Any) -> Any:
        say: Any = [{"role": "user", "content": marker}]
        return (await openai_client.chat.completions.create(model="gpt-4o", messages=say, **fields)).choices[0]

    assert (await end("[[length]]")).finish_reason == "length"
    assert (await end("[[filter]]")).finish_reason == "content_filter"
    assert (await end("[[stop]]", stop="x")).finish_reason == "stop"
    assert (await end("one END two", stop="END")).message.content == "You said: one "
    refused = (await end("[[refusal]]")).message
    assert (refused.refusal, refused.content) == ("I cannot help with that.", None)
    assert (await end("[[empty]]")).message.content == ""
    assert (await end("[[citations]]")).message.annotations[0].url_citation.end_index == 16
    assert (await end("[[reasoning]]")).message.reasoning_content.startswith("Step 1:")


async def test_openai_chunks_of_odd_forms(openai_client: openai.AsyncOpenAI) -> None:
    async def deltas(marker: str) -> list[Any]:
        say: Any = [{"role": "user", "content": marker}]
        tools: Any = [mock_openai.WEATHER]
        stream = await openai_client.chat.completions.create(model="gpt-4o", messages=say, tools=tools, stream=True)
        return [chunk.choices[0].delta async for chunk in stream]

    assert any(delta.tool_calls == [] for delta in await deltas("[[empty_tool_calls]]"))
    whole_args = [call for delta in await deltas("[[whole_args]]") for call in delta.tool_calls or []]
    assert [call.function.arguments for call in whole_args] == ['{"city":"mock city"}'] * 2
    assert "".join(delta.refusal or "" for delta in await deltas("[[refusal]]")) == "I cannot help with that."


OPENAI_ERRORS = {
    "400": openai.BadRequestError,
    "401": openai.AuthenticationError,
    "402": openai.RateLimitError,
    "403": openai.PermissionDeniedError,
    "404": openai.NotFoundError,
    "413": openai.APIStatusError,
    "429": openai.RateLimitError,
    "quota": openai.RateLimitError,
    "500": openai.InternalServerError,
    "503": openai.InternalServerError,
    "529": openai.InternalServerError,
    "overloaded": openai.InternalServerError,
    "context": openai.BadRequestError,
    "blocked": openai.BadRequestError,
    "html": openai.InternalServerError,
    "reset": openai.APIConnectionError,
    "cut": openai.APIConnectionError,
}


@pytest.mark.parametrize("name", OPENAI_ERRORS)
async def test_openai_errors(openai_client: openai.AsyncOpenAI, name: str) -> None:
    with pytest.raises(OPENAI_ERRORS[name]):
        await openai_client.chat.completions.create(model=f"gpt-4o-mock-{name}", messages=[{"role": "user", "content": "hi"}])


async def test_openai_error_codes(openai_client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as context:
        await openai_client.chat.completions.create(model="mock-context", messages=[{"role": "user", "content": "hi"}])
    assert context.value.code == "context_length_exceeded"
    with pytest.raises(openai.RateLimitError) as limit:
        await openai_client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "[[429:7]]"}])
    assert limit.value.response.headers["retry-after"] == "7"


async def test_openai_broken_streams(openai_client: openai.AsyncOpenAI) -> None:
    async def read(marker: str) -> str:
        text = ""
        say: Any = [{"role": "user", "content": f"{marker} one two three"}]
        async for chunk in await openai_client.chat.completions.create(model="gpt-4o", messages=say, stream=True):
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        return text

    with pytest.raises(openai.APIError, match="error while processing"):
        await read("[[error_event:1]]")
    with pytest.raises(openai.APIConnectionError):
        await read("[[cut:3]]")
    assert await read("[[nofinish]]") == "And then"


async def test_openai_models(openai_client: openai.AsyncOpenAI) -> None:
    names = [model.id async for model in await openai_client.models.list()]
    assert "gpt-4o" in names
    assert (await openai_client.models.retrieve("gpt-4o")).owned_by == "system"
    with pytest.raises(openai.NotFoundError):
        await openai_client.models.retrieve("nothing")


# Anthropic's SDK


async def test_anthropic_text(anthropic_client: anthropic.AsyncAnthropic) -> None:
    answer = await anthropic_client.messages.create(**mock_anthropic.body(messages=[mock_anthropic.user(mock_anthropic.image())]))
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "You said nothing. I saw 1 attachment: image image/png 70 bytes."
    assert (answer.stop_reason, answer.stop_sequence) == ("end_turn", None)


@pytest.mark.parametrize(
    "marker", ["", "[[parallel]]", "[[thinking]]", "[[redacted]]", "[[think_tool]]", "[[citations]]", "[[stop]]"]
)
async def test_anthropic_stream_says_the_same(anthropic_client: anthropic.AsyncAnthropic, marker: str) -> None:
    say = [{"role": "user", "content": f"{marker} hi"}]
    request: Any = mock_anthropic.body(messages=say, tools=[mock_anthropic.WEATHER], stop_sequences=["."])
    unary = await anthropic_client.messages.create(**request)
    async with anthropic_client.messages.stream(**request) as stream:
        streamed = await stream.get_final_message()
    kinds = [block.type for block in streamed.content]
    assert kinds == [block.type for block in unary.content]
    # ids and sealed data come of the whole request, `stream` included
    for one, other in zip(unary.content, streamed.content, strict=True):
        left, right = (block.model_dump(exclude={"id", "data"}, exclude_none=True) for block in (one, other))
        for row in (left, right):
            row.pop("parsed_output", None)
        assert {**left, "citations": left.get("citations") or []} == {**right, "citations": right.get("citations") or []}
    assert (streamed.stop_reason, streamed.stop_sequence) == (unary.stop_reason, unary.stop_sequence)
    assert streamed.usage.output_tokens == unary.usage.output_tokens


async def test_anthropic_rounds_of_thinking_and_tools(anthropic_client: anthropic.AsyncAnthropic) -> None:
    say: list[Any] = [{"role": "user", "content": "[[think_tool]]"}]
    fixed: Any = mock_anthropic.body(thinking=mock_anthropic.THINK, tools=[mock_anthropic.WEATHER])
    first = await anthropic_client.messages.create(**{**fixed, "messages": say})
    assert [block.type for block in first.content] == ["thinking", "tool_use"]
    assert first.stop_reason == "tool_use"
    say += [
        {"role": "assistant", "content": [block.model_dump() for block in first.content]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": first.content[1].id, "content": "mild"}]},
    ]
    second = await anthropic_client.messages.create(**{**fixed, "messages": say})
    assert [block.type for block in second.content] == ["thinking", "text"]
    assert second.content[1].text == "The tools gave: weather: mild"
    say[1]["content"][0]["thinking"] += "!"
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature`"):
        await anthropic_client.messages.create(**{**fixed, "messages": say})


async def test_anthropic_redacted_thinking_can_be_sent_back(anthropic_client: anthropic.AsyncAnthropic) -> None:
    say: list[Any] = [{"role": "user", "content": "[[redacted]]"}]
    fixed: Any = mock_anthropic.body()
    first = await anthropic_client.messages.create(**{**fixed, "messages": say})
    assert [block.type for block in first.content] == ["thinking", "redacted_thinking", "text"]
    say += [{"role": "assistant", "content": first.content}, {"role": "user", "content": "go on"}]
    assert (await anthropic_client.messages.create(**{**fixed, "messages": say})).content[0].type == "text"


async def test_anthropic_omitted_thinking_is_signed(anthropic_client: anthropic.AsyncAnthropic) -> None:
    fixed: Any = mock_anthropic.body(model=mock_anthropic.OPUS_48, thinking={"type": "adaptive"})
    first = await anthropic_client.messages.create(**fixed)
    assert (first.content[0].type, first.content[0].thinking) == ("thinking", "")
    shown = await anthropic_client.messages.create(**{**fixed, "thinking": {"type": "adaptive", "display": "summarized"}})
    assert shown.content[0].thinking.startswith("Step 1:")
    again = [mock_anthropic.USER, {"role": "assistant", "content": first.content}, mock_anthropic.USER]
    assert (await anthropic_client.messages.create(**{**fixed, "messages": again})).stop_reason == "end_turn"


async def test_anthropic_form_and_force(anthropic_client: anthropic.AsyncAnthropic) -> None:
    formed: Any = mock_anthropic.body(output_config=mock_anthropic.form(mock_anthropic.CLOSED))
    answer = await anthropic_client.messages.create(**formed)
    assert json.loads(answer.content[0].text) == {"a": "mock a"}
    forced: Any = mock_anthropic.body(tools=[mock_anthropic.WEATHER], tool_choice={"type": "tool", "name": "weather"})
    assert (await anthropic_client.messages.create(**forced)).content[0].input == {"city": "mock city"}


async def test_anthropic_usage_leaves_the_cache_out(anthropic_client: anthropic.AsyncAnthropic) -> None:
    say: Any = mock_anthropic.body(messages=[{"role": "user", "content": "[[usage]]"}])
    used = (await anthropic_client.messages.create(**say)).usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens) == (40, 40, 20)
    assert used.output_tokens_details and used.output_tokens_details.thinking_tokens == 16
    async with anthropic_client.messages.stream(**say) as stream:
        deltas = [event.usage for event in [row async for row in stream] if event.type == "message_delta"]
    assert [(row.input_tokens, row.cache_read_input_tokens, row.output_tokens) for row in deltas] == [
        (40, 40, used.output_tokens)
    ]


ANTHROPIC_ERRORS = {
    "400": (anthropic.BadRequestError, 400, "invalid_request_error"),
    "401": (anthropic.AuthenticationError, 401, "authentication_error"),
    "402": (anthropic.APIStatusError, 402, "billing_error"),
    "403": (anthropic.PermissionDeniedError, 403, "permission_error"),
    "404": (anthropic.NotFoundError, 404, "not_found_error"),
    "413": (anthropic.APIStatusError, 413, "request_too_large"),
    "429": (anthropic.RateLimitError, 429, "rate_limit_error"),
    "quota": (anthropic.RateLimitError, 429, "rate_limit_error"),
    "500": (anthropic.InternalServerError, 500, "api_error"),
    "503": (anthropic.InternalServerError, 503, "api_error"),
    "529": (anthropic.InternalServerError, 529, "overloaded_error"),
    "context": (anthropic.BadRequestError, 400, "invalid_request_error"),
    "blocked": (anthropic.BadRequestError, 400, "invalid_request_error"),
}


@pytest.mark.parametrize("name", ANTHROPIC_ERRORS)
async def test_anthropic_errors(anthropic_client: anthropic.AsyncAnthropic, name: str) -> None:
    kind, status, word = ANTHROPIC_ERRORS[name]
    request: Any = mock_anthropic.body(model=f"claude-haiku-4-5-mock-{name}")
    with pytest.raises(kind) as caught:
        await anthropic_client.messages.create(**request)
    body: Any = caught.value.body
    assert (caught.value.status_code, body["error"]["type"]) == (status, word)


async def test_anthropic_broken_streams(anthropic_client: anthropic.AsyncAnthropic) -> None:
    async def read(marker: str) -> None:
        say: Any = mock_anthropic.body(messages=[{"role": "user", "content": f"{marker} one two three"}])
        async with anthropic_client.messages.stream(**say) as stream:
            async for _ in stream:
                pass

    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        await read("[[error_event]]")
    for marker in ("[[cut]]", "[[reset]]"):
        with pytest.raises((anthropic.APIConnectionError, httpx2.TransportError)):
            await read(marker)


async def test_anthropic_counts_tokens_and_lists_models(anthropic_client: anthropic.AsyncAnthropic) -> None:
    request: Any = {"model": mock_anthropic.HAIKU_45, "messages": [mock_anthropic.USER], "system": "Be kind."}
    count = await anthropic_client.messages.count_tokens(**request)
    answer = await anthropic_client.messages.create(**request, max_tokens=9)
    assert count.input_tokens == answer.usage.input_tokens == 8
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Extra inputs"):
        await anthropic_client.messages.count_tokens(**request, extra_body={"max_tokens": 9})
    names = [model.id async for model in anthropic_client.models.list(limit=3)]
    assert names[0] == "claude-opus-5-5" and len(names) == len(set(names)) > 3
    found = await anthropic_client.models.retrieve("claude-sonnet-4-5")
    assert (found.max_tokens, found.lifecycle) == (64_000, "active")


# Google's SDK


async def test_gemini_text(genai_client: Any) -> None:
    answer = await genai_client.models.generate_content(
        model="gemini-2.5-flash", contents=[genai_types.Part.from_bytes(data=b"\xff\xfb\xef", mime_type="image/png"), "Look"]
    )
    assert answer.text == "You said: Look I saw 1 attachment: image image/png 3 bytes."
    assert answer.candidates[0].finish_reason == genai_types.FinishReason.STOP
    used = answer.usage_metadata
    assert used.total_token_count == used.prompt_token_count + used.candidates_token_count
    assert answer.model_version == "gemini-2.5-flash"


async def test_gemini_stream(genai_client: Any) -> None:
    stream = await genai_client.models.generate_content_stream(model="gemini-2.5-flash", contents="one two three")
    rows = [row async for row in stream]
    assert "".join(row.text or "" for row in rows) == "You said: one two three"
    assert [row.candidates[0].finish_reason for row in rows[:-1]] == [None] * (len(rows) - 1)
    assert rows[-1].candidates[0].finish_reason == genai_types.FinishReason.STOP
    assert all(row.usage_metadata.prompt_token_count == 8 for row in rows)


@pytest.mark.parametrize(("model", "signed"), [("gemini-2.5-flash", False), ("gemini-3-pro", True)])
async def test_gemini_rounds_of_tools(genai_client: Any, model: str, signed: bool) -> None:
    declaration = genai_types.FunctionDeclaration(name="weather", parameters=genai_types.Schema.model_validate(mock_gemini.CITY))
    config = genai_types.GenerateContentConfig(tools=[genai_types.Tool(function_declarations=[declaration])])
    contents: list[Any] = [genai_types.Content(role="user", parts=[genai_types.Part(text="[[parallel]]")])]
    first = await genai_client.models.generate_content(model=model, contents=contents, config=config)
    calls = first.function_calls
    assert [(call.name, call.args) for call in calls] == [("weather", {"city": "mock city"})] * 2
    assert [part.thought_signature is not None for part in first.candidates[0].content.parts] == [signed, False]
    assert len({call.id for call in calls}) == (2 if signed else 1)
    results = [
        genai_types.Part(function_response=genai_types.FunctionResponse(id=call.id, name=call.name, response={"output": "mild"}))
        for call in calls
    ]
    contents += [first.candidates[0].content, genai_types.Content(role="user", parts=results)]
    second = await genai_client.models.generate_content(model=model, contents=contents, config=config)
    assert second.text == "The tools gave: weather: mild; weather: mild"
    assert (second.candidates[0].content.parts[-1].thought_signature is not None) == signed


async def test_gemini_thoughts(genai_client: Any) -> None:
    thoughts = genai_types.ThinkingConfig(include_thoughts=True, thinking_level=genai_types.ThinkingLevel.LOW)
    config = genai_types.GenerateContentConfig(thinking_config=thoughts)
    answer = await genai_client.models.generate_content(model="gemini-3-pro", contents="hi", config=config)
    parts = answer.candidates[0].content.parts
    assert [bool(part.thought) for part in parts] == [True, False]
    used = answer.usage_metadata
    assert used.thoughts_token_count > 0
    assert used.total_token_count == used.prompt_token_count + used.candidates_token_count + used.thoughts_token_count
    stream = await genai_client.models.generate_content_stream(model="gemini-3-pro", contents="hi", config=config)
    last = [row async for row in stream][-1].candidates[0].content.parts[0]
    assert last.thought_signature and seal.is_token("gemini", last.thought_signature.decode())


async def test_gemini_structured_images_logprobs_citations(genai_client: Any) -> None:
    async def answer(text: str, **config: Any) -> Any:
        return await genai_client.models.generate_content(
            model="gemini-2.5-flash", contents=text, config=genai_types.GenerateContentConfig(**config)
        )

    formed = await answer("hi", response_mime_type="application/json", response_schema=mock_gemini.CITY)
    assert json.loads(formed.text) == {"city": "mock city"}
    painted = (await answer("[[images_out]]")).candidates[0].content.parts
    assert painted[1].inline_data.mime_type == "image/png" and painted[1].inline_data.data.startswith(b"\x89PNG")
    weighed = (await answer("hi", response_logprobs=True, logprobs=2, candidate_count=2)).candidates
    assert len(weighed) == 2 and len(weighed[0].logprobs_result.top_candidates[0].candidates) == 2
    cited = (await answer("[[citations]]")).candidates[0]
    assert cited.grounding_metadata.grounding_chunks[0].web.uri == cited.citation_metadata.citations[0].uri
    forced = await answer(
        "hi",
        tools=[{"function_declarations": [{"name": "a"}, {"name": "b"}]}],
        tool_config={"function_calling_config": {"mode": "ANY", "allowed_function_names": ["b"]}},
    )
    assert [call.name for call in forced.function_calls] == ["b"]


async def test_gemini_ways_to_end(genai_client: Any) -> None:
    async def answer(text: str) -> Any:
        return await genai_client.models.generate_content(model="gemini-2.5-flash", contents=text)

    assert (await answer("[[length]]")).candidates[0].finish_reason == genai_types.FinishReason.MAX_TOKENS
    assert (await answer("[[filter]]")).candidates[0].finish_reason == genai_types.FinishReason.SAFETY
    assert (await answer("[[nofinish]]")).candidates[0].finish_reason is None
    blocked = await answer("[[blocked]]")
    assert blocked.candidates is None and blocked.prompt_feedback.block_reason == genai_types.BlockedReason.SAFETY


GEMINI_ERRORS = {
    "400": (genai_errors.ClientError, 400, "INVALID_ARGUMENT"),
    "401": (genai_errors.ClientError, 401, "UNAUTHENTICATED"),
    "403": (genai_errors.ClientError, 403, "PERMISSION_DENIED"),
    "404": (genai_errors.ClientError, 404, "NOT_FOUND"),
    "429": (genai_errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
    "context": (genai_errors.ClientError, 400, "INVALID_ARGUMENT"),
    "500": (genai_errors.ServerError, 500, "INTERNAL"),
    "503": (genai_errors.ServerError, 503, "UNAVAILABLE"),
    "529": (genai_errors.ServerError, 503, "UNAVAILABLE"),
}


@pytest.mark.parametrize("name", GEMINI_ERRORS)
async def test_gemini_errors(genai_client: Any, name: str) -> None:
    kind, status, word = GEMINI_ERRORS[name]
    with pytest.raises(kind) as caught:
        await genai_client.models.generate_content(model=f"gemini-2.5-flash-mock-{name}", contents="hi")
    assert (caught.value.code, caught.value.status) == (status, word)
    with pytest.raises(kind) as streamed:
        await anext(await genai_client.models.generate_content_stream(model=f"gemini-2.5-flash-mock-{name}", contents="hi"))
    assert streamed.value.code == status


async def test_gemini_tells_when_to_come_back(genai_client: Any) -> None:
    with pytest.raises(genai_errors.ClientError) as caught:
        await genai_client.models.generate_content(model="gemini-2.5-flash", contents="[[429:9]]")
    told: Any = caught.value.details
    assert told["error"]["details"][-1]["retryDelay"] == "9s"


async def test_gemini_error_in_the_stream(genai_client: Any) -> None:
    stream = await genai_client.models.generate_content_stream(model="gemini-2.5-flash", contents="[[error_event:1]] one two")
    with pytest.raises(genai_errors.ServerError) as caught:
        async for _ in stream:
            pass
    assert caught.value.code == 503


async def test_gemini_counts_tokens_and_lists_models(genai_client: Any) -> None:
    assert (await genai_client.models.count_tokens(model="gemini-2.5-flash", contents="one two three")).total_tokens == 8
    names = [model.name async for model in await genai_client.models.list(config={"page_size": 2})]
    assert names[0] == "models/gemini-3-pro" and len(names) > 4
    assert (await genai_client.models.get(model="gemini-2.5-pro")).thinking is True
