"""`python tools/fuzz.py [SECONDS] [TARGET ...]`: coverage-guided fuzzing of everything that reads bytes from outside.

Each target is one process of atheris. Any bytes must give a value or the one declared error; anything else is a find:
atheris prints it and writes the input to the folder `build/fuzz`. Run by `make fuzz`; not part of `make test`.
"""

import struct
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from zlib import crc32

atheris: Any = import_module("atheris")  # it has no types

FINDS: Final = Path("build/fuzz")
VECTORS: Final = Path(__file__).parent.parent / "tests" / "vectors"
SECONDS: Final = 60

with atheris.instrument_imports(include=["interlingua"]):
    from interlingua.carry import unseal
    from interlingua.errors import FramingError, InterlinguaError, InvalidRequest, UpstreamGarbage
    from interlingua.framing import Frame, Out, eventstream, jsonarray, sse
    from interlingua.losses import Losses
    from interlingua.protocols import target
    from interlingua.protocols.registry import PROTOCOLS
    from interlingua.server import parse_body


def decoder(make: Callable[[], Any]) -> Callable[[bytes], None]:
    """A stream decoder, its bytes cut where the first of them says."""

    def run(data: bytes) -> None:
        cut = data[0] if data else 0
        decoding = make()
        try:
            decoding.feed(data[1:cut])
            decoding.feed(data[cut:])
            decoding.close()
        except FramingError:
            pass

    return run


def messages(data: bytes) -> None:
    """Messages of AWS's event stream whose checksums hold, as chance never makes them: what is in them is read and parsed.
    The first byte is the length of the headers."""
    length, rest = (data[0], data[1:]) if data else (0, b"")
    start = struct.pack(">II", 16 + len(rest), min(length, len(rest)))
    body = start + struct.pack(">I", crc32(start)) + rest
    parser = PROTOCOLS["bedrock"].Parser()
    try:
        for frame in eventstream.Decoder().feed(body + struct.pack(">I", crc32(body))):
            parser.feed(frame)
        parser.close()
    except (FramingError, UpstreamGarbage):
        pass


def request(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            read = PROTOCOLS[name].parse_request(parse_body(data), "model", False)
        except InvalidRequest:
            return
        for other in PROTOCOLS.values():
            other.format_request(read, target("some-model"), Losses())

    return run


def answer(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            PROTOCOLS[name].parse_response(parse_body(data))
        except InterlinguaError:
            pass

    return run


def stream(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        parser = PROTOCOLS[name].Parser()
        try:
            for line in data.split(b"\n"):
                event, tab, told = line.partition(b"\t")
                parser.feed(Frame(event.decode("latin-1"), told) if tab else Frame(None, line))
            parser.close()
        except UpstreamGarbage:
            pass

    return run


def error(name: str) -> Callable[[bytes], None]:
    return lambda data: PROTOCOLS[name].format_error(PROTOCOLS[name].parse_error(500, data)) and None


def sealed(data: bytes) -> None:
    unseal("il1." + data.decode("latin-1"))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "sse": decoder(sse.Decoder),
    "jsonarray": decoder(jsonarray.Decoder),
    "eventstream": decoder(eventstream.Decoder),
    "eventstream-messages": messages,
    "seal": sealed,
} | {
    f"{name}-{what}": make(name)
    for name in PROTOCOLS
    for what, make in (("request", request), ("answer", answer), ("stream", stream), ("error", error))
}


def main(arguments: list[str]) -> int:
    """Every target in turn, `SECONDS` each; 1 where one of them found something."""
    seconds = int(arguments[0]) if arguments else SECONDS
    FINDS.mkdir(parents=True, exist_ok=True)
    failed = [name for name in arguments[1:] or TARGETS if not _run(name, seconds)]
    print(
        f"{len(failed)} of {len(arguments[1:] or TARGETS)} targets found something" + (f": {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def _seeds(name: str) -> str:
    """A folder of good inputs to start from: the golden vectors of that protocol and kind."""
    protocol, _, kind = name.partition("-")
    folder = FINDS / "seeds" / name
    folder.mkdir(parents=True, exist_ok=True)
    rooms = {"request": "requests", "answer": "responses", "stream": "streams", "error": "errors"}
    for path in VECTORS.glob(f"{rooms.get(kind, 'none')}/*/{protocol}.*"):
        (folder / path.parent.name).write_bytes(path.read_bytes())
    if protocol == "eventstream":
        whole = eventstream.encode(Out({"contentBlockIndex": 0, "delta": {"text": "hi"}}, "contentBlockDelta"))
        (folder / "delta").write_bytes(whole[7:8] + whole[12:-4] if kind else b"\x10" + whole)
    return str(folder)


def _run(name: str, seconds: int) -> bool:
    print(f"{name}: {seconds} s", flush=True)
    options = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    command = [sys.executable, __file__, "--one", name, *options, f"-artifact_prefix={FINDS}/{name}-", _seeds(name)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-2000:], done.stderr[-4000:], sep="\n")
    else:
        print("  " + next((line for line in done.stderr.splitlines() if "number_of_executed_units" in line), "ran"))
    return done.returncode == 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        atheris.Setup([sys.argv[0], *sys.argv[3:]], TARGETS[sys.argv[2]])
        atheris.Fuzz()
    else:
        sys.exit(main(sys.argv[1:]))
