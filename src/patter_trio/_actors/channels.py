"""What links the actors: lossy channels for sound, levels for shared facts.

Channels of text, tools and events are plain trio memory channels whose policy is *wait*.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

import trio

__all__ = ["Level", "LossySender", "open_lossy_channel"]

T = TypeVar("T")


class LossySender(Generic[T]):
    """The sending end of a channel whose overflow policy is *drop oldest*.

    Sound that is late is worse than sound that is missing: when the reader falls behind, the oldest item
    gives way and ``dropped`` counts it.
    """

    def __init__(self, send: trio.MemorySendChannel[T], spill: trio.MemoryReceiveChannel[T]) -> None:
        self._send = send
        self._spill = spill
        self.dropped = 0

    def push(self, item: T) -> None:
        """Sends without ever waiting."""
        try:
            self._send.send_nowait(item)
        except trio.WouldBlock:
            self._spill.receive_nowait()
            self.dropped += 1
            self._send.send_nowait(item)

    def statistics(self) -> trio.MemoryChannelStatistics:
        """How full the channel is, as trio tells it."""
        return self._send.statistics()

    def close(self) -> None:
        """Ends the channel: the reader gets what is left, then the end."""
        self._send.close()
        self._spill.close()

    def __enter__(self) -> LossySender[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_lossy_channel(size: int) -> tuple[LossySender[T], trio.MemoryReceiveChannel[T]]:
    """A bounded channel of ``size`` items that drops the oldest when it is full."""
    send, receive = trio.open_memory_channel[T](size)
    return LossySender(send, receive.clone()), receive


class Level(Generic[T]):
    """A fact with one writer that anyone may read or wait for; it cannot overflow or go stale."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def value(self) -> T:
        """The fact as it is now."""
        return self._value

    def set(self, value: T) -> None:
        """Changes the fact and wakes whoever waits for it. For its one writer only."""
        if value != self._value:
            self._value = value
            if self._waiting:
                self._waiting.unpark_all()

    async def wait_for(self, condition: Callable[[T], bool]) -> T:
        """Waits until ``condition`` holds, and returns the value for which it did."""
        while not condition(self._value):
            await self._waiting.park()
        return self._value
