from __future__ import annotations

import pytest

from patter_trio._local.reading import read_aloud


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("Open Mon-Fri, closed Sat – Sun.", "Open Monday to Friday, closed Saturday to Sunday"),
        ("It is $90-$120 or $1,200.50–1,400.", "It is $90 to $120 or $1,200.50 to $1,400."),
        ("From 8:00-18:00 or 9:30am - 5 pm", "From 8:00 to 18:00 or 9:30am to 5 pm"),
        ("Call (555) 123-4567 now", "Call five five five, one two three, four five six seven now"),
        ("555-123-4567", "five five five, one two three, four five six seven"),
        ("+1 555 123 4567", "plus one, five five five, one two three, four five six seven"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("Write to info@lake-side.com.", "Write to info at lake dash side dot com."),
        ("See www.lakeside.co.uk", "See w w w dot lakeside dot co dot uk"),
    ],
)
def test_ranges_numbers_and_addresses_are_written_out(written: str, read: str) -> None:
    assert read_aloud(written) == read


@pytest.mark.parametrize(
    "text",
    [
        "Our next opening is Tuesday at 9:30.",
        "That's $1,250.00 for 2 people, 20% off.",
        "A well-known sun-dried tomato, 30-45 min.",
        "On 12/05/2026 or 2026-12-05, room 204.",
        "Dr. Smith e.g. i.e. etc.",
        "",
    ],
)
def test_what_the_voices_read_right_is_left_alone(text: str) -> None:
    assert read_aloud(text) == text
