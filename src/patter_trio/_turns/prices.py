"""What services cost, as a table that is looked things up in; nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Literal, get_args

import attrs

from ..errors import PatterConfigError

__all__ = ["LongContext", "Price", "PriceBook", "PriceChange", "PriceUnit", "Product"]

Product = Literal[
    "llm", "stt", "tts", "telephony_in", "telephony_out",
    "realtime", "realtime_stt", "realtime_translate", "live", "agent",
]  # fmt: skip
PriceUnit = Literal[
    "usd_per_1m_tokens", "usd_per_1m_chars", "usd_per_minute_audio", "usd_per_hour_audio",
    "usd_per_minute_session", "usd_per_hour_session", "usd_per_minute_call",
]  # fmt: skip

# What vendors put behind a model's name: a date, a revision, "latest".
_SNAPSHOT = re.compile(r"[-@](\d[\d-]*|latest)")


@attrs.frozen
class PriceChange:
    """Token prices that replace those of the same names from a day on (``YYYY-MM-DD``)."""

    since: str
    prices: Mapping[str, float]


@attrs.frozen
class LongContext:
    """What token prices are multiplied with where a request holds more than so many tokens."""

    over_tokens: int
    into: float = 1.0
    out: float = 1.0


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(given)


def _changes(given: Iterable[PriceChange]) -> tuple[PriceChange, ...]:
    return tuple(given)


def _among(names: Any) -> Any:
    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in get_args(names):
            raise PatterConfigError(
                f"{attribute.name}={value!r} is unknown", hint=f"one of {', '.join(get_args(names))}"
            )

    return check


def _amount(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    values = value.values() if isinstance(value, Mapping) else (value,)
    for amount in values:
        bad = isinstance(amount, bool) or not isinstance(amount, int | float | None) or (amount or 0) < 0
        if bad:
            raise PatterConfigError(f"{attribute.name}={value!r} is no price in US dollars")


@attrs.frozen(kw_only=True)
class Price:
    """One line of a price list, in US dollars.

    Args:
        provider: the provider's short name, such as ``openai``.
        product: what of it.
        model: the model's name, ``*`` for any; of a carrier, where the number is: ``us-local``.
        unit: what the price is for.
        price: the price of a unit; left out with ``prices``.
        prices: for tokens, by kind: ``text_in``, ``text_in_cached``, ``text_cache_write``, ``text_out``.
        aliases: other names of the model.
        increment_seconds: times are billed in whole steps of so many seconds.
        changes: announced prices of later days.
        long_context: what large requests cost more.
        as_of: when it was seen.
        confidence: how sure that is: ``high``, ``medium`` or ``low``.

    Raises:
        PatterConfigError: it is not a price.
    """

    provider: str
    product: Product = attrs.field(validator=_among(Product))
    model: str = "*"
    unit: PriceUnit = attrs.field(validator=_among(PriceUnit))
    price: float | None = attrs.field(default=None, validator=_amount)
    prices: Mapping[str, float] = attrs.field(factory=dict[str, float], validator=_amount)
    aliases: tuple[str, ...] = attrs.field(default=(), converter=_names)
    increment_seconds: float = 0.0
    changes: tuple[PriceChange, ...] = attrs.field(default=(), converter=_changes)
    long_context: LongContext | None = None
    as_of: str = ""
    confidence: str = "high"

    def __attrs_post_init__(self) -> None:
        if (self.price is None) == (not self.prices):
            raise PatterConfigError(
                f"{self.provider}/{self.model} needs a price", hint="either price= or, for tokens, prices="
            )

    def on(self, day: date) -> Price:
        """The price as it is on a day."""
        prices = dict(self.prices)
        for change in self.changes:
            if day >= date.fromisoformat(change.since):
                prices |= change.prices
        return attrs.evolve(self, prices=prices)


class PriceBook:
    """A price list. Of two lines for the same thing the first one counts."""

    def __init__(self, prices: Iterable[Price] = ()) -> None:
        self._prices: dict[tuple[str, str], list[Price]] = {}
        for price in prices:
            self._prices.setdefault((price.provider, price.product), []).append(price)

    def find(self, provider: str, product: Product, model: str) -> Price | None:
        """The price of a model: of its name, of an alias, of the name without a date, or of any model.

        ``None`` where the list has no price for it.
        """
        listed = self._prices.get((provider, product), [])
        by_rank = [(_rank(price, model), price) for price in listed]
        best = max((rank for rank, _ in by_rank), default=0)
        found = next((price for rank, price in by_rank if rank == best), None)
        return found if best else None


def _rank(price: Price, model: str) -> int:
    """How well a line fits a model; 0 if it does not."""
    if price.model == model:
        return 1_000_000
    if model in price.aliases:
        return 900_000
    if price.model == "*":
        return 1
    rest = model.removeprefix(price.model) if model.startswith(price.model) else ""
    # Another model of the family is not the same model; the voices of a synthesiser are.
    same = rest.startswith("-") if price.product == "tts" else bool(_SNAPSHOT.fullmatch(rest))
    return 1 + len(price.model) if rest and same else 0
