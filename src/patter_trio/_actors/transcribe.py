"""transcribe: keeps a recogniser connected to the call, and replays what a broken one missed."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterable

import attrs
import trio

from ..abc import STTProvider
from ..errors import AuthenticationError, PatterConfigError, RecognizerError
from ..events import AudioFormat, CallInfo, HearingItem, SpeechEnded, SpeechStarted, Transcript
from .foreign import foreign

__all__ = ["Reconnection", "transcribe"]

_log = logging.getLogger("patter_trio.stt")

_BLOCK_SECONDS = 0.06

# About a second of blocks: what a recogniser may want to hear from before a speech edge.
_QUIET_BLOCKS = 17


@attrs.frozen
class Reconnection:
    """How a lost recogniser is won back.

    Args:
        attempts: tries in a row that may fail before the call is given up.
        first_delay: seconds before the first retry, doubled for each one after it.
        replay_seconds: how much unacknowledged sound is kept for the new connection.
    """

    attempts: int = 4
    first_delay: float = 0.1
    replay_seconds: float = 30.0


class _Hearing:
    """The call's hearing as one recogniser after another reads it.

    What was given out since the last final result is kept, and given again after :meth:`rewind`. Of the
    silence between utterances only the last second is: a caller who listens costs nothing.
    """

    def __init__(self, inlet: trio.MemoryReceiveChannel[HearingItem], keep: int) -> None:
        self._inlet = inlet
        self._given: deque[HearingItem] = deque(maxlen=keep)
        self._again: deque[HearingItem] = deque()
        self._speaking = False
        self._unanswered = False
        self.ended = False

    def __aiter__(self) -> _Hearing:
        return self

    async def __anext__(self) -> HearingItem:
        if self._again:
            await trio.lowlevel.checkpoint()
            item = self._again.popleft()
        else:
            try:
                item = await self._inlet.receive()
            except trio.EndOfChannel:
                self.ended = True
                raise StopAsyncIteration from None
        self._keep(item)
        return item

    def _keep(self, item: HearingItem) -> None:
        if isinstance(item, SpeechStarted):
            self._speaking = self._unanswered = True
        elif isinstance(item, SpeechEnded):
            self._speaking = False
        self._given.append(item)
        while not self._unanswered and len(self._given) > _QUIET_BLOCKS:
            self._given.popleft()

    def acknowledge(self) -> None:
        """A final result covers the oldest speech that none has covered yet, and all before its end."""
        while self._given and not isinstance(self._given.popleft(), SpeechEnded):
            pass
        self._unanswered = self._speaking or any(isinstance(item, SpeechStarted) for item in self._given)

    def rewind(self) -> None:
        """The reader is gone: the next one gets everything that no final result has covered."""
        self._again.extendleft(reversed(self._given))
        self._given.clear()


async def transcribe(
    provider: STTProvider,
    hearing: trio.MemoryReceiveChannel[HearingItem],
    audio: AudioFormat,
    call: CallInfo,
    outlet: trio.MemorySendChannel[Transcript],
    reconnection: Reconnection,
) -> None:
    """Recognises until the hearing ends.

    Raises:
        RecognizerError: the recogniser failed ``attempts`` times in a row.
    """
    keep = max(1, int(reconnection.replay_seconds / _BLOCK_SECONDS))
    failures = 0
    with hearing, outlet:
        source = _Hearing(hearing, keep)
        while True:
            results = 0
            try:
                with foreign(RecognizerError, f"speech to text ({provider.name})"):
                    async with provider.transcribe(source, audio, call) as transcripts:
                        results = await _pass_on(transcripts, source, outlet)
                if source.ended:
                    return
                raise RecognizerError(f"speech to text ({provider.name}) ended while the call goes on")
            except RecognizerError as error:
                failures = 1 if results else failures + 1
                # A wrong key does not become right by asking again.
                hopeless = isinstance(error.__cause__, AuthenticationError | PatterConfigError)
                if hopeless or failures > reconnection.attempts:
                    raise
                _log.warning("call %s: %s; reconnecting (%d)", call.call_id, error, failures)
            source.rewind()
            await trio.sleep(reconnection.first_delay * 2 ** (failures - 1))


async def _pass_on(
    transcripts: AsyncIterable[Transcript], source: _Hearing, outlet: trio.MemorySendChannel[Transcript]
) -> int:
    count = 0
    async for transcript in transcripts:
        count += 1
        if transcript.is_final:
            source.acknowledge()
        await outlet.send(transcript)
    return count
