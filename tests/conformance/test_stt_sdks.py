"""The vendors' own SDKs at our far ends: code that we did not write says whether they speak the wire."""

from __future__ import annotations

import asyncio  # noqa: TID251 (two SDKs know nothing else)
import base64
import json
import threading
from typing import Any

import pytest
import trio

from patter_trio.events import MULAW_8K
from patter_trio.stt.assemblyai import AssemblyAISTT
from patter_trio.stt.cartesia import CartesiaSTT
from patter_trio.stt.elevenlabs import ElevenLabsSTT
from patter_trio.stt.soniox import SonioxSTT
from patter_trio.stt.speechmatics import SpeechmaticsSTT
from patter_trio.testing import speak_words

from .answers import no_proxy
from .stt_endpoint import open_port
from .stt_vendors import (
    KEY,
    AssemblyAITalk,
    CartesiaTalk,
    FluxTalk,
    ScribeTalk,
    SonioxTalk,
    SpeechmaticsTalk,
)

# The SDKs' own business.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SOUND = speak_words("good morning")


@pytest.fixture(autouse=True)
def straight(monkeypatch: pytest.MonkeyPatch) -> None:
    no_proxy(monkeypatch)


async def test_deepgrams_sdk_hears_turns() -> None:
    deepgram = pytest.importorskip("deepgram")
    from deepgram.environment import DeepgramClientEnvironment
    from deepgram.listen.v2.types import ListenV2ForceEndTurn

    def talk(url: str) -> list[Any]:
        there = DeepgramClientEnvironment(base=url, production=url, agent=url, agent_rest=url)
        client = deepgram.DeepgramClient(api_key=KEY, environment=there)
        with client.listen.v2.connect(
            model="flux-general-en", encoding="mulaw", sample_rate="8000", eot_threshold="0.7"
        ) as socket:
            for start in range(0, len(SOUND), 640):
                socket.send_media(SOUND[start : start + 640])
            socket.send_force_end_turn(ListenV2ForceEndTurn(type="ForceEndTurn"))
            socket.send_close_stream()
            return list(socket)

    async with open_port(FluxTalk) as far:
        heard = await trio.to_thread.run_sync(talk, far.url)
    turns = [item for item in heard if item.type == "TurnInfo"]
    assert [turn.event for turn in turns] == ["StartOfTurn", "Update", "EndOfTurn"]
    assert turns[-1].transcript == "good morning"
    assert [word.word for word in turns[-1].words] == ["good", "morning"]


async def test_assemblyais_sdk_hears_turns() -> None:
    v3 = pytest.importorskip("assemblyai.streaming.v3")

    def talk(url: str) -> list[Any]:
        heard: list[Any] = []
        over = threading.Event()
        client = v3.StreamingClient(v3.StreamingClientOptions(api_key=KEY, api_host=url))

        def note(_: Any, event: Any) -> None:
            heard.append(event)
            if getattr(event, "end_of_turn", False):
                over.set()

        for kind in (v3.StreamingEvents.Begin, v3.StreamingEvents.Turn, v3.StreamingEvents.Termination):
            client.on(kind, note)
        client.connect(
            v3.StreamingParameters(
                sample_rate=8000,
                encoding="pcm_mulaw",
                speech_model="universal-streaming-english",
                format_turns=False,
                keyterms_prompt=["Lin"],
            )
        )
        for start in range(0, len(SOUND), 480):
            client.stream(SOUND[start : start + 480].ljust(480, b"\xff"))
        client.force_endpoint()
        over.wait(5)
        client.disconnect(terminate=True)
        return heard

    async with open_port(AssemblyAITalk) as far:
        heard = await trio.to_thread.run_sync(talk, far.url)
    (talked,) = far.talks
    ours = AssemblyAISTT(api_key=KEY, keyterms_prompt=["Lin"])
    fields = ours.query_fields("pcm_mulaw", MULAW_8K)
    assert talked.query["keyterms_prompt"] == [fields["keyterms_prompt"]]
    assert set(talked.query) <= set(fields)
    assert talked.headers["authorization"] == ours.request_headers()["Authorization"]
    assert talked.headers["assemblyai-version"] == ours.request_headers()["AssemblyAI-Version"]
    assert [item["type"] for item in talked.json_received()] == ["ForceEndpoint", "Terminate"]
    assert type(heard[0]).__name__ == "BeginEvent"
    (ended,) = [item for item in heard if getattr(item, "end_of_turn", False)]
    assert ended.transcript == "good morning"
    assert ended.words[0].end == 340
    assert type(heard[-1]).__name__ == "TerminationEvent"


async def test_cartesias_sdk_asks_for_final_words() -> None:
    cartesia = pytest.importorskip("cartesia")

    def talk(url: str) -> list[Any]:
        client = cartesia.Cartesia(api_key=KEY, websocket_base_url=url)
        with client.stt.manual_finalize.websocket(
            model="ink-whisper", encoding="pcm_mulaw", sample_rate=8000, language="en", min_volume=0.1
        ) as socket:
            for start in range(0, len(SOUND), 800):
                socket.send_raw(SOUND[start : start + 800])
            socket.send("finalize")
            heard: list[Any] = []
            while not heard or heard[-1].type != "flush_done":
                heard.append(socket.recv())
            socket.send("close")
            heard.append(socket.recv())
            return heard

    async with open_port(CartesiaTalk) as far:
        heard = await trio.to_thread.run_sync(talk, far.url)
    (talked,) = far.talks
    ours = CartesiaSTT(api_key=KEY, min_volume=0.1)
    assert talked.path.startswith("/stt/websocket?")
    assert set(talked.query) <= set(ours.query_fields("pcm_mulaw", MULAW_8K))
    assert KEY in talked.headers.get("authorization", "") + talked.headers.get("x-api-key", "")
    assert "cartesia-version" in talked.headers
    assert [item.type for item in heard][-2:] == ["flush_done", "done"]
    (final,) = [item for item in heard if item.type == "transcript" and item.is_final]
    assert final.text == " good morning"


async def test_sonioxs_sdk_hears_tokens() -> None:
    soniox = pytest.importorskip("soniox")
    from soniox.types import RealtimeSTTConfig

    def talk(url: str) -> list[Any]:
        client = soniox.SonioxClient(api_key=KEY, websocket_base_url=url)
        config = RealtimeSTTConfig(
            model="stt-rt-v5",
            audio_format="mulaw",
            sample_rate=8000,
            num_channels=1,
            language_hints=["en"],
            max_endpoint_delay_ms=500,
        )
        with client.realtime.stt.connect(config=config) as session:
            for start in range(0, len(SOUND), 800):
                session.send_byte_chunk(SOUND[start : start + 800])
            session.keep_alive()
            session.finalize()
            session.finish()
            return list(session.receive_events())

    async with open_port(SonioxTalk) as far:
        heard = await trio.to_thread.run_sync(talk, far.url)
    (talked,) = far.talks
    assert isinstance(talked, SonioxTalk)
    ours = SonioxSTT(api_key=KEY, language_hints=["en"])
    (opening,) = ours.make_wire("mulaw", MULAW_8K).opening()
    assert talked.config.items() <= json.loads(opening).items()
    assert talked.headers["authorization"] == ours.request_headers()["Authorization"]
    assert [item["type"] for item in talked.json_received()] == ["keepalive", "finalize"]
    finals = [token.text for event in heard for token in event.tokens if token.is_final]
    assert "".join(finals) == " good morning<fin>"


async def test_speechmatics_sdk_hears_an_utterance() -> None:
    rt = pytest.importorskip("speechmatics.rt")

    async def talk(url: str) -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []
        client = rt.AsyncClient(api_key=KEY, url=url)
        ended = asyncio.Event()
        for kind in (rt.ServerMessageType.ADD_TRANSCRIPT, rt.ServerMessageType.END_OF_UTTERANCE):
            client.on(kind, heard.append)
        client.on(rt.ServerMessageType.END_OF_UTTERANCE, lambda _: ended.set())
        await client.start_session(
            transcription_config=rt.TranscriptionConfig(
                language="en", model="enhanced", enable_partials=True, max_delay=0.7
            ),
            audio_format=rt.AudioFormat(encoding=rt.AudioEncoding.MULAW, sample_rate=8000),
        )
        for start in range(0, len(SOUND), 800):
            await client.send_audio(SOUND[start : start + 800])
        await client.force_end_of_utterance()
        await asyncio.wait_for(ended.wait(), 5)
        await client.stop_session()
        return heard

    async with open_port(SpeechmaticsTalk) as far:
        heard = await trio.to_thread.run_sync(lambda: asyncio.run(talk(far.url)))
    (talked,) = far.talks
    assert isinstance(talked, SpeechmaticsTalk)
    ours = SpeechmaticsSTT(api_key=KEY)
    (opening,) = ours.make_wire("mulaw", MULAW_8K).opening()
    sent = json.loads(opening)
    assert talked.start["audio_format"] == sent["audio_format"]
    assert talked.start["transcription_config"].items() <= sent["transcription_config"].items()
    assert talked.headers["authorization"] == ours.request_headers()["Authorization"]
    assert [item["message"] for item in heard] == ["AddTranscript", "AddTranscript", "EndOfUtterance"]
    assert [item["metadata"]["transcript"] for item in heard[:2]] == ["good", "morning"]


async def test_elevenlabs_sdk_hears_a_commit() -> None:
    pytest.importorskip("elevenlabs")
    from elevenlabs.realtime import ScribeRealtime
    from elevenlabs.realtime.scribe import AudioFormat, CommitStrategy

    async def talk(url: str) -> list[dict[str, Any]]:
        heard: list[dict[str, Any]] = []
        committed = asyncio.Event()
        connection = await ScribeRealtime(api_key=KEY, base_url=url).connect(
            {
                "model_id": "scribe_v2_realtime",
                "audio_format": AudioFormat.ULAW_8000,
                "sample_rate": 8000,
                "commit_strategy": CommitStrategy.MANUAL,
                "include_timestamps": True,
                "language_code": "en",
            }
        )

        def note(data: dict[str, Any]) -> None:
            heard.append(data)
            committed.set()

        connection.on("committed_transcript_with_timestamps", note)
        for start in range(0, len(SOUND), 800):
            chunk = base64.b64encode(SOUND[start : start + 800]).decode()
            await connection.send({"audio_base_64": chunk, "sample_rate": 8000})
        await connection.commit()
        await asyncio.wait_for(committed.wait(), 5)
        await connection.close()
        return heard

    async with open_port(ScribeTalk) as far:
        heard = await trio.to_thread.run_sync(lambda: asyncio.run(talk(far.url)))
    (talked,) = far.talks
    ours = ElevenLabsSTT(api_key=KEY)
    assert talked.path.startswith("/v1/speech-to-text/realtime?")
    assert set(talked.query) <= set(ours.query_fields("ulaw", MULAW_8K))
    assert talked.query["audio_format"] == ["ulaw_8000"]
    assert talked.headers["xi-api-key"] == KEY
    assert [item["text"] for item in heard] == ["good morning"]
