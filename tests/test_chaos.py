"""The judges of `make chaos` see what is broken: else nothing that it reports would mean anything."""

import msgspec
import pytest
import pytest_asyncio

from chaos.faults import ENDLESS, FAULTS, Recorded, script
from chaos.load import questions
from chaos.processes import record
from chaos.wires import PROTOCOLS, Reply, asked, judge, request


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    folder = tmp_path_factory.mktemp("chaos")
    await record(folder)
    return msgspec.msgpack.decode((folder / "recorded").read_bytes(), type=list[Recorded])


def test_a_whole_answer_is_one_and_any_part_of_it_is_none(answers: list[Recorded]) -> None:
    assert {(it.protocol, it.stream) for it in answers} == {(name, stream) for name in PROTOCOLS for stream in (False, True)}
    for it in answers:
        assert judge(it.protocol, it.stream, Reply(200, {}, it.body)) == "answer"
        assert judge(it.protocol, it.stream, Reply(200, {}, it.body, whole=False)) == "silent"
        assert judge(it.protocol, it.stream, Reply(500, {}, it.body)) == "silent"
        mark = {"responses": b"event: response.completed", "anthropic": b"event: message_stop", "bedrock": b"metadata"}
        last = it.body.rindex(mark.get(it.protocol, b"data: ")) if it.stream else len(it.body) - 1
        for at in (*range(0, last, 61), last):
            assert judge(it.protocol, it.stream, Reply(200, {}, it.body[:at])) == "silent", (it.protocol, it.stream, at)


def test_an_error_is_one_in_its_own_protocol_alone() -> None:
    own = {
        "openai": b'{"error": {"message": "m", "type": "server_error"}}',
        "anthropic": b'{"type": "error", "error": {"type": "api_error", "message": "m"}}',
        "bedrock": b'{"message": "m"}',
    }
    heads = {"x-amzn-errortype": "InternalServerException"}
    assert {name: judge(name, True, Reply(500, heads, body)) for name, body in own.items()} == dict.fromkeys(own, "error")
    assert judge("anthropic", False, Reply(500, {}, own["openai"])) == "silent"
    assert judge("openai", False, Reply(500, {}, own["bedrock"])) == "silent"
    assert judge("bedrock", False, Reply(500, {}, own["bedrock"])) == "silent"


def test_a_fault_is_the_same_for_the_same_seed(answers: list[Recorded]) -> None:
    for it in answers:
        for fault in FAULTS.keys() - ENDLESS.keys() - {"bomb"}:
            assert script(fault, it, "1") == script(fault, it, "1")
        assert len({str(script("cut", it, str(seed))) for seed in range(20)}) > 10


def test_a_provider_reads_what_a_client_asks() -> None:
    for question in questions(["cut-7"]):
        head, _, body = request(question.client, question.model, question.stream).partition(b"\r\n\r\n")
        told = asked(head, body)
        assert (told.protocol, told.model, told.stream) == (question.client, "cut-7", question.stream)
        assert (question.fault, question.owed) == ("cut", "error")
