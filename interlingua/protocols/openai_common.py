"""What OpenAI's two APIs say alike beside their errors: an effort for a budget, ids of stored files, and custom tools.

A custom tool's input is free text. To every other protocol it is a function of one string, `input`; notes tell how it was
spelled, so that its calls come back as the client knows them.
"""

from typing import Final

import msgspec

from interlingua.ir import Json
from interlingua.protocols.wire import as_obj, decode_json, encode_json

FILE: Final = "~file_id"  # note, among "openai"'s, of a file that is in the store which both APIs read
INPUT: Final[Json] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def free_text(arguments: str) -> str:
    """The input of a custom tool in a call's arguments; whatever else they are is the input itself."""
    try:
        value = as_obj(decode_json(arguments)).get("input")
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return arguments
    return value if type(value) is str else arguments


def in_arguments(words: str) -> str:
    """A custom tool's input as a call's arguments."""
    return '{"input":' + encode_json(words).decode() + "}"


def effort_of(budget: int) -> str:
    """The effort for a budget of tokens; never "minimal", which most models refuse."""
    return next((effort for limit, effort in ((4_096, "low"), (16_384, "medium")) if budget <= limit), "high")
