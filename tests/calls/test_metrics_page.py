"""The page for Prometheus: off by default, read back by Prometheus' own parser, true to the calls."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from patter_trio import PatterConfigError
from patter_trio.observability.prometheus import Counter, Histogram
from patter_trio.testing import Caller, MemoryLine, Reply, ScriptedLLM, run_virtual

from .ring import LONG, URL, agent, patter, twilio

GREETED = Caller().waits_for_agent()
CALLER = (
    GREETED.says("When are you open?")
    .barges_in("And the price of a loaf?", after=1.1)
    .waits_for_agent()
    .says("Thank you.")
    .waits(0.9)
    .coughs(0.12)
    .waits_for_agent()
    .says("And?")
    .waits_for_agent()
    .hangs_up()
)


async def fetch(app: Any, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url=URL) as client:
        return await client.get(path)


def read(page: str) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Every sample by its name and labels."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return samples


def test_the_page_tells_what_happened_in_the_calls() -> None:
    pages: list[str] = []
    kinds: list[str] = []

    async def main() -> None:
        replies: list[str | Reply] = [LONG, "Four.", LONG, Reply(fails_at=0)]
        who = agent(ScriptedLLM(replies), llm_error_message="Sorry.")
        async with patter().session(who, port=None, metrics=True) as session:

            async def look() -> None:
                await trio.sleep(3.0)
                pages.append((await fetch(session.app, "/metrics")).text)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                await twilio().call(MemoryLine(session.app, URL), CALLER)
            response = await fetch(session.app, "/metrics")
            assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
            pages.append(response.text)
            assert "+1555" not in response.text
            kinds.extend(turn.kind for turn in session.results[0].turns)
            metrics = session.results[0].metrics
            assert metrics is not None
            responses = [
                turn.latency.agent_response_ms
                for turn in metrics.turns
                if turn.latency.agent_response_ms is not None
            ]
            found = read(response.text)
            assert found["patter_agent_response_ms_sum"][()] == pytest.approx(sum(responses))
            assert found["patter_agent_response_ms_count"][()] == len(responses)

    run_virtual(main)
    during, after = map(read, pages)
    assert during["patter_calls"][()] == 1
    assert after["patter_calls"][()] == 0
    assert after["patter_calls_max"][()] == 100
    assert after["patter_calls_total"][(("outcome", "answered"), ("reason", "caller_hung_up"))] == 1
    for kind in set(kinds):
        assert after["patter_turns_total"][(("kind", kind),)] == kinds.count(kind)
    assert after["patter_barge_ins_total"] == {(("phase", "speaking"),): 1}
    assert after["patter_false_interruptions_total"][()] == 1
    assert after["patter_errors_total"] == {(("code", "llm_failed"),): 1}
    assert after["patter_barge_in_onset_to_clear_ms_count"][()] == 1
    assert after["patter_barge_in_onset_to_clear_ms_bucket"][(("le", "+Inf"),)] == 1
    assert after["patter_cost_usd_total"] == {(("part", "telephony"),): pytest.approx(0.0085)}


def test_there_is_no_page_unless_it_was_asked_for() -> None:
    async def main() -> None:
        async with patter().session(agent(), port=None) as session:
            assert (await fetch(session.app, "/metrics")).status_code == 404
            assert session.metrics_page() == ""

    run_virtual(main)
    with pytest.raises(PatterConfigError, match="metrics"):
        patter().session(agent(), metrics="yes")


def test_labels_that_hold_signs_of_the_format_come_back_whole() -> None:
    counter = Counter("odd_total", "Odd.", ("what",))
    counter.add('a "quoted"\\\nline', by=2.5)
    assert read("\n".join(counter.lines()) + "\n") == {"odd_total": {(("what", 'a "quoted"\\\nline'),): 2.5}}


def test_a_value_counts_in_each_bucket_that_holds_it() -> None:
    histogram = Histogram("wait_ms", "Wait.", (10, 20))
    for value in (5, 10, 11, 500, None):
        histogram.observe(value)
    found = read("\n".join(histogram.lines()) + "\n")
    assert list(found["wait_ms_bucket"].values()) == [2, 3, 4]
    assert found["wait_ms_sum"][()] == 526
