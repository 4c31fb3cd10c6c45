"""The vendors' own SDKs at our far ends: code that we did not write says whether they speak the wire."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio

from patter_trio.events import MULAW_8K
from patter_trio.stt.assemblyai import AssemblyAISTT
from patter_trio.testing import speak_words

from .stt_endpoint import open_port
from .stt_hearing import CALL
from .stt_vendors import KEY, AssemblyAITalk, FluxTalk

# The SDKs' own business.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SOUND = speak_words("good morning")


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
    fields = ours.query_fields("pcm_mulaw", MULAW_8K, CALL)
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
