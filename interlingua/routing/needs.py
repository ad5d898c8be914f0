"""What a request needs of a backend, read off the IR in one cheap pass. Needs are bits, so that plans are cached by them.

A rough size stands beside them, which takes every character for a token and so costs no look into them; only where it exceeds
a model's context window is the prompt estimated.
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
_TOOL: Final = 2000  # a tool's tokens, at most, by and large
_TURN: Final = 4


def bits(names: Iterable[str]) -> int:
    return sum(BIT[name] for name in set(names))


def named(needs: int) -> list[str]:
    """The names of bits, in the order the configuration's reference has them."""
    return [name for name in NAMES if needs & BIT[name]]


def read(request: Request) -> tuple[int, int]:
    """(needs, rough size in tokens); the size of inputs to be embedded is not looked at."""
    if request.__class__ is Embedding:
        return EMBEDDINGS, 0
    needs = _STREAMED if request.stream else TEXT
    size = _TURN * (1 + len(request.messages))
    if request.tools:
        needs |= _TOOLS
        size += _TOOL * len(request.tools)
    if request.tool_choice is not None and request.tool_choice.parallel:
        needs |= PARALLEL
    if request.output is not None and request.output.mode == "schema":
        needs |= _SCHEMA
    if request.reasoning is not None and _thinks(request):
        needs |= THINKING
    for message in request.messages:
        calls = 0
        for part in message.parts:
            if isinstance(part, Text):
                size += len(part.text)
            else:
                more, tokens = _of(part)
                needs |= more
                size += tokens
                calls += isinstance(part, ToolCall)
        if calls > 1:  # templates of models that make one call at a time refuse a history with more
            needs |= PARALLEL
    return needs, size


def _thinks(request: Request) -> bool:
    reasoning = request.reasoning
    return reasoning is not None and bool(
        reasoning.enabled or (reasoning.enabled is None and (reasoning.effort is not None or reasoning.budget))
    )


def _of(part: AnyPart) -> tuple[int, int]:
    """(needs, rough size) of a part that is not plain text."""
    match part:
        case Text() | Thinking():
            return 0, len(part.text)
        case ToolCall():
            return _TOOLS, len(part.name) + len(part.arguments)
        case ToolResult():
            needs, size = _TOOLS, 0
            for piece in part.parts:
                more, tokens = _of(piece)
                needs |= more
                size += tokens
            return needs, size
        case Media(text=None):
            return _MEDIA[part.kind], _TOKENS[part.kind]
        case Media():  # a document in plain text is carried as text where it must be
            return 0, len(part.text or "") + _TOKENS[part.kind]
        case Opaque():
            return 0, len(encode_json(part.data))


def estimate(request: Request) -> int:
    """Tokens of a prompt, by its length: four bytes a token, and a flat rate for what is not text."""
    size = media = 0
    for message in request.messages:
        for part in message.parts:
            size += _bytes(part)
            if isinstance(part, Media):
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
