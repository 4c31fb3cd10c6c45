"""One leg of the exchange: a telephone, what happens to it, and the instructions it follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Literal, TypeVar

import trio

from .conditions import LineConditions
from .detection import MachineDetection, detect_machine
from .following import follow_instructions
from .legevents import (
    Cause,
    Ender,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegInitiated,
    LegRinging,
    RecordingStopped,
)
from .legoutcome import outcome_of
from .outcome import CallOutcome, StepRecord, Violation
from .phone import Phone
from .recordings import Recording
from .rooms import SILENT_FRAME, Connection, PlayedSound
from .subscribers import Subscriber
from .wordsound import FRAME_SECONDS

if TYPE_CHECKING:
    from .exchange import Exchange
    from .instructions import Document
    from .media import MediaLeg

__all__ = ["Direction", "Instruct", "Leg", "LegStatus"]

Direction = Literal["inbound", "outbound", "dialled"]
"""``dialled`` is a leg that another leg's instructions called."""
LegStatus = Literal["queued", "ringing", "in_progress", "ended"]
Instruct = Callable[["Leg"], Awaitable["Document | None"]]
"""Gets a leg its first instructions; ``None`` when it ended the leg instead."""
Told = TypeVar("Told")

# Whoever holds the telephone, and the server, have so long to notice that a call is over.
_CLEARING_SECONDS = 60.0


class Leg:
    """A call, as one telephone has it; :class:`~patter_trio.testing.exchange.Exchange` makes and runs them.

    Attributes:
        leg_id: the vendor's id of the call.
        caller: the number that calls.
        callee: the number that is called.
        parent: the leg whose instructions dialled this one.
        details: the vendor's own record of the call.
        phone: the telephone of the subscriber.
        history: what happened, with the time on trio's clock.
        streams: its media streams, the last one may be up.
        recordings: its recordings by id.
        transferred_to: the number that it was connected to last, until a stream opens again.
        keys_heard: the keys that were pressed towards the telephone.
        keys_pressed: the keys that the telephone pressed while no media stream was up.
        greeting_beep: set by an answering machine when its greeting is over.
        taken: set when it shall leave what it does: it was redirected, or is over.
        redirected_to: what it follows next, after a redirection.
        over: set when the call is over; ``done`` when everything of it has ended.
    """

    def __init__(
        self,
        exchange: Exchange,
        leg_id: str,
        direction: Direction,
        caller: str,
        callee: str,
        subscriber: Subscriber,
        instruct: Instruct,
        *,
        conditions: LineConditions,
        ring_seconds: float = 60.0,
        max_seconds: float | None = None,
        detection: MachineDetection | None = None,
        parent: Leg | None = None,
        details: object = None,
    ) -> None:
        self.exchange = exchange
        self.leg_id = leg_id
        self.direction: Direction = direction
        self.caller = caller
        self.callee = callee
        self.subscriber = subscriber
        self.conditions = conditions
        self.parent = parent
        self.details = details
        self.status: LegStatus = "queued"
        self.ended: LegEnded | None = None
        self.began = trio.current_time()
        self.answered_at: float | None = None
        self.phone = Phone()
        self.history: list[tuple[float, LegEvent]] = []
        self.streams: list[MediaLeg] = []
        self.recordings: dict[str, Recording] = {}
        self.steps: tuple[StepRecord, ...] = ()
        self.violations: list[Violation] = []
        self.refusal: str | None = None
        self.transferred_to = ""
        self.keys_heard = ""
        self.keys_pressed = ""
        self.greeting_beep: bool | None = None
        self.answered = trio.Event()
        self.over = trio.Event()
        self.done = trio.Event()
        self.taken = trio.Event()
        self._instruct = instruct
        self._ring_seconds = ring_seconds
        self._max_seconds = max_seconds
        self._detection = detection
        self._connection: Connection | None = None
        self._overlay: PlayedSound | None = None
        self.redirected_to: Document | None = None
        self._told = trio.Event()
        self._ringing = trio.CancelScope()
        self._nursery: trio.Nursery | None = None

    # --- what happens to it ---------------------------------------------------------------------------------

    def tell(self, event: LegEvent) -> None:
        """Something happened: it is remembered, and the vendor's webhooks go out."""
        self.history.append((trio.current_time(), event))
        self._told.set()
        self._told = trio.Event()
        self.exchange.tell(self, event)

    def events(self, kind: type[Told]) -> list[Told]:
        """What happened of one kind, in order."""
        return [event for _, event in self.history if isinstance(event, kind)]

    async def wait_told(self, condition: Callable[[], bool]) -> bool:
        """Waits until the condition holds, looking whenever something happens; whether it does."""
        while not condition() and not self.over.is_set():
            await self._told.wait()
        return condition()

    def ring(self) -> None:
        """The telephone rings."""
        if self.status == "queued":
            self.status = "ringing"
            self.tell(LegRinging())

    def answer(self) -> None:
        """The call is up from now on; nothing, when it is up or over already."""
        if self.answered_at is not None or self.ended is not None or self._nursery is None:
            return
        self.status, self.answered_at = "in_progress", trio.current_time()
        self.answered.set()
        self.tell(LegAnswered())
        self._nursery.start_soon(self._tick)
        self._nursery.start_soon(self._attend)
        if self._detection is not None:
            self._nursery.start_soon(detect_machine, self, self._detection)
        if self._max_seconds is not None:
            self._nursery.start_soon(self._limit, self._max_seconds)

    def end(self, cause: Cause, by: Ender) -> None:
        """The call is over; nothing, when it is already."""
        if self.ended is not None:
            return
        up = 0.0 if self.answered_at is None else trio.current_time() - self.answered_at
        self.ended, self.status = LegEnded(cause, by, up), "ended"
        for recording in self.recordings.values():
            self.stop_recording(recording)
        self.over.set()
        self.taken.set()
        self._ringing.cancel()
        self.phone.end_line()
        self.tell(self.ended)

    def hang_up(self, by: Ender = "agent") -> None:
        """Ends it as whoever does not wait for an answer: a call that rings is canceled."""
        self.end("completed" if self.answered_at is not None else "canceled", by)

    def redirect(self, document: Document) -> None:
        """Leaves what it does and follows these instructions from now on."""
        self.redirected_to = document
        self.taken.set()

    def play_over(self, sound: bytes) -> PlayedSound:
        """Plays sound over whatever else the telephone would hear, once; its event says when it is over."""
        self._overlay = PlayedSound(sound)
        return self._overlay

    @contextmanager
    def connected(self, connection: Connection) -> Iterator[None]:
        """Connects the telephone for the length of the block."""
        self._connection = connection
        try:
            yield
        finally:
            self._connection = None

    def start_recording(self, recording_id: str, *, channels: int = 2, details: object = None) -> Recording:
        """Records both sides from now on."""
        recording = Recording(recording_id, self.phone.ear, channels, details)
        self.recordings[recording_id] = recording
        return recording

    def stop_recording(self, recording: Recording) -> None:
        """Ends a recording, and tells of it."""
        if recording.stop():
            self.tell(RecordingStopped(recording))

    # --- its tasks ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Everything from the first ring to the last message."""
        if self.over.is_set():
            # Ended in the moment in which it began.
            self.done.set()
            return
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.tell(LegInitiated())
            if self.direction == "inbound":
                self.status = "ringing"
                nursery.start_soon(follow_instructions, self, self._instruct)
            else:
                nursery.start_soon(self._ring)
            await self.over.wait()
            nursery.cancel_scope.deadline = trio.current_time() + _CLEARING_SECONDS
        self.done.set()

    async def _ring(self) -> None:
        cause: Cause | None = "no_answer"
        with self._ringing, trio.move_on_after(self._ring_seconds):
            cause = await self.subscriber.pick_up(self)
        if cause is not None:
            self.end(cause, "party" if cause != "no_answer" else "carrier")
        else:
            self.answer()
            await follow_instructions(self, self._instruct)

    async def _attend(self) -> None:
        await self.subscriber.attend(self)
        self.end("completed", "party")

    async def _limit(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self.over.wait()
        self.end("completed", "carrier")

    async def _tick(self) -> None:
        assert self.answered_at is not None
        for number in count():
            await trio.sleep_until(self.answered_at + number * FRAME_SECONDS * self.conditions.pace)
            if self.over.is_set():
                return
            spoken = self.phone.next_frame()
            heard = SILENT_FRAME if self._connection is None else self._connection.pass_frame(spoken)
            if self._overlay is not None:
                over = self._overlay.pass_frame(spoken)
                self._overlay, heard = (None, heard) if self._overlay.over.is_set() else (self._overlay, over)
            # A media stream has taken them; elsewhere nobody reads them.
            self.keys_pressed += "".join(self.phone.keys)
            self.phone.keys.clear()
            self.phone.advance(spoken, heard)

    @property
    def outcome(self) -> CallOutcome:
        """What became of it so far, as of any simulated call; a call that never was up is ``refused``."""
        return outcome_of(self)
