"""What of a model's text can be spoken: no markup, no emoji, links by their words."""

from __future__ import annotations

import re

__all__ = ["filter_emoji", "filter_for_tts", "filter_markdown", "speakable"]

_FENCE = re.compile(r"```[^\n`]*\n?|~~~[^\n~]*\n?")
_IMAGE = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+", re.MULTILINE)
_QUOTE = re.compile(r"^\s{0,3}>\s?", re.MULTILINE)
_BULLET = re.compile(r"^\s*[-*+•]\s+", re.MULTILINE)
_RULE = re.compile(r"^\s*([-*_])(?:\s*\1){2,}\s*$", re.MULTILINE)
_STRONG = re.compile(r"(\*\*\*|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", re.DOTALL)
_EMPHASIS = re.compile(
    r"(?<![\w*])\*(?=\S)([^*\n]+?)(?<=\S)\*(?![\w*])|(?<!\w)_(?=\S)([^_\n]+?)(?<=\S)_(?!\w)"
)
_LEFT_OVER = re.compile(r"\*{2,}|~{2,}|`+|(?<!\w)__(?=\w)|(?<=\w)__(?!\w)")
_CODE = re.compile(r"`+([^`]*)`+")

# Pictographs, their variation selectors, joiners, skin tones, flags and keycaps; not digits, not ©.
_EMOJI = re.compile(
    "["
    "\U0001f1e6-\U0001f1ff\U0001f300-\U0001f5ff\U0001f600-\U0001f64f\U0001f680-\U0001f6ff"
    "\U0001f700-\U0001f77f\U0001f780-\U0001f7ff\U0001f800-\U0001f8ff\U0001f900-\U0001f9ff"
    "\U0001fa00-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u200d\ufe0f\u20e3"
    "]+"
)
_SPACES = re.compile(r"[ \t]+")


def filter_markdown(text: str) -> str:
    """Markdown's marks removed, the words kept; a link keeps its text."""
    text = _FENCE.sub("", text)
    text = _LINK.sub(r"\1", _IMAGE.sub(r"\1", text))
    text = _BULLET.sub("", _QUOTE.sub("", _HEADING.sub("", _RULE.sub("", text))))
    text = _CODE.sub(r"\1", text)
    text = _STRONG.sub(r"\2", _STRONG.sub(r"\2", text))
    text = _EMPHASIS.sub(lambda match: match.group(1) or match.group(2), text)
    # A mark whose other half is in another sentence.
    return _LEFT_OVER.sub("", text)


def filter_emoji(text: str) -> str:
    """Emoji and pictographs removed."""
    return _EMOJI.sub("", text)


def filter_for_tts(text: str) -> str:
    """Everything that a voice would stumble over removed."""
    return filter_emoji(filter_markdown(text))


def speakable(text: str) -> str:
    """The text as a voice gets it: one line, or nothing when there is not a letter or digit in it."""
    spoken = " ".join(_SPACES.sub(" ", filter_for_tts(text)).split())
    return spoken if any(character.isalnum() for character in spoken) else ""
