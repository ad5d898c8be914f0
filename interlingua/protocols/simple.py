"""The simple API: a prompt in, a text out. A client's protocol alone, ours, that no provider speaks.

    {"prompt": "…", "model": "…", "temperature": 0.2}  ->  {"text": "…", "model": "…", "finish_reason": "stop", "usage": {…}}

A stream is SSE: {"text": "…"} for each piece, then one {"done": true, …} or {"error": {…}}. A field that it does not have is
refused by its name: there is no SDK between a typing mistake and us.
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from interlingua.errors import InvalidRequest
from interlingua.framing import Out
from interlingua.ir import (
    AnyEvent,
    AnyPart,
    ChoiceEnd,
    End,
    Failure,
    Finish,
    Json,
    Media,
    Message,
    Output,
    PartDelta,
    PartEnd,
    PartStart,
    Request,
    Response,
    Start,
    Text,
    Thinking,
    Usage,
)
from interlingua.protocols import Lose
from interlingua.protocols.media import data_url, kind_of, split_data_url, type_of
from interlingua.protocols.wire import array, boolean, integer, number, obj, rename, text, texts

NAME: Final = "simple"
_ALSO: Final = {
    "system_instruction": "system",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop",
    "response_schema": "schema",
}
_USAGE: Final = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cached_tokens",
    "reasoning": "reasoning_tokens",
}
_PATHS: Final = {"output.schema": "schema", "output": "schema", "tool_choice": "prompt"}

_NO_PLACE: Final = "the simple API has words and images alone"

# Reading


def parse_request(body: Json, model: str | None = None, stream: bool | None = None) -> Request:
    """`model`: who answers where the body names nobody. Raises InvalidRequest naming the field."""
    given: Json = {}
    for key, value in body.items():
        if value is None:
            continue
        name = _ALSO.get(key, key)
        if name not in _FIELDS:
            raise InvalidRequest(f"{key[:80]} is no field of this API{_meant(key)}", param=key[:80])
        if name in given:
            raise InvalidRequest(f"{key} and {name} say the same: send one of them", param=key)
        given[name] = value
    if "prompt" not in given:
        raise InvalidRequest("prompt is required", param="prompt")
    request = Request(model=model or "", messages=[Message(role="user", parts=[])])
    for name, value in given.items():
        _FIELDS[name](request, value)
    if not request.model:
        raise InvalidRequest("model is required", param="model")
    return request


def _meant(key: str) -> str:
    close = get_close_matches(key, [*_FIELDS, *_ALSO], 1)
    return f"; did you mean {close[0]}?" if close else f"; it has {', '.join(_FIELDS)}"


def _model(request: Request, value: Any) -> None:
    request.model = text(value, "model")
    if not request.model:
        raise InvalidRequest("model is empty: name one, or leave it out", param="model")


def _prompt(request: Request, value: Any) -> None:
    words = [value] if type(value) is str else texts(value, "prompt")
    if not any(words):
        raise InvalidRequest("prompt is empty", param="prompt")
    parts: list[AnyPart] = [Text(text=word) for word in words]
    request.messages[-1].parts = [*parts, *request.messages[-1].parts]


def _system(request: Request, value: Any) -> None:
    request.messages.insert(0, Message(role="system", parts=[Text(text=text(value, "system"))]))


def _images(request: Request, value: Any) -> None:
    pictures: list[AnyPart] = [_image(item, f"images[{i}]") for i, item in enumerate(array(value, "images"))]
    request.messages[-1].parts = [*request.messages[-1].parts, *pictures]


def _image(value: Any, path: str) -> Media:
    """A data URL, a web address, or {"data": base64, "mime_type"?}."""
    if type(value) is str:
        if (split := split_data_url(value)) is not None:
            return Media(kind=kind_of(split[0]), mime=split[0], data=split[1])
        if value.startswith(("https://", "http://")):
            return Media(kind="image", url=value)
        raise InvalidRequest(f'{path} must be a data URL, a web address, or {{"data": base64}}', param=path)
    fields = obj(value, path)
    data = text(fields.get("data"), f"{path}.data")
    mime = fields.get("mime_type")
    mime = type_of(None if mime is None else text(mime, f"{path}.mime_type"), data)
    for key in fields.keys() - {"data", "mime_type"}:
        wrong = f"{path}.{key[:80]}"
        raise InvalidRequest(f"{wrong} is no field of an image: it has data and mime_type", param=wrong)
    return Media(kind=kind_of(mime), mime=mime, data=data)


def _stop(request: Request, value: Any) -> None:
    request.stop = [value] if type(value) is str else texts(value, "stop")


def _schema(request: Request, value: Any) -> None:
    request.output = Output(mode="schema", schema=obj(value, "schema"), name="answer")


def _json(request: Request, value: Any) -> None:
    if boolean(value, "json") and request.output is None:
        request.output = Output(mode="json")


def _scalar(name: str, read: Callable[[Any, str], Any], request: Request, value: Any) -> None:
    setattr(request, name, read(value, name))


_SCALARS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "temperature": number,
    "top_p": number,
    "top_k": integer,
    "max_tokens": integer,
    "seed": integer,
    "stream": boolean,
}
_FIELDS: Final[dict[str, Callable[[Request, Any], None]]] = {
    "prompt": _prompt,
    "model": _model,
    "system": _system,
    "images": _images,
    **{name: partial(_scalar, name, read) for name, read in _SCALARS.items()},
    "stop": _stop,
    "schema": _schema,
    "json": _json,
}

# Answers


def format_response(response: Response, request: Request, lose: Lose) -> Json:
    words, thoughts, pictures = list[str](), list[str](), list[str]()
    choice = response.choices[0] if response.choices else None
    for i, part in enumerate(choice.parts if choice else ()):
        match part:
            case Text():
                words.append(part.text)
                if part.citations:
                    lose(f"response.choices[0].parts[{i}].citations", "dropped", _NO_PLACE)
            case Thinking():
                thoughts.append(part.text)
            case Media(data=str(data)):
                pictures.append(data_url(type_of(part.mime, data), data))
            case _:
                lose(f"response.choices[0].parts[{i}]", "dropped", _NO_PLACE)
    for i in range(1, len(response.choices)):
        lose(f"response.choices[{i}]", "dropped", "the simple API has one answer")
    more = {"thinking": "".join(thoughts), "images": pictures}
    finish = choice.finish if choice else None
    return {
        "id": response.id,
        "text": "".join(words),
        **{key: value for key, value in more.items() if value},
        "model": response.model,
        **_ending(finish, response.usage),
    }


def _ending(finish: Finish | None, usage: Usage | None) -> Json:
    return {"finish_reason": finish.reason if finish else None, "usage": _usage(usage)}


def _usage(usage: Usage | None) -> Json | None:
    if usage is None:
        return None
    told: Json = {name: getattr(usage, field) for field, name in _USAGE.items() if getattr(usage, field) is not None}
    if usage.input is not None and usage.output is not None:
        told["total_tokens"] = usage.input + usage.output
    return told or None


class Formatter:
    """One stream. Words go out as they come, an image once it is whole."""

    def __init__(self, request: Request, lose: Lose) -> None:
        self._lose = lose
        self._model = request.model
        self._id = ""
        self._parts: dict[int, AnyPart] = {}
        self._data: dict[int, str] = {}  # of images, so far
        self._finish: Finish | None = None

    def feed(self, events: list[AnyEvent]) -> list[Out]:
        outs: list[Out] = []
        for event in events:
            match event:
                case Start():
                    self._id, self._model = event.id, event.model
                case PartStart(choice=0):
                    outs += self._begin(event)
                case PartDelta(choice=0):
                    outs += self._more(event)
                case PartEnd(choice=0):
                    outs += self._image(event.index)
                case PartStart():
                    self._lose(f"response.choices[{event.choice}].parts[{event.index}]", "dropped", _NO_PLACE)
                case ChoiceEnd(choice=0):
                    self._finish = event.finish
                case End():
                    ending = _ending(self._finish, event.usage)
                    outs.append(Out({"done": True, "id": self._id, "model": self._model, **ending}))
                case Failure():
                    outs.append(Out(format_error(event)[1]))
                case _:
                    pass
        return outs

    def _begin(self, event: PartStart) -> list[Out]:
        part = self._parts[event.index] = event.part
        match part:
            case Text() | Thinking():
                return _said(part, part.text)
            case Media(url=None, file=None):
                self._data[event.index] = part.data or ""
            case _:
                self._lose(f"response.choices[0].parts[{event.index}]", "dropped", _NO_PLACE)
        return []

    def _more(self, event: PartDelta) -> list[Out]:
        if event.index in self._data:
            self._data[event.index] += event.text
        if event.citation is not None:
            self._lose(f"response.choices[0].parts[{event.index}].citations", "dropped", _NO_PLACE)
        return _said(self._parts.get(event.index), event.text)

    def _image(self, index: int) -> list[Out]:
        part, data = self._parts.get(index), self._data.pop(index, "")
        return [Out({"image": data_url(type_of(part.mime, data), data)})] if isinstance(part, Media) and data else []


def _said(part: AnyPart | None, words: str) -> list[Out]:
    if not words or not isinstance(part, Text | Thinking):
        return []
    return [Out({"text" if isinstance(part, Text) else "thinking": words})]


def format_error(failure: Failure) -> tuple[int, Json]:
    status = 503 if failure.status == 529 else failure.status
    error: Json = {"message": failure.message, "type": failure.kind, "status": status}
    if failure.param is not None:
        error["field"] = failure.param
    return status, {"error": error}


def field_path(path: str, request: Request) -> str:
    """The client's own name of an IR path."""
    head, _, rest = path.partition(".")
    if not head.startswith("messages["):
        return rename(path, _PATHS)
    place = int(head[9:].partition("]")[0])
    message = request.messages[place] if place < len(request.messages) else None
    if message is not None and message.role == "system":
        return "system"
    parts = message.parts if message else []
    index = int(rest[6:].partition("]")[0]) if rest.startswith("parts[") else 0
    if index < len(parts) and isinstance(parts[index], Media):
        return f"images[{sum(isinstance(part, Media) for part in parts[:index])}]"
    return "prompt"
