"""What one Claude takes and another refuses with a 400, wherever it is asked: data, first match wins. Unknown names get what
the newest take.

Sources on platform.claude.com: thinking-troubleshooting (the table of thinking types), the what's-new and migration
pages of each model (forced tool use, `between_tools`), effort, structured-outputs, mid-conversation-system-messages.
"""

import re
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

_LOW_TO_HIGH: Final = ("low", "medium", "high")
_WITH_MAX: Final = ("low", "medium", "high", "max")
_ALL: Final = ("low", "medium", "high", "xhigh", "max")


class Claude(Struct, frozen=True):
    """`off`: the thinking type that turns thinking off, None where nothing does. `efforts`: of output_config.effort."""

    efforts: tuple[str, ...] = _ALL
    off: Literal["disabled", "between_tools"] | None = "disabled"
    forced_tools: bool = True  # tool_choice any and tool
    schemas: bool = True  # output_config.format and strict tools
    mid_system: bool = False  # `system` messages after the first turn
    sampling_pair: bool = True  # temperature and top_p in one request


_ROWS: Final[list[tuple[str, Claude]]] = [
    (r"claude-(opus-4-1|4-1-opus)", Claude((), sampling_pair=False)),
    (r"claude-([123]|instant|v2|(opus|sonnet)-4(-[02]|$|@)|4-(opus|sonnet))", Claude((), schemas=False)),
    (r"claude-(sonnet|haiku)-4-5", Claude((), sampling_pair=False)),
    (r"claude-opus-4-5", Claude(_LOW_TO_HIGH, sampling_pair=False)),
    (r"claude-(opus|sonnet|haiku)-4-6", Claude(_WITH_MAX, sampling_pair=False)),
    (r"claude-mythos-preview", Claude(off=None)),
    (r"claude-opus-4-7", Claude()),
    (r"claude-sonnet-5-5", Claude(off="between_tools", forced_tools=False, mid_system=True)),
    (r"claude-sonnet-5", Claude()),  # sources differ on its system messages: the reading that never fails
    (r"claude-opus-5-5", Claude(off=None, forced_tools=False, mid_system=True)),
    (r"claude-(fable|mythos)-5-\d", Claude(off=None, forced_tools=False, mid_system=True)),
    (r"claude-(fable|mythos)", Claude(off=None, mid_system=True)),
    (r"claude", Claude(mid_system=True)),
]
_TABLE: Final = [(re.compile(pattern), row) for pattern, row in _ROWS]
_OTHER: Final = Claude()


@lru_cache(maxsize=4096)
def claude(name: str) -> Claude:
    """What is known of the model `name`; a server of this dialect with another model is taken to refuse nothing."""
    lowered = name.lower().replace(".", "-")
    return next((row for pattern, row in _TABLE if pattern.search(lowered)), _OTHER)
