"""The carrier's side of one media stream while a caller follows a script: five tasks in one nursery."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Mapping

import attrs
import trio

from .._wire import twilio_far
from .caller import Caller, follow
from .conditions import LineConditions
from .faults import Echoes, Shuffle
from .line import LineSocket
from .outcome import StepRecord
from .phone import Phone
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


@attrs.frozen
class StreamIds:
    """The ids and parameters of one media stream."""

    account_sid: str
    call_sid: str
    stream_sid: str
    parameters: Mapping[str, str]


class MediaLeg:
    """Runs one media stream from ``connected`` to ``stop``; afterwards its parts hold the record of it."""

    def __init__(
        self, socket: LineSocket, ids: StreamIds, conditions: LineConditions, lead_limit: float
    ) -> None:
        self.phone = Phone()
        self.received = ReceivedStream(
            ids.stream_sid, lead_limit=lead_limit, marks_at_clear=conditions.marks_at_clear
        )
        self.unsent = 0
        self._socket = socket
        self._ids = ids
        self._conditions = conditions
        self._far = twilio_far.FarStream(ids.stream_sid, call_sid=ids.call_sid, account_sid=ids.account_sid)
        self._up = conditions.path("caller to agent")
        self._down = conditions.path("agent to caller")
        self._outlet, self._out = trio.open_memory_channel[tuple[float, str]](_OUT_MESSAGES)
        self._shuffle, self._echoes = Shuffle(conditions), Echoes(conditions)
        self._withheld: deque[str] = deque(maxlen=_WITHHELD_MESSAGES)
        self._began = 0.0
        self._written = trio.Event()

    async def run(self, script: Caller, taken: trio.Event) -> tuple[StepRecord, ...]:
        """Plays the (rendered) script on this stream, until ``taken`` at most; returns its records."""
        self._began = trio.current_time()
        for message in self._far.opening(self._ids.parameters):
            self._send(message)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            steps = await self._play(script, taken)
            await self._end()
            nursery.cancel_scope.cancel()
        return steps

    async def _play(self, script: Caller, taken: trio.Event) -> tuple[StepRecord, ...]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            nursery.start_soon(self._tick)
            nursery.start_soon(self._wait_taken, taken)
            steps = await follow(script, self.phone)
            nursery.cancel_scope.cancel()
        return steps

    async def _wait_taken(self, taken: trio.Event) -> None:
        await taken.wait()
        self.phone.take_away()

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
                    while not self.phone.reads:
                        await self.phone.wait_frame()
                    try:
                        message = await self._socket.receive()
                    except trio.EndOfChannel:
                        break
                    await outlet.send((self._down.arrival(trio.current_time()), message))
        self.phone.end_line()

    async def _obey(self, inlet: trio.MemoryReceiveChannel[tuple[float, str | bytes]]) -> None:
        async for due, message in inlet:
            await trio.sleep_until(due)
            self._return_marks(self.received.take(message, self._now))

    async def _tick(self) -> None:
        for number in itertools.count():
            await trio.sleep_until(self._began + number * FRAME_SECONDS * self._conditions.pace)
            caller = self.phone.next_frame()
            if self.phone.sends_media and not self._up.loses_frame():
                for message in self._shuffle.pass_on(self._far.media(caller, number)):
                    self._send(message)
            while self.phone.keys:
                self._send(self._far.digit(self.phone.keys.popleft()))
            agent, marks = self.received.playback.tick()
            self._return_marks(marks)
            if self.phone.sending_closed:
                self._outlet.close()
            self.phone.advance(caller, _SILENT_FRAME if self._down.loses_frame() else agent)

    def _return_marks(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._echoes.send(name, self._now)
        for name in self._echoes.due(self._now):
            self._send(self._far.mark(name))

    async def _end(self) -> None:
        """Hangs up as the script wants it: with ``stop``, unless the socket is cut or already gone."""
        if self.phone.socket_cut:
            self._socket.abort()
        elif (self.phone.taken_away or not self.phone.line_ended) and not self.phone.sending_closed:
            stops = [self._far.stop() for _ in range(1 + self._conditions.stops_twice)]
            for message in (*self._shuffle.rest(), *stops):
                self._send(message)
            self._outlet.close()
            with trio.move_on_after(_GOODBYE_SECONDS):
                await self._written.wait()
