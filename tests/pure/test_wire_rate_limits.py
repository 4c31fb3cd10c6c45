"""How long an API asks to be left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.rate_limits import parse_duration, seconds_to_wait


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2m59.56s", 179.56),
        ("7.66s", 7.66),
        ("300ms", 0.3),
        ("6m0s", 360),
        ("1h2m3s", 3723),
        ("11.38", 11.38),
        (" 0 ", 0),
        ("0s", 0),
        ("15us", 15e-6),
        ("15µs", 15e-6),
        ("", None),
        ("soon", None),
        ("-1s", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1s and more", None),
    ],
)
def test_durations_are_read_as_go_and_cerebras_write_them(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=12))
def test_no_text_breaks_the_reading(text: str) -> None:
    found = parse_duration(text)
    assert found is None or found >= 0
    assert seconds_to_wait({"retry-after": text}) is None or seconds_to_wait({"retry-after": text}) == found


@given(st.integers(0, 5), st.integers(0, 59), st.integers(0, 59_999))
def test_whole_durations_come_back(hours: int, minutes: int, milliseconds: int) -> None:
    text = f"{hours}h{minutes}m{milliseconds}ms"
    assert parse_duration(text) == pytest.approx(hours * 3600 + minutes * 60 + milliseconds / 1000)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "8"}, 8),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after-ms": "300", "retry-after": "1"}, 0.3),
        ({"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "9s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}, 9),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s", "retry-after": "2"}, 9),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1s", "retry-after": "2"}, 2),
        ({"X-RateLimit-Remaining-requests": "0"}, None),
    ],
)
def test_the_longest_wait_that_matters_counts(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds_to_wait(headers) == (None if seconds is None else pytest.approx(seconds))
