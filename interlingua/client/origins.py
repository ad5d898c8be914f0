"""Where connections go: origins, and the proxies on the way to them. Values; nothing here opens a connection."""

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct

from interlingua.errors import ConfigError

VISIBLE: Final = re.compile(r"[!-~]+")
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_.])?")


class Origin(Struct, frozen=True, cache_hash=True):
    """Where connections go. `host` is lower-case ASCII, an IPv6 address without brackets."""

    scheme: Literal["http", "https"]
    host: str
    port: int

    @classmethod
    @lru_cache(256)  # backends that share an origin share the value: a look-up finds it by identity
    def parse(cls, url: str) -> tuple["Origin", str]:
        """(origin, path prefix without its last slash) of a base URL. Raises ConfigError."""
        parts = _split(url, "the URL")
        if parts.scheme not in ("http", "https"):
            raise ConfigError(f"{_quoted(url)} must begin with http:// or https://")
        if parts.username is not None or parts.password is not None:
            raise ConfigError("a URL must not carry credentials: give the key by its environment variable")
        if parts.query or parts.fragment or "?" in url or "#" in url:
            raise ConfigError(f"{_quoted(url)} must end with its path: no query, no fragment")
        path = parts.path.rstrip("/")
        if path and not VISIBLE.fullmatch(path):
            raise ConfigError(f"{_quoted(url)} has a path with characters that must be percent-encoded")
        host, port = _host_and_port(parts, _PORTS[parts.scheme], "the URL")
        return cls("https" if parts.scheme == "https" else "http", host, port), path

    @property
    def authority(self) -> str:
        """The `host` header: without the port where it is the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Proxies(Struct, frozen=True):
    """Proxy URLs (`http://user:password@host:port`) by the scheme of the origin, and who is reached without:
    `bypass` has NO_PROXY's notation: hosts with all below them, addresses, networks (10.0.0.0/8), each with or without
    a port, or `*`. Loopback is never proxied."""

    http: str | None = None
    https: str | None = None
    bypass: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Proxies":
        """HTTP_PROXY, HTTPS_PROXY and NO_PROXY; the lower-case spelling wins, an empty one says none."""

        def said(name: str) -> str:
            return environ.get(name, environ.get(name.upper(), ""))

        return cls(said("http_proxy") or None, said("https_proxy") or None, said("no_proxy"))

    def __repr__(self) -> str:
        return "Proxies(...)"  # a proxy's URL may hold a password


class Proxy:
    """One proxy. No Struct, because its repr must not tell the credentials."""

    __slots__ = ("authorization", "host", "port")

    def __init__(self, url: str, what: str) -> None:
        parts = _split(url if "://" in url else f"http://{url}", what)
        if parts.scheme != "http":
            raise ConfigError(f"{what} must be an http:// URL")
        self.host, self.port = _host_and_port(parts, 80, what)
        self.authorization = b""
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self.authorization = b"proxy-authorization: Basic %b\r\n" % base64.b64encode(pair.encode())


def _quoted(url: str) -> str:
    return "the URL" if "@" in url else f"the URL {url!r}"


def _split(url: str, what: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ConfigError(f"{what} is not one: it should look like https://host:port/path") from None


def _host_and_port(parts: SplitResult, default: int, what: str) -> tuple[str, int]:
    try:
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
        if ":" in host:
            ipaddress.IPv6Address(host)
    except ValueError:  # UnicodeError is one
        raise ConfigError(f"{what} has a host or port that cannot be") from None
    if port == 0 or not (":" in host or _HOST.fullmatch(host)):
        raise ConfigError(f"{what} needs a host, as in https://host:port/path")
    return host, default if port is None else port


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def bypassed(origin: Origin, bypass: str) -> bool:
    """Whether NO_PROXY's entries, or loopback, keep this origin from its proxy."""
    address = _address(origin.host)
    if address.is_loopback if address else (origin.host == "localhost" or origin.host.endswith(".localhost")):
        return True
    return any(_matches(origin, address, entry) for entry in bypass.lower().replace(",", " ").split())


def _matches(origin: Origin, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, entry: str) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    if entry.startswith("[") or entry.count(":") == 1:
        name, _, port = entry.rpartition(":") if not entry.endswith("]") else (entry, "", "")
        if port and port != str(origin.port):
            return False
        entry = name.strip("[]")
    entry = entry.removeprefix("*").removeprefix(".")
    return bool(entry) and (origin.host == entry or (address is None and origin.host.endswith(f".{entry}")))
