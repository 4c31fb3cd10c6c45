"""What every call keeps, whatever caller, line and providers do: each promise tells its breaches."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator

from patter_trio.events import (
    AgentSpeechEnded,
    AgentSpeechStarted,
    CallEnded,
    DigitReceived,
    FloorTaken,
    TurnEnded,
    TurnFailed,
    UserSpeechEos,
    UtterancePassedOver,
)
from patter_trio.testing import WordReader

from .scenarios import PATIENCE
from .staging import Played, Stage

__all__ = ["breaches"]

Promise = Callable[[Played], Iterator[str]]

# An echo is given up when it is so late, and the mark before it may be so far back.
_GIVEN_UP = 2.0
_UNPROVED = _GIVEN_UP + 0.5

# The caller's last words are in the history when the call went on for so long after them.
_SURELY_COMMITTED = 4.5

_KEYS = re.compile(r"\[DTMF: ([^\]]+)\]")


def breaches(stage: Stage) -> list[str]:
    """Everything that was not kept, one line each."""
    found = [f"{promise.__name__}: {breach}" for promise in AFTERWARDS for breach in promise(stage)]
    for call in stage.calls:
        found += [f"{promise.__name__}: {breach}" for promise in DURING for breach in promise(call)]
    return found


def nothing_of_a_turn_follows_its_clear(call: Played) -> Iterator[str]:
    if call.outcome.frames_after_clear:
        yield f"{call.outcome.frames_after_clear} frames"


def the_carrier_has_nothing_to_complain_about(call: Played) -> Iterator[str]:
    # What a stalled carrier did not read arrives all at once when it goes on.
    for violation in call.outcome.violations:
        if not (_stalled(call) and violation.kind == "unpaced"):
            yield str(violation)


def heard_is_at_most_what_was_sent(call: Played) -> Iterator[str]:
    for turn in call.result.turns if call.result else ():
        if not 0 <= turn.audio_heard_seconds <= turn.audio_sent_seconds + 1e-9:
            yield f"heard {turn.audio_heard_seconds} of {turn.audio_sent_seconds} in turn {turn.turn_index}"
        said = (turn.agent_text + " " + turn.unheard_text).split()
        if len(set(said)) != len(said):
            yield f"a word is both heard and unheard, or twice: {said}"


def history_is_what_the_ear_heard(call: Played) -> Iterator[str]:
    remembered, heard = _history(call, "assistant"), _heard(call)
    if remembered == heard:
        return
    slack = _slack(call)
    missing, invented = Counter(heard) - Counter(remembered), Counter(remembered) - Counter(heard)
    missing -= Counter(_ended_with_the_sound(call))
    invented -= Counter(_nearly_heard(call))
    if _stalled(call):  # what it plays late, after its last mark was given up, nobody can know
        missing = Counter[str]()
    if call.scenario.line.loss:
        invented = Counter[str]()
    elif slack == 0 and not invented and not _is_within(remembered, _heard(call, nearly=True)):
        yield f"in another order: {remembered} and not {heard}"
    unproved = slack + _unproved(call)
    if missing.total() > unproved:
        yield f"forgot {list(missing.elements())} (at most {unproved})"
    unplayed = slack + _unplayed(call)
    if invented.total() > unplayed:
        yield f"made up {list(invented.elements())} (at most {unplayed})"


def the_model_is_told_only_what_was_heard(call: Played) -> Iterator[str]:
    if call.scenario.line.loss:
        return
    for number, asked in enumerate(call.asked):
        unheard = Counter(asked.words_of("assistant")) - Counter(asked.ear_words)
        unheard -= Counter(_nearly_heard(call))
        # By the clock alone, the last word may be over a frame before it is.
        if unheard.total() > _slack(call) + _unplayed(call) + (call.scenario.line.marks_lost == 1.0):
            yield f"request {number} holds {list(unheard.elements())}"


def every_word_of_the_caller_is_remembered_once(call: Played) -> Iterator[str]:
    remembered = _KEYS.sub(" ", " ".join(_history(call, "user"))).split()
    said = [word for utterance in call.outcome.utterances for word in utterance.text.split()]
    if len(set(remembered)) != len(remembered):
        yield f"twice: {remembered}"
        return
    partly = _unfinished(call)
    known = said + partly
    if not _is_within(remembered, known):
        yield f"in another order, or never said: {remembered} of {known}"
    if call.scenario.line.loss or call.result is None or call.result.counts["blocks_dropped"]:
        return
    if call.result.counts["frames_late"]:  # silence stands in their place
        return
    ended = call.outcome.ear.now
    sure = [
        word
        for utterance in call.outcome.utterances
        if utterance.end < ended - _SURELY_COMMITTED and call.result.outcome == "answered"
        for word in utterance.text.split()
    ]
    lost = [word for word in sure if word not in remembered]
    if lost:
        yield f"lost {lost}; remembered {remembered}"


def every_key_is_remembered_once_and_in_order(call: Played) -> Iterator[str]:
    pressed = "".join(event.digit for event in call.events if isinstance(event, DigitReceived))
    remembered = "".join(_KEYS.findall(" ".join(_history(call, "user"))))
    whole = call.result is not None and call.result.outcome == "answered"
    if remembered != pressed if whole else not pressed.startswith(remembered):
        yield f"pressed {pressed}, remembered {remembered}"


def speech_starts_and_ends_in_pairs(call: Played) -> Iterator[str]:
    edges = [event for event in call.events if isinstance(event, AgentSpeechStarted | AgentSpeechEnded)]
    for number, event in enumerate(edges):
        if isinstance(event, AgentSpeechStarted) == bool(number % 2):
            yield f"{event.name} as number {number}"
    if len(edges) % 2:
        yield "a speech never ended"


def interrupted_means_that_the_floor_was_taken(call: Played) -> Iterator[str]:
    taken = False
    for event in call.events:
        if isinstance(event, FloorTaken) and event.phase == "speaking":
            if taken:
                yield "the floor of a turn was taken twice"
            taken = True
        elif isinstance(event, AgentSpeechEnded):
            if event.interrupted != taken:
                yield f"interrupted={event.interrupted}, taken={taken} in turn {event.turn_idx}"
            taken = False
    if taken:
        yield "the floor was taken and no speech ended"


def a_taken_floor_clears_the_line_once(call: Played) -> Iterator[str]:
    taken = [
        event.time for event in call.events if isinstance(event, FloorTaken) and event.phase == "speaking"
    ]
    # The clear of the last seconds may still be on its way when the line goes.
    sure = sum(time < call.events[-1].time - _SURELY_COMMITTED for time in taken)
    if not sure <= len(call.outcome.clears) <= len(taken):
        yield f"{len(call.outcome.clears)} clears for {len(taken)} floors taken"


def every_turn_is_reported(call: Played) -> Iterator[str]:
    ended = sum(isinstance(event, TurnEnded) for event in call.events)
    if call.result and ended != len(call.result.turns):
        yield f"{ended} of {len(call.result.turns)}"


def the_call_ends_once_and_last(call: Played) -> Iterator[str]:
    if call.result is None:
        yield "no result"
    ends = [number for number, event in enumerate(call.events) if isinstance(event, CallEnded)]
    if ends != [len(call.events) - 1]:
        yield f"call_ended at {ends} of {len(call.events)} events"


def time_never_runs_back(call: Played) -> Iterator[str]:
    for before, after in itertools.pairwise(call.events):
        if after.time < before.time:
            yield f"{after.name} at {after.time} after {before.name} at {before.time}"


def no_frame_is_lost_or_repeated(call: Played) -> Iterator[str]:
    if call.scenario.line.loss:
        return
    last: dict[int, tuple[int, int, int]] = {}
    for frame in WordReader().read_frames(call.outcome.ear.agent_mulaw):
        word, number, total = last.get(frame.serial, (-1, 0, 1))
        expected = (word + 1, 0) if number == total - 1 else (word, number + 1)
        if (frame.word, frame.number) != expected:
            yield f"{frame.text}: frame {frame.number} of word {frame.word} where {expected} was due"
        last[frame.serial] = (frame.word, frame.number, frame.total)


def the_agent_is_never_silent_for_good(call: Played) -> Iterator[str]:
    if not call.scenario.ends_patiently or call.result is None or call.result.outcome != "answered":
        return
    failed = any(isinstance(event, TurnFailed) for event in call.events)
    if failed or call.scenario.line.loss or not all(step.ok for step in call.outcome.steps[-2:]):
        return
    # Where the same was asked twice, one answer is enough.
    question = call.asked[-1].request.messages[-1]["content"] if call.asked else ""
    owed = [asked.reply for asked in call.asked if asked.request.messages[-1]["content"] == question]
    greeting = " ".join(f"g{n}" for n in range(call.scenario.greeting))
    missing = [Counter(reply.split()) - Counter(_heard(call)) for reply in owed or [greeting]]
    if all(words.total() > _slack(call) + _unplayed(call) for words in missing):
        yield f"{PATIENCE:g} s of silence and never said: {list(missing[-1])}"
    asked = set(call.asked[-1].words_of("user")) if call.asked else set[str]()
    for event in call.events:
        if isinstance(event, UtterancePassedOver):
            asked |= set(event.text.split())
    for event in call.events:
        # What a recogniser gives out only because the line is gone can have no answer.
        if event.time > call.events[-1].time - 1.0:
            break
        if isinstance(event, UserSpeechEos) and not set((event.transcript_so_far or "").split()) <= asked:
            yield f"no answer to {event.transcript_so_far!r}"


def nothing_is_left(stage: Stage) -> Iterator[str]:
    left = {
        "tasks": stage.tasks_left,
        "streams": stage.llm.open_streams,
        "voices": stage.tts.record.open_voices,
        "spoken turns": stage.tts.record.open_turns,
        "recognisers": stage.stt.record.open_connections,
    }
    yield from (f"{number} {what}" for what, number in left.items() if number)
    if stage.results != len(stage.calls):
        yield f"{stage.results} results of {len(stage.calls)} calls"


def calls_share_nothing(stage: Stage) -> Iterator[str]:
    for call in stage.calls:
        for other in stage.calls:
            if other is call:
                continue
            mine = [*_heard(call), *_history(call, "assistant"), *_history(call, "user")]
            for asked in call.asked:
                mine += asked.words_of("assistant") + asked.words_of("user")
            strange = [word for word in mine if word.startswith(other.tag)]
            if strange:
                yield f"call {call.tag} knows {strange}"


def _is_within(words: list[str], others: list[str]) -> bool:
    """Whether ``words`` are ``others`` with some left out."""
    rest = iter(others)
    return all(word in rest for word in words)


def _history(call: Played, role: str) -> list[str]:
    entries = call.result.history if call.result else ()
    return [word for entry in entries if entry.role == role for word in entry.text.split()]


def _heard(call: Played, *, nearly: bool = False) -> list[str]:
    also = set(_nearly_heard(call)) if nearly else set[str]()
    return [word.text for word in call.outcome.ear.words if word.complete or word.text in also]


def _stalled(call: Played) -> bool:
    return any(what == "stalls" for what, _ in call.scenario.steps)


def _ended_with_the_sound(call: Played) -> list[str]:
    """Words whose very last frame was sounding when the clear came, or the line was cut.

    A carrier that closes its sending side alone goes on to play what is on its way, and can tell nobody; from
    one whose socket breaks, the echoes that are on their way are lost.
    """
    ends = [*call.outcome.clears, call.outcome.ear.now - 0.02]
    line, alone = call.scenario.line, call.scenario.steps[-1][0] == "closes_sending"
    broken, on_the_way = (
        call.scenario.steps[-1][0] == "drops_socket",
        (line.one_way_delay_ms + line.jitter_ms) / 1000,
    )
    blind = (2 * line.one_way_delay_ms + line.jitter_ms + call.scenario.agent["playout_lead_ms"]) / 1000
    return [
        word.text
        for word in call.outcome.ear.words
        if word.complete
        and (
            any(end - 0.001 <= word.end <= end + 0.021 for end in ends)
            or (alone and word.end >= call.outcome.ear.words[-1].end - blind - 0.06)
            or (broken and word.end >= call.outcome.ear.now - on_the_way - 0.04)
        )
    ]


def _nearly_heard(call: Played) -> list[str]:
    """Words of which a clear took the last frame or two: our clock is believed to 30 ms."""
    length = 1 / call.scenario.tts["words_per_second"]
    return [
        word.text
        for word in call.outcome.ear.words
        if not word.complete and word.start + length - word.end <= 0.041
    ]


def _unfinished(call: Played) -> list[str]:
    """The words of the utterance during which the call ended."""
    done = {utterance.text for utterance in call.outcome.utterances}
    return [
        word
        for step in call.outcome.steps
        if '"' in step.step and not step.ok and step.step.split('"')[1] not in done
        for word in step.step.split('"')[1].split()
    ]


def _slack(call: Played) -> int:
    """By how many words the account of a cut turn may be wrong."""
    line, tts = call.scenario.line, call.scenario.tts
    cuts = (
        sum(turn.interrupted or turn.filled or turn.unheard_text != "" for turn in call.result.turns)
        if call.result
        else 0
    )
    word: float = 1 / tts["words_per_second"]
    if not tts["with_words"]:
        return 8 * cuts
    return cuts * math.ceil(2 * line.jitter_ms / 1000 / word)


def _unplayed(call: Played) -> int:
    """How many words may be remembered although a stalled carrier had not played them.

    One that stalls for so long that echoes are given up looks like one that never echoes; of one that loses
    or delays echoes, the clock is believed in a short stall, too. Of any other the clock is believed from one
    mark to the next, which is half a second.
    """
    line = call.scenario.line
    stalled = sum(seconds for what, seconds in call.scenario.steps if what == "stalls")
    reliable = not (line.marks_lost or line.marks_late)
    # A mark may have been out for half a second when the stall began.
    if reliable and 0.5 + stalled + 2 * (line.one_way_delay_ms + line.jitter_ms) / 1000 < _GIVEN_UP:
        stalled = min(stalled, 0.5)
    words: float = stalled * call.scenario.tts["words_per_second"]
    return math.ceil(words)


def _unproved(call: Played) -> int:
    """How many words may be heard and not remembered because the carrier did not say so.

    They are those at the end of a turn that was cut, or during which the call ended.
    """
    line, tts = call.scenario.line, call.scenario.tts
    ends = 1 + sum(turn.interrupted for turn in call.result.turns) if call.result else 1
    seconds = 0.0
    if line.marks_at_clear == "unanswered":
        seconds = 2 * (line.one_way_delay_ms + line.jitter_ms) / 1000
    if line.marks_lost or line.marks_late or any(what == "withholds" for what, _ in call.scenario.steps):
        seconds = _UNPROVED
    words: float = seconds * tts["words_per_second"]
    return ends * math.ceil(words)


AFTERWARDS: tuple[Callable[[Stage], Iterator[str]], ...] = (nothing_is_left, calls_share_nothing)
DURING: tuple[Promise, ...] = (
    nothing_of_a_turn_follows_its_clear,
    the_carrier_has_nothing_to_complain_about,
    heard_is_at_most_what_was_sent,
    history_is_what_the_ear_heard,
    the_model_is_told_only_what_was_heard,
    every_word_of_the_caller_is_remembered_once,
    every_key_is_remembered_once_and_in_order,
    speech_starts_and_ends_in_pairs,
    interrupted_means_that_the_floor_was_taken,
    a_taken_floor_clears_the_line_once,
    every_turn_is_reported,
    the_call_ends_once_and_last,
    time_never_runs_back,
    no_frame_is_lost_or_repeated,
    the_agent_is_never_silent_for_good,
)
