"""What Anthropic calls things, for loss reports, and the version of its API that a body needs."""

import re
from collections.abc import Mapping
from typing import Any, Final

from interlingua.ir import Json, Request, ToolCall, ToolResult
from interlingua.protocols.wire import as_array, as_obj, note, rename

NAME: Final = "anthropic"
LATEST: Final = "2026-10-21"
BEFORE: Final = "2023-06-01"  # the last version that takes what LATEST refuses
_VERSIONS: Final = {version: b"anthropic-version: %b\r\n" % version.encode() for version in (LATEST, BEFORE)}

_FIELDS: Final = {
    "stop": "stop_sequences",
    "user": "metadata.user_id",
    "output": "output_config.format",
    "reasoning": "thinking",
    "reasoning.enabled": "thinking.type",
    "reasoning.effort": "output_config.effort",
    "reasoning.budget": "thinking.budget_tokens",
    "reasoning.visible": "thinking.display",
    "tool_choice.mode": "tool_choice.type",
    "tool_choice.names": "tool_choice.name",
    "tool_choice.parallel": "tool_choice.disable_parallel_tool_use",
}
_MESSAGE: Final = re.compile(r"messages\[(\d+)\](?:\.parts\[(\d+)\])?(.*)", re.S)
_TOOL: Final = re.compile(r"(tools\[\d+\])\.(schema|cache)(.*)", re.S)
_PART_NAMES: Final = {
    "cache": "cache_control",
    "error": "is_error",
    "name": "title",
    "mime": "source.media_type",
    "citable": "citations",
}


def request_headers(body: Json, own: Mapping[bytes, bytes]) -> bytes:
    """The API version that takes this body, or the client's own; its betas go along."""
    version = own.get(b"anthropic-version") if own else None
    line = b"anthropic-version: %b\r\n" % version if version else _VERSIONS[api_version(body)]
    beta = own.get(b"anthropic-beta") if own else None
    return line + b"anthropic-beta: %b\r\n" % beta if beta else line


def field_path(path: str, request: Request) -> str:
    """The client's own name of an IR path."""
    if match := _MESSAGE.fullmatch(path):
        return _message_path(int(match[1]), match[2], match[3], request)
    if match := _TOOL.fullmatch(path):
        return f"{match[1]}.{'input_schema' if match[2] == 'schema' else 'cache_control'}{match[3]}"
    return rename(path, _FIELDS)


def _message_path(i: int, part: str | None, rest: str, request: Request) -> str:
    if i >= len(request.messages):
        return f"messages[{i}]{rest}"
    message = request.messages[i]
    if spelled := note(message, NAME, "~system"):
        head, inside = "system", f"[{part}]" if spelled == "blocks" else ""
    else:
        before = sum(note(earlier, NAME, "~system") is not None for earlier in request.messages[:i])
        head, inside = f"messages[{i - before}]", f".content[{part}]" if note(message, NAME, "~content") else ".content"
    if part is None:
        return head + rest
    found = message.parts[int(part)] if int(part) < len(message.parts) else None
    return head + inside + _inner_path(rest, found)


def _inner_path(rest: str, part: Any) -> str:
    """What follows a part, in the words of its block."""
    names = {"name": "name", "cache": "cache_control", "arguments": "input"} if isinstance(part, ToolCall) else _PART_NAMES
    if isinstance(part, ToolResult) and (match := re.match(r"\.parts(\[\d+\])(.*)", rest, re.S)):
        return f".content{match[1]}{_inner_path(match[2], None)}"
    field, dot, more = rest.removeprefix(".").partition(".")
    return f".{names.get(field, field)}{dot}{more}" if rest else ""


def api_version(body: Json) -> str:
    """The `anthropic-version` under which `body` is not refused (migration-2026-10-21)."""
    if "temperature" in body or "top_p" in body or "top_k" in body:
        return BEFORE
    return BEFORE if any(_needs_before(message) for message in as_array(body.get("messages"))) else LATEST


def _needs_before(message: Any) -> bool:
    """Whether a turn holds an assistant's document or a user's cited text."""
    content = as_obj(message).get("content")
    if type(content) is not list:
        return False
    assistant = message.get("role") == "assistant"
    for item in as_array(content):
        block = as_obj(item)
        if block.get("type") == "document" if assistant else block.get("type") == "text" and block.get("citations"):
            return True
    return False
