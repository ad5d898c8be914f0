"""What is known of models by their names: data, each row with its source. Unknown models get the safest reading."""

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

Thinks = Literal["no", "budget", "budget_or_adaptive", "adaptive", "level", "effort"]


class Model(Struct, frozen=True):
    """`max_output`: tokens, None unknown. `thinks`: how the model is told to reason. `sampling`: takes temperature."""

    family: Literal["openai", "openai_reasoning", "claude", "gemini", "unknown"] = "unknown"
    max_output: int | None = None
    thinks: Thinks = "no"
    sampling: bool = True
    signs_calls: bool = False  # refuses a tool call in the history that lacks its signature
    replays: bool = False  # an OpenAI-style model that wants its `reasoning_content` back in the history


# First match wins; matched anywhere in the name, so that "eu.anthropic.claude-…" and "models/gemini-…" are found too.
# Claude: platform.claude.com models overview and migration-2026-10-21 (sampling gone from 4.7 on; 128k output from 4.6 on).
# OpenAI: the SDK's ReasoningEffort and max_completion_tokens notes. Gemini: ai.google.dev thinking and thought-signature pages.
_ROWS: Final[list[tuple[str, Model]]] = [
    (r"claude-3-(opus|sonnet|haiku)", Model("claude", 4_096)),
    (r"claude-3-5", Model("claude", 8_192)),
    (r"claude-3-7", Model("claude", 64_000, "budget")),
    (r"claude-(opus-4-1|opus-4-0|opus-4-2|4-opus|opus-4$|opus-4@)", Model("claude", 32_000, "budget")),
    (r"claude-(sonnet-4-0|sonnet-4-2|4-sonnet|sonnet-4$|sonnet-4@)", Model("claude", 64_000, "budget")),
    (r"claude-(opus|sonnet|haiku)-4-5", Model("claude", 64_000, "budget")),
    (r"claude-(opus|sonnet|haiku)-4-6", Model("claude", 128_000, "budget_or_adaptive")),
    (r"claude-[a-z]", Model("claude", 128_000, "adaptive", sampling=False)),
    (r"claude", Model("claude", 4_096)),
    (r"gemini-([3-9]|\d\d)", Model("gemini", 65_536, "level", signs_calls=True)),
    (r"gemini-2\.5", Model("gemini", 65_536, "budget")),
    (r"gemini", Model("gemini", 8_192)),
    (r"(^|/)(gpt-5[\w.-]*-chat)", Model("openai", 16_384)),
    (r"(^|/)(o[1-9]|gpt-([5-9]|\d\d)|codex)", Model("openai_reasoning", 128_000, "effort", sampling=False)),
    (r"(^|/)(gpt-|chatgpt-)", Model("openai", 16_384)),
    (r"deepseek|kimi|glm-|minimax|mimo", Model(replays=True)),
]
_TABLE: Final = [(re.compile(pattern), row) for pattern, row in _ROWS]
_UNKNOWN: Final = Model()


@lru_cache(maxsize=4096)
def facts(name: str) -> Model:
    """What is known of the provider's model `name`."""
    lowered = name.lower()
    return next((row for pattern, row in _TABLE if pattern.search(lowered)), _UNKNOWN)
