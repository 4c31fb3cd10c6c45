"""What a leg can be told to do, in words that are no vendor's; a document is a tuple of these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

import attrs
import trio

from .legevents import Cause, RoomChanged, SpeechEnded, StreamClosed, StreamOpened
from .line import UpgradeRefusedError
from .media import MediaLeg
from .rooms import PlayedSound, Room
from .wordsound import speak_words

if TYPE_CHECKING:
    from .legs import Leg

__all__ = [
    "Document",
    "Fetch",
    "HangUp",
    "Instruction",
    "JoinRoom",
    "OpenStream",
    "Pause",
    "PlayDigits",
    "PlaySound",
    "Reject",
    "Speak",
]

_PAUSES = {"w": 0.5, "W": 1.0}
_KEY_SECONDS = 0.2


class Instruction(Protocol):
    """One thing that a leg does. It is cancelled when the leg is taken elsewhere or ends.

    ``ends_itself`` is for those that must not be cancelled then: they watch ``leg.taken`` themselves.
    """

    ends_itself: ClassVar[bool]

    async def perform(self, leg: Leg) -> Document | None:
        """Does it; returns what replaces the instructions behind it, ``None`` to go on with them."""
        ...


Document = tuple[Instruction, ...]


@attrs.frozen
class OpenStream:
    """Opens a media stream, and goes on when it is over.

    Args:
        url: the server's socket.
        parameters: come back in its start.
        details: the vendor's own record of it, for its far wire and its webhooks.
    """

    url: str
    parameters: Mapping[str, str] = attrs.field(factory=dict[str, str])
    details: object = None
    ends_itself: ClassVar[bool] = True

    async def perform(self, leg: Leg) -> Document | None:
        """Answers the call, and connects the stream until the leg is taken or the server closes it."""
        leg.answer()
        taken, skin = leg.taken, leg.exchange.skin
        if taken.is_set() or leg.answered_at is None:
            return None
        stream_id, far = skin.far_wire(leg, self, len(leg.streams) + 1)
        try:
            async with leg.exchange.line.open_media(self.url, skin.media_headers(leg, self.url)) as socket:
                stream = MediaLeg(
                    *(socket, far, leg.conditions, skin.lead_limit),
                    parameters=self.parameters,
                    phone=leg.phone,
                )
                leg.streams.append(stream)
                # Whoever was given away before has come back.
                leg.transferred_to = ""
                leg.tell(StreamOpened(stream_id, self.url))
                with leg.connected(stream):
                    await stream.carry(taken, began=leg.answered_at)
        except UpgradeRefusedError as refusal:
            leg.refusal = str(refusal)
            leg.tell(StreamClosed(stream_id, self.url, leg.refusal))
        else:
            leg.tell(StreamClosed(stream_id, self.url))
        return None


@attrs.frozen
class PlaySound:
    """Plays 8 kHz µ-law sound to its end."""

    sound: bytes = attrs.field(repr=False)
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Answers the call and plays it."""
        leg.answer()
        played = PlayedSound(self.sound)
        with leg.connected(played):
            await played.over.wait()
        return None


@attrs.frozen
class Speak:
    """Says a text in the carrier's own voice (word sound)."""

    text: str
    language: str = ""
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Answers the call and says it."""
        is_cut = True
        sound = speak_words(self.text, serial=leg.exchange.next_serial())
        try:
            await PlaySound(sound).perform(leg)
            is_cut = False
        finally:
            leg.tell(SpeechEnded(self.text, is_cut))
        return None


@attrs.frozen
class PlayDigits:
    """Presses keys towards the telephone; ``w`` and ``W`` are half a second and a whole one."""

    digits: str
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Presses them one after the other."""
        leg.answer()
        for digit in self.digits:
            await trio.sleep(_PAUSES.get(digit, _KEY_SECONDS))
            if digit not in _PAUSES:
                leg.keys_heard += digit
        return None


@attrs.frozen
class Pause:
    """Is silent for a while."""

    seconds: float
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Answers the call and waits."""
        leg.answer()
        await trio.sleep(self.seconds)
        return None


@attrs.frozen
class HangUp:
    """Ends the call."""

    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Ends it, answered or not."""
        leg.answer()
        leg.hang_up()
        return None


@attrs.frozen
class Reject:
    """Declines a call that was not answered."""

    cause: Cause = "declined"
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Ends it."""
        leg.refusal = self.cause
        if leg.answered_at is None:
            leg.end(self.cause, "agent")
        else:
            leg.hang_up()
        return None


@attrs.frozen
class Fetch:
    """Gets further instructions from somewhere, in place of those behind it."""

    fetch: Callable[[Leg], Awaitable[Document | None]] = attrs.field(repr=False)
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Asks for them."""
        return await self.fetch(leg)


@attrs.frozen
class JoinRoom:
    """Joins a room with a name, and goes on when it is over.

    Args:
        name: the room's, in this exchange.
        starts: whether those in it hear each other from now on.
        ends: whether the room is over when this leg leaves it.
        muted: whether the others do not hear this leg.
        details: the vendor's own record, for its webhooks.
    """

    name: str
    starts: bool = True
    ends: bool = False
    muted: bool = False
    details: object = None
    ends_itself: ClassVar[bool] = False

    async def perform(self, leg: Leg) -> Document | None:
        """Answers the call and stays until the room is over."""
        leg.answer()
        rooms = leg.exchange.rooms
        room = rooms.setdefault(self.name, Room(self.name))
        had_started = room.has_started
        try:
            with room.enter(starts=self.starts, ends=self.ends, muted=self.muted) as seat:
                leg.exchange.seats[leg.leg_id] = seat
                leg.tell(RoomChanged(self.name, "join", self.details))
                if room.has_started and not had_started:
                    leg.tell(RoomChanged(self.name, "start", self.details))
                with leg.connected(seat):
                    await room.over.wait()
        finally:
            leg.exchange.seats.pop(leg.leg_id, None)
            leg.tell(RoomChanged(self.name, "leave", self.details))
            if room.over.is_set() and rooms.get(self.name) is room:
                del rooms[self.name]
                leg.tell(RoomChanged(self.name, "end", self.details))
        return None
