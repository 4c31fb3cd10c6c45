"""The border to users' code under the name by which a call knows it; see :mod:`patter_trio._foreign`."""

from __future__ import annotations

from .._foreign import call_back, foreign, unwrapped

__all__ = ["call_back", "foreign", "unwrapped"]
