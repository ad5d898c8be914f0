"""generationConfig: sampling, output and thinking. Source: the SDK's GenerateContentConfig and ThinkingConfig,
ai.google.dev/gemini-api/docs/thinking (budgets and levels by model)."""

from collections.abc import Callable
from typing import Any, Final, cast

from interlingua.ir import Effort, Function, Json, Output, Reasoning, Request
from interlingua.protocols import Lose, Target
from interlingua.protocols.gemini.names import NAME
from interlingua.protocols.gemini.spelling import CONFIG, THINKING, spell
from interlingua.protocols.schema import from_openapi, to_openapi
from interlingua.protocols.wire import boolean, foreign, integer, keep, keep_in, merge, note, note_down, number, obj, text, texts

_SCALARS: Final[dict[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "temperature": ("temperature", number),
    "topP": ("top_p", number),
    "topK": ("top_k", integer),
    "maxOutputTokens": ("max_tokens", integer),
    "stopSequences": ("stop", texts),
    "seed": ("seed", integer),
    "candidateCount": ("n", integer),
    "presencePenalty": ("presence_penalty", number),
    "frequencyPenalty": ("frequency_penalty", number),
    "responseLogprobs": ("logprobs", boolean),
    "logprobs": ("top_logprobs", integer),
}
_WORDS: Final = {field: key for key, (field, _) in _SCALARS.items() if field != "stop"}
_MAX_STOP: Final = 5
_LEVELS: Final[dict[str, Effort]] = {
    "MINIMAL": "minimal",
    "LOW": "low",
    "MEDIUM": "medium",
    "HIGH": "high",
    "XHIGH": "xhigh",
}
_BUDGETS: Final[dict[Effort, int]] = {"minimal": 512, "low": 1024, "medium": 8192, "high": 24_576}

# Reading


def read_config(request: Request, value: Any) -> None:
    d: Json = {}
    for key, said in spell(obj(value, "generationConfig"), CONFIG).items():
        if (scalar := _SCALARS.get(key)) is not None:
            field, reader = scalar
            setattr(request, field, reader(said, f"generationConfig.{key}"))
        else:
            d[key] = said
    if not d:
        return
    if (thinking := d.pop("thinkingConfig", None)) is not None:
        request.reasoning = _read_thinking(spell(obj(thinking, "generationConfig.thinkingConfig"), THINKING))
    _read_output(request, d)
    keep_in(request, NAME, "generationConfig", d)


def _read_thinking(d: Json) -> Reasoning:
    path = "generationConfig.thinkingConfig"
    reasoning = Reasoning()
    if (visible := d.pop("includeThoughts", None)) is not None:
        reasoning.visible = boolean(visible, f"{path}.includeThoughts")
    if (budget := d.pop("thinkingBudget", None)) is not None:
        budget = integer(budget, f"{path}.thinkingBudget")
        if budget > 0:
            reasoning.budget = budget
        else:
            reasoning.enabled = budget != 0
    level = d.get("thinkingLevel")
    if level is not None and (effort := _LEVELS.get(text(level, f"{path}.thinkingLevel").upper())) is not None:
        reasoning.effort = effort
        del d["thinkingLevel"]
    note_down(reasoning, NAME, "~own")
    keep(reasoning, NAME, d)
    return reasoning


def _read_output(request: Request, d: Json) -> None:
    """Takes from the generationConfig what says how the answer must look; media types of Gemini's alone stay in it."""
    mime, schema, old = d.get("responseMimeType"), d.get("responseJsonSchema"), d.get("responseSchema")
    if mime in (None, "application/json") and (schema is not None or old is not None):
        output = Output(mode="schema")
        if schema is not None:
            output.schema = obj(d.pop("responseJsonSchema"), "generationConfig.responseJsonSchema")
        else:
            output.schema = from_openapi(obj(d.pop("responseSchema"), "generationConfig.responseSchema"))
            note_down(output, NAME, "~schema", old)
        if d.pop("responseMimeType", None) is None:
            note_down(output, NAME, "~mime", "absent")
        request.output = output
    elif mime == "application/json" or mime == "text/plain":
        del d["responseMimeType"]
        request.output = Output(mode="json" if mime == "application/json" else "text")


# Writing


def format_config(request: Request, target: Target, lose: Lose) -> Json:
    own = bool(note(request, NAME, "~own"))
    out: Json = {}
    for field, key in _WORDS.items():
        if (value := getattr(request, field)) is not None:
            out[key] = value
    if request.seed is not None and not -(1 << 31) <= request.seed < 1 << 31:
        out["seed"] = request.seed & 0x7FFFFFFF
        lose("seed", "changed", "Gemini's are of 32 bits")
    if request.stop:
        out["stopSequences"] = request.stop if own else request.stop[:_MAX_STOP]
        if len(request.stop) > _MAX_STOP and not own:
            lose("stop", "changed", f"Gemini takes {_MAX_STOP} at most")
    if request.output is not None and not own and _excludes_functions(request, target):
        lose("output", "dropped", f"{target.model} takes functions or an output format, not both")
    elif request.output is not None:
        _format_output(request.output, target, out, lose)
    if request.reasoning is not None:
        thinking = _format_reasoning(request.reasoning, target, lose)
        if thinking or note(request.reasoning, NAME, "~own"):
            out["thinkingConfig"] = thinking
    return out


def _excludes_functions(request: Request, target: Target) -> bool:
    """Before Gemini 3: "Function calling with a response mime type: 'application/json' is unsupported"."""
    old = target.facts.family == "gemini" and not target.facts.signs_calls
    wanted = request.output is not None and request.output.mode != "text"
    return old and wanted and any(isinstance(tool, Function) for tool in request.tools)


def _format_output(output: Output, target: Target, out: Json, lose: Lose) -> None:
    """Its name is a label only, and Gemini is always strict."""
    if not note(output, NAME, "~mime"):
        out["responseMimeType"] = "text/plain" if output.mode == "text" else "application/json"
    old = note(output, NAME, "~schema")
    if output.schema is not None:
        if old is not None:
            out["responseSchema"] = old
        elif "openapi_schema" in target.quirks:
            out["responseSchema"] = to_openapi(output.schema, "output.schema", lose)
        else:
            out["responseJsonSchema"] = output.schema
    if output.description is not None:
        lose("output.description", "dropped", "a schema of Gemini's is told without a word about it")
    if output.extras:
        foreign(output, NAME, "output", lose)


def _format_reasoning(reasoning: Reasoning, target: Target, lose: Lose) -> Json:
    if reasoning.extras:
        foreign(reasoning, NAME, "reasoning", lose)
    out: Json = {}
    if note(reasoning, NAME, "~own"):
        _own(reasoning, out)
    elif target.facts.thinks == "level":
        _level(reasoning, target, out, lose)
    elif target.facts.thinks == "budget":
        _budget(reasoning, target, out, lose)
    else:
        lose("reasoning", "dropped", f"{target.model} does not think")
        return out
    if reasoning.visible is not None:
        out["includeThoughts"] = reasoning.visible
    return merge(out, reasoning, NAME)


def _own(reasoning: Reasoning, out: Json) -> None:
    if reasoning.budget is not None:
        out["thinkingBudget"] = reasoning.budget
    elif reasoning.enabled is not None:
        out["thinkingBudget"] = -1 if reasoning.enabled else 0
    if reasoning.effort is not None:
        out["thinkingLevel"] = reasoning.effort.upper()


def _level(reasoning: Reasoning, target: Target, out: Json, lose: Lose) -> None:
    least = "LOW" if "pro" in target.model.lower() else "MINIMAL"
    if reasoning.enabled is False:
        out["thinkingLevel"] = least
        lose("reasoning.enabled", "changed", f"{target.model} always thinks")
        for field in ("effort", "budget"):
            if getattr(reasoning, field) is not None:
                lose(f"reasoning.{field}", "dropped", "reasoning is off")
        return
    effort = reasoning.effort
    if reasoning.budget is not None:
        lose("reasoning.budget", "dropped" if effort else "changed", f"{target.model} takes a level, not a budget")
        effort = effort or _effort_of(reasoning.budget)
    if effort is not None:
        level = {"minimal": least, "xhigh": "HIGH", "max": "HIGH"}.get(effort, effort.upper())
        out["thinkingLevel"] = level
        if level != effort.upper():
            lose("reasoning.effort" if reasoning.effort else "reasoning.budget", "changed", f"{target.model} takes {level}")


def _effort_of(budget: int) -> Effort:
    found = next((e for limit, e in ((512, "minimal"), (4096, "low"), (16_384, "medium")) if budget <= limit), "high")
    return cast(Effort, found)


def _budget(reasoning: Reasoning, target: Target, out: Json, lose: Lose) -> None:
    pro, lite = "pro" in target.model.lower(), "lite" in target.model.lower()
    least, most = (128, 32_768) if pro else (512 if lite else 1, 24_576)
    if reasoning.enabled is False:
        out["thinkingBudget"] = least if pro else 0
        if pro:
            lose("reasoning.enabled", "changed", f"{target.model} always thinks")
        for field in ("effort", "budget"):
            if getattr(reasoning, field) is not None:
                lose(f"reasoning.{field}", "dropped", "reasoning is off")
        return
    field, budget = "reasoning.budget", reasoning.budget
    if budget is not None and reasoning.effort is not None:
        lose("reasoning.effort", "dropped", "the budget says it")
    elif reasoning.effort is not None:
        field, budget = "reasoning.effort", _BUDGETS.get(reasoning.effort, 32_768)
    if budget is not None:
        out["thinkingBudget"] = max(least, min(most, budget))
        if out["thinkingBudget"] != budget or (field == "reasoning.effort" and reasoning.effort == "xhigh"):
            lose(field, "changed", f"{target.model} takes {least} to {most} tokens")
    elif reasoning.enabled:
        out["thinkingBudget"] = -1
