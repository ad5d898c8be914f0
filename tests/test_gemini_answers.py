"""Gemini's answers and errors: what is read, what is written, what is told as lost."""

import copy
import re
from typing import Any

import pytest

from interlingua.errors import UpstreamGarbage
from interlingua.ir import (
    Choice,
    Citation,
    Failure,
    Finish,
    Request,
    Response,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    Usage,
)
from interlingua.losses import Losses
from interlingua.protocols import gemini, openai
from interlingua.protocols.wire import encode_json

PNG = "iVBORw0KGgo="
ASKED = Request(model="m", messages=[])

# Answers

ANSWER: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True, "thoughtSignature": "QUJD"},
                    {"text": "Zürich is big."},
                    {"functionCall": {"name": "f", "args": {"a_b": 1}}, "thoughtSignature": "REVG"},
                    {"functionCall": {"name": "f", "args": {}}},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                ],
            },
            "finishReason": "STOP",
            "finishMessage": "done",
            "index": 0,
            "avgLogprobs": -0.1,
            "safetyRatings": [{"category": "NEW", "probability": "LOW"}],
            "logprobsResult": {
                "chosenCandidates": [{"token": "Z", "logProbability": -0.5, "tokenId": 7}],
                "topCandidates": [{"candidates": [{"token": "Z", "logProbability": -0.5, "tokenId": 7}]}],
            },
            "groundingMetadata": {
                "webSearchQueries": ["q"],
                "groundingChunks": [{"web": {"uri": "https://example.com", "title": "t"}}],
                "groundingSupports": [
                    {
                        "segment": {"partIndex": 1, "startIndex": 0, "endIndex": 7, "text": "Zürich"},
                        "groundingChunkIndices": [0],
                        "confidenceScores": [1],
                    }
                ],
            },
        },
        {"finishReason": "UNHEARD_OF", "index": 1},
    ],
    "modelVersion": "gemini-3-pro",
    "responseId": "rid-1",
    "createTime": "2026-11-21T07:00:00.123456789Z",
    "usageMetadata": {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 7,
        "toolUsePromptTokenCount": 3,
        "totalTokenCount": 25,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 2}],
        "trafficType": "ON_DEMAND",
    },
    "modelStatus": {"stage": "new"},
}


def answered(body: dict[str, Any]) -> Response:
    return gemini.parse_response(copy.deepcopy(body))


def test_an_answer_comes_back_as_it_came() -> None:
    losses = Losses()
    assert gemini.format_response(answered(ANSWER), ASKED, losses) == ANSWER
    assert losses == []


def test_what_is_read_of_an_answer() -> None:
    response = answered(ANSWER)
    choice, other = response.choices
    assert (response.id, response.model, response.created) == ("rid-1", "gemini-3-pro", 1795244400)
    assert choice.finish == Finish(reason="tool_calls", raw="STOP", origin="gemini", extras={"gemini": {"finishMessage": "done"}})
    assert other.finish == Finish(reason="other", raw="UNHEARD_OF", origin="gemini")
    words, one, two = choice.parts[1:4]
    assert isinstance(words, Text) and [(c.url, c.title, c.start, c.end) for c in words.citations] == [
        ("https://example.com", "t", 0, 6)
    ]
    assert isinstance(one, ToolCall) and isinstance(two, ToolCall)
    assert (one.id, one.arguments, one.signature) == ("call_rid-1_2", '{"a_b":1}', Signature("gemini", "REVG"))
    assert two.id == "call_rid-1_3"
    assert choice.logprobs == [TokenLogprob("Z", -0.5, top=[TokenLogprob("Z", -0.5)])]
    usage = response.usage
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.output, usage.reasoning, usage.audio_input) == (13, 4, 12, 7, 2)


def test_an_answer_without_an_id_still_names_its_calls_apart() -> None:
    body = {"candidates": [{"content": {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}]}
    ids = {part.id for _ in range(2) for part in answered(body).choices[0].parts if isinstance(part, ToolCall)}
    assert len(ids) == 2 and all(re.fullmatch(r"call_[A-Za-z0-9_-]{1,40}", id_) for id_ in ids)


@pytest.mark.parametrize(
    ("word", "calls", "reason"),
    [
        ("STOP", False, "stop"),
        ("STOP", True, "tool_calls"),
        ("MAX_TOKENS", True, "length"),
        ("SAFETY", False, "filter"),
        ("IMAGE_SAFETY", False, "filter"),
        ("LANGUAGE", False, "filter"),
        ("MALFORMED_FUNCTION_CALL", False, "error"),
        ("UNEXPECTED_TOOL_CALL", True, "error"),
        ("OTHER", False, "other"),
    ],
)
def test_finish_reasons(word: str, calls: bool, reason: Any) -> None:
    """Pitfall 19."""
    said = [{"functionCall": {"name": "f", "args": {}}}] if calls else [{"text": "a"}]
    finish = answered({"candidates": [{"content": {"role": "model", "parts": said}, "finishReason": word}]}).choices[0].finish
    assert finish == Finish(reason=reason, raw=word, origin="gemini")


@pytest.mark.parametrize(
    ("reason", "word", "told"),
    [
        ("stop", "STOP", False),
        ("tool_calls", "STOP", False),
        ("length", "MAX_TOKENS", False),
        ("context", "MAX_TOKENS", True),
        ("filter", "SAFETY", False),
        ("pause", "OTHER", True),
        ("error", "OTHER", True),
    ],
)
def test_words_for_how_others_end(reason: Any, word: str, told: bool) -> None:
    losses = Losses()
    response = Response(choices=[Choice(parts=[Text(text="a")], finish=Finish(reason=reason))])
    assert gemini.format_response(response, ASKED, losses)["candidates"][0]["finishReason"] == word
    assert [loss.path for loss in losses] == (["response.choices[0].finish.reason"] if told else [])


def test_a_refused_prompt_is_an_answer_of_one_filtered_choice() -> None:
    body = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 3},
        "modelVersion": "g",
    }
    response = answered(body)
    assert response.choices[0].parts == [] and response.choices[0].finish == Finish(
        reason="filter", raw="PROHIBITED_CONTENT", origin="gemini"
    )
    assert gemini.format_response(response, ASKED, Losses()) == body
    assert openai.format_response(response, ASKED, Losses())["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"candidates": 5},
        {"candidates": []},
        {"candidates": [{"content": {"parts": [{"text": 5}]}}]},
        {"candidates": [{}], "usageMetadata": {"promptTokenCount": "x"}},
    ],
)
def test_an_answer_that_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(UpstreamGarbage):
        gemini.parse_response(body)


def test_citations_of_others_are_grounding_counted_in_bytes() -> None:
    cited = [
        Citation(url="https://a", title="A", start=2, end=4, quote="q"),
        Citation(quote="passage", title="B"),
        Citation(title="nothing"),
    ]
    losses = Losses()
    out = gemini.format_response(
        Response(choices=[Choice(parts=[Thinking(text="."), Text(text="üöab", citations=cited)])]), ASKED, losses
    )
    assert out["candidates"][0]["groundingMetadata"] == {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}, {"retrievedContext": {"title": "B", "text": "passage"}}],
        "groundingSupports": [
            {"segment": {"partIndex": 1, "startIndex": 4, "endIndex": 6, "text": "ab"}, "groundingChunkIndices": [0]},
            {"segment": {"partIndex": 1, "startIndex": 0, "endIndex": 6, "text": "üöab"}, "groundingChunkIndices": [1]},
        ],
    }
    path = "response.choices[0].parts[1].citations"
    assert [(loss.path, loss.how) for loss in losses] == [(f"{path}[0].quote", "dropped"), (f"{path}[2]", "dropped")]
    assert [c.start for p in answered(out).choices[0].parts if isinstance(p, Text) for c in p.citations] == [2]


def test_usage_in_geminis_convention() -> None:
    usage = Usage(input=10, cache_read=4, output=12, reasoning=7, audio_output=2, cache_write=1)
    losses = Losses()
    out = gemini.format_response(Response(choices=[Choice()], usage=usage), ASKED, losses)["usageMetadata"]
    assert out == {
        "promptTokenCount": 10,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 5,
        "thoughtsTokenCount": 7,
        "totalTokenCount": 22,
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
    }
    assert [loss.path for loss in losses] == ["response.usage.cache_write"]


# Errors


@pytest.mark.parametrize(
    ("status", "word", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "bad", "invalid_request"),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (5).",
            "context_window",
        ),
        (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", "authentication"),
        (401, "UNAUTHENTICATED", "who", "authentication"),
        (403, "PERMISSION_DENIED", "no", "permission"),
        (404, "NOT_FOUND", "where", "not_found"),
        (429, "RESOURCE_EXHAUSTED", "slow", "rate_limit"),
        (500, "INTERNAL", "oh", "server_error"),
        (503, "UNAVAILABLE", "The model is overloaded.", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "late", "timeout"),
        (418, "NEW_WORD", "tea", "invalid_request"),
    ],
)
def test_errors_are_read_and_given_back_as_they_came(status: int, word: str, message: str, kind: str) -> None:
    body = {"error": {"code": status, "message": message, "status": word, "future": 1}}
    failure = gemini.parse_error(status, encode_json(body))
    assert (failure.kind, failure.message, failure.code) == (kind, message, word)
    assert failure.status == (401 if kind == "authentication" else status)  # Google says 400 of a key it does not know
    assert gemini.format_error(failure) == (status, body)
    assert gemini.parse_error(status, encode_json([body])) == failure
    told, other = openai.format_error(failure)
    assert told == failure.status and other["error"]["message"] == message


def test_details_tell_when_to_try_again_and_which_field() -> None:
    details = [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "contents[0]"}]},
    ]
    failure = gemini.parse_error(
        429, encode_json({"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": details}})
    )
    assert (failure.retry_after, failure.param) == (3.5, "contents[0]")
    status, body = gemini.format_error(Failure(status=529, kind="overloaded", message="m", retry_after=1000000.25, param="p"))
    assert (status, body["error"]["code"], body["error"]["status"]) == (503, 503, "UNAVAILABLE")
    assert body["error"]["details"][1]["retryDelay"] == "1000000.25s"
    assert body["error"]["details"][0]["fieldViolations"] == [{"field": "p", "description": "m"}]


@pytest.mark.parametrize(
    "raw", [b"", b"<html>", b"[]", b"[5]", b"5", b'{"error":5}', b'{"error":{"message":5,"details":[5]}}', b"\xff"]
)
def test_any_error_body_gives_a_failure(raw: bytes) -> None:
    failure = gemini.parse_error(502, raw)
    assert failure.kind == "bad_gateway" and failure.message
    status, body = gemini.format_error(failure)
    assert status == 502 and body["error"]["code"] == 502
