"""The desk measured on phrasings it was not made from, and as an on_message function."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from patter_trio._demo import brain as brain_module
from patter_trio._demo.brain import DeskBrain
from patter_trio._demo.dialogue import Conversation
from patter_trio._demo.embedding import SentenceEmbedding, load_embedding
from patter_trio._demo.understanding import Classifier
from patter_trio.errors import MissingExtraError

MONDAY = date(2026, 3, 2)
PHRASES = [
    line.split("\t")
    for line in (Path(__file__).parent / "data" / "desk_phrases.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def accuracy(classifier: Classifier, which: str) -> float:
    """The share of phrasings whose last intent is an accepted one, or that were rightly not understood."""
    right = [
        (intents[-1] if (intents := classifier.understand(said).intents) else "none") in wanted.split("|")
        for where, wanted, said in PHRASES
        if where in which
    ]
    return sum(right) / len(right)


@pytest.fixture(scope="module")
def embedding() -> SentenceEmbedding:
    try:
        return load_embedding()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.local
def test_understands_six_of_seven_free_phrasings_with_the_embedding(embedding: SentenceEmbedding) -> None:
    classifier = Classifier(embedding)
    assert accuracy(classifier, "C") >= 0.82
    assert accuracy(classifier, "D") >= 0.87
    assert accuracy(classifier, "CD") >= 0.85


@pytest.mark.local
def test_rarely_takes_a_strange_question_for_its_own(embedding: SentenceEmbedding) -> None:
    classifier = Classifier(embedding)
    strange = [said for _, wanted, said in PHRASES if wanted == "none"]
    assert sum(bool(classifier.understand(said).intents) for said in strange) <= len(strange) * 0.15


@pytest.mark.local
def test_a_sentence_has_the_same_vector_in_any_company(embedding: SentenceEmbedding) -> None:
    alone = embedding.encode(["how much is a cleaning"])
    together = embedding.encode(["yes", "how much is a cleaning", "i would like to see the dentist some day"])
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert np.array_equal(alone[0], together[1])


def test_understands_half_of_them_by_rules_alone() -> None:
    assert accuracy(Classifier(), "CD") >= 0.55


@pytest.mark.local
@pytest.mark.usefixtures("embedding")
async def test_answers_a_call_with_the_embedding() -> None:
    brain = DeskBrain(MONDAY)
    await brain.warm()
    assert brain.understands_by == "embedding"
    event = {"text": "wait actually how much is a clean in", "call_id": "c1", "history": []}
    assert await brain.on_message(event) == "A cleaning costs ninety-five dollars."


class Watched:
    """An embedding that only remembers on which threads it was asked."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        self.threads.add(threading.get_ident())
        return np.full((len(sentences), 4), 0.5, np.float32)


async def test_inference_never_runs_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    monkeypatch.setattr(brain_module, "load_embedding", lambda: watched)
    brain = DeskBrain(MONDAY)
    await brain.on_message({"text": "hello", "call_id": "c1"})
    assert watched.threads
    assert threading.get_ident() not in watched.threads


async def test_rules_stand_in_where_the_model_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> SentenceEmbedding:
        raise MissingExtraError("no model")

    monkeypatch.setattr(brain_module, "load_embedding", missing)
    brain = DeskBrain(MONDAY)
    assert "Harbor Street" in await brain.on_message({"text": "what is your address", "call_id": "c1"})
    assert brain.understands_by == "rules"


async def test_each_call_is_remembered_until_it_is_forgotten() -> None:
    brain = DeskBrain(MONDAY, use_embedding=False)
    await brain.on_message({"text": "book tomorrow at eight", "call_id": "one"})
    await brain.on_message({"text": "are you open on saturday", "call_id": "two"})
    assert "Booked" in await brain.on_message({"text": "yes", "call_id": "one"})
    assert "Booked" not in await brain.on_message({"text": "yes", "call_id": "two"})
    brain.forget("one")
    brain.forget("never met")
    assert len(brain) == 1
    reply = await brain.on_message({"text": "when is my appointment", "call_id": "one"})
    assert reply.startswith("You have no appointment")


async def test_the_number_of_remembered_calls_is_bounded() -> None:
    brain = DeskBrain(MONDAY, use_embedding=False, max_calls=3)
    for n in range(10):
        await brain.on_message({"text": "book tomorrow", "call_id": str(n % 5)})
    assert len(brain) == 3


async def test_a_turn_cancelled_while_thinking_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = threading.Event(), threading.Event()

    class Slow(Watched):
        def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
            if len(sentences) == 1:
                asked.set()
                go_on.wait(5)
            return super().encode(sentences)

    monkeypatch.setattr(brain_module, "load_embedding", Slow)
    brain = DeskBrain(MONDAY)
    await brain.warm()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(brain.on_message, {"text": "book tomorrow at eight", "call_id": "c1"})
        await trio.to_thread.run_sync(asked.wait)
        nursery.cancel_scope.cancel()
    go_on.set()
    assert len(brain) == 0


def test_replies_outside_a_call_too() -> None:
    state = Conversation.opened(MONDAY)
    assert "Harbor Street" in DeskBrain(MONDAY, use_embedding=False).reply("what is your address", state)
