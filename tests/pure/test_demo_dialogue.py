from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patter_trio._demo.dialogue import GREETING, Conversation, answer
from patter_trio._demo.intents import EXAMPLES, Intent
from patter_trio._demo.understanding import Classifier

MONDAY = date(2026, 3, 2)
BY_RULES = Classifier()


class Caller:
    def __init__(self) -> None:
        self.call = Conversation.opened(MONDAY)

    def says(self, text: str) -> str:
        return answer(BY_RULES.understand(text), self.call)


@pytest.fixture
def caller() -> Caller:
    return Caller()


def test_books_what_was_offered_and_says_so(caller: Caller) -> None:
    offer = caller.says("Hi, I'd like to book an appointment on Thursday afternoon please.")
    assert offer == "We have an opening on Thursday at half past twelve in the afternoon. Shall I book it?"
    assert caller.says("Yes, that works for me.").startswith(
        "Booked. You have an appointment on Thursday at half"
    )
    assert caller.call.appointment is not None
    assert not caller.call.calendar.is_free(caller.call.appointment.slot)


def test_a_correction_in_one_breath_replaces_the_day(caller: Caller) -> None:
    assert "on Thursday at half past twelve" in caller.says(
        "I'd like to book on Tuesday... no, Thursday afternoon"
    )
    assert "on Wednesday" in caller.says("yes wait no make it wednesday")
    assert caller.call.appointment is None


def test_a_question_in_between_keeps_the_offer(caller: Caller) -> None:
    caller.says("do you have anything on thursday afternoon")
    assert caller.says("Wait, actually, how much is a clean in?") == "A cleaning costs ninety-five dollars."
    assert "Booked. You have a cleaning on Thursday" in caller.says("yes")


def test_earlier_and_later_move_from_the_slot_on_the_table(caller: Caller) -> None:
    caller.says("do you have anything on thursday afternoon")
    assert "on Thursday at ten in the morning" in caller.says("can we do it earlier in the day")
    assert "on Thursday at half past twelve" in caller.says("later please")


def test_moves_and_cancels_what_is_booked(caller: Caller) -> None:
    caller.says("when is your next opening")
    caller.says("yes please")
    assert caller.says("I need to reschedule") == "Sure. Which day and time would suit you better?"
    assert "Shall I move your appointment there?" in caller.says("friday morning")
    assert "Done, I have moved it. You now have an appointment on Friday" in caller.says("sounds good")
    assert "Shall I cancel it?" in caller.says("please cancel my appointment")
    assert caller.says("no") == "All right, I keep it for you."
    caller.says("cancel it")
    assert "It is cancelled." in caller.says("yes")
    assert caller.call.appointment is None


def test_nothing_is_moved_or_cancelled_that_was_never_booked(caller: Caller) -> None:
    assert "nothing to cancel" in caller.says("cancel my appointment")
    assert "no appointment yet" in caller.says("move my appointment to friday")


def test_two_questions_get_two_answers(caller: Caller) -> None:
    reply = caller.says("Where can I park and what's your address?")
    assert "parking" in reply
    assert "Harbor Street" in reply


def test_follow_up_questions_keep_the_topic(caller: Caller) -> None:
    assert "open on Saturday" in caller.says("are you open on saturday")
    assert caller.says("and on sunday") == "We are closed on Sunday."
    caller.says("how much is a cleaning")
    assert "filling costs" in caller.says("and for a filling")


def test_the_second_of_two_openings_can_be_taken(caller: Caller) -> None:
    caller.says("when is your next opening")
    assert "tomorrow at half past three" in caller.says("the later one")


def test_says_why_the_wish_cannot_be_met(caller: Caller) -> None:
    assert caller.says("can you fit me in today").startswith(
        "We are fully booked today. The nearest opening is"
    )
    assert caller.says("book me in for sunday").startswith("We are closed on Sunday.")
    assert caller.says("book friday at ten").startswith("Ten in the morning is not free.")


def test_admits_not_to_understand_and_offers_what_it_can_do(caller: Caller) -> None:
    assert "did not understand" in caller.says("what is the capital of france")
    assert "next opening" in caller.says("tell me a joke")
    assert caller.call.misses == 2


def test_is_honest_about_being_alone_and_about_emergencies(caller: Caller) -> None:
    assert "nobody else is on the line" in caller.says("can i speak to a real person")
    assert "nine one one" in caller.says("i am in terrible pain")


def test_repeats_its_last_words_from_the_greeting_on(caller: Caller) -> None:
    assert caller.says("could you repeat that please") == f"I said: {GREETING}"
    assert caller.says("say that again") == f"I said: {GREETING}"


def test_says_goodbye_with_the_day_that_was_booked(caller: Caller) -> None:
    caller.says("book tomorrow at eight")
    caller.says("yes")
    assert caller.says("no thank you, that's all, goodbye").endswith("See you tomorrow, goodbye!")


def test_two_calls_never_meet_in_a_calendar() -> None:
    first, second = Caller(), Caller()
    assert first.says("when is your next opening") == second.says("when is your next opening")
    assert first.says("yes") == second.says("yes")


@given(st.lists(st.sampled_from([s for examples in EXAMPLES.values() for s in examples]), max_size=12))
def test_any_conversation_gets_short_spoken_replies(sentences: list[str]) -> None:
    caller = Caller()
    for sentence in sentences:
        reply = caller.says(sentence)
        assert 0 < len(reply) < 320
        assert not any(char.isdigit() for char in reply)


@given(st.text(max_size=120))
def test_any_text_gets_a_reply(text: str) -> None:
    assert Caller().says(text)


def test_every_intent_has_examples() -> None:
    assert set(EXAMPLES) == set(Intent)
