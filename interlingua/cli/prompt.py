"""A request as the Gemini CLI can be asked it: a system prompt, the settings of one session, and the blocks of one prompt.

The CLI takes one turn of one user, so a conversation is told in it, turn by turn. What it has no place for is a loss. Three
things of it must never meet a client's words: its commands (a prompt that begins with `/` or `$`), its environment (it
writes `$NAME` in a setting's place), and any setting but those that say how a model generates.
"""

import re
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from interlingua.errors import InvalidRequest
from interlingua.ir import AnyPart, Json, Media, Message, Node, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols import Lose, Target, gemini
from interlingua.protocols.media import audio_of, found_words, lose_citing, told_found, type_of
from interlingua.protocols.wire import as_obj, base64_of, encode_json, foreign, standard_base64

# What of Gemini's generationConfig is passed on, and how the IR names it. Whatever else there is could be a setting of the
# CLI's own client, its address among them.
_CARRIED: Final = {
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "seed": "seed",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "responseMimeType": "output",
    "responseSchema": "output.schema",
    "responseJsonSchema": "output.schema",
    "thinkingConfig": "reasoning",
}
_THINKING: Final = frozenset(("includeThoughts", "thinkingBudget", "thinkingLevel"))
_EXPANDED: Final = re.compile(r"\$(\{|[A-Z_])")  # a name of an environment that holds a key
_REWRITTEN: Final = re.compile(r"\$\{(AgentSkills|SubAgents|AvailableTools)\}|\n{3}")  # by the CLI, in a system prompt
_BEGIN: Final = "This is a conversation so far, told turn by turn. Write the assistant's next turn: its words alone.\n"
_GO_ON: Final = "This is a conversation so far, told turn by turn. Go on with the assistant's last turn where it ends.\n"
NEUTRAL: Final = "Answer the user."  # where a request has no instruction: an empty one is refused by Google


class Told(Struct, frozen=True):
    """`system` is the text of the system prompt, `settings` the session's settings.json, `blocks` its ACP prompt."""

    system: str
    settings: Json
    blocks: list[Json]


def tell(request: Request, target: Target, lose: Lose, media: bool = True) -> Told:
    """Raises InvalidRequest for a model's name that the CLI would read as something else. `media` False: words alone."""
    if _EXPANDED.search(target.model):
        raise InvalidRequest("A model's name must not hold a variable.", param="model")
    settings = _settings(request, target, lose)
    for i in range(len(request.tools)):
        lose(f"tools[{i}]", "dropped", "the Gemini CLI takes no tools of a client")
    if request.tool_choice is not None:
        lose("tool_choice", "dropped", "the Gemini CLI takes no tools of a client")
    for field in ("n", "logprobs", "top_logprobs"):
        if getattr(request, field) is not None:
            lose(field, "dropped", "the Gemini CLI gives one answer, and its words alone")
    telling = _Telling(request.messages, lose, media)
    return Told(telling.system(), settings, telling.blocks())


def _settings(request: Request, target: Target, lose: Lose) -> Json:
    """The model, and how it is to generate: what Gemini's own formatter makes of the request, as an override of the CLI's."""
    bare = replace(request, messages=[], tools=[], tool_choice=None, n=None, logprobs=None, top_logprobs=None)
    body = gemini.format_request(bare, target, lose)
    config: Json = body.pop("generationConfig", {})
    for key in [*body]:
        if key not in ("contents", "systemInstruction"):
            lose(key, "dropped", "the Gemini CLI has no place for it")
    for key, value in [*config.items()]:
        if key not in _CARRIED:
            lose(f"generationConfig.{key}", "dropped", "the Gemini CLI has no place for it")
        elif _EXPANDED.search(encode_json(value).decode()):
            lose(_CARRIED[key], "dropped", "the Gemini CLI would read a variable in it")
        else:
            continue
        del config[key]
    if thinking := as_obj(config.get("thinkingConfig")):
        for key in sorted(thinking.keys() - _THINKING):
            lose(f"reasoning.{key}", "dropped", "the Gemini CLI has no place for it")
        config["thinkingConfig"] = {key: value for key, value in thinking.items() if key in _THINKING}
    override = {"match": {"model": target.model}, "modelConfig": {"generateContentConfig": config}}
    return {"model": {"name": target.model}, "modelConfigs": {"customOverrides": [override] if config else []}}


class _Telling:
    """One conversation in words."""

    def __init__(self, messages: list[Message], lose: Lose, media: bool) -> None:
        self._lose, self._media = lose, media
        leading = next((i for i, m in enumerate(messages) if m.role not in ("system", "developer")), len(messages))
        self._system = [*enumerate(messages[:leading])]
        self._turns = [*enumerate(messages[leading:], leading)]
        self._blocks: list[Json] = []
        self._words: list[str] = []

    def system(self) -> str:
        words: list[str] = []
        for i, message in self._system:
            self._report(message, f"messages[{i}]")
            for j, part in enumerate(message.parts):
                path = f"messages[{i}].parts[{j}]"
                if isinstance(part, Text):
                    self._report_text(part, path)
                    words.append(part.text)
                else:
                    self._lose(path, "dropped", "a system prompt holds words only")
        text = "\n\n".join(filter(None, words))
        if _REWRITTEN.search(text):
            self._lose("messages[0]", "changed", "the Gemini CLI fills in places and shortens gaps of a system prompt")
        return text or NEUTRAL

    def blocks(self) -> list[Json]:
        """One user's only turn as it is, if the CLI cannot take it for a command; any other conversation is told."""
        turns = self._turns
        alone = len(turns) == 1 and turns[0][1].role == "user"
        if alone and all(isinstance(part, Text | Media) for part in turns[0][1].parts) and not _commands(turns[0][1]):
            self._turn(*turns[0], tag="turn")
        else:
            self._conversation()
        self._close()
        return self._blocks or [{"type": "text", "text": "(nothing)"}]

    def _conversation(self) -> None:
        last = self._turns[-1][1] if self._turns else None
        going_on = last is not None and last.role == "assistant"
        tag = _tag(self._turns)
        self._say(_GO_ON if going_on else _BEGIN)
        if going_on:
            self._lose(f"messages[{self._turns[-1][0]}]", "changed", "the Gemini CLI is told to go on with it")
        for i, message in self._turns:
            role = message.role
            if role in ("system", "developer"):
                self._lose(f"messages[{i}]", "changed", "the Gemini CLI has one system prompt, at the head")
            self._say(f'\n<{tag} role="{role}">\n')
            self._turn(i, message, tag)
            self._say(f"\n</{tag}>\n")

    def _turn(self, i: int, message: Message, tag: str) -> None:
        self._report(message, f"messages[{i}]")
        said = False
        for j, part in enumerate(message.parts):
            if said and self._words:
                self._say("\n\n")
            said = self._part(part, f"messages[{i}].parts[{j}]", tag)

    def _part(self, part: AnyPart, path: str, tag: str) -> bool:
        """Returns whether it said anything."""
        match part:
            case Text():
                self._report_text(part, path)
                self._say(part.text)
            case Media() if part.source is not None:
                return self._part(found_words(part, path, self._lose), path, tag)
            case Media():
                return self._show(part, path)
            case ToolCall():
                self._report(part, path)
                self._lose(path, "changed", "told as text")
                self._say(f"<{tag}-call id={_quoted(part.id)} name={_quoted(part.name)}>\n{part.arguments}\n</{tag}-call>")
            case ToolResult():
                self._result(part, path, tag)
            case Thinking():
                self._lose(path, "dropped", "the Gemini CLI takes no thoughts")
                return False
            case Opaque():
                self._lose(path, "dropped", f"a block that only {part.origin} knows")
                return False
        return True

    def _result(self, part: ToolResult, path: str, tag: str) -> None:
        self._report(part, path)
        self._lose(path, "changed", "told as text")
        name = f" name={_quoted(part.name)}" if part.name is not None else ""
        failed = ' failed="true"' if part.error else ""
        self._say(f"<{tag}-result id={_quoted(part.id)}{name}{failed}>\n")
        for k, inner in enumerate(part.parts):
            self._part(inner, f"{path}.parts[{k}]", tag)
        self._say(f"\n</{tag}-result>")

    def _show(self, part: Media, path: str) -> bool:
        self._report(part, path)
        if part.name is not None:
            self._lose(f"{path}.name", "dropped", "the Gemini CLI takes no names of files")
        lose_citing(part, path, self._lose)
        if part.data is None and part.text is None:
            self._lose(path, "dropped", "the Gemini CLI fetches no files")
            return False
        if not self._media:
            self._lose(path, "dropped", "this Gemini CLI takes words alone")
            return False
        data = standard_base64(part.data) if part.data is not None else base64_of(part.text or "")
        mime = part.mime
        if mime is None:
            mime = "text/plain" if part.data is None else audio_of(data) if part.kind == "audio" else type_of(None, data)
            self._lose(f"{path}.mime", "added", f"Gemini wants a media type; taken for {mime}")
        self._close()
        self._blocks.append({"type": "audio" if part.kind == "audio" else "image", "mimeType": mime, "data": data})
        return True

    def _report_text(self, part: Text, path: str) -> None:
        self._report(part, path)
        if part.citations:
            self._lose(f"{path}.citations", "dropped", "a prompt's text has no citations")
        if part.refusal:
            self._lose(f"{path}.refusal", "changed", "the Gemini CLI does not tell a refusal from other words")

    def _report(self, node: Node, path: str) -> None:
        """What any message or part may bear besides its words."""
        if node.extras:
            foreign(node, "", path, self._lose)
        for field in ("signature", "cache"):
            if getattr(node, field, None) is not None:
                self._lose(f"{path}.{field}", "dropped", "the Gemini CLI has no place for it")

    def _say(self, words: str) -> None:
        self._words.append(words)

    def _close(self) -> None:
        text = "".join(self._words)
        self._words.clear()
        if text:
            self._blocks.append({"type": "text", "text": text})


def _commands(message: Message) -> bool:
    """Whether the CLI could take a turn for a command of its own; it trims as JavaScript does, byte order marks included."""
    words = "".join(part.text if isinstance(part, Text) else _found(part) for part in message.parts)
    return words.replace("\ufeff", "").lstrip()[:1] in ("/", "$", "?")


def _found(part: AnyPart) -> str:
    return told_found(part) if isinstance(part, Media) and part.source is not None else ""


def _tag(turns: list[tuple[int, Message]]) -> str:
    """A tag that nothing of the conversation uses, so that no turn can speak for another."""
    said = encode_json([message for _, message in turns]).decode()
    number = 0
    while (tag := f"turn{number or ''}") and (f"<{tag}" in said or f"</{tag}" in said):
        number += 1
    return tag


def _quoted(value: Any) -> str:
    return encode_json(value).decode()
