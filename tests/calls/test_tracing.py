"""Traces: the tree of a call as committed, where it hangs, where it goes, and that off means off."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from patter_trio import MissingExtraError, PatterConfigError, tool
from patter_trio.observability import init_tracing
from patter_trio.testing import Caller, MemoryLine, Reply, ScriptedLLM, ToolUse, run_virtual
from patter_trio.testing.line import WebhookAnswer

from .ring import LONG, URL, Rung, agent, patter, ring, twilio

TREE = Path(__file__).with_name("trace_of_a_call.txt")
ROOT = Path(__file__).parents[2]
GREETED = Caller().waits_for_agent()
CALLER = (
    GREETED.says("When are you open?")
    .barges_in("And the price of a loaf?", after=1.1)
    .waits_for_agent()
    .hangs_up()
)

# The names and attributes that people know, by the callback they belong to.
CONTRACT = {
    "patter.event.user_speech_started": {"patter.audio.offset_ms", "patter.vad.confidence"},
    "patter.event.user_speech_ended": {"patter.speech.duration_ms"},
    "patter.event.user_speech_eos": {"patter.eos.trigger", "patter.eos.trailing_silence_ms"},
    "patter.event.agent_speech_started": {"patter.turn.idx", "patter.tts.provider"},
    "patter.event.agent_speech_ended": {
        "patter.turn.idx", "patter.speech.duration_ms", "patter.turn.interrupted"
    },
    "patter.event.llm_first_token": {"gen_ai.request.model", "gen_ai.provider.name", "patter.turn.idx"},
    "patter.event.tts_first_audio": {"patter.turn.idx", "patter.tts.provider"},
}  # fmt: skip

# Not the tree's: an id, and counts of the words of our standard prompt.
UNSHOWN = ("patter.call.id", "patter.cost.llm_input_tokens", "gen_ai.usage.input_tokens")


@tool
async def price(what: str) -> str:
    """The price of something.

    Args:
        what: what it is.
    """
    await trio.sleep(0.1)
    return "four"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def traced(provider: TracerProvider) -> Rung:
    replies: list[str | Reply] = [
        LONG,
        Reply("Let me look.", tools=[ToolUse("price", {"what": "loaf"})]),
        "Four.",
    ]
    return ring(agent(ScriptedLLM(replies), tools=[price]), CALLER, tracing=provider)


def root_of(spans: tuple[ReadableSpan, ...]) -> ReadableSpan:
    (root,) = [span for span in spans if span.name == "patter.call"]
    return root


def drawn(spans: tuple[ReadableSpan, ...]) -> str:
    """The tree as text: each span with its milliseconds since the call began, its attributes, its events."""
    root = root_of(spans)
    origin = root.start_time or 0

    def when(time: int | None) -> str:
        return f"{((time or 0) - origin) / 1e6:.0f}"

    def attributes(given: Mapping[str, Any] | None) -> str:
        shown = {name: value for name, value in sorted((given or {}).items()) if name not in UNSHOWN}
        return " ".join(f"{name}={value}" for name, value in shown.items())

    lines = [f"{root.kind.name} {root.name} 0-{when(root.end_time)} {attributes(root.attributes)}"]
    lines += [
        f"  at {when(event.timestamp)} {event.name} {attributes(event.attributes)}" for event in root.events
    ]
    children = [span for span in spans if span is not root]
    for span in sorted(children, key=lambda span: (span.start_time or 0, span.name)):
        assert span.parent is not None
        assert root.context is not None
        assert span.parent.span_id == root.context.span_id
        ends = f"{when(span.start_time)}-{when(span.end_time)}"
        lines.append(f"  {span.kind.name} {span.name} {ends} {attributes(span.attributes)}")
    return "\n".join(lines) + "\n"


def test_the_tree_of_a_call_is_the_committed_one(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    traced(provider)
    assert drawn(exporter.get_finished_spans()) == TREE.read_text(encoding="utf-8")


def test_the_seven_edges_stand_on_the_call_with_their_attributes(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    rung = traced(provider)
    spans = exporter.get_finished_spans()
    root = root_of(spans)
    assert {event.name for event in root.events} == set(CONTRACT)
    for event in root.events:
        assert set(event.attributes or {}) == CONTRACT[event.name], event.name
    assert {span.name for span in spans} == {
        "patter.call", "patter.stt", "patter.endpoint", "patter.bargein", "patter.tts", "chat script",
        "execute_tool price",
    }  # fmt: skip
    assert all((span.attributes or {})["patter.call.id"] == rung.result.call_id for span in spans)
    assert all((span.start_time or 0) <= (span.end_time or 0) for span in spans)
    assert "loaf" not in drawn(spans), "nobody's words are in a trace"
    assert "+1555" not in drawn(spans)


def test_a_call_hangs_under_the_span_of_its_webhook(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

    class TracedLine(MemoryLine):
        async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
            return await super().post(url, {**headers, "traceparent": f"00-{trace}-{span}-01"}, body)

    async def main() -> None:
        async with patter().session(agent(), port=None, tracing=provider) as session:
            await twilio().call(TracedLine(session.app, URL), GREETED.hangs_up())

    run_virtual(main)
    root = root_of(exporter.get_finished_spans())
    assert root.parent is not None
    assert root.context is not None
    assert root.parent.span_id == int(span, 16)
    assert root.context.trace_id == int(trace, 16)


def test_what_fails_is_marked(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    who = agent(ScriptedLLM([Reply(fails_at=0)]), llm_error_message="Sorry.")
    ring(who, GREETED.says("Hello?").waits_for_agent().hangs_up(), tracing=provider)
    (chat,) = [span for span in exporter.get_finished_spans() if span.name == "chat script"]
    assert (chat.attributes or {})["error.type"] == "llm_failed"
    assert not chat.status.is_ok


def test_the_variable_turns_it_on_for_the_tracer_of_the_process(
    monkeypatch: pytest.MonkeyPatch, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: provider)
    ring(agent(), GREETED.hangs_up())
    assert not exporter.get_finished_spans()
    monkeypatch.setenv("PATTER_OTEL_ENABLED", "1")
    ring(agent(), GREETED.hangs_up(), tracing=False)
    assert not exporter.get_finished_spans()
    ring(agent(), GREETED.hangs_up())
    assert root_of(exporter.get_finished_spans()).end_time


def test_without_the_library_the_variable_is_a_warning_and_the_setting_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.setenv("PATTER_OTEL_ENABLED", "1")
    with caplog.at_level(logging.WARNING):
        ring(agent(), GREETED.hangs_up())
    assert "nothing is traced" in caplog.text
    with pytest.raises(MissingExtraError, match="patter-trio"):
        init_tracing()

    async def main() -> None:
        async with patter().session(agent(), port=None, tracing=True):
            pass

    with pytest.raises(MissingExtraError, match="patter-trio"):
        run_virtual(main)
    with pytest.raises(PatterConfigError, match="no tracer provider"):
        patter().session(agent(), tracing="yes")


def test_off_means_that_nothing_of_it_is_even_imported() -> None:
    program = (
        "import sys\n"
        "from tests.calls.ring import agent, ring\n"
        "from patter_trio.testing import Caller\n"
        "ring(agent(), Caller().waits_for_agent().says('Hello?').waits_for_agent().hangs_up())\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "assert 'prometheus_client' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A collector that takes OTLP over HTTP."""
    bodies: list[bytes] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_trace_arrives_at_a_collector(collector: tuple[str, list[bytes]]) -> None:
    url, bodies = collector
    provider = init_tracing("desk", url, {"deployment.environment": "test"})
    ring(agent(), GREETED.hangs_up(), tracing=provider)
    provider.shutdown()
    found = ExportTraceServiceRequest.FromString(bodies[0])
    (resource,) = found.resource_spans
    attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
    assert attributes["service.name"] == "desk"
    assert attributes["deployment.environment"] == "test"
    names = {span.name for scope in resource.scope_spans for span in scope.spans}
    assert {"patter.call", "patter.tts"} <= names


def test_a_call_that_is_cut_off_by_the_end_of_the_session_has_its_span(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    async def main() -> None:
        with trio.move_on_after(3.0):
            async with patter().session(agent(), port=None, tracing=provider) as session:
                await twilio().call(MemoryLine(session.app, URL), GREETED.waits(60.0).hangs_up())

    run_virtual(main)
    root = root_of(exporter.get_finished_spans())
    assert (root.attributes or {})["patter.cost.tts_chars"] == len("Hello, this is the desk.")
