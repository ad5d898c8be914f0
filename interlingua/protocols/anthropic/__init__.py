"""Anthropic Messages. Knows the wire, not the host: URLs and credentials live in hosts.py.

Source: the `anthropic` SDK's types (message_create_params, message, raw_message_stream_event, the error objects) and
platform.claude.com's pages on thinking, structured outputs, prompt caching and mid-conversation system messages.
"""

from interlingua.protocols.anthropic.errors import format_error, parse_error
from interlingua.protocols.anthropic.names import NAME, field_path, request_headers
from interlingua.protocols.anthropic.request import format_request, parse_request
from interlingua.protocols.anthropic.response import format_response, parse_response
from interlingua.protocols.anthropic.stream import Formatter, Parser

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
