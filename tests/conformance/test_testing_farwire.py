"""The media leg speaks any carrier's wire: other formats, confirmed clears, keys, no goodbye."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
import pytest
import trio
from trio.testing import MockClock

from patter_trio._audio.convert import Converter
from patter_trio.errors import RemoteProtocolError
from patter_trio.events import LINEAR_8K, LINEAR_16K, MULAW_8K, AudioFormat
from patter_trio.testing import Caller, LineConditions, WordReader, speak_words
from patter_trio.testing.conditions import MarksAtClear
from patter_trio.testing.farwire import (
    FarClear,
    FarDigits,
    FarMark,
    FarMedia,
    FarSaid,
    FrameConverter,
    WrongStreamError,
)
from patter_trio.testing.media import MediaLeg

ALAW_8K = AudioFormat("alaw", 8000)


def text(**message: Any) -> str:
    return msgspec.json.encode(message).decode()


@attrs.frozen
class PlainWire:
    """A wire like Plivo's: clears are confirmed, marks of cleared sound are not, nobody says goodbye."""

    audio: AudioFormat = MULAW_8K
    marks_at_clear: MarksAtClear = "forgotten"

    def opening(self, parameters: Mapping[str, str]) -> list[str]:
        return [text(event="start", parameters=dict(parameters))]

    def media(self, audio: bytes, number: int) -> str:
        return text(event="media", number=number, payload=b64encode(audio).decode())

    def digit(self, digit: str) -> str:
        return text(event="digit", digit=digit)

    def mark_played(self, name: str) -> str:
        return text(event="played", name=name)

    def cleared(self) -> str:
        return text(event="cleared")

    def stop(self) -> str | None:
        return None

    def decode(self, message: str | bytes) -> FarSaid:
        match msgspec.json.decode(message):
            case {"play": sound}:
                return FarMedia(b64decode(sound))
            case {"mark": name}:
                return FarMark(name)
            case {"clear": _}:
                return FarClear()
            case {"keys": digits}:
                return FarDigits(digits)
            case {"for": other}:
                raise WrongStreamError("stream", other)
        raise RemoteProtocolError("unknown")


class Pipe:
    """A socket whose server says what it is given, at its time."""

    def __init__(self, *says: tuple[float, str]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._says = list(says)

    async def send(self, message: str) -> None:
        await trio.lowlevel.checkpoint()
        self.heard.append(msgspec.json.decode(message))

    async def receive(self) -> str:
        if not self._says:
            await trio.sleep_forever()
        at, message = self._says.pop(0)
        await trio.sleep_until(at)
        return message

    def close_sending(self) -> None: ...

    def abort(self) -> None: ...

    def events(self) -> list[str]:
        return [message["event"] for message in self.heard if message["event"] != "media"]


async def talk(
    wire: PlainWire, script: Caller, *says: tuple[float, str], conditions: LineConditions | None = None
) -> tuple[Pipe, MediaLeg]:
    base, pipe = trio.current_time(), Pipe()
    pipe._says = [(base + at, message) for at, message in says]
    leg = MediaLeg(pipe, wire, conditions or LineConditions(), 1.0, parameters={"a": "b"})
    await leg.run(script.rendered(), trio.Event())
    return pipe, leg


def play(sound: bytes, audio: AudioFormat = MULAW_8K) -> str:
    return text(play=b64encode(Converter(MULAW_8K, audio).feed(sound)).decode())


async def test_a_confirmed_clear_returns_no_marks(autojump_clock: MockClock) -> None:
    said = ((0.5, play(speak_words("hello"))), (0.5, text(mark="m")), (0.6, text(clear=1)))
    pipe, _ = await talk(PlainWire(), Caller().waits(2).hangs_up(), *said)
    assert pipe.events() == ["start", "cleared"]
    assert pipe.heard[0]["parameters"] == {"a": "b"}


async def test_conditions_may_have_another_carriers_marks(autojump_clock: MockClock) -> None:
    said = ((0.5, play(speak_words("hello"))), (0.5, text(mark="m")), (0.6, text(clear=1)))
    line = LineConditions(marks_at_clear="returned")
    pipe, _ = await talk(PlainWire(), Caller().waits(2).hangs_up(), *said, conditions=line)
    assert pipe.events() == ["start", "played", "cleared"]


async def test_keys_that_the_server_presses_are_kept_and_wrong_streams_named(
    autojump_clock: MockClock,
) -> None:
    said = ((0.5, text(keys="12#")), (0.6, text(**{"for": "other"})), (0.7, text(what=1)))
    _, leg = await talk(PlainWire(), Caller().presses("5").waits(1).hangs_up(), *said)
    assert leg.received.digits == "12#"
    assert [each.kind for each in leg.received.violations] == ["wrong stream", "malformed message"]


@pytest.mark.parametrize("audio", [MULAW_8K, LINEAR_8K])
async def test_words_pass_a_wire_of_linear_sound_both_ways(
    audio: AudioFormat, autojump_clock: MockClock
) -> None:
    pipe, leg = await talk(
        PlainWire(audio), Caller().says("good day").waits(1).hangs_up(), (0.2, play(speak_words("hi"), audio))
    )
    assert leg.phone.ear.text() == "hi"
    sound = b"".join(b64decode(each["payload"]) for each in pipe.heard if each["event"] == "media")
    assert [word.text for word in WordReader(audio).feed(sound)] == ["good", "day"]


@pytest.mark.parametrize("audio", [ALAW_8K, LINEAR_16K])
async def test_other_formats_are_heard_as_sound(audio: AudioFormat, autojump_clock: MockClock) -> None:
    said = ((0.2, play(speak_words("hi there"), audio)), (0.2, text(mark="m")))
    pipe, leg = await talk(PlainWire(audio), Caller().waits(2).hangs_up(), *said)
    (span,) = leg.phone.ear.agent_speech
    assert span.end - span.start == pytest.approx(0.68, abs=0.021)
    assert pipe.events() == ["start", "played"]
    sizes = {len(b64decode(each["payload"])) for each in pipe.heard if each["event"] == "media"}
    assert sizes == {audio.bytes_for(0.02)}


def test_frames_are_whole_from_the_first_one_on() -> None:
    converter = FrameConverter(LINEAR_16K)
    assert {len(converter.feed(speak_words("a")[:160])) for _ in range(10)} == {640}
