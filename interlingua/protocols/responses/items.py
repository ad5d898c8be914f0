"""Items: the units of an input and of an output. One assistant's turn is several of them, and they are read as one.

Reasoning, messages of the assistant, calls and whatever the service ran itself follow one another in a turn; each opens
where a part bears the note `~item` (its id, status and the like), or where it must. A part that the wire cannot say
travels sealed in the `encrypted_content` of a reasoning item of its own, which clients send back untouched.
Source: types.responses response_input_item_param, response_output_item.
"""

from binascii import crc32
from typing import Any, Final

from interlingua.carry import seal, unseal
from interlingua.errors import InvalidRequest
from interlingua.ir import AnyPart, Json, Message, Opaque, Role, Signature, Text, Thinking, ToolResult
from interlingua.protocols import wire
from interlingua.protocols.responses.names import CARRIED, NAME
from interlingua.protocols.responses.parts import parse_content
from interlingua.protocols.responses.tools import plain_call, take_call
from interlingua.protocols.wire import array, as_obj, keep, need, obj, text

BREAK: Final = "\n\n"  # between the sections of a summary, where they are one text
_PLAIN_ROLES: Final = ("user", "system", "developer")
_ROLES: Final = ("user", "assistant", "system", "developer")
_HEAD: Final = ("type", "role", "id", "status")  # of an item, beside what it says
_ID_LIMIT: Final = 64
_NOTHING: Final = Text()  # a turn without words
_TURNS: Final = frozenset(
    {
        "additional_tools",
        "compaction",
        "function_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_list_tools",
        "program",
        "program_output",
        "reasoning",
        "tool_search_output",
    }
)  # items of an assistant's turn, beside its messages and those named `*_call`


def short_id(id_: str) -> str:
    """A call's id as long as OpenAI takes it. It only ties a result to its call, so both are changed alike."""
    return id_ if len(id_) <= _ID_LIMIT else f"{id_[:48]}_{crc32(id_.encode('utf-8', 'replace')):08x}"


# Reading


class Turn:
    """Reads the items of one assistant's turn into parts. `holder`: the field whose items they are."""

    __slots__ = ("_holder", "_pending", "parts")

    def __init__(self, holder: str) -> None:
        self.parts: list[AnyPart] = []
        self._holder = holder
        self._pending: Signature | None = None  # for the part that comes next

    def read(self, d: Json, kind: str, i: int) -> None:
        """Item `i`, which is of this `kind`."""
        if (part := self._common(d, kind)) is not None:
            return self._add(part)
        path = f"{self._holder}[{i}]"
        match kind:
            case "message":
                self._message(d, path)
            case "reasoning":
                self._reasoning(d, path)
            case "function_call" | "custom_tool_call":
                self._call(d, path)
            case _:
                self._add(Opaque(origin=NAME, data=d))

    def _common(self, d: Json, kind: str) -> AnyPart | None:
        """What an item that says no more than it must is, as nearly all do: a string, or a call."""
        if kind == "function_call":
            return plain_call(d)
        content = d.get("content")
        if type(content) is not str or len(d) != 2 or "role" not in d or (self.parts and type(self.parts[-1]) is Text):
            return None
        return Text(text=content)

    def end(self) -> list[AnyPart]:
        """The parts; a signature whose part did not come has one of its own."""
        if self._pending is not None:
            self._add(Text())
        if len(self.parts) == 1 and self.parts[0] == _NOTHING:
            self.parts.clear()
        return self.parts

    def _add(self, part: AnyPart) -> None:
        if self._pending is not None:
            part.signature, self._pending = part.signature or self._pending, None
            keep(part, NAME, {CARRIED: True})
        self.parts.append(part)

    def _message(self, d: Json, path: str) -> None:
        content = d.get("content")
        if type(content) is str:
            parts: list[Any] = [Text(text=content)]
        else:
            parts = parse_content(content, f"{path}.content", "output_text")
        if not parts:
            self._add(Opaque(origin=NAME, data=d))
            return
        head = {key: d[key] for key in _HEAD if key in d}
        rest = {f"item.{key}": value for key, value in d.items() if key != "content" and key not in head}
        if rest or head.keys() != {"role"} or type(content) is not str or (self.parts and type(self.parts[-1]) is Text):
            rest["~item"] = head
            if type(content) is str:
                rest["~string"] = True
            keep(parts[0], NAME, rest)
        for part in parts:
            self._add(part)

    def _reasoning(self, d: Json, path: str) -> None:
        sealed = d.get("encrypted_content")
        carried = unseal(sealed) if type(sealed) is str else None
        if isinstance(carried, Signature):
            self._pending = carried
        elif carried is not None:
            self._add(carried)
        else:
            self._add(parse_reasoning(d, path))

    def _call(self, d: Json, path: str) -> None:
        d = dict(d)
        call = take_call(d, path)
        head = {key: d.pop(key) for key in ("id", "status") if key in d}
        if as_obj(d.get("caller")) == {"type": "direct"}:
            head["caller"] = d.pop("caller")  # the default
        if head:
            d["~item"] = head
        if d:
            keep(call, NAME, d)
        self._add(call)


def parse_reasoning(d: Json, path: str) -> Thinking:
    """A reasoning item. Its words are the summary's, or where there is none those of its content."""
    d = dict(d)
    d.pop("type", None)
    said = d.pop("summary", None)
    told = d.pop("content", None)
    summary, content = _texts(said, f"{path}.summary"), _texts(told, f"{path}.content")
    part = Thinking(text=BREAK.join(summary or content))
    sealed = d.pop("encrypted_content", None)
    if sealed is not None:
        part.signature = Signature(NAME, text(sealed, f"{path}.encrypted_content"))
    mine: Json = {"~item": {key: d.pop(key) for key in ("id", "status") if key in d}}
    if said is None:
        mine["~bare"] = True
    elif len(summary) > 1 or summary and said[0].keys() != {"type", "text"}:
        mine["~summary"] = said
    if told is not None:
        mine["content" if summary else "~content"] = told
    keep(part, NAME, {**d, **mine})
    return part


def _texts(value: Any, path: str) -> list[str]:
    if value is None:
        return []
    found: list[str] = []
    for k, item in enumerate(array(value, path)):
        where = f"{path}[{k}].text"
        found.append(text(need(dict(obj(item, path)), "text", where), where))
    return found


def parse_input(value: Any) -> list[Message]:
    """The messages of a request's `input` list."""
    reader = _Input()
    for i, item in enumerate(array(value, "input")):
        d: Json = item if item.__class__ is dict else obj(item, f"input[{i}]")
        role, words = d.get("role"), d.get("content")
        if role in _PLAIN_ROLES and type(words) is str and len(d) == 2:  # the item that most are
            if reader.turn is not None:
                reader.end_turn()
            reader.messages.append(Message(role=role, parts=[Text(text=words)]))
        else:
            reader.read(d, role, i)
    reader.end_turn()
    return reader.messages


def kind_of(item: Json) -> Any:
    return item.get("type") or ("message" if "role" in item else "item_reference")


def is_assistants(kind: Any, role: Any) -> bool:
    """Whether an item belongs to a turn of the assistant's."""
    return kind == "message" and role == "assistant" or type(kind) is str and (kind in _TURNS or kind.endswith("_call"))


class _Input:
    """Reads the items of an input into messages."""

    __slots__ = ("_results", "messages", "turn")

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.turn: Turn | None = None  # of the assistant's, under way
        self._results: Message | None = None  # the last of the tools'

    def end_turn(self) -> None:
        if self.turn is not None:
            self.turn.end()
            self.turn = None

    def read(self, d: Json, role: Any, i: int) -> None:
        kind = kind_of(d)
        if is_assistants(kind, role):
            if self.turn is None:
                self.turn = Turn("input")
                self.messages.append(Message(role="assistant", parts=self.turn.parts))
            return self.turn.read(d, kind, i)
        self.end_turn()
        message = _message(d, role, i) if kind == "message" and role in _PLAIN_ROLES else _other(d, kind, i)
        last = self._results
        if message.role == "tool" and last is not None and self.messages[-1] is last:
            last.parts += message.parts  # the results of one turn are one
            return
        self.messages.append(message)
        if message.role == "tool":
            self._results = message


def _message(d: Json, role: Role, i: int) -> Message:
    content, path = d.get("content"), f"input[{i}]"
    if content is None:
        raise InvalidRequest(f"{path}.content is required", param=f"{path}.content")
    message = Message(role=role, parts=parse_content(content, f"{path}.content", "input_text"))
    mine = {key: value for key, value in d.items() if key not in _HEAD and key != "content"}
    head = {key: d[key] for key in ("type", "id", "status") if key in d}
    if head:
        mine["~item"] = head
    if type(content) is list:
        mine["~content"] = True
    keep(message, NAME, mine)
    return message


def _other(d: Json, kind: Any, i: int) -> Message:
    if kind == "function_call_output" and (common := _common_result(d)) is not None:
        return Message(role="tool", parts=[common])
    path = f"input[{i}]"
    if kind == "message":
        wire.choice(d.get("role"), f"{path}.role", _ROLES)
    if kind == "item_reference" and "type" not in d and "id" not in d:
        raise InvalidRequest(f"{path}.type is required", param=f"{path}.type")
    if text(kind, f"{path}.type") in ("function_call_output", "custom_tool_call_output") and d.get("call_id") is not None:
        return Message(role="tool", parts=[_result(dict(d), path)])
    role: Role = "tool" if kind.endswith("_output") else "user"
    return Message(role=role, parts=[Opaque(origin=NAME, data=d)])


def _common_result(d: Json) -> ToolResult | None:
    """The result that nearly all are: a string, of a call."""
    id_, words = d.get("call_id"), d.get("output")
    if not words or type(words) is not str or type(id_) is not str or len(d) != 3:
        return None
    return ToolResult(id=id_, parts=[Text(text=words)])


def _result(d: Json, path: str) -> ToolResult:
    custom = d.pop("type", None) == "custom_tool_call_output"
    output = need(d, "output", f"{path}.output")
    result = ToolResult(id=text(d.pop("call_id"), f"{path}.call_id"))
    if output != "":
        result.parts = parse_content(output, f"{path}.output", "input_text")
    mine: Json = {}
    if custom:
        mine["~custom"] = True
    if type(output) is list:
        mine["~content"] = True
    if type(name := d.get("name")) is str:
        result.name = d.pop("name")
        mine["~name"] = name
    head = {key: d.pop(key) for key in ("id", "status") if key in d}
    if as_obj(d.get("caller")) == {"type": "direct"}:
        head["caller"] = d.pop("caller")
    if head:
        mine["~item"] = head
    keep(result, NAME, mine | d)
    return result


# Writing


def reasoning_item(part: Thinking) -> Json:
    """The item of thinking that is this protocol's own, or bears no seal at all."""
    mine = part.extras.get(NAME, {}) if part.extras else {}
    out: Json = {"type": "reasoning", **mine.get("~item", {})}
    content, summary = mine.get("~content"), mine.get("~summary")
    if content is None and "~told" in mine:  # in a stream, as content
        content = [{"type": "reasoning_text", "text": part.text}]
    if content is not None and part.text == _said(content):
        if "~bare" not in mine:
            out["summary"] = []
        out["content"] = content
    elif summary is not None and part.text == _said(summary):
        out["summary"] = summary
    elif part.text or "~bare" not in mine:
        out["summary"] = [{"type": "summary_text", "text": part.text}] if part.text else []
    if part.signature is not None and part.signature.origin == NAME:
        out["encrypted_content"] = part.signature.data
    for key, value in mine.items():
        if key[:1] != "~":
            out[key] = value
    return out


def _said(sections: Any) -> str:
    return BREAK.join(as_obj(section).get("text") or "" for section in sections)


def sealed_item(value: AnyPart | Signature) -> Json:
    """A reasoning item that carries what no item can say; a signature is meant for the part that follows."""
    return {"type": "reasoning", "summary": [], "encrypted_content": seal(value)}


def must_seal(part: Thinking) -> bool:
    """Whether thinking holds what only another protocol's model can read, and will want back exactly."""
    foreign = part.signature is not None and part.signature.origin != NAME
    return foreign or part.redacted or any(o != NAME and any(k[:1] != "~" for k in part.extras[o]) for o in part.extras)
