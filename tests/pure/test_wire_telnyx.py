from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_trio._audio import g711
from patter_trio._audio.order import FrameOrder
from patter_trio._wire.telnyx import TelnyxWire
from patter_trio._wire.telnyx_state import LegState, read_state, write_state
from patter_trio._wire.telnyx_times import MediaTimes
from patter_trio.errors import RemoteProtocolError
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

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "telnyx.json").read_text(encoding="utf-8"))
CONVERSATION: list[dict[str, Any]] = VECTORS["ws_from_carrier"]
STREAM = "32DE0DEA-53CB-4B21-89A4-9E1819C043BC"
CALL = "v3:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
ALAW_8K = AudioFormat("alaw", 8000)
SECRET = "c2VjcmV0IHNvdW5k"  # what must not be found in a reason


def start(encoding: str = "PCMU", rate: Any = 8000, **changes: Any) -> str:
    media_format = {"encoding": encoding, "sample_rate": rate, "channels": 1}
    body = {**CONVERSATION[1]["start"], "media_format": media_format, **changes}
    return json.dumps({**CONVERSATION[1], "start": body})


def started(
    sends: AudioFormat = MULAW_8K, encoding: str = "PCMU", rate: int = 8000, **named: Any
) -> TelnyxWire:
    wire = TelnyxWire(sends, **named)
    wire.decode(start(encoding, rate))
    return wire


def media(payload: Any = "//8=", *, stream: str = STREAM, **changes: Any) -> str:
    body = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": payload, **changes}
    return json.dumps({"event": "media", "sequence_number": "3", "media": body, "stream_id": stream})


def played(message: str) -> bytes:
    return base64.b64decode(json.loads(message)["media"]["payload"])


def test_a_conversation_becomes_events() -> None:
    wire = TelnyxWire()
    events: list[Any] = []
    for message in CONVERSATION:
        if message["event"] == "error":
            with pytest.raises(RemoteProtocolError, match=r"rate limit reached \(100005\)"):
                wire.decode(json.dumps(message))
        else:
            events.append(wire.decode(json.dumps(message)))
    sounds = [base64.b64decode(message["media"]["payload"]) for message in CONVERSATION[2:5]]
    assert events == [
        None,
        StreamStarted(STREAM, CALL, {}, MULAW_8K),
        AudioReceived(sounds[0], 0.0),
        AudioReceived(sounds[1], 0.04),
        AudioReceived(sounds[2], 0.02),
        DigitPressed("1"),
        MarkPlayed("utt-1:end"),
        StreamStopped(),
    ]


def test_frames_out_of_order_are_put_in_order() -> None:
    wire, order = TelnyxWire(), FrameOrder(MULAW_8K)
    heard: list[AudioReceived] = []
    for message in CONVERSATION[:5]:
        event = wire.decode(json.dumps(message))
        if isinstance(event, AudioReceived):
            heard += order.feed(event)
    assert [round(frame.at, 3) for frame in heard] == [0.0, 0.02, 0.04]
    assert (order.reordered, order.lost) == (1, 0)


def test_what_we_send_is_what_the_carrier_expects() -> None:
    wire = started()
    play, mark, clear = (vector["send"] for vector in VECTORS["ws_to_carrier"])
    assert json.loads(wire.encode_audio(base64.b64decode(play["media"]["payload"]))) == play
    assert json.loads(wire.encode_mark(mark["mark"]["name"])) == mark
    assert json.loads(wire.encode_clear()) == clear


def test_nothing_can_be_sent_before_start() -> None:
    wire = TelnyxWire()
    senders: list[Callable[[], str]] = [
        lambda: wire.encode_audio(b"\xff" * 160),
        lambda: wire.encode_mark("m"),
        wire.encode_clear,
    ]
    for send in senders:
        with pytest.raises(RuntimeError, match="before the stream has started"):
            send()


@pytest.mark.parametrize(
    ("encoding", "rate", "audio"),
    [
        ("PCMU", "8000", MULAW_8K),
        ("PCMA", 8000, ALAW_8K),
        ("L16", 8000, LINEAR_8K),
        ("L16", 16000, LINEAR_16K),
    ],
)
def test_the_format_of_start_is_obeyed(encoding: str, rate: Any, audio: AudioFormat) -> None:
    wire = TelnyxWire()
    event = wire.decode(start(encoding, rate))
    assert isinstance(event, StreamStarted)
    assert wire.audio == event.audio == audio


@pytest.mark.parametrize(
    ("encoding", "rate"), [("OPUS", 8000), ("G722", 8000), ("AMR-WB", 16000), ("PCMU", 16000), ("L16", 24000)]
)
def test_a_codec_that_is_not_spoken_is_refused(encoding: str, rate: int) -> None:
    with pytest.raises(RemoteProtocolError, match="codec"):
        TelnyxWire().decode(start(encoding, rate))


def test_less_than_a_frame_is_filled_up_with_silence() -> None:
    assert played(started().encode_audio(b"\x01" * 10)) == b"\x01" * 10 + b"\xff" * 150
    assert played(started().encode_audio(b"\x01" * 170)) == b"\x01" * 170


def test_what_goes_out_is_in_the_codec_that_was_asked_for() -> None:
    wire = started(MULAW_8K, "PCMA")
    assert wire.audio == ALAW_8K
    sound = bytes(range(160))
    expected = g711.linear_to_mulaw(g711.alaw_to_linear(sound))
    assert played(wire.encode_audio(sound)) == expected


def test_what_goes_out_is_in_the_rate_that_was_asked_for() -> None:
    wire = started(LINEAR_16K, "PCMU")
    frames = [played(wire.encode_audio(b"\x20" * 160)) for _ in range(5)]
    assert [len(frame) for frame in frames] == [640] * 5
    assert frames[0][:2] == b"\0\0"
    wire.encode_clear()
    assert played(wire.encode_audio(b"\x20" * 160)) == frames[0]


@pytest.mark.parametrize("order", ["little", "big"])
def test_linear_sound_has_the_byte_order_that_is_set(order: Any) -> None:
    said = VECTORS["l16"][f"{order}_endian_b64"]
    ours = b"".join(sample.to_bytes(2, "little", signed=True) for sample in VECTORS["l16"]["samples"])
    wire = started(LINEAR_8K, "L16", byte_order=order)
    assert wire.decode(media(said)) == AudioReceived(ours, 0.0)
    assert played(wire.encode_audio(ours))[: len(ours)] == base64.b64decode(said)


@pytest.mark.parametrize(
    "given",
    [
        {"custom_parameters": {"a": "1"}},
        {"custom_parameters": [{"name": "a", "value": "1"}]},
        {"client_state": write_state(LegState("in", parameters={"a": "1"}))},
    ],
)
def test_parameters_come_back_by_whichever_way(given: dict[str, Any]) -> None:
    event = TelnyxWire().decode(start(**given))
    assert isinstance(event, StreamStarted)
    assert event.parameters == {"a": "1"}


@pytest.mark.parametrize("text", [None, "", "!", "eyJjYWxsIjoiYzEifQ==", "W10=", "/w==", "é"])
def test_a_state_that_is_not_ours_is_none(text: str | None) -> None:
    assert read_state(text) == LegState()


def test_a_state_comes_back() -> None:
    state = LegState("briefing", CALL, "Zoë 🙂", "de-DE", {"x": "y"})
    assert read_state(write_state(state)) == state


@pytest.mark.parametrize(
    "message",
    [
        json.dumps({"event": "connected", "version": "1.0.0"}),
        json.dumps({"event": "anything", "stream_id": STREAM}),
        media(track="outbound"),
        media(""),
    ],
)
def test_messages_that_carry_nothing_for_us(message: str) -> None:
    assert started().decode(message) is None


MALFORMED: dict[str, str | bytes] = {
    "empty": "",
    "torn": media(SECRET)[:-20],
    "binary": media(SECRET).encode(),
    "lone surrogate": '{"event":"media","x":"\ud800"}',
    "nested too deeply": '{"event":"media","x":' + "[" * 50_000,
    "far too long": media("A" * 200_000),
    "payload is not base64": media(SECRET + "*"),
    "payload longer than a second": media(base64.b64encode(b"\xff" * 8001).decode()),
    "chunk is words": media(SECRET, chunk="soon"),
    "timestamp is negative": media(SECRET, timestamp="-1"),
    "another stream": media(SECRET, stream="32DE0DEA-53CB-4B21-89A4-9E1819C043BD"),
    "mark without a name": json.dumps({"event": "mark", "stream_id": STREAM, "mark": {}}),
    "digit of two": json.dumps({"event": "dtmf", "stream_id": STREAM, "dtmf": {"digit": "12"}}),
    "second start": json.dumps(CONVERSATION[1]),
}


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages_are_named_without_their_payload(message: str | bytes) -> None:
    wire = started()
    with pytest.raises(RemoteProtocolError) as caught:
        wire.decode(message)
    assert 0 < len(str(caught.value)) < 120
    assert SECRET not in str(caught.value)
    assert wire.decode(media()) == AudioReceived(b"\xff\xff", 0.0), "the stream must survive it"


def test_half_a_sample_is_malformed() -> None:
    with pytest.raises(RemoteProtocolError, match="half a sample"):
        started(LINEAR_8K, "L16").decode(media(base64.b64encode(b"abc").decode()))


@pytest.mark.parametrize(
    "changes",
    [
        {"call_control_id": "v3:../../x?y"},
        {"call_control_id": "CA1"},
        {"call_control_id": CALL + "\n"},
        {"media_format": None},
        {"media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 2}},
        {"custom_parameters": {"token": 5}},
    ],
)
def test_a_stream_opens_with_a_valid_start_only(changes: dict[str, Any]) -> None:
    wire = TelnyxWire()
    with pytest.raises(RemoteProtocolError):
        wire.decode(start(**changes))
    with pytest.raises(RemoteProtocolError, match="before start"):
        wire.decode(media())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_message_raises_anything_but_a_protocol_error(data: st.DataObject) -> None:
    wire = TelnyxWire()
    for _ in range(3):
        message = json.loads(json.dumps(data.draw(st.sampled_from(CONVERSATION))))
        place = message
        for _ in range(data.draw(st.integers(0, 2))):
            inner = [value for value in place.values() if isinstance(value, dict)]
            place = inner[0] if inner else place
        place[data.draw(st.sampled_from([*place, "extra"]))] = data.draw(JSON)
        text = json.dumps(message)
        cut = data.draw(st.integers(0, len(text)) | st.just(len(text)))
        try:
            wire.decode(text[:cut])
        except RemoteProtocolError as error:
            assert len(str(error)) < 200  # noqa: PT017 (it may be raised, or not)


# --- media times --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [20, 160], ids=["milliseconds", "samples"])
@given(delays=st.lists(st.integers(0, 2), min_size=38, max_size=38))
def test_either_unit_of_timestamps_sorts_what_came_in_disorder(unit: int, delays: list[int]) -> None:
    moved = [1, *sorted(range(2, 40), key=lambda chunk: chunk + delays[chunk - 2])]
    times, order = MediaTimes(8000), FrameOrder(MULAW_8K)
    heard: list[AudioReceived] = []
    for chunk in moved:
        at_time = times.read(chunk, 1000 + chunk * unit, 0.02)
        heard += order.feed(AudioReceived(bytes([chunk]) * 160, at_time))
    heard += order.flush()
    assert [frame.audio[0] for frame in heard] == list(range(1, 40))


@pytest.mark.parametrize("stamp", [None, 0, 7])
def test_timestamps_that_stand_still_or_are_missing_are_not_needed(stamp: int | None) -> None:
    times = MediaTimes(8000)
    assert [times.read(chunk, stamp, 0.02) for chunk in (1, 2, 4, 3)] == [0.0, 0.02, 0.06, 0.04]


@pytest.mark.parametrize("unit", [20, 160])
def test_silence_that_was_not_sent_shows_in_the_timestamps(unit: int) -> None:
    times = MediaTimes(8000)
    stamps = [0, unit, 6 * unit, 7 * unit]
    assert [times.read(chunk, stamp, 0.02) for chunk, stamp in enumerate(stamps, 1)] == [0, 0.02, 0.12, 0.14]


def test_a_wrong_guess_of_the_unit_is_taken_back() -> None:
    # A gap of 160 ms at the very beginning looks like 160 samples.
    times = MediaTimes(8000)
    stamps = [0, 160, 180, 200, 300]
    assert [times.read(n, stamp, 0.02) for n, stamp in enumerate(stamps, 1)] == [0, 0.02, 0.04, 0.06, 0.16]


def test_a_copy_of_a_frame_has_its_time() -> None:
    times = MediaTimes(8000)
    first = [times.read(chunk, chunk * 20, 0.02) for chunk in range(1, 9)]
    assert [times.read(chunk, chunk * 20, 0.02) for chunk in (5, 8)] == [first[4], first[7]]


def test_frames_without_numbers_follow_each_other() -> None:
    times = MediaTimes(8000)
    assert [times.read(None, None, 0.02) for _ in range(3)] == [0.0, 0.02, 0.04]
