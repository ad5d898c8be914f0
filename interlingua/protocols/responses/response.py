"""A response: read from a backend, written for a client. Source: types.responses.Response, ResponseUsage, ResponseError.

What a response only repeats of its request (`_ECHO`) is a note, never a loss. A response that failed raises, unless it
was the model that failed, whose answer it then still is (an error of type `model_error`).
"""

from functools import partial
from typing import Any, Final, assert_never

from interlingua.errors import InterlinguaError, ProviderFailure, UpstreamGarbage
from interlingua.ir import (
    AnyPart,
    Choice,
    Finish,
    Json,
    Media,
    Opaque,
    Reason,
    Request,
    Response,
    Text,
    Thinking,
    TokenLogprob,
    ToolCall,
    ToolResult,
    Usage,
)
from interlingua.losses import How
from interlingua.protocols import Lose
from interlingua.protocols.openai_errors import failure_of
from interlingua.protocols.responses.items import Turn, must_seal, reasoning_item, sealed_item
from interlingua.protocols.responses.names import NAME, VENDOR, answer_id, item_id
from interlingua.protocols.responses.parts import Spot, format_annotations, format_logprob, parse_logprobs
from interlingua.protocols.responses.request import text_of
from interlingua.protocols.responses.tools import Spelling, call_item, call_spelling, format_tools, spelled_choice, spellings
from interlingua.protocols.shared import written
from interlingua.protocols.wire import (
    array,
    as_count,
    as_obj,
    as_text,
    foreign,
    integer,
    is_json_object,
    keep,
    keep_in,
    merge,
    note,
    obj,
    text,
)

MODEL_ERROR: Final = "model_error"
_STATUSES: Final = ("completed", "failed", "in_progress", "cancelled", "queued", "incomplete")
_INCOMPLETE: Final[dict[str, Reason]] = {"max_output_tokens": "length", "content_filter": "filter"}
_WORDS: Final[dict[Reason, str]] = {
    "stop": "completed",
    "tool_calls": "completed",
    "length": "max_output_tokens",
    "context": "max_output_tokens",
    "filter": "content_filter",
    "pause": "completed",
    "error": "failed",
    "other": "completed",
}
_ECHO: Final = frozenset(
    {
        "access_programs",
        "background",
        "completed_at",
        "context_management",
        "error",
        "frequency_penalty",
        "image",
        "incomplete_details",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "object",
        "parallel_tool_calls",
        "presence_penalty",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "store",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    }
)
SEALED: Final = "a response has no such item: sealed in encrypted_content"
_NOT_APART: Final = "a response does not count it apart"
_NOT_TOLD_AGAIN: Final = frozenset({"object", "error", "incomplete_details"})

# Reading


def parse_response(body: Json) -> Response:
    try:
        return _parse_response(body)
    except ProviderFailure:
        raise
    except InterlinguaError as error:
        raise UpstreamGarbage(f"The provider's answer is no response: {error}") from None


def _parse_response(body: Json) -> Response:
    finish_error = take_failure(body)
    turn = Turn("output")
    for i, item in enumerate(array(body.pop("output", None), "output")):
        d = obj(item, f"output[{i}]")
        turn.read(d, text(d.get("type"), f"output[{i}].type"), i)
    choice = Choice(parts=turn.end())
    choice.finish = take_finish(body, choice.parts, finish_error)
    for part in choice.parts:
        if type(part) is Text and part.extras and (found := note(part, NAME, "~logprobs")):
            choice.logprobs = choice.logprobs + parse_logprobs(found, "output.content.logprobs")
    response = Response(choices=[choice])
    response.id, response.model, response.created = take_head(body)
    if (usage := body.pop("usage", None)) is not None:
        response.usage = parse_usage(usage)
    response.extras = take_extras(body)
    return response


def take_failure(body: Json) -> Json | None:
    """The error of the model's own making that a response tells of. Raises ProviderFailure for any other."""
    error = body.get("error")
    if body.get("status") != "failed" or error is None:
        return None
    if (said := as_obj(error)).get("type") == MODEL_ERROR:
        return said
    raise ProviderFailure(failure_of(None, {"error": as_obj(body.get("error"))}))


def take_head(body: Json) -> tuple[str, str, int]:
    """Pops id, model and the time of creation."""
    created = body.pop("created_at", None) or 0
    if type(created) is float:
        created = int(created)
    return text(body.pop("id", None) or "", "id"), text(body.pop("model", None) or "", "model"), integer(created, "created_at")


def take_finish(body: Json, parts: list[AnyPart], error: Json | None) -> Finish | None:
    """Pops the status, and tells why the answer ended."""
    status = body.pop("status", None)
    if status is None:
        return None
    word = text(status, "status")
    if word == "completed":
        called = any(isinstance(part, ToolCall) for part in parts)
        return Finish(reason="tool_calls" if called else "stop", raw=word, origin=NAME)
    if word == "incomplete":
        reason = as_text(as_obj(body.get("incomplete_details")).get("reason"))
        return Finish(reason=_INCOMPLETE.get(reason or "", "other"), raw=reason or word, origin=NAME)
    finish = Finish(reason="error" if word == "failed" else "other", raw=word, origin=NAME)
    if error is not None:
        finish.extras = {NAME: {"~error": error}}
    return finish


def take_extras(body: Json) -> dict[str, Json]:
    """What a response says beside the IR: the request's echo as a note, what the vendor's two APIs share, and the rest."""
    mine: Json = {"~echo": {key: value for key, value in body.items() if key in _ECHO and key not in _NOT_TOLD_AGAIN}}
    shared: Json = {}
    for key, value in body.items():
        if value is None or key in _ECHO:
            continue
        if key == "service_tier":
            shared[key] = value
        else:
            mine[key] = value
    return {NAME: mine, VENDOR: shared} if shared else {NAME: mine}


def parse_usage(value: Any) -> Usage:
    d = dict(obj(value, "usage"))
    given, spent = dict(as_obj(d.pop("input_tokens_details", None))), dict(as_obj(d.pop("output_tokens_details", None)))
    d.pop("total_tokens", None)
    usage = Usage(
        input=as_count(d.pop("input_tokens", None)),
        cache_read=as_count(given.pop("cached_tokens", None)),
        cache_write=as_count(given.pop("cache_write_tokens", None)),
        output=as_count(d.pop("output_tokens", None)),
        reasoning=as_count(spent.pop("reasoning_tokens", None)),
    )
    if given:
        keep_in(usage, NAME, "input_tokens_details", given)
    if spent:
        keep_in(usage, NAME, "output_tokens_details", spent)
    if d:
        keep(usage, NAME, d)
    return usage


# Writing


def format_response(response: Response, asked: Request, lose: Lose) -> Json:
    id_ = answer_id(response.id)
    choice = response.choices[0] if response.choices else Choice()
    for i in range(1, len(response.choices)):
        lose(f"response.choices[{i}]", "dropped", "a response answers once")
    status = format_status(choice.finish, lose)
    output = Output(id_, asked, choice.logprobs, status["status"] == "incomplete", lose)
    items = output.write(choice.parts)
    if choice.extras:
        foreign(choice, NAME, "response.choices[0]", lose)
    out = head_of(id_, response.created, response.model)
    out.update(format_extras(response.extras, asked, lose))
    out.update(status)
    out["output"], out["usage"] = items, format_usage(response.usage, lose)
    return out


def head_of(id_: str, created: int, model: str) -> Json:
    return {"id": id_, "object": "response", "created_at": created, "model": model}


def format_extras(extras: dict[str, Json], asked: Request, lose: Lose) -> Json:
    """The request's echo, and what else is said beside the IR; `extras` are a response's or a Start's."""
    told = extras[NAME].get("~echo") if NAME in extras else None
    out = echo(asked) if told is None else dict(told)
    for origin, values in extras.items():
        for key, value in values.items():
            if key[:1] == "~":
                continue
            if origin == NAME or origin == VENDOR and key == "service_tier":
                out[key] = value
            else:
                lose(f"response.{key}", "dropped", f"only {origin} has it")
    return out


def echo(asked: Request) -> Json:
    """A request's own parameters, as its response repeats them."""
    mine = asked.extras.get(NAME, {})
    shared: Json = asked.extras[VENDOR] if VENDOR in asked.extras else {}
    reasoning, choice = asked.reasoning, asked.tool_choice
    effort: str | None = None
    if reasoning is not None:
        effort = "none" if reasoning.enabled is False else reasoning.effort
    words: Json = {"format": {"type": "text"}}
    if asked.output is not None or shared:
        words |= text_of(asked, unreported)
    return {
        "background": bool(mine.get("background")),
        "instructions": _instructions(asked),
        "max_output_tokens": asked.max_tokens,
        "max_tool_calls": mine.get("max_tool_calls"),
        "metadata": shared.get("metadata") or {},
        "parallel_tool_calls": choice is None or choice.parallel is not False,
        "previous_response_id": mine.get("previous_response_id") or mine.get("~previous_response_id"),
        "prompt_cache_key": shared.get("prompt_cache_key"),
        "reasoning": {"effort": effort, "summary": note(reasoning, NAME, "~summary") if reasoning is not None else None},
        "safety_identifier": shared.get("safety_identifier"),
        "store": mine.get("~store", True),
        "temperature": asked.temperature,
        "text": words,
        "tool_choice": mine.get("tool_choice") or ("auto" if choice is None else spelled_choice(choice, asked, None)),
        "tools": written(asked.tools, (NAME,), partial(format_tools, asked, None), unreported) if asked.tools else [],
        "top_logprobs": asked.top_logprobs or 0,
        "top_p": asked.top_p,
        "truncation": mine.get("truncation") or "disabled",
        "user": asked.user,
    }


def _instructions(asked: Request) -> str | None:
    for message in asked.messages:
        if message.extras and note(message, NAME, "~instructions"):
            return "".join(part.text for part in message.parts if isinstance(part, Text))
    return None


def unreported(path: str, how: How, why: str = "") -> None:
    """For what is only told again."""


def format_status(finish: Finish | None, lose: Lose) -> Json:
    out: Json = {"status": "completed", "error": None, "incomplete_details": None}
    if finish is None:
        return out
    if finish.stop is not None:
        lose("response.choices[0].finish.stop", "dropped", "OpenAI does not tell which stop sequence matched")
    own = finish.origin == NAME and finish.raw is not None
    if finish.reason in ("pause", "context", "other") and not own:
        lose("response.choices[0].finish.reason", "changed", f"OpenAI has no word for {finish.raw or finish.reason}")
    word = finish.raw if own and finish.raw is not None else _WORDS[finish.reason]
    if word in _STATUSES:
        out["status"] = word
    else:
        out["status"], out["incomplete_details"] = "incomplete", {"reason": word}
    if own:
        out["error"] = note(finish, NAME, "~error")
    elif word == "failed":
        message = f"The model ended its answer with {finish.raw or 'an error'}."
        out["error"] = {"code": "server_error", "message": message, "type": MODEL_ERROR}
    if finish.extras:
        foreign(finish, NAME, "response.choices[0].finish", lose)
    return out


def format_usage(usage: Usage | None, lose: Lose) -> Json | None:
    """What was not reported is zero here: the SDK's type has no other word for it."""
    if usage is None:
        return None
    input_, output = usage.input or 0, usage.output or 0
    if usage.audio_input is not None:
        lose("response.usage.audio_input", "dropped", _NOT_APART)
    if usage.audio_output is not None:
        lose("response.usage.audio_output", "dropped", _NOT_APART)
    out: Json = {
        "input_tokens": input_,
        "input_tokens_details": {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": usage.cache_write or 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning or 0},
        "total_tokens": input_ + output,
    }
    if usage.extras:
        foreign(usage, NAME, "response.usage", lose)
        merge(out, usage, NAME)
    return out


class Output:
    """The items of one answer."""

    def __init__(self, id_: str, asked: Request, logprobs: list[TokenLogprob], cut: bool, lose: Lose) -> None:
        self._id = id_
        self._asked = asked
        self._known: dict[str, Spelling] | None = None
        self._logprobs = logprobs
        self._cut = cut
        self._spot = Spot(lose)
        self._items: list[Json] = []

    def write(self, parts: list[AnyPart]) -> list[Json]:
        spot, joins = self._spot, False
        if self._logprobs and any(type(part) is Text and note(part, NAME, "~logprobs") for part in parts):
            self._logprobs = []  # the parts tell theirs
        for j, part in enumerate(parts):
            spot.j = j
            if type(part) is Text and (part.text or part.signature is None or part.citations):
                if part.signature is not None:
                    self._items.append({"id": self._own_id("rs"), **sealed_item(part.signature)})
                    joins = False
                self._text(part, joins)
                joins = True
            else:
                joins = False
                if not self._item(part, self._cut and j + 1 == len(parts)):
                    continue
            if part.extras:
                spot.foreign(part)
        if self._logprobs:
            spot.report("response.choices[0].logprobs", "dropped", "there is no text they belong to")
        if self._cut and self._items and self._items[-1].get("type") == "message":
            if not any("status" in (note(part, NAME, "~item") or {}) for part in parts):
                self._items[-1]["status"] = "incomplete"
        return self._items

    def _own_id(self, kind: str) -> str:
        return item_id(kind, self._id, len(self._items))

    def _text(self, part: Text, joins: bool) -> None:
        mine = part.extras.get(NAME) if part.extras else None
        head: Json | None = mine.get("~item") if mine else None
        if not joins or head is not None:
            id_ = item_id("msg", self._id, len(self._items))
            item: Json = {"id": id_, "type": "message", "status": "completed", "role": "assistant", "content": []}
            if mine:
                item |= head or {}
                item |= {key.removeprefix("item."): value for key, value in mine.items() if key.startswith("item.")}
            self._items.append(item)
        self._items[-1]["content"].append(self._content(part, mine))

    def _content(self, part: Text, mine: Json | None) -> Json:
        """`mine`: this protocol's own extras of the part."""
        if part.refusal:
            out: Json = {"type": "refusal", "refusal": part.text}
        else:
            said: Any = mine.get("~logprobs") if mine else None
            if said is None:
                said = [format_logprob(token) for token in self._logprobs] if self._logprobs else []
                self._logprobs = []
            annotations = format_annotations(part, self._spot) if part.citations else []
            out = {"type": "output_text", "annotations": annotations, "logprobs": said, "text": part.text}
        if mine:
            out |= {key: value for key, value in mine.items() if key[:1] != "~" and not key.startswith("item.")}
        return out

    def _item(self, part: AnyPart, cut: bool) -> bool:
        """Whether it is told in this protocol's words, not sealed. `cut`: it is the last of an answer that broke off."""
        spot = self._spot
        match part:
            case Thinking() if not must_seal(part):
                self._items.append({"id": self._own_id("rs"), **reasoning_item(part)})
            case Thinking():
                self._items.append({"id": self._own_id("rs"), **sealed_thinking(part)})
            case ToolCall():
                if part.signature is not None:
                    self._items.append({"id": self._own_id("rs"), **sealed_item(part.signature)})
                self._call(part, cut)
            case Opaque(origin="responses"):
                self._items.append(dict(part.data))
            case Opaque() | Media() | ToolResult() | Text():
                self._items.append({"id": self._own_id("rs"), **sealed_item(part)})
                if not isinstance(part, Text):
                    spot.change(SEALED)
                return False
            case _:
                assert_never(part)
        return True

    def _call(self, call: ToolCall, cut: bool) -> None:
        if self._known is None:
            self._known = spellings(self._asked)
        self._items.append(answer_call(call, self._known, self._id, len(self._items), cut))


def answer_call(call: ToolCall, known: dict[str, Spelling], answer: str, index: int, cut: bool = False) -> Json:
    """A call as an item of an answer; one that came without ids gets them from its place. `cut`: the answer broke off here."""
    spelling = call_spelling(call, known)
    custom = spelling is not None and spelling.custom
    out: Json = {"id": item_id("ctc" if custom else "fc", answer, index)}
    out |= call_item(call, spelling, call.id or item_id("call", answer, index))
    if not custom:
        out["status"] = "completed"
        if cut and not is_json_object(call.arguments):
            out |= {"status": "incomplete", "arguments": call.arguments}
    if call.extras:
        out |= note(call, NAME, "~item") or {}
        merge(out, call, NAME)
    return out


def sealed_thinking(part: Thinking) -> Json:
    """Thinking that another protocol's model sealed: its words as a summary, and all of it in the seal."""
    summary = [{"type": "summary_text", "text": part.text}] if part.text and not part.redacted else []
    return {**sealed_item(part), "summary": summary}
