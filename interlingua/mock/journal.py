"""What the mock received and what became of it: the newest thousand calls, without their secrets."""

from collections import deque
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlingua.mock.wire import Call, Json

_SECRETS: Final = frozenset(
    {"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "proxy-authorization", "x-amz-security-token"}
)
_SECRET_QUERY: Final = frozenset({"key", "access_token"})
_BODY_LIMIT: Final = 1 << 20


class Entry(Struct):
    """One call. `verdict` is `ok`, or what was found wrong; `chunks` counts content chunks sent; `aborted`: the client left;
    `key`: eight digits that tell keys apart and nothing of them."""

    number: int
    vendor: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    verdict: str = "ok"
    status: int = 0
    stream: bool = False
    chunks: int = 0
    aborted: bool = False
    done: bool = False
    key: str = ""


class Journal:
    """The newest calls, oldest first."""

    def __init__(self, size: int = 1000) -> None:
        self.entries: deque[Entry] = deque(maxlen=size)
        self.count = 0
        self.aborted = 0

    def open(self, vendor: str, call: Call) -> Entry:
        self.count += 1
        headers = {name: value for name, value in call.headers.items() if name not in _SECRETS}
        query = {name: value for name, value in call.query.items() if name not in _SECRET_QUERY}
        entry = Entry(self.count, vendor, call.method, call.path, query, headers, _body(call.body), key=fingerprint(call.key))
        self.entries.append(entry)
        return entry

    def abort(self, entry: Entry) -> None:
        entry.aborted = True
        self.aborted += 1

    @property
    def last(self) -> Entry:
        return self.entries[-1]

    def clear(self) -> None:
        self.entries.clear()
        self.count = 0
        self.aborted = 0

    def told(self) -> Json:
        """As `GET /mock/journal` serves it."""
        return {"count": self.count, "aborted": self.aborted, "entries": [msgspec.to_builtins(entry) for entry in self.entries]}


def fingerprint(key: str) -> str:
    """As the journal shows a key; "" for none."""
    return sha256(key.encode()).hexdigest()[:8] if key else ""


def _body(body: bytes) -> Any:
    if not body:
        return None
    if len(body) > _BODY_LIMIT:
        return {"mock": "body left out", "bytes": len(body)}
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"mock": "no JSON", "bytes": len(body)}
