"""What calls cost: hand-computed examples per provider family, and what is said where no price is known."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio import PatterConfigError
from patter_trio._turns.call_metrics import Metering, percentile
from patter_trio._turns.cost import CostBreakdown, Service, Services, cost_of
from patter_trio._turns.latency import LatencyBreakdown, TurnMetrics
from patter_trio._turns.prices import LongContext, Price, PriceBook, PriceChange
from patter_trio._turns.usage import Usage
from patter_trio.observability import PRICES_AS_OF, shipped_prices

BOOK = PriceBook(shipped_prices())
DAY = date(2026, 11, 25)


def turn(
    usage: Usage | None = None,
    *,
    wasted: Usage | None = None,
    characters: int = 0,
    hedges: int = 0,
    won: int = 0,
    **latency: float,
) -> TurnMetrics:
    return TurnMetrics(
        turn_index=1,
        kind="reply",
        user_text="",
        agent_text="",
        unheard_text="",
        interrupted=False,
        latency=LatencyBreakdown(**latency),
        tts_characters=characters,
        audio_sent_seconds=0.0,
        audio_heard_seconds=0.0,
        timestamp=0.0,
        hedges=hedges,
        hedges_won=won,
        usage=usage or Usage(),
        wasted=wasted or Usage(),
    )


def of_model(provider: str, model: str, usage: Usage, day: date = DAY) -> CostBreakdown:
    return cost_of(Services(llm=Service(provider, model)), [turn(usage)], 60, BOOK, day)


# 12,000 tokens asked, 8,000 of them from the cache, 300 answered.
CACHED = Usage(2, 12_000, 300, 8_000)


@pytest.mark.parametrize(
    ("provider", "model", "usage", "cost", "saved"),
    [
        # 4,000 × 0.10 + 8,000 × 0.01 + 300 × 0.50 = 630 millionths; 8,000 × 0.09 saved.
        ("openai", "gpt-6-luna", CACHED, 0.000630, 0.000720),
        # A dated name is the same model: 4,000 × 1 + 8,000 × 0.1 + 300 × 5.
        ("anthropic", "claude-haiku-4-5-20251001", CACHED, 0.006300, 0.007200),
        # 1,000 plain × 1 + 8,000 read × 0.1 + 3,000 written × 1.25 + 300 × 5.
        ("anthropic", "claude-haiku-4-5", Usage(1, 12_000, 300, 8_000, 3_000), 0.007050, 0.007200),
        # 4,000 × 0.15 + 8,000 × 0.075 + 300 × 0.6.
        ("groq", "openai/gpt-oss-120b", CACHED, 0.001380, 0.000600),
        # No price for the cache: all 12,000 × 0.35 + 300 × 0.75.
        ("cerebras", "gpt-oss-120b", CACHED, 0.004425, 0.0),
        # 4,000 × 0.3 + 8,000 × 0.03 + 300 × 2.5.
        ("google", "gemini-2.5-flash", CACHED, 0.002190, 0.002160),
    ],
)
def test_a_model_is_billed_by_its_tokens(
    provider: str, model: str, usage: Usage, cost: float, saved: float
) -> None:
    breakdown = of_model(provider, model, usage)
    assert breakdown.llm == pytest.approx(cost, abs=1e-9)
    assert breakdown.llm_cached_savings == pytest.approx(saved, abs=1e-9)
    assert breakdown.is_complete
    assert breakdown.prices["llm"].as_of == "2026-11"


@pytest.mark.parametrize(
    ("service", "cost"),
    [
        (Service("deepgram", "nova-3"), 0.0072),  # 90 s at 0.0048 a minute
        (Service("openai", "gpt-4o-transcribe"), 0.009),  # 90 s at 0.006 a minute
        (Service("groq", "whisper-large-v3"), 0.002775),  # 90 s at 0.111 an hour
        (Service("elevenlabs", "scribe_v2_realtime"), 0.00975),  # 90 s at 0.39 an hour
        (Service("assemblyai", "universal-streaming-multilingual"), 0.00375),  # an alias, 0.15 an hour
        (Service("soniox", "stt-rt-v5"), 0.003),  # 0.12 an hour
        (Service("moonshine"), 0.0),  # runs on this machine
    ],
)
def test_a_recogniser_is_billed_by_the_time_it_hears(service: Service, cost: float) -> None:
    breakdown = cost_of(Services(stt=service), [], 90, BOOK, DAY)
    assert breakdown.stt == pytest.approx(cost, abs=1e-9)
    assert breakdown.total == breakdown.stt


@pytest.mark.parametrize(
    ("service", "cost"),
    [
        (Service("elevenlabs", "eleven_flash_v2_5"), 0.02),  # 500 characters at 40 a million
        (Service("openai", "tts-1"), 0.0075),
        (Service("deepgram", "aura-2-thalia-en"), 0.015),  # a voice of the model
        (Service("rime", "mistv3"), 0.015),  # an alias
        (Service("hibari", "any"), 0.0),
    ],
)
def test_a_voice_is_billed_by_its_characters(service: Service, cost: float) -> None:
    breakdown = cost_of(Services(tts=service), [turn(characters=200), turn(characters=300)], 60, BOOK, DAY)
    assert breakdown.tts == pytest.approx(cost, abs=1e-9)


@pytest.mark.parametrize(
    ("provider", "outbound", "cost"),
    [
        ("twilio", False, 0.017),  # 61 s are two minutes
        ("twilio", True, 0.028),
        ("telnyx", False, 61 * 0.0035 / 60),
        ("plivo", True, 61 * 0.0115 / 60),
    ],
)
def test_a_carrier_is_billed_by_the_minute(provider: str, outbound: bool, cost: float) -> None:
    services = Services(telephony=Service(provider, "us-local"), outbound=outbound)
    assert cost_of(services, [], 61, BOOK, DAY).telephony == pytest.approx(cost, abs=1e-6)


def test_whole_minutes_are_not_rounded_up_by_a_breath() -> None:
    services = Services(telephony=Service("twilio", "us-local"))
    assert cost_of(services, [], 60.00000001, BOOK, DAY).telephony == 0.0085


@pytest.mark.parametrize(
    ("services", "unknown"),
    [
        (Services(llm=Service("openai", "gpt-9")), "llm: no price of openai/gpt-9"),
        (Services(llm=Service("openai", "gpt-5-pro")), "llm: no price of openai/gpt-5-pro"),
        (Services(llm=Service("fallback", "gpt-5")), "llm: no price of fallback/gpt-5"),
        (Services(stt=Service("telnyx", "x")), "stt: no price of telnyx/x"),
        (Services(tts=Service("cartesia", "sonic-3.5")), "tts: no price of cartesia/sonic-3.5"),
        (
            Services(tts=Service("openai", "gpt-4o-mini-tts")),
            "tts: openai/gpt-4o-mini-tts is billed by usd_per_1m_tokens, which is not counted here",
        ),
        (Services(telephony=Service("twilio", "+44201234567")), "telephony: no price of twilio/+44201234567"),
    ],
)
def test_what_has_no_price_costs_none_and_is_named(services: Services, unknown: str) -> None:
    breakdown = cost_of(services, [turn(Usage(1, 10, 10), characters=10)], 60, BOOK, DAY)
    assert breakdown.unknown == (unknown,)
    assert getattr(breakdown, unknown.partition(":")[0]) is None
    assert breakdown.total == 0.0
    assert not breakdown.is_complete


def test_what_was_not_used_costs_nothing() -> None:
    services = Services(llm=Service("openai", "gpt-9"), tts=Service("nobody"))
    assert cost_of(services, [turn()], 0, BOOK, DAY) == CostBreakdown()


def test_requests_that_nobody_counted_are_named_and_not_guessed() -> None:
    services = Services(llm=Service("openai", "gpt-6-luna"))
    breakdown = cost_of(services, [turn(Usage(requests=2)), turn(CACHED)], 60, BOOK, DAY)
    assert breakdown.llm == pytest.approx(0.000630)
    assert breakdown.uncounted_requests == 2
    assert not breakdown.is_complete


def test_losers_are_shown_apart_and_priced_by_the_model_that_lost() -> None:
    services = Services(llm=Service("openai", "gpt-6-luna"), hedge_llm=Service("groq", "openai/gpt-oss-20b"))
    lost = Usage(1, 100_000, 0)
    # The second was asked and came too late: its 100,000 tokens cost 0.0075.
    late = cost_of(services, [turn(CACHED, wasted=lost, hedges=1)], 60, BOOK, DAY)
    assert (late.llm, late.llm_wasted) == (0.00063, 0.0075)
    # The second answered: it is what answered, at 4,000 × 0.075 + 8,000 × 0.0375 + 300 × 0.3; the first lost.
    first = cost_of(
        services, [turn(Usage(1, 12_000, 300, 8_000), wasted=lost, hedges=1, won=1)], 60, BOOK, DAY
    )
    assert (first.llm, first.llm_wasted) == (0.00069, 0.01)
    # A reply that was begun early and thrown away never was a turn.
    early = cost_of(services, [], 60, BOOK, DAY, wasted=Usage(5, 500_000, 1_000_000))
    assert early.llm_wasted == pytest.approx(0.55)
    assert early.total == pytest.approx(0.55)


def test_two_models_in_one_turn_cannot_be_told_apart() -> None:
    services = Services(llm=Service("openai", "gpt-6-luna"), hedge_llm=Service("groq", "openai/gpt-oss-20b"))
    breakdown = cost_of(services, [turn(Usage(2, 100, 10), hedges=1, won=1)], 60, BOOK, DAY)
    assert breakdown.llm is None
    assert "have answered in one turn" in breakdown.unknown[0]


def test_announced_prices_hold_from_their_day_on() -> None:
    asked = Usage(1, 1_000_000, 0)
    assert of_model("google", "gemini-3.8-flash", asked, date(2026, 12, 31)).llm == 0.75
    assert of_model("google", "gemini-3.8-flash", asked, date(2027, 1, 1)).llm == 1.5


def test_large_requests_cost_more_where_the_list_says_so() -> None:
    assert of_model("anthropic", "claude-haiku-5-5", Usage(1, 100_000, 0)).llm == 0.01
    assert of_model("anthropic", "claude-haiku-5-5", Usage(1, 100_001, 0)).llm == pytest.approx(
        0.05, abs=2e-6
    )
    assert of_model("anthropic", "claude-haiku-5-5", Usage(2, 100_001, 0)).llm == pytest.approx(
        0.01, abs=1e-6
    )


# --- the list -----------------------------------------------------------------------------------------------


def test_a_price_of_the_user_goes_before_the_list() -> None:
    ours = Price(provider="openai", product="llm", model="gpt-6-luna", unit="usd_per_1m_tokens",
                 prices={"text_in": 1.0, "text_out": 1.0})  # fmt: skip
    found = PriceBook((ours, *shipped_prices())).find("openai", "llm", "gpt-6-luna")
    assert found is ours


def test_any_model_of_a_provider_may_have_one_price() -> None:
    any_voice = Price(provider="acme", product="tts", unit="usd_per_1m_chars", price=5.0)
    book = PriceBook([any_voice])
    assert book.find("acme", "tts", "anything") is any_voice
    assert book.find("acme", "stt", "anything") is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4o-latest", "gpt-4o"),
        ("gpt-4o-audio", None),
        ("gpt-4", None),
    ],
)
def test_a_date_is_no_other_model_and_a_word_is(model: str, found: str | None) -> None:
    price = BOOK.find("openai", "llm", model)
    assert (price.model if price else None) == found


def test_the_list_says_of_each_price_when_and_how_sure() -> None:
    listed = shipped_prices()
    assert len(listed) > 100
    assert all(price.as_of and price.confidence in ("high", "medium", "low") for price in listed)
    text = files("patter_trio.observability").joinpath("prices.json").read_text(encoding="utf-8")
    assert json.loads(text)["as_of"] == PRICES_AS_OF
    names = [(price.provider, price.product, price.model) for price in listed]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"unit": "usd_per_word"}, "unit"),
        ({"product": "ears"}, "product"),
        ({"price": -1.0}, "price"),
        ({"prices": {"text_in": "free"}}, "prices"),
        ({"price": None}, "needs a price"),
        ({"prices": {"text_in": 1.0}}, "needs a price"),
    ],
)
def test_a_line_that_is_no_price_is_refused(wrong: dict[str, object], what: str) -> None:
    right = {"provider": "acme", "product": "tts", "unit": "usd_per_1m_chars", "price": 1.0}
    with pytest.raises(PatterConfigError, match=what):
        Price(**{**right, **wrong})  # type: ignore[arg-type]


def test_a_price_keeps_what_has_not_changed() -> None:
    price = Price(
        provider="acme", product="llm", unit="usd_per_1m_tokens", prices={"text_in": 1.0, "text_out": 2.0},
        changes=[PriceChange("2027-01-01", {"text_in": 3.0})], long_context=LongContext(10),
    )  # fmt: skip
    assert price.on(date(2027, 1, 2)).prices == {"text_in": 3.0, "text_out": 2.0}


# --- percentiles and the whole call -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 0.5, None), ([7.0], 0.99, 7.0), ([1, 2, 3, 4], 0.5, 2.5), ([4, 1, 3, 2], 0.9, 3.7)],
)
def test_percentiles_lie_between_two_values_by_proportion(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 1))
def test_a_percentile_is_within_its_values(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found is not None
    assert min(values) - 0.001 <= found <= max(values) + 0.001


def test_a_stage_that_did_not_happen_counts_in_no_percentile() -> None:
    turns = [turn(tts_ms=100.0, agent_response_ms=500.0), turn(tts_ms=300.0), turn(tts_ms=200.0)]
    metrics = Metering(Services(llm=Service("openai", "gpt-6-luna"))).metrics("CA1", turns, 9.0)
    assert metrics.latency_p50.tts_ms == 200.0
    assert metrics.latency_avg.tts_ms == 200.0
    assert metrics.latency_p99.agent_response_ms == 500.0
    assert metrics.latency_p50.stt_ms is None
    assert (metrics.llm_provider, metrics.llm_model) == ("openai", "gpt-6-luna")
