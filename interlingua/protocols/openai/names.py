"""What OpenAI calls things, for loss reports."""

import re
from typing import Final

from interlingua.ir import AnyPart, Opaque, Request, Text, Thinking, ToolCall, ToolResult
from interlingua.protocols.openai_common import CUSTOM
from interlingua.protocols.wire import note, rename

NAME: Final = "openai"
CALL: Final = "~call"  # note of a block that is a tool call of a kind born after this file

_FIELDS: Final = {
    "output": "response_format",
    "output.schema": "response_format.json_schema.schema",
    "output.name": "response_format.json_schema.name",
    "output.strict": "response_format.json_schema.strict",
    "output.description": "response_format.json_schema.description",
    "reasoning": "reasoning_effort",
    "reasoning.effort": "reasoning_effort",
    "reasoning.enabled": "reasoning_effort",
    "tool_choice.parallel": "parallel_tool_calls",
    "tool_choice.mode": "tool_choice",
    "tool_choice.names": "tool_choice.allowed_tools.tools",
}
_CALL: Final = {
    ".arguments": ".function.arguments",
    ".name": ".function.name",
    ".signature": ".extra_content.google.thought_signature",
}
_CUSTOM_CALL: Final = {**_CALL, ".arguments": ".custom.input", ".name": ".custom.name"}
_MESSAGE: Final = re.compile(r"messages\[(\d+)\](?:\.parts\[(\d+)\])?(.*)", re.S)
_TOOL: Final = re.compile(r"(tools\[\d+\])\.(name|description|schema|strict)(.*)", re.S)


def is_call(part: AnyPart) -> bool:
    """Whether it stands among a turn's tool calls."""
    return type(part) is ToolCall or type(part) is Opaque and bool(note(part, NAME, CALL))


def field_path(path: str, request: Request) -> str:
    """The client's own name of an IR path."""
    if match := _MESSAGE.fullmatch(path):
        return _message_path(int(match[1]), match[2], match[3], request)
    if match := _TOOL.fullmatch(path):
        kind = "custom" if note(request.tools[int(match[1][6:-1])], NAME, CUSTOM) else "function"
        return f"{match[1]}.{kind}.{'parameters' if match[2] == 'schema' else match[2]}{match[3]}"
    if path == "max_tokens" and note(request, NAME, "~max_completion_tokens"):
        return "max_completion_tokens"
    return rename(path, _FIELDS)


def _message_path(i: int, part: str | None, rest: str, request: Request) -> str:
    path = f"messages[{i}]"
    if part is None or i >= len(request.messages):
        return path + rest
    parts, j = request.messages[i].parts, int(part)
    rest = rest.replace(".cache", ".prompt_cache_breakpoint")
    match parts[j] if j < len(parts) else None:
        case ToolCall() | Opaque() as call if is_call(call):
            names = _CUSTOM_CALL if note(call, NAME, CUSTOM) else _CALL
            calls = sum(map(is_call, parts[:j]))
            return f"{path}.tool_calls[{calls}]{rename(rest, names)}"
        case ToolResult():
            return f"{path}.content{rest.removeprefix('.parts')}"
        case Thinking():
            return f"{path}.reasoning_content"
        case Text(refusal=True):
            return f"{path}.refusal"
        case Text() if not note(request.messages[i], NAME, "~content"):
            return f"{path}.content{rest}"
        case _:
            before = sum(not isinstance(p, Thinking) and not is_call(p) for p in parts[:j])
            return f"{path}.content[{before}]{rest}"
