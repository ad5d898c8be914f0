"""What an embedding model is asked, and what it answers, in the IR's terms: values, no wire names.

A vector stays the JSON it came as, to be written on as it is; it is decoded only where the two sides write it differently.
"""

from array import array
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from sys import byteorder
from typing import Final, Literal

import msgspec
from msgspec import Raw, field

from interlingua.errors import UpstreamGarbage
from interlingua.ir import Media, Node, Opaque, Request, Response, Text

Encoding = Literal["float", "base64"]
Truncate = Literal["none", "start", "end"]
Task = Literal[
    "retrieval_query",
    "retrieval_document",
    "semantic_similarity",
    "classification",
    "clustering",
    "question_answering",
    "fact_verification",
    "code_retrieval_query",
]

FLOATS: Final = "float"  # the type of vector that every model gives; others are named by who gives them: "cohere.int8"


class Item(Node, kw_only=True):
    """What becomes one vector: `text`, or `tokens`, or `parts` where it is more than one text. `title` is the document's."""

    text: str | None = None
    tokens: list[int] | None = None
    parts: list[Text | Media | Opaque] = []
    task: Task | None = None
    title: str | None = None


class Embedding(Request, kw_only=True):
    """A request of an embedding model. It has no messages; `wire` is the client's: a key of EMBEDDINGS (protocols.registry).

    `dimensions` of each vector; `truncate`: the end that is cut off an input too long, or "none": an error; `encoding` as the
    client wants the vectors written; `types` of vectors asked for. None: the model's own default.
    """

    wire: str
    inputs: list[Item]
    dimensions: int | None = None
    truncate: Truncate | None = None
    encoding: Encoding | None = None
    types: list[str] = field(default_factory=lambda: [FLOATS])


class Vector(Node, kw_only=True):
    """`data`: a JSON array of numbers, or a JSON string, the base64 of little-endian float32. `tokens`, `truncated`: of the
    input, where the provider tells."""

    data: Raw
    tokens: int | None = None
    truncated: bool | None = None


class Vectors(Response, kw_only=True):
    """The answer: a vector for each input, in order. `others`: the vectors of every other type that was asked for."""

    vectors: list[Vector] = []
    others: dict[str, list[Raw]] = {}


_decode_floats = msgspec.json.Decoder(list[float]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def is_base64(data: Raw) -> bool:
    """Which of the two ways a vector is written in. Raises UpstreamGarbage where it is neither."""
    first = bytes(memoryview(data)[:1])
    if first not in (b"[", b'"'):
        raise UpstreamGarbage("The provider's vector is neither an array nor base64.")
    return first == b'"'


def as_floats(data: Raw) -> Raw:
    """The vector as a JSON array. Raises UpstreamGarbage."""
    if not is_base64(data):
        return data
    floats = array("f")
    try:
        floats.frombytes(b64decode(_decode_text(data), validate=True))
    except (NoBase64, ValueError, msgspec.DecodeError):
        raise UpstreamGarbage("The provider's vector is no base64 of float32.") from None
    if byteorder == "big":
        floats.byteswap()
    return Raw(_encode(floats.tolist()))


def as_base64(data: Raw) -> Raw:
    """The vector as a JSON string of base64. Raises UpstreamGarbage."""
    if is_base64(data):
        return data
    try:
        floats = array("f", _decode_floats(data))
    except (msgspec.DecodeError, OverflowError):
        raise UpstreamGarbage("The provider's vector is no array of numbers.") from None
    if byteorder == "big":
        floats.byteswap()
    return Raw(b'"' + b64encode(floats) + b'"')
