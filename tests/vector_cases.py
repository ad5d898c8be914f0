"""The golden vectors as the tests and tools/draft_vectors.py read them. `tests/vectors/README.md` says what the files are.

`said` runs one pair: it gives what our code makes of a source's file, and the losses, as the files tell them.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from interlingua.framing import Frame, Out, eventstream, sse
from interlingua.ir import AnyEvent, End, Request, Response, Start, Usage, UsageSoFar
from interlingua.losses import Losses
from interlingua.protocols import target
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import encode_json

VECTORS = Path(__file__).resolve().parent / "vectors"
KINDS = ("requests", "responses", "streams", "errors")
ENDS = (".json", ".sse", ".jsonl")
IN_PATH = ("gemini", "bedrock")  # whose paths tell the model, and whether to stream
BINARY = "bedrock"  # whose streams are no text: their files have a line an event, {its name: its payload}
ASKED = Request(model="m-1", messages=[], stream=True, extras={"openai": {"~stream_options": {"include_usage": True}}})
Told = list[tuple[str | None, Any]]


class Case:
    """The files of one case."""

    def __init__(self, folder: Path) -> None:
        self.kind = folder.parent.name
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        self.told_by: list[str] = self.about["told_by"]
        self.protocols = [name for name in PROTOCOLS if self.file_of(name) is not None]

    def file_of(self, stem: str) -> Path | None:
        return next((file for end in ENDS if (file := self.folder / (stem + end)).exists()), None)

    def source(self, name: str) -> Path:
        file = self.file_of(f"{name}-cut") or self.file_of(name)
        assert file is not None
        return file

    def expected(self, source: str, goal: str) -> Path:
        stems = [f"{source}-{goal}"] + ([f"to-{goal}"] if source != goal else []) + [goal]
        return next(file for stem in stems if (file := self.file_of(stem)) is not None)

    def losses(self, source: str, goal: str) -> list[str]:
        file = self.folder / "losses.json"
        return json.loads(file.read_text(encoding="utf-8")).get(source, {}).get(goal, []) if file.exists() else []

    def read(self, file: Path) -> Any:
        """What a file tells: JSON, or a stream's events."""
        data = file.read_bytes()
        if file.suffix == ".sse":
            return told(frames("", data))
        if file.suffix == ".jsonl":
            lines = [json.loads(line) for line in data.split(b"\n") if line]
            return lines if file.stem.endswith("ir") else [next(iter(line.items())) for line in lines]
        return json.loads(data)


@cache
def cases(kind: str) -> dict[str, Case]:
    return {folder.name: Case(folder) for folder in sorted((VECTORS / kind).iterdir())}


def meaning(value: Any) -> Any:
    """A value of the IR as plain data, without spelling notes and without the backend's own word for its end."""
    if isinstance(value, list):
        return [meaning(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: meaning(item) for key, item in value.items()}
    if isinstance(finish := out.get("finish"), dict):
        out["finish"] = {key: item for key, item in finish.items() if key not in ("raw", "origin")}
    if isinstance(found := out.pop("extras", None), dict):
        kept = {origin: {key: item for key, item in extra.items() if key[:1] != "~"} for origin, extra in found.items()}
        if kept := {origin: extra for origin, extra in kept.items() if extra}:
            out["extras"] = kept
    return out


def plain(value: Any) -> Any:
    """As it is on the wire."""
    return msgspec.json.decode(encode_json(value))


# Streams


def wire(file: Path) -> bytes:
    """The bytes of a stream, as its backend sends them."""
    data = file.read_bytes()
    if file.suffix == ".sse":
        return data
    events = [next(iter(json.loads(line).items())) for line in data.split(b"\n") if line]
    return eventstream.encode_all([Out(payload, name) for name, payload in events])


def frames(protocol: str, data: bytes) -> list[Frame]:
    decoder = eventstream.Decoder() if protocol == BINARY else sse.Decoder(1 << 20)
    return decoder.feed(data) + decoder.close()


def told(found: list[Frame]) -> Told:
    return [(frame.event, frame.data.decode() if frame.data == b"[DONE]" else json.loads(frame.data)) for frame in found]


def batches(source: str, data: bytes) -> Iterator[list[AnyEvent]]:
    """The events of each frame, and those of the end."""
    parser = PROTOCOLS[source].Parser()
    for frame in frames(source, data):
        yield parser.feed(frame)
    yield parser.close()


# Pairs


def said(case: Case, source: str, goal: str) -> tuple[Any, list[str]]:
    """What our code makes of the source's file for `goal`, a protocol or "ir", and the losses."""
    return _PAIRS[case.kind](case, source, goal)


def read_request(case: Case, source: str) -> Request:
    in_path = source in IN_PATH
    model = case.about["models"][source] if in_path else None
    stream = case.about.get("stream", False) if in_path else None
    return PROTOCOLS[source].parse_request(json.loads(case.source(source).read_bytes()), model, stream)


def _request(case: Case, source: str, goal: str) -> tuple[Any, list[str]]:
    request = read_request(case, source)
    if goal == "ir":
        read = meaning(msgspec.to_builtins(request))
        assert read.pop("model") == case.about["models"][source]
        return read, []
    losses = Losses()
    body = plain(PROTOCOLS[goal].format_request(request, target(case.about["models"][goal]), losses))
    return body, sorted({f"{PROTOCOLS[source].field_path(loss.path, request)};{loss.how}" for loss in losses})


def _response(case: Case, source: str, goal: str) -> tuple[Any, list[str]]:
    response = PROTOCOLS[source].parse_response(json.loads(case.source(source).read_bytes()))
    _name(response)
    _unsaid(response.usage, case, source)
    if goal == "ir":
        return meaning(msgspec.to_builtins(response)), []
    losses = Losses()
    return plain(PROTOCOLS[goal].format_response(response, ASKED, losses)), _paths(losses)


def _stream(case: Case, source: str, goal: str) -> tuple[Any, list[str]]:
    found = list(batches(source, wire(case.source(source))))
    for event in (event for batch in found for event in batch):
        if isinstance(event, Start):
            _name(event)
        if isinstance(event, Start | UsageSoFar | End):
            _unsaid(event.usage, case, source)
    if goal == "ir":
        return [meaning(msgspec.to_builtins(event)) for batch in found for event in batch], []
    losses, outs = Losses(), list[Out]()
    formatter = PROTOCOLS[goal].Formatter(ASKED, losses)
    for batch in found:
        outs += formatter.feed(batch)
    encoded = eventstream.encode_all(outs) if goal == BINARY else sse.encode_all(outs)
    return told(frames(goal, encoded)), _paths(losses)


def _name(answer: Response | Start) -> None:
    """As the server does, where a backend names neither."""
    answer.id, answer.model = answer.id or "resp_1", answer.model or "m-1"


def _unsaid(usage: Usage | None, case: Case, source: str) -> None:
    """The Responses API must tell a breakdown, be it 0. Where usage is not the matter, that is taken for nothing told."""
    if usage is not None and source == "responses" and case.about["group"] != "Usage":
        usage.cache_read, usage.cache_write, usage.reasoning = (
            usage.cache_read or None,
            usage.cache_write or None,
            usage.reasoning or None,
        )


def _error(case: Case, source: str, goal: str) -> tuple[Any, list[str]]:
    given = json.loads(case.source(source).read_bytes())
    failure = PROTOCOLS[source].parse_error(given["status"], encode_json(given["body"]))
    if goal == "ir":
        vendor = "openai" if source == "responses" else source  # OpenAI's two APIs tell errors alike
        assert failure.extras == {vendor: given["body"]}
        read = msgspec.to_builtins(failure)
        del read["extras"]
        return read, []
    status, body = PROTOCOLS[goal].format_error(failure)
    return {"status": status, "body": plain(body)}, []


def _paths(losses: Losses) -> list[str]:
    return sorted({f"{loss.path};{loss.how}" for loss in losses})


_PAIRS = {"requests": _request, "responses": _response, "streams": _stream, "errors": _error}
