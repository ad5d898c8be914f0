"""OpenAI Chat Completions. Knows the wire, not the host: URLs and credentials live in hosts.py.

Source: the `openai` SDK's types.chat (completion_create_params, chat_completion, chat_completion_chunk) and, for
servers that speak its dialect, `reasoning_content` (DeepSeek, vLLM) and `extra_content` (Google's own convention).
"""

from interlingua.protocols.openai.names import NAME, field_path
from interlingua.protocols.openai.request import format_request, parse_request, request_headers
from interlingua.protocols.openai.response import format_response, parse_response
from interlingua.protocols.openai.stream import Formatter, Parser
from interlingua.protocols.openai_errors import format_error, parse_error

__all__ = [
    "NAME",
    "Formatter",
    "Parser",
    "field_path",
    "format_error",
    "format_request",
    "format_response",
    "parse_error",
    "parse_request",
    "parse_response",
    "request_headers",
]
