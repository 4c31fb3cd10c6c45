"""The connection that all recognisers behind a WebSocket share, where their vendors do not matter."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from patter_trio.errors import RecognizerError
from patter_trio.events import MULAW_8K, HearingItem
from patter_trio.stt.assemblyai import AssemblyAISTT
from patter_trio.stt.deepgram import DeepgramSTT
from patter_trio.stt.deepgram_flux import DeepgramFluxSTT

from .answers import only
from .stt_endpoint import GoneError, open_far_end
from .stt_hearing import CALL, conversation, hear, hear_call, play, silence, utterance
from .stt_vendors import KEY, AssemblyAITalk, DeepgramTalk, FluxTalk


class Stuck(trio.abc.SendStream):
    """A way out that takes nothing more after a while."""

    def __init__(self, stream: trio.abc.SendStream, until: float) -> None:
        self._stream = stream
        self._until = until

    async def send_all(self, data: Any) -> None:
        if trio.current_time() >= self._until:
            await trio.sleep_forever()
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


async def test_a_far_end_that_takes_no_more_sound_is_given_up(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, DeepgramTalk) as far:
        dial = trio.open_tcp_stream

        async def dial_stuck(host: str, port: int, **options: Any) -> Any:
            ours: Any = await dial(host, port, **options)
            return trio.StapledStream(Stuck(ours, trio.current_time() + 1.0), ours)

        monkeypatch.setattr(trio, "open_tcp_stream", dial_stuck)
        began = trio.current_time()
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear(DeepgramSTT(api_key=KEY, base_url=far.url), silence(20.0, 0))
        assert "takes no more sound" in str(only(raised.value))
        assert trio.current_time() - began == pytest.approx(6.0, abs=0.2)
        await far.wait_quiet()


async def test_silence_is_sent_where_there_is_no_other_sign_of_life(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, FluxTalk) as far:
        outlet, inlet = trio.open_memory_channel[HearingItem](0)
        provider = DeepgramFluxSTT(api_key=KEY, base_url=far.url)
        async with outlet, provider.transcribe(inlet, MULAW_8K, CALL):
            await trio.sleep(3.5)
    assert far.talks[0].sizes == [800, 800, 800]


async def test_words_after_a_gap_in_the_sound_have_their_own_times(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = utterance("one", 0.2)
    second, _ = utterance("two", 30.0)
    async with open_far_end(monkeypatch, DeepgramTalk) as far:
        heard = await hear(DeepgramSTT(api_key=KEY, base_url=far.url), [*first, *second])
    starts = {word.text: word.start for item in heard.transcripts if item.is_final for word in item.words}
    assert starts == pytest.approx({"one": 0.2, "two": 30.0}, abs=0.05)


async def test_a_reader_who_fails_gets_its_own_failure_back(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, DeepgramTalk) as far:
        outlet, inlet = trio.open_memory_channel[HearingItem](0)
        with pytest.raises(KeyError, match="mine"):
            async with outlet, DeepgramSTT(api_key=KEY, base_url=far.url).transcribe(inlet, MULAW_8K, CALL):
                raise KeyError("mine")
        await far.wait_quiet()


async def test_no_greeting_is_not_waited_for(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(FluxTalk):
        async def greet(self) -> None:
            return

    async with open_far_end(monkeypatch, Silent) as far:
        began = trio.current_time()
        provider = DeepgramFluxSTT(api_key=KEY, base_url=far.url, connect_timeout=1.5)
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear(provider, silence(5.0, 0))
        assert "did not greet within 1.5 s" in str(only(raised.value))
        assert trio.current_time() - began == pytest.approx(1.5, abs=0.1)


async def test_the_end_of_a_call_is_not_held_up_by_a_far_end_that_does_not_answer(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rude(DeepgramTalk):
        async def on_text(self, message: str) -> None:
            return

    async with open_far_end(monkeypatch, Rude) as far:
        began = trio.current_time()
        provider = DeepgramSTT(api_key=KEY, base_url=far.url, close_timeout=0.7)
        heard = await hear(provider, conversation("good morning")[:-14])
        spoken = trio.current_time() - began - 0.7
        # What was still interim is better than nothing.
        assert heard.finals[-1] == "good morning"
        assert spoken == pytest.approx(0.2 + 0.68 + 0.2, abs=0.1)


@pytest.mark.parametrize("finalize_timeout", [0.1, 0.5])
async def test_the_patience_for_an_answer_can_be_set(
    finalize_timeout: float, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf(AssemblyAITalk):
        async def on_sound(self, audio: bytes) -> None:
            return

    async with open_far_end(monkeypatch, Deaf) as far:
        provider = AssemblyAISTT(api_key=KEY, base_url=far.url, finalize_timeout=finalize_timeout)
        began = trio.current_time()
        heard = await hear(provider, conversation("good morning", after=1.0))
    assert heard.answers == [""]
    assert heard.at[0] - began == pytest.approx(0.2 + 0.68 + 0.2 + finalize_timeout, abs=0.06)


async def test_a_flapping_recogniser_ends_as_a_failure(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_far_end(monkeypatch, DeepgramTalk, cut_after=[0.1] * 99) as far:
        with pytest.raises(BaseExceptionGroup) as raised:
            await hear_call(DeepgramSTT(api_key=KEY, base_url=far.url), conversation(*["good morning"] * 9))
        assert isinstance(only(raised.value), RecognizerError)
        assert len(far.talks) == 5


async def test_a_goodbye_in_the_middle_is_no_end_though_sending_failed_before_it_was_read(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Leaves(DeepgramTalk):
        async def on_sound(self, audio: bytes) -> None:
            await super().on_sound(audio)
            if self.words:
                # It does not wait for our goodbye.
                with trio.move_on_after(0.1):
                    await self.close()
                raise GoneError

    async with open_far_end(monkeypatch, Leaves) as far, trio.open_nursery() as nursery:
        outlet, inlet = trio.open_memory_channel[HearingItem](200)
        nursery.start_soon(play, outlet, conversation("good morning", after=9.0))
        async with DeepgramSTT(api_key=KEY, base_url=far.url).transcribe(inlet, MULAW_8K, CALL) as heard:
            await trio.sleep(5)
            assert (await anext(aiter(heard))).text == "good"
            with pytest.raises(RecognizerError, match="ended while the call goes on"):
                await anext(aiter(heard))
        nursery.cancel_scope.cancel()
