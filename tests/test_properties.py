"""The laws that hold for every protocol and every pair, whatever the values. A protocol added to the registry is judged too."""

import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from interlingua.carry import seal, unseal
from interlingua.errors import GatewayError, InvalidRequest, ProviderFailure, UpstreamGarbage
from interlingua.fold import fold, unfold
from interlingua.framing import Frame
from interlingua.ir import (
    AnyPart,
    Cache,
    Failure,
    Media,
    Message,
    Part,
    Place,
    Request,
    Response,
    Signature,
    Text,
    ToolCall,
    ToolResult,
)
from interlingua.losses import Losses
from interlingua.protocols import Protocol, target
from interlingua.protocols.registry import PROTOCOLS
from tests import strategies as ir

calm = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
every = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
MODELS = {
    "openai": ("gpt-4o", "gpt-5"),
    "responses": ("gpt-4o", "gpt-5"),
    "anthropic": ("claude-sonnet-4-5", "claude-opus-5"),
    "gemini": ("gemini-2.5-pro", "gemini-3-pro"),
    "bedrock": ("anthropic.claude-sonnet-4-5", "amazon.nova-pro-v1:0", "meta.llama3-3-70b-instruct-v1:0", "an-arn"),
}


# One meaning, told and folded


@calm
@given(ir.responses)
def test_a_stream_is_a_response_told_in_order(response: Response) -> None:
    assert fold(unfold(response)) == response


@calm
@given(ir.requests())
def test_the_ir_survives_its_own_json(request: Request) -> None:
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request


@calm
@given(ir.answers | ir.signatures)
def test_a_sealed_part_survives_any_text_slot(part: AnyPart | Signature) -> None:
    assert unseal(seal(part)) == part


@calm
@given(st.text() | st.binary().map(lambda b: "il1." + b.hex()) | st.text().map("il1.{}".format))
def test_no_text_a_client_sends_can_hurt_unseal(text: str) -> None:
    assert unseal(text) is None or text.startswith("il1.")


# Nothing vanishes, and every loss is true


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, default) of every leaf that is not at its default, deepest first; an extra is a leaf by its own key."""
    if isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            inner = getattr(value, field.name)
            default = copy.copy(field.default) if field.default is not msgspec.NODEFAULT else None
            if field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if inner == default or field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT:
                if not isinstance(inner, list | msgspec.Struct):
                    continue
            where = f"{path}.{field.name}" if path else field.name
            if isinstance(inner, list | msgspec.Struct) and not isinstance(inner, Signature | Cache | Place):
                yield from leaves(inner, where)
            elif field.name == "extras":
                extras: Any = inner
                for origin, values in extras.items():
                    for key in values:
                        yield f"{path}.{key}" if path else key, (origin, key)
            elif field.name not in ("config", "schema", "data"):
                yield where, default
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}[{i}]")


def without(root: Request, path: str, default: Any) -> Request:
    """A copy of the request with one leaf reset."""
    root = msgspec.json.decode(msgspec.json.encode(root), type=Request)
    *way, last = path.replace("[", ".[").split(".")
    node: Any = root
    for step in way:
        node = node[int(step[1:-1])] if step.startswith("[") else getattr(node, step)
    if isinstance(default, tuple):
        origin, key = default
        del node.extras[origin][key]
    elif last.startswith("["):
        node[int(last[1:-1])] = default
    else:
        setattr(node, last, default)
    return root


# Said, but asking for nothing: a label, a bound that always holds, the mode that a choice has anyway.
MEANINGLESS = {
    ("output.name", None),
    ("output.strict", None),
    ("tool_choice.mode", "auto"),
    ("logprobs", False),
    ("temperature", 1.0),
}


def meaningless(request: Request, path: str) -> bool:
    if path.startswith("tools[") and path.endswith("].strict"):  # false is what every model does anyway
        return getattr(request_part(request, path), "strict", None) is False
    if path.endswith("].start"):  # where a citation begins for which nobody says so
        return getattr(request_part(request, path), "start", None) == 0
    node: Any = request
    for name in path.split("."):
        node = getattr(node, name, None)
    return (path, None) in MEANINGLESS or any(path == where and node == value for where, value in MEANINGLESS)


def told_in_chunks(request: Request, path: str) -> bool:
    """The text of a document that is told by the chunks it is joined of."""
    holder = request_part(request, path)
    return path.endswith("].text") and isinstance(holder, Media) and bool(holder.chunks)


def strict_anyway(protocol: Protocol, request: Request, path: str) -> bool:
    """Gemini holds every call to its schema in the modes ANY and VALIDATED, and lets none be made in NONE."""
    choice = request.tool_choice
    by_mode = choice is not None and (choice.mode != "auto" or bool(choice.names))
    return protocol.NAME == "gemini" and by_mode and path.startswith("tools[") and path.endswith("].strict")


def told(path: str, losses: Losses) -> bool:
    """Whether a loss names the leaf, or something that holds it."""
    return any(path == loss.path or path.startswith((loss.path + ".", loss.path + "[")) for loss in losses)


@every
@calm
@given(data=st.data())
def test_nothing_vanishes(protocol: Protocol, data: st.DataObject) -> None:
    request: Request = data.draw(ir.requests())
    goal = target(data.draw(st.sampled_from(MODELS[protocol.NAME])))
    before = msgspec.json.encode(request)
    losses = Losses()
    wire = protocol.format_request(request, goal, losses)
    assert msgspec.json.encode(request) == before, "formatting changed the request"
    found = msgspec.json.encode(wire)
    for path, default in leaves(request):
        if path in ("model", "stream") or told(path, losses) or meaningless(request, path):
            continue
        if strict_anyway(protocol, request, path) or told_in_chunks(request, path):
            continue
        other = without(request, path, default)
        if msgspec.json.encode(protocol.format_request(other, goal, Losses())) == found:
            holder = request_part(request, path)
            if path.endswith(".name") and isinstance(holder, ToolResult):
                continue
            raise AssertionError(f"silently dropped: {path} of {holder!r}; losses: {[loss.path for loss in losses]}")


def request_part(request: Request, path: str) -> Any:
    node: Any = request
    for step in path.replace("[", ".[").split(".")[:-1]:
        if step.startswith("["):
            node = node[int(step[1:-1])]
        elif hasattr(node, step):
            node = getattr(node, step)
    return node


@every
@calm
@given(data=st.data())
def test_every_dropped_loss_is_true(protocol: Protocol, data: st.DataObject) -> None:
    request: Request = data.draw(ir.requests())
    goal = target(data.draw(st.sampled_from(MODELS[protocol.NAME])))
    losses = Losses()
    found = msgspec.json.encode(protocol.format_request(request, goal, losses))
    dropped = {loss.path for loss in losses if loss.how == "dropped"}
    for path, default in leaves(request):
        if path in dropped:
            other = msgspec.json.encode(protocol.format_request(without(request, path, default), goal, Losses()))
            assert other == found, f"{path} was reported dropped, yet the wire tells it"


@every
@calm
@given(request=ir.requests())
def test_a_loss_has_a_name_in_every_clients_words(protocol: Protocol, request: Request) -> None:
    for other in PROTOCOLS.values():
        losses = Losses()
        other.format_request(request, target("some-model"), losses)
        for loss in losses:
            path = protocol.field_path(loss.path, request)
            assert path and not path.endswith(".")


# Same protocol, same bytes


@every
@calm
@given(request=ir.requests())
def test_the_wire_is_a_fixed_point(protocol: Protocol, request: Request) -> None:
    """What a protocol wrote, read and written again, is the same to the last byte."""
    goal = target("some-model")
    once = protocol.format_request(request, goal, Losses())
    text = msgspec.json.encode(once)
    read = protocol.parse_request(msgspec.json.decode(text), goal.model, request.stream)
    assert msgspec.json.encode(protocol.format_request(read, goal, Losses())) == text


@every
@calm
@given(response=ir.responses, asked=ir.requests())
def test_an_answer_is_a_fixed_point(protocol: Protocol, response: Response, asked: Request) -> None:
    """After one reading (which may join what the wire cannot keep apart) nothing changes any more."""

    def again(wire: bytes) -> bytes:
        return msgspec.json.encode(protocol.format_response(protocol.parse_response(msgspec.json.decode(wire)), asked, Losses()))

    once = again(msgspec.json.encode(protocol.format_response(response, asked, Losses())))
    assert msgspec.json.decode(again(once)) == msgspec.json.decode(once)


# Streams


@every
@calm
@given(response=ir.responses, asked=ir.requests(), cut=st.integers(1, 5))
def test_streamed_and_whole_say_the_same_words(protocol: Protocol, response: Response, asked: Request, cut: int) -> None:
    """Whatever the batches, the words and calls a client reads of a stream are those of the whole answer."""
    events = unfold(response)
    formatter = protocol.Formatter(asked, Losses())
    parser = protocol.Parser()
    seen: list[Any] = []
    for i in range(0, len(events), cut):
        for out in formatter.feed(events[i : i + cut]):
            data = out.data if isinstance(out.data, bytes) else msgspec.json.encode(out.data)
            seen += parser.feed(Frame(out.event, data))
    seen += parser.close()
    streamed = fold(seen)
    whole = protocol.parse_response(msgspec.json.decode(msgspec.json.encode(protocol.format_response(response, asked, Losses()))))
    for a, b in zip(streamed.choices, whole.choices, strict=True):
        assert said(a.parts) == said(b.parts)
        assert (a.finish and a.finish.reason) == (b.finish and b.finish.reason)


def said(parts: list[AnyPart]) -> tuple[str, list[tuple[str, str, str]]]:
    text = "".join(part.text for part in parts if isinstance(part, Text) and not part.refusal)
    return text, [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)]


# Any bytes, any JSON: a value or the one declared error

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def broken(wire: Any, data: st.DataObject) -> Any:
    """A legal body with one random spot replaced by any JSON."""
    spots: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, inner in list(items):
            spots.append((node, key))
            walk(inner)

    wire = msgspec.json.decode(msgspec.json.encode(wire))
    walk(wire)
    if spots:
        node, key = data.draw(st.sampled_from(spots))
        node[key] = data.draw(json_values)
    return wire


@every
@calm
@given(data=st.data())
def test_any_request_is_read_or_refused(protocol: Protocol, data: st.DataObject) -> None:
    body = broken(protocol.format_request(data.draw(ir.requests()), target("some-model"), Losses()), data)
    try:
        request = protocol.parse_request(body, "m", False)
    except InvalidRequest as error:
        assert error.failure.param
    else:
        for other in PROTOCOLS.values():
            other.format_request(request, target("some-model"), Losses())


@every
@calm
@given(data=st.data())
def test_any_answer_is_read_or_refused(protocol: Protocol, data: st.DataObject) -> None:
    body = broken(protocol.format_response(data.draw(ir.responses), data.draw(ir.requests()), Losses()), data)
    try:
        protocol.parse_response(body)
    except (UpstreamGarbage, ProviderFailure):  # some answers tell of a failure in a 200
        pass


@every
@calm
@given(data=st.data())
def test_any_stream_is_read_or_refused(protocol: Protocol, data: st.DataObject) -> None:
    outs = protocol.Formatter(data.draw(ir.requests()), Losses()).feed(unfold(data.draw(ir.responses)))
    frames = [out.data if isinstance(out.data, bytes) else msgspec.json.encode(broken(out.data, data)) for out in outs]
    parser = protocol.Parser()
    try:
        events = [event for frame, out in zip(frames, outs, strict=True) for event in parser.feed(Frame(out.event, frame))]
        fold([event for event in events + parser.close() if not isinstance(event, Failure)])
    except (GatewayError, KeyError):
        pass


@every
@calm
@given(status=st.integers(400, 599), body=st.binary(max_size=60) | json_values.map(msgspec.json.encode))
def test_any_error_body_gives_a_failure(protocol: Protocol, status: int, body: bytes) -> None:
    failure = protocol.parse_error(status, body)
    assert failure.message
    for other in PROTOCOLS.values():
        told_status, told_body = other.format_error(failure)
        assert 400 <= told_status < 600 and msgspec.json.encode(told_body)


# How each protocol's own error is known
OWN_ERROR: dict[str, Any] = {
    "openai": lambda body: body["error"]["message"],
    "responses": lambda body: body["error"]["message"],
    "anthropic": lambda body: body["type"] == "error" and body["error"]["type"] and body["error"]["message"],
    "gemini": lambda body: body["error"]["code"] == 429 and body["error"]["status"] and body["error"]["message"],
    "bedrock": lambda body: body["message"],
}


@every
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"message": "slow down", "code": 429}}',
        b'{"error": "slow down"}',
        b'{"message": "slow down"}',
        b'{"detail": [{"msg": "slow down"}]}',
        b'{"error": {}}',
        b'{"type": "error"}',
    ],
)
def test_what_stands_before_a_provider_is_told_in_the_clients_own_shape(protocol: Protocol, body: bytes) -> None:
    """A proxy's error, or a dialect's own, is no error of the protocol's: only one that is may be handed on as it came."""
    failure = protocol.parse_error(429, body)
    for client in PROTOCOLS.values():
        status, told = client.format_error(failure)
        assert status == 429 and OWN_ERROR[client.NAME](told)


def test_messages_hold_every_kind_of_part() -> None:
    """The strategies above would prove nothing of a part they never build."""
    kinds = {cls.__name__ for cls in Part.__subclasses__()}
    assert kinds == {"Text", "Thinking", "Media", "ToolCall", "ToolResult", "Opaque"}
    assert Message(role="user").parts == []
