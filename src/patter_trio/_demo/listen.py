"""``demo --listen``: talk to the desk yourself, through this machine's microphone and speakers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import attrs

from .._audio import g711
from .._session import Session
from ..errors import MissingExtraError, PatterConfigError, PatterConnectionError
from ..events import MULAW_8K, CallEvent
from ..testing import Caller, LoopbackLine, SimulatedTwilio
from ..testing.phone import LineEnded, Phone
from .brain import DeskBrain
from .show import ACCOUNT, NUMBER, TODAY, TOKEN, Demo, desk_session

__all__ = ["Headset", "SoundDevice", "Talk", "converse", "open_headset", "put_through"]

_FRAME_SAMPLES = 160

# What the microphone may be ahead of the line before its oldest sound is dropped: 200 ms.
_MOST_FRAMES = 10


class Headset(Protocol):
    """A microphone and a speaker, both linear16 at 8 kHz in frames of 20 ms."""

    def record(self) -> bytes | None:
        """The oldest frame that was recorded and not taken yet, or ``None``."""
        ...

    def play(self, frame: bytes) -> None:
        """Plays a frame."""
        ...


class SoundDevice:
    """The machine's default microphone and speakers, through the ``sounddevice`` package.

    Its callbacks run in a thread of the audio library; the two queues are all they touch.
    """

    def __init__(self) -> None:
        self._recorded: deque[bytes] = deque(maxlen=_MOST_FRAMES)
        self._to_play: deque[bytes] = deque(maxlen=_MOST_FRAMES)

    def exchange(self, recorded: bytes, wanted: int) -> bytes:
        """Takes what was recorded and gives what is to be played, ``wanted`` bytes of it."""
        self._recorded.append(recorded)
        frame = self._to_play.popleft() if self._to_play else b""
        return frame[:wanted].ljust(wanted, b"\0")

    def record(self) -> bytes | None:
        """The oldest recorded frame."""
        return self._recorded.popleft() if self._recorded else None

    def play(self, frame: bytes) -> None:
        """Queues a frame for the speakers."""
        self._to_play.append(frame)


@contextmanager
def open_headset() -> Iterator[SoundDevice]:
    """Opens the default microphone and speakers.

    Raises:
        MissingExtraError: the package ``sounddevice`` is not installed.
        PatterConfigError: this machine has no usable microphone or speakers.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError(
            "a microphone needs the package sounddevice", hint="pip install 'patter-trio[listen]'"
        ) from error
    except OSError as error:
        raise PatterConfigError(
            "the PortAudio library is missing", hint="on Debian: apt-get install libportaudio2"
        ) from error
    headset = SoundDevice()

    def exchange(indata: object, outdata: memoryview, frames: int, time: object, status: object) -> None:
        outdata[:] = headset.exchange(bytes(indata), len(outdata))  # type: ignore[call-overload]  # a buffer

    try:
        with sounddevice.RawStream(
            samplerate=8000, blocksize=_FRAME_SAMPLES, dtype="int16", channels=1, callback=exchange
        ):
            yield headset
    except sounddevice.PortAudioError as error:
        raise PatterConfigError(
            f"this machine's microphone or speakers cannot be opened: {' '.join(str(error).split())}",
            hint="without --listen the demo needs neither",
        ) from error


@attrs.frozen
class Talk:
    """The step of a caller who is a person: until the agent hangs up, or for ``seconds``."""

    headset: Headset
    seconds: float = 3600.0

    def __str__(self) -> str:
        return "talks"

    async def perform(self, phone: Phone) -> None:
        """Moves sound both ways, a frame at a time."""
        until = phone.now + self.seconds
        played = phone.ear.frames
        while phone.now < until:
            frame = self.headset.record()
            if frame is not None:
                phone.speak(g711.encode(frame, MULAW_8K))
            try:
                await phone.wait_frame()
            except LineEnded:
                return
            heard = phone.ear.agent_since_frame(played)
            played = phone.ear.frames
            for start in range(0, len(heard), _FRAME_SAMPLES):
                self.headset.play(g711.decode(heard[start : start + _FRAME_SAMPLES], MULAW_8K))


async def converse(
    demo: Demo, headset: Headset, on_event: Callable[[CallEvent], None], say: Callable[[str], None]
) -> None:
    """Puts the person at this machine through to the desk, until either side ends the call."""
    brain = DeskBrain(today=TODAY)
    say("loading the models (a few seconds) ...")
    if demo.llm is None:
        await brain.warm()
    async with desk_session(demo, brain, on_event) as session:
        await put_through(session, headset, say)


async def put_through(session: Session, headset: Headset, say: Callable[[str], None]) -> None:
    """Phones a session that runs on this machine, with a person as the caller.

    Raises:
        PatterConnectionError: the session did not take the call.
    """
    say("you are through: speak. Ctrl-C hangs up.")
    twilio = SimulatedTwilio(ACCOUNT, TOKEN, number=NUMBER)
    outcome = await twilio.call(LoopbackLine(session.url), Caller((Talk(headset),)))
    if outcome.refusal:
        raise PatterConnectionError(f"the call was refused: {outcome.refusal}")
    if outcome.ended_by == "agent":
        say("the desk hung up.")
