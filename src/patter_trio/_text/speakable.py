"""What of a model's text can be spoken: no markup, no emoji, links by their words."""

from __future__ import annotations

import re

__all__ = ["filter_emoji", "filter_for_tts", "filter_markdown", "speakable"]

# A fence on its own line, with the name of the language behind it; the code itself stays.
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*[\w+#.-]*[ \t]*$\n?", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*(?:(?:>+|#{1,6}|[-*+•])(?:[ \t]+|$))+(?:\[[ xX]\][ \t]+)?", re.MULTILINE)
_LINK = re.compile(
    r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])"
)
_BARE_LINK = re.compile(r"<((?:https?://|mailto:)[^\s>]+)>")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!~|>-])")

# Marks that were opened in one sentence and closed in the next come alone, so no pair is looked for. A star
# between digits or spaces is a product, an underline inside a word belongs to a name.
_STARS = re.compile(r"(?<!\\)(?:\*{2,}|(?<![\d\s])\*|\*(?![\d\s]))")
_LINES = re.compile(r"(?<![\w\\])_+(?=\w)|(?<=[^\s_\\])_+(?!\w)")
_TICKS = re.compile(r"`+|~{2,}")

# Pictographs, flags, keycaps and what joins and tints them. Not ©, ™, arrows or digits: those are words.
_PICTURE = (
    "\U0001f000-\U0001faff\U000e0020-\U000e007f\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\ufe0e\ufe0f\u20e3"
)
_EMOJI = re.compile(f"[{_PICTURE}][{_PICTURE}\u200d]*")


def filter_markdown(text: str) -> str:
    """Markdown's marks removed, the words kept: a link keeps its text, a code block its code."""
    text = _RULE.sub("", _FENCE.sub("", text))
    text = _LINK.sub(r"\1", _LINE_MARK.sub("", text))
    text = _BARE_LINK.sub(r"\1", text)
    text = _TICKS.sub("", _LINES.sub("", _STARS.sub("", text)))
    return _ESCAPE.sub(r"\1", text)


def filter_emoji(text: str) -> str:
    """Emoji and pictographs removed."""
    return _EMOJI.sub("", text)


def filter_for_tts(text: str) -> str:
    """Everything that a voice would stumble over removed."""
    return filter_emoji(filter_markdown(text))


def speakable(text: str) -> str:
    """The text as a voice gets it: on one line, and empty if there is no letter or digit in it."""
    spoken = " ".join(filter_for_tts(text).split())
    return spoken if any(character.isalnum() for character in spoken) else ""
