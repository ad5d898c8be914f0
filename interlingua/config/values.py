"""The values a configuration is written in: durations, sizes, addresses, names, secrets. Each reader returns the value or
raises ValueError with the rest of a sentence that begins with the key ("must be …"), and never quotes what may be a secret.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: Final = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?(ms|s|m|h)")
_SIZE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([KMG]i?B|B)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_ENV: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEY: Final = re.compile(r"[!-~]+")


class Secret:
    """A credential. Shows itself only to who calls `reveal()`; str, repr, formats and encoders get `***` or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Base(NamedTuple):
    """Where a backend listens. `host` has no brackets, IPv6 or not."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = {"http": 80, "https": 443}[self.scheme]
        return f"{self.scheme}://{host}" + ("" if self.port == default else f":{self.port}")


def duration(value: Any) -> float:
    """Seconds."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('must be a duration such as "250ms", "15s" or "2m"')
    return float(match[1]) * _SECONDS[match[2]]


def positive_duration(value: Any) -> float:
    """Seconds, more than none."""
    seconds = duration(value)
    if not seconds:
        raise ValueError("must be longer than no time at all")
    return seconds


def size(value: Any) -> int:
    """Bytes, at least one."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    found = int(float(match[1]) * _BYTES[match[2]]) if match else 0
    if found < 1:
        raise ValueError('must be a size such as "512 KiB" or "64 MiB"')
    return found


def hedge(value: Any) -> str:
    if value not in ("off", "p95"):
        try:
            positive_duration(value)
        except ValueError:
            raise ValueError('must be "off", "p95" or a duration such as "800ms"') from None
    return str(value)


def env_name(value: Any) -> str:
    """The name of an environment variable; a key pasted in its place is not repeated."""
    if not isinstance(value, str) or not _ENV.fullmatch(value) or _is_like_a_key(value):
        raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, not the secret itself")
    return value


def _is_like_a_key(name: str) -> bool:
    mixed = any(c.islower() for c in name) and any(c.isupper() for c in name) and any(c.isdigit() for c in name)
    return len(name) >= 20 and (mixed or "_" not in name)


def backend_name(value: str) -> str:
    """A backend's name stands in paths (/providers/NAME/) and model names (NAME/MODEL)."""
    if not _NAME.fullmatch(value):
        raise ValueError("must be named with letters, digits, `-`, `_` and `.` alone")
    return value


def url(value: Any) -> str:
    """The text itself, once it is known to be an address."""
    address(value)
    return value


def path(value: Any) -> str:
    """A path of a provider's own, with its query."""
    if not isinstance(value, str) or not value.startswith("/") or not _KEY.fullmatch(value) or "#" in value:
        raise ValueError("must be a path such as /health, percent-encoded")
    return value


def address(value: Any) -> tuple[Base, str]:
    """(base, path) of an http or https URL; the path has no slash at its end, and is "" for an origin."""
    if not isinstance(value, str) or not value.isascii() or not _KEY.fullmatch(value):
        raise ValueError("must be a URL such as https://api.example.com")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL such as https://api.example.com; its host or port cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(
            "must be a URL such as https://api.example.com: http or https, a host, and a port where it is not the usual"
        )
    if "@" in parts.netloc:
        raise ValueError("must hold no user or password: name the key's environment variable in api_key_env")
    if "?" in value or "#" in value:
        raise ValueError("must end with its path: no query, no fragment")
    return Base(parts.scheme, parts.hostname, port or {"http": 80, "https": 443}[parts.scheme]), parts.path.rstrip("/")


def covers(key: str, name: str) -> bool:
    """Whether a key, which may have one `*`, means `name`."""
    head, star, tail = key.partition("*")
    if not star:
        return key == name
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)


def key_for(keys: Iterable[str], name: str) -> str | None:
    """The key that means `name`: itself, else the pattern with the most letters of its own, of several the first."""
    fitting = [key for key in keys if covers(key, name)]
    return name if name in fitting else max(fitting, key=len, default=None)


def key_text(value: str) -> str:
    """A key as a header can carry it: visible ASCII, blanks around it let go."""
    key = value.strip()
    if not _KEY.fullmatch(key):
        raise ValueError("is empty" if not key else "holds characters that no header can carry")
    return key


READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "duration": duration,
    "positive duration": positive_duration,
    "size": size,
    "hedge": hedge,
    "environment variable": env_name,
    "url": url,
    "path": path,
}
