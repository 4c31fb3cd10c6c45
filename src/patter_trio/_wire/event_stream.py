"""Server-sent events: bytes of a body in, the data of each event out, cut wherever they were."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import LanguageModelError

__all__ = ["EventStream"]

_EVENT_LIMIT = 4 * 1024 * 1024
"""Bytes of one event after which a peer is not streaming an answer; real ones are below 100 KiB."""

_line_end = re.compile(b"\r\n|\n|\r")


class EventStream:
    """Puts events together; names, ids and comments are passed over: what the data say is enough."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data of the events that these bytes complete.

        Raises:
            LanguageModelError: an event does not end.
        """
        received = self._rest + data
        # A carriage return at the end may be half of a line's end.
        whole, kept = (received[:-1], b"\r") if received.endswith(b"\r") else (received, b"")
        *lines, last = _line_end.split(whole)
        self._rest = last + kept
        for line in lines:
            yield from self._read(line)
        if self._size + len(self._rest) > _EVENT_LIMIT:
            raise LanguageModelError("the model streamed an event without an end")

    def finish(self) -> Iterator[bytes]:
        """The data of an event whose blank line never came."""
        last, self._rest = self._rest, b""
        yield from self._read(last.removesuffix(b"\r"))
        yield from self._read(b"")

    def _read(self, line: bytes) -> Iterator[bytes]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
        elif not line and self._data:
            data, self._data, self._size = b"\n".join(self._data), [], 0
            if data.strip():
                yield data
