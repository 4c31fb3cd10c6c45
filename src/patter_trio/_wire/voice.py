"""What the protocols of voices have in common: sentences and messages in, sound and cues out; no sockets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import ClassVar

import attrs

from ..errors import PatterError
from ..events import SpokenAudio
from .recognizer import Message

__all__ = ["Cue", "Failed", "Reply", "Said", "Spoken", "VoiceWire"]


class Cue(Enum):
    """What the far end says of its connection: ``READY`` when it takes text from now on."""

    READY = "ready"


@attrs.frozen
class Spoken:
    """Sound of a turn; ``ended`` when nothing more of it comes."""

    turn: str
    pieces: tuple[SpokenAudio, ...] = ()
    ended: bool = False


@attrs.frozen
class Failed:
    """A turn that the far end gave up, or all of them and the connection where it names none."""

    turn: str | None
    error: PatterError


@attrs.frozen
class Reply:
    """Messages that are sent because of what was received."""

    messages: tuple[Message, ...]


Said = Cue | Spoken | Failed | Reply


class VoiceWire:
    """One connection's protocol; a subclass speaks that of a vendor.

    Turns have names that are never used twice on a connection. Of a turn that was cancelled nothing is said
    any more, whatever the far end still sends of it.

    Attributes:
        name: the vendor, for messages.
        greets: whether the far end says ``READY`` before it takes text.
        shares: whether several turns can be spoken at once.
        keep_alive_every: seconds between two calls of :meth:`keep_alive`.
    """

    name: ClassVar[str]
    greets: ClassVar[bool] = False
    shares: ClassVar[bool] = True
    keep_alive_every: ClassVar[float] = float("inf")

    @property
    def is_full(self) -> bool:
        """Whether the far end would take no further turn now."""
        return False

    def opening(self) -> Sequence[Message]:
        """What is sent first."""
        return ()

    def begin(self, turn: str) -> Sequence[Message]:
        """Opens a turn."""
        raise NotImplementedError

    def say(self, turn: str, text: str) -> Sequence[Message]:
        """The turn's next sentence."""
        raise NotImplementedError

    def finish(self, turn: str) -> Sequence[Message]:
        """No more sentences: what was said is spoken to its end, and then the turn has ended."""
        raise NotImplementedError

    def is_done(self, turn: str) -> bool:
        """Whether all of a turn that is finished was given before that was said."""
        return False

    def cancel(self, turn: str) -> Sequence[Message]:
        """Stops a turn wherever it stands."""
        raise NotImplementedError

    def keep_alive(self) -> Sequence[Message]:
        """What is due after a while: a sign that somebody is still there, or what had to wait."""
        return ()

    def goodbye(self) -> Sequence[Message]:
        """What is sent last."""
        return ()

    def receive(self, message: Message) -> Iterator[Said]:
        """Reads a message of the far end; what is not known is passed over.

        Raises:
            RemoteProtocolError: it is not what the protocol allows.
        """
        raise NotImplementedError
