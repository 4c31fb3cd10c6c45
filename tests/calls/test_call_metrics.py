"""The numbers of a call: latencies as its script has them, and its cost while it runs and afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from patter_trio import PatterConfigError
from patter_trio._turns.call_metrics import CallMetrics
from patter_trio._turns.cost import CostBreakdown
from patter_trio._turns.prices import Price
from patter_trio.testing import Caller, ScriptedLLM, ScriptedTTS

from .ring import LONG, agent, patter, ring

GREETED = Caller().waits_for_agent()
ASKS = GREETED.says("When do you open?").waits_for_agent().hangs_up()
CUTS_IN = GREETED.says("When are you open?").barges_in("And the price of a loaf?", after=1.1)

# A scripted model counts words, and these prices are large enough to be seen.
PRICES = [
    Price(
        provider="scripted",
        product="llm",
        unit="usd_per_1m_tokens",
        prices={"text_in": 1000.0, "text_out": 10_000.0},
    ),
    Price(provider="scripted", product="tts", unit="usd_per_1m_chars", price=1000.0),
    Price(provider="scripted", product="stt", unit="usd_per_minute_audio", price=0.6),
]


def test_latencies_are_those_of_the_script() -> None:
    llm = ScriptedLLM(["We open at eight."], first_token_delay=0.35, token_delay=0.05)
    rung = ring(agent(llm, tts=ScriptedTTS(delay=0.12)), ASKS)
    metrics = rung.result.metrics
    assert isinstance(metrics, CallMetrics)
    latency = metrics.turns[1].latency
    assert latency.llm_ttft_ms == pytest.approx(350, abs=1)
    # Four words: the first after 350 ms, three more 50 ms apart.
    assert latency.llm_total_ms == pytest.approx(500, abs=1)
    # The voice's own delay, and 10 ms in which it makes its first 100 ms of sound.
    assert latency.tts_ms == pytest.approx(130, abs=1)
    assert latency.tts_total_ms is not None
    assert latency.tts_total_ms > 130
    assert latency.endpoint_ms is not None
    assert latency.agent_response_ms is not None
    # What the caller waits for is its parts, and at most a frame more.
    parts = latency.endpoint_ms + 500 + 130
    assert parts - 1 <= latency.agent_response_ms <= parts + 25
    assert metrics.latency_p50.llm_ttft_ms == latency.llm_ttft_ms
    assert metrics.duration_seconds == rung.result.duration_seconds
    assert (metrics.llm_provider, metrics.llm_model) == ("scripted", "script")
    assert (metrics.stt_provider, metrics.tts_provider) == ("scripted", "scripted")
    assert metrics.telephony_provider == "twilio"


def test_a_call_costs_what_its_parts_cost() -> None:
    rung = ring(agent(ScriptedLLM(["We open at eight."])), ASKS, pricing=PRICES)
    cost, turns = rung.result.cost, rung.result.turns
    (asked,) = [turn.usage for turn in turns if turn.usage.requests]
    assert cost.llm == pytest.approx(asked.input_tokens * 0.001 + 4 * 0.01)
    assert cost.tts == pytest.approx(len("Hello, this is the desk." + "We open at eight.") * 0.001)
    assert cost.stt == pytest.approx(rung.result.duration_seconds * 0.01, abs=1e-6)
    # Ten seconds at Twilio are a minute at 0.0085.
    assert cost.telephony == 0.0085
    assert cost.total == pytest.approx(sum(filter(None, (cost.llm, cost.tts, cost.stt, cost.telephony))))
    assert cost.is_complete


def test_a_provider_without_a_price_is_named() -> None:
    cost = ring(agent(), ASKS).result.cost
    assert cost.llm is None
    assert set(cost.unknown) == {
        "stt: no price of scripted",
        "llm: no price of scripted/script",
        "tts: no price of scripted",
    }
    assert cost.total == cost.telephony == 0.0085


def test_the_cost_so_far_grows_and_interrupted_turns_are_in_it() -> None:
    told: list[dict[str, Any]] = []
    llm = ScriptedLLM([LONG, "Four."])
    rung = ring(agent(llm), CUTS_IN.waits_for_agent().hangs_up(), pricing=PRICES, on_metrics=told.append)
    costs = [event["cost_so_far"] for event in told]
    assert all(isinstance(cost, CostBreakdown) for cost in costs)
    voices = [cost.tts for cost in costs]
    assert voices == sorted(voices)
    assert voices[0] == pytest.approx(0.024)
    interrupted = rung.result.turns[1]
    assert interrupted.interrupted
    assert interrupted.tts_characters
    assert rung.result.cost.tts == pytest.approx(sum(t.tts_characters for t in rung.result.turns) * 0.001)
    assert rung.result.metrics is not None
    assert rung.result.metrics.interruptions == 1


def test_the_end_of_a_call_is_told_with_its_metrics() -> None:
    told: list[dict[str, Any]] = []
    rung = ring(agent(), ASKS, on_call_end=told.append)
    assert told[0]["metrics"] is rung.result.metrics
    assert told[0]["result"] is rung.result


def test_prices_that_are_none_are_refused() -> None:
    with pytest.raises(PatterConfigError, match="no list of prices"):
        patter().session(agent(), pricing={"scripted": 1.0})
