"""Gemini generateContent, as a client's protocol and as a backend's: what is read, what is written, what is told as lost."""

import copy
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlingua.carry import MARK, seal
from interlingua.errors import InvalidRequest
from interlingua.ir import (
    AnyPart,
    Cache,
    Choice,
    Function,
    Media,
    Message,
    Opaque,
    Output,
    Reasoning,
    Request,
    Response,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.protocols import gemini, openai, target
from interlingua.protocols.gemini.parts import DUMMY_SIGNATURE, slot, unsealed
from interlingua.protocols.wire import decode_json, encode_json

PNG = "iVBORw0KGgo="

BODY: dict[str, Any] = {
    "systemInstruction": {"role": "user", "parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "look"},
                {
                    "inlineData": {"mimeType": "image/png", "data": "-_-_", "displayName": "a.png"},
                    "mediaResolution": {"level": "HIGH"},
                },
                {"fileData": {"fileUri": "gs://b/x.mp4", "mimeType": "video/mp4"}, "videoMetadata": {"fps": 2}},
                {"fileData": {"fileUri": "https://example.com/x.png"}},
                {"inlineData": {"data": "AAAA"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "hm", "thought": True, "thoughtSignature": "QUJD"},
                {"text": "so", "thought": False, "partMetadata": {"snake_key": 1}},
                {"functionCall": {"name": "f", "args": {"snake_case": 1, "deep": [{"a_b": 1.5}]}}, "thoughtSignature": "-_8="},
                {"functionCall": {"id": "own", "name": "f", "args": {}, "futureField": 1}},
                {"functionCall": {"name": "g"}},
                {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "REVG"},
                {"toolCall": {"id": "t", "toolType": "GOOGLE_SEARCH_WEB", "args": {"q": 1}}},
                {"newKind": {"x_y": 1}},
                {"text": "", "thoughtSignature": "R0hJ"},
            ],
        },
        {
            "role": "function",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"output": "ok"}}},
                {"functionResponse": {"id": "own", "name": "f", "response": {"temp": 3, "a_b": None}, "scheduling": "SILENT"}},
                {"functionResponse": {"name": "g", "response": {"error": "broke"}}},
                {"functionResponse": {"name": "g", "response": {"result": "words"}}},
                {
                    "functionResponse": {
                        "name": "g",
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"x": 1}],
                    }
                },
            ],
        },
        {"role": "user", "parts": []},
        {"parts": [{"text": "go on"}], "unknownField": [1]},
        {"role": "model"},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "f",
                    "description": "d",
                    "parameters": {"type": "OBJECT", "properties": {"any_of": {"type": "INTEGER", "nullable": True}}},
                    "response": {"type": "STRING"},
                },
                {
                    "name": "g",
                    "parametersJsonSchema": {"type": "object", "properties": {"min_items": {"const": 1}}},
                    "behavior": "BLOCKING",
                },
            ],
            "googleSearch": {"timeRangeFilter": {}},
        },
        {"codeExecution": {}},
        {"bornLater": {"snake_key": 1}},
    ],
    "toolConfig": {
        "functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"], "streamFunctionCallArguments": True},
        "retrievalConfig": {"languageCode": "en"},
    },
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40.0,
        "maxOutputTokens": 100,
        "stopSequences": ["a", "b", "c", "d", "e", "f"],
        "seed": 3,
        "candidateCount": 2,
        "presencePenalty": 0.1,
        "frequencyPenalty": -0.1,
        "responseLogprobs": True,
        "logprobs": 2,
        "responseMimeType": "application/json",
        "responseSchema": {"type": "STRING", "enum": ["a"]},
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH", "bornLater": 1},
        "speechConfig": {"languageCode": "de"},
        "mediaResolution": "MEDIA_RESOLUTION_NEW",
    },
    "safetySettings": [{"category": "HARM_CATEGORY_NEW", "threshold": "OFF"}],
    "cachedContent": "cachedContents/1",
    "labels": {"team_name": "a_b"},
    "serviceTier": "flex",
    "future_field": {"z_z": 1},
}
USERS = {
    "args",
    "response",
    "partMetadata",
    "labels",
    "properties",
    "newKind",
    "bornLater",
    "future_field",
    "parametersJsonSchema",
    "responseSchema",
}


def read(body: dict[str, Any], model: str = "gemini-3-pro") -> Request:
    return gemini.parse_request(copy.deepcopy(body), model, False)


def write(request: Request, model: str = "gemini-3-pro", *quirks: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    losses = Losses()
    before = encode_json(request)
    out = gemini.format_request(request, target(model, frozenset(quirks)), losses)
    assert encode_json(request) == before, "formatting changed the request"
    return out, [(loss.path, loss.how) for loss in losses]


def asked(*messages: Message, **fields: Any) -> Request:
    return Request(model="m", messages=list(messages), **fields)


def user(*parts: AnyPart) -> Message:
    return Message(role="user", parts=list(parts))


def model(*parts: AnyPart) -> Message:
    return Message(role="assistant", parts=list(parts))


def snake(value: Any, mixed: bool = False) -> Any:
    """The body with Google's own names spelled with underscores: all of them, or every other one."""
    if isinstance(value, list):
        return [snake(item, mixed) for item in value]
    if not isinstance(value, dict):
        return value
    out: dict[str, Any] = {}
    for i, (key, inner) in enumerate(value.items()):
        name = key if mixed and i % 2 else re.sub("[A-Z]", lambda m: "_" + m[0].lower(), key)
        out[name] = inner if key in USERS else snake(inner, mixed)
    return out


# A request of its own: nothing is lost, whatever the spelling


def test_a_request_comes_back_as_it_came() -> None:
    assert write(read(BODY)) == (BODY, [])
    assert write(read(BODY), "gemini-2.5-flash") == (BODY, [])


@pytest.mark.parametrize("mixed", [False, True])
def test_underscores_are_read_and_users_own_names_kept(mixed: bool) -> None:
    out, losses = write(read(snake(BODY, mixed)))
    assert losses == []
    assert camel(out) == camel(BODY)
    assert out["contents"][1]["parts"][2] == BODY["contents"][1]["parts"][2]
    assert out["generationConfig"].keys() == BODY["generationConfig"].keys() - {"bornLater"}
    assert read(snake(BODY, mixed)).tools[:2] == read(BODY).tools[:2]


def camel(value: Any) -> Any:
    """The same meaning in one spelling, to compare by."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    named = {re.sub("_([a-z])", lambda m: m[1].upper(), key): inner for key, inner in value.items()}
    return {key: inner if key in USERS else camel(inner) for key, inner in named.items()}


json_values = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)
parts = st.one_of(
    st.builds(lambda t, x: {"text": t, **x}, st.text(max_size=5), st.dictionaries(st.just("future"), json_values, max_size=1)),
    st.builds(lambda t: {"text": t, "thought": True, "thoughtSignature": "QUJD"}, st.text(max_size=5)),
    st.builds(
        lambda a: {"functionCall": {"name": "f", "args": a}}, st.dictionaries(st.text(max_size=4), json_values, max_size=3)
    ),
    st.builds(
        lambda r: {"functionResponse": {"name": "f", "response": r}},
        st.dictionaries(st.text(max_size=6), json_values, max_size=3),
    ),
    st.builds(lambda d: {"inlineData": {"mimeType": "audio/x", "data": urlsafe_b64encode(d).decode()}}, st.binary(max_size=5)),
    st.builds(lambda v: {"unheardOf": v}, json_values),
)
contents = st.builds(
    lambda role, said: {"role": role, "parts": said},
    st.sampled_from(("user", "model", "function")),
    st.lists(parts, max_size=3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(contents, min_size=1, max_size=4))
def test_any_contents_come_back_as_they_came(told: list[Any]) -> None:
    body = {"contents": told, "generationConfig": {"unheardOf": 1}}
    assert write(read(body), "gemini-2.5-pro") == (body, [])


@pytest.mark.parametrize("told", ["hi", {"text": "hi"}, ["hi"], {"parts": [{"text": "hi"}]}, {"role": "user", "parts": "hi"}])
def test_what_sdks_may_send_for_contents(told: Any) -> None:
    request = read({"contents": told, "systemInstruction": "sys"})
    assert request.messages[0].role == "system" and request.messages[0].parts == [Text(text="sys")]
    assert request.messages[1].role == "user" and request.messages[1].parts == [Text(text="hi")]


def test_the_model_and_the_stream_are_the_paths() -> None:
    request = gemini.parse_request({"contents": "a"}, "gemini-x", True)
    assert (request.model, request.stream) == ("gemini-x", True)
    assert gemini.parse_request({"contents": "a", "model": "models/gemini-y"}).model == "gemini-y"
    assert "model" not in write(request)[0] and "stream" not in write(request)[0]


def test_what_is_read_of_it() -> None:
    request = read(BODY)
    seen, said, results, critic, bare, empty = request.messages[1:]
    picture, film, page, raw = seen.parts[1:]
    assert isinstance(picture, Media) and (picture.kind, picture.data, picture.name) == ("image", "-_-_", "a.png")
    assert isinstance(film, Media) and (film.kind, film.file, film.url) == ("video", "gs://b/x.mp4", None)
    assert isinstance(page, Media) and page.url == "https://example.com/x.png"
    assert isinstance(raw, Media) and (raw.kind, raw.mime) == ("document", None)
    assert isinstance(said.parts[0], Thinking) and said.parts[0].signature == Signature("gemini", "QUJD")
    calls = [part for part in said.parts if isinstance(part, ToolCall)]
    assert [(c.id, c.arguments) for c in calls] == [
        ("call_1_2", '{"snake_case":1,"deep":[{"a_b":1.5}]}'),
        ("own", "{}"),
        ("call_1_4", ""),
    ]
    told = [part for part in results.parts if isinstance(part, ToolResult)]
    assert [(r.id, r.error) for r in told[:3]] == [("call_1_2", False), ("own", False), ("call_1_4", True)]
    assert [part.text for r in told[:4] for part in r.parts if isinstance(part, Text)] == [
        "ok",
        '{"temp":3,"a_b":null}',
        "broke",
        "words",
    ]
    assert critic.role == bare.role == "user" and empty.role == "assistant"
    assert request.tool_choice == ToolChoice(mode="auto", names=["f"])
    assert request.reasoning is not None and (request.reasoning.effort, request.reasoning.visible) == ("high", True)
    assert request.output is not None and request.output.schema == {"type": "string", "enum": ["a"]}
    assert request.top_k == 40 and type(request.top_k) is int


def test_calls_of_one_function_never_share_an_id() -> None:
    """S2. The ids come of the place, so they are the same in the next turn."""
    call = {"functionCall": {"name": "t", "args": {}}}
    answer = {"functionResponse": {"name": "t", "response": {"output": "x"}}}
    told = [{"role": "model", "parts": [call, call]}, {"role": "user", "parts": [answer, answer]}]
    first = read({"contents": told})
    second = read({"contents": [*told, {"role": "model", "parts": [call]}, {"role": "user", "parts": [answer]}]})
    ids = [part.id for message in second.messages for part in message.parts if isinstance(part, ToolCall | ToolResult)]
    assert ids == ["call_0_0", "call_0_1", "call_0_0", "call_0_1", "call_2_0", "call_2_0"]
    assert ids[:4] == [part.id for message in first.messages for part in message.parts if isinstance(part, ToolCall | ToolResult)]


def test_a_result_without_id_finds_the_call_of_its_name() -> None:
    told = [
        {"role": "model", "parts": [{"functionCall": {"id": "1", "name": "a"}}, {"functionCall": {"id": "2", "name": "b"}}]},
        {"parts": [{"functionResponse": {"name": "b", "response": {}}}, {"functionResponse": {"name": "a", "response": {}}}]},
    ]
    results = read({"contents": told}).messages[1].parts
    assert [part.id for part in results if isinstance(part, ToolResult)] == ["2", "1"]
    assert write(read({"contents": told}), "gemini-2.5-pro")[0]["contents"] == told


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "contents"),
        ({"contents": 5}, "contents"),
        ({"contents": [5]}, "contents[0]"),
        ({"contents": [{"parts": [5]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [{"parts": [{"function_call": {"name": "f", "args": 5}}]}]}, "contents[0].parts[0].functionCall.args"),
        ({"contents": [{"parts": [{"inlineData": {}}]}]}, "contents[0].parts[0].inlineData.data"),
        ({"contents": "a", "generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
        ({"contents": "a", "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        ({"contents": "a", "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        ({"contents": "a", "toolConfig": {"functionCallingConfig": {"mode": 5}}}, "toolConfig.functionCallingConfig.mode"),
    ],
)
def test_a_request_that_is_none_is_refused_by_its_field(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        gemini.parse_request(body, "m", False)
    assert caught.value.failure.param == param


def test_a_body_nested_beyond_reason_is_refused() -> None:
    args: dict[str, Any] = {}
    for _ in range(5000):
        args = {"a": args}
    with pytest.raises(InvalidRequest):
        gemini.parse_request({"contents": [{"parts": [{"functionCall": {"name": "f", "args": args}}]}]}, "m", False)


# Another protocol's request


OPENAI: dict[str, Any] = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "sys"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "2", "content": '{"not": "parsed"}'},
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "user", "content": "and?"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}},
        {"type": "function", "function": {"name": "g", "strict": True}},
    ],
    "tool_choice": "required",
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "max_completion_tokens": 64,
    "temperature": 1,
    "stop": "END",
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
}


def test_from_openai() -> None:
    out, losses = write(openai.parse_request(copy.deepcopy(OPENAI), None, None), "gemini-2.5-flash")
    assert out == {
        "systemInstruction": {"parts": [{"text": "sys"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"id": "1", "name": "f", "args": {"a": 1}}},
                    {"functionCall": {"id": "2", "name": "g"}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "1", "name": "f", "response": {"output": "one"}}},
                    {"functionResponse": {"id": "2", "name": "g", "response": {"output": '{"not": "parsed"}'}}},
                    {"text": "and?"},
                ],
            },
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object"}},
                    {"name": "g"},
                ]
            }
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "generationConfig": {
            "temperature": 1,
            "maxOutputTokens": 64,
            "candidateCount": 2,
            "responseLogprobs": True,
            "logprobs": 3,
            "stopSequences": ["END"],
            "thinkingConfig": {"thinkingBudget": 1024},
        },
    }
    assert losses == [("output", "dropped")]


def test_to_openai() -> None:
    body = {
        "systemInstruction": {"parts": [{"text": "sys"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "one"}}}]},
        ],
        "tools": [
            {"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}}}]}
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"maxOutputTokens": 9, "stopSequences": ["x", "y"], "responseMimeType": "application/json"},
    }
    losses = Losses()
    assert openai.format_request(read(body), target("gpt-4o"), losses) == {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "sys"},
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1_0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "tool_call_id": "call_1_0", "content": "one"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_object"},
        "max_tokens": 9,
        "stop": ["x", "y"],
    }
    assert losses == []


def test_a_system_turn_in_the_middle_joins_the_instruction() -> None:
    request = asked(user(Text(text="a")), Message(role="developer", parts=[Text(text="b")]), user(Text(text="c")))
    out, losses = write(request)
    assert out == {
        "systemInstruction": {"parts": [{"text": "b"}]},
        "contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "c"}]}],
    }
    assert losses == [("messages[1]", "changed")]


def test_an_instruction_alone_is_asked() -> None:
    out, losses = write(asked(Message(role="system", parts=[Text(text="a")])))
    assert out == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}
    assert losses == [("messages[0]", "changed")]


def test_an_empty_turn_is_left_out_and_told() -> None:
    """S11: no words are invented for it."""
    out, losses = write(asked(user(Text(text="a")), model(), user(Text(text="b"))))
    assert out == {"contents": [{"role": "user", "parts": [{"text": "a"}, {"text": "b"}]}]}
    assert losses == [("messages[1]", "dropped")]


def test_results_stand_in_one_turn_in_the_order_of_their_calls() -> None:
    """Pitfalls 16 and 20; words come after."""
    calls = model(ToolCall(id="1", name="f"), ToolCall(id="2", name="g"), ToolCall(id="3", name="f"))
    results = [ToolResult(id=i, parts=[Text(text=i)]) for i in "321"]
    request = asked(calls, user(Text(text="first"), results[0]), Message(role="tool", parts=[results[1], results[2]]))
    out, losses = write(request, "gemini-2.5-pro", "no_ids")
    told = [{"functionResponse": {"name": n, "response": {"output": i}}} for n, i in (("f", "1"), ("g", "2"), ("f", "3"))]
    assert out["contents"][1] == {"role": "user", "parts": [*told, {"text": "first"}]}
    assert out["contents"][0]["parts"][0] == {"functionCall": {"name": "f"}}
    assert losses == [("messages[1].parts[1]", "changed")]


def test_calls_and_results_that_do_not_match_are_told_and_nothing_is_invented() -> None:
    request = asked(model(ToolCall(id="1", name="f"), ToolCall(id="2", name="g")), user(ToolResult(id="1"), ToolResult(id="9")))
    out, losses = write(request, "gemini-2.5-pro")
    assert [part["functionResponse"]["name"] for part in out["contents"][1]["parts"]] == ["f", "9"]
    assert losses == [
        ("messages[1].parts[1].name", "added"),
        ("messages[0].parts[1]", "changed"),
        ("messages[1].parts[1]", "changed"),
    ]


@pytest.mark.parametrize(
    ("result", "response"),
    [
        (ToolResult(id="1", parts=[Text(text="a")]), {"output": "a"}),
        (ToolResult(id="1", parts=[Text(text="a")], error=True), {"error": "a"}),
        (ToolResult(id="1", parts=[Text(text="a"), Text(text="b")]), {"output": ["a", "b"]}),
        (ToolResult(id="1"), {"output": ""}),
        (ToolResult(id="1", error=True), {"error": ""}),
    ],
)
def test_a_results_words(result: ToolResult, response: dict[str, Any]) -> None:
    out, losses = write(asked(model(ToolCall(id="1", name="f")), user(result)), "gemini-2.5-pro")
    assert out["contents"][1]["parts"][0]["functionResponse"]["response"] == response
    assert losses == []


def test_what_is_seen_in_a_result() -> None:
    picture = Media(kind="image", data=PNG, mime="image/png")
    request = asked(
        model(ToolCall(id="1", name="f", signature=Signature("gemini", "QQ=="))),
        user(ToolResult(id="1", parts=[Text(text="a"), picture])),
    )
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    out, losses = write(request, "gemini-3-flash")
    assert out["contents"][1]["parts"] == [
        {"functionResponse": {"id": "1", "name": "f", "response": {"output": "a"}, "parts": [inline]}}
    ]
    assert losses == []
    out, losses = write(request, "gemini-2.5-flash")
    assert out["contents"][1]["parts"] == [{"functionResponse": {"id": "1", "name": "f", "response": {"output": "a"}}}, inline]
    assert losses == [("messages[1].parts[0].parts[1]", "changed")]


def test_only_the_first_unsigned_call_of_a_turn_gets_the_stand_in() -> None:
    """Pitfall 14."""
    foreign = Signature("anthropic", "x")
    turns = (model(ToolCall(id="1", name="f"), ToolCall(id="2", name="f")), user(ToolResult(id="1"), ToolResult(id="2")))
    signed = model(
        ToolCall(id="3", name="f", signature=Signature("gemini", "QUJD")), ToolCall(id="4", name="f", signature=foreign)
    )
    out, losses = write(asked(*turns, signed, user(ToolResult(id="3"), ToolResult(id="4"))), "gemini-3-pro-preview")
    signatures = [part.get("thoughtSignature") for content in out["contents"][::2] for part in content["parts"]]
    assert signatures == [DUMMY_SIGNATURE, None, "QUJD", None]
    assert b64decode(DUMMY_SIGNATURE) == b"skip_thought_signature_validator"
    assert losses == [("messages[0].parts[0].signature", "added"), ("messages[2].parts[1].signature", "dropped")]
    assert "thoughtSignature" not in str(write(asked(*turns), "gemini-2.5-pro")[0])


@pytest.mark.parametrize(
    ("part", "wire", "losses"),
    [
        (
            Media(kind="image", data=PNG, mime="image/png", name="n"),
            {"inlineData": {"mimeType": "image/png", "data": PNG, "displayName": "n"}},
            [],
        ),
        (Media(kind="image", data=PNG), {"inlineData": {"mimeType": "image/png", "data": PNG}}, [(".mime", "added")]),
        (Media(kind="document", text="ü"), {"inlineData": {"mimeType": "text/plain", "data": "w7w="}}, []),
        (Media(kind="audio", data="AAAA", mime="audio/wav"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}, []),
        (Media(kind="video", url="https://youtu.be/x"), {"fileData": {"fileUri": "https://youtu.be/x"}}, []),
        (
            Media(kind="image", file="gs://b/i", mime="image/png"),
            {"fileData": {"fileUri": "gs://b/i", "mimeType": "image/png"}},
            [],
        ),
        (Media(kind="image", url="https://example.com/i.png"), None, [("", "dropped")]),
        (Media(kind="document", file="file-123"), None, [("", "dropped")]),
        (Text(text="a", cache=Cache("1h")), {"text": "a"}, [(".cache", "dropped")]),
        (Text(text="a", refusal=True), {"text": "a"}, [(".refusal", "changed")]),
        (Text(text="a", signature=Signature("anthropic", "x")), {"text": "a"}, [(".signature", "dropped")]),
        (Text(text="a", signature=Signature("gemini", "QQ==")), {"text": "a", "thoughtSignature": "QQ=="}, []),
        (Text(), None, [("", "dropped")]),
        (
            Thinking(text="a", signature=Signature("gemini", "QQ==")),
            {"text": "a", "thought": True, "thoughtSignature": "QQ=="},
            [],
        ),
        (Thinking(text="a", signature=Signature("anthropic", "x")), None, [("", "dropped")]),
        (Thinking(text="a"), None, [("", "dropped")]),
        (Opaque(origin="anthropic", data={"type": "x"}), None, [("", "dropped")]),
    ],
)
def test_each_part_of_a_prompt(part: AnyPart, wire: dict[str, Any] | None, losses: list[tuple[str, str]]) -> None:
    out, told = write(asked(user(Text(text="."), part)))
    assert out["contents"][0]["parts"][1:] == ([wire] if wire is not None else [])
    assert told == [("messages[0].parts[1]" + path, how) for path, how in losses]


def test_a_host_that_fetches_is_given_the_address() -> None:
    """Pitfall 20: elsewhere only what Google stores or plays can be named."""
    out, losses = write(
        asked(user(Media(kind="image", url="https://example.com/i.png", mime="image/png"))), "gemini-3-pro", "external_urls"
    )
    assert out["contents"][0]["parts"] == [{"fileData": {"fileUri": "https://example.com/i.png", "mimeType": "image/png"}}]
    assert losses == []


@pytest.mark.parametrize("arguments", ["{broken", "[1]", '"a"', "5"])
def test_arguments_that_are_no_object_are_carried_in_one(arguments: str) -> None:
    """S10: they do not become {}."""
    out, losses = write(asked(model(ToolCall(id="1", name="f", arguments=arguments))), "gemini-2.5-pro")
    assert out["contents"][0]["parts"][0]["functionCall"]["args"] == {"INVALID_JSON": arguments}
    assert losses == [("messages[0].parts[0].arguments", "changed")]


def functions(*strict: bool | None) -> list[Any]:
    return [Function(name=f"f{i}", strict=s) for i, s in enumerate(strict)]


@pytest.mark.parametrize(
    ("choice", "strict", "config", "losses"),
    [
        (ToolChoice(mode="auto"), (None,), {"mode": "AUTO"}, []),
        (ToolChoice(mode="none"), (None,), {"mode": "NONE"}, []),
        (ToolChoice(mode="required"), (None,), {"mode": "ANY"}, []),
        (ToolChoice(mode="named", names=["f0"]), (None,), {"mode": "ANY", "allowedFunctionNames": ["f0"]}, []),
        (ToolChoice(mode="required", names=["f0"]), (None, None), {"mode": "ANY", "allowedFunctionNames": ["f0"]}, []),
        (ToolChoice(mode="auto", names=["f0"]), (None, None), {"mode": "VALIDATED", "allowedFunctionNames": ["f0"]}, []),
        (ToolChoice(parallel=False), (None,), None, [("tool_choice.parallel", "dropped")]),
        (None, (True, True), {"mode": "VALIDATED"}, []),
        (ToolChoice(mode="auto"), (True,), {"mode": "VALIDATED"}, []),
        (None, (True, None), None, [("tools[0].strict", "dropped")]),
        (ToolChoice(mode="required"), (True, None), {"mode": "ANY"}, []),  # "guarantees function schema adherence"
        (ToolChoice(mode="auto", names=["f0"]), (True, None), {"mode": "VALIDATED", "allowedFunctionNames": ["f0"]}, []),
        (ToolChoice(mode="none"), (True, None), {"mode": "NONE"}, []),
        (ToolChoice(mode="auto"), (), None, [("tool_choice", "dropped")]),
    ],
)
def test_the_choice_of_tools(choice: ToolChoice | None, strict: tuple[bool | None, ...], config: Any, losses: list[Any]) -> None:
    """S4, S5."""
    out, told = write(asked(user(Text(text="a")), tools=functions(*strict), tool_choice=choice))
    assert out.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})
    assert told == losses


def test_a_host_of_the_old_dialect_is_given_it() -> None:
    """Pitfall 17; the schema is not changed (18): write() looks."""
    schema = {"type": "object", "properties": {"a": {"const": "x"}}, "additionalProperties": False}
    tools: list[Any] = [Function(name="f", schema=schema), Function(name="g", schema={"type": "object", "properties": {}})]
    request = asked(user(Text(text="a")), tools=tools, output=Output(mode="schema", schema=schema))
    out, losses = write(request, "gemini-3-pro", "openapi_schema")
    old = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "enum": ["x"]}}}
    assert out["tools"] == [{"functionDeclarations": [{"name": "f", "parameters": old}, {"name": "g"}]}]
    assert out["generationConfig"] == {"responseMimeType": "application/json", "responseSchema": old}
    assert losses == [("tools[0].schema.additionalProperties", "dropped"), ("output.schema.additionalProperties", "dropped")]
    out, losses = write(request, "gemini-3-pro")
    assert out["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"] == schema
    assert out["generationConfig"] == {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert losses == []


@pytest.mark.parametrize(
    ("name", "reasoning", "config", "losses"),
    [
        ("gemini-2.5-flash", Reasoning(effort="minimal"), {"thinkingBudget": 512}, []),
        ("gemini-2.5-flash", Reasoning(effort="medium", visible=True), {"thinkingBudget": 8192, "includeThoughts": True}, []),
        ("gemini-2.5-flash", Reasoning(effort="max"), {"thinkingBudget": 24576}, [("reasoning.effort", "changed")]),
        ("gemini-2.5-pro", Reasoning(effort="max"), {"thinkingBudget": 32768}, []),
        ("gemini-2.5-pro", Reasoning(effort="xhigh"), {"thinkingBudget": 32768}, [("reasoning.effort", "changed")]),
        ("gemini-2.5-flash", Reasoning(budget=99999), {"thinkingBudget": 24576}, [("reasoning.budget", "changed")]),
        ("gemini-2.5-flash", Reasoning(enabled=False), {"thinkingBudget": 0}, []),
        ("gemini-2.5-flash", Reasoning(enabled=True), {"thinkingBudget": -1}, []),
        ("gemini-2.5-pro", Reasoning(enabled=False), {"thinkingBudget": 128}, [("reasoning.enabled", "changed")]),
        ("gemini-3-flash", Reasoning(effort="high"), {"thinkingLevel": "HIGH"}, []),
        ("gemini-3-flash", Reasoning(effort="max"), {"thinkingLevel": "HIGH"}, [("reasoning.effort", "changed")]),
        ("gemini-3-flash", Reasoning(effort="minimal"), {"thinkingLevel": "MINIMAL"}, []),
        ("gemini-3-pro", Reasoning(effort="minimal"), {"thinkingLevel": "LOW"}, [("reasoning.effort", "changed")]),
        ("gemini-3-flash", Reasoning(budget=8000), {"thinkingLevel": "MEDIUM"}, [("reasoning.budget", "changed")]),
        ("gemini-3-flash", Reasoning(enabled=False), {"thinkingLevel": "MINIMAL"}, [("reasoning.enabled", "changed")]),
        ("gemini-2.0-flash", Reasoning(effort="low"), None, [("reasoning", "dropped")]),
    ],
)
def test_how_models_are_told_to_think(name: str, reasoning: Reasoning, config: Any, losses: list[Any]) -> None:
    out, told = write(asked(user(Text(text="a")), reasoning=reasoning), name)
    assert out.get("generationConfig", {}).get("thinkingConfig") == config
    assert told == losses


@pytest.mark.parametrize(("said", "read_as"), [(0, (False, None)), (-1, (True, None)), (512.0, (None, 512))])
def test_a_thinking_budget(said: float, read_as: tuple[bool | None, int | None]) -> None:
    reasoning = read({"contents": "a", "generation_config": {"thinking_config": {"thinking_budget": said}}}).reasoning
    assert reasoning is not None and (reasoning.enabled, reasoning.budget) == read_as


def test_what_else_cannot_be_said() -> None:
    request = asked(
        user(Text(text="a")), user="u", stop=list("abcdef"), seed=1 << 40, output=Output(mode="schema", schema={}, name="n")
    )
    out, losses = write(request)
    assert losses == [("seed", "changed"), ("stop", "changed"), ("user", "dropped")]
    assert out["generationConfig"]["seed"] < 1 << 31 and out["generationConfig"]["stopSequences"] == list("abcde")


# The carrier


def test_a_seal_is_base64_and_comes_back_from_either_alphabet() -> None:
    part = Thinking(text="ü" * 50, redacted=True, signature=Signature("anthropic", "x" * 300))
    standard = slot(part)
    assert b64decode(standard, validate=True).startswith(MARK.encode())
    assert unsealed(standard) == unsealed(urlsafe_b64encode(b64decode(standard)).decode()) == unsealed(seal(part)) == part


@pytest.mark.parametrize(
    "value", ["", "QUJD", "aWwxL", "aWwxLn", "aWwxLg==", "il1.", "il1.!", "aWwxLü", b64encode(b"il1.\xff").decode()]
)
def test_what_is_no_seal_is_googles_own(value: str) -> None:
    assert unsealed(value) is None
    body = {"contents": [{"role": "model", "parts": [{"text": "a", "thoughtSignature": value}]}]}
    assert write(read(body), "gemini-2.5-pro") == (body, [])


def test_foreign_parts_survive_a_gemini_client() -> None:
    """What a backend elsewhere answered comes back from the client's history as it was."""
    anthropic = Signature("anthropic", "c2ln")
    said: list[AnyPart] = [
        Thinking(text="hm", signature=anthropic),
        Thinking(redacted=True, signature=anthropic),
        Text(text="a", signature=anthropic),
        ToolCall(id="t", name="f", arguments='{"a":1}', signature=anthropic),
        ToolCall(id="u", name="f", arguments="{}", extras={"anthropic": {"caller": {"type": "direct"}}}),
        Opaque(origin="anthropic", data={"type": "server_tool_use"}),
    ]
    losses = Losses()
    answer = gemini.format_response(Response(id="r", model="m", choices=[Choice(parts=said)]), asked(), losses)
    assert [(loss.path, loss.how) for loss in losses] == [("response.choices[0].parts[5]", "changed")]
    back = read({"contents": [answer["candidates"][0]["content"]]}).messages[0].parts
    assert back == said


# Names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("max_tokens", "generationConfig.maxOutputTokens"),
        ("stop[1]", "generationConfig.stopSequences[1]"),
        ("messages[0]", "systemInstruction"),
        ("messages[0].parts[1].cache", "systemInstruction.parts[1].cache"),
        ("messages[1].parts[1].mime", "contents[0].parts[1].inlineData.mimeType"),
        ("messages[1].parts[3]", "contents[0].parts[3]"),
        ("messages[2].parts[2].signature", "contents[1].parts[2].thoughtSignature"),
        ("messages[2].parts[2].arguments", "contents[1].parts[2].functionCall.args"),
        ("messages[3].parts[4].parts[0]", "contents[2].parts[4].functionResponse.parts[0]"),
        ("messages[99].parts[9]", "contents[98].parts[9]"),
        ("tools[0].schema.properties.a", "tools[0].functionDeclarations[0].parameters.properties.a"),
        ("tools[1].schema", "tools[0].functionDeclarations[1].parametersJsonSchema"),
        ("tools[2]", "tools[0].googleSearch"),
        ("tools[3]", "tools[1].codeExecution"),
        ("tools[77]", "tools[77]"),
        ("tool_choice.names", "toolConfig.functionCallingConfig.allowedFunctionNames"),
        ("reasoning.effort", "generationConfig.thinkingConfig.thinkingLevel"),
        ("output.schema.x", "generationConfig.responseSchema.x"),
        ("generationConfig.speechConfig", "generationConfig.speechConfig"),
        ("safetySettings", "safetySettings"),
    ],
)
def test_field_paths(path: str, name: str) -> None:
    assert gemini.field_path(path, read(BODY)) == name


def test_json_of_users_is_never_respelled() -> None:
    """Arguments and results, byte for byte, whatever their names."""
    args = {"function_call": {"mime_type": 1}, "thought_signature": None}
    body = {"contents": [{"role": "model", "parts": [{"function_call": {"name": "f", "args": args}}]}]}
    call = read(body).messages[0].parts[0]
    assert isinstance(call, ToolCall) and decode_json(call.arguments) == args


def test_an_unknown_role_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        gemini.parse_request({"contents": [{"role": "critic", "parts": [{"text": "Once"}]}]}, "m", False)
    assert refused.value.failure.param == "contents[0].role"
