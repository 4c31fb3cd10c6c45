"""transcribe: keeps a recogniser connected to the call, and replays what a broken one missed."""

from __future__ import annotations

import logging
from collections import deque

import attrs
import trio

from .._foreign import foreign
from ..abc import STTProvider
from ..errors import AuthenticationError, PatterConfigError, RecognizerError
from ..events import AudioFormat, CallInfo, HearingItem, SpeechAudio, SpeechEnded, SpeechStarted, Transcript

__all__ = ["Reconnection", "transcribe"]

_log = logging.getLogger("patter_trio.stt")

_BLOCK_SECONDS = 0.06

# A caller who is not heard for longer than this has given up already.
_CONNECT_SECONDS = 5.0

# About a second of blocks: what a recogniser may want to hear from before a speech edge.
_QUIET_BLOCKS = 17


@attrs.frozen
class Reconnection:
    """How a lost recogniser is won back.

    Args:
        attempts: tries in a row that may fail before the call is given up.
        first_delay: seconds before the first retry, doubled for each one after it.
        good_after: seconds after which a connection that breaks is not counted with those before it.
        replay_seconds: how much unacknowledged sound is kept for the new connection.
    """

    attempts: int = 4
    first_delay: float = 0.1
    good_after: float = 5.0
    replay_seconds: float = 30.0


class _Hearing:
    """The call's hearing as one recogniser after another reads it.

    What was given out since the last final result is kept, and given again after :meth:`rewind`. Of the
    silence between utterances only the last second is: a caller who listens costs nothing.
    """

    def __init__(self, inlet: trio.MemoryReceiveChannel[HearingItem], keep: int) -> None:
        self._inlet = inlet
        self._size = keep
        self._waiting: deque[HearingItem] = deque()
        self._given: deque[HearingItem] = deque(maxlen=keep)
        self._readers = trio.lowlevel.ParkingLot()
        self._speaking = False
        self._unanswered = False
        self.connected_at = float("inf")
        self.ended = False
        self.dropped = 0

    async def fill(self) -> None:
        """Reads the inlet whether a recogniser listens or not: what comes while none does waits here."""
        async for item in self._inlet:
            self._waiting.append(item)
            if len(self._waiting) > self._size:
                self._drop_oldest_sound()
            self._readers.unpark_all()
        self.ended = True
        self._readers.unpark_all()

    def _drop_oldest_sound(self) -> None:
        """Makes room: sound gives way, edges never do."""
        for place, item in enumerate(self._waiting):
            if isinstance(item, SpeechAudio):
                del self._waiting[place]
                self.dropped += 1
                return

    def __aiter__(self) -> _Hearing:
        return self

    async def __anext__(self) -> HearingItem:
        await trio.lowlevel.checkpoint()
        while not self._waiting:
            if self.ended:
                raise StopAsyncIteration
            await self._readers.park()
        item = self._waiting.popleft()
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
        self._waiting.extendleft(reversed(self._given))
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
    with hearing, outlet:
        source = _Hearing(hearing, keep)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(source.fill)
            await _stay_connected(provider, source, audio, call, outlet, reconnection)
            nursery.cancel_scope.cancel()


async def _stay_connected(
    provider: STTProvider,
    source: _Hearing,
    audio: AudioFormat,
    call: CallInfo,
    outlet: trio.MemorySendChannel[Transcript],
    reconnection: Reconnection,
) -> None:
    failures = 0
    while True:
        source.connected_at = float("inf")
        try:
            with foreign(RecognizerError, f"speech to text ({provider.name})"):
                await _connect(provider, source, audio, call, outlet)
            if source.ended:
                return
            raise RecognizerError(f"speech to text ({provider.name}) ended while the call goes on")
        except RecognizerError as error:
            lived = trio.current_time() - source.connected_at
            failures = 1 if lived >= reconnection.good_after else failures + 1
            # A wrong key does not become right by asking again.
            hopeless = isinstance(error.__cause__, AuthenticationError | PatterConfigError)
            if hopeless or failures > reconnection.attempts:
                raise
            _log.warning("call %s: %s; reconnecting (%d)", call.call_id, error, failures)
        source.rewind()
        await trio.sleep(reconnection.first_delay * 2 ** (failures - 1))


async def _connect(
    provider: STTProvider,
    source: _Hearing,
    audio: AudioFormat,
    call: CallInfo,
    outlet: trio.MemorySendChannel[Transcript],
) -> None:
    """One connection, from its opening to its end."""
    with trio.CancelScope(deadline=trio.current_time() + _CONNECT_SECONDS) as opening:
        async with provider.transcribe(source, audio, call) as transcripts:
            opening.deadline = float("inf")
            source.connected_at = trio.current_time()
            async for transcript in transcripts:
                if transcript.is_final:
                    source.acknowledge()
                await outlet.send(transcript)
    if opening.cancelled_caught:
        raise RecognizerError(f"speech to text ({provider.name}) did not open in {_CONNECT_SECONDS:g} s")
