"""Random telephone calls: everything that is drawn about one, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import trio

from patter_trio import MinWordsStrategy, TurnWindow
from patter_trio.testing import Caller, Ear, LineConditions

__all__ = ["PATIENCE", "Focus", "ReplyPlan", "Scenario", "draw_scenario"]

# Longer than any pause in which the agent may still be thinking: whoever is silent for so long has ended.
PATIENCE = 8.0
_LISTENS = 150.0
_GIVES_UP = 5.0

_WORDS = "says", "barges_in"


@attrs.frozen
class Focus:
    """What kind of calls to draw: which steps are likely, and whether lines and providers are good."""

    steps: tuple[str, ...] = (
        *("says",) * 4,
        *("barges_in",) * 4,
        *("coughs_over",) * 4,
        *("coughs",) * 2,
        *("waits",) * 3,
        *("waits_for_agent",) * 3,
        "presses",
        "goes_silent",
        "stalls",
        "withholds",
    )
    bad_line: float = 0.3
    loss: float = 0.1
    faulty: float = 0.2
    broken: float = 0.15
    impatient: float = 0.35


@attrs.frozen
class ReplyPlan:
    """An answer of the model: how many words each sentence has, and at which token it fails, if it does."""

    sentences: tuple[int, ...]
    fails_at: int | None = None

    def text(self, prefix: str) -> str:
        """The answer, no word of which occurs twice."""
        return " ".join(
            " ".join(f"{prefix}{'abcdefghijkl'[number]}{word}" for word in range(words)) + "."
            for number, words in enumerate(self.sentences)
        )


@attrs.frozen
class Scenario:
    """One call: what the caller does, on which line, with which agent and which providers."""

    steps: tuple[tuple[str, float], ...]
    line: LineConditions
    greeting: int
    replies: tuple[ReplyPlan, ...]
    agent: dict[str, Any] = attrs.field(factory=dict)
    llm: dict[str, Any] = attrs.field(factory=dict)
    tts: dict[str, Any] = attrs.field(factory=dict)
    stt: dict[str, Any] = attrs.field(factory=dict)
    schedule: int = 0

    @property
    def ends_patiently(self) -> bool:
        """Whether the caller listens until all is said."""
        return self.steps[-2:-1] == (("listens", 0.0),)

    def caller(self, tag: str) -> Caller:
        """The script; what the caller says begins with ``tag``, and no word is said twice."""
        caller = Caller()
        for number, (what, value) in enumerate(self.steps):
            words = " ".join(f"{tag}u{number}{'abcdefgh'[word]}" for word in range(int(value) or 1))
            match what:
                case "says":
                    caller = caller.says(words)
                case "barges_in":
                    caller = caller.waits_until(_agent_has_spoken_for(value % 1 * 3)).says(words)
                case "coughs":
                    caller = caller.coughs(value)
                case "waits":
                    caller = caller.waits(value)
                case "waits_for_agent":
                    caller = caller.waits_until(_agent_has_answered(value), timeout=_LISTENS)
                case "presses":
                    caller = caller.presses("1#")
                case "goes_silent":
                    caller = caller.goes_silent(value)
                case "stalls":
                    caller = caller.stops_reading(value)
                case "withholds":
                    caller = caller.stops_sending(value)
                case "agent_speaks":
                    caller = caller.waits_until(_agent_has_spoken_for(value))
                case "listens":
                    caller = caller.waits_until(_all_are_silent, timeout=_LISTENS)
                case "drops_socket":
                    caller = caller.drops_socket()
                case "closes_sending":
                    caller = caller.closes_sending()
                case _:
                    caller = caller.hangs_up()
        return caller


def _agent_has_spoken_for(seconds: float) -> Callable[[Ear], bool]:
    """The moment to speak over the agent, or, where it never comes, a good while of silence."""
    return lambda ear: (
        (ear.agent_since is not None and ear.now - ear.agent_since >= seconds) or _silence(ear) >= _GIVES_UP
    )


def _agent_has_answered(quiet: float) -> Callable[[Ear], bool]:
    def answered(ear: Ear) -> bool:
        agent, caller = ear.last_agent_speech, ear.caller_speech[-1:]
        spoke_last = agent is not None and not (caller and caller[0].end > agent.end)
        return _silence(ear) >= (quiet if spoke_last else _GIVES_UP)

    return answered


def _all_are_silent(ear: Ear) -> bool:
    return _silence(ear) >= PATIENCE


def _silence(ear: Ear) -> float:
    ends = [span.end for span in (*ear.agent_speech[-1:], *ear.caller_speech[-1:])]
    return ear.now - max(ends, default=0.0)


def draw_scenario(random: Random, focus: Focus | None = None) -> Scenario:
    """A random call, the same for the same state of ``random``."""
    focus = focus or Focus()
    bad_line = random.random() < focus.bad_line
    broken = random.random() < focus.broken
    faults = _faults(random) if random.random() < focus.faulty else {}
    fast = random.choice([3.0, 3.0, 5.0])
    return Scenario(
        steps=_steps(random, focus),
        line=LineConditions(
            seed=random.randrange(1000),
            one_way_delay_ms=random.choice([0, 20, 75, 180]) if bad_line else 0,
            jitter_ms=random.choice([0, 10, 45, 120]) if bad_line else 0,
            loss=random.choice([0.005, 0.03]) if random.random() < focus.loss else 0,
            drift_ppm=random.choice([0, 40, -200]) if bad_line else 0,
            **faults,
        ),
        greeting=random.randrange(0, 8),
        replies=tuple(_reply(random, broken) for _ in range(random.randint(1, 4))),
        agent=_agent(random),
        llm={
            "first_token_delay": random.choice([0.0, 0.2, 0.6, 1.5]),
            "token_delay": random.choice([0.0, 0.02, 0.02, 0.15, 0.4]),
        },
        tts={
            "delay": random.choice([0.0, 0.15, 0.4]),
            "realtime_factor": random.choice([1.5, 10.0, 100.0]),
            "words_per_second": fast,
            "with_words": random.random() < 0.8,
            **({"fails_at": random.randrange(3), "failures": random.randint(1, 2)} if broken else {}),
        },
        stt={
            "delay": random.choice([0.0, 0.1, 0.4, 1.0]),
            "interim": random.random() < 0.8,
            **({"fail_after": random.uniform(0.2, 8), "failures": random.randint(1, 2)} if broken else {}),
        },
        schedule=random.randrange(1000),
    )


def _steps(random: Random, focus: Focus) -> tuple[tuple[str, float], ...]:
    steps: list[tuple[str, float]] = []
    for _ in range(random.randint(2, 7)):
        kind = random.choice(focus.steps)
        if kind in _WORDS:
            steps.append((kind, random.randint(1, 5) + random.randrange(10) / 10))
        elif kind == "coughs_over":
            steps += [("agent_speaks", random.randrange(150) / 50), ("coughs", _cough(random))]
        elif kind == "coughs":
            steps.append((kind, _cough(random)))
        elif kind == "waits_for_agent":
            steps.append((kind, random.choice([0.5, 0.8, 1.5])))
        else:
            steps.append((kind, random.randrange(100) / 50))
    if random.random() < focus.impatient:
        return (
            *steps,
            ("waits", random.randrange(100) / 50),
            (random.choice(["drops_socket", "hangs_up", "closes_sending"]), 0.0),
        )
    return (*steps, ("listens", 0.0), ("hangs_up", 0.0))


def _faults(random: Random) -> dict[str, Any]:
    """A carrier that has one to three of the faults, the rest of it in order."""
    faults = {
        "frames_reordered": random.choice([0.02, 0.1]),
        "frames_repeated": random.choice([0.02, 0.3]),
        "marks_lost": random.choice([0.1, 0.5, 1.0]),
        "marks_late": random.choice([0.1, 0.5]),
        "marks_repeated": random.choice([0.2, 1.0]),
        "marks_at_clear": random.choice(["forgotten", "unanswered"]),
        "stops_twice": True,
    }
    chosen = random.sample(sorted(faults), random.randint(1, 3))
    return {name: faults[name] for name in chosen} | {"reorder_frames": random.choice([1, 2, 3, 6])}


def _cough(random: Random) -> float:
    """Half of them too short to take the floor from most agents."""
    return random.randint(1, 12 if random.random() < 0.5 else 50) / 50


def _reply(random: Random, broken: bool) -> ReplyPlan:
    sentences = tuple(random.randint(1, 8) for _ in range(random.choice([0, 1, 1, 2, 3, 3, 6, 12])))
    fails_at = random.randrange(12) if broken and random.random() < 0.4 else None
    return ReplyPlan(sentences, fails_at)


def _agent(random: Random) -> dict[str, Any]:
    least = random.choice([0, 100, 100, 400])
    return {
        "barge_in_threshold_ms": random.choice([0, 60, 300, 300, 300, 600]),
        "min_endpointing_delay_ms": least,
        "max_endpointing_delay_ms": least + random.choice([0, 300, 1400, 1400]),
        "playout_lead_ms": random.choice([20, 60, 100, 100, 240, 500]),
        "aggressive_first_flush": random.random() < 0.3,
        "llm_error_message": random.choice([None, "sorry"]),
        **(_manners(random) if random.random() < 0.5 else {}),
    }


def _manners(random: Random) -> dict[str, Any]:
    """Ways of taking turns beyond the simplest."""
    strategies = random.choice([(), (), (MinWordsStrategy(2),), (MinWordsStrategy(3, use_interim=False),)])
    drawn: dict[str, Any] = {
        "barge_in_mode": random.choice(["pause_resume", "pause_resume", "cancel"]),
        "barge_in_confirm_ms": random.choice([300, 1500]),
        "adaptive_endpointing": random.random() < 0.3,
        "preemptive_generation": random.random() < 0.4,
        "preemptive_min_stable_ms": random.choice([100, 300, 500]),
        "hedge_after_ms": random.choice([None, None, 0, 300]),
        "long_turn_message": random.choice([None, "fa fb fc fd fe"]),
        "long_turn_message_after_s": random.choice([0.3, 1.0, 4.0]),
        "first_message_interruptible": random.random() < 0.8,
        "turn_detector": random.choice([None, None, Coin(random.randrange(1000))]),
        "max_semantic_hold_ms": random.choice([400, 1200]),
    }
    return {
        **drawn,
        "barge_in_strategies": strategies,
        **({"barge_in_threshold_ms": 300} if strategies else {}),
    }


@attrs.frozen
class Coin:
    """A turn detector that guesses, the same way for the same sound, and sometimes fails."""

    seed: int
    name: str = "coin"
    threshold: float = 0.5

    async def predict(self, window: TurnWindow) -> float:
        thrown = Random(f"{self.seed}/{len(window.pcm)}/{window.transcript}").random()
        await trio.sleep(thrown / 4)
        if thrown > 0.97:
            raise ValueError("it fell off the table")
        return thrown
