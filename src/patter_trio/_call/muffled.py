"""The caller's sound as an agent hears it whose ears can be closed."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs

from .._actors.channels import Level
from ..events import AudioFormat, AudioReceived

__all__ = ["Muffled"]


@attrs.define(eq=False)
class Muffled:
    """Frames, and silence in the place of each one while ``muted``.

    A recogniser's clock counts the sound that it gets: what is left out would put every later word in the
    wrong place, and many of them end a connection on which nothing comes.
    """

    frames: AsyncIterator[AudioReceived]
    muted: Level[bool]
    audio: AudioFormat

    def __aiter__(self) -> Muffled:
        return self

    async def __anext__(self) -> AudioReceived:
        frame = await self.frames.__anext__()
        if not self.muted.value:
            return frame
        samples = len(frame.audio) // self.audio.bytes_per_sample
        return AudioReceived(self.audio.silence * samples, frame.at)
