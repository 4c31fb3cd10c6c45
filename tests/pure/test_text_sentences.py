from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import patter_trio._text.sentences as sentences_module
from patter_trio._text.sentences import _CANDIDATE, SentenceChunker
from patter_trio.errors import PatterConfigError


def pieces_of(text: str, language: str = "en", *, least: int = 20, early: bool = False) -> list[str]:
    chunker = SentenceChunker(least, language, early)
    return chunker.push(text) + chunker.flush()


def sentences(text: str, language: str = "en", *, least: int = 20, early: bool = False) -> list[str]:
    """The pieces without the white space between them."""
    return [piece.strip() for piece in pieces_of(text, language, least=least, early=early) if piece.strip()]


def test_sentences_are_given_out_as_soon_as_they_are_whole() -> None:
    chunker = SentenceChunker()
    assert chunker.push("We open at nine tomorr") == []
    assert chunker.push("ow morning.") == []  # "morning.com" is still possible
    assert chunker.push(" Would") == ["We open at nine tomorrow morning."]
    assert chunker.push(" you like to come by?") == []
    assert chunker.flush() == [" Would you like to come by?"]
    assert chunker.flush() == []


def test_a_short_sentence_is_spoken_together_with_the_next() -> None:
    assert sentences("Sure! Let me look that up for you. Done.") == [
        "Sure! Let me look that up for you.",
        "Done.",
    ]
    assert sentences("Sure! Let me look.", least=1) == ["Sure!", "Let me look."]


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "Your total comes to 13.50 euros, or 3.1 percent more."),
        ("en", "Everything is on www.example.com and example.org for you."),
        ("en", "The appointment is with Dr. Green and Mrs. Brown."),
        ("en", "She moved to the U.S. Army base and then to the U.K. for good."),
        ("en", "He holds a Ph.D. in chemistry, e.g. from somewhere."),
        ("en", "Please call our friends at Baker Ltd. for a quote."),
        ("en", "You will find it under no. 17 and on fig. 4 of the plan."),
        ("en", "We serve until 9 p.m. on weekdays, 10 p.m. 5 days a year."),
        ("en", "I was thinking about that... maybe we should wait."),
        ("en", 'Then he said "Are you quite sure?" and left.'),
        ("de", "Ihr Termin ist am 3. Mai um 10 Uhr bei Hr. Weber, z.B. oben."),
        ("de-AT", "Wir haben Brot, Semmeln usw. im Angebot, ca. 20 Sorten."),
        ("es", "La cita es con la Sra. López y el Dr. Ruiz."),
        ("fr", "Vous avez rendez-vous avec Mme. Dupont et M. Durand."),
        ("it", "Il suo appuntamento è con il Sig. Rossi e la Dott.ssa Neri."),
        ("pt", "A sua consulta é com a Dra. Alves e o Sr. Pinto."),
    ],
)
def test_a_full_stop_inside_a_sentence_does_not_end_it(language: str, text: str) -> None:
    assert sentences(text, language) == [text]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I am afraid that the answer is no.", "We are closed on Sundays."),
        ("The bakery closes at nine p.m.", "It opens again at six."),
        ("We work for Baker Ltd.", "They are wonderful people."),
        ("I was thinking about that…", "We should wait a little."),
        ("Is that what you wanted to know?!", "I hope that it is."),
        ('Then she said "I will be there."', "And she was, in time."),
        ("That is (as far as I know.)", "You may ask them yourself."),
        ("**That is quite important.**", "Please write it down."),
        ("It costs 25 euros in total for 2.", "Is that all right?"),
        ("今天天气很好，我们一起去公园散步吧。", "你觉得这个主意到底怎么样？"),
        ("आपका नाम क्या है मेरे दोस्त।", "आज मौसम बहुत अच्छा है।"),
        ("هل تريد أن تحجز موعدا غدا؟", "نحن هنا كل يوم من الساعة"),
        ("آپ کا بہت بہت شکریہ جناب۔", "ہم کل صبح نو بجے کھلتے ہیں۔"),
        ("Շնորհակալություն զանգի համար։", "Մենք բաց ենք վաղը առավոտյան։"),
        ("እናመሰግናለን ስለ ደወሉልን እንደገና።", "ነገ ጠዋት እንከፍታለን እዚህ ነን።"),
        ("សូមអរគុណសម្រាប់ការហៅទូរស័ព្ទ។", "យើងបើកនៅថ្ងៃស្អែកវេលាព្រឹក។"),
        ("ဖုန်းခေါ်ဆိုမှုအတွက် ကျေးဇူးတင်ပါတယ်။", "မနက်ဖြန် မနက်မှာ ဖွင့်ပါမယ်။"),
        ("ཁྱེད་རང་ལ་ཐུགས་རྗེ་ཆེ་ཞུ་རྒྱུ་ཡིན།", "སང་ཉིན་ཞོགས་པ་ཁ་ཕྱེ་རྒྱུ་ཡིན།"),
    ],
)
def test_a_sentence_ends_where_its_script_ends_it(first: str, second: str) -> None:
    assert sentences(f"{first} {second}") == [first, second]


def test_scripts_without_spaces_need_none() -> None:
    assert sentences("今日はとても良い天気ですね。散歩に行きましょうか、どう思いますか？はい。") == [
        "今日はとても良い天気ですね。",
        "散歩に行きましょうか、どう思いますか？",
        "はい。",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "ご請求額は全部でおよそ３．１４ドルになりますがよろしいですか",
        "ぜひ弊社のサイトｅｘａｍｐｌｅ．ｃｏｍをご覧ください",
    ],
)
def test_a_full_width_stop_inside_a_number_or_an_address_ends_nothing(text: str) -> None:
    assert sentences(text) == [text]


def test_half_width_marks_end_sentences_of_scripts_without_spaces() -> None:
    assert sentences("今天天气很好我们一起去公园散步吧!你觉得这个主意怎么样?好") == [
        "今天天气很好我们一起去公园散步吧!",
        "你觉得这个主意怎么样?",
        "好",
    ]


def test_a_german_quotation_that_is_over_does_not_forbid_an_early_clause() -> None:
    text = "Sie haben mir am Telefon „kommen Sie vorbei“ gesagt, und zwar an jedem Tag."
    assert len(sentences(text, "de", early=True)) == 2


def test_paragraphs_and_list_items_are_spoken_apart() -> None:
    text = "Our hours:\n\n- Monday\n- Tuesday\n1. One\n2. Two\n## More\nBye"
    assert sentences(text) == [
        *("Our hours:", "- Monday", "- Tuesday", "1. One", "2. Two", "## More\nBye"),
    ]


def test_a_line_of_its_own_is_a_sentence_and_a_wrapped_one_is_not() -> None:
    assert sentences("Here are all of our hours\nMonday from eight\nto six") == [
        "Here are all of our hours",
        "Monday from eight\nto six",
    ]


def test_text_without_any_punctuation_is_cut_at_a_space_in_the_end() -> None:
    pieces = sentences("and so on " * 100)
    assert all(300 < len(piece) <= 400 for piece in pieces[:-1])
    assert " ".join(pieces) == ("and so on " * 100).strip()
    assert [len(piece) for piece in sentences("a" * 900)] == [400, 400, 100]


def test_the_first_clause_may_be_given_away_early() -> None:
    text = "I would be happy to help you with that booking, and I can look for more, later on, if you like."
    assert sentences(text) == [text]
    assert sentences(text, early=True) == [
        "I would be happy to help you with that booking,",
        "and I can look for more, later on, if you like.",
    ]
    assert sentences(text, "it-IT", early=True) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "No comma is cut here, as there are not yet forty.",
        "Your total with all the taxes and fees is 1,250 dollars and 3, 4 cents.",
        "We have a lot of bread (rye, wheat, spelt and barley, and more) here.",
        "They told me on the telephone “come by, any day, at any time” today.",
        'They told me on the telephone "come by, any day, at any time" today.',
        "I was really thinking about that for a while…, and so on and on.",
        "They told me on the telephone „come by, any day, at any time“ today.",
        "The whole of your booking would cost us $ 25 m, or a little less.",
        'In the end they all told me "we are sorry about it", and they left.',
        "You could ask them for the list `rye, wheat, spelt and barley` then.",
    ],
)
def test_an_early_clause_never_breaks_a_number_a_bracket_or_a_quotation(text: str) -> None:
    assert sentences(text, early=True) == [text]


def test_a_dash_ends_a_first_clause_too() -> None:
    text = "We can certainly do that for you on Monday{}unless you prefer Tuesday."
    for dash in (" — ", "—", " – "):
        assert len(sentences(text.format(dash), early=True)) == 2, dash
    assert len(sentences(text.format("–"), early=True)) == 1


# What rules look at, more often than chance would bring it.
pieces = st.sampled_from(
    [
        *(
            "Hello there my good friend",
            "word",
            "no",
            "Dr",
            "a.m",
            "U.S",
            "etc",
            "1",
            "3",
            "Mai",
            "x",
            "我们去",
            "Ä",
        ),
        *(
            " ",
            "  ",
            "\n",
            "\n\n",
            "\t",
            ".",
            "..",
            "!",
            "?",
            "…",
            "。",
            "।",
            "؟",
            ",",
            "，",
            "—",
            "–",
            ":",
            ";",
        ),
        *('"', "”", "“", ")", "(", "**", "*", "- ", "# ", "1. ", "😀", "\u2028", "\x1c"),
    ]
)
texts = st.lists(pieces | st.text(max_size=5), max_size=60).map("".join)


@given(texts, st.data(), st.sampled_from(["en", "de", "fr", "xx"]), st.booleans(), st.integers(0, 40))
def test_the_pieces_joined_are_the_text_however_it_was_cut_into_deltas(
    text: str, data: st.DataObject, language: str, early: bool, least: int
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    chunker = SentenceChunker(least, language, early)
    out: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        out += chunker.push(text[start:end])
    out += chunker.flush()
    assert out == pieces_of(text, language, least=least, early=early)
    assert "".join(out) == text
    assert all(piece.strip() and piece == piece.rstrip() for piece in out[:-1])


@given(texts, st.booleans())
@example("Hello there my good friend. " * 40, True)
@example("a" * 399 + ". b", False)
@example("a" * 400 + " b", False)
@example("a " * 199 + "\n\n- b", False)
@example("a" * 380 + "." * 50 + " b", False)
@example("We said that it was fine etc." + " " * 50 + "And so on.", False)
@example("," * 700 + "\n" * 700 + "—" * 700, True)
def test_letter_by_letter_gives_the_same_pieces_too(text: str, early: bool) -> None:
    chunker = SentenceChunker(aggressive_first_flush=early)
    out = [piece for letter in text * 3 for piece in chunker.push(letter)]
    assert out + chunker.flush() == pieces_of(text * 3, early=early)


def test_a_reset_chunker_begins_a_new_text() -> None:
    text = "I would be happy to help you with that booking, and I can look for more, if you like."
    chunker = SentenceChunker(aggressive_first_flush=True)
    first = chunker.push(text)
    chunker.push(" Forget this")
    chunker.reset()
    assert chunker.flush() == []
    assert chunker.push(text) == first  # the first clause of the new text is cut as well
    assert chunker.flush() == [text[len(first[0]) :]]


def test_after_a_flush_the_next_text_begins_with_an_early_clause_again() -> None:
    text = "I would be happy to help you with that booking, and I can look for more, if you like."
    chunker = SentenceChunker(aggressive_first_flush=True)
    assert chunker.push(text) + chunker.flush() == chunker.push(text) + chunker.flush()


@pytest.mark.parametrize("least", [-1, 2.5, True, "20"])
def test_a_length_that_is_none_is_refused(least: Any) -> None:
    with pytest.raises(PatterConfigError, match="min_sentence_len"):
        SentenceChunker(least)


def test_a_language_that_is_none_is_refused() -> None:
    language: Any = None
    with pytest.raises(PatterConfigError, match="language"):
        SentenceChunker(language=language)


class Counting:
    """The pattern of possible ends, counting the characters it is asked to read."""

    def __init__(self) -> None:
        self.pattern = _CANDIDATE
        self.read = 0

    def search(self, text: str, at: int) -> re.Match[str] | None:
        match = self.pattern.search(text, at)
        self.read += (match.end() if match else len(text)) - at
        return match


@pytest.mark.parametrize("size", [1, 4, 97, 60_000])
@pytest.mark.parametrize(
    "unit", ["and so on ", "a", " ", "\n", ".", "a. ", ", ", "…x", "etc. ", "「", "U.S. "]
)
def test_a_long_stream_is_read_a_bounded_number_of_times(
    unit: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (unit * 50_000)[:50_000]
    counting = Counting()
    monkeypatch.setattr(sentences_module, "_CANDIDATE", counting)
    chunker = SentenceChunker(aggressive_first_flush=True)
    in_hand = 0
    for start in range(0, len(text), size):
        chunker.push(text[start : start + size])
        in_hand = max(in_hand, len(chunker._text))
    chunker.flush()
    # What is done at a candidate is bounded by the text in hand, and that does not grow with the stream.
    assert in_hand <= 1100
    # A run of marks that comes letter by letter is read again from its beginning, up to a bound.
    assert counting.read <= (35 if unit == "." else 5) * len(text)
