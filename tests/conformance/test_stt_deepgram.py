"""Deepgram: recorded sequences, its own SDK at our far end, and what only this vendor does."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio._wire.deepgram import DeepgramWire
from patter_trio.errors import PatterConfigError, PatterConnectionError, RecognizerError
from patter_trio.events import SpeechEnded, SpeechStarted
from patter_trio.stt.deepgram import STT, DeepgramSTT
from patter_trio.testing import speak_words

from .answers import only
from .stt_endpoint import open_far_end, open_port, replaying, vectors
from .stt_hearing import Heard, conversation, hear, hear_call, silence
from .stt_vendors import KEY, DeepgramTalk

VECTORS = vectors("deepgram_listen_v1")


def make(url: str, **settings: Any) -> DeepgramSTT:
    return DeepgramSTT(api_key=KEY, base_url=url, **settings)


def test_the_flat_name_and_the_one_in_the_module_are_one() -> None:
    assert STT is DeepgramSTT
    assert DeepgramSTT(api_key=KEY).name == "deepgram"


@pytest.mark.parametrize("name", ["utterance", "utterance_end_only"])
async def test_recorded_windows_are_one_utterance(
    name: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = VECTORS[name]
    async with open_far_end(monkeypatch, replaying(entry["frames"])) as far:
        heard = await hear(make(far.url), silence(4.0, 0))
    assert heard.finals == entry["expect"]["final_transcripts"]
    assert all(transcript.speech_final for transcript in heard.transcripts if transcript.is_final)


async def test_the_second_question_has_no_answer_and_is_answered_by_the_clock(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = VECTORS["finalize"]
    items = [*silence(0.04, 0), SpeechStarted(0.0), SpeechEnded(0.04)]
    items += [*silence(2.0, 0.04), SpeechStarted(2.0), SpeechEnded(2.04), *silence(0.4, 2.04)]
    async with open_far_end(monkeypatch, replaying(entry["frames"])) as far:
        heard = await hear(make(far.url, finalize_timeout=0.2), items)
    assert far.talks[0].json_received()[:2] == [{"type": "Finalize"}] * 2
    assert heard.answers == ["yes", ""]
    assert heard.at[-1] == pytest.approx(2.04 + 0.2 + 0.01, abs=0.1)


async def test_an_error_ends_the_connection_as_that(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, replaying(VECTORS["errors"]["frames"])) as far:
        with pytest.raises(RecognizerError, match="Could not parse the text message \\(SchemaError\\)"):
            await fail_alone(make(far.url))


async def fail_alone(provider: DeepgramSTT) -> Heard:
    try:
        return await hear(provider, silence(20.0, 0))
    except BaseExceptionGroup as group:
        raise only(group) from None


@pytest.mark.parametrize(
    ("code", "kind"), [(1011, PatterConnectionError), (1008, PatterConfigError), (1000, RecognizerError)]
)
async def test_closing_in_the_middle_is_an_error_that_says_why(
    code: int, kind: type[Exception], autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [{"t": 100, "dir": "recv", "kind": "close", "code": code, "reason": "see net0001"}]
    async with open_far_end(monkeypatch, replaying(frames)) as far:
        with pytest.raises(kind) as raised:
            await fail_alone(make(far.url))
    assert type(raised.value) is kind
    assert code == 1000 or "net0001" in str(raised.value)


async def test_it_is_kept_alive_while_no_sound_comes(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, DeepgramTalk) as far:
        outlet, inlet = trio.open_memory_channel[Any](1)
        async with make(far.url).transcribe(inlet, DeepgramTalk.audio, None) as transcripts:  # type: ignore[arg-type]
            await trio.sleep(9)
            await outlet.aclose()
            assert [item async for item in transcripts] == []
    assert far.talks[0].json_received() == [
        {"type": "KeepAlive"},
        {"type": "KeepAlive"},
        {"type": "CloseStream"},
    ]


async def test_words_between_the_question_and_its_answer_are_part_of_the_answer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Windows(DeepgramTalk):
        async def on_text(self, message: str) -> None:
            if json.loads(message)["type"] == "Finalize":
                first, *rest = self.words
                self.words = [first]
                await self.results(is_final=True)
                self.words = rest
            await super().on_text(message)

    async with open_far_end(monkeypatch, Windows) as far:
        heard = await hear(make(far.url), conversation("two rolls please"))
    assert heard.finals == ["two rolls please"]


@pytest.mark.parametrize("message", ["[]", "{}", "nonsense", '{"type":"Results","channel":[0]}'])
async def test_nonsense_ends_in_a_failure_not_in_silence(
    message: str, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nonsense(DeepgramTalk):
        async def on_sound(self, audio: bytes) -> None:
            await self._socket.send_message(message)

    async with open_far_end(monkeypatch, Nonsense) as far:
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear_call(make(far.url), conversation("good morning"))
        assert isinstance(only(raised.value), RecognizerError)


def test_confidence_of_silence_is_unknown() -> None:
    (entry,) = [VECTORS["utterance_end_only"]]
    heard = [
        said for frame in entry["frames"][:2] for said in DeepgramWire().receive(json.dumps(frame["data"]))
    ]
    assert [item.confidence for item in heard] == [0.98, None]  # type: ignore[union-attr]


# --- over real sockets --------------------------------------------------------------------------------------


async def test_a_far_end_that_is_killed_comes_back_with_the_words_it_missed() -> None:
    async with open_port(DeepgramTalk, cut_after=[0.5]) as far:
        heard = await hear_call(make(f"{far.url}/v1/listen"), conversation("one two", after=0.4))
        assert len(far.talks) == 2
        await far.wait_quiet()
    assert heard.finals == ["one two"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_vendors_sdk_takes_our_far_end_for_the_vendor() -> None:
    deepgram = pytest.importorskip("deepgram")
    from deepgram.environment import DeepgramClientEnvironment

    sound = speak_words("good morning")

    def talk(url: str) -> list[Any]:
        there = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
        client = deepgram.DeepgramClient(api_key=KEY, environment=there)
        with client.listen.v1.connect(
            model="nova-3", encoding="mulaw", sample_rate="8000", interim_results="true"
        ) as socket:
            for start in range(0, len(sound), 320):
                socket.send_media(sound[start : start + 320])
            socket.send_keep_alive()
            socket.send_finalize()
            socket.send_close_stream()
            return list(socket)

    async with open_port(DeepgramTalk) as far:
        heard = await trio.to_thread.run_sync(talk, far.url)
    talked = far.talks[0]
    assert talked.headers["authorization"] == f"Token {KEY}"
    assert [item["type"] for item in talked.json_received()] == ["KeepAlive", "Finalize", "CloseStream"]
    finals = [item.channel.alternatives[0] for item in heard if item.type == "Results" and item.is_final]
    assert [final.transcript for final in finals] == ["good morning", ""]
    assert [word.word for word in finals[0].words] == ["good", "morning"]
    assert [item.type for item in heard][-1] == "Metadata"
    # What the SDK asks for, we ask for under the same names.
    asked = set(talked.query)
    assert asked <= set(DeepgramSTT(api_key=KEY).query_fields("mulaw", DeepgramTalk.audio, None))  # type: ignore[arg-type]
