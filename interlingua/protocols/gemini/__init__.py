"""Gemini generateContent. Knows the wire, not the host: URLs, model paths and credentials live in hosts.py.

Source: the `google-genai` SDK's types and its converters for the Gemini API (`_GenerateContentConfig_to_mldev`,
`_Part_to_mldev`, `_Candidate_from_mldev`, ...), the aiplatform v1beta1 discovery document, and ai.google.dev on
function calling, thinking and thought signatures.
"""

from interlingua.protocols.gemini.errors import format_error, parse_error
from interlingua.protocols.gemini.names import NAME, field_path
from interlingua.protocols.gemini.request import format_request, parse_request, request_headers
from interlingua.protocols.gemini.response import format_response, parse_response
from interlingua.protocols.gemini.stream import Formatter, Parser

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
