"""Whole calls with a recogniser behind a WebSocket, which speaks its vendor's wire."""

from __future__ import annotations

from typing import Any

import pytest

from patter_trio.abc import DetectorThresholds
from patter_trio.stt import DeepgramSTT, FallbackSTTProvider, SonioxSTT
from patter_trio.testing import Caller, ScriptedVAD, run_virtual

from ..conformance.stt_endpoint import open_far_end
from ..conformance.stt_vendors import KEY, DeepgramTalk, SonioxTalk
from .ring import Rung, agent, ring_async


def ring_with(
    monkeypatch: pytest.MonkeyPatch, kind: Any, stt: Any, caller: Caller, **far_end: Any
) -> tuple[Rung, Any]:
    async def main() -> tuple[Rung, Any]:
        async with open_far_end(monkeypatch, kind, **far_end) as far:
            rung = await ring_async(agent(stt=stt(far.url)), caller)
            await far.wait_quiet()
            return rung, far

    return run_virtual(main, seed=1)


def asks_twice() -> Caller:
    return (
        Caller()
        .waits_for_agent()
        .says("do you have a table on friday")
        .waits_for_agent()
        .says("at seven please")
        .waits_for_agent()
        .hangs_up()
    )


ASKED = ["do you have a table on friday", "at seven please"]


@pytest.mark.parametrize(
    ("kind", "settings"), [(DeepgramTalk, DeepgramSTT), (SonioxTalk, SonioxSTT)], ids=["deepgram", "soniox"]
)
def test_a_caller_is_heard_and_answered(kind: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rung, far = ring_with(monkeypatch, kind, lambda url: settings(api_key=KEY, base_url=url), asks_twice())
    assert rung.said("user") == ASKED
    assert rung.turn_kinds == ["greeting", "reply", "reply"]
    assert len(far.talks) == 1
    assert not rung.outcome.violations


def test_the_recogniser_dies_and_the_caller_does_not_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    rung, far = ring_with(
        monkeypatch,
        DeepgramTalk,
        lambda url: DeepgramSTT(api_key=KEY, base_url=url),
        asks_twice(),
        cut_after=[2.9, 3.0],
    )
    assert rung.said("user") == ASKED
    assert len(far.talks) == 3


def test_a_recogniser_that_stays_dead_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    rung, far = ring_with(
        monkeypatch,
        DeepgramTalk,
        lambda url: DeepgramSTT(api_key=KEY, base_url=url),
        asks_twice(),
        refusals=[(503, b"down")] * 99,
    )
    assert rung.result.error_code == "stt_failed"
    assert not far.talks


def test_a_refused_key_is_covered_by_the_second_recogniser(monkeypatch: pytest.MonkeyPatch) -> None:
    rung, far = ring_with(
        monkeypatch,
        DeepgramTalk,
        lambda url: FallbackSTTProvider(
            [DeepgramSTT(api_key="wrong", base_url=url), DeepgramSTT(api_key=KEY, base_url=url)]
        ),
        asks_twice(),
        refusals=[(401, b"no such key")],
    )
    assert rung.said("user") == ASKED
    assert far.talks[0].headers["authorization"] == f"Token {KEY}"


class QuickDeepgram(DeepgramTalk):
    """Ends utterances itself after a short silence, as the vendor does: before the call's own detector."""

    last_word = 0.0

    async def on_sound(self, audio: bytes) -> None:
        before = len(self.words)
        await super().on_sound(audio)
        if len(self.words) > before:
            self.last_word = self.words[-1].end
        # Word sound has its words' ends 340 ms apart.
        elif self.words and self.seconds - self.last_word > 0.35 + 0.05:
            await self.results(is_final=True, speech_final=True)
            await self.say({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": self.last_word})


@pytest.mark.parametrize("silence", [0.2, 0.42, 0.5])
def test_a_recogniser_that_is_about_as_quick_as_the_detector_makes_one_turn_of_it(
    silence: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> tuple[Rung, Any]:
        async with open_far_end(monkeypatch, QuickDeepgram) as far:
            stt = DeepgramSTT(api_key=KEY, base_url=far.url)
            who = agent(stt=stt, vad=ScriptedVAD(thresholds=DetectorThresholds(min_silence=silence)))
            return await ring_async(who, asks_twice()), far

    rung, _ = run_virtual(main, seed=1)
    assert rung.said("user") == ASKED
    assert rung.turn_kinds == ["greeting", "reply", "reply"]
    assert not rung.floors_taken
    assert not rung.outcome.violations
