"""Golden vectors: one meaning told in every dialect, N files a case, and every ordered pair of protocols checked on it.

`tests/vectors/README.md` says what the files are. Every telling must also be one that the vendor's own code reads, and every
request one that the strict mock accepts.
"""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlingua.mock.app import MockApp
from interlingua.mock.vendors import claimant
from interlingua.mock.wire import Call
from interlingua.protocols.registry import PROTOCOLS
from interlingua.protocols.wire import encode_json
from tests import vendor_truth as truth
from tests.vector_cases import KINDS, VECTORS, Case, cases, said, wire

KEYS = {
    "openai": {"authorization": "Bearer k"},
    "responses": {"authorization": "Bearer k"},
    "anthropic": {"x-api-key": "k"},
    "gemini": {"x-goog-api-key": "k"},
    "bedrock": {"authorization": "Bearer k"},
}
PATHS = {
    "openai": "/v1/chat/completions",
    "responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
    "bedrock": "/model/{model}/converse",
}
Pair = tuple[str, str, str, str]


def pairs() -> list[Any]:
    found = [
        (kind, name, source, goal)
        for kind in KINDS
        for name, case in cases(kind).items()
        for source in case.told_by
        for goal in [*case.protocols, "ir"]
    ]
    return [pytest.param(pair, id="-".join(pair)) for pair in found]


@pytest.mark.parametrize("pair", pairs())
def test_pair(pair: Pair):
    kind, name, source, goal = pair
    case = cases(kind)[name]
    value, losses = said(case, source, goal)
    assert value == case.read(case.expected(source, goal))
    assert losses == ([] if goal == "ir" else case.losses(source, goal))


def tellings(kind: str) -> Iterator[Any]:
    """(case, file, protocol) of all that a backend is sent, or a client."""
    for name, case in cases(kind).items():
        found = {(case.expected(source, goal), goal) for source in case.told_by for goal in case.protocols}
        for file, goal in sorted(found):
            yield pytest.param(case, file, goal, id=f"{name}-{file.stem}-{goal}")


@pytest.mark.parametrize("case, file, goal", list(tellings("requests")))
def test_the_strict_mock_accepts_every_request(case: Case, file: Path, goal: str):
    body, model = json.loads(file.read_bytes()), case.about["models"][goal]
    lines = PROTOCOLS[goal].request_headers(body, {}).decode().split("\r\n")
    headers = KEYS[goal] | dict(line.split(": ", 1) for line in lines if line)
    call = Call("POST", PATHS[goal].format(model=model), {}, headers, encode_json(body))
    app = MockApp()
    vendor = claimant(call)
    entry = app.journal.open(vendor.name, call)
    app.answer(vendor, call, entry)
    assert (vendor.name, entry.verdict, entry.status) == (goal, "ok", 200)
    if goal == "bedrock":
        truth.asks_converse(body, model)


def test_boto3_sends_what_its_clients_tell():
    for case in cases("requests").values():
        if "bedrock" in case.told_by:
            truth.asks_converse(case.read(case.source("bedrock")), case.about["models"]["bedrock"])


@pytest.mark.parametrize("case, file, goal", list(tellings("responses")))
def test_the_vendors_types_read_every_answer(case: Case, file: Path, goal: str):
    truth.read_answer(goal, json.loads(file.read_bytes()))


@pytest.mark.parametrize("case, file, goal", list(tellings("streams")))
def test_the_vendors_types_read_every_piece_of_a_stream(case: Case, file: Path, goal: str):
    told = case.read(file)
    if goal == "bedrock":
        read = truth.read_converse_stream(wire(file))
        assert [name for name, _ in read] == [name.removeprefix("exception:") for name, _ in told]
        return
    pieces = [data for _, data in told if data != "[DONE]" and "error" not in data]
    assert pieces
    for data in pieces:
        truth.read_piece(goal, data)


@pytest.mark.parametrize("case, file, goal", list(tellings("errors")))
def test_the_vendors_code_reads_every_error(case: Case, file: Path, goal: str):
    error = json.loads(file.read_bytes())
    truth.reads_error(goal, error["status"], error["body"])


@pytest.mark.parametrize("kind", KINDS)
def test_no_file_lies_idle(kind: str):
    """Every file of every case is a source's or a target's, and no pair's file repeats what it would be without it."""
    for name, case in cases(kind).items():
        read = {case.expected(source, goal) for source in case.told_by for goal in [*case.protocols, "ir"]}
        read |= {case.folder / "case.json", case.folder / "losses.json"}
        read |= {file for source in case.told_by for stem in (source, f"{source}-cut") if (file := case.file_of(stem))}
        assert set(case.folder.iterdir()) - read == set(), name
        for file in read:
            source, _, goal = file.stem.partition("-")
            others = [goal] if source == "to" or source == goal else [f"to-{goal}", goal]
            without = next((found for stem in others if (found := case.file_of(stem))), None)
            assert not goal or without is None or without.read_bytes() != file.read_bytes(), file


def test_every_protocol_tells_every_case():
    """Where it cannot say the meaning, its file says what is left of it."""
    for kind in KINDS:
        for name, case in cases(kind).items():
            assert set(case.protocols) == set(PROTOCOLS), name
            assert case.told_by and set(case.told_by) <= set(case.protocols), name


def test_the_page_of_protocols_is_what_the_vectors_say():
    matrix = runpy.run_path(str(VECTORS.parent.parent / "tools" / "protocol_matrix.py"))
    assert matrix["PAGE"].read_text(encoding="utf-8") == matrix["render"](), "run tools/protocol_matrix.py"
