"""A chat completion: read from a backend, written for a client. Source: types.chat.ChatCompletion, CompletionUsage."""

from typing import Any, Final, assert_never

from msgspec import structs

from interlingua.errors import InterlinguaError, UpstreamGarbage
from interlingua.ir import (
    AnyPart,
    Choice,
    Citation,
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
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)
from interlingua.protocols import Lose
from interlingua.protocols.openai.names import NAME, is_call
from interlingua.protocols.openai.parts import (
    carried_slot,
    custom_names,
    format_call,
    parse_call,
    parse_carried,
    parse_content,
    restore,
    signature_slot,
)
from interlingua.protocols.openai_common import told_custom
from interlingua.protocols.wire import (
    array,
    as_array,
    as_count,
    as_obj,
    as_text,
    foreign,
    integer,
    keep,
    keep_in,
    merge,
    number,
    obj,
    text,
)

_REASONS: Final[dict[str, Reason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "filter",
}
_WORDS: Final[dict[Reason, str]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "filter": "content_filter",
    "pause": "stop",
    "context": "length",
    "error": "stop",
    "other": "stop",
}
_NO_WORD: Final = frozenset[Reason](("pause", "context", "error", "other"))
_DETAILS: Final = ("prompt_tokens_details", "completion_tokens_details")

# Reading


def parse_response(body: Json) -> Response:
    try:
        return _parse_response(body)
    except InterlinguaError as error:
        raise UpstreamGarbage(f"The provider's answer is no chat completion: {error}") from None


def _parse_response(body: Json) -> Response:
    usage = body.pop("usage", None)
    body.pop("object", None)
    response = Response(
        id=text(body.pop("id", None) or "", "id"),
        model=text(body.pop("model", None) or "", "model"),
        created=integer(body.pop("created", None) or 0, "created"),
        choices=[
            _parse_choice(obj(item, f"choices[{i}]"), i) for i, item in enumerate(array(body.pop("choices", None), "choices"))
        ],
        usage=parse_usage(usage) if usage is not None else None,
    )
    if body:
        keep(response, NAME, body)
    return response


def _parse_choice(d: Json, i: int) -> Choice:
    d.pop("index", None)
    message = obj(d.pop("message", None), f"choices[{i}].message")
    finish, logprobs = d.pop("finish_reason", None), d.pop("logprobs", None)
    choice = Choice(parts=_parse_message(message, f"choices[{i}].message"), finish=parse_finish(finish))
    if logprobs is not None:
        choice.logprobs = take_logprobs(logprobs, d)
    message.pop("role", None)
    if message:
        keep_in(choice, NAME, "message", message)
    if d:
        keep(choice, NAME, d)
    return choice


def _parse_message(d: Json, path: str) -> list[AnyPart]:
    parts: list[AnyPart] = []
    for field in ("reasoning_content", "reasoning"):
        if type(words := d.get(field)) is str and words:
            parts.append(Thinking(text=d.pop(field), extras={NAME: {"~field": field}}))
            break
    parts += parse_content(d.pop("content", None), f"{path}.content")
    if (annotations := d.pop("annotations", None)) and (said := next((p for p in parts if isinstance(p, Text)), None)):
        said.citations = [parse_annotation(obj(a, f"{path}.annotations")) for a in array(annotations, f"{path}.annotations")]
    if (refusal := d.pop("refusal", None)) is not None:
        parts.append(Text(text=text(refusal, f"{path}.refusal"), refusal=True))
    if (audio := d.pop("audio", None)) is not None:
        parts.append(parse_audio(obj(audio, f"{path}.audio")))
    for k, item in enumerate(array(d.pop("tool_calls", None) or [], f"{path}.tool_calls")):
        parts.append(parse_call(obj(item, f"{path}.tool_calls[{k}]"), f"{path}.tool_calls[{k}]", require_id=False))
    return restore(parts, parse_carried(d))


def parse_audio(d: Json) -> Media:
    media = Media(kind="audio", data=as_text(d.pop("data", None)) or "")
    keep_in(media, NAME, "audio", d)
    return media


def parse_annotation(d: Json) -> Citation:
    if d.get("type") != "url_citation":
        return Citation(extras={NAME: d})
    d = dict(d)
    inner = dict(obj(d.pop("url_citation", None), "annotations.url_citation"))
    citation = Citation(
        url=as_text(inner.pop("url", None)),
        title=as_text(inner.pop("title", None)),
        start=as_count(inner.pop("start_index", None)),
        end=as_count(inner.pop("end_index", None)),
    )
    keep_in(citation, NAME, "url_citation", inner)
    return citation


def parse_finish(word: Any) -> Finish | None:
    if word is None:
        return None
    return Finish(reason=_REASONS.get(text(word, "finish_reason"), "other"), raw=word, origin=NAME)


def take_logprobs(value: Any, rest: Json) -> list[TokenLogprob]:
    """The tokens of `logprobs.content`; what else stands there (the refusal's) goes to `rest`."""
    d = dict(obj(value, "logprobs"))
    found = [_parse_logprob(obj(item, "logprobs.content")) for item in array(d.pop("content", None) or [], "logprobs.content")]
    if d := {key: inner for key, inner in d.items() if inner is not None}:
        rest["logprobs"] = d
    return found


def _parse_logprob(d: Json) -> TokenLogprob:
    return TokenLogprob(
        token=text(d.get("token"), "logprobs.content.token"),
        logprob=number(d.get("logprob"), "logprobs.content.logprob"),
        bytes=[byte for byte in as_array(d["bytes"]) if type(byte) is int] if d.get("bytes") is not None else None,
        top=[_parse_logprob(obj(item, "top_logprobs")) for item in as_array(d.get("top_logprobs"))],
    )


def parse_usage(value: Any) -> Usage:
    d = dict(obj(value, "usage"))
    prompt, completion = (
        dict(as_obj(d.pop("prompt_tokens_details", None))),
        dict(as_obj(d.pop("completion_tokens_details", None))),
    )
    d.pop("total_tokens", None)
    usage = Usage(
        input=as_count(d.pop("prompt_tokens", None)),
        cache_read=as_count(prompt.pop("cached_tokens", None)),
        cache_write=as_count(prompt.pop("cache_write_tokens", None)),
        audio_input=as_count(prompt.pop("audio_tokens", None)),
        output=as_count(d.pop("completion_tokens", None)),
        reasoning=as_count(completion.pop("reasoning_tokens", None)),
        audio_output=as_count(completion.pop("audio_tokens", None)),
    )
    keep_in(usage, NAME, "prompt_tokens_details", prompt)
    keep_in(usage, NAME, "completion_tokens_details", completion)
    keep(usage, NAME, d)
    return usage


# Writing


def format_response(response: Response, asked: Request, lose: Lose) -> Json:
    choices: list[Json] = []
    for i, choice in enumerate(response.choices):
        choices.append(_format_choice(choice, i, asked, lose))
    out: Json = {
        "id": response.id,
        "object": "chat.completion",
        "created": response.created,
        "model": response.model,
        "choices": choices,
    }
    if response.usage is not None:
        out["usage"] = format_usage(response.usage, lose)
    if response.extras:
        foreign(response, NAME, "response", lose)
        merge(out, response, NAME)
    return out


def _format_choice(choice: Choice, i: int, asked: Request, lose: Lose) -> Json:
    message: Json = {"role": "assistant", "content": None, "refusal": None}
    for j, part in enumerate(choice.parts):
        _say(part, i, j, message, asked, lose)
    out: Json = {
        "index": i,
        "message": message,
        "logprobs": {"content": [format_logprob(t) for t in choice.logprobs], "refusal": None} if choice.logprobs else None,
        "finish_reason": format_finish(choice.finish, choice.parts, i, lose),
    }
    if choice.extras:
        foreign(choice, NAME, f"response.choices[{i}]", lose)
        merge(out, choice, NAME)
    return out


def _say(part: AnyPart, i: int, j: int, message: Json, asked: Request, lose: Lose) -> None:
    match part:
        case Text():
            field = "refusal" if part.refusal else "content"
            before = message[field] or ""
            if part.citations:
                _cite(part, f"response.choices[{i}].parts[{j}]", message, len(before), lose)
            message[field] = before + part.text
            if part.signature is not None:
                carry(message, j, part.signature)
        case Thinking():
            if part.text:
                field = (part.extras.get(NAME) or {}).get("~field", "reasoning_content")
                message[field] = message.get(field, "") + part.text
            if must_carry(part):
                carry(message, j, part)
        case ToolCall():
            call = format_call(part, part.name in custom_names(asked) or told_custom(part, NAME, None))
            if part.signature is not None:
                call["extra_content"] = signature_slot(part.signature, native=is_googles(part))
            message.setdefault("tool_calls", []).append(call)
        case Media(kind="audio") if NAME in part.extras and part.data is not None:
            message["audio"] = merge({"audio": {"data": part.data}}, part, NAME)["audio"]
        case Opaque() if is_call(part):
            message.setdefault("tool_calls", []).append(part.data)
        case Opaque():
            carry(message, j, part)
            lose(f"response.choices[{i}].parts[{j}]", "changed", f"a block of {part.origin}'s, sealed in extra_content")
        case Media() | ToolResult():
            carry(message, j, part)
            lose(
                f"response.choices[{i}].parts[{j}]",
                "changed",
                "Chat Completions answers have no such part; sealed in extra_content",
            )
        case _:
            assert_never(part)
    if part.extras:
        foreign(part, NAME, f"response.choices[{i}].parts[{j}]", lose)


def _cite(part: Text, path: str, message: Json, before: int, lose: Lose) -> None:
    """`before`: characters of the message before the part."""
    whole = [c if c.end is not None else structs.replace(c, end=len(part.text)) for c in part.citations]
    found = [a for k, c in enumerate(whole) if (a := format_annotation(c, f"{path}.citations[{k}]", lose))]
    shift_annotations(found, before)
    if found:
        message["annotations"] = message.get("annotations", []) + found


def must_carry(part: Thinking) -> bool:
    """Whether a thinking part holds more than words: a model will want it back exactly."""
    return part.signature is not None or part.redacted or any(origin != NAME for origin in part.extras)


def is_googles(call: ToolCall) -> bool:
    return bool((call.extras.get(NAME) or {}).get("~google"))


def carry(message: Json, place: int, value: AnyPart | Signature) -> None:
    slot = carried_slot(place, value)
    extra = message.setdefault("extra_content", {})
    extra["interlingua"] = {**extra.get("interlingua", {}), **slot["interlingua"]}


def format_annotation(citation: Citation, path: str, lose: Lose) -> Json | None:
    mine = citation.extras.get(NAME)
    if mine is not None and citation.url is None:
        return mine
    if citation.url is None:
        lose(path, "dropped", "OpenAI cites URLs only")
        return None
    if citation.quote is not None:
        lose(f"{path}.quote", "dropped", "OpenAI does not tell the words cited")
    if citation.extras:
        foreign(citation, NAME, path, lose)
    inner: Json = {
        "start_index": citation.start or 0,
        "end_index": citation.end or 0,
        "title": citation.title or "",
        "url": citation.url,
    }
    return merge({"type": "url_citation", "url_citation": inner}, citation, NAME)


def shift_annotations(annotations: list[Json], by: int) -> None:
    """A part's spans become the whole message's."""
    for annotation in annotations:
        if by and type(inner := annotation.get("url_citation")) is dict:
            inner["start_index"] += by
            inner["end_index"] += by


def format_finish(finish: Finish | None, parts: list[AnyPart], i: int, lose: Lose) -> str:
    """The finish_reason of choice `i`."""
    if finish is None:
        return "tool_calls" if any(isinstance(part, ToolCall) for part in parts) else "stop"
    if finish.stop is not None:
        lose(f"response.choices[{i}].finish.stop", "dropped", "OpenAI does not tell which stop sequence matched")
    mine = finish.origin == NAME
    if finish.reason in _NO_WORD and not mine:
        why = f"OpenAI has no word for {finish.raw or finish.reason}"
        lose(f"response.choices[{i}].finish.reason", "changed", why)
    if finish.extras:
        foreign(finish, NAME, f"response.choices[{i}].finish", lose)
    return finish.raw if mine and finish.raw is not None else _WORDS[finish.reason]


def format_logprob(token: TokenLogprob) -> Json:
    top = [{"token": t.token, "logprob": t.logprob, "bytes": t.bytes} for t in token.top]
    return {"token": token.token, "logprob": token.logprob, "bytes": token.bytes, "top_logprobs": top}


def format_usage(usage: Usage, lose: Lose) -> Json:
    input_, output = usage.input or 0, usage.output or 0
    out: Json = {"prompt_tokens": input_, "completion_tokens": output, "total_tokens": input_ + output}
    prompt: Json = {}
    if usage.cache_read is not None:
        prompt["cached_tokens"] = usage.cache_read
    if usage.cache_write is not None:
        prompt["cache_write_tokens"] = usage.cache_write
    if usage.audio_input is not None:
        prompt["audio_tokens"] = usage.audio_input
    completion: Json = {}
    if usage.reasoning is not None:
        completion["reasoning_tokens"] = usage.reasoning
    if usage.audio_output is not None:
        completion["audio_tokens"] = usage.audio_output
    if prompt:
        out["prompt_tokens_details"] = prompt
    if completion:
        out["completion_tokens_details"] = completion
    if usage.extras:
        foreign(usage, NAME, "response.usage", lose)
        for field in _DETAILS:
            if any(key.startswith(f"{field}.") for key in usage.extras.get(NAME, ())):
                out.setdefault(field, {})
        merge(out, usage, NAME)
    return out
