"""A recogniser is won back with what it missed, and silence is not hoarded."""

from __future__ import annotations

import trio
import trio.testing

from patter_trio._actors.transcribe import _Hearing
from patter_trio.events import HearingItem, SpeechAudio, SpeechEnded, SpeechStarted


def block(number: int) -> SpeechAudio:
    return SpeechAudio(bytes([number % 256]), number * 0.06)


async def given(hearing: _Hearing, count: int) -> list[HearingItem]:
    return [await anext(hearing) for _ in range(count)]


async def feeding(items: list[HearingItem], keep: int = 2000) -> _Hearing:
    send, receive = trio.open_memory_channel[HearingItem](len(items))
    for item in items:
        send.send_nowait(item)
    send.close()
    hearing = _Hearing(receive, keep)
    await hearing.fill()
    return hearing


async def test_speech_without_a_final_is_given_again_from_a_second_before_it() -> None:
    speech: list[HearingItem] = [SpeechStarted(6.0), *(block(n) for n in range(100, 140)), SpeechEnded(8.4)]
    hearing = await feeding([*(block(n) for n in range(100)), *speech, block(140)])
    await given(hearing, 143)
    hearing.rewind()
    again = await given(hearing, 17 + len(speech) + 1)
    assert again == [*(block(n) for n in range(83, 100)), *speech, block(140)]


async def test_a_final_covers_what_was_given() -> None:
    hearing = await feeding([SpeechStarted(0.0), block(0), SpeechEnded(0.06), block(1), block(2)])
    await given(hearing, 4)
    hearing.acknowledge()
    hearing.rewind()
    assert await given(hearing, 2) == [block(1), block(2)]


async def test_a_final_of_earlier_words_leaves_the_later_ones() -> None:
    later: list[HearingItem] = [SpeechStarted(0.2), block(2)]
    hearing = await feeding([SpeechStarted(0.0), block(0), SpeechEnded(0.06), block(1), *later])
    await given(hearing, 6)
    hearing.acknowledge()
    hearing.rewind()
    assert await given(hearing, 3) == [block(1), *later]


async def test_a_final_in_the_middle_of_speech_keeps_what_follows() -> None:
    hearing = await feeding(
        [SpeechStarted(0.0), block(0), *(block(n) for n in range(1, 60)), SpeechEnded(3.6)]
    )
    await given(hearing, 2)
    hearing.acknowledge()
    await given(hearing, 60)
    hearing.rewind()
    assert len(await given(hearing, 60)) == 60


async def test_a_minute_of_silence_is_a_second_in_memory() -> None:
    hearing = await feeding([block(n) for n in range(1000)])
    await given(hearing, 1000)
    hearing.rewind()
    assert len(await given(hearing, 17)) == 17
    async for _ in hearing:
        raise AssertionError("more was kept")
    assert hearing.ended


async def test_while_no_recogniser_listens_sound_gives_way_but_edges_stay() -> None:
    items: list[HearingItem] = [
        block(0),
        SpeechStarted(0.06),
        *(block(n) for n in range(1, 9)),
        SpeechEnded(0.5),
    ]
    hearing = await feeding(items, keep=5)
    left = [item async for item in hearing]
    assert [item for item in left if not isinstance(item, SpeechAudio)] == [
        SpeechStarted(0.06),
        SpeechEnded(0.5),
    ]
    assert len(left) == 5
    assert hearing.dropped == len(items) - 5
