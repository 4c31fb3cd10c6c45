from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from patter_trio._wire import twilio_far
from patter_trio._wire.signatures import sign_twilio, verify_twilio
from patter_trio._wire.twilio import TwilioWire
from patter_trio._wire.twiml import (
    SayAnswer,
    StreamAnswer,
    connect_stream,
    parse_answer,
    say_and_hangup,
)
from patter_trio.errors import RemoteProtocolError
from patter_trio.events import AudioReceived, DigitPressed, MarkPlayed, StreamStarted, StreamStopped

TOKEN = "0123456789abcdef0123456789abcdef"
STREAM = "MZ00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000001"
URL = "wss://voice.example.test/ws"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
events = st.sampled_from(["connected", "start", "media", "dtmf", "mark", "clear", "stop", "new"])
keys = st.sampled_from(
    [
        *("payload", "timestamp", "track", "name", "digit", "streamSid", "callSid", "mediaFormat"),
        *("customParameters", "encoding", "sampleRate", "channels"),
    ]
)
values = anything | st.sampled_from([STREAM, CALL, "//8=", "5", "inbound"])
near_misses = st.builds(
    lambda event, body, stream, rest: {**rest, "event": event, event: body, "streamSid": stream},
    events,
    st.dictionaries(keys, values | st.dictionaries(keys, values, max_size=3), max_size=6) | anything,
    values,
    st.dictionaries(st.text(max_size=8), anything, max_size=2),
)
messages = st.one_of(
    st.text(),
    st.binary(),
    st.text(alphabet=st.characters(exclude_categories=())),
    anything.map(json.dumps),
    near_misses.map(json.dumps),
)
# Text that XML can hold, and that comes back from XML as it went in.
xml_text = st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=200)


def streams() -> tuple[TwilioWire, twilio_far.FarStream]:
    wire = TwilioWire()
    far = twilio_far.FarStream(STREAM, call_sid=CALL, account_sid="AC00000000000000000000000000000001")
    for message in far.opening({}):
        wire.decode(message)
    return wire, far


@given(st.lists(messages, max_size=5), st.booleans())
def test_no_message_raises_anything_but_a_protocol_error(said: list[str | bytes], started: bool) -> None:
    wire = streams()[0] if started else TwilioWire()
    for message in said:
        with suppress(RemoteProtocolError):
            wire.decode(message)
        with suppress(RemoteProtocolError):
            twilio_far.decode(message)


@given(st.text(min_size=12), near_misses)
def test_reasons_hold_no_payload(secret: str, message: dict[str, Any]) -> None:
    marked = f"«{secret}»"
    text = json.dumps({**message, "media": {"payload": marked, "timestamp": marked}, "x": marked})
    reason = ""
    try:
        streams()[0].decode(text)
    except RemoteProtocolError as error:
        reason = str(error)
    assert marked not in reason
    assert len(reason) < 150


@given(st.dictionaries(st.text(), st.text()))
def test_parameters_come_back_with_the_start(parameters: dict[str, str]) -> None:
    far = twilio_far.FarStream(STREAM, call_sid=CALL, account_sid="AC00000000000000000000000000000001")
    wire = TwilioWire()
    connected, start = far.opening(parameters)
    assert wire.decode(connected) is None
    assert wire.decode(start) == StreamStarted(STREAM, CALL, parameters)


@given(
    st.binary(min_size=1, max_size=8000),
    st.integers(0, 10**7),
    st.text(),
    st.sampled_from("0123456789ABCD*#"),
)
def test_what_one_side_writes_the_other_reads(audio: bytes, number: int, name: str, digit: str) -> None:
    wire, far = streams()
    assert wire.decode(far.media(audio, number)) == AudioReceived(audio, number * 20 / 1000)
    assert wire.decode(far.mark(name)) == MarkPlayed(name)
    assert wire.decode(far.digit(digit)) == DigitPressed(digit)
    assert wire.decode(far.stop()) == StreamStopped()
    assert twilio_far.decode(wire.encode_audio(audio)) == twilio_far.FarMedia(STREAM, audio)
    assert twilio_far.decode(wire.encode_mark(name)) == twilio_far.FarMark(STREAM, name)
    assert json.loads(wire.encode_mark(name))["mark"]["name"] == name


@given(st.dictionaries(xml_text.filter(bool), xml_text, max_size=4))
def test_answers_survive_their_xml(parameters: dict[str, str]) -> None:
    assert parse_answer(connect_stream(URL, parameters)) == StreamAnswer(URL, parameters)


@given(xml_text.filter(str.strip))
def test_spoken_text_survives_its_xml(text: str) -> None:
    assert parse_answer(say_and_hangup(text)) == SayAnswer(text.strip())


@given(st.text(alphabet=st.characters(exclude_categories=())) | st.text(alphabet="<>/&;!Response[]x '\"="))
def test_no_document_raises_anything_but_a_protocol_error(xml: str) -> None:
    with suppress(RemoteProtocolError):
        parse_answer(xml)


forms = st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=5)
PORT = re.compile(r":[0-9]+")
hosts = st.sampled_from(["h.example.test", "h.example.test:8443", "h.example.test:443"])
urls = st.builds(
    "{}://{}/{}".format,
    st.sampled_from(["https", "http", "wss"]),
    hosts,
    st.text(alphabet="abc/?=&%20", max_size=20),
)


@given(urls, forms)
def test_what_is_signed_is_accepted(url: str, form: list[tuple[str, str]]) -> None:
    assert verify_twilio([TOKEN], url, sign_twilio(TOKEN, url, form), form=form)


@given(urls, st.dictionaries(st.text(min_size=1), st.text(), max_size=5))
def test_the_carriers_own_validator_signs_alike(url: str, form: dict[str, str]) -> None:
    assert RequestValidator(TOKEN).compute_signature(url, form) == sign_twilio(TOKEN, url, list(form.items()))


@given(urls, forms, st.data())
def test_one_changed_byte_is_noticed(url: str, form: list[tuple[str, str]], data: st.DataObject) -> None:
    signature = sign_twilio(TOKEN, url, form)
    at = data.draw(st.integers(0, len(signature) - 1))
    flipped = signature[:at] + chr(ord(signature[at]) ^ data.draw(st.integers(1, 127))) + signature[at + 1 :]
    assert not verify_twilio([TOKEN], url, flipped, form=form)
    # The carrier may sign without the port, so another port may pass.
    at = data.draw(st.integers(url.index("//") + 2, len(url) - 1))
    other = url[:at] + chr(ord(url[at]) ^ 1) + url[at + 1 :]
    port_alone = PORT.sub("", other) == PORT.sub("", url)
    assert port_alone or not verify_twilio([TOKEN], other, signature, form=form)


# The same pair twice is signed once, so a change that only alters how often it stands there may pass.
@given(
    st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1, unique_by=lambda pair: pair[0]), st.data()
)
def test_one_changed_field_is_noticed(form: list[tuple[str, str]], data: st.DataObject) -> None:
    signature = sign_twilio(TOKEN, URL, form)
    at = data.draw(st.integers(0, len(form) - 1))
    name, value = form[at]
    changed = [*form[:at], (name, value + "0"), *form[at + 1 :]]
    assert not verify_twilio([TOKEN], URL, signature, form=changed)
