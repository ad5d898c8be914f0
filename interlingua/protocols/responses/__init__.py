"""OpenAI Responses. Knows the wire, not the host: URLs and credentials live in hosts.py.

Source: the `openai` SDK's types.responses (response_create_params, response_input_item_param, response,
response_stream_event and the events it names).
"""

from interlingua.protocols.openai_errors import format_error, parse_error
from interlingua.protocols.responses.formatter import Formatter
from interlingua.protocols.responses.names import NAME, field_path
from interlingua.protocols.responses.request import format_request, parse_request, request_headers
from interlingua.protocols.responses.response import format_response, parse_response
from interlingua.protocols.responses.stream import Parser

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
