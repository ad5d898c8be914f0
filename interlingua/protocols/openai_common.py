"""What OpenAI's two APIs say alike beside their errors: an effort for a budget, ids of stored files, and custom tools.

A custom tool's input is free text. To every other protocol it is a function of one string, `input`; notes tell how it was
spelled, so that its calls come back as the client knows them. The two APIs tell it to each other as what it is, where the model
is known to have such tools.
"""

import re
from typing import Final

import msgspec

from interlingua.ir import Function, Json, ToolCall
from interlingua.protocols import Target
from interlingua.protocols.wire import as_obj, decode_json, encode_json

CUSTOM: Final = "~custom"  # note, among "openai"'s, of a custom tool and of a call of one: the API that said so
FORMAT: Final = "custom.format"  # its grammar, among "openai"'s extras, in Chat Completions' words
FILE: Final = "~file_id"  # note, among "openai"'s, of a file that is in the store which both APIs read
INPUT: Final[Json] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


OPENING, CLOSING = '{"input":"', '"}'  # around a custom tool's input, in a call's arguments
_TAKES_CUSTOM: Final = re.compile(r"(^|/)gpt-([5-9]|\d\d)")  # GPT-5 brought them; other models and servers refuse them


def told_custom(node: Function | ToolCall, api: str, target: Target | None) -> bool:
    """Whether `api` tells a tool, or a call of one, as a custom tool's: what its own client said so, and what the other API's
    did, to a model that has such tools. `target` None: to a client, for only one that has them is answered so."""
    said = node.extras.get("openai", {}).get(CUSTOM) if node.extras else None
    if said is None or target is None:
        return said is not None
    return (said == api or _TAKES_CUSTOM.search(target.model) is not None) and "no_custom_tools" not in target.quirks


def in_arguments(words: str) -> str:
    """A custom tool's input as a call's arguments."""
    return OPENING + in_string(words) + CLOSING


def in_string(words: str) -> str:
    """Words as they stand in a JSON string."""
    return encode_json(words).decode()[1:-1]


def free_text(arguments: str) -> str:
    """The input of a custom tool in a call's arguments; whatever else they are is the input itself."""
    reader = FreeText()
    return reader.feed(arguments) + reader.end()


_OPENED: Final = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_LONGEST: Final = 64  # characters before the input; what has more is nothing that is read as it comes
_HIGH: Final = r"\\u[dD][89abAB][0-9a-fA-F]{2}"  # the first half of a letter that has two
_INSIDE: Final = re.compile(
    rf'(?:[^"\\]++|\\[^u]|{_HIGH}(?=[^\\]|\\[^u]|\\u[0-9a-fA-F]{{4}})|\\u(?![dD][89abAB])[0-9a-fA-F]{{4}})*+'
)
_ESCAPES: Final = re.compile(rf"{_HIGH}\\u[dD][c-fC-F][0-9a-fA-F]{{2}}|\\u[0-9a-fA-F]{{4}}|\\[^u]")
_LETTERS: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class FreeText:
    """Reads a custom tool's input off the arguments of a call as they come. Where they are something else, and where they break
    off or are no JSON, it tells them as they stand, at the end."""

    __slots__ = ("_held", "_open", "_over", "_rest")

    def __init__(self) -> None:
        self._held: list[str] = []  # all, until the input has begun
        self._rest = ""  # what no words could be made of yet
        self._open = self._over = False

    def feed(self, piece: str) -> str:
        """The words that are certain now."""
        if not self._open:
            self._held.append(piece)
        if self._over:
            return ""
        self._rest += piece
        if not self._open:
            if (begun := _OPENED.match(self._rest)) is None:
                self._over = len(self._rest) > _LONGEST
                return ""
            self._open, self._rest = True, self._rest[begun.end() :]
        found = _INSIDE.match(self._rest)
        end = found.end() if found is not None else 0
        words, self._rest = self._rest[:end], self._rest[end:]
        self._over = self._rest[:1] == '"'
        return _ESCAPES.sub(_letter, words) if "\\" in words else words

    def end(self) -> str:
        """The rest."""
        if self._open:
            return "" if self._over else self._rest
        arguments = "".join(self._held)
        try:
            value = as_obj(decode_json(arguments)).get("input")
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return arguments
        return value if type(value) is str else arguments


def _letter(escape: re.Match[str]) -> str:
    """What an escape of JSON's stands for; itself, where it is none."""
    said = escape[0]
    if said[1] != "u":
        return _LETTERS.get(said[1], said)
    if len(said) > 6:
        return chr(0x10000 + (int(said[2:6], 16) - 0xD800 << 10) + int(said[8:], 16) - 0xDC00)
    code = int(said[2:], 16)
    return "\N{REPLACEMENT CHARACTER}" if 0xD800 <= code < 0xE000 else chr(code)


def effort_of(budget: int) -> str:
    """The effort for a budget of tokens; never "minimal", which most models refuse."""
    return next((effort for limit, effort in ((4_096, "low"), (16_384, "medium")) if budget <= limit), "high")
