"""What a call costs, by the price list: an estimate, and the names of what it could not price."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date

import attrs

from .latency import TurnMetrics
from .prices import Price, PriceBook, Product
from .usage import Usage

__all__ = ["CostBreakdown", "Service", "Services", "cost_of"]

_MILLION = 1_000_000
_DIGITS = 6


@attrs.frozen
class Service:
    """A provider and its model, by their names."""

    provider: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" if self.model else self.provider


@attrs.frozen(kw_only=True)
class Services:
    """What a call is made of; ``None`` for what it does without."""

    stt: Service | None = None
    llm: Service | None = None
    hedge_llm: Service | None = None
    tts: Service | None = None
    telephony: Service | None = None
    outbound: bool = False


@attrs.frozen(kw_only=True)
class CostBreakdown:
    """An estimate in US dollars.

    Args:
        stt: the recogniser, which hears the whole call.
        llm: the model's answers, to the caller and to its own tools.
        llm_wasted: requests whose answers nobody needed: hedges that lost, replies to words that changed.
        tts: the voice, interrupted turns included.
        telephony: the carrier's minutes.
        llm_cached_savings: what input from the cache would have cost more without it.
        unknown: why a part is ``None``, one sentence each.
        uncounted_requests: requests to the model that ended before their provider had counted them, as
            those of interrupted turns do: they are in no sum.
        prices: the lines of the price list that were used, by part.

    A part is ``None`` where its price is not known, and is then not in ``total``.
    """

    stt: float | None = 0.0
    llm: float | None = 0.0
    llm_wasted: float | None = 0.0
    tts: float | None = 0.0
    telephony: float | None = 0.0
    llm_cached_savings: float = 0.0
    unknown: tuple[str, ...] = ()
    uncounted_requests: int = 0
    prices: Mapping[str, Price] = attrs.field(factory=dict[str, Price])

    @property
    def total(self) -> float:
        """The sum of the parts that are known."""
        parts = (self.stt, self.llm, self.llm_wasted, self.tts, self.telephony)
        return round(sum(part for part in parts if part is not None), _DIGITS)

    @property
    def is_complete(self) -> bool:
        """Whether every part has a price and every request was counted."""
        return not self.unknown and not self.uncounted_requests


def cost_of(
    services: Services,
    turns: Sequence[TurnMetrics],
    seconds: float,
    book: PriceBook,
    day: date,
    wasted: Usage | None = None,
) -> CostBreakdown:
    """Prices a call of so many ``seconds``, on a day; ``wasted`` are replies that never became a turn."""
    bill = _Bill(book, day)
    direction: Product = "telephony_out" if services.outbound else "telephony_in"
    llm, savings, uncounted = _llm(bill, services, turns)
    characters = sum(turn.tts_characters for turn in turns)
    return CostBreakdown(
        stt=bill.time("stt", "stt", services.stt, seconds),
        llm=llm,
        llm_wasted=_wasted(bill, services, turns, wasted or Usage()),
        tts=bill.characters(services.tts, characters),
        telephony=bill.time("telephony", direction, services.telephony, seconds),
        llm_cached_savings=round(savings, _DIGITS),
        unknown=tuple(dict.fromkeys(bill.unknown)),
        uncounted_requests=uncounted,
        prices=bill.prices,
    )


class _Bill:
    """Looks prices up and notes what it found and what it did not."""

    def __init__(self, book: PriceBook, day: date) -> None:
        self._book = book
        self._day = day
        self.unknown: list[str] = []
        self.prices: dict[str, Price] = {}

    def find(self, part: str, product: Product, service: Service) -> Price | None:
        price = self._book.find(service.provider, product, service.model)
        if price is None:
            self.unknown.append(f"{part}: no price of {service}")
            return None
        self.prices[part] = price = price.on(self._day)
        return price

    def time(self, part: str, product: Product, service: Service | None, seconds: float) -> float | None:
        if service is None or not seconds:
            return 0.0
        price = self.find(part, product, service)
        if price is None or price.price is None:
            self._note_unit(part, service, price)
            return None
        if price.increment_seconds:
            seconds = math.ceil(round(seconds / price.increment_seconds, 6)) * price.increment_seconds
        return round(price.price * seconds / (3600 if "_hour_" in price.unit else 60), _DIGITS)

    def characters(self, service: Service | None, count: int) -> float | None:
        if service is None or not count:
            return 0.0
        price = self.find("tts", "tts", service)
        if price is None or price.price is None or price.unit != "usd_per_1m_chars":
            self._note_unit("tts", service, price)
            return None
        return round(price.price * count / _MILLION, _DIGITS)

    def tokens(self, part: str, service: Service, usage: Usage) -> tuple[float | None, float]:
        """The price of tokens, and what the cache has saved of it."""
        price = self.find(part, "llm", service)
        if price is None or not {"text_in", "text_out"} <= price.prices.keys():
            self._note_unit(part, service, price)
            return None, 0.0
        into, out = price.prices["text_in"], price.prices["text_out"]
        cached = price.prices.get("text_in_cached", into)
        write = price.prices.get("text_cache_write", into)
        long = price.long_context
        more_in = more_out = 1.0
        if long is not None and usage.input_tokens > long.over_tokens * max(usage.requests, 1):
            more_in, more_out = long.into, long.out
        plain = max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens)
        paid = plain * into + usage.cache_read_tokens * cached + usage.cache_write_tokens * write
        saved = usage.cache_read_tokens * (into - cached) * more_in
        return (paid * more_in + usage.output_tokens * out * more_out) / _MILLION, saved / _MILLION

    def _note_unit(self, part: str, service: Service, price: Price | None) -> None:
        if price is not None:
            self.unknown.append(f"{part}: {service} is billed by {price.unit}, which is not counted here")


def _llm(bill: _Bill, services: Services, turns: Sequence[TurnMetrics]) -> tuple[float | None, float, int]:
    total: float | None = 0.0
    savings, uncounted = 0.0, 0
    for turn in turns:
        usage = turn.usage
        if not usage.requests and not usage.input_tokens:
            continue
        if not usage.input_tokens and not usage.output_tokens:
            uncounted += usage.requests
            continue
        service = services.llm
        if turn.hedges_won and services.hedge_llm is not None:
            service = services.hedge_llm
            if turn.hedges_won < usage.requests:
                bill.unknown.append(f"llm: {services.llm} and {service} have answered in one turn")
                total = None
                continue
        paid, saved = (None, 0.0) if service is None else bill.tokens("llm", service, usage)
        savings += saved
        total = None if paid is None or total is None else total + paid
    return (None if total is None else round(total, _DIGITS)), savings, uncounted


def _wasted(bill: _Bill, services: Services, turns: Sequence[TurnMetrics], never: Usage) -> float | None:
    total: float | None = 0.0
    lost = [(services.llm, never)]
    for turn in turns:
        # Of two that were asked, the one that did not answer was in vain.
        second = turn.hedges and not turn.hedges_won and services.hedge_llm is not None
        lost.append((services.hedge_llm if second else services.llm, turn.wasted))
    for service, usage in lost:
        if service is not None and (usage.input_tokens or usage.output_tokens):
            paid, _ = bill.tokens("llm_wasted", service, usage)
            total = None if paid is None or total is None else total + paid
    return None if total is None else round(total, _DIGITS)
