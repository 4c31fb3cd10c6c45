"""The running house: who is let in, what strangers can do, and how it ends."""

from __future__ import annotations

import logging
import signal
from typing import Any
from urllib.parse import urlencode

import pytest
import trio
import trio.lowlevel
import trio.testing

import patter_trio
from patter_trio import (
    HibariTTS,
    Patter,
    PatterConfigError,
    PatterConnectionError,
    PortLimits,
    Session,
    SessionSettings,
    Twilio,
)
from patter_trio._lines import Line, Lines
from patter_trio._providers import Providers
from patter_trio._server.admission import Admission
from patter_trio._wire.signatures import sign_twilio
from patter_trio._wire.twilio_far import FarStream
from patter_trio._wire.twiml import StreamAnswer, parse_answer
from patter_trio.errors import CapacityError
from patter_trio.events import CallInfo
from patter_trio.testing import Caller, CallOutcome, MemoryLine, ScriptedLLM, UpgradeRefusedError, run_virtual
from patter_trio.testing.line import LineSocket

from .ring import ACCOUNT, NUMBER, TOKEN, URL, agent, patter, ring, twilio

CALL = "CA" + "0" * 31 + "7"
STREAM = "MZ" + "0" * 31 + "7"
MEDIA = f'{{{{"event":"media","streamSid":"{STREAM}","media":{{{{"payload":"{{payload}}"}}}}}}}}'
VOICE = f"{URL}/webhooks/twilio/voice"
FORM = (
    ("CallSid", CALL),
    ("AccountSid", ACCOUNT),
    ("From", "+15557654321"),
    ("To", NUMBER),
    ("CallStatus", "ringing"),
)


async def post(
    session: Session, *, signature: str | None = None, form: tuple[tuple[str, str], ...] = FORM
) -> Any:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    headers["X-Twilio-Signature"] = sign_twilio(TOKEN, VOICE, form) if signature is None else signature
    return await MemoryLine(session.app, URL).post(VOICE, headers, urlencode(form).encode())


def signed(url: str) -> dict[str, str]:
    return {"X-Twilio-Signature": sign_twilio(TOKEN, url)}


async def admitted(session: Session) -> str:
    """The stream URL that a signed webhook gets."""
    answer = await post(session)
    assert answer.status == 200
    parsed = parse_answer(answer.body.decode())
    assert isinstance(parsed, StreamAnswer)
    return parsed.url


def house(body: Any, **options: Any) -> Session:
    """Runs ``body(session)`` in virtual time."""

    async def main() -> Session:
        async with patter().session(agent(), port=None, **options) as session:
            await body(session)
        return session

    return run_virtual(main, seed=1)


def opening() -> list[str]:
    return list(FarStream(STREAM, call_sid=CALL, account_sid=ACCOUNT).opening({}))


# --- the webhook --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["", "bm9uc2Vuc2U=", sign_twilio("another token", VOICE, FORM)])
def test_a_webhook_that_the_carrier_did_not_sign_is_refused(
    signature: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(session: Session) -> None:
        assert (await post(session, signature=signature)).status == 403

    with caplog.at_level(logging.WARNING):
        session = house(body)
    assert session.counts.refused_signature == 1
    assert "refused" in caplog.text
    assert TOKEN not in caplog.text
    assert sign_twilio(TOKEN, VOICE, FORM) not in caplog.text


def test_a_signed_webhook_that_is_no_call_is_refused() -> None:
    async def body(session: Session) -> None:
        assert (await post(session, form=(("CallSid", "../../etc"), ("From", "x")))).status == 400

    assert house(body).counts.refused_malformed == 1


def test_a_webhook_of_another_carrier_is_not_found() -> None:
    async def body(session: Session) -> None:
        url = f"{URL}/webhooks/telnyx/voice"
        answer = await MemoryLine(session.app, URL).post(url, {}, b"")
        assert answer.status == 404

    house(body)


def test_a_repeated_webhook_gets_the_same_answer_and_one_line() -> None:
    async def body(session: Session) -> None:
        assert await admitted(session) == await admitted(session)

    house(body, max_calls=1)


# --- the media stream ---------------------------------------------------------------------------------------


async def refused(session: Session, url: str, headers: dict[str, str]) -> None:
    with pytest.raises(UpgradeRefusedError, match="403"):
        async with MemoryLine(session.app, URL).open_media(url, headers):
            pass


def test_a_stream_without_our_token_is_refused() -> None:
    async def body(session: Session) -> None:
        url = "wss://voice.example.test/ws/twilio/guessed"
        await refused(session, url, signed(url))

    assert house(body).counts.refused_stream == 1


def test_a_stream_that_the_carrier_did_not_sign_is_refused() -> None:
    async def body(session: Session) -> None:
        await refused(session, await admitted(session), {})

    assert house(body).counts.refused_stream == 1


def test_a_token_that_is_too_old_opens_nothing() -> None:
    async def body(session: Session) -> None:
        url = await admitted(session)
        await trio.sleep(31)
        await refused(session, url, signed(url))

    house(body)


def test_a_second_socket_for_a_call_is_refused_and_the_call_goes_on() -> None:
    async def body(session: Session) -> None:
        url = await admitted(session)
        line = MemoryLine(session.app, URL)
        async with line.open_media(url, signed(url)) as socket:
            for message in opening():
                await socket.send(message)
            await trio.sleep(1.0)
            await refused(session, url, signed(url))
            assert CALL in session.calls
            await socket.send(FarStream(STREAM, call_sid=CALL, account_sid=ACCOUNT).stop())

    session = house(body)
    assert session.counts.completed == 1


async def _closed(socket: LineSocket) -> None:
    """Reads until the server has closed the socket."""
    with trio.fail_after(60):
        while True:
            try:
                await socket.receive()
            except trio.EndOfChannel:
                return


@pytest.mark.parametrize(
    "first",
    [
        pytest.param([], id="silence"),
        pytest.param(["{", "[]", "null", "\0", '{"event":"media"}', "x" * 200_000], id="junk"),
        pytest.param(
            [MEDIA.format(payload="//8=")],
            id="media before start",
        ),
        pytest.param(
            list(FarStream(STREAM, call_sid="CA" + "f" * 32, account_sid=ACCOUNT).opening({})),
            id="another call",
        ),
    ],
)
def test_a_stream_that_does_not_start_its_call_is_closed(first: list[str]) -> None:
    async def body(session: Session) -> None:
        url = await admitted(session)
        async with MemoryLine(session.app, URL).open_media(url, signed(url)) as socket:
            for message in first:
                await socket.send(message)
            await _closed(socket)
        assert session.counts.streams_without_start == 1

    session = house(body)
    assert session.counts.answered == 0


def test_what_is_malformed_in_a_running_stream_is_counted_and_survived() -> None:
    async def body(session: Session) -> None:
        url = await admitted(session)
        far = FarStream(STREAM, call_sid=CALL, account_sid=ACCOUNT)
        async with MemoryLine(session.app, URL).open_media(url, signed(url)) as socket:
            for message in [
                *far.opening({}),
                "{",
                MEDIA.format(payload="!!"),
                far.mark("nobody"),
                '{"event":"something new"}',
                far.media(b"\xff" * 160, 0),
                far.stop(),
            ]:
                await socket.send(message)
                await trio.sleep(0.02)
            await _closed(socket)

    session = house(body)
    (result,) = session.results
    assert result.outcome == "answered"
    assert result.counts["malformed"] == 2
    assert result.counts["late_marks"] == 1
    assert result.counts["frames"] == 1


def test_a_claimed_stream_takes_a_line_before_it_starts() -> None:
    async def body(session: Session) -> None:
        url = await admitted(session)
        async with MemoryLine(session.app, URL).open_media(url, signed(url)):
            await trio.sleep(1.0)
            outcome = await twilio("+15550000002").call(MemoryLine(session.app, URL), Caller().hangs_up())
            assert outcome.ended_by == "refused"

    house(body, max_calls=1)


async def test_admission_counts_expected_calls_and_running_ones() -> None:
    admission, who = Admission(2), agent()
    first, second, third = (Line(CallInfo(call_id), who) for call_id in "abc")
    token = admission.admit(first, 0.0)
    assert admission.admit(first, 1.0) == token
    admission.admit(second, 0.0)
    with pytest.raises(CapacityError, match="lines are taken"):
        admission.admit(third, 1.0)
    assert admission.claim(token, 1.0) is first
    assert admission.claim(token, 1.0) is None
    with pytest.raises(CapacityError, match="running already"):
        admission.admit(first, 2.0)
    admission.release(first)
    forgotten = admission.admit(third, 2.0)
    admission.forget(forgotten)
    assert not admission.knows(forgotten, 2.0)
    lines = [Line(CallInfo(str(n)), who) for n in range(1, 50)]
    assert len({admission.admit(line, 1000.0 * n) for n, line in enumerate(lines, 1)}) == 49


async def test_agents_that_are_made_for_each_call_do_not_add_up() -> None:
    async with trio.open_nursery() as nursery:
        providers = Providers(nursery)
        for _ in range(600):
            assert (await providers.live_agent(agent())).tool_executor is not None
        assert len(providers._executors) <= 256
        nursery.cancel_scope.cancel()


async def test_a_call_whose_stream_never_comes_is_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    lines, who = Lines(), agent()
    line = lines.add(Line(CallInfo("a"), who))
    await trio.sleep(61)
    lines.add(Line(CallInfo("b"), who))
    assert lines.find(line.key, "a") is line, "for what is still told of it"
    assert lines.find(line.key, "b") is None
    for number in range(2000):
        lines.end(lines.add(Line(CallInfo(f"c{number}"), who)))
    assert lines.find(line.key, "a") is None
    assert lines.of_call("c1999") is not None


# --- the end ------------------------------------------------------------------------------------------------


async def _ring(session: Session, caller: Caller, outcomes: list[CallOutcome]) -> None:
    outcomes.append(await twilio().call(MemoryLine(session.app, URL), caller))


TALK = Caller().waits_for_agent().says("When do you open?").waits_for_agent(timeout=60).waits(60).hangs_up()


@pytest.mark.parametrize("how", ["cancelled", "raised"])
def test_calls_that_end_with_a_broken_session_are_recorded_too(how: str) -> None:
    ended: list[dict[str, Any]] = []
    sessions: list[Session] = []

    async def main() -> None:
        async with trio.open_nursery() as callers:
            with trio.CancelScope() as scope:
                async with patter().session(agent(), port=None, on_call_end=ended.append) as session:
                    sessions.append(session)
                    callers.start_soon(_ring, session, TALK, [])
                    await trio.sleep(2.0)
                    if how == "cancelled":
                        scope.cancel()
                        await trio.sleep_forever()
                    raise ValueError("the owner's own")
            callers.cancel_scope.cancel()

    if how == "raised":
        with pytest.raises(ExceptionGroup) as caught:
            run_virtual(main, seed=1)
        assert caught.group_contains(ValueError, match="the owner's own", depth=1), (
            "not wrapped by the session"
        )
    else:
        run_virtual(main, seed=1)
    (result,) = sessions[0].results
    assert result.reason == "drained"
    assert [payload["call_id"] for payload in ended] == [result.call_id]


def test_a_drain_that_is_hurried_ends_the_calls_at_once() -> None:
    times: list[float] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            async with patter().session(agent(), port=None, drain_seconds=100) as session:
                nursery.start_soon(_ring, session, TALK, [])
                await trio.sleep(2.0)
                async with trio.open_nursery() as ending:
                    ending.start_soon(session.drain)
                    await trio.sleep(3.0)
                    session.end_calls()
            times.append(trio.current_time())

    run_virtual(main, seed=1)
    assert times[0] == pytest.approx(5.0, abs=0.1)


async def test_serve_answers_until_it_is_told_to_stop() -> None:
    ended: list[float] = []

    async def serve(*, task_status: trio.TaskStatus[Session]) -> None:
        await patter().serve(agent(), port=0, task_status=task_status)
        ended.append(trio.current_time())

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            session = await nursery.start(serve)
            assert session.address is not None
            await trio.lowlevel.checkpoint()
            signal.raise_signal(signal.SIGTERM)
    assert ended


async def test_a_port_in_use_says_what_to_do() -> None:
    async with patter().session(agent(), port=0) as session:
        assert session.address is not None
        with pytest.raises(PatterConnectionError, match="choose another port"):
            async with patter().session(agent(), port=session.address[1]):
                pass


async def test_a_cancelled_session_leaves_its_port_free() -> None:
    addresses: list[tuple[str, int] | None] = []
    with trio.move_on_after(0.2):
        async with patter().session(agent(), port=0) as session:
            addresses.append(session.address)
            await trio.sleep_forever()
    (address,) = addresses
    assert address is not None
    async with patter().session(agent(), port=address[1]) as again:
        assert again.address == address


async def test_a_port_zero_in_the_address_stands_for_the_port_that_is_bound() -> None:
    async with Patter(None, "", "http://127.0.0.1:0").session(port=0) as session:
        assert session.address is not None
        assert session.url == f"http://127.0.0.1:{session.address[1]}"


async def test_the_module_is_a_patter_too() -> None:
    async with patter_trio.session(port=0) as session:
        assert session.health()["calls"] == 0
    twin = Twilio(account_sid=ACCOUNT, auth_token=TOKEN)
    async with patter_trio.session(agent(), carrier=twin, phone_number=NUMBER, port=0) as session:
        assert session.url.startswith("http://127.0.0.1:")


async def test_the_bind_host_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTER_BIND_HOST", "127.0.0.2")
    async with patter().session(agent(), port=0) as session:
        assert session.address is not None
        assert session.address[0] == "127.0.0.2"


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 99999}, {"port": "8000"}, {"max_calls": 0}, {"max_calls": "a"}, {"max_calls": 1.5},
        {"drain_seconds": -1}, {"on_call_end": 5}, {"limits": 3}, {"prot": 8000}, {"on_message": 5},
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused_before_any_call(wrong: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        patter().session(agent(), **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tts": HibariTTS}, {"stt": "deepgram"}, {"barge_in_threshold_ms": -1}, {"playout_lead_ms": 0},
        {"max_history": 0}, {"min_endpointing_delay_ms": 900, "max_endpointing_delay_ms": 500}, {"voices": 1},
        {"llm_error_message": 5}, {"first_message": None}, {"system_prompt": 1},
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_when_the_agent_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        patter().agent(**{"llm": ScriptedLLM(["x"]), "system_prompt": "", **wrong})


@pytest.mark.parametrize(
    ("number", "url"),
    [
        ("15550001234", URL),
        ("+1555", URL),
        ("", URL),
        (NUMBER, "http://example.com"),
        (NUMBER, "ftp://example.com"),
    ],
)
def test_a_number_or_an_address_that_cannot_be_is_refused(number: str, url: str) -> None:
    async def main() -> None:
        twin = Twilio(account_sid=ACCOUNT, auth_token=TOKEN)
        async with Patter(twin, number, url).session(agent(), port=None):
            pass

    with pytest.raises(PatterConfigError):
        run_virtual(main)


def test_a_bare_host_is_an_https_address() -> None:
    async def main() -> str:
        async with Patter(None, "", "voice.example.test/").session(port=None) as session:
            return session.url

    assert run_virtual(main) == URL


async def test_an_agent_that_cannot_take_calls_is_refused_at_the_start() -> None:
    silent = patter().agent("x", llm=ScriptedLLM(["x"]))
    with pytest.raises(PatterConfigError, match="stt, tts"):
        async with patter().session(silent, port=None):
            pass


def test_limits_reach_the_port() -> None:
    settings = SessionSettings(limits=PortLimits(max_connections=3))
    assert settings.limits.max_connections == 3


# --- callbacks and the text core, seen from the call --------------------------------------------------------


def test_a_callback_that_raises_or_hangs_is_logged_and_never_felt(caplog: pytest.LogCaptureFixture) -> None:
    async def hang(event: dict[str, Any]) -> None:
        await trio.sleep_forever()

    def fail(event: dict[str, Any]) -> None:
        raise RuntimeError("a bug of the user")

    caller = Caller().waits_for_agent().says("Hello?").waits_for_agent().hangs_up()
    plain = ring(agent(), caller)
    with caplog.at_level(logging.WARNING):
        bothered = ring(
            agent(), caller, on_call_start=fail, on_transcript=fail, on_metrics=hang, on_call_end=fail
        )
    assert bothered.outcome.log == plain.outcome.log, "not a frame is later"
    assert "a bug of the user" in caplog.text
    assert "TooSlowError" in caplog.text


def test_aggressive_first_flush_makes_the_first_sound_earlier() -> None:
    text = "Our door opens every morning of the week at eight, and it closes at six in the evening."

    def first_sound(early: bool) -> float:
        llm = ScriptedLLM([text], first_token_delay=0.1, token_delay=0.1)
        who = agent(llm, aggressive_first_flush=early)
        rung = ring(who, Caller().waits_for_agent().says("When?").waits_for_agent().hangs_up())
        seconds = rung.outcome.replies[0].seconds
        assert seconds is not None
        return seconds

    assert first_sound(True) < first_sound(False) - 0.5


def test_the_language_decides_whether_a_comma_may_end_the_first_clause() -> None:
    llm = ScriptedLLM(["Our door opens every morning of the week at eight, and it closes at six."])
    who = agent(llm, aggressive_first_flush=True, language="it")
    rung = ring(who, Caller().waits_for_agent().says("When?").waits_for_agent().hangs_up())
    assert rung.outcome.ok
    tts: Any = who.tts
    assert len(tts.record.sentences) == 2, "the greeting and one whole sentence"
