"""The circuit breaker, with time passed in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from patter_trio._tools.breaker import CircuitBreaker, Permit, Refusal


def admitted(breaker: CircuitBreaker, now: float) -> Permit:
    permit = breaker.admit(now)
    assert isinstance(permit, Permit)
    return permit


def state(breaker: CircuitBreaker) -> str:
    return breaker.state


def fail(breaker: CircuitBreaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.failed(admitted(breaker, now), now)


def test_five_failures_in_a_row_open_it_and_four_do_not() -> None:
    breaker = CircuitBreaker()
    fail(breaker, 4)
    assert state(breaker) == "closed"
    fail(breaker, 1)
    assert state(breaker) == "open"
    assert breaker.admit(10.0) == Refusal(20.0)


def test_a_success_in_between_starts_the_count_again() -> None:
    breaker = CircuitBreaker()
    fail(breaker, 4)
    breaker.succeeded(admitted(breaker, 0.0))
    fail(breaker, 4)
    assert state(breaker) == "closed"


def test_after_its_time_one_probe_goes_and_decides() -> None:
    breaker = CircuitBreaker()
    fail(breaker, 5)
    probe = admitted(breaker, 30.0)
    assert isinstance(breaker.admit(30.0), Refusal)
    breaker.failed(probe, 31.0)
    assert breaker.admit(31.0) == Refusal(30.0)
    breaker.succeeded(admitted(breaker, 61.0))
    assert state(breaker) == "closed"
    fail(breaker, 4)
    assert state(breaker) == "closed"


def test_a_probe_that_was_cancelled_leaves_room_for_the_next() -> None:
    breaker = CircuitBreaker()
    fail(breaker, 5)
    breaker.given_up(admitted(breaker, 30.0), 30.5)
    assert isinstance(breaker.admit(30.5), Permit)


def test_calls_that_began_before_it_opened_decide_nothing_afterwards() -> None:
    breaker = CircuitBreaker()
    slow, slower = admitted(breaker, 0.0), admitted(breaker, 0.0)
    fail(breaker, 5)
    breaker.succeeded(slow)
    assert state(breaker) == "open"
    probe = admitted(breaker, 30.0)
    breaker.failed(slower, 30.0)
    assert state(breaker) == "half_open"
    breaker.succeeded(probe)
    assert state(breaker) == "closed"


@given(st.lists(st.tuples(st.sampled_from(["ask", "ok", "fail", "drop"]), st.floats(0, 20))))
def test_it_never_refuses_for_ever_and_lets_one_probe_through_at_a_time(
    steps: list[tuple[str, float]],
) -> None:
    breaker, now, out = CircuitBreaker(), 0.0, list[Permit]()
    probes = 0
    for step, pause in steps:
        now += pause
        if step == "ask":
            before = breaker.state
            permit = breaker.admit(now)
            if isinstance(permit, Permit):
                out.append(permit)
                assert before != "half_open"
                probes += before == "open"
            else:
                assert 0 < permit.retry_after <= 30.0
        elif out:
            permit = out.pop(0)
            {"ok": breaker.succeeded}.get(step, lambda _: None)(permit)
            if step == "fail":
                breaker.failed(permit, now)
            elif step == "drop":
                breaker.given_up(permit, now)
    for permit in out:
        breaker.given_up(permit, now)
    assert isinstance(breaker.admit(now + 30.0), Permit)
