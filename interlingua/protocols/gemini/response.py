"""A generateContent answer: read from a backend, written for a client.

Source: the SDK's GenerateContentResponse, Candidate, FinishReason, GenerateContentResponseUsageMetadata, GroundingMetadata.
Gemini counts in UTF-8 bytes what the IR counts in characters, and leaves the thoughts out of the candidates' tokens.
"""

import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, assert_never

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
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)
from interlingua.protocols import Lose
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.parts import can_say, carried, format_call, format_media, parse_part, slot
from interlingua.protocols.gemini.spelling import ANSWER, CANDIDATE, USAGE, spell
from interlingua.protocols.wire import (
    array,
    as_array,
    as_obj,
    as_text,
    foreign,
    integer,
    keep,
    keep_in,
    merge,
    note,
    note_down,
    number,
    obj,
    text,
)

_FILTERED: Final = (
    "SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT IMAGE_RECITATION"
    " MODEL_ARMOR ESCALATION JAILBREAK PUP_LIMITED_DISABLED"
)
_BROKEN: Final = (
    "MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL MALFORMED_RESPONSE MISSING_THOUGHT_SIGNATURE TOO_MANY_TOOL_CALLS NO_IMAGE"
)
_REASONS: Final[dict[str, Reason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    **dict.fromkeys(_FILTERED.split(), "filter"),
    **dict.fromkeys(_BROKEN.split(), "error"),
}
_WORDS: Final[dict[Reason, str]] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_calls": "STOP",
    "filter": "SAFETY",
    "pause": "OTHER",
    "context": "MAX_TOKENS",
    "error": "OTHER",
    "other": "OTHER",
}
_COUNTS: Final = (
    "promptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
)
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_LATEST: Final = 1 << 37  # a year that a date can still be written for

# Reading


def parse_response(body: Json) -> Response:
    try:
        return _parse_response(spell(body, ANSWER))
    except (InterlinguaError, RecursionError) as error:
        raise UpstreamGarbage(f"The provider's answer is no generateContent response: {error}") from None


def _parse_response(d: Json) -> Response:
    feedback, candidates = d.get("promptFeedback"), d.pop("candidates", None)
    if not candidates and feedback is None:
        raise UpstreamGarbage("it has neither candidates nor promptFeedback")
    response, usage = read_head(d), d.pop("usageMetadata", None)
    stem = id_stem(response.id)
    for i, item in enumerate(array(candidates if candidates is not None else [], "candidates")):
        response.choices.append(_parse_candidate(spell(obj(item, f"candidates[{i}]"), CANDIDATE), i, stem))
    if not response.choices:
        response.choices.append(Choice(finish=blocked(as_obj(feedback))))
        note_down(response.choices[0], NAME, "~blocked")
    if usage is not None:
        response.usage = parse_usage(usage)
    if d:
        keep(response, NAME, d)
    return response


def read_head(d: Json) -> Response:
    """Pops what every chunk tells of the whole: id, model and time."""
    time = d.pop("createTime", None)
    id_, model = text(d.pop("responseId", ""), "responseId"), text(d.pop("modelVersion", ""), "modelVersion")
    response = Response(id=id_, model=model, choices=[])
    if time is not None:
        response.created = _seconds(text(time, "createTime"))
        note_down(response, NAME, "~createTime", time)
    return response


def _seconds(time: str) -> int:
    try:
        said = datetime.fromisoformat(time)
        return int((said if said.tzinfo else said.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0


def id_stem(response_id: str) -> str:
    """What the ids of an answer's calls begin with, where the backend gives none: unlike those of any other answer."""
    return "call_" + (_UNSAFE.sub("_", response_id[:40]) or os.urandom(9).hex())


def call_id(stem: str, choice: int, part: int) -> str:
    return f"{stem}_{choice}_{part}" if choice else f"{stem}_{part}"


def blocked(feedback: Json) -> Finish:
    """How a prompt ends that was refused."""
    return Finish(reason="filter", raw=as_text(feedback.get("blockReason")) or "SAFETY", origin=NAME)


def _parse_candidate(d: Json, i: int, stem: str) -> Choice:
    path = f"candidates[{i}]"
    choice = Choice(parts=[], logprobs=[])
    if (index := d.pop("index", None)) != i:
        note_down(choice, NAME, "~index", "absent" if index is None else index)
    content = d.pop("content", None)
    if content is None:
        note_down(choice, NAME, "~content", "absent")
    content = dict(obj(content if content is not None else {}, f"{path}.content"))
    parts, role = content.pop("parts", None), content.pop("role", None)
    if role != "model":
        note_down(choice, NAME, "~role", "absent" if role is None else role)
    if parts is None:
        note_down(choice, NAME, "~parts", "absent")
    for j, item in enumerate(array(parts if parts is not None else [], f"{path}.content.parts")):
        if len(plain := as_obj(item)) == 1 and (words := as_text(plain.get("text"))) is not None:
            choice.parts.append(Text(text=words))
        else:
            where = f"{path}.content.parts[{j}]"
            choice.parts.append(parse_part(obj(item, where), where, call_id(stem, i, j)))
    if content:
        keep_in(choice, NAME, "content", content)
    choice.finish = parse_finish(d, any(isinstance(part, ToolCall) for part in choice.parts))
    if (logprobs := d.pop("logprobsResult", None)) is not None:
        choice.logprobs = parse_logprobs(logprobs)
        note_down(choice, NAME, "~logprobsResult", logprobs)
    if d:
        keep(choice, NAME, d)
        for place, citation in read_citations(d, choice.parts):
            said = choice.parts[place]
            if isinstance(said, Text):
                said.citations = [*said.citations, citation]
    return choice


def parse_finish(d: Json, calls: bool) -> Finish | None:
    """Pops how a candidate ended. Gemini says STOP too where it waits for the results of its calls."""
    word, message = d.pop("finishReason", None), d.pop("finishMessage", None)
    if word is None:
        if message is not None:
            d["finishMessage"] = message
        return None
    reason = _REASONS.get(text(word, "finishReason"), "other")
    finish = Finish(reason="tool_calls" if calls and reason == "stop" else reason, raw=word, origin=NAME)
    if message is not None:
        keep(finish, NAME, {"finishMessage": message})
    return finish


def parse_logprobs(value: Any) -> list[TokenLogprob]:
    d = obj(value, "logprobsResult")
    top = as_array(d.get("topCandidates"))
    found: list[TokenLogprob] = []
    for k, item in enumerate(as_array(d.get("chosenCandidates"))):
        token = _token(obj(item, "logprobsResult.chosenCandidates"))
        if k < len(top):
            token.top = [_token(as_obj(other)) for other in as_array(as_obj(top[k]).get("candidates"))]
        found.append(token)
    return found


def _token(d: Json) -> TokenLogprob:
    return TokenLogprob(
        token=text(d.get("token", ""), "logprobsResult.token"),
        logprob=number(d.get("logProbability", 0), "logprobsResult.logProbability"),
    )


def read_citations(d: Json, parts: list[AnyPart]) -> list[tuple[int, Citation]]:
    """(index of the part, citation) for what the metadata of a candidate cites. The metadata itself is kept as well."""
    found: list[tuple[int, Citation]] = []
    grounding = as_obj(d.get("groundingMetadata"))
    chunks = [as_obj(chunk) for chunk in as_array(grounding.get("groundingChunks"))]
    first = next((j for j, part in enumerate(parts) if isinstance(part, Text)), None)
    for support in map(as_obj, as_array(grounding.get("groundingSupports"))):
        segment = as_obj(support.get("segment"))
        place = segment.get("partIndex", first)
        for index in as_array(support.get("groundingChunkIndices")):
            chunk = chunks[index] if type(index) is int and 0 <= index < len(chunks) else {}
            source = as_obj(chunk.get("web")) or as_obj(chunk.get("retrievedContext")) or as_obj(chunk.get("maps"))
            _cite(found, place, source, segment, parts)
    cited = as_obj(d.get("citationMetadata"))
    for source in map(as_obj, as_array(cited.get("citationSources")) or as_array(cited.get("citations"))):
        _cite(found, first, source, source, parts)
    return found


def _cite(found: list[tuple[int, Citation]], place: Any, source: Json, span: Json, parts: list[AnyPart]) -> None:
    part = parts[place] if type(place) is int and 0 <= place < len(parts) else None
    uri, title = as_text(source.get("uri")), as_text(source.get("title"))
    if not isinstance(part, Text) or uri is None:
        return
    start, end = span.get("startIndex", 0), span.get("endIndex")
    citation = Citation(url=uri, title=title, extras={NAME: {"~metadata": True}})
    if type(end) is int and type(start) is int:
        citation.start, citation.end = _characters(part.text, start), _characters(part.text, end)
    found.append((place, citation))


def _characters(words: str, bytes_: int) -> int:
    """How many characters of the words a count of UTF-8 bytes covers."""
    if words.isascii():
        return max(0, min(bytes_, len(words)))
    return len(words.encode()[: max(0, bytes_)].decode(errors="ignore"))


def parse_usage(value: Any) -> Usage:
    d = spell(obj(value, "usageMetadata"), USAGE)
    counts: dict[str, int] = {}
    for key in _COUNTS:
        if (count := d.pop(key, None)) is not None:
            counts[key] = count if type(count) is int else integer(count, f"usageMetadata.{key}")
    thoughts, tools = counts.get("thoughtsTokenCount"), d.get("toolUsePromptTokenCount")
    usage = Usage(
        input=_sum(counts.get("promptTokenCount"), tools if tools is None else integer(tools, "toolUsePromptTokenCount")),
        cache_read=counts.get("cachedContentTokenCount"),
        output=_sum(counts.get("candidatesTokenCount"), thoughts),
        reasoning=thoughts,
        extras={NAME: {"~counts": counts, **d}},
    )
    if d:
        usage.audio_input = _audio(d.get("promptTokensDetails"))
        usage.audio_output = _audio(d.get("candidatesTokensDetails"))
    return usage


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None and other is None else (one or 0) + (other or 0)


def _audio(details: Any) -> int | None:
    for detail in map(as_obj, as_array(details)):
        if detail.get("modality") == "AUDIO" and type(count := detail.get("tokenCount")) is int:
            return count
    return None


# Writing


def format_response(response: Response, asked: Request, lose: Lose) -> Json:
    out: Json = {}
    if not (len(response.choices) == 1 and note(response.choices[0], NAME, "~blocked")):
        out["candidates"] = [_format_choice(choice, i, lose) for i, choice in enumerate(response.choices)]
    out.update(format_head(response))
    if response.usage is not None:
        out["usageMetadata"] = format_usage(response.usage, lose)
    if response.extras:
        foreign(response, NAME, "response", lose)
        merge(out, response, NAME)
    return out


def format_head(response: Response) -> Json:
    out: Json = {}
    if response.model:
        out["modelVersion"] = response.model
    if response.id:
        out["responseId"] = response.id
    if (time := note(response, NAME, "~createTime")) is not None:
        out["createTime"] = time
    elif 0 < response.created < _LATEST:
        out["createTime"] = datetime.fromtimestamp(response.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return out


def _format_choice(choice: Choice, i: int, lose: Lose) -> Json:
    path = f"response.choices[{i}]"
    out: Json = {}
    if note(choice, NAME, "~content") != "absent":
        out["content"] = _format_content(choice, path, lose)
    out["index"] = i
    if choice.finish is not None:
        out.update(format_finish(choice.finish, path, lose))
    if choice.logprobs:
        raw = note(choice, NAME, "~logprobsResult")
        out["logprobsResult"] = raw if raw is not None else format_logprobs(choice.logprobs, path, lose)
    texts = [(j, part.text, part.citations) for j, part in enumerate(choice.parts) if isinstance(part, Text) and part.citations]
    if texts and (grounding := format_grounding(texts, path, lose)):
        out["groundingMetadata"] = grounding
    if choice.extras:
        foreign(choice, NAME, path, lose)
        merge(out, choice, NAME)
        if (index := note(choice, NAME, "~index")) is not None:
            out["index"] = index
            if index == "absent":
                del out["index"]
    return out


def _format_content(choice: Choice, path: str, lose: Lose) -> Json:
    parts = [format_answer_part(part, f"{path}.parts[{j}]", lose) for j, part in enumerate(choice.parts)]
    content: Json = {"role": "model", "parts": parts}
    if (role := note(choice, NAME, "~role")) is not None:
        content["role"] = role
        if role == "absent":
            del content["role"]
    if note(choice, NAME, "~parts") and not parts:
        del content["parts"]
    return content


def format_answer_part(part: AnyPart, path: str, lose: Lose) -> Json:
    """One part of an answer. What Gemini has no word for is sealed in an empty text."""
    match part:
        case Text():
            out: Json = {"text": part.text}
            if part.refusal:
                lose(f"{path}.refusal", "changed", "Gemini does not tell a refusal from other words")
            if part.extras:
                foreign(part, NAME, path, lose)
        case Thinking():
            out = {"text": part.text, "thought": True}
        case ToolCall():
            out = format_call(part, path, lose, ids=True)
        case Media() if can_say(part, fetches=True):
            out = format_media(part, path, lose, fetches=True) or {}
            if part.extras:
                foreign(part, NAME, path, lose)
        case Opaque(origin="gemini"):
            out = dict(part.data)
        case Media() | Opaque() | ToolResult():
            lose(path, "changed", "Gemini's answers have no such part; sealed in a thoughtSignature")
            return {"text": "", "thoughtSignature": slot(part)}
        case _:
            assert_never(part)
    return finished(out, part)


def finished(out: Json, part: AnyPart) -> Json:
    """What every part may bear: the signature, and extras of Gemini's own. Foreign ones travel in a call's or a
    thought's signature."""
    if (value := carried(part)) is not None:
        out["thoughtSignature"] = value
    if (thought := note(part, NAME, "~thought")) is not None:
        out["thought"] = thought
    return merge(out, part, NAME) if part.extras else out


def format_finish(finish: Finish, path: str, lose: Lose) -> Json:
    own = finish.origin == NAME and finish.raw is not None
    if finish.stop is not None:
        lose(f"{path}.finish.stop", "dropped", "Gemini does not tell which stop sequence matched")
    if finish.reason in ("pause", "context", "error", "other") and not own:
        lose(f"{path}.finish.reason", "changed", f"Gemini has no word for {finish.raw or finish.reason}")
    out: Json = {"finishReason": finish.raw if own else _WORDS[finish.reason]}
    if finish.extras:
        foreign(finish, NAME, f"{path}.finish", lose)
        merge(out, finish, NAME)
    return out


def format_logprobs(tokens: list[TokenLogprob], path: str, lose: Lose) -> Json:
    if any(token.bytes is not None for token in tokens):
        lose(f"{path}.logprobs", "changed", "Gemini does not tell the bytes of a token")
    out: Json = {"chosenCandidates": [{"token": t.token, "logProbability": t.logprob} for t in tokens]}
    if any(token.top for token in tokens):
        tops = ([{"token": t.token, "logProbability": t.logprob} for t in token.top] for token in tokens)
        out["topCandidates"] = [{"candidates": top} for top in tops]
    return out


def format_grounding(said: Sequence[tuple[int | None, str, list[Citation]]], path: str, lose: Lose) -> Json:
    """Citations as grounding, the way Gemini tells which page a claim rests on. `said`: (part, its words, its citations);
    no part: the words are the whole answer's."""
    chunks: list[Json] = []
    supports: list[Json] = []
    for j, words, citations in said:
        for k, citation in enumerate(citations):
            where = f"{path}.parts[{j or 0}].citations[{k}]"
            if note(citation, NAME, "~metadata"):
                continue  # the metadata that it was read from is written whole
            if (chunk := _chunk(citation, where, lose)) is None:
                continue
            if chunk not in chunks:
                chunks.append(chunk)
            segment = {} if j is None else {"partIndex": j}
            supports.append({"segment": {**segment, **_segment(citation, words)}, "groundingChunkIndices": [chunks.index(chunk)]})
    return {"groundingChunks": chunks, "groundingSupports": supports} if supports else {}


def _chunk(citation: Citation, path: str, lose: Lose) -> Json | None:
    if citation.extras:
        foreign(citation, NAME, path, lose)
    source: Json = {key: value for key, value in (("uri", citation.url), ("title", citation.title)) if value is not None}
    if citation.url is None and citation.quote is None:
        lose(path, "dropped", "Gemini cites pages and passages only")
        return None
    if citation.place is not None:
        lose(f"{path}.place", "dropped", "Gemini does not tell where in a source a passage stands")
    if citation.url is None:
        return {"retrievedContext": {**source, "text": citation.quote}}
    if citation.quote is not None:
        lose(f"{path}.quote", "dropped", "Gemini does not tell the words cited")
    return {"web": source}


def _segment(citation: Citation, words: str) -> Json:
    start = citation.start or 0
    end = len(words) if citation.end is None else citation.end
    span = words[start:end]
    before = len(words[:start].encode())
    return {"startIndex": before, "endIndex": before + len(span.encode()), "text": span}


def format_usage(usage: Usage, lose: Lose) -> Json:
    if (counts := note(usage, NAME, "~counts")) is not None:
        out = dict(counts)
    else:
        out = _counts(usage, lose)
    if usage.extras:
        foreign(usage, NAME, "response.usage", lose)
        merge(out, usage, NAME)
    return out


def _counts(usage: Usage, lose: Lose) -> Json:
    said = None if usage.output is None else max(0, usage.output - (usage.reasoning or 0))
    out: Json = {
        "promptTokenCount": usage.input,
        "cachedContentTokenCount": usage.cache_read,
        "candidatesTokenCount": said,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": _sum(usage.input, usage.output),
    }
    for key, audio in (("promptTokensDetails", usage.audio_input), ("candidatesTokensDetails", usage.audio_output)):
        if audio is not None:
            out[key] = [{"modality": "AUDIO", "tokenCount": audio}]
    if usage.cache_write:
        lose("response.usage.cache_write", "dropped", "Gemini does not tell what it wrote to a cache")
    return {key: value for key, value in out.items() if value is not None}
