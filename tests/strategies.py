"""Hypothesis builders for the IR: whole, legal values with every leaf a protocol may be asked to say."""

from typing import Any

import msgspec
from hypothesis import strategies as st

from interlingua.ir import (
    Cache,
    Choice,
    Citation,
    Finish,
    Function,
    Media,
    Message,
    Opaque,
    Output,
    Place,
    Reasoning,
    Request,
    Response,
    ServerTool,
    Signature,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolChoice,
    ToolResult,
    Usage,
)

ORIGINS = ("openai", "anthropic", "gemini", "responses", "bedrock")
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).filter(str.strip)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
ids = st.from_regex(r"call_[a-z0-9]{4,8}", fullmatch=True)
base64s = st.binary(min_size=3, max_size=9).map(lambda b: __import__("base64").b64encode(b).decode())
counts = st.integers(1, 5000)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


extras = st.dictionaries(st.sampled_from(ORIGINS), st.dictionaries(names, words, min_size=1, max_size=2), max_size=2).map(
    lambda found: {origin: {f"x_{origin}_{key}": value for key, value in values.items()} for origin, values in found.items()}
)
signatures = st.builds(Signature, origin=st.sampled_from(ORIGINS), data=base64s)
caches = st.builds(Cache, ttl=st.sampled_from((None, "5m", "1h", "30m")))
schemas = st.builds(
    lambda fields: {
        "type": "object",
        "properties": {f: {"type": "string"} for f in fields},
        "required": fields,
        "additionalProperties": False,
    },
    st.lists(names, min_size=1, max_size=3, unique=True),
)
arguments = st.dictionaries(names, words | st.integers(0, 9), min_size=1, max_size=2).map(
    lambda d: msgspec.json.encode(d).decode()
)

texts = st.builds(Text, text=words, cache=maybe(caches), signature=maybe(signatures), extras=extras)
citations = st.builds(
    Citation,
    url=maybe(st.just("https://example.com/a")),
    title=maybe(words),
    quote=maybe(words),
    start=maybe(st.integers(0, 3)),
    end=maybe(st.integers(4, 9)),
)
places = st.builds(Place, unit=st.sampled_from(("char", "page", "chunk")), index=counts, start=counts, end=counts) | st.builds(
    Place, unit=st.just("result"), index=counts, start=counts, end=counts, source=st.just("https://example.com/a")
)
placed = st.builds(Citation, title=maybe(words), quote=maybe(words), place=places)


def _found(chunks: list[str], name: str, source: str, **more: Any) -> Media:
    """What a search found."""
    return Media(kind="document", text="\n".join(chunks), chunks=chunks, name=name, source=source, **more)


found = st.builds(
    _found,
    st.lists(words, min_size=1, max_size=3),
    words,
    words,
    citable=maybe(st.booleans()),
    cache=maybe(caches),
    extras=extras,
)
media = st.one_of(
    found,
    st.builds(Media, kind=st.just("image"), data=base64s, mime=st.sampled_from(("image/png", "image/jpeg"))),
    st.builds(Media, kind=st.just("image"), url=st.just("https://example.com/i.png")),
    st.builds(
        Media,
        kind=st.just("document"),
        data=base64s,
        mime=st.just("application/pdf"),
        name=maybe(words),
        context=maybe(words),
        citable=maybe(st.just(True)),
    ),
    st.builds(Media, kind=st.just("document"), text=words, name=maybe(words), context=maybe(words), citable=maybe(st.just(True))),
    st.builds(Media, kind=st.just("audio"), data=base64s, mime=st.sampled_from(("audio/wav", "audio/flac", "audio/ogg"))),
    st.builds(Media, kind=st.just("video"), data=base64s, mime=st.just("video/mp4")),
    st.builds(Media, kind=st.just("image"), file=st.just("file-123"), extras=extras),
)
thinking = st.one_of(
    st.builds(Thinking, text=words, signature=maybe(signatures)),
    st.builds(Thinking, redacted=st.just(True), signature=signatures),
)
calls = st.builds(
    ToolCall, id=ids, name=names, arguments=arguments, signature=maybe(signatures), cache=maybe(caches), extras=extras
)


def _opaque(origin: str, said: str) -> Opaque:
    """A block of the origin's own: of the kinds that it has where its types are closed."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": said}}
    ran = {"toolUse": {"toolUseId": "t", "name": "x_search", "input": {"q": said}, "type": "server_tool_use"}}
    return Opaque(origin=origin, data={"responses": search, "bedrock": ran}.get(origin, {"type": "x_block", "value": said}))


opaques = st.builds(_opaque, st.sampled_from(ORIGINS), words)


@st.composite
def turns(draw: st.DrawFn) -> list[Message]:
    """A user's turn, then perhaps calls and their results, as a conversation has them."""
    said: list[Any] = draw(st.lists(st.one_of(texts, media, opaques), min_size=1, max_size=3))
    messages = [Message(role="user", parts=said, extras=draw(extras))]
    if draw(st.booleans()):
        made = draw(st.lists(calls, max_size=2, unique_by=lambda c: c.id))
        cited = st.builds(Text, text=words, citations=st.lists(citations | placed, min_size=1, max_size=2))
        before: list[Any] = draw(st.lists(st.one_of(texts, cited, thinking), max_size=2))
        if before or made:
            messages.append(Message(role="assistant", parts=[*before, *made], extras=draw(extras)))
        inner = st.lists(st.one_of(texts, found, media.filter(lambda m: m.kind == "image")), max_size=2)
        results: list[Any] = [ToolResult(id=c.id, parts=draw(inner), error=draw(st.booleans())) for c in made]
        if results:
            messages.append(Message(role="tool", parts=results))
    return messages


tools = st.one_of(
    st.builds(
        Function,
        name=names,
        description=maybe(words),
        schema=maybe(schemas),
        strict=maybe(st.booleans()),
        cache=maybe(caches),
        extras=extras,
    ),
    st.builds(
        ServerTool,
        origin=st.sampled_from(ORIGINS),
        kind=st.just("x_search"),
        config=st.just({"type": "x_search", "name": "x_search"}),
    ),
)


@st.composite
def requests(draw: st.DrawFn) -> Request:
    messages = [Message(role="system", parts=[draw(texts)])] if draw(st.booleans()) else []
    for turn in draw(st.lists(turns(), min_size=1, max_size=2)):
        messages += turn
    chosen = draw(st.lists(tools, max_size=2, unique_by=lambda t: getattr(t, "name", "")))
    functions = [t.name for t in chosen if isinstance(t, Function)]
    choice = draw(st.sampled_from((None, "auto", "none", "required", "named"))) if functions else None
    return Request(
        model="client-model",
        messages=messages,
        tools=chosen,
        tool_choice=None
        if choice is None
        else ToolChoice(mode=choice, names=functions[:1] if choice == "named" else [], parallel=draw(maybe(st.booleans()))),
        output=draw(maybe(st.builds(Output, mode=st.just("schema"), schema=schemas, name=names, strict=maybe(st.booleans())))),
        reasoning=draw(
            maybe(st.builds(Reasoning, effort=st.sampled_from(("low", "medium", "high")), visible=maybe(st.booleans())))
        ),
        max_tokens=draw(maybe(st.integers(4096, 8192))),
        temperature=draw(maybe(st.sampled_from((0.0, 0.5, 1.0)))),
        top_p=draw(maybe(st.sampled_from((0.1, 0.9)))),
        top_k=draw(maybe(counts)),
        frequency_penalty=draw(maybe(st.sampled_from((-1.0, 0.5)))),
        presence_penalty=draw(maybe(st.sampled_from((-1.0, 0.5)))),
        seed=draw(maybe(counts)),
        stop=draw(st.lists(words, max_size=6, unique=True)),
        n=draw(maybe(st.integers(2, 4))),
        logprobs=draw(maybe(st.booleans())),
        top_logprobs=draw(maybe(st.integers(1, 5))),
        user=draw(maybe(names)),
        stream=draw(st.booleans()),
        extras=draw(extras),
    )


usages = st.builds(
    lambda i, cr, cw, o, r, ao: Usage(
        input=i + (cr or 0) + (cw or 0),
        cache_read=cr,
        cache_write=cw,
        output=o + (r or 0) + (ao or 0),
        reasoning=r,
        audio_output=ao,
    ),
    counts,
    maybe(counts),
    maybe(counts),
    counts,
    maybe(counts),
    maybe(counts),
)
logprobs = st.builds(TokenLogprob, token=words, logprob=st.sampled_from((-0.5, -1.0)))
finishes = st.builds(
    Finish,
    reason=st.sampled_from(("stop", "length", "tool_calls", "filter", "pause", "context", "error", "other")),
    stop=maybe(words),
)
answers = st.one_of(
    texts.map(lambda t: Text(text=t.text, signature=t.signature)),
    st.builds(Text, text=words, citations=st.lists(citations | placed, max_size=2)),
    st.builds(Text, text=words, refusal=st.just(True)),
    thinking,
    calls.map(lambda c: ToolCall(id=c.id, name=c.name, arguments=c.arguments, signature=c.signature)),
    opaques,
    media.filter(lambda m: m.data is not None and m.kind in ("image", "audio")),
)
choices = st.builds(
    Choice,
    parts=st.lists(answers, min_size=1, max_size=4),
    finish=finishes,
    logprobs=st.lists(logprobs, max_size=2),
    extras=extras,
)
responses = st.builds(
    Response,
    id=names,
    model=names,
    created=counts,
    choices=st.lists(choices, min_size=1, max_size=2),
    usage=maybe(usages),
    extras=extras,
)


def foreign(request: Request, name: str) -> Request:
    """A copy without what only `name` says: the words made up for it here are none of its types'."""

    def others(value: Any) -> Any:
        if isinstance(value, list):
            return [others(item) for item in value if not (isinstance(item, dict) and item.get("origin") == name)]
        if not isinstance(value, dict):
            return value
        kept = {key: item for key, item in value.items() if not (isinstance(item, dict) and item.get("origin") == name)}
        return {key: others(item) for key, item in kept.items() if not (key == name and isinstance(item, dict))}

    return msgspec.convert(others(msgspec.to_builtins(request)), Request)
