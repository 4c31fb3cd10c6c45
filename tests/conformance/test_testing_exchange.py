"""The exchange end to end: who may be called, what our side is told, and what was heard."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from patter_trio._audio.wav import read_wav
from patter_trio.events import LINEAR_8K
from patter_trio.testing import (
    AnsweringMachine,
    Busy,
    Caller,
    Declines,
    Exchange,
    Fax,
    NoAnswer,
    Person,
    SimulatedTwilio,
    Subscriber,
    Unreachable,
    WordReader,
    open_exchange,
    run_virtual,
)

from .exchange_desk import OTHER, OURS, STREAM, THEIRS, Api, Desk, hook, line_to
from .toy_agent import ANSWER

GREETS = Caller().says("hello?").waits_for_agent().hangs_up()
PATIENT = Caller().says("hello").waits_for_hang_up(timeout=120)


@asynccontextmanager
async def exchanging(**book: Subscriber) -> AsyncIterator[tuple[Exchange, Api, Desk]]:
    desk, twilio = Desk(greeting="good day"), SimulatedTwilio()
    async with open_exchange(twilio, line_to(desk), port=None) as exchange:
        exchange.book.update({THEIRS if name == "theirs" else OTHER: who for name, who in book.items()})
        yield exchange, Api(exchange, twilio), desk


# --- who answers --------------------------------------------------------------------------------------------


async def test_a_person_answers_and_talks_with_the_agent(autojump_clock: MockClock) -> None:
    async with exchanging(theirs=Person(GREETS, answers_after=2.0)) as (exchange, api, desk):
        began = trio.current_time()
        sid = await api.place()
        await exchange.legs[sid].answered.wait()
        assert trio.current_time() - began == pytest.approx(2.0)
        await exchange.wait_quiet()
    outcome = exchange.outcomes[sid]
    assert outcome.ok, outcome.to_json()
    assert ANSWER in outcome.heard
    assert outcome.ended_by == "caller"
    assert desk.statuses_told() == ["initiated", "ringing", "in-progress", "completed"]
    assert [form["SequenceNumber"] for form in desk.of("status")] == ["0", "1", "2", "3"]
    last = desk.of("status")[-1]
    assert int(last["CallDuration"]) == round(exchange.legs[sid].phone.now)
    assert (last["SipResponseCode"], last["CallbackSource"]) == ("200", "call-progress-events")
    assert (last["Direction"], last["From"], last["To"]) == ("outbound-api", OURS, THEIRS)
    assert [form["StreamEvent"] for form in desk.of("stream")] == ["stream-started", "stream-stopped"]
    assert desk.stops == 1


@pytest.mark.parametrize(
    ("who", "statuses", "code"),
    [
        (Busy(), ["initiated", "busy"], "486"),
        (NoAnswer(), ["initiated", "ringing", "no-answer"], "487"),
        (Declines(), ["initiated", "ringing", "busy"], "603"),
        (Unreachable(), ["initiated", "failed"], "404"),
        (None, ["initiated", "failed"], "404"),
    ],
)
async def test_numbers_where_nobody_answers(
    who: Subscriber | None, statuses: list[str], code: str, autojump_clock: MockClock
) -> None:
    async with exchanging(**({} if who is None else {"theirs": who})) as (exchange, api, desk):
        began = trio.current_time()
        sid = await api.place(Timeout="20")
        await exchange.wait_quiet()
        took = trio.current_time() - began
    assert desk.statuses_told() == statuses
    assert desk.of("status")[-1]["SipResponseCode"] == code
    assert took == pytest.approx(20) if isinstance(who, NoAnswer) else took < 3
    assert exchange.outcomes[sid].ended_by == "refused"
    assert desk.ends == 0


async def test_a_machine_takes_the_message_that_is_left_after_its_beep(autojump_clock: MockClock) -> None:
    machine = AnsweringMachine("nobody is at home")
    async with exchanging(theirs=machine) as (exchange, api, desk):
        sid = await api.place(
            MachineDetection="DetectMessageEnd", AsyncAmd="true", AsyncAmdStatusCallback=hook("machine")
        )
        await exchange.wait_until(lambda: bool(exchange.post.of("machine")))
        status, _ = await api.change(sid, Twiml="<Response><Say>please call us back</Say></Response>")
        assert status == 200
        await exchange.wait_quiet()
    (verdict,) = desk.of("machine")
    assert verdict["AnsweredBy"] == "machine_end_beep"
    assert int(verdict["MachineDetectionDuration"]) == pytest.approx(2500, abs=300)
    assert machine.messages == ["please call us back"]
    assert desk.stops == 1


@pytest.mark.parametrize(
    ("mode", "who", "verdict", "milliseconds"),
    [
        ("Enable", Person(PATIENT), "human", 1500),
        ("DetectMessageEnd", Person(PATIENT), "human", 1500),
        ("Enable", AnsweringMachine(6.0), "machine_start", 3300),
        ("DetectMessageEnd", AnsweringMachine(6.0, beep=False), "machine_end_silence", 6700),
        ("Enable", Fax(), "fax", 3000),
        ("Enable", Person(Caller().waits_for_hang_up(timeout=60)), "unknown", 30000),
    ],
)
async def test_who_picked_up_is_told_once_and_in_time(
    mode: str, who: Subscriber, verdict: str, milliseconds: int, autojump_clock: MockClock
) -> None:
    async with exchanging(theirs=who) as (exchange, api, desk):
        sid = await api.place(
            Twiml='<Response><Pause length="40"/></Response>',
            MachineDetection=mode,
            AsyncAmd="true",
            AsyncAmdStatusCallback=hook("machine"),
        )
        await exchange.wait_quiet()
    (told,) = desk.of("machine")
    assert told["AnsweredBy"] == verdict
    assert int(told["MachineDetectionDuration"]) == pytest.approx(milliseconds, abs=100)
    assert told["CallSid"] == sid


async def test_the_detectors_delays_are_settable_and_a_call_may_wait_for_it(
    autojump_clock: MockClock,
) -> None:
    async with exchanging(theirs=Person(PATIENT)) as (exchange, api, desk):
        sid = await api.place(
            Url=hook("answer"), MachineDetection="Enable", MachineDetectionSpeechEndThreshold="4000"
        )
        await exchange.wait_until(lambda: bool(desk.of("answer")))
        assert exchange.legs[sid].phone.now == pytest.approx(4.0, abs=0.05)
        await api.change(sid, Status="completed")
        await exchange.wait_quiet()
    (asked,) = desk.of("answer")
    assert (asked["AnsweredBy"], asked["CallStatus"]) == ("human", "in-progress")


async def test_keys_are_pressed_on_answer_and_turn_detection_off(autojump_clock: MockClock) -> None:
    async with exchanging(theirs=Person(PATIENT)) as (exchange, api, desk):
        sid = await api.place(
            SendDigits="wW1#",
            Twiml='<Response><Play digits="2"/></Response>',
            MachineDetection="Enable",
            AsyncAmd="true",
            AsyncAmdStatusCallback=hook("machine"),
        )
        await exchange.wait_quiet()
    leg = exchange.legs[sid]
    assert leg.keys_heard == "1#2"
    assert leg.ended is not None
    assert leg.ended.seconds == pytest.approx(2.1)
    assert desk.of("machine") == []


async def test_a_time_limit_ends_a_call(autojump_clock: MockClock) -> None:
    async with exchanging(theirs=Person(PATIENT)) as (exchange, api, desk):
        await api.place(TimeLimit="7")
        await exchange.wait_quiet()
    assert desk.of("status")[-1]["CallDuration"] == "7"
    assert desk.stops == 1


async def test_a_call_that_rings_can_be_canceled(autojump_clock: MockClock) -> None:
    async with exchanging(theirs=NoAnswer()) as (exchange, api, desk):
        sid = await api.place()
        await exchange.wait_until(lambda: exchange.legs[sid].status == "ringing")
        assert (await api.change(sid, Status="canceled"))[1]["status"] == "canceled"
        status, refused = await api.change(sid, Status="completed")
        assert (status, refused["code"]) == (400, 21220)
        await exchange.wait_quiet()
    assert desk.statuses_told()[-1] == "canceled"


# --- calls that come in -------------------------------------------------------------------------------------


async def test_a_caller_of_ours_is_answered_by_the_voice_webhook(autojump_clock: MockClock) -> None:
    async with exchanging() as (exchange, _, desk):
        record = next(iter(exchange.skin.numbers.values()))  # type: ignore[attr-defined]
        record.settings["status_callback"] = hook("status")
        outcome = await exchange.call(Caller().waits_for_agent().says("open?").waits_for_agent().hangs_up())
        await exchange.wait_quiet()
    assert outcome.ok, outcome.to_json()
    assert (outcome.heard, outcome.ended_by) == (f"good day {ANSWER}", "caller")
    assert desk.of("voice")[0]["CallStatus"] == "ringing"
    assert desk.statuses_told() == ["completed"]


async def test_the_simulated_carriers_own_calls_go_through_its_exchange(autojump_clock: MockClock) -> None:
    desk, twilio = Desk(), SimulatedTwilio()
    line = line_to(desk)
    async with open_exchange(twilio, line, port=None) as exchange:
        outcome = await twilio.call(line, GREETS)
        assert list(exchange.legs) == [outcome.call_sid]
    assert outcome.ok


@pytest.mark.parametrize(
    ("document", "ended_by", "heard"),
    [
        ('<Response><Reject reason="busy"/></Response>', "refused", ""),
        ("<Response><Say>we are closed</Say><Hangup/></Response>", "agent", "we are closed"),
        ("<Response><Pause length='1'/></Response>", "agent", ""),
        ("<Response><Dance/></Response>", "refused", ""),
    ],
)
async def test_documents_without_a_stream(
    document: str, ended_by: str, heard: str, autojump_clock: MockClock
) -> None:
    async with exchanging() as (exchange, _, desk):
        desk.documents["voice"] = document
        outcome = await exchange.call(Caller().waits_for_hang_up())
    assert (outcome.ended_by, outcome.heard) == (ended_by, heard)
    assert [each.kind for each in outcome.violations] == ["unusable TwiML"] * ("Dance" in document)


async def test_instructions_behind_a_stream_follow_when_the_server_closes_it(
    autojump_clock: MockClock,
) -> None:
    async with exchanging() as (exchange, _, desk):
        rest = f"<Redirect>{hook('document')}</Redirect>"
        desk.documents["voice"] = STREAM.replace("</Response>", f"{rest}</Response>")
        desk.documents["document"] = "<Response><Say>good bye</Say></Response>"
        outcome = await exchange.call(Caller().waits(1).says("bye").waits_for_hang_up())
    assert outcome.heard.endswith("good bye")
    assert outcome.ok


# --- other numbers ------------------------------------------------------------------------------------------


def dialling(**more: str) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in more.items())
    return f"<Response><Dial{attributes}><Number>{OTHER}</Number></Dial><Say>not there</Say></Response>"


async def test_a_transfer_connects_the_two_and_both_hear_each_other(autojump_clock: MockClock) -> None:
    human = Person(Caller().waits_until(lambda ear: "help" in ear.text()).says("of course").waits(0.5))
    caller = Caller().waits(9).says("help").waits_until(lambda ear: "course" in ear.text())
    async with exchanging(other=human) as (exchange, api, desk):
        desk.documents["transfer"] = "<Response><Say>that was it</Say></Response>"

        async def transfer() -> None:
            await exchange.wait_until(lambda: desk.parameters != [])
            (sid,) = exchange.legs
            await api.change(sid, Twiml=dialling(action=hook("transfer"), callerId=OURS))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(transfer)
            outcome = await exchange.call(caller.waits_for_hang_up())
        await exchange.wait_quiet()
    ours, theirs = exchange.outcomes.values()
    assert ours == outcome
    assert all(step.ok for step in (*ours.steps, *theirs.steps))
    assert theirs.heard == "help"
    assert ours.heard.endswith("of course that was it")
    (ended,) = desk.of("transfer")
    assert (ended["DialCallStatus"], ended["DialBridged"]) == ("completed", "true")
    assert ended["DialCallSid"] == theirs.call_sid
    assert (outcome.ended_by, outcome.transferred_to, desk.stops) == ("transferred", OTHER, 1)


@pytest.mark.parametrize(
    ("who", "status"),
    [(Busy(), "busy"), (NoAnswer(), "no-answer"), (Declines(), "busy"), (Unreachable(), "failed")],
)
async def test_a_transfer_that_nobody_takes_gives_the_caller_back(
    who: Subscriber, status: str, autojump_clock: MockClock
) -> None:
    async with exchanging(other=who) as (exchange, _, desk):
        desk.documents["voice"] = dialling(action=hook("transfer"), timeout="5")
        desk.documents["transfer"] = STREAM
        outcome = await exchange.call(Caller().waits_for_agent().says("bye").waits_for_hang_up())
    (ended,) = desk.of("transfer")
    assert (ended["DialCallStatus"], ended["DialBridged"]) == (status, "false")
    assert outcome.heard == "good day"
    assert outcome.ok


async def test_without_an_action_the_rest_of_the_document_follows(autojump_clock: MockClock) -> None:
    async with exchanging(other=Busy()) as (exchange, _, desk):
        desk.documents["voice"] = dialling()
        outcome = await exchange.call(Caller().waits_for_hang_up())
    assert outcome.heard == "not there"


async def test_a_caller_who_leaves_ends_the_other_leg_and_the_action_is_told(
    autojump_clock: MockClock,
) -> None:
    async with exchanging(other=Person(PATIENT)) as (exchange, _, desk):
        desk.documents["voice"] = dialling(action=hook("transfer"), timeLimit="60")
        await exchange.call(Caller().waits(6).hangs_up())
        await exchange.wait_quiet()
    (ended,) = desk.of("transfer")
    assert (ended["DialCallStatus"], ended["CallStatus"]) == ("completed", "completed")


async def test_whoever_takes_a_transfer_hears_keys_and_a_summary_first(autojump_clock: MockClock) -> None:
    human = Person(Caller().says("hello").waits(6).hangs_up())
    noun = f'<Number sendDigits="w9" url="{hook("document")}" statusCallback="{hook("leg")}">{OTHER}</Number>'
    async with exchanging(other=human) as (exchange, _, desk):
        desk.documents["voice"] = f'<Response><Dial answerOnBridge="true">{noun}</Dial></Response>'
        desk.documents["document"] = "<Response><Say>about a bill</Say></Response>"
        outcome = await exchange.call(Caller().says("hi").waits_for_hang_up())
        await exchange.wait_quiet()
    ours, theirs = exchange.legs.values()
    assert theirs.keys_heard == "9"
    assert exchange.outcomes[theirs.leg_id].heard == "about a bill hi"
    # Not answered before the other side was ready, so nothing of the hello was heard.
    assert outcome.heard == ""
    assert ours.answered_at is not None
    assert theirs.answered_at is not None
    assert ours.answered_at > theirs.answered_at + 1
    (told,) = desk.of("leg")
    assert (told["Direction"], told["ParentCallSid"], told["CallStatus"]) == (
        *("outbound-dial", ours.leg_id, "completed"),
    )


async def test_voices_that_speak_at_once_are_mixed_and_muted_ones_not_heard(
    autojump_clock: MockClock,
) -> None:
    room = "<Response><Dial><Conference {}>x</Conference></Dial></Response>"
    talks = Caller().waits(2).says("one two three four").waits(1).hangs_up()
    async with exchanging(theirs=Person(talks, 1.0), other=Person(talks, 1.0)) as (exchange, api, _):
        await api.place(Twiml=room.format(""))
        await api.place(OTHER, Twiml=room.format('muted="true"'))
        await exchange.wait_quiet()
    loud, muted = exchange.outcomes.values()
    assert (loud.heard, muted.heard) == ("", "one two three four")


async def test_a_warm_transfer_by_a_conference(autojump_clock: MockClock) -> None:
    room = "<Dial><Conference {}>desk</Conference></Dial>"
    human = Person(Caller().waits_until(lambda ear: "ring" in ear.text()).says("hi").waits(2).hangs_up())
    async with exchanging(other=human) as (exchange, api, desk):
        waits = room.format('startConferenceOnEnter="false" endConferenceOnExit="true"')
        desk.documents["voice"] = f"<Response>{waits}</Response>"
        caller = Caller().waits(9).says("a ring").waits_until(lambda ear: "hi" in ear.text())
        heard = []

        async def bring() -> None:
            await exchange.wait_until(lambda: bool(exchange.rooms))
            status, listed = await api.ask("GET", "/Conferences.json?FriendlyName=desk")
            assert (status, listed["conferences"][0]["status"]) == (200, "init")
            joins = room.format('startConferenceOnEnter="true" endConferenceOnExit="true"')
            sid = await api.place(OTHER, Twiml=f"<Response><Say>somebody waits</Say>{joins}</Response>")
            await exchange.legs[sid].done.wait()
            heard.append(exchange.outcomes[sid].heard)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(bring)
            outcome = await exchange.call(caller.waits_for_hang_up())
    assert outcome.heard == "hi"
    assert heard[0].startswith("somebody waits a ring")
    assert all(step.ok for step in outcome.steps)
    assert exchange.rooms == {}


# --- recordings ---------------------------------------------------------------------------------------------


async def test_a_recording_holds_both_sides_from_start_to_stop(autojump_clock: MockClock) -> None:
    script = Caller().waits_for_agent().says("early").waits(4).says("late?").waits_for_agent().hangs_up()
    async with exchanging() as (exchange, api, desk):

        async def record() -> None:
            await exchange.wait_until(lambda: desk.parameters != [])
            (leg,) = exchange.legs.values()
            await leg.phone.wait_until(lambda: len(leg.phone.utterances) == 1, 30, "early")
            ordered = {"RecordingChannels": "dual", "RecordingStatusCallback": hook("recording")}
            status, recording = await api.ask("POST", f"/Calls/{leg.leg_id}/Recordings.json", **ordered)
            assert (status, recording["status"], recording["channels"]) == (201, "in-progress", 2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(record)
            outcome = await exchange.call(script)
        await exchange.wait_quiet()
        (told,) = desk.of("recording")
        path = told["RecordingUrl"].partition("/Accounts/")[2].partition("/")[2]
        status, wav = await api.ask("GET", f"/{path}.wav")
        assert (status, (await api.ask("GET", f"/{path}.mp3"))[0]) == (200, 404)
        assert (await api.ask("DELETE", f"/{path}.json"))[0] == 204
        assert (await api.ask("GET", f"/{path}"))[0] == 404
    assert outcome.ok
    (left, right), rate = read_wav(io.BytesIO(wav))
    words = [[word.text for word in WordReader(LINEAR_8K).feed(side)] for side in (left, right)]
    assert (rate, words[0], " ".join(words[1])) == (8000, ["late?"], ANSWER)
    assert told["RecordingStatus"] == "completed"
    assert int(told["RecordingDuration"]) == round(len(left) / 16000)


async def test_a_recording_can_pause_and_a_call_be_recorded_from_its_answer(
    autojump_clock: MockClock,
) -> None:
    async with exchanging(theirs=Person(Caller().waits(1).says("one").waits(1).says("two").waits(1))) as (
        exchange,
        api,
        desk,
    ):
        sid = await api.place(
            Twiml='<Response><Pause length="60"/></Response>',
            Record="true",
            RecordingChannels="dual",
            RecordingStatusCallback=hook("recording"),
            RecordingStatusCallbackEvent="in-progress completed",
        )
        leg = exchange.legs[sid]
        await leg.answered.wait()
        await leg.phone.wait_until(lambda: len(leg.phone.utterances) == 1, 30, "one")
        current = f"/Calls/{sid}/Recordings/Twilio.CURRENT.json"
        assert (await api.ask("POST", current, Status="paused"))[1]["status"] == "paused"
        await leg.phone.wait_until(lambda: len(leg.phone.utterances) == 2, 30, "two")
        assert (await api.ask("POST", current, Status="in-progress"))[1]["status"] == "in-progress"
        await exchange.wait_quiet()
    (recording,) = leg.recordings.values()
    (left, _), _ = read_wav(io.BytesIO(recording.wav()))
    assert [word.text for word in WordReader(LINEAR_8K).feed(left)] == ["one"]
    assert [form["RecordingStatus"] for form in desk.of("recording")] == ["in-progress", "completed"]
    assert desk.of("status")[-1]["RecordingSid"] == recording.recording_id


# --- the same for the same seed -----------------------------------------------------------------------------


def test_an_exchange_is_the_same_for_the_same_seed() -> None:
    async def main() -> object:
        async with exchanging(theirs=AnsweringMachine(), other=Person(GREETS)) as (exchange, api, desk):
            await api.place()
            await api.place(OTHER)
            await exchange.call(GREETS)
            await trio.sleep(5)
            for sid in exchange.legs:
                await api.change(sid, Status="completed")
            await exchange.wait_quiet()
        return desk.told, [outcome.to_json(log=True) for outcome in exchange.outcomes.values()]

    assert run_virtual(main, seed=3) == run_virtual(main, seed=3)


async def test_calls_that_are_up_when_the_exchange_closes_are_hung_up(autojump_clock: MockClock) -> None:
    async with exchanging(theirs=Person(PATIENT)) as (exchange, api, desk):
        sid = await api.place()
        await exchange.legs[sid].answered.wait()
        await trio.sleep(1)
    assert desk.statuses_told()[-1] == "completed"
    assert (desk.stops, desk.ends) == (1, 1)
