"""How long a client lets its request take: `x-interlingua-deadline: 30s`, never longer than `routing.deadline`."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from interlingua.config.values import positive_duration
from interlingua.errors import InvalidRequest

HEADER: Final = b"x-interlingua-deadline"


def deadline(headers: Mapping[bytes, bytes], longest: float) -> float:
    """The loop's time at which it is over. Raises InvalidRequest for a header that is no duration."""
    asked = headers.get(HEADER)
    return asyncio.get_running_loop().time() + (longest if asked is None else min(longest, _seconds(asked)))


@lru_cache(maxsize=256)
def _seconds(value: bytes) -> float:
    text = value.decode("latin-1").strip()
    try:
        return positive_duration(text if text[-1:].isalpha() else f"{text}s")
    except ValueError as error:
        raise InvalidRequest(f"The header {HEADER.decode()} {error}, or a number of seconds.", param=HEADER.decode()) from None
