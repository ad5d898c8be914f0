"""What the vendors' own code reads: a telling that it does not read whole, or reads otherwise, is no telling of that vendor's.

OpenAI's, Anthropic's and Google's answers are read by their SDKs' types, where a field that the type does not know is a
fault too; Bedrock's by botocore with its service model, in both directions, to the last member.
"""

import json
from base64 import b64decode, b64encode
from functools import cache
from typing import Any

from anthropic.types import ErrorResponse, Message, RawMessageStreamEvent
from botocore.eventstream import EventStreamBuffer
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import EventStreamJSONParser, create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_message_custom_tool_call import Custom
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

# What an answer is read as, and a piece of a streamed one.
ANSWERS: dict[str, TypeAdapter[Any]] = {
    "openai": TypeAdapter(ChatCompletion),
    "responses": TypeAdapter(Response),
    "anthropic": TypeAdapter(Message),
    "gemini": TypeAdapter(GenerateContentResponse),
}
PIECES: dict[str, TypeAdapter[Any]] = {
    "openai": TypeAdapter(ChatCompletionChunk),
    "responses": TypeAdapter(ResponseStreamEvent),
    "anthropic": TypeAdapter(RawMessageStreamEvent),
    "gemini": TypeAdapter(GenerateContentResponse),
}
# Fields that the types leave out: DeepSeek's and vLLM's, Google's for what is its own, and one that OpenAI's answers bear.
DIALECT = {"reasoning_content", "extra_content", "store"}


def read_answer(protocol: str, body: Any) -> None:
    """Raises where the vendor's code does not read the whole of an answer."""
    if protocol == "bedrock":
        read_converse(body)
    else:
        assert unknown(ANSWERS[protocol].validate_python(body)) <= DIALECT


def read_piece(protocol: str, piece: Any) -> None:
    """The same of one event of a stream."""
    if piece.get("type") == "response.failed":  # its code's type has no word for much that clients are told, and look for
        piece = {**piece, "response": {**piece["response"], "error": {**piece["response"]["error"], "code": "server_error"}}}
    if protocol == "openai":
        piece = without_custom_calls(piece)
    assert unknown(PIECES[protocol].validate_python(piece)) <= DIALECT


def without_custom_calls(chunk: Any) -> Any:
    """A chunk's type knows calls of functions alone; what a custom tool's adds is read as the type of a whole call has it."""
    chunk = json.loads(json.dumps(chunk))
    for call in (call for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ()) if "custom" in call):
        assert call.pop("custom").keys() <= Custom.model_fields.keys()
        assert call.pop("type", "custom") == "custom"
    return chunk


def unknown(value: Any) -> set[str]:
    """The fields that the types of a read value do not know."""
    if isinstance(value, list):
        return set().union(*map(unknown, value))
    if not isinstance(value, BaseModel):
        return set()
    inner = set().union(*(unknown(item) for _, item in value))
    return inner | set(value.model_extra or {})


# Bedrock


@cache
def operation(name: str = "Converse") -> Any:
    model = Loader().load_service_model("bedrock-runtime", "service-2")
    return ServiceModel(model, "bedrock-runtime").operation_model(name)


def boto(value: Any, shape: Any) -> Any:
    """JSON as boto3's callers have it: blobs are bytes. Asserts that every member and every word of an enum is known."""
    if shape.type_name == "structure" and not shape.is_document_type:
        assert value.keys() <= shape.members.keys(), value.keys() - shape.members.keys()
        return {key: boto(inner, shape.members[key]) for key, inner in value.items()}
    if shape.type_name == "list":
        return [boto(inner, shape.member) for inner in value]
    if shape.type_name == "map":
        return {key: boto(inner, shape.value) for key, inner in value.items()}
    if shape.type_name == "blob":
        return b64decode(value, validate=True)
    assert not getattr(shape, "enum", None) or value in shape.enum, value
    return value


def told(value: Any) -> Any:
    """The same as JSON again."""
    if isinstance(value, dict):
        return {key: told(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [told(inner) for inner in value]
    return b64encode(value).decode() if isinstance(value, bytes) else value


def valid(value: Any, shape: Any) -> Any:
    """What boto3's caller has of JSON, found to be valid."""
    found = boto(value, shape)
    report = ParamValidator().validate(found, shape)
    assert not report.has_errors(), report.generate_report()
    return found


def asks_converse(body: Any, model: str) -> None:
    """A request: valid, and what boto3 would send for it is the body itself."""
    converse = operation()
    given = valid({"modelId": model, **body}, converse.input_shape)
    sent = create_serializer(converse.service_model.metadata["protocol"]).serialize_to_request(given, converse)
    assert json.loads(sent["body"]) == body


def read_converse(body: Any) -> None:
    """An answer: botocore's parser finds all of it, and it is valid."""
    model = operation()
    parser = create_parser(model.service_model.metadata["protocol"])
    read = parser.parse({"status_code": 200, "headers": {}, "body": json.dumps(body).encode()}, model.output_shape)
    del read["ResponseMetadata"]
    assert told(read) == body
    valid(body, model.output_shape)


def read_converse_stream(data: bytes) -> list[tuple[str, Any]]:
    """The events and exceptions of a binary stream, as botocore reads them, CRCs checked."""
    model = operation("ConverseStream")
    shape = model.output_shape.members["stream"]
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    found: list[tuple[str, Any]] = []
    for message in buffer:
        answer = message.to_response_dict()
        read = EventStreamJSONParser().parse(answer, shape)
        if (error := read.get("Error")) is not None:
            assert error["Code"] in shape.members
            found.append((error["Code"], valid(json.loads(answer["body"]), shape.members[error["Code"]])))
            continue
        ((name, payload),) = read.items()
        assert told(payload) == json.loads(answer["body"])
        found.append((name, valid(told(payload), shape.members[name])))
    return found


def reads_error(protocol: str, status: int, body: Any) -> None:
    """An error's body: as the vendor's types have it, where they tell it; Bedrock's names an exception that AWS knows."""
    assert 400 <= status < 600
    if protocol == "anthropic" and status != 413:  # documented as request_too_large, and left out of the types
        ErrorResponse.model_validate(body)
    elif protocol == "bedrock":
        names = {shape.name for shape in operation().error_shapes} | COMMON_ERRORS
        model = operation()
        parser = create_parser(model.service_model.metadata["protocol"])
        raw = {"status_code": status, "headers": {}, "body": json.dumps(body).encode()}
        error = parser.parse(raw, model.output_shape)["Error"]
        assert error["Code"] in names and error["Message"] == body["message"]


# Bedrock API reference, "Common errors"; UnrecognizedClientException is what every service answers an unknown key with.
COMMON_ERRORS = {
    "UnrecognizedClientException",
    "RequestEntityTooLargeException",
    "ServiceUnavailableException",
    "ServiceQuotaExceededException",
    "UnknownOperationException",
}
