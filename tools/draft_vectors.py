"""Drafts golden vectors: what the code makes of a case, in files to be read, mended and kept.

    python -m tools.draft_vectors PROTOCOL... [--case KIND/NAME...]

Of every case: the files of each PROTOCOL that are not there yet, from the first protocol that tells the case; then what
every pair with a PROTOCOL in it makes of them, pair by pair, where it is not the target's own file. A draft says what the
code does, not what is right: read each line against the vendor's types, mend file or code, and run it again until nothing
changes. Files of pairs without a PROTOCOL are never touched.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.vector_cases import BINARY, ENDS, KINDS, VECTORS, Case, said

Json = dict[str, Any]
_KIN: Final = {"responses": ("openai", ""), "bedrock": ("anthropic", "anthropic.")}  # whose model it takes, and its prefix


def draft(folder: Path, protocols: list[str]) -> None:
    case = Case(folder)
    models: Json = case.about.get("models", {})
    for name in protocols:
        if models and name not in models and name in _KIN:
            kin, prefix = _KIN[name]
            models[name] = prefix + models[kin]
    for name in protocols:
        if case.file_of(name) is None:
            value, losses = said(case, case.told_by[0], name)
            write(case, name, name, value)
            if not losses and same(case, name):
                case.told_by.append(name)
    (folder / "case.json").write_text(pretty(case.about), encoding="utf-8")
    settle(Case(folder), protocols)


def same(case: Case, name: str) -> bool:
    """Whether a draft is read as its source was, and so tells the same."""
    return said(case, name, "ir")[0] == said(case, case.told_by[0], "ir")[0]


def settle(case: Case, protocols: list[str]) -> None:
    """Writes what pairs make of the files, where one of the two is among `protocols`."""
    losses: dict[str, dict[str, list[str]]] = {}
    for source, goal in ((source, goal) for source in protocols for goal in [*case.protocols, "ir"]):
        if source not in case.told_by:
            for file in files(case, f"{source}-{goal}"):
                file.unlink()
    for goal in [*case.protocols, "ir"]:
        sources = [name for name in case.told_by if goal in protocols or name in protocols]
        made = {name: said(case, name, goal) for name in sources}
        kept = [name for name in case.told_by if name not in sources]
        write_pairs(case, goal, {name: value for name, (value, _) in made.items()}, kept)
        for name in case.told_by:
            if lost := made[name][1] if name in made else case.losses(name, goal):
                losses.setdefault(name, {})[goal] = lost
    if case.kind != "errors":
        told = {name: {goal: rows[goal] for goal in rows} for name in case.told_by if (rows := losses.get(name))}
        (case.folder / "losses.json").write_text(pretty(told), encoding="utf-8")


def write_pairs(case: Case, goal: str, made: Json, kept: list[str]) -> None:
    """The files of `goal` beside its own: one for all other sources, where they agree, else one each."""
    for name in made:
        for file in files(case, f"{name}-{goal}"):
            file.unlink()
    own = case.file_of(goal)
    if own is None:
        write(case, goal, goal, next(iter(made.values())))
        return settle_goal(case, goal, made)
    if not kept:
        for file in files(case, f"to-{goal}"):
            file.unlink()
        others = {name: value for name, value in made.items() if name != goal}
        odd = [value for value in others.values() if value != case.read(own)]
        if goal != "ir" and len(odd) > 1 and odd.count(odd[0]) == len(others):
            write(case, f"to-{goal}", goal, odd[0])
    settle_goal(case, goal, made)


def settle_goal(case: Case, goal: str, made: Json) -> None:
    for name, value in made.items():
        if value != case.read(case.expected(name, goal)):
            write(case, f"{name}-{goal}", goal, value)


def files(case: Case, stem: str) -> Iterator[Path]:
    return (file for end in ENDS if (file := case.folder / (stem + end)).exists())


def write(case: Case, stem: str, goal: str, value: Any) -> None:
    streamed = case.kind == "streams"
    end = ".json" if not streamed else ".jsonl" if goal in ("ir", BINARY) else ".sse"
    (case.folder / (stem + end)).write_text(_stream(goal, value) if streamed else pretty(value), encoding="utf-8")


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _stream(goal: str, value: Any) -> str:
    if goal == "ir":
        return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in value)
    if goal == BINARY:
        return "".join(json.dumps({name: payload}, ensure_ascii=False) + "\n" for name, payload in value)
    return "".join((f"event: {event}\n" if event else "") + f"data: {_compact(data)}\n\n" for event, data in value)


def _compact(data: Any) -> str:
    return data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("protocols", nargs="+")
    parser.add_argument("--case", action="append", default=[], help="KIND/NAME; every case where none is named")
    asked = parser.parse_args()
    for kind in KINDS:
        for folder in sorted((VECTORS / kind).iterdir()):
            if not asked.case or f"{kind}/{folder.name}" in asked.case:
                draft(folder, asked.protocols)


if __name__ == "__main__":
    main()
