"""What the Responses API calls things: loss reports in the client's own words, and ids of the vendor's form.

What OpenAI's two APIs spell alike beside the IR (`SHARED`) is kept under `VENDOR`, the name of the older one, by both:
so a service tier or a cache key set by a client of one reaches a backend of the other.
"""

import re
from typing import Final, TypeGuard

from interlingua.ir import AnyPart, Media, Message, Opaque, Request, Text, ToolResult
from interlingua.protocols.openai_common import FORMAT
from interlingua.protocols.wire import note, rename

NAME: Final = "responses"
VENDOR: Final = "openai"
CARRIED: Final = "~carried"  # note of a part: its signature came in an item before it
SHARED: Final = frozenset(
    {
        "metadata",
        "moderation",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
    }
)

_FIELDS: Final = {
    "max_tokens": "max_output_tokens",
    "logprobs": "include",
    "output": "text.format",
    "verbosity": "text.verbosity",
    "reasoning.enabled": "reasoning.effort",
    "reasoning.budget": "reasoning.effort",
    "reasoning.visible": "reasoning.summary",
    "tool_choice.mode": "tool_choice",
    "tool_choice.names": "tool_choice",
    "tool_choice.parallel": "parallel_tool_calls",
}
_MESSAGE: Final = re.compile(r"messages\[(\d+)\](?:\.parts\[(\d+)\])?(.*)", re.S)
_TOOL: Final = re.compile(r"tools\[(\d+)\](.*)", re.S)
_CARRIED: Final = {
    ".cache": ".prompt_cache_breakpoint",
    ".signature": ".encrypted_content",
    ".citations": ".annotations",
    ".image_url.detail": ".detail",
    ".name": ".filename",
}
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")


def answer_id(id_: str) -> str:
    """An answer's id in the vendor's form, which its clients look for; one that has it stays as it is."""
    return id_ if id_.startswith("resp_") else "resp_" + _UNSAFE.sub("_", id_)


def item_id(kind: str, answer: str, index: int) -> str:
    """The id of an output item that has none of its own: `kind` is "msg", "rs", "fc" or "ctc", `answer` an answer's id."""
    return f"{kind}_{answer.removeprefix('resp_')}_{index}"


def field_path(path: str, request: Request) -> str:
    """The client's own name of an IR path."""
    if match := _MESSAGE.fullmatch(path):
        return _message_path(int(match[1]), match[2], match[3], request)
    if match := _TOOL.fullmatch(path):
        rest = match[2]
        if rest.startswith(".schema"):
            rest = ".parameters" + rest.removeprefix(".schema")
        elif rest.startswith("." + FORMAT):
            rest = rest.removeprefix(".custom")
        return _tool_place(int(match[1]), request) + rest
    return rename(path, _FIELDS)


def _tool_place(i: int, request: Request) -> str:
    """A tool's place on the wire, where the tools of a namespace stand inside it."""
    outer, inner, last = -1, -1, None
    for tool in request.tools[: i + 1]:
        space = note(tool, NAME, "~namespace")
        inner = inner + 1 if space is not None and space == last else 0
        outer += inner == 0
        last = space
    return f"tools[{outer}]" + (f".tools[{inner}]" if last is not None else "")


def _message_path(i: int, part: str | None, rest: str, request: Request) -> str:
    if i >= len(request.messages):
        return f"input[{i}]{rest}"
    message = request.messages[i]
    if note(message, NAME, "~instructions"):
        return "instructions"
    if note(request, NAME, "~input") == "string":
        return "input"
    first = sum(_items(earlier) for earlier in request.messages[:i])
    j = int(part) if part is not None else 0
    if part is None or j >= len(message.parts):
        return f"input[{first}]{rest}"
    item, place = offsets(message)[j]
    found, head = message.parts[j], f"input[{first + item}]"
    if isinstance(found, ToolResult):
        inner = f".output{rest.removeprefix('.parts')}" if rest.startswith(".parts") else rest
        return head + inner
    if (content := is_content(found)) and message.role != "assistant" and not note(message, NAME, "~content"):
        head += ".content"
    elif content:
        head += f".content[{place}]"
    if rest == ".signature" and note(found, NAME, CARRIED):
        return f"input[{first + item - 1}].encrypted_content"
    if rest.startswith(".item."):
        return f"input[{first + item}]{rest.removeprefix('.item')}"
    return head + rename(rest, _CARRIED) if rest else head


def is_content(part: AnyPart) -> TypeGuard[Text | Media | Opaque]:
    """Whether a part stands in a message's content, not as an item of its own."""
    return isinstance(part, Text | Media) or isinstance(part, Opaque) and bool(note(part, NAME, "~part"))


def offsets(message: Message) -> list[tuple[int, int]]:
    """Of each part: which of the message's items it stands in, and its place in that item's content."""
    out: list[tuple[int, int]] = []
    item, place, joins = -1, 0, False
    for part in message.parts:
        content = is_content(part)
        if part.extras and note(part, NAME, CARRIED):
            item, joins = item + 1, False
        if content and joins and note(part, NAME, "~item") is None:
            place += 1
        else:
            item, place = item + 1, 0
        joins = content
        out.append((item, place))
    return out


def _items(message: Message) -> int:
    if note(message, NAME, "~instructions"):
        return 0
    return offsets(message)[-1][0] + 1 if message.parts else 1
