"""What may be done to a call from inside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import trio

from .._actors.channels import Level
from .._turns.keys import read_strokes
from ..abc import LiveCarrier
from ..errors import PatterConfigError, PatterError
from ..events import CallInfo
from ..telephony import Links, TransferMode, TransferOrder
from .clip import Source, read_clip
from .inbox import Say

if TYPE_CHECKING:
    from .running import RunningCall

__all__ = ["CallControl"]

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SIP = re.compile(r"sips?:[^\s@<>\"]+@[^\s@<>\"]+")
_LONGEST_NUMBER = 256

# What a person who picks up is read out: a minute of speech.
_LONGEST_SUMMARY = 1000


class CallControl:
    """The call as its tools, hooks, ``on_message`` function and ``session.calls`` may act on it.

    Every method raises :class:`PatterError` when the call is over, or not up yet.
    """

    def __init__(self, info: CallInfo) -> None:
        self._info = info
        self._hang_up = Level(False)
        self._running: RunningCall | None = None
        self._over = False
        self._carrier: LiveCarrier | None = None
        self._links: Links | None = None
        self._giving_away = False
        self._transferred = False
        self._ended_meanwhile = False
        self._recording = ""
        self._recorder = trio.Lock()

    def allow(self, carrier: LiveCarrier | None, links: Links | None = None) -> None:
        """What the carrier can do with a running call, and where it reports about that."""
        self._carrier = carrier
        self._links = links

    def connect(self, running: RunningCall) -> None:
        """The call is up."""
        self._running = running

    def disconnect(self) -> None:
        """The call is over."""
        self._over = True
        if self._running is not None:
            self._running.over.set()
        self._running = None

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def call_id(self) -> str:
        """The carrier's id of the call."""
        return self._info.call_id

    @property
    def caller(self) -> str:
        """The caller's number, as the carrier gives it."""
        return self._info.caller

    @property
    def callee(self) -> str:
        """The number that was called."""
        return self._info.callee

    @property
    def telephony_provider(self) -> str:
        """The carrier's kind, such as ``"twilio"``."""
        return self._info.telephony_provider

    @property
    def carrier(self) -> LiveCarrier | None:
        """What acts on the call at the carrier, if anything can."""
        return self._carrier

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self._over

    @property
    def is_hung_up(self) -> bool:
        """Whether a hang-up was asked for."""
        return self._hang_up.value

    @property
    def is_transferred(self) -> bool:
        """Whether the carrier was asked to connect the caller to somebody else, and has not refused."""
        return self._transferred

    @property
    def is_on_hold(self) -> bool:
        """Whether the caller is on hold."""
        return self._running is not None and self._running.is_on_hold

    @property
    def is_muted(self) -> bool:
        """Whether the agent's ears are closed."""
        return self._running is not None and self._running.muted.value

    @property
    def recording_id(self) -> str:
        """The id of the recording that :meth:`start_recording` began; empty while there is none."""
        return self._recording

    # --- what the caller hears ------------------------------------------------------------------------------

    async def say(self, text: str, *, interruptible: bool = True) -> None:
        """Says something in the agent's voice; returns when it is queued, not when it was heard.

        While an answer is being written it is said as part of it, behind what is written already: words
        before a slow look-up, for example. Otherwise, and always with ``interruptible=False``, it is a turn
        of its own behind the one that runs. What the caller says over words that they may not interrupt is
        answered afterwards.

        Raises:
            PatterError: the call is over, or not up yet.
        """
        await self._up("nothing can be said in it").say(Say(text, interruptible))

    async def play(self, source: Source, *, text: str = "", interruptible: bool = True) -> None:
        """Plays a recording as a turn of its own; returns when it is queued, not when it was heard.

        Args:
            source: a WAV file of 16-bit samples, by its path or its bytes; its rate and channels are changed
                to the telephone's.
            text: what is said in it. What the caller heard of that is remembered as the agent's words;
                without a text nothing is.
            interruptible: whether the caller may take the floor from it.

        Raises:
            PatterConfigError: the source cannot be played.
            PatterError: the call is over, or not up yet.
        """
        running = self._up("nothing can be played in it")
        if not _is_text(text):
            raise PatterConfigError(f"text must be what is said in the recording, not {text!r}")
        await running.post(read_clip(source, text=text, interruptible=interruptible))

    async def send_dtmf(self, digits: str, *, delay_ms: int = 300) -> None:
        """Presses keys; returns when the last one was pressed.

        They come behind what is being said. Within an answer that is being written they are pressed at once
        then, otherwise when all that waits to be said was heard. Nobody interrupts them. They are sent by the
        carrier's command or message where it has one, else as tones.

        Args:
            digits: ``0-9 * # A-D``, with ``w`` for half a second of pause and ``W`` for a whole one.
            delay_ms: from the beginning of one key to the beginning of the next.

        Raises:
            PatterConfigError: something in it is no key, or the delay is none.
            PatterError: the carrier refuses or cannot be reached, or the call is over, or not up yet.
        """
        running = self._up("no keys can be pressed in it")
        _check_whole("delay_ms", delay_ms, 80, 5000)
        await running.press(read_strokes(digits, delay_ms / 1000))

    async def hold(self, music: Source | None = None) -> None:
        """Puts the caller on hold: the agent falls silent, and stays so until :meth:`resume`.

        What it is saying is cut, and remembered as far as it was heard; so is the answer that it is working
        at, with the tools in it that may be. What the caller says is kept and answered afterwards. So is what
        is to be said or played.

        Args:
            music: a WAV file, by its path or its bytes, that is played over and over meanwhile.

        Raises:
            PatterConfigError: the music cannot be played.
            PatterError: the call is over, or not up yet.
        """
        running = self._up("nobody can be put on hold in it")
        await running.hold(None if music is None else read_clip(music))

    async def resume(self) -> None:
        """Takes the caller back: the agent answers what was said, or goes on with what it was saying.

        Where nobody is on hold, nothing happens.

        Raises:
            PatterError: the call is over, or not up yet.
        """
        self._up("nobody is on hold in it").resume()
        await trio.lowlevel.checkpoint()

    # --- what the agent hears -------------------------------------------------------------------------------

    def mute(self, muted: bool = True) -> None:
        """Closes the agent's ears, or opens them: it hears silence, and is not interrupted.

        The caller goes on hearing the agent, and the carrier goes on recording the caller. Keys that are
        pressed meanwhile are told as events only.

        Raises:
            PatterError: the call is over, or not up yet.
        """
        self._up("the agent has no ears in it").mute(bool(muted))

    def commit_user_turn(self) -> None:
        """Takes what the caller has said so far as complete, without waiting for a silence.

        For a key that ends dictation, a push-to-talk button, or a detector of your own. Where the caller has
        said nothing, nothing happens.

        Raises:
            PatterError: the call is over, or not up yet.
        """
        self._up("there is nobody to listen to").commit()

    # --- what the carrier does ------------------------------------------------------------------------------

    @property
    def can_transfer(self) -> bool:
        """Whether this carrier can connect the caller to somebody else."""
        return self._carrier is not None

    async def transfer(
        self, number: str, *, mode: TransferMode = "cold", summary: str = "", ring_seconds: int = 20
    ) -> None:
        """Connects the caller to another number; the agent leaves the call.

        What is being said is heard first. Returns when the carrier has taken the order, with which this call
        ends; that the other side answers is not sure then. After an error the call goes on.

        Args:
            number: E.164, such as ``+15550001234``, or a ``sip:`` address.
            mode: ``"cold"`` connects at once; with ``"warm"`` the caller waits while the other side is called
                and told the summary.
            summary: what that is; the last exchanges of the call, unless something is given.
            ring_seconds: how long the other side may ring.

        Raises:
            PatterConfigError: the number is none, or another argument makes no sense.
            PatterError: the carrier refuses, cannot be reached, or cannot transfer calls; or the call is
                over, or not up yet, or being transferred.
        """
        running, carrier = self._up("it cannot be transferred"), self._able("transferred")
        _check_number(number)
        if mode not in get_args(TransferMode):
            raise PatterConfigError(f'mode must be "cold" or "warm", not {mode!r}')
        if not _is_text(summary, _LONGEST_SUMMARY):
            raise PatterConfigError(f"the summary must be a text of at most {_LONGEST_SUMMARY} characters")
        _check_whole("ring_seconds", ring_seconds, 5, 600)
        if self._giving_away:
            raise PatterError(f"call {self.call_id} is being transferred already")
        self._giving_away, taken = True, False
        try:
            await running.wait_said()
            order = TransferOrder(
                number,
                self._reports(),
                mode,
                # A caller who hides their number cannot be shown to the other side.
                caller_id="" if self.caller.startswith("+") else self.callee,
                summary=(summary or running.brief()) if mode == "warm" else "",
                language=running.language,
                ring_seconds=ring_seconds,
            )
            # The stream may end, and the other side be done, before the carrier has answered us.
            self._transferred = True
            await carrier.transfer(self.call_id, order)
            taken = True
        finally:
            self._giving_away = False
            self._transferred = taken or self._ended_meanwhile
        running.give_away()
        await trio.lowlevel.checkpoint()

    def settle_transfer(self) -> bool:
        """The media stream has ended: whether that is because the call was given away."""
        self._ended_meanwhile = self._transferred
        return self._transferred

    async def start_recording(self) -> str:
        """Has the carrier record both sides from now on; returns the recording's id.

        A call that is being recorded goes on with the recording that it has, and returns the id of that. It
        ends with the call, if not before. Where it can be fetched is told when it was saved.

        Raises:
            PatterError: the carrier refuses, cannot be reached, or cannot record calls; or the call is over,
                or not up yet.
        """
        self._up("it cannot be recorded")
        return await self.record()

    async def record(self) -> str:
        """As :meth:`start_recording`, also while the call is not up yet."""
        carrier = self._able("recorded")
        async with self._recorder:
            if not self._recording:
                self._recording = await carrier.start_recording(self.call_id, self._reports())
            return self._recording

    async def stop_recording(self) -> None:
        """Ends the recording that :meth:`start_recording` began; where there is none, nothing happens.

        Raises:
            PatterError: the carrier refuses or cannot be reached, and may be asked again; or the call is
                over, or not up yet.
        """
        self._up("it is not being recorded")
        carrier = self._able("recorded")
        async with self._recorder:
            if self._recording:
                await carrier.stop_recording(self.call_id, self._recording)
                self._recording = ""

    async def hangup(self) -> None:
        """Ends the call as soon as the agent's current turn was heard (or cut).

        Raises:
            PatterError: the call is over, or not up yet.
        """
        self._up("it cannot be hung up")
        self._hang_up.set(True)
        await trio.lowlevel.checkpoint()

    async def wait_hangup(self) -> None:
        """Waits until somebody asks for a hang-up."""
        await self._hang_up.wait_for(bool)

    # --- inside ---------------------------------------------------------------------------------------------

    def _up(self, therefore: str) -> RunningCall:
        if self._running is None:
            what = "is over" if self._over else "is not up yet"
            raise PatterError(f"call {self.call_id} {what}: {therefore}")
        return self._running

    def _able(self, done: str) -> LiveCarrier:
        if self._carrier is None:
            raise PatterError(
                f"calls of {self.telephony_provider or 'this carrier'} cannot be {done} from here",
                hint="the carrier needs its credentials; see docs",
            )
        return self._carrier

    def _reports(self) -> Links:
        return self._links or Links("", self.telephony_provider, "")


def _check_number(number: str) -> None:
    known = _is_text(number, _LONGEST_NUMBER) and (_E164.fullmatch(number) or _SIP.fullmatch(number))
    if not known:
        raise PatterConfigError(
            f"{str(number)[:40]!r} is no number", hint="in international form, like +15550001234, or sip:…"
        )


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PatterConfigError(f"{name} must be a whole number from {least} to {most}, not {value!r}")


def _is_text(value: object, longest: int | None = None) -> bool:
    return isinstance(value, str) and (longest is None or len(value) <= longest)
