"""Amazon Bedrock Converse. Knows the wire, not the host: model ids in paths, SigV4 and the binary framing live elsewhere.

Source: botocore's service model `bedrock-runtime` 2023-09-30, operations Converse and ConverseStream. Both take the same body;
which of them is meant, and the model, stand in the path. Frames that tell of a failure have events "exception:..." or
"error:..." (framing/eventstream.py).
"""

from interlingua.protocols.bedrock.errors import format_error, parse_error
from interlingua.protocols.bedrock.names import NAME, field_path
from interlingua.protocols.bedrock.request import format_request, parse_request, request_headers
from interlingua.protocols.bedrock.response import format_response, parse_response
from interlingua.protocols.bedrock.stream import Formatter, Parser

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
