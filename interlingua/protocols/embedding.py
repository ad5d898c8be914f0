"""What the wire formats of embeddings have in common: the interface each implements, and how one says what it cannot carry.

A wire format is one module, `protocols/<name>/...`, and one line in registry.EMBEDDINGS. A `Face` lets a protocol's clients
ask for embeddings through the interface of every other request.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from typing import Protocol as Interface

import msgspec
from msgspec import Raw, Struct

from interlingua.embeddings import FLOATS, Embedding, Item, Vectors
from interlingua.errors import InvalidRequest, Unsupported, UpstreamGarbage
from interlingua.ir import Json, Node, Request, Response, Text, Usage
from interlingua.protocols import Lose, Protocol
from interlingua.protocols.wire import as_count, foreign

MOST: Final = 2048  # inputs of one request, as at OpenAI
_ITEMS: Final = frozenset(("task", "title"))


class Goal(Struct, frozen=True):
    """Whom a request is formatted for: the provider's model, how many inputs it takes at once, and the host's quirks."""

    model: str
    batch: int
    quirks: frozenset[str] = frozenset()


class Wire(Interface):
    NAME: str
    PROTOCOL: str  # whose errors it has: a key of registry.PROTOCOLS

    @property
    def parse_request(self) -> Callable[[Json, str | None], Embedding]:
        """(body, the model that the path says). Raises InvalidRequest with the path of the field at fault."""
        ...

    @property
    def format_request(self) -> Callable[[Embedding, Goal, Lose], list[Json]]:
        """The bodies to send, each for the next so many inputs. Raises Unsupported, its `param` an IR path, where the
        inputs themselves cannot be said."""
        ...

    @property
    def parse_response(self) -> Callable[[bytes, Mapping[str, str]], Vectors]:
        """(body, headers) of one answer. Raises UpstreamGarbage, or ProviderFailure where it tells of a failure."""
        ...

    @property
    def format_response(self) -> Callable[[Vectors, Embedding, Lose], Json]: ...

    @property
    def field_path(self) -> Callable[[str, Embedding], str]:
        """An IR path in the client's own field names."""
        ...


class Face:
    """A protocol as a client that asks for embeddings sees it: errors and headers are `base`'s, the rest a wire format's.

    `choose` names the format that a body is in. Raises InvalidRequest where it is in none.
    """

    def __init__(self, base: Protocol, wires: Mapping[str, Wire], choose: Callable[[Json], str]) -> None:
        self.NAME = base.NAME
        self._wires, self._choose = wires, choose
        self.format_request, self.request_headers = base.format_request, base.request_headers
        self.parse_response, self.parse_error, self.format_error = base.parse_response, base.parse_error, base.format_error
        self.Parser, self.Formatter = base.Parser, base.Formatter

    def parse_request(self, body: Json, model: str | None, stream: bool | None) -> Request:
        wire = self._wires[self._choose(body)]
        request = wire.parse_request(body, model)
        if not 0 < len(request.inputs) <= MOST:
            path = wire.field_path("inputs", request)
            raise InvalidRequest(f"{path} must hold between 1 and {MOST} inputs, not {len(request.inputs)}", param=path)
        return request

    def format_response(self, response: Response, request: Request, lose: Lose) -> Json:
        asked = cast(Embedding, request)
        return self._wires[asked.wire].format_response(cast(Vectors, response), asked, lose)

    def field_path(self, path: str, request: Request) -> str:
        asked = cast(Embedding, request)
        return self._wires[asked.wire].field_path(path, asked)


# Requests


def drop(request: Embedding, lose: Lose, whom: str, *fields: str) -> None:
    """Reports the fields that are said, and that `whom` has no word for."""
    for field in fields:
        if field in _ITEMS:
            for i, item in enumerate(request.inputs):
                if getattr(item, field) is not None:
                    lose(f"inputs[{i}].{field}", "dropped", f"{whom} has no such field")
        elif getattr(request, field) is not None:
            lose(field, "dropped", f"{whom} has no such field")


def drop_foreign(request: Embedding, name: str, lose: Lose) -> None:
    """Reports the extras of every other wire format."""
    if request.extras:
        foreign(request, name, "", lose)
    for i, item in enumerate(request.inputs):
        if item.extras:
            foreign(item, name, f"inputs[{i}]", lose)


def types_of(request: Embedding, name: str, lose: Lose) -> list[str]:
    """The types of vectors to ask for, in the own words of format `name`. Raises Unsupported where none could be had."""
    own = [kind.removeprefix(f"{name}.") for kind in request.types if kind == FLOATS or kind.startswith(f"{name}.")]
    if not own:
        raise Unsupported(f"This model gives its vectors as floats, not as {', '.join(request.types)}", param="types")
    for i, kind in enumerate(request.types):
        if kind != FLOATS and not kind.startswith(f"{name}."):
            lose(f"types[{i}]", "dropped", "this model gives its vectors as floats")
    return own


def words(request: Embedding, whom: str, lose: Lose) -> list[str]:
    """The inputs as texts, for one who takes nothing else. Raises Unsupported, naming the input that is none."""
    return [word(item, f"inputs[{i}]", whom, lose) for i, item in enumerate(request.inputs)]


def word(item: Item, path: str, whom: str, lose: Lose) -> str:
    if item.text is not None:
        return item.text
    if item.tokens is not None:
        raise Unsupported(f"{whom} takes texts, not tokens", param=path)
    texts = [part.text for part in item.parts if isinstance(part, Text)]
    if len(texts) < len(item.parts):
        raise Unsupported(f"{whom} takes texts alone", param=path)
    lose(f"{path}.parts", "changed", f"{whom} takes one text: they are joined by line breaks")
    return "\n".join(texts)


def seen(item: Item) -> bool:
    """Whether an input holds more than words and tokens."""
    return any(not isinstance(part, Text) for part in item.parts)


# Answers


def top_of(body: bytes) -> dict[str, Raw]:
    """An answer's fields, not yet decoded. Raises UpstreamGarbage."""
    return decoded(body, dict[str, Raw])


def decoded(data: bytes | Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamGarbage(f"The provider's answer is no embeddings: {error}") from None


def kept(top: dict[str, Raw], name: str, known: frozenset[str]) -> dict[str, Json]:
    """What an answer says beyond the known, as extras."""
    rest = {key: value for key, raw in top.items() if key not in known and (value := msgspec.json.decode(raw)) is not None}
    return {name: rest} if rest else {}


def usage_of(tokens: Any) -> Usage | None:
    count = as_count(tokens)
    return None if count is None else Usage(input=count)


def told(answer: Vectors, name: str, lose: Lose, *, counts: bool = False, cuts: bool = False) -> None:
    """Reports what a client's format cannot tell of each vector: its tokens (`counts`), that its input was cut (`cuts`), and
    what only others say."""
    if answer.extras:
        foreign(answer, name, "response", lose)
    for i, vector in enumerate(answer.vectors):
        path = f"response.vectors[{i}]"
        if vector.tokens is not None and not counts and len(answer.vectors) > 1:
            lose(f"{path}.tokens", "dropped", "the client's format counts all inputs together")
        if vector.truncated and not cuts:
            lose(f"{path}.truncated", "dropped", "the client's format cannot say that an input was cut")
        if vector.extras:
            foreign(vector, name, path, lose)


def written(out: Json, node: Node, name: str) -> Json:
    """Writes the node's own extras back."""
    return {**out, **{key: value for key, value in node.extras.get(name, {}).items() if key[:1] != "~"}}


def joined(answers: list[Vectors]) -> Vectors:
    """Several answers as the one they are parts of. Usage is told where each tells it; extras, where all say the same."""
    if len(answers) == 1:
        return answers[0]
    whole, counts = answers[0], [answer.usage and answer.usage.input for answer in answers]
    counted = [count for count in counts if count is not None]
    others = {kind: [raw for answer in answers for raw in answer.others.get(kind, [])] for kind in whole.others}
    return Vectors(
        id=whole.id,
        model=whole.model,
        vectors=[vector for answer in answers for vector in answer.vectors],
        others=others,
        usage=Usage(input=sum(counted)) if len(counted) == len(counts) else None,
        extras={name: said for name, said in whole.extras.items() if all(answer.extras.get(name) == said for answer in answers)},
    )
