"""What Gemini calls things, for loss reports."""

import re
from typing import Final

from interlingua.ir import AnyPart, Function, Media, Request, Text, ToolCall, ToolResult
from interlingua.protocols.wire import note, rename

NAME: Final = "gemini"

_FIELDS: Final = {
    "max_tokens": "generationConfig.maxOutputTokens",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "presence_penalty": "generationConfig.presencePenalty",
    "seed": "generationConfig.seed",
    "stop": "generationConfig.stopSequences",
    "n": "generationConfig.candidateCount",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "reasoning": "generationConfig.thinkingConfig",
    "reasoning.enabled": "generationConfig.thinkingConfig.thinkingBudget",
    "reasoning.budget": "generationConfig.thinkingConfig.thinkingBudget",
    "reasoning.effort": "generationConfig.thinkingConfig.thinkingLevel",
    "reasoning.visible": "generationConfig.thinkingConfig.includeThoughts",
    "output": "generationConfig.responseMimeType",
    "output.schema": "generationConfig.responseJsonSchema",
    "tool_choice": "toolConfig.functionCallingConfig",
    "tool_choice.names": "toolConfig.functionCallingConfig.allowedFunctionNames",
}
_MESSAGE: Final = re.compile(r"messages\[(\d+)\](?:\.parts\[(\d+)\])?(.*)", re.S)
_TOOL: Final = re.compile(r"tools\[(\d+)\](.*)", re.S)
_INNER: Final = re.compile(r"\.parts\[(\d+)\](.*)", re.S)
_RESULT: Final = {
    ".parts": ".functionResponse.parts",
    ".error": ".functionResponse.response.error",
    ".name": ".functionResponse.name",
}
_CALL: Final = {".arguments": ".functionCall.args", ".name": ".functionCall.name", ".id": ".functionCall.id"}
_INLINE: Final = {".mime": ".inlineData.mimeType", ".name": ".inlineData.displayName", ".data": ".inlineData.data"}
_FILE: Final = {".mime": ".fileData.mimeType", ".name": ".fileData.displayName", ".url": ".fileData.fileUri"}


def field_path(path: str, request: Request) -> str:
    """The client's own name of an IR path."""
    if match := _MESSAGE.fullmatch(path):
        return _message_path(int(match[1]), match[2], match[3], request)
    if match := _TOOL.fullmatch(path):
        return _tool_path(int(match[1]), match[2], request)
    if path.startswith("output.schema") and request.output is not None and note(request.output, NAME, "~schema"):
        return "generationConfig.responseSchema" + path[len("output.schema") :]
    return rename(path, _FIELDS)


def _message_path(i: int, part: str | None, rest: str, request: Request) -> str:
    messages = request.messages
    headed = bool(messages) and bool(note(messages[0], NAME, "~system"))
    if headed and i == 0:
        path = "systemInstruction"
    else:
        at = note(messages[i], NAME, "~at") if i < len(messages) else None
        path = f"contents[{i - headed if at is None else at}]"
    if part is None:
        return path + rest
    j = int(part)
    said = messages[i].parts[j] if i < len(messages) and j < len(messages[i].parts) else None
    return f"{path}.parts[{j}]{_part_path(said, rest)}"


def _part_path(part: AnyPart | None, rest: str) -> str:
    if rest.startswith(".signature"):
        return ".thoughtSignature"
    match part:
        case ToolCall():
            return rename(rest, _CALL)
        case ToolResult():
            return _result_path(part, rest)
        case Media():
            return rename(rest, _INLINE if part.data is not None else _FILE)
        case _:
            return rest


def _result_path(result: ToolResult, rest: str) -> str:
    """A result's words stand in its response, what is seen in its parts."""
    if (match := _INNER.fullmatch(rest)) is None or (k := int(match[1])) >= len(result.parts):
        return rename(rest, _RESULT)
    if isinstance(result.parts[k], Text):
        return f".functionResponse.response{match[2]}"
    before = sum(not isinstance(part, Text) for part in result.parts[:k])
    return f".functionResponse.parts[{before}]{match[2]}"


def _tool_path(k: int, rest: str, request: Request) -> str:
    if k >= len(request.tools):
        return f"tools[{k}]{rest}"
    tool = request.tools[k]
    place = note(tool, NAME, "~tool")
    t = place if place is not None else 0
    if not isinstance(tool, Function):
        return f"tools[{t}].{tool.kind}{rest}"
    before = sum(isinstance(other, Function) and note(other, NAME, "~tool") == place for other in request.tools[:k])
    schema = "parameters" if note(tool, NAME, "~parameters") is not None else "parametersJsonSchema"
    return f"tools[{t}].functionDeclarations[{before}]{rename(rest, {'.schema': '.' + schema})}"
