"""A message: read from a backend, written for a client. Source: types.message.Message, types.usage.Usage."""

from typing import Final, assert_never

from interlingua.carry import LIMIT, seal
from interlingua.errors import InterlinguaError, UpstreamGarbage
from interlingua.ir import (
    AnyPart,
    Choice,
    Finish,
    Json,
    Media,
    Opaque,
    Reason,
    Request,
    Response,
    Signature,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from interlingua.protocols import Lose
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.anthropic.parts import PLAIN_REFUSAL, call_block, parse_content, text_block, thinking_block
from interlingua.protocols.wire import array, foreign, keep, keep_in, merge, obj, take_count, text

REASONS: Final[dict[str, Reason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "filter",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context",
}
_WORDS: Final[dict[Reason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "filter": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
    "error": "end_turn",
    "other": "end_turn",
}
FINISH: Final = ("stop_reason", "stop_sequence", "stop_details")
_COUNTS: Final = ("cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens", "input_tokens")
_COUNTED: Final = frozenset(_COUNTS)
# What a stream tells with the end of the answer: `container` in its delta, the other beside it.
_AT_END: Final = {"container": "container", "context_management": "message_delta.context_management"}
_USUAL: Final = frozenset(("type", "role", "id", "model", "content", "usage", *FINISH))

# Reading


def parse_response(body: Json) -> Response:
    try:
        content, usage = parse_content(array(body.get("content"), "content"), "content", sealed=True), body.get("usage")
        id_, model = body.get("id") or "", body.get("model") or ""
        response = Response(
            id=id_ if type(id_) is str else text(id_, "id"),
            model=model if type(model) is str else text(model, "model"),
            choices=[Choice(parts=content, finish=parse_finish(body))],
            usage=None if usage is None else parse_usage(obj(usage, "usage")),
        )
    except InterlinguaError as error:
        raise UpstreamGarbage(f"The provider's answer is no message: {error}") from None
    if not _USUAL.issuperset(body):
        _keep_rest(response, body)
    return response


def _keep_rest(response: Response, body: Json) -> None:
    rest = {key: value for key, value in body.items() if key not in _USUAL}
    for key, name in _AT_END.items():
        if (value := rest.pop(key, None)) is not None:
            keep(response.choices[0], NAME, {name: value})
    keep(response, NAME, rest)


def parse_finish(d: Json) -> Finish | None:
    """What tells why an answer ended (`FINISH`); None where it has not."""
    word = d.get("stop_reason")
    if word is None:
        return None
    if type(word) is not str:
        text(word, "stop_reason")
    finish = Finish(reason=REASONS.get(word, "other"), raw=word, origin=NAME)
    if (stop := d.get("stop_sequence")) is not None:
        finish.stop = text(stop, "stop_sequence")
    if (details := d.get("stop_details")) is not None:
        keep(finish, NAME, {"stop_details": details})
    return finish


def parse_usage(d: Json) -> Usage:
    """Anthropic's input_tokens leave out what was read from the cache or written to it; ours count all."""
    read, wrote = d.get("cache_read_input_tokens"), d.get("cache_creation_input_tokens")
    output, fresh = d.get("output_tokens"), d.get("input_tokens")
    for value in (read, wrote, output, fresh):
        if type(value) is not int and value is not None:
            read, wrote, output, fresh = (take_count(dict(d), "usage", key) for key in _COUNTS)
            break
    usage = Usage(cache_read=read, cache_write=wrote, output=output)
    if fresh is not None:
        usage.input = fresh + (read or 0) + (wrote or 0)
    if not _COUNTED.issuperset(d):
        rest = {key: value for key, value in d.items() if key not in _COUNTED}
        if (details := rest.pop("output_tokens_details", None)) is not None:
            details = dict(obj(details, "usage.output_tokens_details"))
            usage.reasoning = take_count(details, "usage", "thinking_tokens")
            keep_in(usage, NAME, "output_tokens_details", details)
        keep(usage, NAME, rest)
    return usage


# Writing


def format_response(response: Response, asked: Request, lose: Lose) -> Json:
    choice = response.choices[0] if response.choices else Choice()
    for i in range(1, len(response.choices)):
        lose(f"response.choices[{i}]", "dropped", "Anthropic answers once")
    content = format_content(choice, response.id, lose)
    out: Json = {"id": response.id, "type": "message", "role": "assistant", "model": response.model, "content": content}
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    refused = [j for j, part in enumerate(choice.parts) if type(part) is Text and part.refusal]
    out.update(format_finish(choice.finish, called, refused, lose))
    out["usage"] = format_usage(response.usage, lose)
    if choice.logprobs:
        lose("response.choices[0].logprobs", "dropped", "Anthropic tells no probabilities")
    if choice.extras:
        foreign(choice, NAME, "response.choices[0]", lose)
        out.update({key.removeprefix("message_delta."): value for key, value in choice.extras.get(NAME, {}).items()})
    if response.extras:
        foreign(response, NAME, "response", lose)
        merge(out, response, NAME)
    return out


def format_content(choice: Choice, id_: str, lose: Lose) -> list[Json]:
    """An answer's blocks, with the seals that its client is to bring back."""
    out: list[Json] = []
    own = choice.finish is not None and choice.finish.origin == NAME
    for j, part in enumerate(choice.parts):
        path = f"response.choices[0].parts[{j}]"
        if isinstance(part, Text) and not part.text and not part.citations and not own:
            if part.signature is not None:
                out.append(carrier(part))
            continue
        if part.signature is not None and isinstance(part, Text | ToolCall):
            out.append(carrier(part.signature))
        block = answer_block(part, path, lose)
        if block is None:
            continue
        if isinstance(part, ToolCall) and not part.id:
            block["id"] = call_id(id_, j)
        out.append(block)
    return out


def call_id(answer: str, place: int) -> str:
    """An id for a call that came without."""
    return f"toolu_{answer}_{place}"


def carrier(value: Signature | AnyPart) -> Json:
    """An empty thinking block that bears a signature for the block after it, or a whole part."""
    return {"type": "thinking", "thinking": "", "signature": seal(value)}


def answer_block(part: AnyPart, path: str, lose: Lose) -> Json | None:
    """One block of an answer; what Anthropic has no block for is sealed, and None where it is too large for that."""
    match part:
        case Text():
            out = text_block(part, path, lose)
        case ToolCall():
            out = call_block(part, part.id, path, lose)
        case Thinking():
            said = thinking_block(part)
            if said is None:
                return sealed_thinking(part)
            out = said
        case Opaque() if part.origin == NAME:
            out = dict(part.data)
        case Opaque() | Media() | ToolResult():
            return sealed_block(part, path, lose)
        case _:
            assert_never(part)
    if part.extras:
        foreign(part, NAME, path, lose)
        merge(out, part, NAME)
    return out


def sealed_thinking(part: Thinking) -> Json:
    """Thinking that another model signed, or none: its words to read, and the seal to bring back."""
    if part.redacted:
        return {"type": "redacted_thinking", "data": seal(part)}
    return {"type": "thinking", "thinking": part.text, "signature": seal(part)}


def sealed_block(part: AnyPart, path: str, lose: Lose) -> Json | None:
    data = seal(part)
    if len(data) > LIMIT:
        lose(path, "dropped", "Anthropic has no such block, and it is too large to be sealed")
        return None
    lose(path, "changed", "Anthropic has no such block: sealed in redacted_thinking")
    return {"type": "redacted_thinking", "data": data}


def format_finish(finish: Finish | None, called: bool, refused: list[int], lose: Lose) -> Json:
    """`stop_reason` and what stands with it. `refused`: the parts that are a refusal, which Anthropic tells here."""
    usual = "tool_use" if called else "refusal" if refused else "end_turn"
    word = usual if finish is None else _word(finish, usual, lose)
    if word != "refusal":
        for j in refused:
            lose(f"response.choices[0].parts[{j}].refusal", "changed", PLAIN_REFUSAL)
    if finish is None:
        return {"stop_reason": word, "stop_sequence": None}
    out: Json = {"stop_reason": word, "stop_sequence": finish.stop}
    if finish.extras:
        foreign(finish, NAME, "response.choices[0].finish", lose)
        merge(out, finish, NAME)
    return out


def _word(finish: Finish, usual: str, lose: Lose) -> str:
    if finish.origin == NAME and finish.raw is not None:
        return finish.raw
    if finish.reason in ("error", "other"):
        lose("response.choices[0].finish.reason", "changed", f"Anthropic has no word for {finish.raw or finish.reason}")
    if finish.reason == "stop":
        return usual if usual != "end_turn" or finish.stop is None else "stop_sequence"
    return _WORDS[finish.reason]


def format_usage(usage: Usage | None, lose: Lose) -> Json:
    """Usage as a whole message tells it; what was not reported is 0 where the SDK wants a number."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    out: Json = {"input_tokens": max((usage.input or 0) - cached, 0)}
    if usage.cache_write is not None:
        out["cache_creation_input_tokens"] = usage.cache_write
    if usage.cache_read is not None:
        out["cache_read_input_tokens"] = usage.cache_read
    out["output_tokens"] = usage.output or 0
    if usage.reasoning is not None:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    for key in ("audio_input", "audio_output"):
        if getattr(usage, key):
            lose(f"response.usage.{key}", "dropped", "Anthropic does not tell audio apart")
    if usage.extras:
        foreign(usage, NAME, "response.usage", lose)
        if any(key.startswith("output_tokens_details.") for key in usage.extras.get(NAME, {})):
            out.setdefault("output_tokens_details", {})
        merge(out, usage, NAME)
    return out


def delta_usage(usage: Usage | None, told: Json, lose: Lose) -> Json:
    """Usage as a stream's end tells it: totals, without what its beginning told and nothing has changed."""
    out = format_usage(usage, lose)
    if usage is None or usage.input is None:
        del out["input_tokens"]
    return {key: value for key, value in out.items() if key in _TOTALS or told.get(key) != value}


_TOTALS: Final = frozenset(
    (
        "input_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "output_tokens",
        "output_tokens_details",
        "server_tool_use",
    )
)
