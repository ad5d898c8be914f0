"""The cases that real gateways get wrong, each held by a test of its own name here, or by the one that ELSEWHERE names.

Sections a to f whole, and of g and h what concerns streams. `requests/x` and its like are golden vectors, which
test_vectors.py runs on every pair.
"""

import ast
import asyncio
import gc
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import msgspec
import peers
import pytest
from conftest import Start
from running import House, configured, gateway_of
from sdks_speakers import PLAIN

from interlingua import server
from interlingua.framing import Frame, eventstream, sse
from interlingua.ir import Request, ToolResult
from interlingua.losses import Losses
from interlingua.models import facts
from interlingua.pipeline import Answer, Call
from interlingua.protocols import Target, target
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import encode_json

Json = dict[str, Any]
TESTS = Path(__file__).resolve().parent
CASES = [*(f"s{n}" for n in range(1, 16)), *(f"b{n:02}" for n in range(1, 14)), *(f"c{n}" for n in range(14, 21))]
CASES += [*(f"d{n}" for n in range(21, 32)), *(f"e{n}" for n in range(32, 45)), *(f"f{n}" for n in range(45, 51)), "g51", "h54"]

ELSEWHERE = {
    "s1": "test_anthropic_stream.py::test_a_chat_stream_of_interleaved_calls_reaches_the_sdk_whole, streams/interleaved_calls",
    "s2": "test_gemini.py::test_calls_of_one_function_never_share_an_id, responses/calls_without_ids",
    "s6": "requests/json_object",
    "s7": "requests/audio",
    "s8": "requests/server_tool",
    "s9": "requests/user, requests/speaker_name",
    "s10": "requests/malformed_arguments, responses/malformed_arguments",
    "s11": "requests/empty_turn, test_anthropic_request.py::test_an_empty_turn_is_told_and_no_sentence_is_invented",
    "s12": "requests/tool_history_without_tools, test_anthropic_request.py::test_tool_history_without_tools_invents_none",
    "s14": "requests/sampling_pair, test_anthropic_request.py::test_sampling_as_each_model_takes_it",
    "b02": "streams/parallel_calls",
    "b09": "requests/image_data, requests/image_url, requests/result_image",
    "b11": "streams/usage, responses/usage_cached, responses/usage_cache_written",
    "b12": "test_anthropic_stream.py::test_usage_is_a_total_and_what_is_not_told_again_stays",
    "c14": "test_gemini.py::test_only_the_first_unsigned_call_of_a_turn_gets_the_stand_in, requests/geminis_signature",
    "c16": "test_gemini.py::test_results_stand_in_one_turn_in_the_order_of_their_calls",
    "c17": "requests/tools, requests/streaming, test_schema.py::test_what_it_cannot_say_is_reported_by_its_path",
    "c19": "responses/end_malformed_call, responses/parallel_calls, streams/parallel_calls",
    "d21": "test_bedrock_limits.py::test_21_tools_are_defined_when_the_history_uses_them",
    "d22": "test_bedrock_limits.py::test_22_blank_text_is_left_out",
    "d23": "test_bedrock_limits.py::test_23_names_out_of_the_alphabet_are_respelled_and_read_back, "
    "test_bedrock_limits.py::test_23_names_too_long_are_cut_and_remembered, "
    "test_bedrock_stream.py::test_names_are_read_back_in_streams_too",
    "d24": "test_bedrock_limits.py::test_24_documents_have_legal_names_and_no_two_the_same",
    "d25": "test_bedrock_limits.py::test_25_a_tools_answer_is_a_result_and_no_text, test_sdks.py::test_a_tool_and_its_result",
    "d26": "test_bedrock_limits.py::test_26_turns_alternate_and_results_stand_first_and_together, "
    "test_bedrock_limits.py::test_26_models_that_take_no_words_beside_results_are_told_them_inside",
    "d27": "test_bedrock_limits.py::test_27_a_mark_becomes_a_cache_point_after_what_it_marks, "
    "test_bedrock_limits.py::test_27_a_mark_moves_before_what_it_may_not_follow",
    "d28": "test_bedrock_limits.py::test_28_no_choice_of_none_means_no_tools, test_sdks.py::test_forced_tools",
    "d29": "test_bedrock_stream.py::test_29_everyones_failure_is_one_of_the_streams_own, "
    "test_bedrock_boto3.py::test_29_a_failure_in_a_stream_is_raised_from_it, "
    "test_sdks_errors.py::test_a_stream_that_breaks_is_no_whole_stream",
    "d30": "test_bedrock_limits.py::test_30_every_reason_to_stop_has_its_meaning, test_sdks_answers.py::test_the_token_limit",
    "d31": "test_bedrock_limits.py::test_31_a_message_clients_tools_are_carried, test_sdks.py::test_a_tool_and_its_result",
    "e32": "requests/claudes_thinking, responses/claudes_thinking, streams/claudes_thinking",
    "e34": "test_anthropic_request.py::test_thinking_is_off_where_the_calling_turn_has_lost_its_own",
    "e35": "test_anthropic_request.py::test_only_its_own_signatures_go_back_to_anthropic, requests/geminis_signature",
    "e37": "test_responses.py::test_a_chat_request_in_its_words, test_sdks_answers.py::test_a_stop_sequence, "
    "test_responses.py::test_structured_output_is_asked_for_everywhere",
    "e38": "requests/json_schema, requests/json_object, test_sdks.py::test_json_by_schema, test_sdks.py::test_json_of_any_form",
    "e39": "test_responses_stream.py::test_a_stream_tells_every_step, "
    "test_responses_stream.py::test_a_backend_that_gives_no_reason_leaves_nothing_open, "
    "test_responses_gateway.py::test_a_stream_tells_the_whole_life_of_a_response",
    "e40": "test_responses.py::test_codex_can_work_with_chat, test_responses.py::test_codex_can_work_with_claude, "
    "test_responses.py::test_tools_of_a_namespace_are_flat_elsewhere_and_come_back_as_they_were_known",
    "e42": "test_responses_answers.py::test_usage_is_told_whole_and_read_whole, test_sdks_answers.py::test_usage",
    "e44": "test_properties.py::test_nothing_vanishes, test_properties.py::test_every_dropped_loss_is_true",
    "f45": "test_framing.py::test_a_character_cut_in_two_is_whole_again, test_sdks_answers.py::test_unicode_in_pieces",
    "f46": "test_framing.py::test_agrees_with_the_reference_however_cut, test_framing.py::test_reads_what_the_standard_says",
}


@cache
def defined_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_case_has_its_test():
    here = {match[1] for name in defined_in(Path(__file__).name) if (match := re.match(r"test_([a-hs]\d+)_", name))}
    assert here | set(ELSEWHERE) == set(CASES)
    assert here & set(ELSEWHERE) == set()


@pytest.mark.parametrize("case", ELSEWHERE)
def test_what_is_elsewhere_is_there(case: str):
    for place in ELSEWHERE[case].split(", "):
        file, colons, name = place.partition("::")
        if colons:
            assert name in defined_in(file), place
        else:
            assert (TESTS / "vectors" / place / "case.json").exists(), place


# How a case is put


def read(protocol: str, body: Json, model: str | None = None) -> Request:
    return PROTOCOLS[protocol].parse_request(deepcopy(body), model, None)


def written(request: Request, protocol: str, to: str | Target) -> tuple[Any, dict[str, str]]:
    """The body for a backend, and what was lost, by IR path."""
    losses = Losses()
    body = PROTOCOLS[protocol].format_request(request, target(to) if isinstance(to, str) else to, losses)
    return msgspec.json.decode(encode_json(body)), {loss.path: loss.how for loss in losses}


def chat(*messages: Json, **more: Any) -> Json:
    return {"model": "gpt-4o", "messages": list(messages) or [{"role": "user", "content": "hi"}], **more}


def ask(*messages: Json, **more: Any) -> Json:
    return {
        "model": "claude-sonnet-4-6",
        "max_tokens": 99,
        "messages": list(messages) or [{"role": "user", "content": "hi"}],
        **more,
    }


def function(schema: Json, **more: Any) -> Json:
    return {"type": "function", "function": {"name": "f", "parameters": schema, **more}}


def streamed(source: str, goal: str, *chunks: Any) -> list[tuple[str | None, Any]]:
    """What a client is sent for these chunks of a backend."""
    asked = Request(model="m", messages=[], stream=True)
    parser, formatter = PROTOCOLS[source].Parser(), PROTOCOLS[goal].Formatter(asked, Losses())
    outs = []
    for chunk in chunks:
        data = chunk if isinstance(chunk, bytes) else encode_json(chunk)
        outs += formatter.feed(parser.feed(Frame(None, data)))
    outs += formatter.feed(parser.close())
    decoder = sse.Decoder(1 << 20)
    found = decoder.feed(sse.encode_all(outs))
    return [(frame.event, "[DONE]" if frame.data == b"[DONE]" else json.loads(frame.data)) for frame in found]


def delta(finish: str | None = None, **said: Any) -> Json:
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def call(index: int, arguments: str = "", **more: Any) -> Json:
    return {"index": index, "function": {"arguments": arguments, **({"name": "f"} if more else {})}, **more}


BLOCK_OF = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "thinking", "input_json_delta": "tool_use"}

WORDS_OF = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "", "input_json_delta": "partial_json"}


def message(events: list[tuple[str | None, Any]]) -> list[tuple[str, str]]:
    """The blocks of a Messages stream, (type, words). Fails where an SDK would: a gap, a stray delta, a second start."""
    names = [name for name, _ in events]
    assert names == [data["type"] for _, data in events]
    assert names[0] == "message_start" and names[-2:] == ["message_delta", "message_stop"]
    assert names.count("message_start") == names.count("message_delta") == 1
    blocks: list[tuple[str, str]] = []
    opened: int | None = None
    for name, data in events[1:-2]:
        if name == "content_block_start":
            assert opened is None and data["index"] == len(blocks)
            opened = data["index"]
            blocks.append((data["content_block"]["type"], ""))
        elif name == "content_block_delta":
            kind, words = blocks[-1]
            assert data["index"] == opened and BLOCK_OF[data["delta"]["type"]] == kind
            blocks[-1] = kind, words + data["delta"].get(WORDS_OF[data["delta"]["type"]], "")
        else:
            assert (name, data["index"]) == ("content_block_stop", opened)
            opened = None
    assert opened is None
    return blocks


# a. Seen in a popular gateway


def test_s3_const_is_the_value_and_nothing_weaker():
    schema = {"type": "object", "properties": {"kind": {"const": "tide"}}}
    request = read("openai", chat(tools=[function(schema)]))
    body, losses = written(request, "gemini", "gemini-2.5-flash")
    assert body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == schema
    older = Target("gemini-2.5-flash", facts("gemini-2.5-flash"), frozenset({"openapi_schema"}))
    old, old_losses = written(request, "gemini", older)
    assert old["tools"][0]["functionDeclarations"][0]["parameters"]["properties"]["kind"] == {"type": "STRING", "enum": ["tide"]}
    assert losses == old_losses == {}


def test_s4_strict_reaches_anthropic():
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    body, losses = written(read("openai", chat(tools=[function(schema, strict=True)])), "anthropic", "claude-sonnet-4-6")
    assert (body["tools"][0]["strict"], losses) == (True, {})


def test_s5_one_call_at_a_time_is_carried_or_reported():
    tools = [function({"type": "object", "properties": {}})]
    request = read("openai", chat(tools=tools, parallel_tool_calls=False))
    body, losses = written(request, "anthropic", "claude-sonnet-4-6")
    assert (body["tool_choice"], losses) == ({"type": "auto", "disable_parallel_tool_use": True}, {})
    assert written(request, "gemini", "gemini-2.5-flash")[1] == {"tool_choice.parallel": "dropped"}


def test_s13_a_messages_client_before_a_server_of_the_chat_dialect():
    """Each of the fields that vanish elsewhere is carried, or reported by name."""
    source = {"type": "text", "media_type": "text/plain", "data": "Tides."}
    thoughts = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}, {"type": "redacted_thinking", "data": "cmVk"}]
    told = ask(
        {
            "role": "user",
            "content": [
                {"type": "document", "source": source, "citations": {"enabled": True}, "cache_control": {"type": "ephemeral"}}
            ],
        },
        {"role": "assistant", "content": [*thoughts, {"type": "tool_use", "id": "c1", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": True}]},
        metadata={"user_id": "u"},
        tools=[{"name": "f", "input_schema": {"type": "object"}}],
        tool_choice={"type": "auto", "disable_parallel_tool_use": True},
    )
    body, losses = written(read("anthropic", told), "openai", "llama-4-maverick")
    assert (body["user"], body["parallel_tool_calls"]) == ("u", False)
    assert body["messages"][0]["content"][0]["prompt_cache_breakpoint"] == {"mode": "explicit"}
    assert "Hm." not in json.dumps(body), "thinking is not told as if it were words"
    assert losses == {
        "messages[0].parts[0].citable": "dropped",
        "messages[1].parts[0]": "dropped",
        "messages[1].parts[1]": "dropped",
        "messages[2].parts[0].error": "dropped",
    }


def test_s15_what_is_mended_elsewhere_stays_right_here():
    """Whole arguments in one chunk; no finish reason; reasoning after words; the cached tokens apart at the end."""
    whole = call(0, '{"a":1}', id="c1", type="function")
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    chunks = [
        delta(role="assistant", content=""),
        delta(reasoning_content="Hm."),
        delta(content="Hi."),
        delta(reasoning_content="Hm, again."),
        delta(tool_calls=[whole]),
        {**delta(), "choices": [], "usage": usage},
        b"[DONE]",
    ]
    events = streamed("openai", "anthropic", *chunks)
    assert message(events) == [("thinking", "Hm."), ("text", "Hi."), ("thinking", "Hm, again."), ("tool_use", '{"a":1}')]
    assert events[-2][1]["delta"]["stop_reason"] == "tool_use"
    assert events[-2][1]["usage"] == {"input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 2}


# b. Messages client, OpenAI-style or Gemini upstream


@pytest.mark.parametrize("pieces", [['{"a":1}'], ["", '{"a"', ":1}"], ['{"a":1}', ""]])
def test_b01_arguments_reach_the_client_however_they_come(pieces: list[str]):
    opening = call(0, pieces[0], id="c1", type="function")
    chunks = [delta(tool_calls=[opening]), *(delta(tool_calls=[call(0, piece)]) for piece in pieces[1:])]
    assert message(streamed("openai", "anthropic", *chunks, delta("tool_calls"), b"[DONE]")) == [("tool_use", '{"a":1}')]


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_b03_a_delta_stands_in_a_block_of_its_kind(field: str):
    chunks = [delta(content="a"), delta(**{field: "b"}), delta(content="c", **{field: "d"}), delta("stop"), b"[DONE]"]
    found = message(streamed("openai", "anthropic", *chunks))
    assert found == [("text", "a"), ("thinking", "bd"), ("text", "c")]


def test_b04_empty_tool_calls_are_no_calls():
    chunks = [
        delta(role="assistant", content="", tool_calls=[]),
        delta(content="Hi", tool_calls=[]),
        delta("stop", tool_calls=[]),
    ]
    events = streamed("openai", "anthropic", *chunks, b"[DONE]")
    assert message(events) == [("text", "Hi")]
    assert events[-2][1]["delta"]["stop_reason"] == "end_turn"


def test_b05_block_indices_have_no_gap_and_none_is_closed_unopened():
    """Calls from 3 on, out of order, one without a word; an empty text before them."""
    chunks = [
        delta(role="assistant", content=""),
        delta(tool_calls=[call(5, id="c5", type="function"), call(3, '{"a"', id="c3", type="function")]),
        delta(tool_calls=[call(3, ":1}"), call(5, "{}")]),
        delta(tool_calls=[call(9, id="c9", type="function")]),
        delta("tool_calls"),
        b"[DONE]",
    ]
    assert message(streamed("openai", "anthropic", *chunks)) == [("tool_use", "{}"), ("tool_use", '{"a":1}'), ("tool_use", "")]


def test_b06_a_second_stretch_of_reasoning_has_a_start_of_its_own():
    chunks = [
        delta(reasoning_content="a"),
        delta(tool_calls=[call(0, "{}", id="c", type="function")]),
        delta(reasoning_content="b"),
    ]
    found = message(streamed("openai", "anthropic", *chunks, delta("tool_calls"), b"[DONE]"))
    assert found == [("thinking", "a"), ("tool_use", "{}"), ("thinking", "b")]


@pytest.mark.parametrize("goal", ["openai", "anthropic", "gemini"])
def test_b07_the_first_words_are_not_lost(goal: str):
    """They may stand beside the role."""
    events = streamed(
        "openai", goal, delta(role="assistant", content="First"), delta(content=" second"), delta("stop"), b"[DONE]"
    )
    said = re.findall(r"'(?:text|content)': '([^']*)'", str([data for _, data in events]))
    assert "".join(said) == "First second"


def test_b08_a_model_that_wants_its_reasoning_back_gets_it():
    """What it said to a Messages client comes back to it as reasoning_content, and to no other."""
    said = {"role": "assistant", "content": None, "reasoning_content": "Look first."}
    said["tool_calls"] = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    choice = {"index": 0, "message": said, "finish_reason": "tool_calls"}
    answer = PROTOCOLS["openai"].parse_response({"id": "a", "model": "kimi-k3", "created": 1, "choices": [choice]})
    told = PROTOCOLS["anthropic"].format_response(answer, Request(model="m", messages=[]), Losses())
    turn = {"role": "assistant", "content": msgspec.json.decode(encode_json(told["content"]))}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]}
    request = read("anthropic", ask({"role": "user", "content": "hi"}, turn, result))
    body, losses = written(request, "openai", "kimi-k3")
    assert (body["messages"][1]["reasoning_content"], losses) == ("Look first.", {})
    assert "Look first." not in json.dumps(written(request, "anthropic", "claude-sonnet-4-6")[0])


def test_b10_results_come_before_what_else_the_user_says():
    content = [{"type": "text", "text": "Here:"}, {"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]
    turn = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]}
    body, _ = written(
        read("anthropic", ask({"role": "user", "content": "hi"}, turn, {"role": "user", "content": content})), "openai", "gpt-4o"
    )
    assert body["messages"][2:] == [{"role": "tool", "tool_call_id": "c1", "content": "ok"}, {"role": "user", "content": "Here:"}]


async def test_b13_a_count_that_fails_fails_in_the_clients_words(start: Start):
    house: House = await start()
    house.refusals = True
    refused: Any = {"type": "image", "source": {"type": "url", "url": "https://youtu.be/"}}
    async with anthropic.AsyncAnthropic(api_key="k", base_url=house.url, max_retries=0) as client:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await client.messages.count_tokens(model=PLAIN["gemini"], messages=[{"role": "user", "content": [refused]}])
    body: Any = caught.value.body
    assert body.keys() == {"type", "error"} and body["error"].keys() == {"type", "message"}
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")


# c. Gemini upstream


def test_c15_an_id_holds_no_signature_and_fits():
    """Another gateway hid a signature in an id: OpenAI would refuse its length."""
    long = "call_1__thought__" + "x" * 932
    turn = {"role": "assistant", "content": [{"type": "tool_use", "id": long, "name": "f", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": long, "content": "ok"}]}
    body, _ = written(read("anthropic", ask({"role": "user", "content": "hi"}, turn, result)), "openai", "gpt-4o")
    one, other = body["messages"][1]["tool_calls"][0]["id"], body["messages"][2]["tool_call_id"]
    assert one == other and len(one) <= 64
    part = {"functionCall": {"name": "f", "id": "c1", "args": {}}, "thoughtSignature": "c2ln" * 400}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    answer = PROTOCOLS["gemini"].parse_response({"candidates": [candidate], "responseId": "r"})
    told = PROTOCOLS["openai"].format_response(answer, Request(model="m", messages=[]), Losses())
    assert told["choices"][0]["message"]["tool_calls"][0]["id"] == "c1"


def test_c18_a_fallback_finds_the_request_as_it_was():
    """Formatting for one backend changes nothing for the next: not a schema, not a message."""
    schema = {
        "$schema": "x",
        "type": "object",
        "properties": {"a": {"const": 1}},
        "additionalProperties": False,
        "required": ["a"],
    }
    body = chat(
        {"role": "system", "content": "s"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        tools=[function(schema, strict=True)],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        reasoning_effort="high",
    )
    request = read("openai", body)
    before = msgspec.json.encode(request)
    older = Target("gemini-3-pro", facts("gemini-3-pro"), frozenset({"openapi_schema"}))
    for protocol, to in (("gemini", older), ("anthropic", "claude-opus-4-8"), ("gemini", "gemini-3-pro")):
        written(request, protocol, to)
        assert msgspec.json.encode(request) == before
    assert written(request, "openai", "gpt-5")[0]["tools"] == body["tools"]


def test_c20_what_vertex_takes_and_refuses():
    """No ids there; gs:// is its own store; and a result finds its function's name by the call."""
    turns = [
        {"role": "user", "parts": [{"text": "hi"}, {"fileData": {"fileUri": "gs://bucket/a.png", "mimeType": "image/png"}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "c1", "args": {}}}]},
    ]
    request = read("gemini", {"contents": turns}, "gemini-2.5-flash")
    request.messages[-1:] = read(
        "openai",
        chat(
            {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
        ),
    ).messages
    result = read("openai", chat({"role": "tool", "tool_call_id": "c1", "content": "ok"})).messages[0]
    assert isinstance(result.parts[0], ToolResult) and result.parts[0].name is None
    request.messages.append(result)
    request.extras = {}
    vertex = Target("gemini-2.5-flash", facts("gemini-2.5-flash"), frozenset({"no_ids"}))
    contents = written(request, "gemini", vertex)[0]["contents"]
    assert contents[0]["parts"][1]["fileData"]["fileUri"] == "gs://bucket/a.png"
    assert contents[1]["parts"] == [{"functionCall": {"name": "f", "args": {}}}]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "f", "response": {"output": "ok"}}}]


# e. Anthropic upstream


@pytest.mark.parametrize("thinking", [None, {"type": "adaptive"}, {"type": "adaptive", "display": "omitted"}])
def test_e33_no_display_is_asked_for_that_the_client_did_not_ask_for(thinking: Json | None):
    own = ask(**({"thinking": thinking} if thinking else {}))
    assert written(read("anthropic", own), "anthropic", "claude-opus-4-8")[0].get("thinking") == thinking
    assert written(read("openai", chat(reasoning_effort="high")), "anthropic", "claude-opus-4-8")[0]["thinking"] == {
        "type": "adaptive"
    }


def test_e36_fields_of_a_tool_are_carried_or_reported():
    schema = {"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "additionalProperties": False}
    tool = {"name": "f", "input_schema": schema, "strict": True, "allowed_callers": ["direct"]}
    request = read("anthropic", ask(tools=[tool]))
    assert written(request, "anthropic", "claude-sonnet-4-6")[0]["tools"] == [tool]
    body, losses = written(request, "openai", "gpt-4o")
    assert body["tools"] == [function(schema, strict=True)]
    assert losses == {"tools[0].allowed_callers": "dropped"}
    developer = read("openai", chat({"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}))
    assert written(developer, "anthropic", "claude-sonnet-4-6") == (
        {**ask(), "max_tokens": 128_000, "system": "Be brief."},
        {},
    )


def test_e41_a_reasoning_model_is_told_its_own_limit_and_no_temperature():
    request = read("anthropic", ask(temperature=0.5))
    body, losses = written(request, "openai", "gpt-5")
    assert (body["max_completion_tokens"], losses) == (99, {"temperature": "dropped"})
    assert body.keys().isdisjoint({"max_tokens", "temperature"})
    plain, none = written(request, "openai", "gpt-4o")
    assert (plain["max_tokens"], plain["temperature"], none) == (99, 0.5, {})


@pytest.mark.parametrize("to", [("openai", "some/model"), ("anthropic", "claude-sonnet-4-6"), ("gemini", "gemini-2.5-flash")])
def test_e43_a_prompt_is_the_same_bytes_each_time(to: tuple[str, str]):
    """A cache is hit only so: marks stay, tools keep their order, and nothing depends on the time or on chance."""
    names = ["zeta", "alpha", "mid"]
    tools = [{"name": name, "input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}} for name in names]
    mark = {"cache_control": {"type": "ephemeral"}}
    told = ask(
        {"role": "user", "content": [{"type": "text", "text": "hi", **mark}]},
        tools=tools,
        system=[{"type": "text", "text": "s", **mark}],
    )
    protocol, model = to
    first, second = (written(read("anthropic", told), protocol, model)[0] for _ in range(2))
    assert encode_json(first) == encode_json(second)
    words = json.dumps(first["tools"])
    assert sorted(names, key=words.index) == names and words.index('"b"') < words.index('"a"')
    marks = {"openai": "prompt_cache_breakpoint", "anthropic": "cache_control"}
    assert json.dumps(first).count(marks.get(protocol, "cache")) == (0 if protocol == "gemini" else 2)


# f. Streaming and transport


@pytest.mark.parametrize("goal", ["openai", "anthropic", "gemini", "responses"])
@pytest.mark.parametrize("break_", ["\u2028", "\u2029", "\x85", "\x0b", "\x1c"])
def test_f47_what_python_takes_for_a_line_end_is_text(goal: str, break_: str):
    words = f"one{break_}two"
    events = streamed("openai", goal, delta(content=words), delta("stop"), b"[DONE]")
    assert words in [leaf for _, data in events for leaf in leaves(data)]


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict | list):
        return [leaf for item in (value.values() if isinstance(value, dict) else value) for leaf in leaves(item)]
    return [value]


def test_f47_nobody_splits_lines_so():
    sources = (TESTS.parent / "interlingua").rglob("*.py")
    calls = [
        node
        for file in sources
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    ]
    assert [node.attr for node in calls if node.attr == "splitlines"] == []


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
FIRST = b"data: " + encode_json(delta(role="assistant", content="First")) + b"\n\n"
REST = b"data: " + encode_json(delta("stop")) + b"\n\ndata: [DONE]\n\n"


def piece(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Provider:
    """A provider that says `first`, waits to be let go on, and knows when its client has left."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.go_on = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, peer: peers.Peer) -> None:
        await peer.request()
        await peer.send(HEAD + (piece(self.first) if self.first else b""))
        waits = [asyncio.ensure_future(self.go_on.wait()), asyncio.ensure_future(peer.left())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.go_on.is_set():
            await peer.send(piece(REST) + b"0\r\n\r\n")
        else:
            self.left.set()


@asynccontextmanager
async def before(provider: Provider, folder: Path, more: str = "") -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway before this provider."""
    async with peers.serve(provider) as upstream:
        url = f"http://127.0.0.1:{upstream.origin.port}"
        async with (
            gateway_of(configured(folder, url, more)) as (_, address),
            httpx2.AsyncClient(base_url=address, timeout=5) as client,
        ):
            yield client


HI: list[Any] = [{"role": "user", "content": "hi"}]
ASKED: dict[str, Json] = {
    "/v1/messages": {"model": "openai/gpt-4o", "max_tokens": 9, "stream": True, "messages": HI},
    "/v1/chat/completions": {"model": "openai/gpt-4o", "stream": True, "messages": HI},
    "/v1/responses": {"model": "openai/gpt-4o", "stream": True, "input": "hi"},
    "/v1beta/models/openai%2Fgpt-4o:streamGenerateContent?alt=sse": {"contents": [{"parts": [{"text": "hi"}]}]},
    "/model/openai%2Fgpt-4o/converse-stream": {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
}
BEATS = dict(
    zip(
        ASKED,
        (b'event: ping\ndata: {"type":"ping"}\n\n', b": keep-alive\n\n", b": keep-alive\n\n", b"\n", eventstream.HEARTBEAT),
        strict=True,
    )
)
LAST = dict(zip(ASKED, (b"message_stop", b"[DONE]", b"response.completed", b'"STOP"', b"metadata"), strict=True))


@pytest.mark.parametrize("path", ASKED)
async def test_f48_a_stream_is_passed_on_as_it_comes_and_ends(tmp_path: Path, path: str):
    provider = Provider(FIRST)
    async with before(provider, tmp_path) as client, client.stream("POST", path, json=ASKED[path]) as answer:
        pieces = answer.aiter_raw()
        seen = b""
        while b"First" not in seen:
            seen += await anext(pieces)
        assert LAST[path] not in seen
        provider.go_on.set()
        assert LAST[path] in b"".join([data async for data in pieces])


@pytest.mark.parametrize("path", ASKED)
async def test_f49_a_client_hears_of_life_before_the_first_word(tmp_path: Path, path: str):
    provider = Provider(b"")
    async with (
        before(provider, tmp_path, "[routing]\nheartbeat = '20ms'") as client,
        client.stream("POST", path, json=ASKED[path]) as answer,
    ):
        pieces = answer.aiter_raw()
        assert await anext(pieces) == BEATS[path]
        provider.go_on.set()
        assert LAST[path] in b"".join([data async for data in pieces])


@pytest.mark.parametrize("path", ASKED)
async def test_f50_a_provider_is_left_when_its_client_leaves(tmp_path: Path, path: str):
    provider = Provider(FIRST)
    async with before(provider, tmp_path) as client:
        async with client.stream("POST", path, json=ASKED[path]) as answer:
            assert await anext(answer.aiter_raw())
        async with asyncio.timeout(5):
            await provider.left.wait()


# g. Memory, h. Fallback: what concerns streams


def alive() -> list[object]:
    """All that is of one request."""
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, server.Exchange | server.Stream | Call | Answer)]


@pytest.mark.parametrize("path", ASKED)
async def test_g51_a_stream_leaves_nothing_behind(start: Start, path: str):
    """Whether it came to its end, was left, or broke."""
    others = alive()  # whatever other tests have kept
    house = await start()
    async with httpx2.AsyncClient(base_url=house.url, timeout=5) as client:
        for words in ("hi", "[[cut:1]]", "[[gap:5]] " + "word " * 2000):
            body = json.loads(json.dumps(ASKED[path]).replace('"hi"', json.dumps(words)))
            async with client.stream("POST", path, json=body) as answer:
                pieces = answer.aiter_raw()
                while await anext(pieces, None) and "gap" not in words:
                    pass
    await peers.settle(lambda: house.mock.journal.aborted == 1)
    assert [thing for thing in alive() if not any(thing is other for other in others)] == []


@pytest.mark.parametrize(("words", "tokens"), [("[[error_event:0]]", 0), ("[[cut:0]]", 0), ("[[500]]", 0), ("hi", 1)])
async def test_h54_an_error_is_no_first_token(start: Start, words: str, tokens: int):
    house = await start()
    async with httpx2.AsyncClient(base_url=house.url, timeout=5) as client:
        body = {**ASKED["/v1/messages"], "messages": [{"role": "user", "content": words}]}
        await client.post("/v1/messages", json=body)
        found = re.findall(r"^interlingua_\w*first\w*_count\{.*\} (\S+)$", (await client.get("/metrics")).text, re.M)
    assert sum(map(float, found)) == tokens
