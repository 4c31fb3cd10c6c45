"""Pressing keys in a call, in the way that its carrier has."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from .._actors.leg import Leg
from .._actors.observe import Reporter
from .._audio import g711
from .._audio.dtmf import dtmf_tones
from .._turns.keys import Stroke
from ..abc import SendsDigits
from ..errors import PatterError
from ..events import DigitsSent
from .turn import PlayTones

__all__ = ["Keyboard", "keys_unheard"]

# As long as a finger takes; where keys follow each other faster, half of the time.
_TONE_MS = 100


class Keyboard:
    """Three ways, the first that there is: a command to the carrier, a message on its stream, tones."""

    def __init__(self, call_id: str, leg: Leg, report: Reporter, carrier: object) -> None:
        self._call_id = call_id
        self._leg = leg
        self._report = report
        self._carrier = carrier

    @property
    def plays_tones(self) -> bool:
        """Whether the carrier has no way of its own."""
        return not isinstance(self._carrier, SendsDigits) and not self._leg.presses_keys

    async def press(self, strokes: Sequence[Stroke], play: PlayTones) -> None:
        """Presses keys one after the other, each at its time; returns when the last one has had its time.

        ``play`` is used where there are only tones.

        Raises:
            PatterError: the carrier refuses, or cannot be reached.
        """
        if self.plays_tones:
            if not await play(self.tones(strokes)):
                raise keys_unheard()
            self._report.tell(DigitsSent, digits=_keys(strokes))
            return
        pressed = 0
        try:
            for stroke in strokes:
                began = trio.current_time()
                if isinstance(self._carrier, SendsDigits):
                    if stroke.key:
                        await self._carrier.send_digits(self._call_id, stroke.key)
                elif stroke.key:
                    self._leg.post_digits(stroke.key)
                pressed += 1
                await trio.sleep_until(began + stroke.seconds)
        finally:
            if _keys(strokes[:pressed]):
                self._report.tell(DigitsSent, digits=_keys(strokes[:pressed]))

    def tones(self, strokes: Sequence[Stroke]) -> bytes:
        """The keys as sound in the carrier's format."""
        audio = self._leg.audio
        sound: list[bytes] = []
        for stroke in strokes:
            if not stroke.key:
                sound.append(audio.silence * round(stroke.seconds * audio.sample_rate))
                continue
            whole = round(stroke.seconds * 1000)
            tone = min(_TONE_MS, whole // 2)
            pcm = dtmf_tones(stroke.key, audio.sample_rate, tone_ms=tone, pause_ms=whole - tone)
            sound.append(g711.encode(pcm, audio))
        return b"".join(sound)


def keys_unheard() -> PatterError:
    """What is told of keys that found no line any more."""
    return PatterError("the call ended before the keys were pressed")


def _keys(strokes: Sequence[Stroke]) -> str:
    return "".join(stroke.key for stroke in strokes)
