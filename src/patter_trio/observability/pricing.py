"""The price list that comes with the package: public list prices, dated, each with how sure it is."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from .._turns.prices import LongContext, Price, PriceChange

__all__ = ["PRICES_AS_OF", "shipped_prices"]

PRICES_AS_OF = "2026-11-21"
"""The day on which the list that comes with the package was drawn up."""


@cache
def shipped_prices() -> tuple[Price, ...]:
    """All lines of the list."""
    listed = msgspec.json.decode(files("patter_trio.observability").joinpath("prices.json").read_bytes())
    return tuple(_price(**line) for line in listed["prices"])


def _price(
    *,
    changes: tuple[dict[str, object], ...] = (),
    long_context: dict[str, float] | None = None,
    **line: object,
) -> Price:
    long = None
    if long_context is not None:
        over = int(long_context["over_tokens"])
        long = LongContext(over, into=long_context["in"], out=long_context["out"])
    return Price(**line, changes=[PriceChange(**change) for change in changes], long_context=long)  # type: ignore[arg-type]
