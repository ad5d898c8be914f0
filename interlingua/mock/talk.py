"""One conversation in nobody's vocabulary: what a vendor's file reads out of a request (Ask) and writes an answer from (Answer).

A vendor reads its body into an Ask; the scenario (`scenarios.py`) turns that into an Answer; the vendor writes it in its own
words. Everything follows from the request alone, so the same request has the same answer, ids and usage included.
"""

import hashlib
import re
from typing import Any, Final, Literal

from msgspec import Struct

from interlingua.mock.wire import Fault, Json

Finish = Literal["stop", "sequence", "length", "tool", "filter", "refusal", "missing"]
_WORDS: Final = re.compile(r"\s*\S+\s*")
_TOKEN_CHARS: Final = 4
_ARGUMENT_CHARS: Final = 10


class Tool(Struct, frozen=True):
    """A tool the model may call. `schema`: JSON Schema of its arguments; None for a free-text tool."""

    name: str
    schema: Json | None = None


class Result(Struct, frozen=True):
    """What a tool gave, in the last turn."""

    name: str
    text: str


class Ask(Struct, kw_only=True):
    """What a request asks for."""

    model: str
    seed: str  # digest of the request: ids come of it
    text: str = ""  # the user's text in the last turn
    media: list[str] = []  # everything that is no text, in all turns: "image image/png 68 bytes"
    tools: list[Tool] = []
    hosted: int = 0  # tools that the vendor runs itself
    force: str | None = None  # "any", or the name of the tool that must be called
    parallel: bool = True
    results: list[Result] = []
    schema: Json | None = None  # structured output
    json_mode: bool = False
    stops: list[str] = []
    think: bool = False
    stream: bool = False
    choices: int = 1
    prompt_tokens: int = 0
    cites: Json | None = None  # a citation of what was shown first, a document or what a search found; None: not to be cited


class Text(Struct, frozen=True):
    pieces: tuple[str, ...]
    cited: bool = False

    @property
    def whole(self) -> str:
        return "".join(self.pieces)


class Thought(Struct, frozen=True):
    """Reasoning. `hidden`: only its seal is shown."""

    pieces: tuple[str, ...]
    hidden: bool = False

    @property
    def whole(self) -> str:
        return "".join(self.pieces)


class Use(Struct, frozen=True):
    """A tool call. `arguments`: JSON text, or the free text of a tool without a schema."""

    id: str  # 24 letters and digits; the vendor adds its prefix
    name: str
    arguments: str
    free: bool = False

    def pieces(self, whole: bool) -> list[str]:
        return [self.arguments] if whole else cut_text(self.arguments, _ARGUMENT_CHARS)


class Picture(Struct, frozen=True):
    mime: str
    data: str  # base64


Part = Text | Thought | Use | Picture


class Usage(Struct, frozen=True):
    """Tokens. `prompt` includes `cached`, `written` and `audio`; `output` includes `thinking`."""

    prompt: int
    output: int
    thinking: int = 0
    cached: int = 0
    written: int = 0
    audio: int = 0


class Answer(Struct, kw_only=True):
    """What the model says, and how. `flags` are wishes of a scenario that only a vendor's writer can fulfil."""

    parts: list[Part]
    finish: Finish = "stop"
    sequence: str | None = None
    usage: Usage
    flags: frozenset[str] = frozenset()
    fault: Fault = Fault()


def digest(*parts: Any) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256("\x00".join(str(part) for part in parts).encode()).hexdigest()


def words(text: str) -> tuple[str, ...]:
    """A text in pieces, as models stream it."""
    return tuple(_WORDS.findall(text)) or ((text,) if text else ())


def cut_text(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


def tokens(text: str) -> int:
    """A token is four characters, begun ones counted."""
    return -(-len(text) // _TOKEN_CHARS)


def prompt_tokens(*texts: str, messages: int, media: int = 0) -> int:
    """4 for each message, 258 for each image or document, and the text."""
    return sum(tokens(text) for text in texts) + 4 * messages + 258 * media


def part_tokens(part: Part) -> int:
    match part:
        case Text() | Thought():
            return max(1, tokens(part.whole))
        case Use():
            return tokens(part.name) + tokens(part.arguments) + 8
        case Picture():
            return 1290


def usage_of(ask: Ask, parts: list[Part]) -> Usage:
    thinking = sum(part_tokens(part) for part in parts if isinstance(part, Thought))
    return Usage(prompt=ask.prompt_tokens, output=sum(map(part_tokens, parts)), thinking=thinking)
