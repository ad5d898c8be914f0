"""How long a provider asks to be left alone, in each of the notations that providers have. Header names are lower case.

Sources: `retry-after-ms` and `retry-after` as both vendors' SDKs read them; `x-ratelimit-*` of platform.openai.com's rate
limits (durations such as "6m0s", "12ms"; Azure writes seconds alone); `anthropic-ratelimit-*` of platform.claude.com's rate
limits (RFC 3339).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 86_400.0  # seconds; what asks for more is taken for a day
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?", re.ASCII)
_UNITS: Final = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
_PLAIN: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
# what is limited: OpenAI's headers stand as they are, Anthropic's have the limit's name before the word
_OPENAI: Final = ("requests", "tokens")
_ANTHROPIC: Final = ("requests", "tokens", "input-tokens", "output-tokens")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait before the next attempt: `retry-after-ms`, or `retry-after` in seconds or as a date; None: not said."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return min(ms / 1000, LONGEST)
    value = headers.get("retry-after")
    if value is None:
        return None
    if (plain := _number(value)) is not None:
        return min(plain, LONGEST)
    return _until(_http_date(value), _http_date(headers.get("date")))


def reset_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds until the limit that was hit is free again: of those that have nothing left the longest, else of all. None:
    no such header. `now` is the time where the answer has no `date`."""
    limits = [_limit(headers, f"x-ratelimit-remaining-{name}", f"x-ratelimit-reset-{name}") for name in _OPENAI]
    limits += [
        _limit(headers, f"anthropic-ratelimit-{name}-remaining", f"anthropic-ratelimit-{name}-reset") for name in _ANTHROPIC
    ]
    at = _http_date(headers.get("date")) or now or datetime.now(UTC)
    told = [(left, seconds) for left, value in limits if value is not None and (seconds := _seconds(value, at)) is not None]
    hit = [seconds for left, seconds in told if left == "0"] or [seconds for _, seconds in told]
    return max(hit, default=None)


def _limit(headers: Mapping[str, str], left: str, reset: str) -> tuple[str | None, str | None]:
    return headers.get(left), headers.get(reset)


def _seconds(value: str, now: datetime) -> float | None:
    """A reset in a duration, in seconds alone, or as a time."""
    if (plain := _number(value)) is not None:
        return min(plain, LONGEST)
    match = _DURATION.fullmatch(value) if value else None
    if match is not None:
        parts = zip(match.groups(), _UNITS, strict=True)
        return min(sum(float(part) * unit for part, unit in parts if part), LONGEST)
    try:
        return _until(datetime.fromisoformat(value), now)
    except ValueError:
        return None


def _number(value: str | None) -> float | None:
    return float(value) if value is not None and len(value) < 20 and _PLAIN.fullmatch(value) else None


def _http_date(value: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(value) if value else None
    except (ValueError, TypeError, IndexError):
        return None


def _until(then: datetime | None, now: datetime | None) -> float | None:
    if then is None or now is None:
        return None
    then, now = (time if time.tzinfo is not None else time.replace(tzinfo=UTC) for time in (then, now))
    return min(max(0.0, (then - now).total_seconds()), LONGEST)
