from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._wire.event_stream import EventStream
from patter_trio.errors import LanguageModelError

line = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=8)
end = st.sampled_from(["\n", "\r\n", "\r"])


def read(*pieces: bytes) -> list[bytes]:
    stream = EventStream()
    return [*(data for piece in pieces for data in stream.feed(piece)), *stream.finish()]


@given(st.lists(st.lists(line, min_size=1, max_size=3), max_size=4), end, st.data())
def test_data_come_whole_however_lines_end_and_the_body_is_cut(
    events: list[list[str]], ending: str, draw: st.DataObject
) -> None:
    body = "".join(
        "".join(f"data: {line}{ending}" for line in lines) + f"event: x{ending}: note{ending}{ending}"
        for lines in events
    ).encode()
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    pieces = [body[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    whole = ["\n".join(lines).encode() for lines in events]
    assert read(*pieces) == [data for data in whole if data.strip()]


def test_an_event_whose_blank_line_never_came_is_read_at_the_end() -> None:
    assert read(b"data: a\n") == read(b"data:a") == read(b"data: a\r") == [b"a"]
    assert read(b"event: ping\n\n", b": comment\n\n", b"data:\n\n") == []


def test_an_event_that_does_not_end_is_an_error() -> None:
    stream = EventStream()
    for _ in range(8):
        assert list(stream.feed(b"data: " + b"x" * 500_000 + b"\n")) == []
    with pytest.raises(LanguageModelError, match="without an end"):
        list(stream.feed(b"data: " + b"x" * 500_000))
