"""One call's connection to a recogniser behind a WebSocket, whatever its protocol.

It does not reconnect: a call does, and gives the next connection the sound that no final result has covered.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

import attrs
import trio
from websockets.exceptions import InvalidStatus

from .._foreign import unwrapped
from .._net.websocket import WebSocket, open_websocket
from .._wire.recognizer import Cue, Message, RecognizerWire
from .._wire.sent_sound import SentSound
from .._wire.utterances import Utterances
from ..errors import PatterConfigError, PatterConnectionError, PatterError, RecognizerError
from ..events import HearingItem, SpeechAudio, SpeechEnded, Transcript

__all__ = ["Patience", "connect"]

# Sound that the far end does not take for so long is not worth its words any more.
_STALLED_SECONDS = 5.0

# So many ends of speech, over so many seconds, without a single message: nobody is there.
_UNHEARD_ENDS = 3
_UNHEARD_SECONDS = 10.0

# Somebody leaves in the middle: the goodbye is a courtesy, though an open session may be billed.
_LEAVING_SECONDS = 0.5

# What is sent where a protocol has nothing else to show that the call goes on.
_SILENCE_SECONDS = 0.1

# HTTP: bad request, not found, unprocessable.
_WRONG_SETTINGS = (400, 404, 422)


@attrs.frozen
class Patience:
    """How long a connection waits for what, in seconds.

    Args:
        connect: for the connection, and the far end's greeting.
        answer: for final words where none are known that could come.
        close: for the last words after the end of the hearing.
    """

    connect: float
    answer: float
    close: float


@asynccontextmanager
async def connect(
    url: str,
    headers: Mapping[str, str],
    secret: str,
    wire: RecognizerWire,
    sound: SentSound,
    patience: Patience,
    hearing: AsyncIterable[HearingItem],
) -> AsyncIterator[AsyncIterable[Transcript]]:
    """Recognises what is heard for the length of the block.

    The transcripts end after the hearing does; they end with the error of the far end when that is lost.

    Raises:
        PatterConfigError: the far end refused the settings.
        AuthenticationError: it refused the key.
        RateLimitError: it refused because there are too many of us.
        PatterConnectionError: it cannot be reached, or not in time.
        PatterError: what else it said in place of a greeting.
    """
    began = trio.current_time()
    async with AsyncExitStack() as stack:
        with _told_to_us(wire.name, secret):
            socket = await stack.enter_async_context(
                open_websocket(url, headers=headers, connect_timeout=patience.connect)
            )
            line = _Line(socket, wire, sound, patience, secret)
            await line.open(began + patience.connect)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.run, hearing)
                yield line
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise unwrapped(group) from None
        await line.leave()


@contextmanager
def _told_to_us(name: str, secret: str) -> Iterator[None]:
    """Refusals, with what they mean: settings that are never taken are no matter of the network."""
    try:
        yield
    except PatterError as error:
        _keep_secret(error, secret)
        cause = error.__cause__
        if isinstance(cause, InvalidStatus) and cause.response.status_code in _WRONG_SETTINGS:
            raise PatterConfigError(str(error), hint=f"look at the settings of {name}") from cause
        raise


def _keep_secret(error: PatterError, secret: str) -> PatterError:
    """Takes out of an error the key, which a vendor's answer may repeat."""
    if secret:
        error.args = tuple(
            part.replace(secret, "…") if isinstance(part, str) else part for part in error.args
        )
    return error


class _Line:
    """The connection as the call reads it; it is an iterator of transcripts.

    One task sends, one receives, one minds the clock. Only what is received ends the line: a send that fails
    says less than what the far end may have said before.
    """

    def __init__(
        self, socket: WebSocket, wire: RecognizerWire, sound: SentSound, patience: Patience, secret: str
    ) -> None:
        self._secret = secret
        self._socket = socket
        self._wire = wire
        self._sound = sound
        self._patience = patience
        self._utterances = Utterances(wire.joint, patience.answer)
        # A result is handed over when the call takes it; meanwhile the far end's wait in the socket.
        self._outlet, self._transcripts = trio.open_memory_channel[Transcript](0)
        self._failure: PatterError | None = None
        self._tasks = trio.CancelScope()
        self._alarm = trio.CancelScope()
        self._sent_at = self._heard_at = trio.current_time()
        self._unheard_ends = 0
        self._ends_at = float("inf")
        self._finished = False

    def __aiter__(self) -> _Line:
        return self

    async def __anext__(self) -> Transcript:
        try:
            return await self._transcripts.receive()
        except trio.EndOfChannel:
            if self._failure is not None:
                raise _keep_secret(self._failure, self._secret) from None
            raise StopAsyncIteration from None

    async def open(self, deadline: float) -> None:
        """Says what comes first, and waits for the far end's greeting where there is one."""
        with trio.CancelScope(deadline=deadline) as scope:
            with suppress(PatterConnectionError):  # the reason is read below, or with the first words
                await self._send(self._wire.opening())
            while self._wire.greets and not await self._greeted():
                pass
        if scope.cancelled_caught:
            raise PatterConnectionError(
                f"{self._wire.name} did not greet within {self._patience.connect:g} s"
            )

    async def _greeted(self) -> bool:
        try:
            message = await self._socket.receive()
        except (trio.EndOfChannel, PatterConnectionError) as ending:
            raise self._ending(ending) from None
        return Cue.READY in list(self._wire.receive(message))

    async def run(self, hearing: AsyncIterable[HearingItem]) -> None:
        """Works until the far end is done or lost."""
        with self._outlet, self._tasks:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._speak, hearing)
                nursery.start_soon(self._mind_the_clock)
                await self._listen()
                nursery.cancel_scope.cancel()

    async def leave(self) -> None:
        """Says goodbye where the call has not been heard to its end."""
        if not self._finished:
            with trio.move_on_after(_LEAVING_SECONDS), suppress(PatterConnectionError):
                await self._send(self._wire.finish())

    # --- to the far end -------------------------------------------------------------------------------------

    async def _speak(self, hearing: AsyncIterable[HearingItem]) -> None:
        with suppress(PatterConnectionError):
            async for item in hearing:
                if isinstance(item, SpeechAudio):
                    await self._send_sound(self._sound.add(item))
                elif isinstance(item, SpeechEnded):
                    await self._ask()
            await self._send_sound(self._sound.rest())
            await self._send(self._wire.finish())
        self._finished = True
        if not self._wire.says_goodbye:
            self._utterances.ask(trio.current_time())
        self._ends_at = trio.current_time() + self._patience.close
        self._set_alarm()

    async def _ask(self) -> None:
        await self._send_sound(self._sound.rest())
        await self._send(self._wire.finalise())
        now = trio.current_time()
        self._utterances.ask(now)
        self._unheard_ends += 1
        if self._unheard_ends >= _UNHEARD_ENDS and now - self._heard_at >= _UNHEARD_SECONDS:
            self._give_up(f"{self._wire.name} has not said anything for {now - self._heard_at:.0f} s")
        self._set_alarm()

    async def _send_sound(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            await self._send((self._wire.sound(piece),))

    async def _send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            with trio.move_on_after(_STALLED_SECONDS) as patience:
                await self._socket.send(message)
            if patience.cancelled_caught:
                self._give_up(f"{self._wire.name} takes no more sound")
                return
            self._sent_at = trio.current_time()

    # --- from the far end -----------------------------------------------------------------------------------

    async def _listen(self) -> None:
        try:
            while True:
                message = await self._socket.receive()
                self._heard_at, self._unheard_ends = trio.current_time(), 0
                for said in self._wire.receive(message):
                    if said is Cue.CLOSED:
                        raise trio.EndOfChannel
                    await self._give(self._utterances.hear(said))
                if self._finished and not self._wire.says_goodbye and not self._utterances.asked:
                    return
                self._set_alarm()
        except (trio.EndOfChannel, PatterConnectionError) as ending:
            await self._give(self._utterances.finish() if self._finished else ())
            if not (self._finished and isinstance(ending, trio.EndOfChannel)):
                self._failure = self._ending(ending)
        except PatterError as error:
            self._failure = error

    def _ending(self, ending: trio.EndOfChannel | PatterConnectionError) -> PatterError:
        """What it means that the connection ended before its time."""
        told = self._wire.closed(self._socket.close_code, self._socket.close_reason)
        if told is not None:
            return told
        if isinstance(ending, PatterConnectionError):
            return ending
        return RecognizerError(f"{self._wire.name} ended while the call goes on")

    async def _give(self, transcripts: Iterable[Transcript]) -> None:
        for transcript in transcripts:
            words = tuple(
                attrs.evolve(
                    word,
                    start=self._sound.media_time(word.start),
                    end=self._sound.media_time(word.end),
                )
                for word in transcript.words
            )
            await self._outlet.send(attrs.evolve(transcript, words=words))

    # --- the clock ------------------------------------------------------------------------------------------

    async def _mind_the_clock(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._alarm_at()) as self._alarm:
                await trio.sleep_forever()
            now = trio.current_time()
            await self._give(self._utterances.poll(now))
            if self._finished and (
                now >= self._ends_at or not (self._wire.says_goodbye or self._utterances.asked)
            ):
                await self._give(self._utterances.finish())
                self._tasks.cancel()
            elif now >= self._sent_at + self._wire.keep_alive_every:
                self._sent_at = now
                with suppress(PatterConnectionError):
                    await self._send(self._keep_alive())

    def _keep_alive(self) -> Sequence[Message]:
        return self._wire.keep_alive() or (self._wire.sound(self._sound.silence(_SILENCE_SECONDS)),)

    def _alarm_at(self) -> float:
        return min(self._utterances.deadline, self._ends_at, self._sent_at + self._wire.keep_alive_every)

    def _set_alarm(self) -> None:
        self._alarm.deadline = self._alarm_at()

    def _give_up(self, message: str) -> None:
        self._failure = RecognizerError(message)
        self._tasks.cancel()
