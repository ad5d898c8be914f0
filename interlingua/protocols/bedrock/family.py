"""What one family of Bedrock's models takes and another refuses: data, first match wins. Unknown ids, ARNs of a user's own among
them, get what most take; what would be a wrong guess for many is left out there, and reported.

Sources in the Bedrock user guide: "Supported models and model features" and "Using the Converse API" (media, tool choice),
"Prompt caching", "Structured outputs"; each model's card and parameters; the Nova guide ("Using reasoning", "Tool use").
Which models refuse words beside tool calls or results is told by their errors alone (langchain-aws#141, harness-sdk#1223).
"""

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

Thinks = Literal["claude", "nova", "effort"]
Section = Literal["tools", "system", "messages"]

_ANY: Final = ("auto", "any", "tool")
_EVERYWHERE: Final[tuple[Section, ...]] = ("tools", "system", "messages")


class Family(Struct, frozen=True):
    """`top_k`: where it stands in additionalModelRequestFields. `thinks`: in which words reasoning is asked for there. `cites`:
    the documents it is shown; to another, "This model doesn't support citations".
    `mixes_*`: words may stand in one turn with them. `statuses`: of tool results. `bare`: a schema's root must be."""

    top_k: tuple[str, ...] | None = None
    thinks: Thinks | None = None
    choices: tuple[str, ...] = _ANY  # of toolChoice
    media: tuple[str, ...] = ("image", "document", "video", "audio")
    mixes_results: bool = True
    mixes_calls: bool = True
    caches: tuple[Section, ...] = _EVERYWHERE
    schemas: bool = True  # outputConfig.textFormat, and strict tools
    statuses: bool = True
    bare: bool = False
    cites: bool = False


_SEEN: Final = ("image", "document")
_ROWS: Final[list[tuple[str, Family]]] = [
    (r"claude-(v?[12]\b|instant|3-(opus|sonnet|haiku))", Family(("top_k",), "claude", media=_SEEN)),
    (r"claude", Family(("top_k",), "claude", media=_SEEN, cites=True)),
    (
        r"nova-2|nova-premier-v2",
        Family(("inferenceConfig", "topK"), "nova", mixes_results=False, caches=("system", "messages"), schemas=False, bare=True),
    ),
    (
        r"nova",
        Family(("inferenceConfig", "topK"), mixes_results=False, caches=("system", "messages"), schemas=False, bare=True),
    ),
    (
        r"llama",
        Family(
            choices=("auto",),
            media=_SEEN,
            mixes_results=False,
            mixes_calls=False,
            caches=(),
            schemas=False,
            statuses=False,
        ),
    ),
    (
        r"(mis|mix|minis|magis|vox|pix)tral|devstral",
        Family(("top_k",), choices=("auto", "any"), mixes_results=False, caches=(), statuses=False),
    ),
    (r"gpt-oss", Family(thinks="effort", media=(), caches=(), statuses=False)),
    (r"cohere|command-r", Family(("k",), choices=("auto",), media=("document",), mixes_results=False, caches=(), schemas=False)),
    (r"titan|jamba|palmyra", Family(choices=("auto",), media=("document",), caches=(), schemas=False, statuses=False)),
    (r"deepseek|qwen|kimi|minimax|gemma|nemotron|glm", Family(caches=(), statuses=False)),
]
_TABLE: Final = [(re.compile(pattern), row) for pattern, row in _ROWS]
_UNKNOWN: Final = Family()


@lru_cache(maxsize=4096)
def family(model: str) -> Family:
    """What is known of a model id or ARN."""
    lowered = model.lower()
    return next((row for pattern, row in _TABLE if pattern.search(lowered)), _UNKNOWN)
