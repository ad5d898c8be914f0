"""A Converse answer: read from a backend, written for a client. Source: shapes ConverseResponse and TokenUsage.

Bedrock's inputTokens leave out what was read from the cache or written to it (user guide, "Prompt caching"); ours count all.
"""

import time
from typing import Final, assert_never

from interlingua.carry import seal
from interlingua.errors import InterlinguaError, UpstreamGarbage
from interlingua.ir import (
    AnyPart,
    Choice,
    Finish,
    Json,
    Media,
    Node,
    Opaque,
    Reason,
    Request,
    Response,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Usage,
)
from interlingua.protocols import Lose
from interlingua.protocols.bedrock.names import BEGAN, NAME, STOP_TOLD
from interlingua.protocols.bedrock.parts import (
    call_block,
    carrier,
    cited_block,
    format_citation,
    give_back,
    image_block,
    native_thinking,
    parse_content,
    reasoning_block,
    sealed_block,
)
from interlingua.protocols.wire import (
    array,
    as_array,
    as_obj,
    as_text,
    foreign,
    keep,
    keep_in,
    note,
    note_down,
    obj,
    take_count,
    text,
)

_REASONS: Final[dict[str, Reason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "content_filtered": "filter",
    "guardrail_intervened": "filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "model_context_window_exceeded": "context",
}
_WORDS: Final[dict[Reason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "filter": "content_filtered",
    "pause": "end_turn",
    "context": "model_context_window_exceeded",
    "error": "malformed_model_output",
    "other": "end_turn",
}
MORE: Final = "additionalModelResponseFields"
_STOP: Final = "/stop_sequence"

# Reading


def parse_response(body: Json) -> Response:
    try:
        return _parse_response(body)
    except InterlinguaError as error:
        raise UpstreamGarbage(f"The provider's answer is no answer of Converse's: {error}") from None


def _parse_response(body: Json) -> Response:
    output = obj(body.pop("output", None), "output")
    message = dict(obj(output.get("message"), "output.message"))
    content = array(message.pop("content", None), "output.message.content")
    choice = Choice(parts=parse_content(content, "output.message.content", backend=True))
    message.pop("role", None)
    choice.finish = take_finish(body)
    if message:
        keep_in(choice, NAME, "output", {f"message.{key}": value for key, value in message.items()})
    usage = body.pop("usage", None)
    response = Response(choices=[choice], usage=None if usage is None else parse_usage(obj(usage, "usage")))
    take_metrics(response, body)
    if body:
        keep(response, NAME, body)
    return response


def take_metrics(node: Node, d: Json) -> None:
    """Pops how long the model took. Only a client of Bedrock's can be told, and none misses it: it has its own clock."""
    if (metrics := d.pop("metrics", None)) is not None:
        note_down(node, NAME, "~metrics", metrics)


def take_finish(d: Json) -> Finish | None:
    """Pops what tells why an answer ended; None where it has not."""
    word = d.pop("stopReason", None)
    if word is None:
        return None
    finish = Finish(reason=_REASONS.get(text(word, "stopReason"), "other"), raw=word, origin=NAME)
    more = as_obj(d.get(MORE))
    if "stop_sequence" in more:  # null, where another reason ended the answer
        finish.stop = as_text(more["stop_sequence"])
        note_down(finish, NAME, "~stop")
        d[MORE] = {key: value for key, value in more.items() if key != "stop_sequence"} or None
    return finish


def parse_usage(d: Json) -> Usage:
    d = dict(d)
    usage = Usage(
        cache_read=take_count(d, "usage", "cacheReadInputTokens"),
        cache_write=take_count(d, "usage", "cacheWriteInputTokens"),
        output=take_count(d, "usage", "outputTokens"),
    )
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    if (fresh := take_count(d, "usage", "inputTokens")) is not None:
        usage.input = fresh + cached
    total = take_count(d, "usage", "totalTokens")
    if total is not None and total != (usage.input or 0) + (usage.output or 0):
        note_down(usage, NAME, "~total", total)
    if d:
        keep(usage, NAME, d)
    return usage


# Writing


def format_response(response: Response, asked: Request, lose: Lose) -> Json:
    choice = response.choices[0] if response.choices else Choice()
    for i in range(1, len(response.choices)):
        lose(f"response.choices[{i}]", "dropped", "Bedrock answers once")
    out: Json = {"output": {"message": {"role": "assistant", "content": format_content(choice, lose)}}}
    called = any(isinstance(part, ToolCall) for part in choice.parts)
    out.update(format_finish(choice.finish, called, asked, lose))
    out["usage"] = format_usage(response.usage, lose)
    out["metrics"] = note(response, NAME, "~metrics") or measured(asked)
    if choice.logprobs:
        lose("response.choices[0].logprobs", "dropped", "Bedrock tells no probabilities")
    if choice.extras:
        foreign(choice, NAME, "response.choices[0]", lose)
        give_back(out, choice)
    if response.extras:
        foreign(response, NAME, "response", lose)
        replace_extras(out, response.extras.get(NAME, {}))
    return out


def measured(asked: Request) -> Json:
    """How long an answer took that does not say so itself: since the request came. Offline that is not known, and zero,
    because the shape wants a number."""
    began = note(asked, NAME, BEGAN)
    return {"latencyMs": 0 if began is None else round((time.perf_counter() - began) * 1000)}


def replace_extras(out: Json, extras: Json) -> None:
    """Writes what an answer said beside its message; objects that both know are joined, the answer's own words first."""
    for key, value in extras.items():
        if key[:1] != "~" and "." not in key:
            before = out.get(key)
            out[key] = {**before, **value} if type(before) is dict and type(value) is dict else value


def format_content(choice: Choice, lose: Lose) -> list[Json]:
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
        if (block := answer_block(part, f"{NAME}_{j}", path, lose)) is not None:
            out.append(block)
    return out


def answer_block(part: AnyPart, spare: str, path: str, lose: Lose) -> Json | None:
    """One block of an answer; what Bedrock has no block for is sealed, and None where it is too large for that. `spare`: an
    id for a call that came without."""
    match part:
        case Text():
            out = _text_block(part, path, lose)
        case ToolCall():
            out = call_block(part, part.name, path, lose)
            out["toolUse"]["toolUseId"] = part.id or spare
        case Thinking():
            native = told_thinking(part)
            if native is None:
                return sealed_thinking(part)
            out = native
        case Media() if (image := image_block(part)) is not None:
            out = image
        case Opaque() if part.origin == NAME:
            out = dict(part.data)
        case Opaque() | Media() | ToolResult():
            return sealed(part, path, lose)
        case _:
            assert_never(part)
    if part.extras:
        foreign(part, NAME, path, lose)
        give_back(out, part)
    return out


def _text_block(part: Text, path: str, lose: Lose) -> Json:
    if part.refusal:
        lose(f"{path}.refusal", "changed", "Bedrock says a refusal in plain words")
    if not part.citations and note(part, NAME, "~cited") is None:
        return {"text": part.text}
    return cited_block(part, [format_citation(c, f"{path}.citations[{k}]", lose) for k, c in enumerate(part.citations)])


def told_thinking(part: Thinking) -> Json | None:
    """A thinking part that Bedrock's words tell in full: its own, or one that nobody signed."""
    bare = part.signature is None and not part.redacted and not any(origin != NAME for origin in part.extras)
    return native_thinking(part) or (reasoning_block(part.text, None) if bare else None)


def sealed_thinking(part: Thinking) -> Json | None:
    """Thinking that another model signed: its words to read, and the seal to bring back."""
    return sealed_block(part) if part.redacted else reasoning_block(part.text, seal(part))


def sealed(part: AnyPart, path: str, lose: Lose) -> Json | None:
    block = sealed_block(part)
    if block is None:
        lose(path, "dropped", "Bedrock has no such block, and it is too large to be sealed")
    else:
        lose(path, "changed", "Bedrock has no such block: sealed in redactedContent")
    return block


def format_finish(finish: Finish | None, called: bool, asked: Request, lose: Lose) -> Json:
    """`stopReason`, and the stop sequence where the client asked to be told."""
    if finish is None:
        return {"stopReason": "tool_use" if called else "end_turn"}
    out: Json = {"stopReason": _word(finish, called, lose)}
    if finish.stop is not None or note(finish, NAME, "~stop"):
        if note(asked, NAME, STOP_TOLD) or _STOP in as_array(note(asked, NAME, "additionalModelResponseFieldPaths")):
            out[MORE] = {"stop_sequence": finish.stop}
        elif finish.stop is not None and finish.origin != NAME:
            lose("response.choices[0].finish.stop", "dropped", "the client did not ask which stop sequence matched")
    if finish.extras:
        foreign(finish, NAME, "response.choices[0].finish", lose)
    return out


def _word(finish: Finish, called: bool, lose: Lose) -> str:
    if finish.origin == NAME and finish.raw is not None:
        return finish.raw
    if finish.reason in ("pause", "error", "other"):
        lose("response.choices[0].finish.reason", "changed", f"Bedrock has no word for {finish.raw or finish.reason}")
    if finish.reason == "stop":
        return "tool_use" if called else "end_turn" if finish.stop is None else "stop_sequence"
    return _WORDS[finish.reason]


def format_usage(usage: Usage | None, lose: Lose) -> Json:
    """What was not reported is 0 where the shape wants a number."""
    if usage is None:
        return {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    cached = (usage.cache_read or 0) + (usage.cache_write or 0)
    input_, output = usage.input or 0, usage.output or 0
    total = note(usage, NAME, "~total")
    out: Json = {
        "inputTokens": max(input_ - cached, 0),
        "outputTokens": output,
        "totalTokens": input_ + output if total is None else total,
    }
    if usage.cache_read is not None:
        out["cacheReadInputTokens"] = usage.cache_read
    if usage.cache_write is not None:
        out["cacheWriteInputTokens"] = usage.cache_write
    for key in ("reasoning", "audio_input", "audio_output"):
        if getattr(usage, key):
            lose(f"response.usage.{key}", "dropped", "Bedrock does not tell it apart")
    if usage.extras:
        foreign(usage, NAME, "response.usage", lose)
        replace_extras(out, usage.extras.get(NAME, {}))
    return out
