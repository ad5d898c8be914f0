"""The Responses API's answers and errors, both ways, and the seals that its clients bring back."""

import copy
from typing import Any

import httpx2
import msgspec
import openai as sdk
import pytest

from interlingua.carry import seal, unseal
from interlingua.errors import NotFound, ProviderFailure, UpstreamGarbage
from interlingua.ir import (
    Citation,
    Failure,
    Finish,
    Json,
    Media,
    Opaque,
    Response,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)
from interlingua.losses import Losses
from interlingua.protocols import anthropic, openai, responses
from interlingua.protocols.responses.request import input_items
from tests.responses_cases import (
    CODEX,
    OUTPUT,
    RESPONSE,
    SEALED,
    URL,
    USAGE,
    WEATHER,
    answer,
    as_sent,
    asked,
    client,
    formatted,
    parse,
    paths,
    through,
    told,
)

CLAUDE = Signature("anthropic", "sig==")
GOOGLE = Signature("gemini", "AAAA")

# Answers


@pytest.mark.parametrize(
    ("finish", "status", "details", "reason"),
    [
        (Finish(reason="stop"), "completed", None, "stop"),
        (Finish(reason="length"), "incomplete", {"reason": "max_output_tokens"}, "length"),
        (Finish(reason="filter"), "incomplete", {"reason": "content_filter"}, "filter"),
        (Finish(reason="context"), "incomplete", {"reason": "max_output_tokens"}, "length"),
        (Finish(reason="pause"), "completed", None, "stop"),
        (Finish(reason="error", raw="MALFORMED_FUNCTION_CALL", origin="gemini"), "failed", None, "error"),
        (Finish(reason="other", raw="steered", origin="responses"), "incomplete", {"reason": "steered"}, "other"),
        (Finish(reason="other", raw="incomplete", origin="responses"), "incomplete", None, "other"),
        (Finish(reason="other", raw="queued", origin="responses"), "queued", None, "other"),
        (Finish(reason="other", raw="cancelled", origin="responses"), "cancelled", None, "other"),
    ],
)
def test_how_an_answer_ended(finish: Finish, status: str, details: Any, reason: str):
    """30: a token limit is told as incomplete."""
    body, _ = told(answer(Text(text="x"), finish=finish))
    assert (body["status"], body["incomplete_details"]) == (status, details)
    if status == "failed":
        assert "MALFORMED_FUNCTION_CALL" in body["error"]["message"]
    read = responses.parse_response(copy.deepcopy(body))
    assert read.choices[0].finish is not None and read.choices[0].finish.reason == reason
    assert told(read)[0] == body


def test_an_answer_without_a_word_of_its_end_is_complete():
    response = answer(ToolCall(id="c", name="f"))
    response.choices[0].finish = None
    body, losses = told(response)
    assert body["status"] == "completed" and losses == []
    read = responses.parse_response(body)
    assert read.choices[0].finish is not None and read.choices[0].finish.reason == "tool_calls"
    silent = responses.parse_response({"id": "r", "output": []})
    assert silent.choices[0].finish is None


def test_a_cut_message_says_so():
    body, _ = told(answer(Text(text="x"), finish=Finish(reason="length")))
    assert body["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize("said", ["", '{"a":"x', "[]"])
def test_a_call_cut_short_is_not_told_as_complete(said: str):
    """Who runs what is complete must not run half of a call."""
    whole = ToolCall(id="a", name="weather", arguments="{}")
    body, _ = told(answer(whole, ToolCall(id="b", name="weather", arguments=said), finish=Finish(reason="length")))
    first, second = body["output"]
    assert body["status"] == "incomplete"
    assert (first["status"], first["arguments"]) == ("completed", "{}")
    assert (second["status"], second["arguments"]) == ("incomplete", said)
    done = told(answer(whole, finish=Finish(reason="length")))[0]["output"][0]
    assert done["status"] == "completed"  # the limit came after it
    other = told(answer(ToolCall(id="b", name="f", arguments=said), Text(text="x"), finish=Finish(reason="length")))[0]["output"]
    assert [item["status"] for item in other] == ["completed", "incomplete"]


def test_usage_is_told_whole_and_read_whole():
    """42: what was read from a cache is counted, not zero."""
    usage = Usage(input=100, cache_read=60, cache_write=10, output=30, reasoning=20)
    assert told(answer(usage=usage))[0]["usage"] == USAGE
    assert responses.parse_response(copy.deepcopy(RESPONSE)).usage == usage
    losses = Losses()
    as_claude = anthropic.format_response(responses.parse_response(copy.deepcopy(RESPONSE)), asked(), losses)
    assert as_claude["usage"]["cache_read_input_tokens"] == 60
    assert as_claude["usage"]["input_tokens"] == 30
    sparse = responses.parse_response({"id": "r", "output": [], "usage": {"input_tokens": 4, "output_tokens": 2}})
    assert sparse.usage == Usage(input=4, output=2)
    assert told(answer(usage=Usage(input=4, audio_input=2)))[1][0].path == "response.usage.audio_input"
    assert told(answer())[0]["usage"] is None


def test_ids_are_made_from_the_answers_own_and_its_places():
    response = answer(Thinking(text="hm"), Text(text="x"), ToolCall(id="", name="f", arguments=""), Text(text="y"))
    response.id = "chatcmpl-1.2"
    body, _ = told(response)
    assert body["id"] == "resp_chatcmpl-1_2"
    assert [item["id"] for item in body["output"]] == [
        "rs_chatcmpl-1_2_0",
        "msg_chatcmpl-1_2_1",
        "fc_chatcmpl-1_2_2",
        "msg_chatcmpl-1_2_3",
    ]
    assert body["output"][2]["call_id"] == "call_chatcmpl-1_2_2" and body["output"][2]["arguments"] == "{}"
    assert told(responses.parse_response(copy.deepcopy(body)))[0] == body


def test_the_sdk_reads_an_answer_from_elsewhere():
    request = asked(
        tools=[WEATHER, {"type": "custom", "name": "p"}],
        instructions="Be brief.",
        metadata={"k": "v"},
        max_output_tokens=50,
        reasoning={"effort": "high", "summary": "auto"},
        text={"verbosity": "low"},
    )
    response = answer(
        Thinking(text="hm", signature=CLAUDE),
        Text(text="Hello", citations=[Citation(url="https://e.example", title="E", start=0, end=4, quote="q")]),
        Text(text=" there"),
        Text(text="no", refusal=True),
        ToolCall(id="c1", name="weather", arguments='{"a":"x"}'),
    )
    body, losses = told(response, request)
    with client(lambda _: httpx2.Response(200, json=body)) as openai_client:
        read = openai_client.responses.create(model="m", input="hi")
    assert read.output_text == "Hello there"
    assert [item.type for item in read.output] == ["reasoning", "message", "function_call"]
    assert body["output"][1]["content"] == [
        {"type": "output_text", "annotations": [URL], "logprobs": [], "text": "Hello"},
        {"type": "output_text", "annotations": [], "logprobs": [], "text": " there"},
        {"type": "refusal", "refusal": "no"},
    ]
    assert (read.instructions, read.metadata, read.max_output_tokens) == ("Be brief.", {"k": "v"}, 50)
    assert read.tools[0].to_dict() == WEATHER and read.tool_choice == "auto" and read.parallel_tool_calls
    assert read.reasoning and (read.reasoning.effort, read.reasoning.summary) == ("high", "auto")
    assert body["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert paths(losses) == ["response.choices[0].parts[1].citations[0].quote;dropped"]


def test_the_models_seals_travel_and_come_back():
    """32, 35: what only another provider's model can read is kept for it, and given to no other."""
    parts = [
        Thinking(text="hm", signature=CLAUDE),
        Thinking(redacted=True, signature=CLAUDE),
        Text(text="x", signature=GOOGLE),
        ToolCall(id="c1", name="f", arguments="{}", signature=GOOGLE),
        Opaque(origin="anthropic", data={"type": "server_tool_use", "id": "s"}),
        Media(kind="image", data="AAAA", mime="image/png"),
    ]
    body, losses = told(answer(*parts))
    assert [item["type"] for item in body["output"]] == [
        "reasoning",
        "reasoning",
        "reasoning",
        "message",
        "reasoning",
        "function_call",
        "reasoning",
        "reasoning",
    ]
    assert body["output"][0]["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert body["output"][1]["summary"] == []
    assert unseal(body["output"][2]["encrypted_content"]) == GOOGLE
    assert paths(losses) == ["response.choices[0].parts[4];changed", "response.choices[0].parts[5];changed"]
    history = [
        {"role": "user", "content": "hi"},
        *body["output"],
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    ]
    back = parse({"model": "m", "input": history}).messages[1].parts
    assert [msgspec.structs.replace(part, extras={}) for part in back] == parts
    claude = through(parse({"model": "m", "input": history}), anthropic, "claude-opus-5")[0]
    assert claude["messages"][1]["content"][0] == {"type": "thinking", "thinking": "hm", "signature": "sig=="}
    assert claude["messages"][1]["content"][1] == {"type": "redacted_thinking", "data": "sig=="}
    here, lost = formatted(parse({"model": "m", "input": history}))
    assert [item.get("type") for item in here["input"]] == [None, "message", "function_call", "function_call_output"]
    assert "messages[1].parts[0];dropped" in paths(lost)


def test_its_own_seal_travels_through_other_clients():
    """A Claude client in front of OpenAI's reasoning brings it back to the last byte, id and all."""
    response = responses.parse_response(copy.deepcopy({**RESPONSE, "output": [OUTPUT[0], OUTPUT[3]]}))
    shown = anthropic.format_response(response, asked(), Losses())
    history: list[Json] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": as_sent(shown["content"])},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "ok"}]},
    ]
    request = anthropic.parse_request({"model": "m", "max_tokens": 99, "messages": history}, None, None)
    out, losses = formatted(request)
    assert out["input"][1] == OUTPUT[0]
    assert out["input"][2]["call_id"] == "call_1"
    assert losses == []


def test_a_hostile_or_native_seal_is_but_reasoning():
    for text in ("il1.", "il1.%%%", "il1." + "A" * 50, SEALED, ""):
        item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": text}
        request = parse({"model": "m", "input": [item]})
        assert formatted(request)[0]["input"] == [item]
    lone = parse({"model": "m", "input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal(GOOGLE)}]})
    assert [part.signature for part in lone.messages[0].parts] == [GOOGLE]


def test_logprobs_are_with_the_text():
    tokens = [TokenLogprob("He", -0.5, [72, 101], [TokenLogprob("He", -0.5, [72, 101])]), TokenLogprob("y", -1.0)]
    response = answer(Text(text="No", refusal=True), Text(text="Hey"))
    response.choices[0].logprobs = tokens
    body, losses = told(response)
    content = body["output"][0]["content"]
    assert content[1]["logprobs"][0] == {
        "token": "He",
        "bytes": [72, 101],
        "logprob": -0.5,
        "top_logprobs": [{"token": "He", "bytes": [72, 101], "logprob": -0.5}],
    }
    assert losses == []
    assert [token.token for token in responses.parse_response(body).choices[0].logprobs] == ["He", "y"]
    response.choices[0].parts = [ToolCall(id="c", name="f")]
    assert paths(told(response)[1]) == ["response.choices[0].logprobs;dropped"]


def test_one_answer_of_several_is_told():
    response = answer(Text(text="a"))
    response.choices.append(response.choices[0])
    body, losses = told(response)
    assert len(body["output"]) == 1 and paths(losses) == ["response.choices[1];dropped"]
    assert told(Response(id="x"))[0]["output"] == []


def test_results_cannot_be_said_by_an_answer_but_sealed():
    body, _ = told(answer(ToolResult(id="c", parts=[Text(text="x")])))
    assert isinstance(unseal(body["output"][0]["encrypted_content"]), ToolResult)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"output": 5},
        {"output": [5]},
        {"output": [{}]},
        {"id": 5, "output": []},
        {"output": [], "status": 5},
        {"output": [], "usage": 5},
    ],
)
def test_what_is_no_answer_is_refused(body: Json):
    with pytest.raises(UpstreamGarbage):
        responses.parse_response(copy.deepcopy(body))


def test_what_is_new_in_an_answer_is_kept():
    born = copy.deepcopy(RESPONSE)
    born["created_at"] = 1790000000.0
    born["usage"] |= {"input_tokens_details": {**USAGE["input_tokens_details"], "born": 1}, "born": 2}
    born["usage"]["output_tokens_details"] = {"reasoning_tokens": 20, "born": 3}
    token = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
    text = {"type": "output_text", "text": "a", "annotations": [{**URL, "born": 4}], "logprobs": [token], "born": 5}
    born["output"] = [{**OUTPUT[2], "content": [text, text]}]
    response = responses.parse_response(copy.deepcopy(born))
    assert [token.token for token in response.choices[0].logprobs] == ["a", "a"]
    assert told(response) == (born, [])
    chat = Losses()
    openai.format_response(response, asked(), chat)
    assert {"response.usage.born;dropped", "response.usage.input_tokens_details.born;dropped"} <= set(paths(chat))


def test_what_only_others_answer_is_reported():
    cited = Citation(url="https://e.example", extras={"openai": {"x": 1}})
    response = answer(Text(text="a", citations=[cited, Citation(title="t")]), Text(signature=GOOGLE))
    response.usage = Usage(input=1, extras={"gemini": {"x": 1}})
    response.choices[0].extras = {"openai": {"x": 1}}
    response.choices[0].finish = Finish(reason="stop", stop="END", extras={"gemini": {"x": 1}})
    body, losses = told(response)
    assert unseal(body["output"][1]["encrypted_content"]) == Text(signature=GOOGLE)
    assert sorted(paths(losses)) == [
        "response.choices[0].finish.stop;dropped",
        "response.choices[0].finish.x;dropped",
        "response.choices[0].parts[0].citations[0].x;dropped",
        "response.choices[0].parts[0].citations[1];dropped",
        "response.choices[0].x;dropped",
        "response.usage.x;dropped",
    ]


def test_a_failed_response_is_a_failure():
    error = {"code": "rate_limit_exceeded", "message": "Slow down."}
    with pytest.raises(ProviderFailure) as caught:
        responses.parse_response({**copy.deepcopy(RESPONSE), "status": "failed", "error": error})
    failure = caught.value.failure
    assert (failure.kind, failure.status, failure.message, failure.code) == (
        "rate_limit",
        429,
        "Slow down.",
        "rate_limit_exceeded",
    )


def test_what_it_brought_can_be_listed():
    items = input_items(parse({"model": "m", "instructions": "x", "input": "Hi"}))
    assert items == [
        {
            "id": "msg_0",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hi"}],
        }
    ]
    listed = input_items(parse(CODEX))
    assert [item["type"] for item in listed] == [item["type"] for item in CODEX["input"]]
    assert all("id" in item for item in listed)


# Errors


@pytest.mark.parametrize(
    ("kind", "status", "exception"),
    [
        ("invalid_request", 400, sdk.BadRequestError),
        ("context_window", 400, sdk.BadRequestError),
        ("unsupported", 400, sdk.BadRequestError),
        ("authentication", 401, sdk.AuthenticationError),
        ("permission", 403, sdk.PermissionDeniedError),
        ("not_found", 404, sdk.NotFoundError),
        ("conflict", 409, sdk.ConflictError),
        ("unprocessable", 422, sdk.UnprocessableEntityError),
        ("rate_limit", 429, sdk.RateLimitError),
        ("server_error", 500, sdk.InternalServerError),
        ("overloaded", 529, sdk.InternalServerError),
    ],
)
def test_the_sdk_raises_its_own_exception(kind: str, status: int, exception: type[sdk.APIStatusError]):
    told_status, body = responses.format_error(Failure(status=status, kind=kind, message="No.", param="input", code="c1"))
    with client(lambda _: httpx2.Response(told_status, json=body)) as openai_client, pytest.raises(exception) as caught:
        openai_client.responses.create(model="m", input="hi")
    assert type(caught.value) is exception
    assert (caught.value.code, caught.value.param, "No." in caught.value.message) == ("c1", "input", True)


def test_a_providers_own_error_is_passed_on():
    body = {
        "error": {"message": "No.", "type": "invalid_request_error", "param": "x", "code": "context_length_exceeded", "born": 1}
    }
    failure = responses.parse_error(400, msgspec.json.encode(body))
    assert failure.kind == "context_window"
    assert responses.format_error(failure) == (400, body)
    assert responses.format_error(openai.parse_error(400, msgspec.json.encode(body))) == (400, body)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"", "invalid_request"),
        (400, b"<html>", "invalid_request"),
        (502, b"[]", "bad_gateway"),
        (500, b'{"error": "words"}', "server_error"),
        (429, b'{"error": {"code": "insufficient_quota", "message": "x"}}', "rate_limit"),
        (503, b'{"error": {"code": "server_error", "message": "x"}}', "unavailable"),
        (404, b'{"error": {"code": "previous_response_not_found", "message": "x"}}', "not_found"),
        (400, b'{"error": {"type": "x", "code": 5}}', "invalid_request"),
    ],
)
def test_errors_are_read_whatever_they_are(status: int, body: bytes, kind: str):
    failure = responses.parse_error(status, body)
    assert (failure.status, failure.kind) == (status, kind)
    assert failure.message


def test_a_missing_response_is_the_vendors_own_error():
    failure = NotFound(
        "Previous response with id 'resp_x' not found.", param="previous_response_id", code="previous_response_not_found"
    ).failure
    assert responses.format_error(failure) == (
        404,
        {
            "error": {
                "message": "Previous response with id 'resp_x' not found.",
                "type": "invalid_request_error",
                "param": "previous_response_id",
                "code": "previous_response_not_found",
            }
        },
    )
