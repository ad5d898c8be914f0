"""A stream that breaks upstream is never a short answer: cut at random bytes, it is an error that the client's SDK raises."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chaos.configs import config, one_of_each
from chaos.load import Question, ask_all
from chaos.processes import gateway, provider
from chaos.report import Report
from chaos.sdks import ask_sdks
from chaos.wires import PROTOCOLS

NAME: Final = "cuts"


async def scene(folder: Path, report: Report, quick: bool) -> None:
    by_sdk, raw = (2, 12) if quick else (40, 200)  # of each pair of protocols
    async with provider(folder, report.seed) as bad, gateway(folder, config(one_of_each(bad.port))) as at:
        wrong = await ask_sdks(at.port, _whole(), report)
        report.check(NAME, not wrong, f"uncut, {len(PROTOCOLS) ** 2 * 2} answers are heard whole by every SDK: {wrong} are not")
        asked = list(_cut(by_sdk))
        wrong = await ask_sdks(at.port, asked, report)
        report.check(NAME, not wrong, f"{len(asked)} cuts at random bytes, {len(asked) - wrong} errors raised by the SDKs")
        asked = list(_cut(raw))
        wrong = await ask_all(at.port, asked, report)
        report.check(NAME, not wrong, f"{len(asked)} cuts, {len(asked) - wrong} errors told on the wire in the client's protocol")


def _whole() -> Iterator[Question]:
    pairs = ((client, backend, stream) for client in PROTOCOLS for backend in PROTOCOLS for stream in (False, True))
    for client, backend, stream in pairs:
        yield Question(client, f"{backend}/good-0", stream, "answer")


def _cut(each: int) -> Iterator[Question]:
    """Each another cut, the same for all clients of a backend."""
    for number in range(each):
        yield from (Question(client, f"{backend}/cut-{number}", True, "error") for client in PROTOCOLS for backend in PROTOCOLS)
