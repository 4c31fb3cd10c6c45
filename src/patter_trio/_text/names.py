"""Names that a model writes as an argument or calls a tool by."""

from __future__ import annotations

import re
from typing import Any

from ..errors import PatterConfigError

__all__ = ["check_name"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def check_name(what: str, value: Any) -> None:
    """Checks that every model can write it.

    Raises:
        PatterConfigError: it is no text, too long, or has more in it than letters, digits, ``-`` and ``_``.
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise PatterConfigError(
            f"{what} cannot be called {value!r}",
            hint="use 1 to 64 letters, digits, '-' and '_', beginning with a letter or digit",
        )
