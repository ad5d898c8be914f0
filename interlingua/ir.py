"""The one language every protocol is translated to and from. Pure values: no I/O, no clock, no wire names.

`extras[protocol]` holds what only that protocol can say: unknown fields, written back verbatim, and only to it.
A key there that begins with `~` is a spelling note (how that protocol said something the IR already carries):
only that protocol's formatter reads it, and it is never a loss.
"""

from typing import Any, Literal

from msgspec import Struct

Json = dict[str, Any]
Extras = dict[str, Json]

Role = Literal["system", "developer", "user", "assistant", "tool"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]
Unit = Literal["char", "page", "chunk", "result"]
Reason = Literal["stop", "length", "tool_calls", "filter", "pause", "context", "error", "other"]


class Node(Struct, kw_only=True, omit_defaults=True, gc=False):
    extras: Extras = {}


class Signature(Struct, frozen=True):
    """A seal over reasoning. `data` is never trimmed nor re-encoded, and worthless to any protocol but `origin`."""

    origin: str
    data: str


class Cache(Struct, frozen=True, omit_defaults=True):
    """A mark: the prompt up to and including its bearer may be cached. `ttl` as the client wrote it; None: default."""

    ttl: str | None = None


class Place(Struct, frozen=True, omit_defaults=True):
    """Where cited words stand in what the model was shown, from `start` to before `end`: the characters or the chunks of a
    document, its pages (counted from 1, all else from 0), or the chunks of a search result. `index`: which of the request's
    documents, or of its search results, it is."""

    unit: Unit
    index: int
    start: int
    end: int
    source: str | None = None  # a search result's own: its URL, or what else it is known by


class Citation(Node):
    url: str | None = None
    title: str | None = None
    quote: str | None = None  # the words cited, in the source
    place: Place | None = None
    start: int | None = None  # span in the answer's text, in characters
    end: int | None = None


class TokenLogprob(Struct, omit_defaults=True):
    token: str
    logprob: float
    bytes: list[int] | None = None
    top: list["TokenLogprob"] = []


class Part(Node, kw_only=True, tag_field="type"):
    cache: Cache | None = None
    signature: Signature | None = None


class Text(Part, tag="text"):
    text: str = ""
    refusal: bool = False
    citations: list[Citation] = []


class Thinking(Part, tag="thinking"):
    text: str = ""
    redacted: bool = False  # words withheld; only the signature speaks


class Media(Part, tag="media"):
    """Exactly one of `data`, `url`, `file`, `text` says where the bytes are. `context`, `citable` and `chunks` are a document's,
    for a model that may cite it. A document with a `source` is what a search found: text in chunks, without a context."""

    kind: Literal["image", "audio", "video", "document"]
    data: str | None = None  # base64, as received
    url: str | None = None
    file: str | None = None  # id in a backend's own store: not portable
    text: str | None = None  # a document that is plain text
    mime: str | None = None
    name: str | None = None
    context: str | None = None  # what the model is told about it, and cannot cite
    citable: bool | None = None
    chunks: list[str] = []  # what `text` is joined of, each of them cited as a whole
    source: str | None = None  # where a search found it: a URL, or what else it is known by


class ToolCall(Part, tag="tool_call"):
    id: str
    name: str
    arguments: str = ""  # the model's exact text: prompt caches match bytes


class Opaque(Part, tag="opaque"):
    """A whole block that only `origin` knows: server tools and their results, and whatever was born after this file."""

    origin: str
    data: Json


class ToolResult(Part, tag="tool_result"):
    id: str
    name: str | None = None
    parts: list[Text | Media | Opaque] = []
    error: bool = False


AnyPart = Text | Thinking | Media | ToolCall | ToolResult | Opaque


class Message(Node):
    """One turn as written. Parsing never merges or splits turns; formatting does where its protocol must."""

    role: Role
    parts: list[AnyPart] = []


class Function(Node, tag_field="type", tag="function"):
    name: str
    description: str | None = None
    schema: Json | None = None  # JSON Schema 2020-12; None: takes nothing
    strict: bool | None = None
    cache: Cache | None = None


class ServerTool(Node, tag_field="type", tag="server_tool"):
    """A tool that only `origin` knows, run by the backend or with a grammar of its own. `config` is the whole wire entry."""

    origin: str
    kind: str
    config: Json = {}


class ToolChoice(Struct, omit_defaults=True):
    """`names` limits the choice: with "named" exactly one, with "auto" or "required" any of them; empty: all tools."""

    mode: Literal["auto", "none", "required", "named"] | None = None  # None: only `parallel` was said
    names: list[str] = []
    parallel: bool | None = None


class Output(Node):
    mode: Literal["text", "json", "schema"]
    schema: Json | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class Reasoning(Node):
    """`enabled` True with neither effort nor budget: the model decides how much. `visible`: are its words shown."""

    enabled: bool | None = None
    effort: Effort | None = None
    budget: int | None = None  # tokens
    visible: bool | None = None


class Request(Node):
    model: str
    messages: list[Message]
    tools: list[Function | ServerTool] = []
    tool_choice: ToolChoice | None = None
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: list[str] = []
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    user: str | None = None
    stream: bool = False


class Usage(Node):
    """Tokens. None is "not reported", never zero. Totals include their breakdown: `input` counts the cached too."""

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    audio_input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    audio_output: int | None = None
    estimated: bool = False  # `output` is ours, by its length: the provider was hung up on before it told


class Finish(Node):
    """`raw` is the backend's own word, given back verbatim to a client of protocol `origin`."""

    reason: Reason = "other"
    raw: str | None = None
    origin: str | None = None
    stop: str | None = None  # the stop sequence that matched


class Choice(Node):
    parts: list[AnyPart] = []
    finish: Finish | None = None
    logprobs: list[TokenLogprob] = []


class Response(Node):
    id: str = ""
    model: str = ""
    created: int = 0  # Unix seconds; 0: not told
    choices: list[Choice] = []
    usage: Usage | None = None


# A stream is a response told in order: Start, then per choice parts and one ChoiceEnd, then End (or Failure, alone last).


class Event(Node, kw_only=True, tag_field="type"):
    choice: int = 0


class Start(Event, tag="start"):
    id: str = ""
    model: str = ""
    created: int = 0
    usage: Usage | None = None  # what is known before the first token


class PartStart(Event, tag="part_start"):
    """`part` is complete, but for what the deltas append. Indices count up from 0 within a choice."""

    index: int
    part: AnyPart


class PartDelta(Event, tag="part_delta"):
    index: int
    text: str = ""  # appended to .text, or to a tool call's .arguments, or to a media's .data
    signature: Signature | None = None
    citation: Citation | None = None
    logprobs: list[TokenLogprob] = []


class PartEnd(Event, tag="part_end"):
    index: int


class ChoiceEnd(Event, tag="choice_end"):
    finish: Finish | None = None
    logprobs: list[TokenLogprob] = []  # those that no delta told


class UsageSoFar(Event, tag="usage"):
    usage: Usage  # cumulative; the final one comes with End


class OpaqueEvent(Event, tag="opaque_event"):
    """A whole stream event that only `origin` knows."""

    origin: str
    data: Json


class End(Event, tag="end"):
    usage: Usage | None = None


class Failure(Event, tag="failure"):
    """What went wrong, in no protocol's words. `extras[origin]` is the provider's own error body."""

    status: int
    kind: str  # a key of errors.KINDS
    message: str
    code: str | None = None
    param: str | None = None
    retry_after: float | None = None  # seconds


AnyEvent = Start | PartStart | PartDelta | PartEnd | ChoiceEnd | UsageSoFar | OpaqueEvent | End | Failure
