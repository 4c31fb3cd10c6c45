from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._text.speakable import filter_emoji, filter_for_tts, filter_markdown, speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("That is **very** important, *really*.", "That is very important, really."),
        ("__Now__ or _never_, ~~not~~ ***ever***.", "Now or never, not ever."),
        ("Press `1` or ``2``.", "Press 1 or 2."),
        ("See [our page](https://example.com/a_(b)) for more.", "See our page for more."),
        ('See [our page](https://example.com "Title") now.', "See our page now."),
        ("See [our page][1] and ![a cake](cake.png).", "See our page and a cake."),
        ("Go to <https://example.com>.", "Go to https://example.com."),
        ("## Hours\n- Monday\n* Tuesday\n• Friday", "Hours Monday Tuesday Friday"),
        ("- [ ] bread\n- [x] milk", "bread milk"),
        ("> quoted\n>> twice", "quoted twice"),
        ("Before\n\n---\n\nafter", "Before after"),
        ("Like so:\n```python\nprint(1)\n```\nDone.", "Like so: print(1) Done."),
        ("It is ```x``` here.", "It is x here."),
        (r"5 \* 3 and \_this\_", "5 * 3 and _this_"),
        ("**Bold that ends", "Bold that ends"),
        ("in the next sentence.**", "in the next sentence."),
        ("1. First we bake.", "1. First we bake."),
        ("  many   spaces\t\nand lines ", "many spaces and lines"),
    ],
)
def test_marks_are_not_read_aloud(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    "text",
    [
        *("5 * 3 is 15 and 5*3 too.", "The file is snake_case_name.", "It costs $5, 10% off!", "C# or F#?"),
        *(
            "I'm here: 9-5, all day - really.",
            "Temperature is -3.",
            "a > b, or b < a",
            "© 2024 Baker™",
            "(yes) [no]",
        ),
        *("E-mail baker@example.com.", "今天天气很好。", "नमस्ते दुनिया।", "Ünïcödé → fine"),
    ],
)
def test_what_is_speech_stays_as_it_is(text: str) -> None:
    assert speakable(text) == text


@pytest.mark.parametrize("emoji", ["😀", "👍🏽", "👨‍👩‍👧", "🇩🇪", "❤️", "☎️", "✅", "⭐", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "⏰", "🤷‍♀️"])
def test_emoji_are_not_read_aloud(emoji: str) -> None:
    assert filter_emoji(f"Great{emoji}!") == "Great!"
    assert speakable(emoji) == ""
    assert speakable(f"{emoji} Great {emoji}") == "Great"


def test_a_keycap_keeps_its_digit() -> None:
    assert speakable("Press 1️⃣ now") == "Press 1 now"


@pytest.mark.parametrize("text", ["", " \n", "---", "**", "...", "😀!", "- ", "```\n```", '"'])
def test_what_has_no_words_gives_nothing_to_say(text: str) -> None:
    assert speakable(text) == ""


def test_the_transforms_do_one_thing_each() -> None:
    text = "**Hi** 😀\nthere"
    assert filter_markdown(text) == "Hi 😀\nthere"
    assert filter_emoji(text) == "**Hi** \nthere"
    assert filter_for_tts(text) == "Hi \nthere"


@given(st.text(alphabet="ab1 *_`~#>-+[]()!\\\n<:/.😀\u200d️", max_size=80))
def test_any_text_becomes_one_line_and_keeps_its_letters(text: str) -> None:
    spoken = speakable(text)
    assert spoken == " ".join(spoken.split())
    assert "😀" not in spoken
