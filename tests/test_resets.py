"""How long a provider asks to be left alone, in every notation, and nothing worse than None for what is none."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlingua.resets import LONGEST, reset_after, retry_after

NOW = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)
DATE = "Thu, 26 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "20", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Thu, 26 Nov 2026 10:00:07 GMT", "date": DATE}, 7),
        ({"retry-after": "Thu, 26 Nov 2026 09:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Thu, 26 Nov 2026 10:00:07 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 12}, LONGEST),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("6m0s", 360),
        ("12ms", 0.012),
        ("1s", 1),
        ("7.66s", 7.66),
        ("1h2m3s", 3723),
        ("2d", LONGEST),
        ("59", 59),
        ("1m12.5s", 72.5),
    ],
)
def test_durations_of_openai(value: str, seconds: float):
    assert reset_after({"x-ratelimit-reset-tokens": value}) == pytest.approx(seconds)


def test_the_limit_that_was_hit_counts():
    headers = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "20s",
        "x-ratelimit-remaining-tokens": "5000",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert reset_after(headers) == 20
    assert reset_after({**headers, "x-ratelimit-remaining-requests": "1"}) == 360
    assert reset_after({**headers, "x-ratelimit-remaining-tokens": "0"}) == 360


def test_times_of_anthropic():
    headers = {
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-26T10:00:05Z",
        "anthropic-ratelimit-input-tokens-remaining": "0",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-26T10:00:41.5Z",
    }
    assert reset_after(headers, NOW) == 41.5
    assert reset_after({**headers, "date": "Thu, 26 Nov 2026 10:00:40 GMT"}) == 1.5
    assert reset_after({"anthropic-ratelimit-tokens-reset": "2026-11-26T09:00:00Z"}, NOW) == 0


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_words_give_seconds_or_nothing(value: str, date: str):
    headers = {"retry-after": value, "x-ratelimit-reset-requests": value, "anthropic-ratelimit-tokens-reset": value, "date": date}
    for seconds in (retry_after(headers), reset_after(headers)):
        assert seconds is None or 0 <= seconds <= LONGEST
