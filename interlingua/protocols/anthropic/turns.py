"""A conversation's turns, written for Anthropic. No sentence is invented, and what cannot stand is reported.

Anthropic joins neighbouring turns of one role itself; what it refuses is blank text, results that do not stand together
at the head of the turn after their calls, and a `system` turn anywhere but between a user's turn and an answer.
What an Anthropic client wrote itself (`own`) stands as it is: its mistakes are the provider's to explain.
"""

import re
from binascii import crc32
from typing import Final, TypeGuard, assert_never, cast

from interlingua.ir import AnyPart, Cache, Json, Media, Message, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols import Lose, Target
from interlingua.protocols.anthropic.names import NAME
from interlingua.protocols.anthropic.parts import PLAIN_REFUSAL, call_block, text_block, thinking_block
from interlingua.protocols.claude import claude
from interlingua.protocols.media import words_of
from interlingua.protocols.wire import OPENING, foreign, merge, note, plain, standard_base64

_IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF: Final = "application/pdf"
_MAGIC: Final = {"iVBORw0KGgo": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp", "JVBER": _PDF}
_ID: Final = re.compile(r"[a-zA-Z0-9_-]+").fullmatch
_SPEAKERS: Final = ("user", "assistant")
_MAX_MARKS: Final = 4
_TTLS: Final = ("5m", "1h")


class Marks(list[tuple[Json, str]]):
    """The cache marks of one request, in the order of the prompt: what bears each, and its path."""

    def put(self, out: Json, cache: Cache, path: str, own: bool, lose: Lose) -> None:
        mark: Json = {"type": "ephemeral"}
        if cache.ttl is not None:
            mark["ttl"] = cache.ttl if own or cache.ttl in _TTLS else "1h"
            if mark["ttl"] != cache.ttl:
                lose(f"{path}.cache.ttl", "changed", "Anthropic keeps a cache for 5m or 1h")
        out["cache_control"] = mark
        self.append((out, path))

    def trim(self, lose: Lose) -> None:
        """Takes off all but the last four, which is what Anthropic accepts."""
        for out, path in self[:-_MAX_MARKS]:
            del out["cache_control"]
            lose(f"{path}.cache", "dropped", f"Anthropic takes {_MAX_MARKS} cache marks")


class Turns:
    """Writes `messages` and `system`."""

    listed = False  # the client wrote `system` as blocks
    _last_system = (-1, 0)  # the last system message hoisted: its place, and its first block's
    _results: list[Json] | None = None  # the content of an open turn of results

    def __init__(self, request: Request, target: Target, own: bool, marks: Marks, lose: Lose) -> None:
        self.messages: list[Json] = []
        self.system: list[Json] = []
        self._request, self._target, self._own, self._marks, self._lose = request, target, own, marks, lose
        self._names: dict[str, str] = {}  # of the calls so far, by id

    def write(self) -> None:
        messages, own = self.messages, self._own
        for i, message in enumerate(self._request.messages):
            role, parts = message.role, message.parts
            if role in _SPEAKERS and len(parts) == 1 and not message.extras and _plain(part := parts[0]):
                messages.append({"role": role, "content": part.text})
                self._results = None
            elif role == "system" or role == "developer":
                self._write_system(message, i)
            else:
                self._write_turn(message, f"messages[{i}]")
        if not messages and self.system and not own:
            place, start = self._last_system
            messages.append({"role": "user", "content": content_of(self.system[start:], False)})
            del self.system[start:]
            self._lose(f"messages[{place}]", "changed", "with no other turn to answer, it is sent as the user's")
        if messages and messages[0]["role"] == "assistant" and not own:
            messages.insert(0, {"role": "user", "content": OPENING})
            self._lose("messages", "added", "the user speaks first at Anthropic: a word to begin with")
        if len(self._marks) > _MAX_MARKS and not own:
            self._marks.trim(self._lose)
            for message in messages:
                _respell(message)

    def _write_turn(self, message: Message, path: str) -> None:
        spelled = note(message, NAME, "~content") if message.extras else None
        if spelled == "whole":
            self.messages.append(cast(Opaque, message.parts[0]).data)
            return
        role = "assistant" if message.role == "assistant" else "user"
        content = self._blocks(message.parts, path, role)
        if message.extras:
            foreign(message, NAME, path, self._lose)
        if not content and not self._own:
            self._lose(path, "dropped", "Anthropic refuses an empty turn")
            return
        if role == "user" and not self._own and content[0].get("type") == "tool_result":
            only = content[-1].get("type") == "tool_result"
            if self._results is not None:
                self._results.extend(content)
            else:
                self.messages.append({"role": role, "content": content})
            self._results = (self._results or content) if only else None
            return
        self._results = None
        out: Json = {"role": role, "content": content_of(content, spelled == "list")}
        self.messages.append(merge(out, message, NAME) if message.extras else out)

    def _blocks(self, parts: list[AnyPart], path: str, role: str) -> list[Json]:
        """The blocks of a turn; results come first, as Anthropic wants them."""
        results: list[Json] = []
        rest: list[Json] = []
        for j, part in enumerate(parts):
            if _plain(part):
                rest.append({"type": "text", "text": part.text})
            elif (block := self.block(part, f"{path}.parts[{j}]", role)) is None:
                continue
            elif isinstance(part, ToolResult) and not self._own:
                if rest:
                    self._lose(f"{path}.parts[{j}]", "changed", "results stand before what else the turn says")
                results.append(block)
            else:
                rest.append(block)
        return results + rest if results else rest

    # system

    def _write_system(self, message: Message, i: int) -> None:
        parts, spelled, turn = message.parts, None, False
        if message.extras:
            spelled = note(message, NAME, "~system")
            self.listed = self.listed or spelled == "blocks"
            turn = spelled is None and bool(note(message, NAME, "~turn"))
        if len(parts) == 1 and (_plain(part := parts[0]) or (spelled == "string" and isinstance(part, Text))):
            blocks: list[Json] = [{"type": "text", "text": part.text}]
        else:
            blocks = [block for j, p in enumerate(parts) if (block := self._system_block(p, f"messages[{i}].parts[{j}]"))]
        if message.extras:
            foreign(message, NAME, f"messages[{i}]", self._lose)
        if turn:
            listed = note(message, NAME, "~content") == "list"
            self.messages.append(merge({"role": "system", "content": content_of(blocks, listed)}, message, NAME))
        elif spelled is None and self.messages:
            self._write_late_system(blocks, i)
        else:
            self._last_system = i, len(self.system)
            self.system += blocks

    def _write_late_system(self, blocks: list[Json], i: int) -> None:
        """Where turns stand before it already."""
        last = self.messages[-1]
        if last["role"] == "system" and blocks:
            last["content"] = _listed(last["content"]) + blocks
        elif blocks and last["role"] == "user" and claude(self._target.model).mid_system and self._answered_next(i):
            self.messages.append({"role": "system", "content": content_of(blocks, False)})
            self._results = None
        elif blocks:
            self._last_system = i, len(self.system)
            self.system += blocks
            self._lose(f"messages[{i}]", "changed", "said at the start: a system message cannot stand here")

    def _answered_next(self, i: int) -> bool:
        later = (m.role for m in self._request.messages[i + 1 :] if m.role not in ("system", "developer"))
        return next(later, "assistant") == "assistant"

    def _system_block(self, part: AnyPart, path: str) -> Json | None:
        if self._own or isinstance(part, Text):
            return self.block(part, path, "system")
        self._lose(path, "dropped", "a system message holds words only")
        return None

    # blocks

    def block(self, part: AnyPart, path: str, role: str) -> Json | None:
        """One block; None where it cannot be said (reported)."""
        match part:
            case ToolCall():
                out = self._call(part, path, role)
            case ToolResult():
                out = self._result(part, path, role)
            case Text():
                if _plain(part):
                    return {"type": "text", "text": part.text}
                out = self._text(part, path)
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
        if part.cache is not None:
            self._marks.put(out, part.cache, path, self._own, self._lose)
        if part.signature is not None and not isinstance(part, Thinking):
            self._lose(f"{path}.signature", "dropped", f"only {part.signature.origin} can read it")
        if part.extras:
            foreign(part, NAME, path, self._lose)
            merge(out, part, NAME)
        return out

    def _drop(self, path: str, why: str) -> None:
        self._lose(path, "dropped", why)

    def _text(self, part: Text, path: str) -> Json | None:
        if part.text and (self._own or not part.text.isspace()):
            if part.refusal:
                self._lose(f"{path}.refusal", "changed", PLAIN_REFUSAL)
            return text_block(part, path, self._lose)
        if part.text or part.cache or part.signature or part.citations or part.extras:
            self._drop(path, "Anthropic refuses blank text")
        return None

    def _thinking(self, part: Thinking, path: str, role: str) -> Json | None:
        if role != "assistant" and not self._own:
            return self._drop(path, "only an assistant thinks")
        out = thinking_block(part)
        if part.signature is None and self._target.facts.family == "claude":
            return self._drop(path, "Anthropic takes back only thinking that it signed")
        if out is None and part.signature is None and part.text:  # a server of this dialect that does not sign
            return {"type": "thinking", "thinking": part.text, "signature": ""}
        if out is None:
            return self._drop(path, f"signed by {part.signature.origin}" if part.signature else "it says nothing")
        if part.redacted and part.text:
            self._lose(f"{path}.text", "dropped", "redacted thinking has no words")
        return out

    def _call(self, call: ToolCall, path: str, role: str) -> Json | None:
        if role != "assistant" and not self._own:
            return self._drop(path, "only an assistant calls tools")
        self._names[call.id] = call.name
        return call_block(call, _id(call.id), path, self._lose)

    def _result(self, part: ToolResult, path: str, role: str) -> Json | None:
        if role != "user" and not self._own:
            return self._drop(path, "only a user brings results")
        out: Json = {"type": "tool_result", "tool_use_id": _id(part.id)}
        listed = bool(part.extras) and bool(note(part, NAME, "~content"))
        if len(part.parts) == 1 and not listed and plain(said := part.parts[0]):
            out["content"] = said.text
        elif part.parts or listed:
            blocks = [b for k, p in enumerate(part.parts) if (b := self.block(p, f"{path}.parts[{k}]", "result"))]
            if blocks or listed:
                out["content"] = content_of(blocks, listed)
        if part.error or (part.extras and note(part, NAME, "~error")):
            out["is_error"] = part.error
        if part.name is not None and self._names.get(part.id) != part.name:
            self._lose(f"{path}.name", "dropped", "a result names its call by id alone")
        return out

    # media

    def _media(self, part: Media, path: str, role: str) -> Json | None:
        if role == "assistant" and not self._own:
            return self._drop(path, "an assistant's turn holds no media")
        if part.source is not None:
            return _found(part, part.source)
        if part.kind not in ("image", "document"):
            return self._drop(path, f"Anthropic takes no {part.kind}")
        if "base64_only" in self._target.quirks and (part.url is not None or part.file is not None):
            return self._drop(path, "this host fetches nothing: it takes what is sent along")
        source = note(part, NAME, "~source") or self._source(part, path)
        if source is None:
            return None
        out: Json = {"type": part.kind, "source": source}
        if part.kind != "document":
            if part.name is not None:
                self._lose(f"{path}.name", "dropped", "an image has no name")
            return out
        if part.name is not None:
            out["title"] = part.name
        if part.context is not None:
            out["context"] = part.context
        if part.citable is not None:
            out["citations"] = {"enabled": part.citable}
        return out

    def _source(self, part: Media, path: str) -> Json | None:
        if part.file is not None:
            mine = note(part, NAME, "~file")
            return {"type": "file", "file_id": part.file} if mine else self._drop(path, "the file is in another's store")
        if part.url is not None:
            return self._url(part, part.url, path)
        if part.chunks:
            return {"type": "content", "content": _chunks(part)}
        if part.text is not None and part.kind == "document":
            return self._words(part.text, part.mime, path)
        if part.data is None:
            return self._drop(path, "Anthropic takes no such thing in an image")
        mime = part.mime or next((m for magic, m in _MAGIC.items() if part.data.startswith(magic)), None)
        if self._own or (mime in _IMAGES if part.kind == "image" else mime == _PDF):
            return {"type": "base64", "media_type": mime, "data": standard_base64(part.data)}
        if part.kind == "document" and mime is not None and mime.startswith("text/"):
            words = words_of(part)
            if words is not None:
                return self._words(words, mime, path)
        return self._drop(path, f"Anthropic takes no {part.kind} of type {mime or 'unknown'}")

    def _url(self, part: Media, url: str, path: str) -> Json | None:
        if not self._own and not url.startswith(("https://", "http://")):
            return self._drop(path, "Anthropic fetches http URLs only")
        if part.kind == "document" and part.mime not in (None, _PDF):
            return self._drop(path, "Anthropic fetches only PDF documents")
        if part.kind == "image" and part.mime is not None:
            self._lose(f"{path}.mime", "dropped", "an image URL has no media type")
        return {"type": "url", "url": url}

    def _words(self, words: str, mime: str | None, path: str) -> Json:
        plain = (mime or "text/plain").partition(";")[0] == "text/plain"
        if not plain and not self._own:
            self._lose(f"{path}.mime", "changed", "Anthropic takes text documents as text/plain")
        return {"type": "text", "media_type": (mime or "text/plain") if self._own else "text/plain", "data": words}


def _found(part: Media, source: str) -> Json:
    """What a search found."""
    out: Json = {"type": "search_result", "source": source, "title": part.name or "", "content": _chunks(part)}
    if part.citable is not None:
        out["citations"] = {"enabled": part.citable}
    return out


def _chunks(part: Media) -> list[Json]:
    return [{"type": "text", "text": chunk} for chunk in part.chunks]


def _plain(part: AnyPart) -> TypeGuard[Text]:
    """Whether a part is but text, and one that Anthropic takes. Spelled out, for every part is asked."""
    return (
        type(part) is Text
        and part.text != ""
        and not part.text.isspace()
        and not part.extras
        and not part.citations
        and part.cache is part.signature is None
        and not part.refusal
    )


def content_of(blocks: list[Json], listed: bool) -> str | list[Json]:
    if not blocks and not listed:
        return ""
    if len(blocks) == 1 and not listed and len(block := blocks[0]) == 2 and "type" in block and "text" in block:
        return block["text"]
    return blocks


def _respell(holder: Json) -> None:
    """Content that has lost its marks, spelled as if it had never had them."""
    if type(content := holder.get("content")) is list:
        for block in cast("list[Json]", content):
            if block.get("type") == "tool_result":
                _respell(block)
        holder["content"] = content_of(cast("list[Json]", content), False)


def _listed(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _id(id_: str) -> str:
    """An id in Anthropic's alphabet. It only ties a result to its call, so both are changed alike and nothing is lost."""
    if (id_.isascii() and id_.isidentifier()) or not id_:  # most are, and this is found out at a quarter of the cost
        return id_
    return id_ if _ID(id_) else f"{re.sub(r'[^a-zA-Z0-9_-]', '_', id_)[:48]}_{crc32(id_.encode()):08x}"
