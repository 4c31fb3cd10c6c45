"""clean: puts the caller's frames through the filters of a call, before anybody listens to them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator

import attrs

from .._audio import g711
from .._audio.inbound import AgcConfig, AutomaticGain, HighPass
from .._foreign import foreign
from ..abc import AudioFilter, AudioFilterProvider
from ..errors import ProviderError
from ..events import AudioFormat, AudioReceived

__all__ = ["clean"]

_log = logging.getLogger("patter_trio.audio")


def clean(
    frames: AsyncIterable[AudioReceived],
    audio: AudioFormat,
    call_id: str,
    *,
    high_pass_hz: float | None = None,
    audio_filter: AudioFilterProvider | None = None,
    agc: AgcConfig | None = None,
) -> AsyncIterable[AudioReceived]:
    """The frames as they are to be heard: without rumble, then without noise, then at one level.

    Without a filter they are the very same. A filter that is not ours and fails, or gives another length of
    sound than it got, is left out for the rest of the call; the call goes on.
    """
    rate = audio.sample_rate
    stages: list[AudioFilter] = []
    if high_pass_hz is not None:
        stages.append(HighPass(high_pass_hz, rate))
    if audio_filter is not None:
        opened = _Guarded.open(audio_filter, rate, call_id)
        stages += [] if opened is None else [opened]
    if agc is not None:
        stages.append(AutomaticGain(agc, rate))
    return _Cleaned(frames, audio, stages) if stages else frames


class _Cleaned:
    def __init__(
        self, frames: AsyncIterable[AudioReceived], audio: AudioFormat, stages: list[AudioFilter]
    ) -> None:
        self._frames = aiter(frames)
        self._audio = audio
        self._stages = stages

    def __aiter__(self) -> AsyncIterator[AudioReceived]:
        return self

    async def __anext__(self) -> AudioReceived:
        frame = await anext(self._frames)
        pcm = g711.decode(frame.audio, self._audio)
        for stage in self._stages:
            pcm = stage.process(pcm)
        return attrs.evolve(frame, audio=g711.encode(pcm, self._audio))


class _Guarded:
    """Somebody else's filter, until it fails."""

    def __init__(self, name: str, inner: AudioFilter, call_id: str) -> None:
        self._name = name
        self._inner: AudioFilter | None = inner
        self._call_id = call_id

    @classmethod
    def open(cls, provider: AudioFilterProvider, sample_rate: int, call_id: str) -> _Guarded | None:
        """The filter of one call; ``None`` if it cannot be had."""
        name = f"audio filter ({type(provider).__name__})"
        try:
            with foreign(ProviderError, name):
                return cls(name, provider.open_filter(sample_rate), call_id)
        except ProviderError as error:
            _log.warning("call %s goes on without its filter: %s", call_id, error)
            return None

    def process(self, pcm: bytes) -> bytes:
        if self._inner is None:
            return pcm
        try:
            with foreign(ProviderError, self._name):
                filtered = self._inner.process(pcm)
                if len(filtered) == len(pcm):
                    return bytes(filtered)
                raise ProviderError(f"{self._name} made {len(filtered)} bytes of {len(pcm)}")
        except ProviderError as error:
            _log.warning("call %s goes on without its filter: %s", self._call_id, error)
            self._inner = None
            return pcm
