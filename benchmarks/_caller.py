"""A caller that costs little: many of them must not be what a benchmark measures.

``patter_trio.testing.SimulatedTwilio`` takes about 250 µs of CPU per frame and call, five tasks a call; this
one has two tasks, steps that are plain generators, and no recording of sound. What the server sends is judged
by the same code (:class:`~patter_trio.testing.received.ReceivedStream`).
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import attrs
import trio

from patter_trio._audio import g711
from patter_trio._audio.levels import rms_dbfs
from patter_trio._wire.signatures import sign_twilio
from patter_trio._wire.twiml import StreamAnswer, parse_answer
from patter_trio.testing import Line
from patter_trio.testing.ear import is_loud
from patter_trio.testing.line import LineSocket
from patter_trio.testing.received import ReceivedStream
from patter_trio.testing.twilio_wire import TwilioFarWire

__all__ = [
    "ACCOUNT",
    "NUMBER",
    "SPEECH_DBFS",
    "TOKEN",
    "CallRecord",
    "Caller",
    "Script",
    "Sound",
    "Spoken",
    "ring",
]

ACCOUNT, TOKEN, NUMBER = "AC" + "0" * 31 + "1", "0123456789abcdef0123456789abcdef", "+15550001234"
FRAME, SIZE = 0.02, 160
# A caller's speech begins with the first 20 ms frame of this level (RMS, in dB of full scale) and ends with
# the last. People begin softly: the time in which a voice rises to its loudness counts as their speech.
SPEECH_DBFS = -40.0
_SILENCE = b"\xff" * SIZE
_PAUSE = 25  # frames of silence that end a stretch of the agent's speech
_NOTICED = 40  # frames within which a cough silences the agent, if it does
_PATIENCE = 1500  # frames that any step may take


class Missed(Exception):  # noqa: N818  # an outcome that is recorded
    """A step of the script could not happen."""


@attrs.frozen
class Sound:
    """Something to say: 20 ms frames, and which of them are the first and the last of the speech."""

    text: str
    frames: tuple[bytes, ...]
    first: int
    last: int

    @classmethod
    def of(cls, text: str, mulaw: bytes) -> Sound:
        frames = tuple(mulaw[at : at + SIZE].ljust(SIZE, b"\xff") for at in range(0, len(mulaw), SIZE))
        levels = [rms_dbfs(g711.mulaw_to_linear(frame)) for frame in frames]
        loud = [place for place, level in enumerate(levels) if level >= SPEECH_DBFS]
        return cls(text, frames, loud[0], loud[-1])


@attrs.define
class Spoken:
    """Something the caller said: its first and last frame of speech sent, and the agent falling silent."""

    text: str
    over_agent: bool
    first: float
    last: float
    silent: float | None = None


@attrs.define
class CallRecord:
    """One call as the caller's side saw it; times in seconds of the machine's clock."""

    call_id: str = ""
    ok: bool = False
    note: str = ""
    frames_after_clear: int = 0
    coughs: int = 0
    spoken: list[Spoken] = attrs.field(factory=list[Spoken])
    resume_gaps: list[float] = attrs.field(factory=list[float])
    frames: list[float] = attrs.field(factory=list[float])
    clears: list[float] = attrs.field(factory=list[float])
    late: list[float] = attrs.field(factory=list[float])


class Caller:
    """One call's line, mouth and ear; the steps of a script are generators that yield once a frame."""

    def __init__(self, socket: LineSocket, call_id: str, stream_id: str, offset: float) -> None:
        self._socket = socket
        self._far = TwilioFarWire(stream_id, call_sid=call_id, account_sid=ACCOUNT)
        self._received = ReceivedStream(self._far)
        self._mouth: deque[bytes] = deque()
        self._offset = offset
        self._sent: list[float] = []
        self._loud = bytearray()
        self._agent: tuple[int, int] | None = None
        self._spoke_until = 0
        self._said: list[tuple[Sound, bool, int]] = []
        self._coughs: list[int] = []
        self._gone = False
        self.record = CallRecord(call_id)

    # --- the line -------------------------------------------------------------------------------------------

    async def run(self, script: Callable[[Caller], Iterator[None]]) -> None:
        """Follows the script to its end and hangs up."""
        self._received.started = True
        for message in self._far.opening({}):
            await self._socket.send(message)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read)
            try:
                await self._tick(script(self))
                await self._socket.send(self._far.stop())
            except (Missed, trio.BrokenResourceError) as error:
                self.record.note = str(error) or "the line broke"
            nursery.cancel_scope.cancel()
        self._conclude()

    async def _tick(self, steps: Iterator[None]) -> None:
        began = trio.current_time()
        while True:
            number = len(self._sent)
            await trio.sleep_until(began + number * FRAME)
            frame = self._mouth.popleft() if self._mouth else _SILENCE
            self._sent.append(trio.current_time() + self._offset)
            self.record.late.append(trio.current_time() - began - number * FRAME)
            await self._socket.send(self._far.media(frame, number))
            played, marks = self._received.playback.tick()
            self._hear(played, number)
            for name in marks:
                await self._socket.send(self._far.mark_played(name))
            if self._gone:
                raise Missed("the agent's side ended the call")
            try:
                next(steps)
            except StopIteration:
                return

    def _hear(self, played: bytes, number: int) -> None:
        loud = is_loud(played)
        self._loud.append(loud)
        if loud:
            fresh = self._agent is None or number - self._agent[1] > _PAUSE
            self._agent = (number if fresh or self._agent is None else self._agent[0], number + 1)

    async def _read(self) -> None:
        while True:
            try:
                message = await self._socket.receive()
            except trio.EndOfChannel:
                self._gone = True
                return
            now, clears = trio.current_time() + self._offset, len(self._received.clears)
            if '"media"' in str(message):
                self.record.frames.append(now)
            for name in self._received.take(message, len(self._sent) * FRAME):
                await self._socket.send(self._far.mark_played(name))
            if len(self._received.clears) > clears:
                self.record.clears.append(now)

    # --- steps ----------------------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return len(self._sent)

    def _until(self, condition: Callable[[], bool], what: str) -> Iterator[None]:
        for _ in range(_PATIENCE):
            if condition():
                return
            yield
        raise Missed(f"{what}: not within {_PATIENCE * FRAME:g} s")

    def waits(self, seconds: float) -> Iterator[None]:
        for _ in range(round(seconds / FRAME)):
            yield

    def waits_for_agent(self, quiet: float = 0.3) -> Iterator[None]:
        """Until the agent has answered the last words and was silent for a while."""

        def answered() -> bool:
            if self._agent is None or self._now - self._agent[1] < quiet / FRAME:
                return False
            return self._agent[0] >= self._spoke_until or self._agent[1] >= self._spoke_until + 1 / FRAME

        yield from self._until(answered, "an answer and silence after it")

    def waits_into_speech(self, seconds: float) -> Iterator[None]:
        """Until the agent has been speaking for so long."""

        def speaking() -> bool:
            if self._agent is None or self._now - self._agent[1] > _PAUSE:
                return False
            return self._now - self._agent[0] >= seconds / FRAME

        yield from self._until(speaking, f"the agent speaking for {seconds:g} s")

    def says(self, sound: Sound, *, over_agent: bool = False) -> Iterator[None]:
        self._said.append((sound, over_agent, self._now))
        yield from self._sounds(sound.frames)
        self._spoke_until = self._now - len(sound.frames) + sound.last + 1

    def barges_in(self, sound: Sound, after: float) -> Iterator[None]:
        yield from self.waits_into_speech(after)
        yield from self.says(sound, over_agent=True)

    def coughs(self, sound: Sound) -> Iterator[None]:
        self._coughs.append(self._now)
        yield from self._sounds(sound.frames)

    def _sounds(self, frames: tuple[bytes, ...]) -> Iterator[None]:
        self._mouth.extend(frames)
        while self._mouth:
            yield

    # --- what became of it ----------------------------------------------------------------------------------

    def _conclude(self) -> None:
        record, violations = self.record, self._received.violations
        for sound, over_agent, start in self._said:
            if start + sound.last < len(self._sent):
                first, last = self._sent[start + sound.first], self._sent[start + sound.last]
                silent = self._silent_from(start + sound.first, 10) if over_agent else None
                at = None if silent is None else self._sent[silent]
                record.spoken.append(Spoken(sound.text, over_agent, first, last, at))
        record.coughs = len(self._coughs)
        record.resume_gaps += [gap for gap in map(self._resume_gap, self._coughs) if gap is not None]
        record.frames_after_clear = self._received.frames_after_clear
        if violations:
            record.note = f"{violations[0].kind}: {violations[0].detail}"
        record.ok = not record.note

    def _resume_gap(self, cough: int) -> float | None:
        """Seconds of silence that a cough made; None where it was not noticed, or took the floor."""
        silent = self._silent_from(cough, 2)
        again = -1 if silent is None else self._loud.find(1, silent)
        if silent is None or again < 0 or silent - cough > _NOTICED:
            return None
        taken = any(self._sent[cough] <= at <= self._sent[again] for at in self.record.clears)
        return None if taken else (again - silent) * FRAME

    def _silent_from(self, place: int, frames: int) -> int | None:
        found = self._loud.find(bytes(frames), place)
        return None if found < 0 else found


Script = Callable[[Caller], Iterator[None]]


async def ring(line: Line, number: int, script: Script, offset: float = 0.0) -> CallRecord:
    """Places a call as the carrier does: webhook, signed upgrade, media. ``number`` makes its ids."""
    digits = hashlib.sha256(f"{number}".encode()).hexdigest()[:32]
    call_id, url = f"CA{digits}", line.public_url + "/webhooks/twilio/voice"
    form = (
        ("CallSid", call_id),
        ("AccountSid", ACCOUNT),
        ("From", f"+1555{number:07}"),
        ("To", NUMBER),
        ("CallStatus", "ringing"),
        ("ApiVersion", "2010-04-01"),
        ("Direction", "inbound"),
    )
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": sign_twilio(TOKEN, url, form),
    }
    answer = await line.post(url, headers, urlencode(form).encode())
    stream = parse_answer(answer.body.decode()) if answer.status == 200 else None
    if not isinstance(stream, StreamAnswer):
        return CallRecord(call_id, note=f"refused: HTTP {answer.status}, {stream}")
    headers = {"X-Twilio-Signature": sign_twilio(TOKEN, stream.url, ())}
    async with line.open_media(stream.url, headers) as socket:
        caller = Caller(socket, call_id, f"MZ{digits}", offset)
        await caller.run(script)
    return caller.record
