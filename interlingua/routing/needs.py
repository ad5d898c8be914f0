"""What a request needs of a backend, read off the IR in one cheap pass. Needs are bits, so that plans are cached by them.

How long a prompt is, is estimated only where the body it came in has more bytes than a model's context window has tokens, or
media: no body has fewer bytes than its text has tokens.
"""

from collections.abc import Iterable
from typing import Final, get_args

from interlingua.config import Capability
from interlingua.embeddings import Embedding
from interlingua.ir import AnyPart, Function, Media, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols.wire import encode_json

NAMES: Final[tuple[str, ...]] = get_args(Capability)
BIT: Final = {name: 1 << place for place, name in enumerate(NAMES)}
ALL: Final = (1 << len(NAMES)) - 1

TEXT: Final = BIT["text"]
EMBEDDINGS: Final = BIT["embeddings"]
THINKING: Final = BIT["thinking"]
PARALLEL: Final = BIT["parallel_tools"]
_STREAMED: Final = TEXT | BIT["streaming"]
_TOOLS: Final = BIT["tools"]
_SCHEMA: Final = BIT["json_schema"]
_MEDIA: Final = {"image": BIT["vision"], "document": BIT["documents"], "audio": BIT["audio"], "video": BIT["video"]}
MEDIA: Final = sum(_MEDIA.values())
_TOKENS: Final = {"image": 1100, "document": 2000, "audio": 1500, "video": 5000}  # by and large
_TURN: Final = 4


def bits(names: Iterable[str]) -> int:
    return sum(BIT[name] for name in set(names))


def named(needs: int) -> list[str]:
    """The names of bits, in the order the configuration's reference has them."""
    return [name for name in NAMES if needs & BIT[name]]


def read(request: Request) -> int:
    if request.__class__ is Embedding:
        return EMBEDDINGS
    needs = _STREAMED if request.stream else TEXT
    if request.tools:
        needs |= _TOOLS
    if request.tool_choice is not None and request.tool_choice.parallel:
        needs |= PARALLEL
    if request.output is not None and request.output.mode == "schema":
        needs |= _SCHEMA
    if request.reasoning is not None and _thinks(request):
        needs |= THINKING
    for message in request.messages:
        calls = 0
        for part in message.parts:
            if part.__class__ is Text:
                continue
            if part.__class__ is ToolCall:
                needs |= _TOOLS
                calls += 1
            else:
                needs |= _of(part)
        if calls > 1:  # templates of models that make one call at a time refuse a history with more
            needs |= PARALLEL
    return needs


def _thinks(request: Request) -> bool:
    reasoning = request.reasoning
    return reasoning is not None and bool(
        reasoning.enabled or (reasoning.enabled is None and (reasoning.effort is not None or reasoning.budget))
    )


def _of(part: AnyPart) -> int:
    """The needs of a part that is neither plain text nor a call."""
    if isinstance(part, ToolResult):
        needs = _TOOLS
        for piece in part.parts:
            if piece.__class__ is not Text:
                needs |= _of(piece)
        return needs
    if isinstance(part, Media) and part.text is None:  # a document in plain text is carried as text where it must be
        return _MEDIA[part.kind]
    return 0


def estimate(request: Request) -> int:
    """Tokens of a prompt, by its length: four bytes a token, and a flat rate for what is not text."""
    size = media = 0
    for message in request.messages:
        for part in message.parts:
            size += _bytes(part)
            if isinstance(part, Media) and part.text is None:
                media += _TOKENS[part.kind]
    size += sum([len(encode_json(tool)) for tool in request.tools if isinstance(tool, Function)])
    return size // 4 + media + _TURN * len(request.messages) + 3


def _bytes(part: AnyPart) -> int:
    match part:
        case Text() | Thinking():
            return len(part.text) if part.text.isascii() else len(part.text.encode())
        case ToolCall():
            return len(part.name) + len(part.arguments.encode())
        case ToolResult():
            return sum(_bytes(inner) for inner in part.parts)
        case Media():
            return len(part.text or "")
        case Opaque():
            return len(encode_json(part.data))
