"""Writes docs/protocols.md: what is carried between which protocols, told by the golden vectors and by nothing else.

    python tools/protocol_matrix.py

A case of tests/vectors is a row; the losses that its tests hold every pair to are the cells. What a host of a protocol does
otherwise is told by its quirks in interlingua/hosts.py.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from interlingua.hosts import HOSTS, Host

ROOT: Final = Path(__file__).resolve().parent.parent
VECTORS: Final = ROOT / "tests" / "vectors"
PAGE: Final = ROOT / "docs" / "protocols.md"

_NAMES: Final = {
    "openai": "OpenAI Chat Completions",
    "anthropic": "Anthropic Messages",
    "gemini": "Gemini generateContent",
    "responses": "OpenAI Responses",
    "bedrock": "Bedrock Converse",
}
_QUIRKS: Final = {
    "external_urls": "images and documents by any URL are carried",
    "top_k": "`top_k` is carried",
    "max_tokens": "`max_completion_tokens` is sent as `max_tokens`",
    "random_seed": "`seed` is sent as `random_seed`",
    "cache_control": "cache marks are sent as `cache_control`",
    "short_ids": "ids of calls are sent as nine letters or digits",
    "no_custom_tools": "custom tools are sent as functions, without their grammar",
    "no_developer": "developer messages are sent as system messages",
    "no_json_schema": "**lost** `response_format.json_schema.schema`, or all of it where the prompt speaks of no JSON",
}
_LACKS: Final = {"no_names": "messages[].name", "no_cache_marks": "prompt_cache_breakpoint", "one_choice": "n"}
_WORDS: Final = {"dropped": "lost", "changed": "changed", "added": "added"}
_GROUPS: Final = (
    "Conversation",
    "Words",
    "Media",
    "Reasoning",
    "Tools",
    "Calls and results",
    "Output",
    "Sampling",
    "How it ended",
    "Usage",
    "Caches and the rest",
    "The rest",
    "Errors",
)
_INDEX: Final = re.compile(r"\[\d+\]")
_HEAD: Final = """\
# What is carried between which protocols

<!-- Written by tools/protocol_matrix.py from tests/vectors. Do not edit: run it again. -->

Each row is a case of [tests/vectors](../tests/vectors/README.md), and each cell what the tests hold that pair of protocols to.

- **✓** carried: it means the same on the other side.
- **lost**, **changed**, **added**: reported by the path that is shown, a request's in the client's own names, an answer's in
  the gateway's: `response`, its choices, their parts, usage ([how](losses.md)).
- **·** this backend never says such a thing.

Five protocols, and every ordered pair of them; each host speaks one. Azure OpenAI and the servers that are like OpenAI speak
Chat Completions; Vertex AI speaks Gemini's protocol, and Anthropic's for Claude. [What a host does otherwise](#hosts) is below.

Some things depend on the model. Where nothing else is said, it is {models}.
"""
Json = dict[str, Any]


class Case:
    def __init__(self, folder: Path) -> None:
        about: Json = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        losses = folder / "losses.json"
        self.title: str = about["title"]
        self.group: str = about["group"]
        self.told_by: list[str] = about["told_by"]
        self.models: dict[str, str] = about.get("models", {})
        self.losses: dict[str, dict[str, list[str]]] = json.loads(losses.read_text(encoding="utf-8")) if losses.exists() else {}
        self.protocols = [name for name in _NAMES if any(folder.glob(f"{name}.*"))]


def cases(kind: str) -> list[Case]:
    return sorted(
        (Case(folder) for folder in (VECTORS / kind).iterdir()), key=lambda case: (_GROUPS.index(case.group), case.title)
    )


def cell(case: Case, source: str, goal: str, usual: str | None) -> str:
    """`usual`: the model that need not be named."""
    if source not in case.told_by:
        return "·"
    found: dict[str, list[str]] = {}
    for loss in case.losses.get(source, {}).get(goal, []):
        path, _, how = loss.rpartition(";")
        paths = found.setdefault(_WORDS[how], [])
        if (shown := f"`{_INDEX.sub('[]', path)}`") not in paths:
            paths.append(shown)
    if not found:
        return "✓"
    told = "; ".join(f"**{word}** {', '.join(paths)}" for word, paths in found.items())
    model = case.models.get(goal)
    return told if model in (None, usual) else f"{told} ({model})"


def table(columns: list[str], rows: list[tuple[Case, list[str]]]) -> Iterator[str]:
    """A head, then each group under its name."""
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    group = ""
    for case, cells in rows:
        if case.group != group:
            group = case.group
            yield f"| **{group}** |{' |' * len(columns)}"
        yield f"| {case.title} | {' | '.join(cells)} |"


def section(client: str, protocols: list[str], usual: dict[str, str]) -> Iterator[str]:
    told = [case for case in cases("requests") if client in case.told_by]
    rows = [(case, [cell(case, client, goal, usual[goal]) for goal in protocols]) for case in told]
    yield from (f"## Clients of {_NAMES[client]}", "", "### What they ask", "")
    yield from table([f"to {_NAMES[name]}" for name in protocols], rows)
    for kind, words in (("responses", "### What they are answered"), ("streams", "### What they are answered in a stream")):
        rows = [(case, [cell(case, source, client, None) for source in protocols]) for case in cases(kind)]
        yield from ("", words, "")
        yield from table([f"from {_NAMES[name]}" for name in protocols], rows)
    yield ""


def hosts() -> Iterator[str]:
    yield from ("## Hosts", "", "| host | speaks | beside its protocol's rows |", "|---|---|---|")
    for host in HOSTS.values():
        speaks = [_NAMES[host.protocol]] + [f"{_NAMES[row.protocol]} for {name}" for name, row in host.families.items()]
        told = "a program, not a server: [what it takes](gemini-cli.md)" if host.name == "gemini-cli" else quirks(host)
        yield f"| {host.name} | {', '.join(speaks)} | {told} |"
    yield ""


def quirks(host: Host) -> str:
    """What is sent otherwise, then what is lost."""
    told = [words for name, words in _QUIRKS.items() if name in host.quirks]
    lost = [_LACKS.get(name) or name.removeprefix("no_") for name in sorted(host.quirks - _QUIRKS.keys())]
    if lost:
        told.append(f"**lost** {', '.join(f'`{name}`' for name in lost)}")
    return "; ".join(told)


def _usual(models: list[str]) -> str:
    return Counter(models).most_common(1)[0][0]


def render() -> str:
    requests = cases("requests")
    protocols = [name for name in _NAMES if any(name in case.told_by for case in requests)]
    usual = {name: _usual([case.models[name] for case in requests if name in case.models]) for name in protocols}
    models = ", ".join(f"{usual[name]} for {_NAMES[name]}" for name in protocols)
    errors = "; ".join(case.title[0].lower() + case.title[1:] for case in cases("errors"))
    lines = [_HEAD.format(models=models)]
    for client in protocols:
        lines += section(client, protocols, usual)
    lines += hosts()
    lines += ["## Errors", "", f"Told in the client's own shape and words, whatever the backend: {errors}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
