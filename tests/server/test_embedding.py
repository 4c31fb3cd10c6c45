"""``session.app`` under a prefix of somebody else's server: carriers hear the prefix exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, unquote, urlencode

import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from patter_trio import Patter, Session, Twilio
from patter_trio._server.request import inner_scope, raw_target
from patter_trio._wire.signatures import sign_twilio
from patter_trio._wire.twiml import StreamAnswer, parse_answer
from patter_trio.testing import (
    Caller,
    CallOutcome,
    LoopbackLine,
    MemoryLine,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedVAD,
    SimulatedTwilio,
    UpgradeRefusedError,
    run_virtual,
)

HOST = "https://phone.example.test"
ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "0123456789abcdef0123456789abcdef"
NUMBER = "+15550001234"
SCRIPT = Caller().waits_for_agent().says("When?").waits_for_agent().hangs_up()
HOSTILE = {
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-For": "203.0.113.9",
    "X-Original-URL": "/webhooks/twilio/status",
    "Forwarded": "host=evil.example;proto=http",
}


def patter(webhook_url: str) -> Patter:
    return Patter(Twilio(ACCOUNT, TOKEN), NUMBER, webhook_url)


def agent() -> Any:
    return Patter().agent(
        "You answer.",
        first_message="Hello.",
        stt=ScriptedSTT(),
        tts=ScriptedTTS(),
        vad=ScriptedVAD(),
        llm=ScriptedLLM(["At seven."]),
    )


# --- what servers say of a request's place ------------------------------------------------------------------


def mount(prefix: str, app: ASGIApp) -> ASGIApp:
    """Starlette's mount: ``root_path`` grows, both paths stay whole."""
    return Starlette(routes=[Mount(prefix, app)]) if prefix else app


def changed(app: ASGIApp, change: Any) -> ASGIApp:
    async def outer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, **change(scope)}, receive, send)

    return outer


def taken_off(prefix: str, app: ASGIApp) -> ASGIApp:
    """A proxy takes the prefix off and nobody says so."""
    return changed(
        app,
        lambda scope: {
            "path": scope["path"].removeprefix(prefix),
            "raw_path": scope["raw_path"].removeprefix(quote(prefix).encode()),
        },
    )


def hypercorn(prefix: str, app: ASGIApp) -> ASGIApp:
    """``hypercorn --root-path`` behind a proxy that takes the prefix off: named, and in neither path."""
    return taken_off(prefix, changed(app, lambda scope: {"root_path": prefix}))


def whole(prefix: str, app: ASGIApp) -> ASGIApp:
    """``--root-path`` of hypercorn behind a proxy that leaves the prefix, of uvicorn behind the other."""
    return changed(app, lambda scope: {"root_path": prefix})


def older_uvicorn(prefix: str, app: ASGIApp) -> ASGIApp:
    """``uvicorn --root-path`` of 2024: in ``path``, not in ``raw_path``."""
    return changed(
        app,
        lambda scope: {
            "root_path": prefix,
            "raw_path": scope["raw_path"].removeprefix(quote(prefix).encode()),
        },
    )


def without_raw_path(prefix: str, app: ASGIApp) -> ASGIApp:
    """Servers may leave ``raw_path`` out."""
    return changed(whole(prefix, app), lambda scope: {"raw_path": None})


STYLES = [mount, taken_off, hypercorn, whole, older_uvicorn, without_raw_path]


@pytest.mark.parametrize(
    ("root_path", "path", "raw_path", "target"),
    [
        ("", "/health", b"/health", "/health"),
        ("/", "/health", b"/health", "/health"),
        ("/voice", "/voice/health", b"/voice/health", "/health"),
        ("/voice/", "/voice/health", b"/voice/health", "/health"),
        ("/voice", "/health", b"/health", "/health"),
        ("/api/voice", "/voice/health", b"/voice/health", "/health"),
        ("/api/voice", "/api/voice/health", b"/voice/health", "/health"),
        ("/our voice", "/our voice/health", b"/our%20voice/health", "/health"),
        ("/our voice", "/our voice/health", b"/%6fur%20voice/health", "/health"),
        # Only whole segments are a prefix.
        ("/w", "/ws/twilio/x", b"/ws/twilio/x", "/ws/twilio/x"),
        ("/voice", "/voices/health", b"/voices/health", "/voices/health"),
        ("/voice", "/voice", b"/voice", "/"),
        # What was escaped on the wire is signed as it was escaped.
        ("/voice", "/voice/webhooks/a b/c", b"/voice/webhooks/a%20b/c", "/webhooks/a%20b/c"),
        ("/voice", "/voice/webhooks/a/b/c", b"/voice/webhooks/a%2Fb/c", "/webhooks/a%2Fb/c"),
        ("/voice", "/voice/webhooks/a b/c", None, "/webhooks/a%20b/c"),
        ("/voice", "/voice/health", b"/voice/health?x=1", "/health"),
    ],
)
def test_the_prefix_is_taken_off_once(root_path: str, path: str, raw_path: bytes | None, target: str) -> None:
    scope = {"type": "http", "path": path, "raw_path": raw_path, "root_path": root_path}
    assert raw_target(inner_scope(scope)) == target
    assert raw_target(inner_scope(inner_scope(scope))) == target


segments = st.text("abvw%/ é.~", min_size=1, max_size=4)


@given(
    prefix=st.lists(segments.map(lambda part: part.replace("/", "-")), max_size=3),
    inside=st.lists(segments, min_size=1, max_size=3),
    stripped=st.integers(0, 3),
    query=st.sampled_from([b"", b"a=%2Fb"]),
)
def test_whatever_a_server_says_the_target_is_the_one_that_was_asked_for(
    prefix: list[str], inside: list[str], stripped: int, query: bytes
) -> None:
    raw = "/webhooks/" + "/".join(quote(part, safe="") for part in inside)
    seen = prefix[min(stripped, len(prefix)) :]
    path_prefix = "".join(f"/{part}" for part in seen)
    scope = {
        "type": "http",
        "root_path": "".join(f"/{part}" for part in prefix),
        "path": path_prefix + unquote(raw),
        "raw_path": (quote(path_prefix) + raw).encode(),
        "query_string": query,
    }
    assert raw_target(inner_scope(scope)) == (f"{raw}?{query.decode()}" if query else raw)


# --- calls through a prefix ---------------------------------------------------------------------------------


def call_through(outer: Any, prefix: str) -> tuple[CallOutcome, Session]:
    async def main() -> tuple[CallOutcome, Session]:
        async with patter(f"{HOST}{prefix}").session(agent(), port=None) as session:
            line = MemoryLine(outer(session.app), f"{HOST}{prefix}")
            return await SimulatedTwilio(ACCOUNT, TOKEN).call(line, SCRIPT), session

    return run_virtual(main, seed=1)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("prefix", ["/voice", "/api/v1"])
def test_a_whole_call_goes_through_a_prefix(style: Any, prefix: str) -> None:
    outcome, session = call_through(partial(style, prefix), prefix)
    assert outcome.ok, outcome
    assert outcome.heard == "Hello. At seven."
    assert session.counts.completed == 1


@pytest.mark.parametrize("style", STYLES)
def test_a_whole_call_goes_through_a_mount_behind_a_root_path(style: Any) -> None:
    outcome, _ = call_through(lambda app: style("/api", mount("/voice", app)), "/api/voice")
    assert outcome.ok, outcome


async def answer_of(session: Session, app: ASGIApp, url: str, **headers: str) -> tuple[int, str]:
    form = (("CallSid", "CA" + "0" * 32), ("AccountSid", ACCOUNT), ("From", "+15557654321"), ("To", NUMBER))
    given = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    given.setdefault("X-Twilio-Signature", sign_twilio(TOKEN, url, form))
    answer = await MemoryLine(app, HOST).post(url, given, urlencode(form).encode())
    return answer.status, answer.body.decode()


async def test_the_stream_is_asked_for_under_the_prefix_exactly_once() -> None:
    async with patter(f"{HOST}/voice/").session(agent(), port=None) as session:
        app = mount("/voice", session.app)
        status, body = await answer_of(session, app, f"{HOST}/voice/webhooks/twilio/voice")
        assert status == 200
        answer = parse_answer(body)
        assert isinstance(answer, StreamAnswer)
        assert answer.url.startswith("wss://phone.example.test/voice/ws/twilio/")
        assert answer.url.count("/voice") == 1


async def test_a_signature_over_the_address_without_the_prefix_is_refused() -> None:
    async with patter(f"{HOST}/voice").session(agent(), port=None) as session:
        app = mount("/voice", session.app)
        form = (("CallSid", "CA" + "0" * 32), ("AccountSid", ACCOUNT), ("To", NUMBER))
        for wrong in (f"{HOST}/webhooks/twilio/voice", f"{HOST}/voice/voice/webhooks/twilio/voice"):
            signature = sign_twilio(TOKEN, wrong, form)
            status, _ = await answer_of(
                session, app, f"{HOST}/voice/webhooks/twilio/voice", **{"X-Twilio-Signature": signature}
            )
            assert status == 403
        assert session.counts.refused_signature == 2


async def test_what_a_proxy_or_a_stranger_says_of_our_address_changes_nothing() -> None:
    async with patter(f"{HOST}/voice").session(agent(), port=None) as session:
        app = mount("/voice", session.app)
        for name, value in {**HOSTILE, "Host": "evil.example"}.items():
            status, body = await answer_of(
                session, app, f"{HOST}/voice/webhooks/twilio/voice", **{name: value}
            )
            assert status == 200, name
            assert "evil" not in body
            assert "wss://phone.example.test/voice/ws/" in body


async def test_a_signature_for_the_forged_address_does_not_count() -> None:
    async with patter(f"{HOST}/voice").session(agent(), port=None) as session:
        app = mount("/voice", session.app)
        form = (
            ("CallSid", "CA" + "0" * 32),
            ("AccountSid", ACCOUNT),
            ("From", "+15557654321"),
            ("To", NUMBER),
        )
        forged = sign_twilio(TOKEN, "http://evil.example/voice/webhooks/twilio/voice", form)
        status, _ = await answer_of(
            session,
            app,
            f"{HOST}/voice/webhooks/twilio/voice",
            **{**HOSTILE, "Host": "evil.example", "X-Twilio-Signature": forged},
        )
        assert status == 403


async def test_a_forged_address_opens_no_stream() -> None:
    async with patter(f"{HOST}/voice").session(agent(), port=None) as session:
        line = MemoryLine(mount("/voice", session.app), HOST)
        _, body = await answer_of(session, line._app, f"{HOST}/voice/webhooks/twilio/voice")
        answer = parse_answer(body)
        assert isinstance(answer, StreamAnswer)
        forged = answer.url.replace("phone.example.test", "evil.example")
        headers = {**HOSTILE, "Host": "evil.example", "X-Twilio-Signature": sign_twilio(TOKEN, forged)}
        with pytest.raises(UpgradeRefusedError, match="403"):
            async with line.open_media(answer.url, headers):
                pass


# --- the same behind a real server --------------------------------------------------------------------------


async def served(app: ASGIApp, root_path: str, nursery: trio.Nursery) -> str:
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.loglevel = "ERROR"
    config.root_path = root_path
    addresses: list[str] = await nursery.start(serve, app, config)
    return addresses[0]


class ProxiedLine(LoopbackLine):
    """A proxy in between: TLS ends there, a prefix may be taken off, and its headers are hostile."""

    def __init__(self, base_url: str, public_url: str, strip: str) -> None:
        super().__init__(base_url, public_url)
        self._strip = strip

    def _reachable(self, url: str, scheme: str) -> str:
        return super()._reachable(url, scheme).replace(self._strip, "", 1)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Any:
        return await super().post(url, {**headers, **HOSTILE}, body)

    def open_media(self, url: str, headers: Mapping[str, str]) -> Any:
        return super().open_media(url, {**headers, **HOSTILE})


@pytest.mark.parametrize(
    ("root_path", "prefix", "strip"),
    [("", "/voice", ""), ("/api", "/api/voice", "/api"), ("/api", "/voice", "")],
    ids=["a mount", "a mount behind a proxy that takes its prefix off", "a root path that nobody uses"],
)
async def test_a_call_goes_through_hypercorn(root_path: str, prefix: str, strip: str) -> None:
    script = Caller().waits_for_agent().hangs_up()
    with trio.fail_after(20):
        async with (
            patter(f"{HOST}{prefix}").session(agent(), port=None) as session,
            trio.open_nursery() as nursery,
        ):
            base = await served(mount("/voice", session.app), root_path, nursery)
            line = ProxiedLine(base, HOST, strip)
            twilio = SimulatedTwilio(ACCOUNT, TOKEN, voice_path=f"{prefix}/webhooks/twilio/voice")
            outcome = await twilio.call(line, script)
            nursery.cancel_scope.cancel()
    assert outcome.ok, outcome
    assert outcome.heard == "Hello."
    assert session.counts.refused_signature == session.counts.refused_stream == 0
