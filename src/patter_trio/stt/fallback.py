"""Several recognisers in order: where one fails, the next one hears the call from there on."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio

from .._foreign import foreign, unwrapped
from .._several import Member, all_of, leave_out, opened, well_first
from ..abc import Opens, STTProvider
from ..errors import RecognizerError
from ..events import AudioFormat, CallInfo, HearingItem, Transcript
from ._checks import seconds

__all__ = ["STT", "FallbackSTTProvider"]

_log = logging.getLogger("patter_trio.stt")

_Provider = STTProvider | Opens[STTProvider]


# Of this type, not generic: mypy's attrs plugin takes the type of the setting from its converter.
def _listed(providers: Iterable[_Provider]) -> tuple[_Provider, ...]:
    return tuple(providers)


@attrs.frozen
class FallbackSTTProvider:
    """Hears each call with the first of its recognisers that is well.

    One that fails is left out for a while. In the middle of a call its failure reaches the call, which
    reconnects: it is then given to the next recogniser, with all the sound that no final words have covered.

    Args:
        providers: the recognisers, the preferred one first: settings, or anything that is one.
        open_timeout: seconds for one of them to be connected to, before the next is tried.
        recovery_interval_s: seconds for which one that failed is left out; longer where its rate limit said
            so. When all are left out, they are tried all the same.

    Raises:
        PatterConfigError: a setting cannot be right.
    """

    providers: tuple[_Provider, ...] = attrs.field(
        converter=_listed, validator=all_of(STTProvider, "recogniser")
    )
    open_timeout: float = attrs.field(default=2.0, validator=seconds, kw_only=True)
    recovery_interval_s: float = attrs.field(default=30.0, validator=seconds, kw_only=True)

    @property
    def name(self) -> str:
        """``fallback``."""
        return "fallback"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Chain]:
        """Opens all recognisers."""
        async with opened(self.providers) as lives:
            yield Chain(self, tuple(map(Member, lives)))


@attrs.frozen
class Chain:
    """The recognisers, opened, in order."""

    settings: FallbackSTTProvider
    _members: tuple[Member[STTProvider], ...]

    @property
    def name(self) -> str:
        """``fallback``, and the recogniser that would be asked now."""
        return f"{self.settings.name}: {self.in_order()[0].live.name}"

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call with the first recogniser that can be connected to.

        Raises:
            RecognizerError: none of them can; or the one that heard the call failed, and the next is ready.
        """
        return self._transcribe(hearing, audio, call)

    @asynccontextmanager
    async def _transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AsyncIterator[AsyncIterable[Transcript]]:
        try:
            async with trio.open_nursery() as nursery:
                listening = _Listening(self, _Hearing(hearing), audio, call)
                await nursery.start(listening.run)
                yield listening
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrapped(group) from None

    def in_order(self) -> list[Member[STTProvider]]:
        """Those that are well first."""
        return well_first(self._members)

    def leave_out(self, member: Member[STTProvider], error: RecognizerError) -> None:
        """A recogniser failed."""
        leave_out(member, error, self.settings.recovery_interval_s, _log)


class _Hearing:
    """The call's hearing, which knows whether it is over."""

    def __init__(self, hearing: AsyncIterable[HearingItem]) -> None:
        self._items = aiter(hearing)
        self.over = False

    def __aiter__(self) -> _Hearing:
        return self

    async def __anext__(self) -> HearingItem:
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            self.over = True
            raise


class _Listening:
    """One connection of a call, to whichever recogniser took it; an iterator of its transcripts.

    The recognisers run in a task of their own: what they raise is theirs, and no failure of the call.
    """

    def __init__(self, chain: Chain, hearing: _Hearing, audio: AudioFormat, call: CallInfo) -> None:
        self._chain = chain
        self._hearing = hearing
        self._audio = audio
        self._call = call
        # A result is handed over when the call takes it.
        self._outlet, self._transcripts = trio.open_memory_channel[Transcript](0)
        self._opened = False
        self._failure: RecognizerError | None = None

    def __aiter__(self) -> _Listening:
        return self

    async def __anext__(self) -> Transcript:
        try:
            return await self._transcripts.receive()
        except trio.EndOfChannel:
            if self._failure is not None:
                raise self._failure from None
            raise StopAsyncIteration from None

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Tries the recognisers in order until one is open, and listens to that one to its end.

        Raises:
            RecognizerError: none of them could be opened.
        """
        failures: list[str] = []
        with self._outlet:
            for member in self._chain.in_order():
                try:
                    with foreign(RecognizerError, member.live.name):
                        await self._listen(member, task_status)
                    return
                except RecognizerError as error:
                    self._chain.leave_out(member, error)
                    if self._opened:
                        # The next one is ready, whatever this one died of: no cause that ends the call.
                        self._failure = RecognizerError(str(error))
                        return
                    failures.append(str(error))
        raise RecognizerError(f"every recogniser failed: {'; '.join(failures)}")

    async def _listen(self, member: Member[STTProvider], task_status: trio.TaskStatus[None]) -> None:
        patience = self._chain.settings.open_timeout
        with trio.CancelScope(deadline=trio.current_time() + patience) as opening:
            async with member.live.transcribe(self._hearing, self._audio, self._call) as transcripts:
                opening.deadline = float("inf")
                self._opened = True
                task_status.started()
                async for transcript in transcripts:
                    await self._outlet.send(transcript)
        if opening.cancelled_caught:
            raise RecognizerError(f"{member.live.name} did not open in {patience:g} s (open_timeout=)")
        if not self._hearing.over:
            raise RecognizerError(f"{member.live.name} ended while the call goes on")


STT = FallbackSTTProvider
