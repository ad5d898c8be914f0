"""What is known of the places that speak a protocol: address, paths, form of the credential, quirks. Data, one row each.

A configuration's `protocol` names a row here; the row's own `protocol` names the wire format, a key of
protocols.registry.PROTOCOLS. So another cloud in front of a known wire format is a row and no code, unless it moves
fields between body, headers and path: then `reshape` says how.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from interlingua.ir import Json
from interlingua.models import facts

Credential = Literal["bearer", "x-api-key", "x-goog-api-key", "api-key", "google"]
Reshape = Callable[[Json, bytes], tuple[Json, bytes]]


def _same(body: Json, headers: bytes) -> tuple[Json, bytes]:
    return body, headers


class Host(Struct, frozen=True, kw_only=True):
    """A place that speaks `protocol`.

    `url` is the origin used where the configuration names none (None: it must), `prefix` the version path of an origin.
    The paths follow the prefix. `{model}` in one is the provider's model; `{project}`, `{location}` and `{api_version}`,
    in the url too, are the configuration's. `count_path` None: it counts no tokens.
    `keys` are the variables in which the provider's own tools look for a key, the first that is set counts.
    `quirks` are read by the protocol: gemini/ for `external_urls`, openai/dialect.py tells of the others.
    `reshape` makes of a body and its own headers what this host wants, `counted` of a request the one that is counted.
    `families`: models of another maker that the same backend serves in another way.
    """

    name: str
    protocol: str
    url: str | None = None
    prefix: str = "/v1"
    credential: Credential = "bearer"
    path: str = "/chat/completions"
    stream_path: str = "/chat/completions"
    count_path: str | None = None
    keys: tuple[str, ...] = ()
    quirks: frozenset[str] = frozenset()
    reshape: Reshape = _same
    counted: Callable[[Json, str], Json] | None = None
    families: Mapping[str, "Host"] = {}

    def serving(self, model: str) -> "Host":
        """The row by which `model` is asked at this backend."""
        return self.families.get(facts(model).family, self) if self.families else self

    def filled(self, path: str, model: str) -> str:
        """One of the paths with the model in it."""
        return path.replace("{model}", _quoted(model)) if "{" in path else path

    def placed(self, **words: str | None) -> "Host":
        """The row with the configuration's words (`project`, `location`, `api_version`) in its places."""
        row = _DATED.get(self.name, self) if words.get("api_version") else self
        named = {f"{{{name}}}": quote(word, safe=":.-") for name, word in words.items() if word}
        if "{location}" in (row.url or ""):
            row = replace(row, url=_GOOGLE.get(words.get("location") or "", row.url))
        families = {family: other.placed(**words) for family, other in row.families.items()}
        texts = {field: _named(getattr(row, field), named) for field in ("url", "path", "stream_path", "count_path")}
        return replace(row, families=families, **texts)


def _named(text: str | None, words: dict[str, str]) -> str | None:
    for place, word in words.items():
        text = text and text.replace(place, word)
    return text


@lru_cache(maxsize=4096)
def _quoted(model: str) -> str:
    """A model as a path segment; "models/x" is Google's own full name of x."""
    return quote(model.removeprefix("models/"), safe="/@:")


# Token counting

_COUNTED: Final = ("messages", "model", "cache_control", "output_config", "speed", "system", "thinking", "tool_choice", "tools")
_COUNTED_BY_VERTEX: Final = ("contents", "systemInstruction", "tools", "generationConfig")


def _anthropic_count(body: Json, model: str) -> Json:
    return {key: body[key] for key in _COUNTED if key in body}


def _gemini_count(body: Json, model: str) -> Json:
    return {"generateContentRequest": {"model": f"models/{model.removeprefix('models/')}", **body}}


def _vertex_count(body: Json, model: str) -> Json:
    return {key: body[key] for key in _COUNTED_BY_VERTEX if key in body}


# Claude on Vertex: anthropic.lib.vertex puts the version into the body and the model into the path

_ON_VERTEX: Final = {"2023-06-01": "vertex-2023-10-16"}  # later versions have the same name there


def _claude_on_vertex(body: Json, headers: bytes) -> tuple[Json, bytes]:
    out, rest = _versioned(body, headers)
    if "{count}" not in out:
        out.pop("model", None)
    return out, rest


def _versioned(body: Json, headers: bytes) -> tuple[Json, bytes]:
    """`anthropic-version` moves from the headers to the body."""
    lines = headers.splitlines(keepends=True)
    version = next(line.partition(b":")[2].strip().decode() for line in lines if line.startswith(b"anthropic-version:"))
    rest = b"".join(line for line in lines if not line.startswith(b"anthropic-version:"))
    return {"anthropic_version": _ON_VERTEX.get(version, version), **body}, rest
