from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, Stream, VoiceResponse

from patter_trio._wire.twiml import (
    Answer,
    DialAnswer,
    HangUp,
    Refusal,
    SayAnswer,
    StreamAnswer,
    connect_stream,
    dial,
    parse_answer,
    reject,
    say_and_hangup,
)
from patter_trio._wire.twiml_rooms import join_room, wait_in_room
from patter_trio.errors import PatterConfigError, RemoteProtocolError

URL = "wss://voice.example.test/ws/twilio/CA00000000000000000000000000000001"
ACTION = "https://voice.example.test/webhooks/twilio/transfer?call=a&b"
AWKWARD = "a<b>&\"c'é\n\t]]> 中 😀"


def tree(element: Element) -> tuple[object, ...]:
    return (
        element.tag,
        dict(element.attrib),
        (element.text or "").strip(),
        [tree(child) for child in element],
    )


def same(ours: str, theirs: VoiceResponse) -> bool:
    return tree(fromstring(ours)) == tree(fromstring(str(theirs)))


def theirs_with_stream(parameters: dict[str, str], **attributes: str) -> VoiceResponse:
    response, connect = VoiceResponse(), Connect()
    stream = Stream(url=URL, **attributes)
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    connect.append(stream)
    response.append(connect)
    return response


@pytest.mark.parametrize("parameters", [{}, {"token": "9f8e"}, {"token": "9f8e", AWKWARD: AWKWARD}])
def test_a_stream_is_written_as_by_the_carriers_own_builder(parameters: dict[str, str]) -> None:
    assert same(connect_stream(URL, parameters), theirs_with_stream(parameters))


def test_a_status_callback_is_written_as_by_the_carriers_own_builder() -> None:
    callback = "https://voice.example.test/stream?a=1&b=2"
    theirs = theirs_with_stream({}, status_callback=callback, status_callback_method="POST")
    assert same(connect_stream(URL, {}, status_callback=callback), theirs)


@pytest.mark.parametrize("reason", ["busy", "rejected"])
def test_a_refusal_is_written_as_by_the_carriers_own_builder(reason: str) -> None:
    theirs = VoiceResponse()
    theirs.reject(reason=reason)
    assert same(reject(reason), theirs)


def test_a_spoken_answer_is_written_as_by_the_carriers_own_builder() -> None:
    theirs = VoiceResponse()
    theirs.say(AWKWARD)
    theirs.hangup()
    assert same(say_and_hangup(AWKWARD), theirs)


@pytest.mark.parametrize(
    "url",
    [
        URL + "?token=1",
        URL + "?",
        URL + "#part",
        "https://voice.example.test/ws",
        "ws://voice.example.test/ws",
        "/ws/twilio",
        "wss://",
        "wss://[::1/ws",
        "",
    ],
)
def test_a_stream_url_that_the_carrier_would_refuse(url: str) -> None:
    with pytest.raises(PatterConfigError):
        connect_stream(url, {})


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
def test_a_simulated_carrier_on_this_machine_needs_no_certificate(host: str) -> None:
    assert parse_answer(connect_stream(f"ws://{host}/ws", {})) == StreamAnswer(f"ws://{host}/ws")


def test_name_and_value_of_a_parameter_stay_below_500_characters() -> None:
    connect_stream(URL, {"name": "v" * 495})
    with pytest.raises(PatterConfigError, match="500") as caught:
        connect_stream(URL, {"name": "v" * 496})
    assert "vvv" not in str(caught.value), "the value may be a secret"


@pytest.mark.parametrize("value", ["\0", "\x0b", "\x1b[2J", "\ud800", "\uffff"])
def test_characters_that_xml_cannot_hold(value: str) -> None:
    with pytest.raises(PatterConfigError):
        connect_stream(URL, {"name": value})
    with pytest.raises(PatterConfigError):
        say_and_hangup(f"hello {value}")


def test_settings_that_make_no_document() -> None:
    with pytest.raises(PatterConfigError):
        connect_stream(URL, {"": "value"})
    with pytest.raises(PatterConfigError):
        reject("tired")
    with pytest.raises(PatterConfigError):
        say_and_hangup(" ")


# --- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xml", "answer"),
    [
        (connect_stream(URL, {"a": AWKWARD}), StreamAnswer(URL, {"a": AWKWARD})),
        (connect_stream(URL, {}, status_callback="https://h/x"), StreamAnswer(URL, {}, "https://h/x")),
        (reject("busy"), Refusal("busy")),
        ("<Response><Reject/></Response>", Refusal("rejected")),
        (say_and_hangup("Goodbye & thanks"), SayAnswer("Goodbye & thanks")),
        ("\n<Response>\n <Say>Hello</Say>\n</Response>\n", SayAnswer("Hello")),
        ("<Response><Hangup/></Response>", HangUp()),
        ("<Response/>", HangUp()),
        (f"<Response><Connect><Stream url='{URL}'/></Connect><Hangup/></Response>", StreamAnswer(URL)),
    ],
)
def test_answers_are_read_back(xml: str, answer: Answer) -> None:
    assert parse_answer(xml) == answer


def test_answers_of_the_carriers_own_builder_are_read() -> None:
    xml = str(theirs_with_stream({"token": "9f8e"}))
    assert parse_answer(xml) == StreamAnswer(URL, {"token": "9f8e"})


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    "<Response><Say>&c;</Say></Response>"
)


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "busy",
        "<Response>",
        "<Response><Say>&nosuch;</Say></Response>",
        LAUGHS,
        '<!DOCTYPE x SYSTEM "file:///etc/hostname"><Response/>',
        "<Response><Say>" + "a" * 70_000 + "</Say></Response>",
        "<Response><Say>\0</Say></Response>",
        "<Response><Say>\ud800</Say></Response>",
        "<Answer/>",
        "<Response><Dance/></Response>",
        "<Response><Say>One</Say><Say>Two</Say></Response>",
        "<Response><Reject reason='tired'/></Response>",
        "<Response><Connect/></Response>",
        "<Response><Connect><Conversation/></Connect></Response>",
        "<Response><Connect><Stream/></Connect></Response>",
        f"<Response><Connect><Stream url='{URL}?a=1'/></Connect></Response>",
        f"<Response><Connect><Stream url='{URL}' track='both_tracks'/></Connect></Response>",
        f"<Response><Connect><Stream url='{URL}'><Parameter/></Stream></Connect></Response>",
    ],
)
def test_documents_that_the_carrier_would_not_follow(xml: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_answer(xml)


# --- transfers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sip", [False, True])
@pytest.mark.parametrize("caller_id", ["", "+15550001234"])
def test_a_transfer_is_written_as_by_the_carriers_own_builder(sip: bool, caller_id: str) -> None:
    theirs = VoiceResponse()
    shown = {"caller_id": caller_id} if caller_id else {}
    call: Any = theirs.dial(timeout=25, answer_on_bridge=True, action=ACTION, method="POST", **shown)
    number = "sip:desk@pbx.example.test" if sip else "+15550109999"
    (call.sip if sip else call.number)(number)
    ours = dial(number, action=ACTION, caller_id=caller_id, ring_seconds=25)
    assert same(ours, theirs)
    assert parse_answer(ours) == DialAnswer(number, "", caller_id, "en-US", 25, ACTION)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"number": "911"}, "transferred"),
        ({"caller_id": "anonymous"}, "shown"),
        ({"ring_seconds": 4}, "ring"),
        ({"ring_seconds": 601}, "ring"),
        ({"action": "\x00"}, "control character"),
        ({"action": "&" * 800}, "4000"),
    ],
)
def test_a_transfer_that_the_carrier_would_not_follow_is_refused(
    fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(PatterConfigError, match=complaint):
        dial(**{"number": "+15550109999", "action": ACTION, **fields})


@given(number=st.text() | st.from_regex(r"(\+|sip:)[1-9a-z@;.&<>]{1,20}"))
def test_whatever_a_number_holds_one_number_is_dialled_or_none(number: str) -> None:
    try:
        document = dial(number, action=ACTION)
    except PatterConfigError:
        return
    assert parse_answer(document) == DialAnswer(number, "", "", "en-US", 20, ACTION)


@pytest.mark.parametrize(
    "verbs",
    [
        "<Dial/>",
        "<Dial>+15550109999</Dial>",
        "<Dial><Conference>room</Conference></Dial>",
        "<Dial><Number>911</Number></Dial>",
        "<Dial timeout='x'><Number>+15550109999</Number></Dial>",
        "<Dial callerId='anonymous'><Number>+15550109999</Number></Dial>",
        "<Dial><Number>+15550109999</Number><Number>+15550109998</Number></Dial>",
        "<Dial><Number>+15550109999</Number></Dial><Redirect/>",
        "<Dial><Number>+15550109999</Number></Dial><Say>a</Say><Say>b</Say>",
    ],
)
def test_a_transfer_that_is_not_followed_here_is_refused(verbs: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_answer(f"<Response>{verbs}</Response>")


def test_a_document_that_is_not_ours_may_say_something_after_a_transfer() -> None:
    verbs = "<Dial><Number>+15550109999</Number></Dial><Say language='de-DE'>Danke.</Say><Hangup/>"
    answer = parse_answer(f"<Response>{verbs}</Response>")
    assert answer == DialAnswer("+15550109999", "Danke.", "", "de-DE", 30)


def test_a_caller_waits_in_a_room_as_the_carriers_own_builder_writes_it() -> None:
    theirs = VoiceResponse()
    waiting: Any = theirs.dial(action=ACTION, method="POST")
    rules = {"end_conference_on_exit": True, "beep": "false", "max_participants": 2}
    waiting.conference("room", start_conference_on_enter=False, **rules)
    assert same(wait_in_room("room", action=ACTION), theirs)


@pytest.mark.parametrize("summary", ["", AWKWARD])
def test_a_human_joins_a_room_as_the_carriers_own_builder_writes_it(summary: str) -> None:
    theirs = VoiceResponse()
    if summary:
        theirs.say(summary, language="de-DE")
    joined: Any = theirs.dial()
    rules = {"end_conference_on_exit": True, "beep": "false", "max_participants": 2}
    joined.conference("room", start_conference_on_enter=True, **rules)
    assert same(join_room("room", summary, language="de-DE"), theirs)


def test_rooms_that_cannot_be_meant() -> None:
    with pytest.raises(PatterConfigError, match="language"):
        join_room("room", language="de_DE")
    with pytest.raises(PatterConfigError, match="4000"):
        join_room("room", "x" * 4000)
    with pytest.raises(PatterConfigError, match="without a name"):
        wait_in_room("", action=ACTION)


def test_a_sentence_is_said_in_its_language() -> None:
    theirs = VoiceResponse()
    theirs.say(AWKWARD, language="de-DE")
    theirs.hangup()
    assert same(say_and_hangup(AWKWARD, language="de-DE"), theirs)
    with pytest.raises(PatterConfigError, match="language"):
        say_and_hangup("Hello.", language="English")


def test_a_bare_transfer_is_read_with_the_carriers_defaults() -> None:
    verbs = "<Dial><Number>+15550109999</Number></Dial>"
    assert parse_answer(f"<Response>{verbs}</Response>") == DialAnswer("+15550109999", "", "", "en-US", 30)
