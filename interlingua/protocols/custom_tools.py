"""Custom tools, which both of OpenAI's APIs have: their input is free text. To every other protocol such a tool is a function
of one string, `input`; notes tell how it was spelled, so that its calls come back as the client knows them.
"""

from typing import Final

import msgspec

from interlingua.ir import Json
from interlingua.protocols.wire import as_obj, decode_json, encode_json

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
