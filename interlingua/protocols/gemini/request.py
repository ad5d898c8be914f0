"""A generateContent request: read from a client, written for a backend. Source: the SDK's _GenerateContentParameters_to_mldev.

The model and whether to stream are said by the path, so the body written here says neither.
"""

from collections.abc import Mapping
from typing import Any, Final

from interlingua.errors import InvalidRequest
from interlingua.ir import Json, Request
from interlingua.protocols import Lose, Target
from interlingua.protocols.gemini.config import format_config, read_config
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.spelling import REQUEST, spell
from interlingua.protocols.gemini.tools import format_tool_config, format_tools, read_tool_config, read_tools
from interlingua.protocols.gemini.turns import Turns, read_turns
from interlingua.protocols.wire import foreign, keep, need, text

# Where what was kept of an inner object goes back to, the innermost first.
_PLACES: Final = ("toolConfig.functionCallingConfig.", "toolConfig.", "generationConfig.")


def parse_request(body: Json, model: str | None = None, stream: bool | None = None) -> Request:
    try:
        return _parse_request(spell(body, REQUEST), model, stream)
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.") from None


def _parse_request(d: Json, model: str | None, stream: bool | None) -> Request:
    named = d.pop("model", None)
    if not (name := model):
        name = text(need({"model": named}, "model", "model"), "model").removeprefix("models/")
    contents = need(d, "contents", "contents")
    messages = read_turns(d.pop("systemInstruction", None), contents)
    request = Request(model=name, messages=messages, stream=bool(stream), extras={NAME: {"~own": True}})
    if (tools := d.pop("tools", None)) is not None:
        request.tools = read_tools(tools)
    if (choice := d.pop("toolConfig", None)) is not None:
        read_tool_config(request, choice)
    if (config := d.pop("generationConfig", None)) is not None:
        read_config(request, config)
    if d:
        keep(request, NAME, d)
    return request


def format_request(request: Request, target: Target, lose: Lose) -> Json:
    turns = Turns(request, target, lose)
    out: Json = {"contents": turns.contents()}
    if turns.system is not None:
        out["systemInstruction"] = turns.system
    if request.tools and (tools := format_tools(request, target, lose)):
        out["tools"] = tools
    if request.tools or request.tool_choice is not None:
        if (choice := format_tool_config(request, lose)) is not None:
            out["toolConfig"] = choice
    if config := format_config(request, target, lose):
        out["generationConfig"] = config
    if request.user is not None:
        lose("user", "dropped", "Gemini is not told who asks")
    if request.extras:
        foreign(request, NAME, "", lose)
        for key, value in request.extras.get(NAME, {}).items():
            if key[:1] != "~":
                _put_back(out, key, value)
    return out


def request_headers(body: Json, own: Mapping[bytes, bytes]) -> bytes:
    """None: the host's say it all."""
    return b""


def _put_back(out: Json, key: str, value: Any) -> None:
    place = next((place for place in _PLACES if key.startswith(place)), "")
    inner = out
    for step in place.split(".")[:-1]:
        inner = inner.setdefault(step, {})
    inner[key[len(place) :]] = value
