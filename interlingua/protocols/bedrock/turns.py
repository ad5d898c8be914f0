"""A conversation's turns, written for Bedrock. No sentence is invented, and what cannot stand is reported.

Bedrock refuses what Anthropic does and more: neighbouring turns of one role, blank text, results that do not stand first
in the turn after their calls, a document without words beside it or with a name that is odd or used twice, a cachePoint
after reasoning or after a document that is no PDF. What a Bedrock client wrote itself (`own`) stands as it is.
"""

import re
from typing import Final, TypeGuard, assert_never
from zlib import crc32

from msgspec import Struct

from interlingua.ir import AnyPart, Cache, Json, Media, Message, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols import Lose, Target
from interlingua.protocols.bedrock.family import Family, Section
from interlingua.protocols.bedrock.formats import format_of
from interlingua.protocols.bedrock.names import NAME
from interlingua.protocols.bedrock.parts import (
    call_block,
    cited_block,
    format_citation,
    give_back,
    native_thinking,
    words_of_json,
)
from interlingua.protocols.bedrock.toolnames import wire_name
from interlingua.protocols.claude import claude
from interlingua.protocols.media import found_words, lose_citing, type_of, words_of
from interlingua.protocols.wire import OPENING, base64_of, foreign, note, standard_base64

_ID: Final = re.compile(r"[a-zA-Z0-9_.:-]{1,64}").fullmatch
_NOT_A_NAME: Final = re.compile(r"[^a-zA-Z0-9()\[\] -]+")
_LONGEST_NAME: Final = 200
_MAX_MARKS: Final = 4
_TTLS: Final = ("5m", "1h")
_ORDER: Final[tuple[Section, ...]] = ("tools", "system", "messages")
_IN_RESULTS: Final = frozenset(("text", "image", "document", "video", "searchResult"))


class Marks:
    """The cachePoints of one request. `own`: a Bedrock client wrote it; `kin`: the family of its model."""

    def __init__(self, own: bool, kin: Family, lose: Lose) -> None:
        self.own, self.kin, self._lose = own, kin, lose
        self._set: list[tuple[int, Json, str]] = []

    def put(self, content: list[Json], cache: Cache, more: Json | None, path: str, section: Section) -> None:
        """Marks what `content` ends with; `more` is what else Bedrock's own mark said."""
        if not self.own and section not in self.kin.caches:
            return self._lose(f"{path}.cache", "dropped", f"the model caches no {section}")
        place = len(content)
        while place and not self.own and _unmarkable(content[place - 1]):
            place -= 1
        if place < len(content):
            if not place or "cachePoint" in content[place - 1]:
                return self._lose(f"{path}.cache", "dropped", "no cachePoint may stand there")
            self._lose(f"{path}.cache", "changed", "stands before it: after it no cachePoint may")
        mark: Json = {"type": "default"}
        if cache.ttl is not None:
            mark["ttl"] = cache.ttl if self.own or cache.ttl in _TTLS else "1h"
            if mark["ttl"] != cache.ttl:
                self._lose(f"{path}.cache.ttl", "changed", "Bedrock keeps a cache for 5m or 1h")
        block: Json = {"cachePoint": {**mark, **(more or {})}}
        content.insert(place, block)
        self._set.append((_ORDER.index(section), block, path))

    @property
    def too_many(self) -> bool:
        return len(self._set) > _MAX_MARKS and not self.own

    def trim(self, *contents: list[Json]) -> None:
        """Takes off all but the last four, which is what models accept."""
        extra = sorted(self._set, key=lambda row: row[0])[:-_MAX_MARKS]
        taken = {id(block) for _, block, _ in extra}
        for content in contents:
            content[:] = [block for block in content if id(block) not in taken]
        for _, _, path in extra:
            self._lose(f"{path}.cache", "dropped", f"Bedrock takes {_MAX_MARKS} cachePoints")


def _unmarkable(block: Json) -> bool:
    document = block.get("document")
    return "reasoningContent" in block or (document is not None and document.get("format") != "pdf")


class _Turn(Struct, gc=False):
    """A message under way. `results`: how many blocks of the content are its results, marks included; `places`: of the IR's
    messages that the rest is from; `wire`: the message itself."""

    role: str
    content: list[Json]
    results: int
    places: list[int]
    wire: Json


class Turns:
    """Writes `messages` and `system`."""

    def __init__(self, request: Request, target: Target, marks: Marks, lose: Lose) -> None:
        self.system: list[Json] = []
        self.names: dict[str, str] = {}  # of the calls so far, by id
        self.used: dict[str, None] = {}  # the tools that the history tells of
        self._turns: list[_Turn] = []
        self._request, self._marks, self._lose = request, marks, lose
        self._own, self._kin = marks.own, marks.kin
        self._claude = target.facts.family == "claude"
        self._mid_system = claude(target.model).mid_system
        self._documents: set[str] = set()  # names given
        self._shown = False  # whether there is a document in a turn
        self._last_system = (-1, 0)  # the last system message hoisted: its place, and its first block's

    def write(self) -> None:
        for i, message in enumerate(self._request.messages):
            role, parts = message.role, message.parts
            if role in ("system", "developer"):
                self._write_system(message, i)
            elif len(parts) == 1 and plain(words := parts[0]) and not message.extras:
                self._add("assistant" if role == "assistant" else "user", [], [{"text": words.text}], i)
            else:
                self._write_turn(message, i)
        if self._own:
            return
        if not self._turns and self.system:
            place, start = self._last_system
            self._add("user", [], self.system[start:], place)
            del self.system[start:]
            self._lose(f"messages[{place}]", "changed", "with no other turn to answer, it is sent as the user's")
        if self._turns and self._turns[0].role == "assistant":
            content: list[Json] = [{"text": OPENING}]
            self._turns.insert(0, _Turn("user", content, 0, [0], {"role": "user", "content": content}))
            self._lose("messages", "added", "the user speaks first at Bedrock: a word to begin with")
        if self._shown or not self._kin.mixes_results:
            for turn in self._turns:
                self._settle(turn)

    def messages(self) -> list[Json]:
        return [turn.wire for turn in self._turns]

    def contents(self) -> list[list[Json]]:
        return [turn.content for turn in self._turns]

    def kinds(self) -> list[tuple[str, list[str]]]:
        """(role, kinds of block) of every message, in Anthropic's words where they are for reasoning."""
        rows = {"reasoningContent": "thinking", "toolResult": "tool_result", "toolUse": "tool_use"}
        return [(turn.role, [rows.get(next(iter(block)), "other") for block in turn.content]) for turn in self._turns]

    def _write_turn(self, message: Message, i: int) -> None:
        role = "assistant" if message.role == "assistant" else "user"
        parts, path = message.parts, f"messages[{i}]"
        results: list[Json] = []
        rest: list[Json] = []
        alone = role == "assistant" and not self._own and not self._kin.mixes_calls and _calls(parts)
        for j, part in enumerate(parts):
            if type(part) is Text and not alone and plain(part):
                rest.append({"text": part.text})
                continue
            where = f"{path}.parts[{j}]"
            if alone and not isinstance(part, ToolCall):
                self._lose(where, "dropped", "the model takes nothing beside tool calls")
                continue
            if (block := self.block(part, where, role)) is None:
                continue
            into, cache = rest, part.cache
            if type(part) is ToolResult:
                if not self._own:
                    into = results
                    if rest:
                        self._lose(where, "changed", "results stand before what else the turn says")
                cache = cache or self._inner_cache(part, where)
            into.append(block)
            if cache is not None:
                self._marks.put(into, cache, note(part, NAME, "~cachePoint"), where, "messages")
        wire: Json | None = None
        if message.extras:
            foreign(message, NAME, path, self._lose)
            wire = give_back({}, message)
        if results or rest or self._own:
            self._add(role, results, rest, i, wire)
        else:
            self._lose(path, "dropped", "Bedrock refuses an empty turn")

    def _add(self, role: str, results: list[Json], rest: list[Json], i: int, wire: Json | None = None) -> None:
        """A turn of its own, or, where the last is of the same role, more of that."""
        last = self._turns[-1] if self._turns else None
        if last is None or last.role != role or self._own:
            content = results + rest if results else rest
            said: Json = {"role": role, "content": content}
            self._turns.append(_Turn(role, content, len(results), [i], said | wire if wire else said))
            return
        if results and len(last.content) > last.results:
            self._lose(f"messages[{i}]", "changed", "results stand before what else the turn says")
        last.content[last.results : last.results] = results
        last.results += len(results)
        last.content += rest
        for key in wire or ():
            self._lose(f"messages[{i}].{key}", "dropped", "the turn is joined with the one before")
        if rest:
            last.places.append(i)

    def _settle(self, turn: _Turn) -> None:
        """Sees to what a whole turn must be."""
        if turn.role != "user":
            return
        content = turn.content
        if 0 < turn.results < len(content) and not self._kin.mixes_results:
            self._fold_in(turn)
        named = next((block["document"].get("name") for block in content if "document" in block), None)
        if named is not None and not any("text" in block or "guardContent" in block for block in content):
            content.append({"text": f"[{named}]"})
            self._lose(f"messages[{turn.places[-1]}]", "added", "a document needs words beside it: its name, in brackets")

    def _fold_in(self, turn: _Turn) -> None:
        """For models that take no words beside results: they are told inside the last."""
        rest = turn.content[turn.results :]
        kept = turn.content[: turn.results]
        last = next(block["toolResult"] for block in reversed(kept) if "toolResult" in block)
        last["content"] = [*last["content"], *(block for block in rest if next(iter(block)) in _IN_RESULTS)]
        turn.content[:] = kept + [block for block in rest if "cachePoint" in block][-1:]
        for i in turn.places:
            self._lose(f"messages[{i}]", "changed", "the model takes nothing beside tool results: told inside the last")

    # system

    def _write_system(self, message: Message, i: int) -> None:
        path, spelled = f"messages[{i}]", note(message, NAME, "~system")
        own_turn = self._own and spelled is None and bool(note(message, NAME, "~turn"))
        blocks: list[Json] = []
        for j, part in enumerate(message.parts):
            where = f"{path}.parts[{j}]"
            if not self._own and not isinstance(part, Text):
                self._lose(where, "dropped", "a system message holds words only")
            elif (block := self.block(part, where, "system")) is not None:
                blocks.append(block)
                if part.cache is not None:
                    self._marks.put(blocks, part.cache, note(part, NAME, "~cachePoint"), where, "system")
        wire: Json = {}
        if message.extras:
            foreign(message, NAME, path, self._lose)
            give_back(wire, message)
        if own_turn:
            self._add("system", [], blocks, i, wire)
        elif spelled is not None or not self._turns:
            self._hoist(blocks, i)
        elif blocks and self._mid_system and self._turns[-1].role in ("user", "system") and self._answered_next(i):
            self._add("system", [], blocks, i)
        elif blocks:
            self._hoist(blocks, i)
            self._lose(path, "changed", "said at the start: a system message cannot stand here")

    def _hoist(self, blocks: list[Json], i: int) -> None:
        self._last_system = i, len(self.system)
        self.system += blocks

    def _answered_next(self, i: int) -> bool:
        later = (m.role for m in self._request.messages[i + 1 :] if m.role not in ("system", "developer"))
        return next(later, "assistant") == "assistant"

    # blocks

    def block(self, part: AnyPart, path: str, role: str) -> Json | None:
        """One block, without its mark; None where it cannot be said (reported)."""
        match part:
            case Text():
                if plain(part):
                    return {"text": part.text}
                out = self._text(part, path, role)
            case ToolCall():
                out = self._call(part, path, role)
            case ToolResult():
                out = self._result(part, path, role)
            case Media():
                out = self._media(part, path, role)
            case Thinking():
                out = self._thinking(part, path, role)
            case Opaque():
                out = dict(part.data) if part.origin == NAME else self._drop(path, f"only {part.origin} knows this block")
            case _:
                assert_never(part)
        if out is None:
            return None
        if part.signature is not None and not isinstance(part, Thinking):
            self._lose(f"{path}.signature", "dropped", f"only {part.signature.origin} can read it")
        if part.extras:
            foreign(part, NAME, path, self._lose)
            give_back(out, part)
        self._shown = self._shown or "document" in out
        return out

    def _drop(self, path: str, why: str) -> None:
        self._lose(path, "dropped", why)

    def _text(self, part: Text, path: str, role: str) -> Json | None:
        if (not part.text or part.text.isspace()) and (not self._own or part.signature is not None):
            if part.text or part.cache or part.signature or part.citations or part.extras:
                self._drop(path, "Bedrock refuses blank text")
            return None
        if part.refusal:
            self._lose(f"{path}.refusal", "changed", "Bedrock says a refusal in plain words")
        if (guard := part.extras.get(NAME, {}).get("guardContent")) is not None:
            return {"guardContent": {"text": {"text": part.text, **guard}}}
        if note(part, NAME, "~cited") is not None and self._own:
            cited = [format_citation(c, f"{path}.citations[{k}]", self._lose) for k, c in enumerate(part.citations)]
            return cited_block(part, cited)
        if not part.citations:
            return {"text": part.text}
        return self._cited(part, path, role) or {"text": part.text}

    def _cited(self, part: Text, path: str, role: str) -> Json | None:
        """A text with what it cites of the documents that are shown; of what else it cites a model is not told again."""
        if role != "assistant" or not self._kin.cites:
            return self._drop(f"{path}.citations", "the model is not told again what was cited")
        told: list[Json] = []
        for k, citation in enumerate(part.citations):
            if citation.place is None:
                self._drop(f"{path}.citations[{k}]", "the model is not told again what was found elsewhere")
            elif citation.place.unit == "result":  # refused, for Bedrock hands them on without their type (langchain-aws#1175)
                self._drop(f"{path}.citations[{k}]", "the model is not told again what was cited of a search's results")
            else:
                told.append(format_citation(citation, f"{path}.citations[{k}]", self._lose))
        return cited_block(part, told) if told else None

    def _thinking(self, part: Thinking, path: str, role: str) -> Json | None:
        if role != "assistant" and not self._own:
            return self._drop(path, "only an assistant thinks")
        signature = part.signature
        if signature is None and self._claude and not self._own:
            return self._drop(path, "Claude takes back only thinking that it signed")
        out = native_thinking(part)
        if out is None and signature is not None and signature.origin == "anthropic" and self._claude and not part.redacted:
            # Anthropic's own thinking page: signatures hold across its API, Bedrock and Vertex.
            return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": signature.data}}}
        if out is None:
            return self._drop(path, f"signed by {signature.origin}" if signature else "it was not said by a model of Bedrock's")
        if part.redacted and part.text:
            self._lose(f"{path}.text", "dropped", "redacted reasoning has no words")
        return out

    def _call(self, call: ToolCall, path: str, role: str) -> Json | None:
        if role != "assistant" and not self._own:
            return self._drop(path, "only an assistant calls tools")
        self.names[call.id] = call.name
        self.used[call.name] = None
        out = call_block(call, wire_name(call.name), path, self._lose)
        out["toolUse"]["toolUseId"] = call.id if self._own else tied(call.id)
        return out

    def _result(self, part: ToolResult, path: str, role: str) -> Json | None:
        if role != "user" and not self._own:
            return self._drop(path, "only a user brings results")
        content: list[Json] = []
        for k, inner in enumerate(part.parts):
            if plain(inner):
                content.append({"text": inner.text})
                continue
            where = f"{path}.parts[{k}]"
            if inner.cache is not None and part.cache is not None:
                self._drop(f"{where}.cache", "its result is marked")
            if (block := self._inner(inner, where)) is not None:
                content.append(block)
        out: Json = {"toolUseId": part.id if self._own else tied(part.id), "content": content}
        status = note(part, NAME, "~status") if part.extras else None
        if part.error and not (self._own or self._kin.statuses):
            self._lose(f"{path}.error", "dropped", "the model takes no status of a result")
        elif part.error or status is not None:
            out["status"] = "error" if part.error else status
        name = self.names.get(part.id)
        self.used.setdefault(name or part.name or "tool")
        if part.name is not None and name != part.name:
            self._lose(f"{path}.name", "dropped", "a result names its call by id alone")
        return {"toolResult": out}

    def _inner(self, part: Text | Media | Opaque, path: str) -> Json | None:
        if isinstance(part, Text) and (said := words_of_json(part)) is not None:
            if part.signature is not None:
                self._drop(f"{path}.signature", f"only {part.signature.origin} can read it")
            foreign(part, NAME, path, self._lose)
            return give_back(said, part)
        return self.block(part, path, "result")

    def _inner_cache(self, result: ToolResult, path: str) -> Cache | None:
        """The last mark inside a result that has none itself: inside, Bedrock takes none."""
        marked = [k for k, inner in enumerate(result.parts) if inner.cache is not None]
        for k in marked[:-1]:
            self._drop(f"{path}.parts[{k}].cache", "a later part of the result is marked")
        if not marked:
            return None
        self._lose(f"{path}.parts[{marked[-1]}].cache", "changed", "stands after the whole result")
        return result.parts[marked[-1]].cache

    # media

    def _media(self, part: Media, path: str, role: str) -> Json | None:
        if role == "assistant" and (not self._own or note(part, NAME, "~sealed")):
            return self._drop(path, "an assistant's turn holds no media")
        if part.source is not None:
            return self._found(part, part.source, path, role)
        if not self._own and part.kind not in self._kin.media:
            return self._drop(path, f"the model takes no {part.kind}")
        if not self._own and role == "result" and part.kind == "audio":
            return self._drop(path, "a result holds no audio")
        source = self._source(part, path)
        if source is None:
            return None
        out: Json = {}
        format_ = self._format(part)
        if format_ is None and not self._own:
            return self._drop(path, f"Bedrock takes no {part.kind} of type {part.mime or 'unknown'}")
        if format_:
            out["format"] = format_
        if part.kind == "document":
            self._name(part, path, out)
        elif part.name is not None:
            self._drop(f"{path}.name", f"the {part.kind} has no name")
        out["source"] = source
        if part.context is not None or part.citable is not None:
            self._citing(part, path, role, out)
        return {part.kind: out}

    def _found(self, part: Media, source: str, path: str, role: str) -> Json | None:
        """What a search found: shown as such to the models that cite it, in words to another."""
        if not self._own and not self._kin.cites:
            return self._text(found_words(part, path, self._lose), path, role)
        out: Json = {"source": source, "title": part.name or "", "content": _chunks(part)}
        if part.citable is not None:
            out["citations"] = {"enabled": part.citable}
        return {"searchResult": out}

    def _citing(self, part: Media, path: str, role: str, out: Json) -> None:
        """What is said of a document for citing it, where that can be. A text is cited as text: its bytes would be taken for a
        PDF's (boto3#4726), and as text it is taken only if it is cited."""
        if not self._own and not self._kin.cites:
            return lose_citing(part, path, self._lose, "the model does not cite")
        if part.context is not None:
            out["context"] = part.context
        cited = bool(part.citable) and not self._own
        if cited and (role == "result" or out["format"] not in ("pdf", "txt")):
            return self._drop(f"{path}.citable", "Bedrock cites PDFs and plain text, and nothing of a result")
        if part.citable is not None:
            out["citations"] = {"enabled": part.citable}
        if cited and out["format"] == "txt" and (words := words_of(part)) is not None:
            out["source"] = {"content": _chunks(part)} if part.chunks else {"text": words}

    def _format(self, part: Media) -> str | None:
        spelled = note(part, NAME, "~format")
        if spelled is not None:
            return spelled
        if part.kind == "document" and part.mime is None and part.text is not None:
            return "txt"
        return format_of(part.kind, type_of(part.mime, part.data or ""))

    def _source(self, part: Media, path: str) -> Json | None:
        spelled = note(part, NAME, "~source")
        if spelled is not None:
            return {"text": part.text} if spelled == "text" else spelled
        if part.url is not None and part.url.startswith("s3://"):
            return {"s3Location": {"uri": part.url}}
        if part.data is not None:
            return {"bytes": part.data if self._own else standard_base64(part.data)}
        if part.text is not None:
            return {"bytes": base64_of(part.text)}
        return self._drop(path, "the file is in another's store" if part.file else "Bedrock takes bytes and S3 objects, no URLs")

    def _name(self, part: Media, path: str, out: Json) -> None:
        """A document must have a name, of few characters, and no two the same."""
        if self._own:
            if part.name is not None:
                out["name"] = part.name
            return
        whole = part.name or ""
        if whole.lower().endswith(f".{out.get('format')}"):
            whole = whole.rpartition(".")[0]
        words = " ".join(_NOT_A_NAME.sub("-", whole).split())
        stem = words.strip("- ")[:_LONGEST_NAME].strip() or "document"
        name, count = stem, 1
        while name in self._documents:
            count += 1
            name = f"{stem[: _LONGEST_NAME - 8]} ({count})"
        self._documents.add(name)
        out["name"] = name
        if part.name is not None and name != part.name:
            self._lose(f"{path}.name", "changed", "Bedrock takes few characters, and no name twice")


def _chunks(part: Media) -> list[Json]:
    return [{"text": chunk} for chunk in part.chunks]


def plain(part: AnyPart) -> TypeGuard[Text]:
    """Whether a part is but text, and one that Bedrock takes."""
    if type(part) is not Text or part.extras or part.citations or part.refusal or part.cache or part.signature:
        return False
    return bool(part.text) and not part.text.isspace()


def _calls(parts: list[AnyPart]) -> bool:
    return any(isinstance(part, ToolCall) for part in parts)


def tied(id_: str) -> str:
    """An id in Bedrock's alphabet. It only ties a result to its call, so both are changed alike and nothing is lost."""
    return id_ if _ID(id_) else f"{re.sub(r'[^a-zA-Z0-9_.:-]', '_', id_)[:48]}_{crc32(id_.encode('utf-8', 'replace')):08x}"
