"""The client's way to a server: DNS and TCP, TLS, proxies, and the URLs that name them."""

import asyncio
import base64
import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from peers import (
    HEADERS,
    HELLO,
    OK,
    SECRET,
    Peer,
    both_loops,
    connect,
    fails,
    fetch,
    forever,
    pieces_of,
    post,
    serve,
)

from interlingua.client import Client, Origin, Proxies, Timeouts
from interlingua.client.origins import bypassed
from interlingua.errors import (
    ConfigError,
    UpstreamBroken,
    UpstreamTimeout,
    UpstreamUnreachable,
)

# Connecting


@both_loops
async def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with connect() as client:
            with fails(UpstreamUnreachable, f"cannot connect to 127.0.0.1:{port}: refused"):
                await post(client, Origin("http", "127.0.0.1", port))
            assert client.open == 0


@both_loops
async def test_a_host_that_cannot_be():
    name = "a" * 64 + ".test"  # a label is at most 63 long: refused without asking anybody
    async with connect() as client:
        with fails(UpstreamUnreachable, name):
            await post(client, Origin("http", name, 80))


def test_a_host_that_is_not_known(monkeypatch: pytest.MonkeyPatch):
    """On asyncio's own loop, which asks through Python, where the test can answer."""

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    async def ask() -> None:
        async with connect() as client:
            with fails(UpstreamUnreachable, "nowhere.test:80 is not known to DNS"):
                await post(client, Origin("http", "nowhere.test", 80))

    asyncio.run(ask())


class Certificates(NamedTuple):
    server: ssl.SSLContext
    wrong_name: ssl.SSLContext
    ca: str  # PEM

    def client(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.ca)


def certificate(name: str, names: Sequence[x509.GeneralName], issuer: "Issuer | None") -> "Issuer":
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer = issuer or Issuer(key, None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer.certificate else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    usage = dict.fromkeys(
        ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"], False
    )
    signs = issuer is None
    builder = builder.add_extension(
        x509.KeyUsage(digital_signature=not signs, key_cert_sign=signs, crl_sign=signs, **usage), critical=True
    )
    return Issuer(key, builder.sign(signer.key, hashes.SHA256()))


class Issuer(NamedTuple):
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate | None

    def pem(self) -> bytes:
        assert self.certificate
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def context(self, folder: Path, name: str) -> ssl.SSLContext:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path = folder / f"{name}.pem"
        path.write_bytes(private + self.pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("tls")
    ca = certificate("a test's own CA", [], None)
    here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost"), x509.DNSName("upstream.test")]
    good = certificate("server", here, ca).context(folder, "good")
    wrong = certificate("other", [x509.DNSName("other.test")], ca).context(folder, "wrong")
    return Certificates(good, wrong, ca.pem().decode())


@both_loops
async def test_tls_is_verified_named_and_http_1_1(certificates: Certificates):
    seen: list[object] = []
    server = certificates.server
    server.set_alpn_protocols(["h2", "http/1.1"])
    server.sni_callback = lambda _, name, __: seen.append(name)

    async def handler(peer: Peer) -> None:
        seen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await forever(peer)

    async with serve(handler, server) as up, connect(tls=certificates.client()) as client:
        named = Origin("https", "localhost", up.origin.port)
        assert [await fetch(client, named), await fetch(client, named)] == [b"hello", b"hello"]
        assert await fetch(client, up.origin) == b"hello"
        assert (client.connects, client.reused) == (2, 1)
    assert seen == ["localhost", "http/1.1", None, "http/1.1"]


@both_loops
async def test_tls_carries_large_bodies_both_ways(certificates: Certificates):
    body = os.urandom(1 << 16) * 32

    async def handler(peer: Peer) -> None:
        while True:
            _, got = await peer.request()
            await peer.send(OK + b"content-length: %d\r\n\r\n" % len(got), got)

    async with serve(handler, certificates.server) as up, connect(tls=certificates.client(), buffer=1 << 14) as client:
        assert await (await post(client, up.origin, body)).read(len(body)) == body
        assert b"".join(await pieces_of(await post(client, up.origin, body))) == body


@both_loops
async def test_a_certificate_of_an_unknown_ca_is_refused(certificates: Certificates):
    async with serve(forever, certificates.server) as up, connect() as client:
        with fails(UpstreamUnreachable, r"the certificate of 127\.0\.0\.1:\d+ is not trusted: .*certificate"):
            await post(client, up.origin)
        assert client.open == 0


@both_loops
async def test_a_certificate_for_another_name_is_refused(certificates: Certificates):
    async with serve(forever, certificates.wrong_name) as up, connect(tls=certificates.client()) as client:
        with fails(UpstreamUnreachable, "is not trusted: .*mismatch|is not trusted: .*127.0.0.1"):
            await post(client, up.origin)


@pytest.mark.parametrize("says", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
@both_loops
async def test_a_server_without_tls_is_unreachable_by_it(certificates: Certificates, says: bytes):
    async def handler(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(says)

    async with serve(handler) as up, connect(tls=certificates.client()) as client:
        with fails(UpstreamUnreachable, "127.0.0.1"):
            await post(client, Origin("https", "127.0.0.1", up.origin.port))


@both_loops
async def test_without_its_goodbye_tls_has_not_ended(certificates: Certificates):
    """An attacker can forge the end of a TCP connection, but not of the TLS within."""
    cut = asyncio.Event()

    async def handler(peer: Peer) -> None:
        await peer.answer(OK + b"\r\nhello")
        if peer.number == 2:
            await cut.wait()
            with peer.socket() as own:
                own.shutdown(socket.SHUT_WR)
            await peer.left()

    async with serve(handler, certificates.server) as up, connect(tls=certificates.client()) as client:
        assert await fetch(client, up.origin) == b"hello"
        reply = await post(client, up.origin)
        assert await reply.next() == b"hello"
        cut.set()
        with fails(UpstreamBroken):
            await reply.next()


def test_tls_that_does_not_verify_is_refused():
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    with pytest.raises(ConfigError):
        Client(tls=trusting)
    trusting.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConfigError):
        Client(tls=trusting)


# Proxies


def tunnel_to(port: int, heads: list[bytes]) -> Callable[[Peer], Awaitable[object]]:
    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def handler(peer: Peer) -> None:
        heads.append(await peer.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await peer.send(b"HTTP/1.1 200 Connection established\r\nvia: me\r\n\r\n")
        try:
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))
        finally:
            writer.close()

    return handler


@both_loops
async def test_https_goes_through_a_tunnel(certificates: Certificates):
    heads: list[bytes] = []
    async with serve(forever, certificates.server) as up, serve(tunnel_to(up.origin.port, heads)) as proxy:
        proxies = Proxies(https=f"http://user:pa%3Ass@127.0.0.1:{proxy.origin.port}")
        async with connect(tls=certificates.client(), proxies=proxies) as client:
            origin = Origin("https", "upstream.test", 443)
            assert [await fetch(client, origin), await fetch(client, origin)] == [b"hello", b"hello"]
            assert (client.connects, client.reused) == (1, 1)
    credentials = base64.b64encode(b"user:pa:ss")
    assert heads == [
        b"CONNECT upstream.test:443 HTTP/1.1\r\nhost: upstream.test:443\r\nproxy-authorization: Basic "
        + credentials
        + b"\r\n\r\n"
    ]


@both_loops
async def test_a_tunnel_changes_nothing_about_verification(certificates: Certificates):
    async with serve(forever, certificates.wrong_name) as up, serve(tunnel_to(up.origin.port, [])) as proxy:
        proxies = Proxies(https=f"127.0.0.1:{proxy.origin.port}")
        async with connect(tls=certificates.client(), proxies=proxies) as client:
            with fails(UpstreamUnreachable, "the certificate of upstream.test:443 is not trusted"):
                await post(client, Origin("https", "upstream.test", 443))
            assert client.open == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n", "it answered 407"),
        (b"HTTP/1.1 503 No\r\n\r\n", "it answered 503"),
        (b"nonsense\r\n\r\n", "not HTTP"),
        (b"x" * 70_000, "not HTTP"),
        (b"", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nmore than it should say", "it answered 200"),
    ],
)
@both_loops
async def test_a_proxy_that_declines(answer: bytes, words: str):
    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.send(answer)

    async with serve(handler) as proxy:
        proxies = Proxies(https=f"http://user:{SECRET}@127.0.0.1:{proxy.origin.port}/")
        async with connect(proxies=proxies) as client:
            with fails(UpstreamUnreachable, f"the proxy 127.0.0.1:{proxy.origin.port} .*upstream.test:443: .*{words}"):
                await post(client, Origin("https", "upstream.test", 443))
            assert client.open == 0


@both_loops
async def test_a_proxy_that_stalls_or_is_not_there():
    async with serve(Peer.left) as proxy:
        async with connect(proxies=Proxies(https=f"http://127.0.0.1:{proxy.origin.port}")) as client:
            with fails(UpstreamTimeout, r"no connection to upstream.test:443 within 0\.05 seconds"):
                await post(client, Origin("https", "upstream.test", 443), timeouts=Timeouts(connect=0.05))
        gone = proxy.origin.port
    async with connect(proxies=Proxies(http=f"http://127.0.0.1:{gone}")) as client:
        with fails(UpstreamUnreachable, f"cannot connect to the proxy 127.0.0.1:{gone}: refused"):
            await post(client, Origin("http", "upstream.test", 80))


@both_loops
async def test_http_goes_to_the_proxy_with_the_whole_url():
    heads: list[bytes] = []

    async def handler(peer: Peer) -> None:
        heads.append((await peer.answer(HELLO))[0])

    async with serve(handler) as proxy, connect(proxies=Proxies(http=f"http://u:p@127.0.0.1:{proxy.origin.port}")) as client:
        assert await fetch(client, Origin("http", "upstream.test", 8080)) == b"hello"
    assert heads == [
        b"POST http://upstream.test:8080/v1/chat?a=b HTTP/1.1\r\nhost: upstream.test:8080\r\nproxy-authorization: Basic "
        + base64.b64encode(b"u:p")
        + b"\r\n"
        + HEADERS
        + b"content-length: 2\r\n\r\n"
    ]


@both_loops
async def test_loopback_is_never_proxied():
    async with serve(forever) as up, connect(proxies=Proxies(http="http://127.0.0.1:1")) as client:
        assert await fetch(client, up.origin) == b"hello"
        assert await fetch(client, Origin("http", "localhost", up.origin.port)) == b"hello"


@pytest.mark.parametrize(
    ("host", "bypass", "expected"),
    [
        ("api.test", "", False),
        ("api.test", "*", True),
        ("api.test", "other.test, api.test", True),
        ("api.test", "other.test api.test", True),
        ("api.test", "API.test", True),
        ("api.test", "test", True),
        ("api.test", ".test", True),
        ("api.test", "*.test", True),
        ("xapi.test", "api.test", False),
        ("api.test.evil", "api.test", False),
        ("api.test", "api.test:443", True),
        ("api.test", "api.test:80", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8,nonsense/9", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "2.3", False),
        ("api.test", "10.0.0.0/8,nonsense/9", False),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "fd00::1", True),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]:80", False),
        ("localhost", "", True),
        ("a.localhost", "", True),
        ("127.8.9.1", "", True),
        ("::1", "", True),
        ("localhost.test", "", False),
        ("api.test", ",", False),
    ],
)
def test_who_is_reached_without_a_proxy(host: str, bypass: str, expected: bool):
    assert bypassed(Origin("https", host, 443), bypass) is expected


def test_the_environment_names_the_proxies():
    assert Proxies.from_environment({}) == Proxies()
    both = {"HTTP_PROXY": "http://a", "http_proxy": "http://b", "HTTPS_PROXY": "http://c", "NO_PROXY": "x", "no_proxy": ""}
    assert Proxies.from_environment(both) == Proxies(http="http://b", https="http://c", bypass="")


def test_a_proxys_password_is_not_told():
    assert SECRET not in repr(Proxies(http=f"http://u:{SECRET}@h"))
    for url in (f"socks5://u:{SECRET}@h", f"http://u:{SECRET}@h:99999", f"http://u:{SECRET}@", f"http://u:{SECRET}@[h"):
        with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
            Client(proxies=Proxies(https=url))
        assert SECRET not in str(caught.value)


@both_loops
async def test_the_environment_is_asked_where_nothing_is_given(monkeypatch: pytest.MonkeyPatch):
    async def handler(peer: Peer) -> None:
        await peer.answer(HELLO)

    async with serve(handler) as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.origin.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with connect(proxies=None) as client:
            assert await fetch(client, Origin("http", "upstream.test", 80)) == b"hello"


# Origins


@pytest.mark.parametrize(
    ("url", "origin", "prefix", "authority"),
    [
        ("https://api.test", ("https", "api.test", 443), "", "api.test"),
        ("https://api.test/", ("https", "api.test", 443), "", "api.test"),
        ("HTTP://Api.Test:8000/v1/", ("http", "api.test", 8000), "/v1", "api.test:8000"),
        ("http://api.test:80/a/b", ("http", "api.test", 80), "/a/b", "api.test"),
        ("http://[::1]:9/v1", ("http", "::1", 9), "/v1", "[::1]:9"),
        ("https://[fd00::1]", ("https", "fd00::1", 443), "", "[fd00::1]"),
        ("https://bücher.test", ("https", "xn--bcher-kva.test", 443), "", "xn--bcher-kva.test"),
        ("http://my_host:80", ("http", "my_host", 80), "", "my_host"),
    ],
)
def test_an_origin_is_read_from_a_url(url: str, origin: tuple[str, str, int], prefix: str, authority: str):
    parsed, path = Origin.parse(url)
    assert ((parsed.scheme, parsed.host, parsed.port), path, parsed.authority) == (origin, prefix, authority)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.test",
        "ftp://api.test",
        "https://",
        "https:///v1",
        "https://api.test:99999",
        "https://api.test:0",
        "https://api.test:x",
        "https://[::1",
        "https://[zz]",
        "https://a b.test",
        "https://-a.test",
        "https://api.test/v 1",
        "https://api.test/é",
        "https://api.test/v1?key=x",
        "https://api.test/v1#x",
        "https://api.test/?",
        f"https://user:{SECRET}@api.test",
        f"https://{SECRET}@api.test/é",
        f"ftp://{SECRET}@api.test",
        "https://" + "ü" * 80 + ".test",
    ],
)
def test_a_url_that_cannot_be_is_a_configuration_error(url: str):
    with pytest.raises(ConfigError) as caught:
        Origin.parse(url)
    assert SECRET not in str(caught.value)


def test_an_origin_says_where_it_is():
    assert [str(Origin("https", host, 443)) for host in ("api.test", "::1")] == ["api.test:443", "[::1]:443"]
