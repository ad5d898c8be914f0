"""How each family of models is told to reason, and where its top_k stands: Bedrock passes additionalModelRequestFields on
as the model's own API has them, so Claude's are written by the file that knows Claude's.

Sources: Bedrock user guide, "Claude extended thinking"; Nova guide, "Using reasoning"; OpenAI's models on Bedrock.
"""

from typing import Any, Final, cast

from interlingua.ir import Effort, Json, Reasoning, Request
from interlingua.protocols import Lose, Target
from interlingua.protocols.bedrock.family import Family
from interlingua.protocols.bedrock.names import NAME
from interlingua.protocols.bedrock.turns import Turns
from interlingua.protocols.claude_thinking import tell_claude
from interlingua.protocols.wire import as_obj, foreign, integer, keep_in, note, note_down, obj

MORE: Final = "additionalModelRequestFields"
EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_THREE: Final[dict[str, str]] = {"minimal": "low", "xhigh": "high", "max": "high"}
_TOP_KS: Final = (("top_k",), ("inferenceConfig", "topK"), ("k",))
_FORCED: Final = {"any": "any", "tool": "tool"}
_DEFAULT_MAX: Final = 8_192

# Reading


def parse_more(request: Request, value: Any) -> None:
    """Takes what the IR can say out of additionalModelRequestFields; the rest are extras."""
    d = dict(obj(value, MORE))
    if type(d.get("thinking")) is dict:
        _thinking(request, d)
    if type(d.get("reasoningConfig")) is dict:
        _nova(request, d)
    if d.get("reasoning_effort") in ("minimal", *EFFORTS) and request.reasoning is None:
        request.reasoning = Reasoning(effort=cast(Effort, d.pop("reasoning_effort")))
        note_down(request.reasoning, NAME, "~thinks", "effort")
    for way in _TOP_KS:
        holder = as_obj(d.get(way[0])) if len(way) == 2 else d
        if request.top_k is None and holder.get(way[-1]) is not None:
            request.top_k = integer(holder[way[-1]], f"{MORE}.{'.'.join(way)}")
            note_down(request, NAME, "~top_k", list(way))
            rest = {key: inner for key, inner in holder.items() if key != way[-1]}
            if len(way) == 2:
                d[way[0]] = rest or None
            else:
                d = rest
    keep_in(request, NAME, MORE, d)


def _thinking(request: Request, d: Json) -> None:
    said = dict(cast(Json, d["thinking"]))
    kind = said.pop("type", None)
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        return
    reasoning = request.reasoning = request.reasoning or Reasoning()
    reasoning.enabled = kind in ("enabled", "adaptive")
    note_down(reasoning, NAME, "~thinks", "claude")
    note_down(reasoning, NAME, "~type", kind)
    if (budget := said.pop("budget_tokens", None)) is not None:
        reasoning.budget = integer(budget, f"{MORE}.thinking.budget_tokens")
    if said.get("display") in ("summarized", "omitted"):
        reasoning.visible = said.pop("display") == "summarized"
    del d["thinking"]
    keep_in(request, NAME, f"{MORE}.thinking", said)


def _nova(request: Request, d: Json) -> None:
    said = dict(cast(Json, d["reasoningConfig"]))
    kind, effort = said.pop("type", None), said.pop("maxReasoningEffort", None)
    if kind not in ("enabled", "disabled") or effort not in (None, "low", "medium", "high") or request.reasoning is not None:
        return
    request.reasoning = Reasoning(enabled=kind == "enabled", effort=effort)
    note_down(request.reasoning, NAME, "~thinks", "nova")
    del d["reasoningConfig"]
    keep_in(request, NAME, f"{MORE}.reasoningConfig", said)


def parse_effort(request: Request, effort: str) -> None:
    """outputConfig.effort."""
    reasoning = request.reasoning = request.reasoning or Reasoning()
    reasoning.effort = cast(Effort, effort)
    if not note(reasoning, NAME, "~thinks"):
        note_down(reasoning, NAME, "~thinks", "claude")
        note_down(reasoning, NAME, "~type", "")


# Writing


def format_reasoning(
    reasoning: Reasoning, request: Request, target: Target, kin: Family, turns: Turns, out: Json, lose: Lose
) -> bool:
    """Writes how to reason into `out`, whose inferenceConfig and toolConfig stand. True: Claude thinks."""
    if reasoning.extras:
        foreign(reasoning, NAME, "reasoning", lose)
    spelled = note(reasoning, NAME, "~thinks") if note(request, NAME, "~own") else None
    if kin.thinks != "claude" and reasoning.enabled is None and reasoning.effort is None and reasoning.budget is None:
        if reasoning.visible is not None:
            lose("reasoning.visible", "dropped", "no reasoning is asked for")
        return False
    match kin.thinks or (spelled if target.facts.family != "claude" else "claude"):
        case "claude":
            return _tell_claude(reasoning, request, target, turns, out, lose)
        case "nova":
            _tell_nova(reasoning, request, out, bool(spelled), lose)
        case "effort":
            _tell_effort(reasoning, out, lose)
        case _:
            lose("reasoning", "dropped", f"{target.model} is not known to reason on demand")
    return False


def _tell_claude(reasoning: Reasoning, request: Request, target: Target, turns: Turns, out: Json, lose: Lose) -> bool:
    kind = note(reasoning, NAME, "~type") if note(request, NAME, "~own") else None
    forced = next((_FORCED[word] for word in as_obj(as_obj(out.get("toolConfig")).get("toolChoice")) if word in _FORCED), "auto")
    body: Json = {
        "max_tokens": request.max_tokens or target.facts.max_output or _DEFAULT_MAX,
        "messages": [{"role": role, "content": [{"type": word} for word in words]} for role, words in turns.kinds()],
        "tool_choice": {"type": forced},
    }
    thinks = tell_claude(reasoning, kind, target, body, kind is not None, lose)
    if "thinking" in body:
        more(out)["thinking"] = body["thinking"]
    if (effort := as_obj(body.get("output_config")).get("effort")) is not None:
        out.setdefault("outputConfig", {})["effort"] = effort
    return thinks


def _tell_nova(reasoning: Reasoning, request: Request, out: Json, own: bool, lose: Lose) -> None:
    effort = _effort(reasoning, lose)
    off = reasoning.enabled is False
    said: Json = {"type": "disabled" if off else "enabled"}
    if effort is None and not off and not own:
        effort = "medium"
    limited = any(value is not None for value in (request.max_tokens, request.temperature, request.top_p))
    if effort == "high" and limited and not own:
        effort = "medium"
        lose("reasoning.effort", "changed", "high effort excludes maxTokens, temperature and topP")
    if effort is not None and (own or not off):
        said["maxReasoningEffort"] = effort
    elif reasoning.effort is not None:
        lose("reasoning.effort", "dropped", "reasoning is off")
    more(out)["reasoningConfig"] = said


def _tell_effort(reasoning: Reasoning, out: Json, lose: Lose) -> None:
    effort = _effort(reasoning, lose)
    if reasoning.enabled is False:
        lose("reasoning.enabled", "changed", "the model always reasons: it is told to do so little")
        effort = "low"
    if effort is not None:
        more(out)["reasoning_effort"] = effort
    elif reasoning.enabled:
        lose("reasoning.enabled", "dropped", "the model decides by itself")


def _effort(reasoning: Reasoning, lose: Lose) -> str | None:
    """One of low, medium, high; None where none was said."""
    if reasoning.visible is not None:
        lose("reasoning.visible", "dropped", "the model has no such switch")
    effort: str | None = reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = "low" if reasoning.budget <= 4_096 else "medium" if reasoning.budget <= 16_384 else "high"
    if reasoning.budget is not None:
        lose("reasoning.budget", "changed" if reasoning.effort is None else "dropped", "the model takes an effort, not a budget")
    if reasoning.effort in _THREE:
        effort = _THREE[reasoning.effort]
        lose("reasoning.effort", "changed", f"the model has no effort {reasoning.effort}: {effort}")
    return effort


def format_top_k(request: Request, target: Target, kin: Family, own: bool, thinks: bool, out: Json, lose: Lose) -> None:
    if request.top_k is None:
        return
    spelled: list[str] | None = note(request, NAME, "~top_k") if own else None
    way = kin.top_k or spelled
    if way is None:
        lose("top_k", "dropped", f"{target.model} is not known to have it")
        return
    if not target.facts.sampling or (thinks and not own):
        lose("top_k", "dropped", f"{target.model} takes none" + (" while it thinks" if target.facts.sampling else ""))
        return
    spot = more(out)
    for step in way[:-1]:
        spot = spot.setdefault(step, {})
    spot[way[-1]] = request.top_k


def more(out: Json) -> Json:
    return out.setdefault(MORE, {})
