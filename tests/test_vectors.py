"""Golden vectors: one meaning told in every dialect, N files a case, and every ordered pair of protocols checked on it.

`tests/vectors/README.md` says what the files are. A request's body must also be one that the strict mock accepts.
"""

import json
import runpy
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter

from interlingua.framing import Frame, Out, sse
from interlingua.ir import AnyEvent, Failure, Request
from interlingua.losses import Losses
from interlingua.mock.app import MockApp
from interlingua.mock.vendors import claimant
from interlingua.mock.wire import Call
from interlingua.protocols import target
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import encode_json

VECTORS = Path(__file__).resolve().parent / "vectors"
KINDS = ("requests", "responses", "streams", "errors")
ASKED = Request(model="m-1", messages=[], stream=True, extras={"openai": {"~stream_options": {"include_usage": True}}})
KEYS = {
    "openai": {"authorization": "Bearer k"},
    "anthropic": {"x-api-key": "k"},
    "gemini": {"x-goog-api-key": "k"},
}
PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}
Pair = tuple[str, str, str]
# What the vendors' own SDKs read an answer, and a piece of a streamed one, as.
ANSWERS: dict[str, TypeAdapter[Any]] = {
    "openai": TypeAdapter(ChatCompletion),
    "anthropic": TypeAdapter(Message),
    "gemini": TypeAdapter(GenerateContentResponse),
}
PIECES: dict[str, TypeAdapter[Any]] = {
    "openai": TypeAdapter(ChatCompletionChunk),
    "anthropic": TypeAdapter(RawMessageStreamEvent),
    "gemini": TypeAdapter(GenerateContentResponse),
}


class Case:
    """The files of one case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = json.loads((folder / "case.json").read_text())
        self.told_by: list[str] = self.about["told_by"]
        self.protocols = [name for name in PROTOCOLS if self.file_of(name) is not None]

    def file_of(self, stem: str) -> Path | None:
        return next((file for end in (".json", ".sse", ".jsonl") if (file := self.folder / (stem + end)).exists()), None)

    def source(self, name: str) -> bytes:
        file = self.file_of(f"{name}-cut") or self.file_of(name)
        assert file is not None
        return file.read_bytes()

    def expected(self, source: str, goal: str) -> Path:
        stems = [f"{source}-{goal}"] + ([f"to-{goal}"] if source != goal else []) + [goal]
        return next(file for stem in stems if (file := self.file_of(stem)) is not None)

    def losses(self, source: str, goal: str) -> list[str]:
        return json.loads((self.folder / "losses.json").read_text()).get(source, {}).get(goal, [])


@cache
def cases(kind: str) -> dict[str, Case]:
    return {folder.name: Case(folder) for folder in sorted((VECTORS / kind).iterdir())}


def pairs(kind: str) -> list[Any]:
    found = [
        (name, source, goal) for name, case in cases(kind).items() for source in case.told_by for goal in [*case.protocols, "ir"]
    ]
    return [pytest.param(pair, id="-".join(pair)) for pair in found]


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


def read_request(case: Case, source: str) -> Request:
    in_path = source == "gemini"
    model = case.about["models"][source] if in_path else None
    stream = case.about.get("stream", False) if in_path else None
    return PROTOCOLS[source].parse_request(json.loads(case.source(source)), model, stream)


@pytest.mark.parametrize("pair", pairs("requests"))
def test_request(pair: Pair):
    name, source, goal = pair
    case = cases("requests")[name]
    request = read_request(case, source)
    wanted = json.loads(case.expected(source, goal).read_bytes())
    if goal == "ir":
        read = meaning(msgspec.to_builtins(request))
        assert read.pop("model") == case.about["models"][source]
        assert read == wanted
        return
    losses = Losses()
    assert plain(PROTOCOLS[goal].format_request(request, target(case.about["models"][goal]), losses)) == wanted
    told = {f"{PROTOCOLS[source].field_path(loss.path, request)};{loss.how}" for loss in losses}
    assert sorted(told) == case.losses(source, goal)


@pytest.mark.parametrize("pair", pairs("responses"))
def test_response(pair: Pair):
    name, source, goal = pair
    case = cases("responses")[name]
    response = PROTOCOLS[source].parse_response(json.loads(case.source(source)))
    wanted = json.loads(case.expected(source, goal).read_bytes())
    if goal == "ir":
        assert meaning(msgspec.to_builtins(response)) == wanted
        return
    losses = Losses()
    assert plain(PROTOCOLS[goal].format_response(response, ASKED, losses)) == wanted
    assert sorted({f"{loss.path};{loss.how}" for loss in losses}) == case.losses(source, goal)


def frames(data: bytes) -> list[Frame]:
    decoder = sse.Decoder(1 << 20)
    return decoder.feed(data) + decoder.close()


def told(found: list[Frame]) -> list[tuple[str | None, Any]]:
    return [(frame.event, frame.data.decode() if frame.data == b"[DONE]" else json.loads(frame.data)) for frame in found]


def batches(source: str, data: bytes) -> Iterator[list[AnyEvent]]:
    """The events of each frame, and those of the end."""
    parser = PROTOCOLS[source].Parser()
    for frame in frames(data):
        yield parser.feed(frame)
    yield parser.close()


@pytest.mark.parametrize("pair", pairs("streams"))
def test_stream(pair: Pair):
    name, source, goal = pair
    case = cases("streams")[name]
    found = list(batches(source, case.source(source)))
    wanted = case.expected(source, goal).read_bytes()
    if goal == "ir":
        events = [meaning(msgspec.to_builtins(event)) for batch in found for event in batch]
        assert events == [json.loads(line) for line in wanted.split(b"\n") if line]
        return
    losses, outs = Losses(), list[Out]()
    formatter = PROTOCOLS[goal].Formatter(ASKED, losses)
    for batch in found:
        outs += formatter.feed(batch)
    assert told(frames(sse.encode_all(outs))) == told(frames(wanted))
    assert sorted({f"{loss.path};{loss.how}" for loss in losses}) == case.losses(source, goal)


@pytest.mark.parametrize("pair", pairs("errors"))
def test_error(pair: Pair):
    name, source, goal = pair
    case = cases("errors")[name]
    given = json.loads(case.source(source))
    failure: Failure = PROTOCOLS[source].parse_error(given["status"], encode_json(given["body"]))
    wanted = json.loads(case.expected(source, goal).read_bytes())
    if goal == "ir":
        assert failure.extras == {source: given["body"]}
        read = msgspec.to_builtins(failure)
        del read["extras"]
        assert read == wanted
        return
    status, body = PROTOCOLS[goal].format_error(failure)
    assert {"status": status, "body": plain(body)} == wanted


def answers(kind: str) -> list[Any]:
    """(file, protocol) of every answer that a client is given or a backend gives."""
    found: dict[Path, str] = {}
    for case in cases(kind).values():
        for goal in case.protocols:
            found |= {case.expected(source, goal): goal for source in case.told_by}
    return [
        pytest.param(file, goal, id=f"{file.parent.name}-{file.stem}") for file, goal in sorted(found.items()) if goal in PATHS
    ]


def sent() -> Iterator[Any]:
    """(case, file, protocol) of every body that a backend may be sent."""
    for name, case in cases("requests").items():
        goals = {(case.expected(source, goal), goal) for source in case.told_by for goal in case.protocols if goal in PATHS}
        for file, goal in sorted(goals):
            yield pytest.param(case, file, goal, id=f"{name}-{file.stem}")


@pytest.mark.parametrize("case, file, goal", list(sent()))
def test_the_strict_mock_accepts_what_is_sent(case: Case, file: Path, goal: str):
    body = json.loads(file.read_bytes())
    lines = PROTOCOLS[goal].request_headers(body, {}).decode().split("\r\n")
    headers = KEYS[goal] | dict(line.split(": ", 1) for line in lines if line)
    call = Call("POST", PATHS[goal].format(model=case.about["models"][goal]), {}, headers, encode_json(body))
    app = MockApp()
    vendor = claimant(call)
    entry = app.journal.open(vendor.name, call)
    app.answer(vendor, call, entry)
    assert (vendor.name, entry.verdict, entry.status) == (goal, "ok", 200)


@pytest.mark.parametrize("file, protocol", answers("responses"))
def test_the_vendors_types_read_every_answer(file: Path, protocol: str):
    ANSWERS[protocol].validate_python(json.loads(file.read_bytes()))


@pytest.mark.parametrize("file, protocol", answers("streams"))
def test_the_vendors_types_read_every_piece_of_a_stream(file: Path, protocol: str):
    pieces = [data for _, data in told(frames(file.read_bytes())) if data != "[DONE]" and "error" not in data]
    assert pieces
    for data in pieces:
        PIECES[protocol].validate_python(data)


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_lies_idle(kind: str):
    """Every file of every case is a source's or a target's, and no pair's file repeats the target's own."""
    for name, case in cases(kind).items():
        read = {case.expected(source, goal) for source in case.told_by for goal in [*case.protocols, "ir"]}
        read |= {case.folder / "case.json", case.folder / "losses.json"}
        read |= {file for source in case.told_by for stem in (source, f"{source}-cut") if (file := case.file_of(stem))}
        assert set(case.folder.iterdir()) - read == set(), name
        for file in read:
            own = case.file_of(file.stem.rpartition("-")[2])
            assert "-" not in file.stem or own is None or own.read_bytes() != file.read_bytes(), file


def test_every_protocol_of_the_first_three_tells_every_case():
    """Where it cannot say the meaning, its file says what is left of it."""
    for kind in KINDS:
        for name, case in cases(kind).items():
            assert set(PATHS) <= set(case.protocols), name
            assert case.told_by and set(case.told_by) <= set(case.protocols), name


def test_the_page_of_protocols_is_what_the_vectors_say():
    matrix = runpy.run_path(str(VECTORS.parent.parent / "tools" / "protocol_matrix.py"))
    assert matrix["PAGE"].read_text(encoding="utf-8") == matrix["render"](), "run tools/protocol_matrix.py"
