"""Plivo's media stream on the wire, judged by its vectors; what a clear does to marks."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio import abc
from patter_trio._wire.plivo import PlivoWire, read_extra_headers
from patter_trio.errors import PatterConfigError, RemoteProtocolError
from patter_trio.events import (
    LINEAR_8K,
    LINEAR_16K,
    MULAW_8K,
    AudioFormat,
    AudioReceived,
    DigitPressed,
    MarkPlayed,
    StreamStarted,
    StreamStopped,
)
from patter_trio.testing.playback import PlaybackBuffer

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "plivo.json").read_text())
CALL, STREAM = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000c"


def start(encoding: str = "audio/x-mulaw", rate: object = 8000, **more: Any) -> str:
    body = {
        "callId": CALL,
        "streamId": STREAM,
        "accountId": "MAXXXXXXXXXXXXXXXXXX",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": encoding, "sampleRate": rate},
    }
    return json.dumps({"sequenceNumber": 1, "event": "start", "start": body, **more})


def said(event: str, **more: Any) -> str:
    return json.dumps({"event": event, "streamId": STREAM, **more})


def media(timestamp: object, audio: bytes = b"\x7f" * 160, **more: Any) -> str:
    payload = b64encode(audio).decode()
    return said(
        "media",
        media={"track": "inbound", "timestamp": timestamp, "chunk": 1, "payload": payload, **more},
    )


def started(*args: Any, **more: Any) -> PlivoWire:
    wire = PlivoWire()
    wire.decode(start(*args, **more))
    return wire


def test_a_conversation_is_read_as_the_vectors_say() -> None:
    wire = PlivoWire()
    first, *frames, digit, mark, cleared = [wire.decode(json.dumps(m)) for m in VECTORS["ws_from_carrier"]]
    assert first == StreamStarted(STREAM, CALL, {"tenant": "t1", "token": "abc"}, MULAW_8K)
    assert [(len(f.audio), f.at) for f in frames if isinstance(f, AudioReceived)] == [(160, 0.0), (160, 0.02)]
    assert (digit, mark, cleared) == (DigitPressed("2"), MarkPlayed("utt-1:end"), None)


def test_what_is_written_is_what_the_vectors_say() -> None:
    wire = started()
    assert isinstance(wire, abc.WritesDigits)
    orders = [each["send"] for each in VECTORS["ws_to_carrier"]]
    payload = VECTORS["ws_from_carrier"][2]["media"]["payload"]
    audio = wire.decode(media("1", b"")) or wire.decode(
        said("media", media={"track": "inbound", "timestamp": "1", "payload": payload})
    )
    assert isinstance(audio, AudioReceived)
    written = [
        wire.encode_audio(audio.audio),
        wire.encode_mark("utt-1:end"),
        wire.encode_clear(),
        wire.encode_digits("12#"),
    ]
    assert [json.loads(each) for each in written] == orders


@pytest.mark.parametrize(
    ("encoding", "rate", "audio"),
    [
        ("audio/x-l16", 8000, LINEAR_8K),
        ("audio/x-l16", "16000", LINEAR_16K),
        ("audio/x-l16;rate=16000", 16000, LINEAR_16K),
        ("audio/x-mulaw", 8000, MULAW_8K),
    ],
)
def test_sound_goes_out_in_the_format_of_the_stream(encoding: str, rate: object, audio: AudioFormat) -> None:
    wire = started(encoding, rate)
    assert wire.audio == audio
    body = json.loads(wire.encode_audio(b"\x01\x02"))["media"]
    assert (body["contentType"], body["sampleRate"]) == (encoding.partition(";")[0], audio.sample_rate)


@pytest.mark.parametrize("base", [0, 20, 1767225600020])
@pytest.mark.parametrize("kind", [int, str])
def test_time_is_counted_from_the_first_frame_in_both_readings(base: int, kind: type) -> None:
    wire = started()
    frames = [wire.decode(media(kind(base + 20 * n))) for n in (0, 1, 3)]
    assert [f.at for f in frames if isinstance(f, AudioReceived)] == [0.0, 0.02, 0.06]


def test_both_names_of_a_mark_are_taken_and_stop_is() -> None:
    wire = started()
    assert wire.decode(said("playedStream", name="a")) == MarkPlayed("a")
    assert wire.decode(said("played", name="b")) == MarkPlayed("b")
    assert wire.decode(said("stop", reason="over")) == StreamStopped()
    assert wire.decode(said("somethingNew")) is None


def test_what_the_carrier_complains_of_is_told() -> None:
    wire = started()
    with pytest.raises(RemoteProtocolError, match=r"error: buffer_overflow"):
        wire.decode(said("error", message="buffer_overflow"))
    with pytest.raises(RemoteProtocolError, match="could not play: no reason given"):
        wire.decode(said("playFailed"))


@pytest.mark.parametrize("form", VECTORS["extra_headers_forms"], ids=lambda form: form["raw"] or "empty")
def test_parameters_are_read_in_every_form(form: dict[str, Any]) -> None:
    event = PlivoWire().decode(start(extra_headers=form["raw"]))
    assert isinstance(event, StreamStarted)
    assert event.parameters == form["parsed"]


def test_parameters_may_come_as_an_object_or_not_at_all() -> None:
    assert read_extra_headers({"a": 1, "b": "x"}) == {"a": "1", "b": "x"}
    assert read_extra_headers("{a=1, b=x}") == {"a": "1", "b": "x"}
    assert read_extra_headers(None) == read_extra_headers("[]") == read_extra_headers(";;no pair") == {}


@given(st.text(max_size=60))
def test_no_text_of_parameters_is_too_strange(text: str) -> None:
    assert all(isinstance(value, str) for value in read_extra_headers(text).values())


names = st.text("abcXYZ019_", min_size=1, max_size=8)


@given(st.dictionaries(names, names, max_size=5), st.sampled_from([",", ";", ", "]), st.booleans())
def test_pairs_survive_every_separator(pairs: dict[str, str], separator: str, braces: bool) -> None:
    joined = separator.join(f"{name}={value}" for name, value in pairs.items())
    assert read_extra_headers("{" + joined + "}" if braces else joined) == pairs


@pytest.mark.parametrize(
    "message",
    [
        b"binary",
        "not json",
        "[]",
        start("audio/x-opus"),
        start(rate=100),
        start().replace(CALL, "not-a-uuid"),
        start().replace(STREAM, STREAM + "/"),
        media("1"),
        said("clearedAudio"),
    ],
)
def test_what_cannot_begin_a_stream_is_refused(message: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        PlivoWire().decode(message)


@pytest.mark.parametrize(
    "message",
    [
        start(),
        media("1").replace(STREAM, CALL),
        media("-1"),
        media("1", b"\0" * 8001),
        said("dtmf", dtmf={"digit": "E"}),
        said("playedStream"),
    ],
)
def test_what_is_wrong_in_a_stream_is_refused(message: str) -> None:
    with pytest.raises(RemoteProtocolError):
        started().decode(message)


def test_half_a_sample_is_refused_and_other_tracks_are_left() -> None:
    with pytest.raises(RemoteProtocolError, match="half a sample"):
        started("audio/x-l16").decode(media("1", b"\0" * 319))
    assert started().decode(media("1", track="outbound")) is None
    assert started().decode(said("dtmf", dtmf={"digit": "1", "track": "outbound"})) is None


def test_nothing_is_written_before_the_start() -> None:
    wire = PlivoWire()
    writes: tuple[Callable[[], str], ...] = (
        lambda: wire.encode_audio(b"\0"),
        lambda: wire.encode_mark("a"),
        wire.encode_clear,
        lambda: wire.encode_digits("1"),
    )
    for write in writes:
        with pytest.raises(RuntimeError):
            write()


@pytest.mark.parametrize("digits", ["", "1w2", "E", "1 2", "١"])
def test_only_keys_of_a_telephone_are_pressed(digits: str) -> None:
    with pytest.raises(PatterConfigError, match="cannot be pressed"):
        started().encode_digits(digits)


# --- a mark behind a clear ----------------------------------------------------------------------------------


def test_a_clear_that_is_confirmed_plays_the_mark_behind_it() -> None:
    wire = started()
    wire.encode_mark("before")
    wire.encode_clear()
    wire.encode_mark("barrier")
    wire.encode_mark("after")
    assert wire.decode(said("clearedAudio")) == MarkPlayed("barrier")
    assert wire.decode(said("clearedAudio")) is None


def test_a_clear_without_a_mark_plays_none() -> None:
    wire = started()
    wire.encode_clear()
    assert wire.decode(said("clearedAudio")) is None
    wire.encode_mark("ordinary")
    assert wire.decode(said("clearedAudio")) is None


def test_confirmations_belong_to_their_clears_in_order() -> None:
    wire = started()
    for name in ("one", "two"):
        wire.encode_clear()
        wire.encode_mark(name)
    assert wire.decode(said("clearedAudio")) == MarkPlayed("one")
    assert wire.decode(said("playedStream", name="one")) == MarkPlayed("one")
    assert wire.decode(said("clearedAudio")) == MarkPlayed("two")


def test_a_late_echo_from_before_the_clear_changes_nothing() -> None:
    wire = started()
    wire.encode_mark("before")
    wire.encode_clear()
    wire.encode_mark("barrier")
    assert wire.decode(said("playedStream", name="before")) == MarkPlayed("before")
    assert wire.decode(said("clearedAudio")) == MarkPlayed("barrier")


def test_a_confirmation_that_never_came_does_not_shift_the_next() -> None:
    wire = started()
    wire.encode_clear()
    wire.encode_mark("one")
    wire.decode(said("playedStream", name="one"))
    wire.encode_clear()
    wire.encode_mark("two")
    assert wire.decode(said("clearedAudio")) == MarkPlayed("two")


steps = st.lists(st.sampled_from(["play", "mark", "tick", "clear"]), max_size=60)


@given(steps, st.sampled_from(["forgotten", "unanswered"]))
def test_each_clear_gives_its_barrier_back_whatever_the_carrier_does_with_marks(
    script: list[str], policy: Any
) -> None:
    wire, buffer, heard = started(), PlaybackBuffer(marks_at_clear=policy), list[str]()
    sent = 0

    def tell(names: tuple[str, ...]) -> None:
        for name in names:
            event = wire.decode(said("playedStream", name=name))
            assert isinstance(event, MarkPlayed)
            heard.append(event.name)

    def mark() -> str:
        nonlocal sent
        sent += 1
        tell(buffer.mark(json.loads(wire.encode_mark(f"m{sent}"))["name"]))
        return f"m{sent}"

    for step in script:
        if step == "play":
            buffer.put(b"\x7f" * 160)
        elif step == "tick":
            tell(buffer.tick()[1])
        elif step == "mark":
            mark()
        else:
            dropped = set(buffer.outstanding)
            wire.encode_clear()
            tell(buffer.clear())
            dropped -= set(buffer.outstanding)
            # The confirmation is on its way while the barrier is being sent.
            sent += 1
            barrier = f"m{sent}"
            echoed = buffer.mark(json.loads(wire.encode_mark(barrier))["name"])
            confirmed = wire.decode(said("clearedAudio"))
            assert confirmed == MarkPlayed(barrier)
            heard.append(barrier)
            tell(echoed)
            for _ in range(3):
                tell(buffer.tick()[1])
            assert not dropped & set(heard)
