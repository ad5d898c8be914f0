"""How a Claude is told to think, by Anthropic and on Bedrock: `thinking` and `output_config.effort`. Defaults are semantics:
what was not asked is not said.

Source: platform.claude.com pages thinking, effort and thinking-troubleshooting; types.thinking_config_param.
"""

from typing import Final

from interlingua.ir import Json, Reasoning
from interlingua.protocols import Lose, Target
from interlingua.protocols.claude import claude
from interlingua.protocols.wire import as_array, as_obj

_LEAST: Final = 1_024  # tokens; Anthropic's smallest budget
_BUDGETS: Final = {"minimal": _LEAST, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 32_768}
_TYPES: Final = {
    "budget": ("enabled", "disabled"),
    "adaptive": ("adaptive", "disabled", "between_tools"),
    "budget_or_adaptive": ("enabled", "adaptive", "disabled"),
}
_ORDER: Final = ("low", "medium", "high", "xhigh", "max")
_FORCED: Final = ("any", "tool")


def tell_claude(reasoning: Reasoning, kind: str | None, target: Target, out: Json, own: bool, lose: Lose) -> bool:
    """Writes `thinking` and the effort into `out`, whose messages, tool choice and max_tokens stand. True: it thinks.
    `kind`: the type of `thinking` in the words of a client of Claude's, "" where it named but an effort."""
    if own and kind is not None and _takes(kind, reasoning, target):
        _write_own(kind, reasoning, out)
    elif reasoning.enabled is False:
        _turn_off(reasoning, target, out, own, lose)
    else:
        _turn_on(reasoning, target, out, own, lose)
    return as_obj(out.get("thinking")).get("type") in ("enabled", "adaptive") and _may_think(out, own, lose)


def _takes(kind: str, reasoning: Reasoning, target: Target) -> bool:
    """Whether the model takes the client's own words; another model than the client had in mind may not."""
    if target.facts.family != "claude":
        return True
    knows = claude(target.model)
    if reasoning.effort is not None and reasoning.effort not in knows.efforts:
        return False
    if kind in ("disabled", "between_tools"):
        return kind == knows.off
    return kind == "" or kind in _TYPES.get(target.facts.thinks, ())


def _write_own(kind: str, reasoning: Reasoning, out: Json) -> None:
    if kind:
        said: Json = {"type": kind}
        if reasoning.budget is not None:
            said["budget_tokens"] = reasoning.budget
        if reasoning.visible is not None:
            said["display"] = "summarized" if reasoning.visible else "omitted"
        out["thinking"] = said
    if reasoning.effort is not None:
        out["output_config"] = {"effort": reasoning.effort}


def _turn_off(reasoning: Reasoning, target: Target, out: Json, own: bool, lose: Lose) -> None:
    off = claude(target.model).off
    if own and off is not None and reasoning.effort is not None:  # an effort is the whole answer's, thought or not
        _write_effort(reasoning, target, out, lose)
    if off is None:
        out["output_config"] = {"effort": "low"}
        lose("reasoning.enabled", "changed", f"{target.model} always thinks: it is told to think little")
    elif target.facts.thinks != "no":
        out["thinking"] = {"type": off}
    for key in ("effort", "budget", "visible"):
        if getattr(reasoning, key) is not None and not (key == "effort" and "output_config" in out and off is not None):
            lose(f"reasoning.{key}", "dropped", "reasoning is off")


def _turn_on(reasoning: Reasoning, target: Target, out: Json, own: bool, lose: Lose) -> None:
    thinks = target.facts.thinks
    asked = reasoning.enabled or reasoning.effort is not None or reasoning.budget is not None
    if thinks == "no" or thinks not in _TYPES:
        lose("reasoning", "dropped", f"{target.model} is not known to think")
        return
    if not asked:
        if reasoning.visible is not None:
            lose("reasoning.visible", "dropped", "no thinking is asked for")
        return
    if own and reasoning.enabled is None:
        _write_effort(reasoning, target, out, lose)
        return
    if thinks == "budget" or (thinks == "budget_or_adaptive" and reasoning.budget is not None):
        budget = _budget(reasoning, out, lose)
        if budget is None:
            return
        out["thinking"] = {"type": "enabled", "budget_tokens": budget}
    else:
        out["thinking"] = {"type": "adaptive"}
        _write_effort(reasoning, target, out, lose)
    if reasoning.visible is not None:
        out["thinking"]["display"] = "summarized" if reasoning.visible else "omitted"


def _budget(reasoning: Reasoning, out: Json, lose: Lose) -> int | None:
    """Tokens to think with; a quarter of the answer's are left for the answer."""
    most = out.get("max_tokens", 0)
    room = most * 3 // 4
    if room < _LEAST:
        lose("reasoning", "dropped", f"max_tokens of {most} leaves no room for thinking")
        return None
    if reasoning.budget is not None:
        if reasoning.effort is not None:
            lose("reasoning.effort", "dropped", "the budget says it")
        budget = max(reasoning.budget, _LEAST)
        budget = budget if budget < most else room
        if budget != reasoning.budget:
            lose("reasoning.budget", "changed", f"a budget is {_LEAST} or more, and below max_tokens")
        return budget
    wanted = room if reasoning.effort == "max" else _BUDGETS[reasoning.effort or "medium"]
    if wanted > room:
        lose("reasoning.effort", "changed", f"max_tokens leaves {room} tokens for thinking")
    return min(wanted, room)


def _write_effort(reasoning: Reasoning, target: Target, out: Json, lose: Lose) -> None:
    effort: str | None = reasoning.effort
    if effort is None and reasoning.budget is not None:
        effort = next((word for word, limit in _BUDGETS.items() if reasoning.budget <= limit), "max")
        lose("reasoning.budget", "changed", f"{target.model} takes an effort, not a budget")
    elif reasoning.budget is not None:
        lose("reasoning.budget", "dropped", "the effort says it")
    if effort is None:
        return
    known = claude(target.model).efforts
    if not known:
        lose("reasoning.effort", "dropped", f"{target.model} takes no effort")
        return
    if effort not in known:
        place = _ORDER.index(effort) if effort in _ORDER else 0
        nearest = next((word for word in reversed(_ORDER[: place + 1]) if word in known), "low")
        if reasoning.effort is not None:
            lose("reasoning.effort", "changed", f"{target.model} has no effort {effort}: {nearest}")
        effort = nearest
    out["output_config"] = {"effort": effort}


def _may_think(out: Json, own: bool, lose: Lose) -> bool:
    """Takes thinking off again where Anthropic would refuse it."""
    if as_obj(out.get("tool_choice")).get("type") in _FORCED and not own:
        why = "a forced tool choice excludes it"
    elif out["thinking"]["type"] == "enabled" and _answers_unthought(out["messages"]):
        why = "the turn that called the tools has lost its thinking"
    else:
        return True
    del out["thinking"]
    lose("reasoning", "dropped", why)
    return False


def _answers_unthought(messages: list[Json]) -> bool:
    """Whether the last turn brings results for an assistant's turn that does not begin with thinking."""
    end = len(messages)
    while end and messages[end - 1]["role"] != "assistant":
        end -= 1
    later = [block for message in messages[end:] for block in as_array(message["content"])]
    if not end or not any(as_obj(block).get("type") == "tool_result" for block in later):
        return False
    start = end
    while start and messages[start - 1]["role"] == "assistant":
        start -= 1
    content = as_array(messages[start]["content"])
    return not content or as_obj(content[0]).get("type") not in ("thinking", "redacted_thinking")
