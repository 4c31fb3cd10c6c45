"""The account of what was heard against a model ear, under any order of speaking, holding and clearing.

The model is a carrier that plays 20 ms frames one after the other on a grid of its own and answers marks by
each policy; its delays are constant but for a jitter, and its echoes may be lost, late or doubled. The ledger
sees only what comes back. All slack is derived from the model: 20 ms of grid at each end, the way to the
carrier, and the jitter.
"""

from __future__ import annotations

from collections import deque
from random import Random

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from patter_trio._turns.ledger import Ledger
from patter_trio._turns.playout import Playout
from patter_trio.events import MULAW_8K
from patter_trio.testing import MarksAtClear

RATE = 8000
FRAME = 160
TICK = 0.02
# A call gives the barrier a second; the ledger gives an echo two.
BARRIER_SECONDS = 1.0
ECHO_SECONDS = 2.0
# The ledger believes an echo that seems early by 30 ms.
PLAUSIBLE = 0.03


@attrs.frozen
class Way:
    """What is drawn about a carrier and the way to it; seconds and probabilities."""

    down: float = 0.0
    up: float = 0.0
    jitter: float = 0.0
    phase: float = 0.0
    policy: MarksAtClear = "returned"
    lost: float = 0.0
    late: float = 0.0
    repeated: float = 0.0
    seed: int = 0

    @property
    def reliable(self) -> bool:
        """Whether each mark that was played is echoed, in order and in time."""
        return not (self.lost or self.late)


@attrs.define
class ModelCarrier:
    """Plays what arrives and echoes marks; ``played`` are the samples heard to the end of their frame."""

    way: Way
    played: int = 0
    received: int = 0
    sounding: int = 0
    cleared: bool = False
    sound: bytearray = attrs.field(factory=bytearray)
    coming: deque[tuple[float, str, bytes]] = attrs.field(factory=lambda: deque[tuple[float, str, bytes]]())
    marks: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])
    echoes: list[tuple[float, str]] = attrs.field(factory=list[tuple[float, str]])
    history: list[tuple[float, int]] = attrs.field(factory=lambda: [(0.0, 0)])
    _random: Random = attrs.field(init=False)
    _grid: float = attrs.field(init=False)
    _silent_since: int = -1

    def __attrs_post_init__(self) -> None:
        self._random = Random(self.way.seed)
        self._grid = self.way.phase

    def send(self, now: float, kind: str, data: bytes = b"") -> None:
        """The server sends ``media``, ``mark`` or ``clear``; the way keeps the order."""
        arrival = now + self.way.down + self._random.uniform(0, self.way.jitter)
        self.coming.append((max(arrival, self.coming[-1][0] if self.coming else 0.0), kind, data))

    def run_until(self, now: float) -> None:
        """Plays and obeys up to ``now``."""
        while True:
            arrival = self.coming[0][0] if self.coming else float("inf")
            if min(arrival, self._grid) > now:
                return
            if arrival < self._grid:
                self._obey(*self.coming.popleft())
            else:
                self._tick(self._grid)
                self._grid += TICK

    def _tick(self, at: float) -> None:
        self.played += self.sounding
        self.history.append((at, self.played))
        self._answer(at)
        self.sounding = min(FRAME, len(self.sound))
        del self.sound[: self.sounding]

    def _obey(self, at: float, kind: str, data: bytes) -> None:
        if kind == "media":
            self.sound += data
            self.received += len(data)
            return
        if kind == "mark":
            if self.received != self._silent_since:
                self.marks.append((self.received, data.decode()))
        else:
            self.cleared = True
            self.received -= len(self.sound)
            self.sound.clear()
            if self.way.policy == "returned":
                self.marks = [(0, name) for _, name in self.marks]
            else:
                self.marks = [mark for mark in self.marks if mark[0] <= self.received]
            if self.way.policy == "unanswered":
                self._silent_since = self.received
        self._answer(at)

    def _answer(self, at: float) -> None:
        while self.marks and self.marks[0][0] <= self.played:
            _, name = self.marks.pop(0)
            if self._random.random() < self.way.lost:
                continue
            for _ in range(1 + (self._random.random() < self.way.repeated)):
                late = self._random.uniform(0, 3) if self._random.random() < self.way.late else 0.0
                self.echoes.append((at + self.way.up + late + self._random.uniform(0, self.way.jitter), name))
        if self.way.reliable:
            return  # in the order of the socket
        self.echoes.sort()

    def take_echoes(self, now: float) -> list[tuple[float, str]]:
        """What has come back by ``now``."""
        due = [echo for echo in self.echoes if echo[0] <= now]
        self.echoes = [echo for echo in self.echoes if echo[0] > now]
        return due

    def played_at(self, when: float) -> int:
        """Samples heard at an earlier moment."""
        return next((played for at, played in reversed(self.history) if at <= when), 0)


ways = st.builds(
    Way,
    down=st.sampled_from([0.0, 0.02, 0.075, 0.18]),
    up=st.sampled_from([0.0, 0.02, 0.075, 0.18]),
    jitter=st.sampled_from([0.0, 0.0, 0.02, 0.06]),
    phase=st.sampled_from([0.0, 0.001, 0.0099, 0.0199]),
    policy=st.sampled_from(["returned", "forgotten", "unanswered"]),
    lost=st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0]),
    late=st.sampled_from([0.0, 0.0, 0.0, 0.3]),
    repeated=st.sampled_from([0.0, 0.3]),
    seed=st.integers(0, 1000),
)


class Account(RuleBasedStateMachine):
    """One turn of an agent on one carrier."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.open = True
        self.finished = False
        self.cleared_at: float | None = None
        self.pushed = bytearray()
        self.sent = bytearray()
        self.told = 0
        self.marks = 0

    @initialize(way=ways, lead=st.sampled_from([0.02, 0.06, 0.1, 0.24, 0.5]))
    def answer(self, way: Way, lead: float) -> None:
        self.way, self.lead = way, lead
        self.carrier = ModelCarrier(way)
        self.ledger = Ledger(1, RATE)
        self.playout = Playout(MULAW_8K, self.ledger, lead=lead)

    # --- what happens ---------------------------------------------------------------------------------------

    @precondition(lambda self: not self.finished and self.cleared_at is None)
    @rule(samples=st.integers(1, 4000))
    def synthesise(self, samples: int) -> None:
        begin = len(self.pushed)
        sound = bytes((begin + place) // 7 % 251 for place in range(samples))
        self.pushed += sound
        self.ledger.synthesise(samples)
        self.playout.push(sound)
        self._send_due()

    @precondition(lambda self: not self.finished and self.cleared_at is None)
    @rule()
    def finish(self) -> None:
        self.finished = self.ledger.complete = True
        self.playout.finish()
        self._send_due()

    @precondition(lambda self: self.open and self.cleared_at is None)
    @rule()
    def hold(self) -> None:
        self.open = False
        name = self.playout.closing_mark()
        if name is not None:
            self._send_mark(name)
        assert self.playout.closing_mark() is None, "one mark is enough for one place"

    @precondition(lambda self: not self.open and self.cleared_at is None)
    @rule()
    def go_on(self) -> None:
        self.open = True
        self._send_due()

    @precondition(lambda self: self.cleared_at is None and self.ledger.sent > 0)
    @rule()
    def clear(self) -> None:
        self.cleared_at = self.now
        self.open = False
        self.carrier.send(self.now, "clear")
        self._send_mark(self.ledger.clear(self.now))

    @rule(ticks=st.sampled_from([1, 1, 2, 5, 17, 40]))
    def pass_time(self, ticks: int) -> None:
        for _ in range(ticks):
            self._tick()

    # --- the machinery --------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        if not self.open or self.cleared_at is not None:
            return
        for frame, mark in self.playout.due(self.now):
            self.sent += frame
            self.carrier.send(self.now, "media", frame)
            if mark is not None:
                self._send_mark(mark)
        assert self.ledger.plays_until - self.now <= self.lead + TICK / 2 + 1e-9

    def _send_mark(self, name: str) -> None:
        self.marks += 1
        assert name == f"1.{self.marks}"
        self.carrier.send(self.now, "mark", name.encode())

    def _tick(self) -> None:
        self.now = round(self.now + TICK, 6)
        self.carrier.run_until(self.now)
        for at, name in self.carrier.take_echoes(self.now):
            self.ledger.mark_played(name, at)
        self._send_due()
        if self.cleared_at is not None and self.now >= self.cleared_at + BARRIER_SECONDS:
            self.ledger.cut(self.cleared_at)
        self._look()

    # --- what must hold -------------------------------------------------------------------------------------

    def _look(self) -> None:
        heard = self.ledger.heard(self.now)
        assert 0 <= heard <= self.ledger.sent <= self.ledger.synthesised == len(self.pushed)
        assert heard >= self.told, "what was heard cannot be unheard"
        self.told = heard
        if self.ledger.settled:
            self._check_settled(heard)
            return
        slack = 2 * TICK + 2 * self.way.jitter
        ear = min(self.carrier.played, self.ledger.sent)
        assert heard <= ear + (slack + self.way.down) * RATE
        if self.way.reliable and self.cleared_at is None:
            told_by_now = min(self.carrier.played_at(self.now - self.way.up), self.ledger.sent)
            assert heard >= told_by_now - slack * RATE

    def _check_settled(self, heard: int) -> None:
        """After a clear the account is closed; it is right as soon as the clear has arrived."""
        if not self.carrier.cleared:
            return
        ear = min(self.carrier.played + self.carrier.sounding, self.ledger.sent)
        slack = 2 * TICK + PLAUSIBLE + 2 * self.way.jitter
        assert heard <= ear + slack * RATE
        if self.way.reliable:
            # Without the barrier's echo nobody knows how long the clear was on its way.
            unknown = self.way.down + self.way.up if self.way.policy == "unanswered" else 0.0
            assert heard >= ear - (slack + unknown) * RATE

    @invariant()
    def no_sample_is_lost_or_repeated(self) -> None:
        padding = max(0, len(self.sent) - len(self.pushed))
        assert padding < FRAME
        assert self.sent == self.pushed[: len(self.sent)] + b"\xff" * padding
        assert not padding or self.finished

    @invariant()
    def what_was_written_is_sent_or_queued(self) -> None:
        if self.pushed:
            assert len(self.sent) + round(self.playout.queued * RATE) >= len(self.pushed)

    def teardown(self) -> None:
        """Everybody waits as long as the bounds say, and not longer."""
        if not hasattr(self, "way"):
            return
        if self.cleared_at is not None:
            for _ in range(round((BARRIER_SECONDS + 1) / TICK)):
                self._tick()
            assert self.ledger.settled
            return
        if not self.finished:
            self.finish()
        self.open = True
        while not self.playout.sent_all:
            self._tick()
        last = self.playout.closing_mark()
        if last is not None:
            self._send_mark(last)
        over = max(self.now, self.ledger.plays_until)
        while self.now < self.ledger.plays_until + ECHO_SECONDS:
            self._tick()
            if self.ledger.all_marks_played:
                break
        self.ledger.cut(self.now)
        assert self.ledger.heard(self.now) == self.ledger.sent == len(self.pushed), "all of it was heard"
        assert not self.way.reliable or self.now <= over + 0.6 + TICK, "waited for nothing"


TestAccount = Account.TestCase
TestAccount.settings = settings(
    max_examples=150, stateful_step_count=30, deadline=None, derandomize=True, database=None
)
