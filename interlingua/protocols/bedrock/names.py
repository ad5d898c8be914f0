"""What Bedrock calls things, for loss reports."""

import re
from typing import Any, Final

from interlingua.ir import Function, Media, Message, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols.wire import note, rename

NAME: Final = "bedrock"
CARRIED: Final = "~carried"  # note of a part: its signature came in a block before it
BEGAN: Final = "~began"  # note of a request: time.perf_counter() when it came
STOP_TOLD: Final = "~stop_told"  # note of a request: its answer is to tell which stop sequence matched

_FIELDS: Final = {
    "max_tokens": "inferenceConfig.maxTokens",
    "temperature": "inferenceConfig.temperature",
    "top_p": "inferenceConfig.topP",
    "stop": "inferenceConfig.stopSequences",
    "top_k": "additionalModelRequestFields.top_k",
    "tools": "toolConfig.tools",
    "tool_choice": "toolConfig.toolChoice",
    "tool_choice.names": "toolConfig.toolChoice.tool.name",
    "output": "outputConfig.textFormat",
    "output.schema": "outputConfig.textFormat.structure.jsonSchema.schema",
    "output.name": "outputConfig.textFormat.structure.jsonSchema.name",
    "output.description": "outputConfig.textFormat.structure.jsonSchema.description",
    "reasoning": "additionalModelRequestFields.thinking",
    "reasoning.enabled": "additionalModelRequestFields.thinking.type",
    "reasoning.budget": "additionalModelRequestFields.thinking.budget_tokens",
    "reasoning.visible": "additionalModelRequestFields.thinking.display",
    "reasoning.effort": "outputConfig.effort",
}
_MESSAGE: Final = re.compile(r"messages\[(\d+)\](?:\.parts\[(\d+)\])?(.*)", re.S)
_TOOL: Final = re.compile(r"tools\[(\d+)\](?:\.(\w+))?(.*)", re.S)
_TOOL_FIELDS: Final = {"schema": "inputSchema.json"}
_SPOKEN: Final = (
    ".toolUse.",
    ".toolResult.",
    ".reasoningContent.",
    ".image.",
    ".document.",
    ".video.",
    ".audio.",
    ".guardContent",
    ".searchResult.",
)
_MEDIA: Final = {
    ".citable": ".citations",
    ".data": ".source.bytes",
    ".file": ".source.s3Location",
    ".mime": ".format",
    ".url": ".source",
}
_FOUND: Final = {".citable": ".citations", ".name": ".title"}
_INSIDE: Final = re.compile(r"\.parts\[(\d+)\](.*)", re.S)


def field_path(path: str, request: Request) -> str:
    """The client's own name of an IR path."""
    if match := _MESSAGE.fullmatch(path):
        return _message_path(int(match[1]), match[2], match[3], request.messages)
    if match := _TOOL.fullmatch(path):
        return _tool_path(int(match[1]), match[2], match[3], request)
    return rename(path, _FIELDS)


def _message_path(i: int, part: str | None, rest: str, messages: list[Message]) -> str:
    if i >= len(messages):
        return f"messages[{i}]{rest}"
    message = messages[i]
    if note(message, NAME, "~system"):
        head, content = "system", ""
    else:
        before = sum(bool(note(earlier, NAME, "~system")) for earlier in messages[:i])
        head, content = f"messages[{i - before}]", ".content"
    if part is None:
        return head + rest
    j = int(part)
    found = message.parts[j] if j < len(message.parts) else None
    before = message.parts[: j + 1]  # marks, and what carries a signature, are blocks of their own
    place = j + sum(part.cache is not None for part in before[:j]) + sum(bool(note(part, NAME, CARRIED)) for part in before)
    if rest == ".signature" and found is not None and note(found, NAME, CARRIED):
        return f"{head}{content}[{place - 1}].reasoningContent"
    if rest.startswith(".cache"):
        return f"{head}{content}[{place + 1}].cachePoint{rest.removeprefix('.cache')}"
    return f"{head}{content}[{place}]{_part_path(rest, found)}"


def _part_path(rest: str, part: Any) -> str:
    """What follows a part, in the words of its block; an extra is in them already."""
    if rest.startswith(_SPOKEN):
        return rest
    match part:
        case ToolCall():
            return ".toolUse" + rest.replace(".arguments", ".input")
        case ToolResult():
            if match := _INSIDE.fullmatch(rest):
                k = int(match[1])
                return f".toolResult.content[{k}]{_part_path(match[2], part.parts[k] if k < len(part.parts) else None)}"
            return ".toolResult" + rest.replace(".error", ".status")
        case Media():
            if part.source is not None:
                return f".searchResult{_FOUND.get(rest, rest)}"
            return f".{part.kind}{_MEDIA.get(rest, rest)}"
        case Thinking():
            return ".reasoningContent" + rest.replace(".signature", ".reasoningText.signature")
        case Text(citations=[_, *_]):
            return ".citationsContent" + rest
        case _:
            return rest


def _tool_path(i: int, field: str | None, rest: str, request: Request) -> str:
    tools = request.tools
    place = i + sum(isinstance(tool, Function) and tool.cache is not None for tool in tools[:i])
    if field == "cache":
        return f"toolConfig.tools[{place + 1}].cachePoint{rest}"
    inner = ".toolSpec" if i >= len(tools) or isinstance(tools[i], Function) else ""
    return f"toolConfig.tools[{place}]{inner}" + (f".{_TOOL_FIELDS.get(field, field)}{rest}" if field else rest)
