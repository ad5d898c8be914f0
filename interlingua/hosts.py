"""What is known of the places that speak a protocol: address, version path, form of the credential, quirks. Data, one row each.

A configuration's `protocol` names a row here; the row's own `protocol` names the wire format, a key of
protocols.registry.PROTOCOLS. So another cloud in front of a known wire format is a row and no code.
"""

from functools import lru_cache
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct

Credential = Literal["bearer", "x-api-key", "x-goog-api-key"]


class Host(Struct, frozen=True):
    """`url` is the origin used where the configuration names none (None: it must), `prefix` the version path of an origin.
    The paths follow the prefix; `{model}` in one is the provider's model. `count_path` None: it counts no tokens."""

    name: str
    protocol: str
    url: str | None
    prefix: str
    credential: Credential
    path: str
    stream_path: str
    count_path: str | None = None
    quirks: frozenset[str] = frozenset()

    def filled(self, path: str, model: str) -> str:
        """One of the paths with the model in it."""
        return path.replace("{model}", _quoted(model)) if "{" in path else path


@lru_cache(maxsize=4096)
def _quoted(model: str) -> str:
    """A model as a path segment; "models/x" is Google's own full name of x."""
    return quote(model.removeprefix("models/"), safe="/@:")


# platform.openai.com/docs/api-reference, platform.claude.com/docs/en/api/overview, ai.google.dev/api; the credential is the
# form each vendor documents for curl.
_ROWS: Final[tuple[Host, ...]] = (
    Host("openai", "openai", "https://api.openai.com", "/v1", "bearer", "/chat/completions", "/chat/completions"),
    Host(
        "anthropic",
        "anthropic",
        "https://api.anthropic.com",
        "/v1",
        "x-api-key",
        "/messages",
        "/messages",
        "/messages/count_tokens",
    ),
    Host(
        "gemini",
        "gemini",
        "https://generativelanguage.googleapis.com",
        "/v1beta",
        "x-goog-api-key",
        "/models/{model}:generateContent",
        "/models/{model}:streamGenerateContent?alt=sse",
        "/models/{model}:countTokens",
    ),
    Host("responses", "responses", "https://api.openai.com", "/v1", "bearer", "/responses", "/responses"),
    Host("mock", "openai", "http://127.0.0.1:9100", "/v1", "bearer", "/chat/completions", "/chat/completions"),
)
HOSTS: Final[dict[str, Host]] = {row.name: row for row in _ROWS}


def credential_header(form: Credential, key: str) -> tuple[bytes, bytes]:
    """The header (name in lower case, value) that carries `key`."""
    if form == "bearer":
        return b"authorization", b"Bearer " + key.encode("ascii")
    return form.encode("ascii"), key.encode("ascii")
