"""A toy agent behind the real port: greets, answers questions, falls silent when spoken over."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import attrs
import msgspec
import trio

from patter_trio._server.house import UpgradeRequest
from patter_trio._wire.signatures import verify_twilio
from patter_trio._wire.twilio import TwilioWire
from patter_trio._wire.twiml import connect_stream
from patter_trio.abc import MediaSocket, WebhookRequest
from patter_trio.events import AudioReceived, DigitPressed, MarkPlayed, StreamStarted, StreamStopped
from patter_trio.telephony import WebhookReply
from patter_trio.testing import WordReader, speak_words
from patter_trio.testing.ear import is_loud

TOKEN = "0123456789abcdef0123456789abcdef"
FRAME = 160
ANSWER = "we open at nine and we close at six on every day but Sunday"


@attrs.define(eq=False)
class ToyAgent:
    """A house with one agent in it; the settings make it misbehave."""

    origin: str = "https://voice.example.test"
    greeting: str = "good day to you"
    lead: float = 0.1
    answer_after: float = 0.3
    speaks_after_clear: bool = False
    deaf: bool = False
    hangs_up_on: str = "bye"
    twiml: str | None = None
    refuse_media_with: int | None = None
    digits: list[str] = attrs.field(factory=list[str])
    marks: list[str] = attrs.field(factory=list[str])
    parameters: list[Mapping[str, str]] = attrs.field(factory=list[Mapping[str, str]])
    stops: int = 0
    ends: int = 0
    over: trio.Event = attrs.field(factory=trio.Event)

    def public_url(self, target: str, *, websocket: bool = False) -> str:
        origin = self.origin.replace("http", "ws", 1) if websocket else self.origin
        return origin + target

    def health(self) -> Mapping[str, Any]:
        return {}

    async def answer_webhook(self, kind: str, what: str, request: WebhookRequest) -> WebhookReply:
        signature = request.headers.get("x-twilio-signature", "")
        if not verify_twilio([TOKEN], request.url, signature, form=request.form):
            return WebhookReply(status=403)
        stream = connect_stream(self.public_url(f"/ws/{kind}/one", websocket=True), {"tenant": "t1"})
        return WebhookReply(body=stream if self.twiml is None else self.twiml)

    def refuse_media(self, upgrade: UpgradeRequest) -> int | None:
        url = self.public_url(upgrade.target, websocket=True)
        signed = verify_twilio([TOKEN], url, upgrade.headers.get("x-twilio-signature", ""))
        return self.refuse_media_with if signed else 403

    async def run_media(self, socket: MediaSocket, upgrade: UpgradeRequest) -> None:
        try:
            await _Conversation(self, socket).run()
        except trio.EndOfChannel:
            pass
        finally:
            self.ends += 1
            self.over.set()


class _Conversation:
    def __init__(self, agent: ToyAgent, socket: MediaSocket) -> None:
        self._agent = agent
        self._socket = socket
        self._wire = TwilioWire()
        self._turn: trio.CancelScope | None = None
        self._speaking = False
        self._turns = 0

    async def run(self) -> None:
        reader, loud = WordReader(), 0
        async with trio.open_nursery() as nursery:
            while True:
                event = self._wire.decode(await self._receive(nursery))
                if isinstance(event, StreamStarted):
                    self._agent.parameters.append(event.parameters)
                    nursery.start_soon(self._speak, self._agent.greeting, 0.0)
                elif isinstance(event, DigitPressed):
                    self._agent.digits.append(event.digit)
                elif isinstance(event, MarkPlayed):
                    self._agent.marks.append(event.name)
                elif isinstance(event, StreamStopped):
                    self._agent.stops += 1
                elif isinstance(event, AudioReceived) and not self._agent.deaf:
                    loud = loud + 1 if is_loud(event.audio) else 0
                    if loud == 10 and self._speaking:
                        await self._fall_silent()
                    for word in reader.feed(event.audio):
                        if word.text == self._agent.hangs_up_on:
                            nursery.cancel_scope.cancel()
                        if word.text.endswith("?"):
                            nursery.start_soon(self._speak, ANSWER, self._agent.answer_after)

    async def _receive(self, nursery: trio.Nursery) -> str | bytes:
        try:
            return await self._socket.receive()
        except trio.EndOfChannel:
            nursery.cancel_scope.cancel()
            await trio.sleep_forever()
            raise

    async def _fall_silent(self) -> None:
        assert self._turn is not None
        self._turn.cancel()
        self._speaking = False
        await self._socket.send(self._wire.encode_clear())
        if self._agent.speaks_after_clear:
            late = speak_words("late", serial=self._turns)[: 3 * FRAME]
            await self._socket.send(self._wire.encode_audio(late))

    async def _speak(self, text: str, after: float) -> None:
        await trio.sleep(after)
        self._turns += 1
        turn = self._turns
        # A carrier may take the call away in the middle of a word.
        with suppress(trio.BrokenResourceError), trio.CancelScope() as self._turn:
            self._speaking = True
            sound = speak_words(text, serial=turn)
            began = trio.current_time()
            for start in range(0, len(sound), FRAME):
                await trio.sleep_until(began + start / 8000 - self._agent.lead)
                await self._socket.send(self._wire.encode_audio(sound[start : start + FRAME]))
            await self._socket.send(self._wire.encode_mark(f"turn-{turn}"))
            await trio.sleep(self._agent.lead)
            self._speaking = False


def message(event: str, stream_sid: str, **body: Any) -> str:
    """A message as a server sends it, written without the package's own wire."""
    return msgspec.json.encode({"event": event, "streamSid": stream_sid, **body}).decode()
