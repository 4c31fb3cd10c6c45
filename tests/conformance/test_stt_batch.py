"""Recognisers that are sent one stretch of speech at a time, against a route that reads word sound."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.parser import BytesParser
from functools import partial
from typing import Any

import attrs
import h11
import httpx2
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from patter_trio._audio.wav import read_wav, write_wav
from patter_trio._wire.transcription import (
    TranscriptionStream,
    encode_form,
    is_hallucination,
    read_transcription,
)
from patter_trio.errors import (
    AuthenticationError,
    PatterConfigError,
    PatterConnectionError,
    PatterError,
    RateLimitError,
    RecognizerError,
    RemoteProtocolError,
)
from patter_trio.events import (
    LINEAR_8K,
    LINEAR_16K,
    SpeechEnded,
    SpeechStarted,
    Transcript,
)
from patter_trio.stt import _batch, openai_transcribe, whisper
from patter_trio.stt.openai_transcribe import OpenAITranscribeSTT
from patter_trio.stt.whisper import WhisperSTT
from patter_trio.testing import WordReader
from patter_trio.testing.checks import check_stt
from patter_trio.testing.wordsound import noise

from .answers import no_proxy, only
from .stt_endpoint import vectors
from .stt_hearing import Heard, blocks, conversation, hear, hear_call, silence
from .stt_vendors import KEY

URL = "http://stt.example.test/v1"
VECTORS = vectors("openai_transcriptions")


def sse(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


@attrs.define
class Route:
    """``/audio/transcriptions``: ``refusals`` first, then what the sound says, or ``says`` whatever it is."""

    refusals: list[tuple[int, dict[str, str], bytes]] = attrs.field(factory=list)
    says: bytes | None = None
    takes: float = 0.0
    forms: list[dict[str, list[str]]] = attrs.field(factory=list)
    headers: list[Mapping[str, str]] = attrs.field(factory=list)
    seconds: list[float] = attrs.field(factory=list)
    paths: list[str] = attrs.field(factory=list)

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.paths.append(path)
        self.headers.append(headers)
        mail = BytesParser().parsebytes(f"Content-Type: {headers['content-type']}\r\n\r\n".encode() + body)
        form: dict[str, list[str]] = {}
        file = b""
        for part in mail.get_payload():
            name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
            content: Any = part.get_payload(decode=True)  # type: ignore[union-attr]
            if name == "file":
                file = content
            else:
                form.setdefault(str(name), []).append(content.decode())
        self.forms.append(form)
        (pcm,), rate = read_wav(io.BytesIO(file))
        self.seconds.append(len(pcm) / 2 / rate)
        if self.refusals:
            return self.refusals.pop(0)
        if self.says is not None:
            return 200, {}, self.says
        words = WordReader(LINEAR_8K).feed(pcm) if rate == 8000 else []
        text = " ".join(word.text for word in words if word.complete)
        if form.get("stream") == ["true"]:
            parts = [sse({"type": "transcript.text.delta", "delta": f"{word.text} "}) for word in words]
            done = {"type": "transcript.text.done", "text": text}
            return 200, {"content-type": "text/event-stream"}, b"".join([*parts, sse(done)])
        times = [{"word": word.text, "start": word.start, "end": word.end} for word in words]
        return 200, {}, json.dumps({"text": text, "words": times}).encode()

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        await trio.sleep(self.takes)
        status, headers, body = self.answer(str(request.url), request.headers, await request.aread())
        return httpx2.Response(status, headers=headers, content=body)

    @asynccontextmanager
    async def open(self, settings: _batch.BatchSTT, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
        """The recogniser, with this in place of the network."""

        def client(*, headers: Mapping[str, str], **_: Any) -> httpx2.AsyncClient:
            return httpx2.AsyncClient(transport=httpx2.MockTransport(self.handle), headers=headers)

        monkeypatch.setattr(_batch, "open_client", client)
        async with settings.open() as live:
            yield live

    async def serve(self, stream: trio.SocketStream) -> None:
        """One request over a real socket."""
        http, body, request = h11.Connection(h11.SERVER), b"", None
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive_some(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return
        assert request is not None
        headers = {name.decode(): value.decode() for name, value in request.headers}
        status, fields, answer = self.answer(request.target.decode(), headers, body)
        fields = {"content-type": "application/json", **fields, "content-length": str(len(answer))}
        sent = h11.Response(status_code=status, headers=[*fields.items(), ("connection", "close")])
        for part in (sent, h11.Data(answer), h11.EndOfMessage()):
            await stream.send_all(http.send(part) or b"")


@asynccontextmanager
async def open_route_port(route: Route) -> AsyncIterator[str]:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, route.serve, [listener]))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/v1"
        nursery.cancel_scope.cancel()


KINDS = [OpenAITranscribeSTT, partial(OpenAITranscribeSTT, stream=False), WhisperSTT]
KINDS += [partial(WhisperSTT, response_format="verbose_json")]


@pytest.fixture(params=range(len(KINDS)), ids=["streamed", "openai", "whisper", "verbose"])
def make(request: pytest.FixtureRequest) -> Any:
    return partial(KINDS[request.param], api_key=KEY, base_url=URL)


async def fail(live: Any, items: Any = None) -> PatterError:
    try:
        await hear(live, conversation("good morning") if items is None else items)
    except (PatterError, BaseExceptionGroup) as raised:
        return only(raised)
    raise AssertionError("no failure")


async def test_it_conforms(make: Any, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Route(takes=0.2).open(make(), monkeypatch) as live:
        await check_stt(live)


async def test_each_stretch_of_speech_is_one_request(
    make: Any, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(takes=0.3)
    async with route.open(make(), monkeypatch) as live:
        heard = await hear(live, conversation("good morning", "two rolls please"))
    assert heard.answers == heard.finals == ["good morning", "two rolls please"]
    assert len(route.forms) == 2
    # Speech, what comes before it and what the detector took to be sure.
    assert route.seconds == pytest.approx([0.2 + 0.68 + 0.2, 0.2 + 1.02 + 0.2], abs=0.05)


async def test_how_much_sound_before_the_edge_is_sent_can_be_set(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route()
    for pre_roll in (0.0, 0.16):
        async with route.open(WhisperSTT(api_key=KEY, base_url=URL, pre_roll=pre_roll), monkeypatch) as live:
            await hear(live, conversation("good morning"))
    assert route.seconds[1] - route.seconds[0] == pytest.approx(0.16, abs=0.01)


async def test_the_patience_of_the_connections_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def client(**options: Any) -> httpx2.AsyncClient:
        asked.append(options)
        return httpx2.AsyncClient()

    monkeypatch.setattr(_batch, "open_client", client)
    async with WhisperSTT(base_url=URL, api_key="", timeout=7.0, connect_timeout=3.0).open() as live:
        assert live.name == "whisper"
    assert asked == [{"timeout": 7.0, "connect_timeout": 3.0, "headers": {}}]


async def test_words_are_shown_as_they_are_found(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Route().open(OpenAITranscribeSTT(api_key=KEY, base_url=URL), monkeypatch) as live:
        heard = await hear(live, conversation("two rolls please"))
    assert heard.interims == ["two", "two rolls", "two rolls please"]


async def test_word_times_are_those_of_the_call(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = WhisperSTT(api_key=KEY, base_url=URL, response_format="verbose_json")
    async with Route().open(settings, monkeypatch) as live:
        heard = await hear(live, conversation("two rolls", at=50.0))
    (first, last) = heard.transcripts[-1].words
    assert (first.start, last.end) == pytest.approx((50.2, 50.88), abs=0.05)


async def test_other_formats_are_sent_as_samples(
    make: Any, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(says=b'{"text":"yes"}')
    loud = LINEAR_16K.silence.replace(b"\0\0", b"\0\x20") * 8000
    items = [SpeechStarted(0.0), *blocks(loud, 0.0, LINEAR_16K), SpeechEnded(0.5)]
    async with route.open(make(), monkeypatch) as live:
        if not live.settings.streams:
            assert (await hear(live, items, LINEAR_16K)).finals == ["yes"]
            assert route.seconds == pytest.approx([0.5], abs=0.01)


@pytest.mark.parametrize("sound", ["short", "quiet"])
async def test_what_cannot_hold_words_is_answered_without_a_request(
    sound: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = {
        "short": [*silence(0.2, 0), SpeechStarted(0.2), *blocks(noise(0.1), 0.2), SpeechEnded(0.3)],
        "quiet": [*silence(0.2, 0), SpeechStarted(0.2), *silence(0.6, 0.2), SpeechEnded(0.8)],
    }[sound]
    route = Route()
    async with route.open(WhisperSTT(api_key=KEY, base_url=URL), monkeypatch) as live:
        assert (await hear(live, items)).answers == [""]
    assert route.forms == []
    eager = WhisperSTT(api_key=KEY, base_url=URL, min_seconds=0.0, min_dbfs=-96.0)
    async with route.open(eager, monkeypatch) as live:
        await hear(live, items)
    # Digital silence is below any limit.
    assert len(route.forms) == (1 if sound == "short" else 0)


async def test_long_speech_is_sent_in_parts(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(f"word{number}" for number in range(30))
    route = Route()
    async with route.open(WhisperSTT(api_key=KEY, base_url=URL, longest=4.0), monkeypatch) as live:
        heard = await hear(live, conversation(text))
    assert len(route.forms) >= 3
    assert heard.answers == heard.finals[-1:]
    # A cut may fall into a word; none of it is heard twice.
    assert len(" ".join(heard.finals).split()) >= 26


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AuthenticationError),
        (429, RateLimitError),
        (400, PatterConfigError),
        (404, PatterConfigError),
        (500, PatterConnectionError),
    ],
)
async def test_refusals_have_their_types(
    status: int, kind: type[PatterError], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = f'{{"error":{{"message":"no, {KEY}"}}}}'.encode()
    route = Route(refusals=[(status, {"retry-after": "7"}, body)])
    async with route.open(WhisperSTT(api_key=KEY, base_url=URL), monkeypatch) as live:
        error = await fail(live)
    assert type(error) is kind
    assert KEY not in str(error)
    assert not isinstance(error, RateLimitError) or error.retry_after == 7


async def test_a_call_asks_again_and_gives_up_in_the_end(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    down: tuple[int, dict[str, str], bytes] = (503, {}, b"busy")
    route = Route(refusals=[down] * 2)
    async with route.open(WhisperSTT(api_key=KEY, base_url=URL), monkeypatch) as live:
        heard = await hear_call(live, conversation("good morning", after=2.0))
        assert heard.finals == ["good morning"]
        route.refusals = [down] * 99
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear_call(live, conversation("good morning", after=9.0))
    assert isinstance(only(raised.value), RecognizerError)
    assert len(route.refusals) == 94


@pytest.mark.parametrize("says", [b"", b"[]", b"{}", b"<html>", b'{"text":7}'])
async def test_an_answer_that_cannot_be_read_is_a_failure(
    says: bytes, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Route(says=says).open(WhisperSTT(api_key=KEY, base_url=URL), monkeypatch) as live:
        assert isinstance(await fail(live), RemoteProtocolError)
    async with Route(says=says).open(OpenAITranscribeSTT(api_key=KEY, base_url=URL), monkeypatch) as live:
        assert isinstance(await fail(live), RecognizerError)


# --- the wire -----------------------------------------------------------------------------------------------


def test_a_recorded_answer_is_read() -> None:
    (frame,) = VECTORS["verbose"]["frames"]
    heard = read_transcription(json.dumps(frame["data"]).encode())
    assert [heard.text] == VECTORS["verbose"]["expect"]["final_transcripts"]
    assert [word.text for word in heard.words] == ["Book", "Tuesday"]
    assert heard.confidence == pytest.approx(0.8187, abs=1e-3)


def test_a_recorded_stream_is_read() -> None:
    stream = TranscriptionStream()
    sent = b"".join(sse(frame["data"]) for frame in VECTORS["stream"]["frames"])
    shown = [item.text for cut in range(0, len(sent), 7) for item in stream.feed(sent[cut : cut + 7])]
    assert shown == ["Book", "Book Tuesday."]
    assert stream.final is not None
    assert [stream.final.text] == VECTORS["stream"]["expect"]["final_transcripts"]


@given(st.lists(st.binary() | st.sampled_from([b"data: ", b"\n\n", b'{"type":"x"}', b'{"error":1}'])))
def test_no_stream_raises_anything_but_our_errors(pieces: list[bytes]) -> None:
    stream = TranscriptionStream()
    try:
        for piece in pieces:
            assert all(isinstance(item, Transcript) for item in stream.feed(piece))
    except (RemoteProtocolError, RecognizerError):
        return


@given(st.binary(max_size=200), st.text(max_size=20))
def test_a_form_comes_apart_as_it_was_put_together(wav: bytes, value: str) -> None:
    kind, body = encode_form([("prompt", value)], wav)
    boundary = kind.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)
    assert parts[1].partition(b"\r\n\r\n")[2] == value.encode("utf-8", "surrogatepass") + b"\r\n"
    assert parts[2].partition(b"\r\n\r\n")[2] == wav + b"\r\n"


@pytest.mark.parametrize("text", ["Thank you for watching!", ".", " you", "so so so so so so so", ""])
def test_what_models_say_of_silence_is_not_heard(text: str) -> None:
    assert is_hallucination(text)


@pytest.mark.parametrize("text", ["Thank you.", "no no no no", "you are right", "Ja."])
def test_what_callers_say_is_heard(text: str) -> None:
    assert not is_hallucination(text)


def test_a_model_that_doubts_that_anybody_spoke_is_believed() -> None:
    answer = {"text": "Mhm.", "segments": [{"avg_logprob": -1.3, "no_speech_prob": 0.9}]}
    assert read_transcription(json.dumps(answer).encode()).text == ""
    answer["segments"] = [{"avg_logprob": -0.3, "no_speech_prob": 0.9}]
    assert read_transcription(json.dumps(answer).encode()).text == "Mhm."


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (WhisperSTT, {}, {"model": ["whisper-1"], "language": ["en"], "response_format": ["json"]}),
        (WhisperSTT, {"model": "whisper-large-v3"}, {"model": ["whisper-large-v3"]}),
        (WhisperSTT, {"language": None}, {"language": None}),
        (WhisperSTT, {"prompt": "Lin Dental"}, {"prompt": ["Lin Dental"]}),
        (WhisperSTT, {"temperature": 0.2}, {"temperature": ["0.2"]}),
        (
            WhisperSTT,
            {"response_format": "verbose_json"},
            {"response_format": ["verbose_json"], "timestamp_granularities[]": ["word", "segment"]},
        ),
        (OpenAITranscribeSTT, {}, {"model": ["gpt-transcribe"], "language": ["en"], "stream": ["true"]}),
        (OpenAITranscribeSTT, {"model": "gpt-4o-transcribe"}, {"model": ["gpt-4o-transcribe"]}),
        (OpenAITranscribeSTT, {"stream": False}, {"stream": ["false"]}),
        (OpenAITranscribeSTT, {"languages": ["en", "de"]}, {"languages[]": ["en", "de"], "language": None}),
        (OpenAITranscribeSTT, {"keywords": "Lin"}, {"keywords[]": ["Lin"]}),
    ],
)
async def test_a_setting_reaches_the_wire(
    kind: type[_batch.BatchSTT],
    settings: Mapping[str, Any],
    expected: Mapping[str, Any],
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    route = Route()
    async with route.open(kind(api_key=KEY, base_url=f"{URL}/", **settings), monkeypatch) as live:
        await hear(live, conversation("yes"))
    assert {name: route.forms[0].get(name) for name in expected} == expected
    assert route.paths == [f"{URL}/audio/transcriptions"]
    assert route.headers[0]["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "ws://x"}, {"model": ""}, {"temperature": 2}, {"timeout": 0}, {"longest": 3.0},
        {"response_format": "srt"}, {"pre_roll": 1.0},
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_at_once(settings: Mapping[str, Any]) -> None:
    with pytest.raises(PatterConfigError):
        WhisperSTT(api_key=KEY, **settings)


def test_keys_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(PatterConfigError, match="OPENAI_API_KEY"):
        WhisperSTT()
    assert WhisperSTT(base_url=URL).key == "", "a server of one's own may need none"
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert WhisperSTT().key == OpenAITranscribeSTT().key == KEY
    assert KEY not in repr(WhisperSTT())
    assert WhisperSTT.for_twilio(KEY, language="de") == WhisperSTT(api_key=KEY, language="de")
    assert (WhisperSTT, OpenAITranscribeSTT) == (whisper.STT, openai_transcribe.STT)
    with pytest.raises(PatterConfigError, match="WhisperSTT"):
        OpenAITranscribeSTT(model="whisper-1")


# --- over real sockets --------------------------------------------------------------------------------------


async def play_at_once(live: Any) -> Heard:
    return await hear(live, conversation("good morning", after=0.0), pace=0.0)


async def test_it_goes_over_sockets(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)
    route = Route()
    async with open_route_port(route) as url, make(base_url=url).open() as live:
        heard = await play_at_once(live)
    assert heard.finals == ["good morning"]


async def test_nobody_there_and_nobody_answering_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)
    async with WhisperSTT(api_key=KEY, base_url="http://127.0.0.1:9/v1").open() as live:
        with pytest.raises(PatterConnectionError):
            await alone(live)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1"
    async with WhisperSTT(api_key=KEY, base_url=url, timeout=0.1).open() as live:
        with pytest.raises(RecognizerError, match="timeout="):
            await alone(live)
    await listeners[0].aclose()


async def alone(live: Any) -> Heard:
    try:
        return await play_at_once(live)
    except BaseExceptionGroup as group:
        raise only(group) from None


async def test_the_vendors_sdk_sends_the_same_form(monkeypatch: pytest.MonkeyPatch) -> None:
    openai = pytest.importorskip("openai")
    no_proxy(monkeypatch)
    route = Route(says=b'{"text":"yes","usage":{"type":"duration","seconds":1}}')
    wav = io.BytesIO()
    write_wav(wav, [b"\0\0" * 800], 8000)
    async with open_route_port(route) as url:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0)
        async with client:
            answer = await client.audio.transcriptions.create(
                file=("speech.wav", wav.getvalue(), "audio/wav"),
                model="gpt-transcribe",
                languages=["en", "de"],
                keywords=["Lin"],
                temperature=0.2,
                response_format="json",
            )
    assert answer.text == "yes"
    ours = OpenAITranscribeSTT(
        api_key=KEY, languages=["en", "de"], keywords=["Lin"], temperature=0.2, stream=False
    )
    form: dict[str, list[str]] = {}
    for name, value in ours.form_fields():
        form.setdefault(name, []).append(value)
    del form["stream"]
    assert route.forms == [form]
