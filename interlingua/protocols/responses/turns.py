"""A conversation's turns, written as items for a backend. Order is kept as it was; what cannot stand is reported."""

from binascii import crc32

from interlingua.ir import AnyPart, Json, Media, Message, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols import Lose, Target
from interlingua.protocols.responses.items import is_assistants, kind_of, reasoning_item, short_id
from interlingua.protocols.responses.names import NAME, is_content
from interlingua.protocols.responses.parts import Spot, cache_mark, format_part
from interlingua.protocols.responses.tools import Spelling, call_item, call_spelling, spellings
from interlingua.protocols.wire import merge, note, plain


class Items:
    """The `input` of one request, and its `instructions`."""

    def __init__(self, request: Request, target: Target | None, lose: Lose) -> None:
        self.out: list[Json] = []
        self.instructions: str | None = None
        self._request = request
        self._target = target
        self._spot = Spot(lose)
        self._known: dict[str, Spelling] | None = None
        self._custom: set[str] = set()  # ids of the calls of custom tools

    def write(self) -> None:
        messages = self._request.messages
        first = messages[0] if len(messages) > 1 and note(self._request, NAME, "~input") is None else None
        for i, message in enumerate(messages):
            parts = message.parts
            if message is first and message.role == "system" and len(parts) == 1 and self._hoisted(message):
                continue
            if len(parts) == 1 and not message.extras and message.role != "tool" and plain(parts[0]):
                self.out.append({"role": message.role, "content": parts[0].text})
            else:
                self._message(message, i)

    def _hoisted(self, message: Message) -> bool:
        """Makes the first words of another protocol's system the instructions, where they are but words."""
        part, spot = message.parts[0], self._spot
        if type(part) is not Text or part.cache is not None or not part.text or NAME in part.extras or NAME in message.extras:
            return False
        spot.i, spot.j = 0, 0
        format_part(part, "input_text", spot)
        spot.j = -1
        if message.extras:
            spot.foreign(message)
        self.instructions = part.text
        return True

    def _message(self, message: Message, i: int) -> None:
        spot, first = self._spot, len(self.out)
        spot.i, spot.j = i, -1
        if self.instructions is None and note(message, NAME, "~instructions"):
            self.instructions = "".join(part.text for part in message.parts if isinstance(part, Text))
        elif message.role == "assistant":
            self._assistant(message)
        else:
            self._said(message)
        spot.j = -1
        if message.extras:
            spot.foreign(message)
            if len(self.out) > first:
                merge(self.out[first], message, NAME)

    # Turns of a user's, the tools', or the system's

    def _said(self, message: Message) -> None:
        spot, first = self._spot, len(self.out)
        content: list[Json] = []
        for j, part in enumerate(message.parts):
            spot.j = j
            if isinstance(part, ToolResult):
                self._flush(message, content)
                content = []
                self.out.append(self._result(part))
            elif isinstance(part, Opaque) and part.origin == NAME and not is_content(part):
                self._flush(message, content)
                content = []
                self.out.append(self._opaque(part))
            elif isinstance(part, Thinking | ToolCall):
                spot.drop("only an assistant's turn has these")
            elif (said := format_part(part, "input_text", spot)) is not None:
                content.append(said)
        if content or not message.parts:
            self._flush(message, content, empty=not message.parts)
        spot.j = -1
        if len(self.out) == first:
            spot.drop("nothing of it can be said")

    def _flush(self, message: Message, content: list[Json], empty: bool = False) -> None:
        if not content and not empty:
            return
        role = "user" if message.role == "tool" else message.role
        head: Json = note(message, NAME, "~item") or {}
        listed = bool(note(message, NAME, "~content"))
        out: Json = {"type": head["type"], "role": role} if "type" in head else {"role": role}
        if not listed and len(content) < 2 and (not content or content[0].keys() == {"type", "text"}):
            out["content"] = content[0]["text"] if content else ""
        else:
            out["content"] = content
        self.out.append({**out, **head})

    def _result(self, result: ToolResult) -> Json:
        spot = self._spot
        mine = result.extras.get(NAME, {}) if result.extras else {}
        custom = "~custom" in mine or result.id in self._custom
        kind = "custom_tool_call_output" if custom else "function_call_output"
        content: list[Json] = []
        for k, part in enumerate(result.parts):
            spot.k = k
            if (said := format_part(part, "input_text", spot)) is not None:
                content.append(said)
        spot.k = -1
        listed = "~content" in mine
        if result.cache is not None:
            if content:
                content[-1]["prompt_cache_breakpoint"] = cache_mark(result.cache, spot)
            else:
                spot.drop("there is no text to mark", ".cache")
        if result.error:
            spot.drop("a tool's output cannot say that it failed", ".error")
        if result.signature is not None:
            spot.drop(f"only {result.signature.origin} can read it", ".signature")
        out: Json = {"type": kind, **mine.get("~item", {}), "call_id": short_id(result.id)}
        if "~name" in mine:
            out["name"] = result.name
        if not listed and len(content) < 2 and (not content or content[0].keys() == {"type", "text"}):
            out["output"] = content[0]["text"] if content else ""
        else:
            out["output"] = content
        if result.extras:
            spot.foreign(result)
            merge(out, result, NAME)
        return out

    def _opaque(self, part: Opaque) -> Json:
        spot = self._spot
        if part.cache is not None:
            spot.drop("an item has no cache mark", ".cache")
        if part.signature is not None:
            spot.drop(f"only {part.signature.origin} can read it", ".signature")
        if part.extras:
            spot.foreign(part)
        return dict(part.data)

    # Turns of the assistant's

    def _assistant(self, message: Message) -> None:
        spot, first = self._spot, len(self.out)
        run: list[tuple[AnyPart, Json]] = []  # the message under way
        for j, part in enumerate(message.parts):
            spot.j = j
            if is_content(part):
                if run and note(part, NAME, "~item") is not None:
                    self._finish(run)
                    run = []
                if (said := format_part(part, "output_text", spot)) is not None:
                    run.append((part, said))
                continue
            self._finish(run)
            run = []
            if (item := self._item(part)) is not None:
                self.out.append(item)
        self._finish(run)
        spot.j = -1
        self._lead(first)
        if len(self.out) == first:
            if message.parts:
                spot.drop("nothing of it can be said")
            else:
                self.out.append({"role": "assistant", "content": ""})

    def _lead(self, first: int) -> None:
        """Reasoning that ends a turn is refused: what it led to is what a client that joins a turn's texts put before it. Items
        of the assistant's that stand there already are of the same turn, to who reads them."""
        last = len(self.out)
        while first and is_assistants(kind_of(item := self.out[first - 1]), item.get("role")):
            first -= 1
        while last > first and self.out[last - 1].get("type") == "reasoning":
            last -= 1
        if first < last < len(self.out):
            self.out.append(self.out.pop(last - 1))

    def _finish(self, run: list[tuple[AnyPart, Json]]) -> None:
        """Writes a message of the assistant's."""
        if not run:
            return
        part, said = run[0]
        mine = part.extras.get(NAME, {}) if part.extras else {}
        head: Json | None = mine.get("~item")
        simple = len(run) == 1 and said["type"] == "output_text" and not said.get("annotations") and len(said) == 3
        if "~string" in mine or (head is None and simple):
            self.out.append({**(head or {"role": "assistant"}), "content": said["text"]})
        else:
            content = [content for _, content in run]
            if head is None:  # a message told by its parts has an id and a status
                named = _made_id("msg", said.get("text") or said.get("refusal") or "")
                head = {"type": "message", "role": "assistant", "id": named, "status": "completed"}
            self.out.append({**head, "content": content})
        for key, value in mine.items():
            if key.startswith("item."):
                self.out[-1][key.removeprefix("item.")] = value

    def _item(self, part: AnyPart) -> Json | None:
        spot = self._spot
        match part:
            case Thinking():
                return self._thinking(part)
            case ToolCall():
                return self._call(part)
            case Opaque(origin="responses"):
                return self._opaque(part)
            case Opaque():
                spot.drop(f"only {part.origin} knows this block")
            case Text() | Media() | ToolResult():
                spot.drop("only a user brings results")
        return None

    def _thinking(self, part: Thinking) -> Json | None:
        spot, signature = self._spot, part.signature
        mine = signature is not None and signature.origin == NAME or bool(note(part, NAME, "~item"))
        if not mine and part.text and signature is None and self._target is not None and self._target.facts.replays:
            mine = True  # a model that wants its own words back, and signs none
        if not mine:
            spot.drop("OpenAI takes back only reasoning that it sealed" if signature is None else f"signed by {signature.origin}")
            return None
        out = reasoning_item(part)
        if "id" not in out and "~item" not in part.extras.get(NAME, {}):
            out = {"type": "reasoning", "id": _made_id("rs", part.text if signature is None else signature.data), **out}
        if signature is not None and signature.origin != NAME:
            spot.drop(f"only {signature.origin} can read it", ".signature")
        if part.redacted:
            spot.drop("OpenAI does not tell redacted reasoning apart", ".redacted")
        if part.cache is not None:
            spot.drop("reasoning has no cache mark", ".cache")
        if part.extras:
            spot.foreign(part)
        return out

    def _call(self, call: ToolCall) -> Json:
        spot = self._spot
        if self._known is None:
            self._known = spellings(self._request, self._target)
        spelling = call_spelling(call, self._known, self._target)
        if spelling is not None and spelling.custom:
            self._custom.add(call.id)
        out = call_item(call, spelling, short_id(call.id))
        if call.signature is not None:
            spot.drop(f"only {call.signature.origin} can read it", ".signature")
        if call.cache is not None:
            spot.drop("a tool call has no cache mark", ".cache")
        if call.extras:
            spot.foreign(call)
            out |= note(call, NAME, "~item") or {}
            merge(out, call, NAME)
        return out


def _made_id(kind: str, seed: str) -> str:
    """The id of an item whose source had none: always the same for the same words, as prompt caches match bytes."""
    return f"{kind}_{crc32(seed.encode('utf-8', 'replace')):08x}"
