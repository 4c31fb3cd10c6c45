from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio.testing import LineConditions, speak_words
from patter_trio.testing.playback import PlaybackBuffer
from patter_trio.testing.received import ReceivedStream
from patter_trio.testing.twilio_wire import TwilioFarWire

from .toy_agent import message

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "twilio.json").read_text())
SID = "MZ" + "0" * 31 + "1"
FAR = TwilioFarWire(SID, call_sid="CA" + "0" * 32, account_sid="AC" + "0" * 32)
LOUD = b"\x00" * 160


def test_the_sheets_mark_and_clear_scenario() -> None:
    buffer, returned, milliseconds = PlaybackBuffer(), list[str](), 0
    steps = VECTORS["mark_clear_scenario"]["steps"]
    for step in steps:
        sent, kind = step.get("send", ""), step.get("send", "").partition(" ")[0]
        if kind == "media":
            length = int(sent.partition("(")[2].partition(" ")[0])
            assert buffer.put(LOUD * (length // 20))
        elif kind == "mark":
            returned += buffer.mark(sent.removeprefix("mark "))
        elif kind == "clear":
            returned += buffer.clear()
        elif "advance_ms" in step:
            until = milliseconds + step["advance_ms"]
            while milliseconds <= until:
                returned += buffer.tick()[1]
                milliseconds += 20
        else:
            assert returned.pop(0) == step["recv"].removeprefix("mark ")
    assert returned == []
    assert buffer.outstanding == ()


def test_more_than_ten_minutes_are_discarded() -> None:
    buffer = PlaybackBuffer()
    assert buffer.put(LOUD * 50 * 600)
    assert not buffer.put(LOUD)
    buffer.tick()
    assert buffer.put(LOUD)


@given(st.lists(st.one_of(st.integers(1, 700), st.sampled_from(["mark", "clear", "tick"]))))
def test_every_mark_comes_back_once_in_order_and_not_too_early(steps: list[int | str]) -> None:
    buffer, returned, asked, played, sent = PlaybackBuffer(), list[str](), list[str](), 0, 0
    due: dict[str, int] = {}
    for step in steps:
        if isinstance(step, int):
            buffer.put(b"\x01" * step)
            sent += step
        elif step == "mark":
            name = str(len(asked))
            asked.append(name)
            due[name] = sent
            returned += buffer.mark(name)
        elif step == "clear":
            returned += buffer.clear()
            played = sent
            assert buffer.seconds == 0
            assert returned == asked
        else:
            frame, marks = buffer.tick()
            assert len(frame) == 160
            assert all(due[name] <= played for name in marks)
            played += frame.count(1)
            returned += marks
    while buffer.outstanding:
        returned += buffer.tick()[1]
    assert returned == asked


def media(sound: bytes, sid: str = SID) -> str:
    return message("media", sid, media={"payload": base64.b64encode(sound).decode()})


def started() -> ReceivedStream:
    stream = ReceivedStream(FAR)
    stream.started = True
    return stream


def kinds(stream: ReceivedStream) -> list[str]:
    return [violation.kind for violation in stream.violations]


def test_frames_of_a_cleared_turn_are_counted_by_their_words() -> None:
    stream, sound = started(), speak_words("long answer", serial=1)
    stream.take(media(sound[:800]), 0.0)
    stream.take(message("clear", SID), 0.1)
    stream.take(media(sound[800:1280]), 3.0)
    assert stream.frames_after_clear == 3
    stream.take(media(speak_words("next", serial=2)[:800]), 3.1)
    assert stream.frames_after_clear == 3
    assert kinds(stream) == ["audio of a cleared turn"]


def test_sound_without_words_is_late_only_right_after_the_clear() -> None:
    stream = started()
    stream.take(media(LOUD), 0.0)
    stream.take(message("clear", SID), 0.1)
    stream.take(media(LOUD * 2), 0.12)
    assert stream.frames_after_clear == 2
    stream.take(media(LOUD), 0.3)
    stream.take(message("clear", SID), 0.4)
    stream.take(message("mark", SID, mark={"name": "next"}), 0.41)
    stream.take(media(LOUD), 0.42)
    assert stream.frames_after_clear == 2


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"\x00\x01", "binary message"),
        ("{", "malformed message"),
        ('{"event":"media","media":{"payload":"AAAA"}}', "malformed message"),
        (message("media", SID, media={"payload": "AA*A"}), "malformed message"),
        (message("speak", SID), "malformed message"),
        (media(b""), "empty payload"),
        (media(LOUD, "MZ" + "f" * 32), "wrong streamSid"),
        (media(LOUD * 51), "unpaced"),
    ],
)
def test_what_the_protocol_does_not_allow_is_collected(sent: str | bytes, kind: str) -> None:
    stream = started()
    stream.take(sent, 1.0)
    assert kinds(stream) == [kind]


def test_more_than_ten_minutes_are_noticed_once() -> None:
    stream, minute = started(), [media(LOUD * 50)] * 60
    for message_of_a_second in minute * 10 + minute[:3]:
        stream.take(message_of_a_second, 1.0)
    assert kinds(stream) == ["unpaced", "more than ten minutes buffered"]


def test_audio_before_the_start_is_a_violation() -> None:
    stream = ReceivedStream(FAR)
    stream.take(media(LOUD), 0.0)
    assert kinds(stream) == ["message before start"]


@given(
    st.integers(),
    st.floats(0, 500),
    st.floats(0, 500),
    st.lists(st.floats(0, 1), min_size=1).map(lambda steps: [sum(steps[:n]) for n in range(len(steps))]),
)
def test_jitter_delays_and_never_reorders(seed: int, delay: float, jitter: float, sent: list[float]) -> None:
    conditions = LineConditions(seed, one_way_delay_ms=delay, jitter_ms=jitter)
    path, again = conditions.path("up"), conditions.path("up")
    arrivals = [path.arrival(at) for at in sent]
    assert arrivals == sorted(arrivals) == [again.arrival(at) for at in sent]
    assert all(arrival >= at + delay / 1000 for arrival, at in zip(arrivals, sent, strict=True))
    assert arrivals[0] <= sent[0] + (delay + jitter) / 1000 + 1e-9
