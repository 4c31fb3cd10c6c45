"""The carrier's side of one media stream while a caller follows a script: five tasks in one nursery."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

import trio

from .caller import Caller, follow
from .conditions import LineConditions
from .farwire import FarWire, FrameConverter
from .faults import Echoes, Shuffle
from .line import LineSocket
from .outcome import StepRecord
from .phone import LineEnded, Phone
from .received import ReceivedStream
from .wordsound import FRAME_BYTES, FRAME_SECONDS

__all__ = ["MediaLeg"]

# 5 s of frames in a socket that nobody reads; from there the carrier drops the caller's sound.
_OUT_MESSAGES = 256
# 2.5 s of frames that wait for a carrier to go on sending; older ones are lost.
_WITHHELD_MESSAGES = 128
# 10 s of the server's messages on their way over a slow line.
_IN_MESSAGES = 512
_GOODBYE_SECONDS = 5.0
_SILENT_FRAME = b"\xff" * FRAME_BYTES


class MediaLeg:
    """One media stream from its opening to ``stop``; afterwards its parts hold the record of it.

    Args:
        socket: the carrier's end of it, connected.
        far: the vendor's protocol.
        conditions: what happens on the line.
        lead_limit: seconds of unplayed audio above which the server counts as unpaced.
        parameters: what whoever ordered the stream wants to have back in it.
        phone: the telephone at the end of it; a new one, if left out.
    """

    def __init__(
        self,
        socket: LineSocket,
        far: FarWire,
        conditions: LineConditions,
        lead_limit: float,
        *,
        parameters: Mapping[str, str],
        phone: Phone | None = None,
    ) -> None:
        self.phone = phone or Phone()
        self.received = ReceivedStream(far, lead_limit=lead_limit, marks_at_clear=conditions.marks_at_clear)
        self.unsent = 0
        self.closed = trio.Event()
        self._socket = socket
        self._far = far
        self._parameters = parameters
        self._conditions = conditions
        self._converter = FrameConverter(far.audio)
        self._up = conditions.path("caller to agent")
        self._down = conditions.path("agent to caller")
        self._outlet, self._out = trio.open_memory_channel[tuple[float, str]](_OUT_MESSAGES)
        self._shuffle, self._echoes = Shuffle(conditions), Echoes(conditions)
        self._withheld: deque[str] = deque(maxlen=_WITHHELD_MESSAGES)
        self._frames = itertools.count()
        self._began = 0.0
        self._written = trio.Event()

    async def run(self, script: Caller, taken: trio.Event) -> tuple[StepRecord, ...]:
        """Plays the (rendered) script on this stream, until ``taken`` at most; returns its records."""
        self._begin(trio.current_time())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            steps = await self._play(script, taken)
            await self._end()
            nursery.cancel_scope.cancel()
        return steps

    async def carry(self, until: trio.Event, *, began: float) -> None:
        """Keeps the stream up until the event, or until the server closes it, for a longer call.

        Whoever calls this moves the frames with :meth:`pass_frame` meanwhile.

        Args:
            until: the end of the stream.
            began: the moment that is 0 on the line.
        """
        self._begin(began)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            async with trio.open_nursery() as reading:
                reading.start_soon(self._read)
                reading.start_soon(_after, self.closed, reading.cancel_scope.cancel)
                await until.wait()
                reading.cancel_scope.cancel()
            await self._end()
            nursery.cancel_scope.cancel()

    def _begin(self, began: float) -> None:
        self._began = began
        for message in self._far.opening(self._parameters):
            self._send(message)

    async def _play(self, script: Caller, taken: trio.Event) -> tuple[StepRecord, ...]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            nursery.start_soon(self._tick)
            nursery.start_soon(_after, self.closed, self.phone.end_line)
            nursery.start_soon(_after, taken, self.phone.take_away)
            steps = await follow(script, self.phone)
            nursery.cancel_scope.cancel()
        return steps

    @property
    def _now(self) -> float:
        """Seconds on the line: the carrier's own clock, which may drift from the server's."""
        return (trio.current_time() - self._began) / self._conditions.pace

    def _send(self, message: str) -> None:
        """Sends, behind what was withheld, once the carrier sends at all."""
        self._withheld.append(message)
        while self._withheld and self.phone.sends:
            self._post(self._withheld.popleft())

    def _post(self, message: str) -> None:
        due = self._up.arrival(trio.current_time())
        try:
            self._outlet.send_nowait((due, message))
        except trio.WouldBlock:
            self.unsent += 1
        except trio.ClosedResourceError:
            # The carrier has closed its side of the socket.
            pass

    async def _write(self) -> None:
        async for due, message in self._out:
            await trio.sleep_until(due)
            # What the server says from here on, it says after the start of the stream.
            self.received.started = self.received.started or '"start"' in message
            try:
                await self._socket.send(message)
            except trio.BrokenResourceError:
                break
        if self.phone.sending_closed:
            self._socket.close_sending()
        self._written.set()

    async def _read(self) -> None:
        outlet, inlet = trio.open_memory_channel[tuple[float, str | bytes]](_IN_MESSAGES)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._obey, inlet)
            async with outlet:
                while True:
                    with suppress(LineEnded):
                        while not self.phone.reads:
                            await self.phone.wait_frame()
                    try:
                        message = await self._socket.receive()
                    except trio.EndOfChannel:
                        break
                    await outlet.send((self._down.arrival(trio.current_time()), message))
        self.closed.set()

    async def _obey(self, inlet: trio.MemoryReceiveChannel[tuple[float, str | bytes]]) -> None:
        async for due, message in inlet:
            await trio.sleep_until(due)
            cleared = len(self.received.clears)
            self._return_marks(self.received.take(message, self._now))
            confirmation = self._far.cleared() if len(self.received.clears) > cleared else None
            if confirmation is not None:
                self._send(confirmation)

    async def _tick(self) -> None:
        for number in itertools.count():
            await trio.sleep_until(self._began + number * FRAME_SECONDS * self._conditions.pace)
            caller = self.phone.next_frame()
            self.phone.advance(caller, self.pass_frame(caller))

    def pass_frame(self, caller: bytes) -> bytes:
        """Takes 20 ms of the telephone's sound, and its keys; gives the 20 ms that it hears."""
        number = next(self._frames)
        sound = self._converter.feed(caller)
        if self.phone.sends_media and not self._up.loses_frame():
            for message in self._shuffle.pass_on(self._far.media(sound, number)):
                self._send(message)
        while self.phone.keys:
            self._send(self._far.digit(self.phone.keys.popleft()))
        agent, marks = self.received.playback.tick()
        self._return_marks(marks)
        if self.phone.sending_closed:
            self._outlet.close()
        return _SILENT_FRAME if self._down.loses_frame() else agent

    def _return_marks(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._echoes.send(name, self._now)
        for name in self._echoes.due(self._now):
            self._send(self._far.mark_played(name))

    async def _end(self) -> None:
        """Hangs up as the script wants it: with ``stop``, unless the socket is cut or already gone."""
        if self.phone.socket_cut:
            self._socket.abort()
        elif not self.closed.is_set() and not self.phone.sending_closed:
            stop = self._far.stop()
            stops = [] if stop is None else [stop]
            if stop is not None and self._conditions.stops_twice:
                stops.append(self._far.stop() or stop)
            for message in (*self._shuffle.rest(), *stops):
                self._send(message)
            self._outlet.close()
            with trio.move_on_after(_GOODBYE_SECONDS):
                await self._written.wait()


async def _after(event: trio.Event, act: Callable[[], object]) -> None:
    await event.wait()
    act()
