"""What is known of models by their names: data, each row with its source. Unknown models get the safest reading."""

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace

Thinks = Literal["no", "budget", "budget_or_adaptive", "adaptive", "level", "effort"]


class Model(Struct, frozen=True):
    """`max_output`: tokens, None unknown. `thinks`: how the model is told to reason. `sampling`: takes temperature."""

    family: Literal["openai", "openai_reasoning", "claude", "gemini", "unknown"] = "unknown"
    max_output: int | None = None
    thinks: Thinks = "no"
    sampling: bool = True
    signs_calls: bool = False  # refuses a tool call in the history that lacks its signature
    replays: bool = False  # an OpenAI-style model that wants its `reasoning_content` back in the history
    has: frozenset[str] = frozenset()  # capabilities, in the configuration's words
    lacks: frozenset[str] = frozenset()  # what is in neither is not known
    context: int | None = None  # tokens of its window


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


# What a model takes and gives: pattern, what it has, what it lacks, tokens of its context window. First match wins here too.
# OpenAI: platform.openai.com/docs/models, each model's card (modalities, features, context window); gpt-oss: its model card.
# Claude: platform.claude.com models overview, PDF support, structured outputs (from 4.5 on), context windows (1M from 4.6 on).
# Gemini: ai.google.dev/gemini-api/docs/models, each model's table. Embeddings: each vendor's own list of such models.
_CHAT: Final = "text streaming tools parallel_tools"
_SEES: Final = f"{_CHAT} vision documents"
_ABILITIES: Final[list[tuple[str, str, str, int | None]]] = [
    (r"embed", "embeddings", "text streaming tools parallel_tools vision documents audio video thinking json_schema", None),
    (r"claude-(instant|v?[12]\b)", "text streaming", "vision documents audio video thinking json_schema embeddings", 200_000),
    (r"claude-3-7|claude-[a-z]+-4(-0|-20|@|$)|claude-4-", f"{_SEES} thinking", "audio video json_schema embeddings", 200_000),
    (r"claude-3", _SEES, "audio video thinking json_schema embeddings", 200_000),
    (r"claude-opus-4-1", f"{_SEES} thinking", "audio video embeddings", 200_000),
    (r"claude-(opus|haiku)-4-5", f"{_SEES} thinking json_schema", "audio video embeddings", 200_000),
    (r"claude-[a-z]", f"{_SEES} thinking json_schema", "audio video embeddings", 1_000_000),
    (r"gemini.*(tts|image|live|audio)", "text", "embeddings", None),
    (r"gemini-(2\.5|[3-9]|\d\d)", f"{_SEES} audio video json_schema thinking", "embeddings", 1_048_576),
    (r"gemini-2", f"{_SEES} audio video json_schema", "embeddings", 1_048_576),
    (r"gemini-1\.5", f"{_SEES} audio video json_schema", "thinking embeddings", 2_097_152),
    (r"(^|/)gpt-3\.5", _CHAT, "vision documents audio video thinking json_schema embeddings", 16_385),
    (r"(^|/)gpt-4(-0\d\d\d)?$", _CHAT, "vision documents audio video thinking json_schema embeddings", 8_192),
    (r"(^|/)gpt-4-32k", _CHAT, "vision documents audio video thinking json_schema embeddings", 32_768),
    (r"(^|/)gpt-4-turbo", f"{_CHAT} vision", "audio video thinking json_schema embeddings", 128_000),
    (r"(^|/)(gpt-4o.*audio|gpt-audio)", f"{_CHAT} audio", "vision documents video thinking embeddings", 128_000),
    (r"(^|/)gpt-4(o|\.5)", f"{_SEES} json_schema", "audio video thinking embeddings", 128_000),
    (r"(^|/)gpt-4\.1", f"{_SEES} json_schema", "audio video thinking embeddings", 1_047_576),
    (r"(^|/)(gpt-5[\w.-]*-chat|chatgpt-)", "text streaming vision", "audio video embeddings", 128_000),
    (r"(^|/)gpt-5(\.[0-3])?(?![.\d])", f"{_SEES} json_schema thinking", "audio video embeddings", 400_000),
    (r"(^|/)gpt-5", f"{_SEES} json_schema thinking", "audio video embeddings", 1_050_000),
    (
        r"(^|/)o1-(mini|preview)",
        "text thinking",
        "tools parallel_tools vision documents audio video json_schema embeddings",
        128_000,
    ),
    (r"(^|/)o3-mini", "text streaming tools json_schema thinking", "vision documents audio video embeddings", 200_000),
    (r"(^|/)o[1-9]", "text streaming tools vision documents json_schema thinking", "audio video embeddings", 200_000),
    (r"gpt-oss", f"{_CHAT} thinking", "vision documents audio video embeddings", 131_072),
]
_ABLE: Final = [
    (re.compile(pattern), frozenset(has.split()), frozenset(lacks.split()), context)
    for pattern, has, lacks, context in _ABILITIES
]


@lru_cache(maxsize=4096)
def facts(name: str) -> Model:
    """What is known of the provider's model `name`."""
    lowered = name.lower()
    row = next((row for pattern, row in _TABLE if pattern.search(lowered)), _UNKNOWN)
    found = next(((has, lacks, context) for pattern, has, lacks, context in _ABLE if pattern.search(lowered)), None)
    if found is None:
        return row
    has, lacks, context = found
    return replace(row, has=has, lacks=lacks, context=context)
