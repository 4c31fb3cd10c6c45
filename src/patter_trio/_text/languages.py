"""Language tags as voices of telephone companies want them: with a region."""

from __future__ import annotations

__all__ = ["with_region"]

# Where the most speakers on the telephone are, for languages whose region is not named like them.
_REGIONS = {
    "ar": "AE",
    "ca": "ES",
    "cs": "CZ",
    "da": "DK",
    "el": "GR",
    "en": "US",
    "hi": "IN",
    "ja": "JP",
    "ko": "KR",
    "nb": "NO",
    "sv": "SE",
    "uk": "UA",
    "vi": "VN",
    "zh": "CN",
}


def with_region(language: str) -> str:
    """``language`` as it is if it has a region, else with a likely one: ``it`` is ``it-IT``."""
    if "-" in language:
        return language
    short = language.lower()
    return f"{short}-{_REGIONS.get(short, short.upper())}"
