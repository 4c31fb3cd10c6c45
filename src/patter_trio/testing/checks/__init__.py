"""Conformance checks for the Protocols of :mod:`patter_trio.abc`, to be run on your own providers.

Each check is an async function that returns when the provider conforms and raises :class:`AssertionError`
with one sentence about what it did otherwise::

    async def test_my_voice_conforms() -> None:
        await check_tts(MyVoice(), audio=LINEAR_16K)

They work in real time against a network and in virtual time against a scripted provider. A provider with
``open()`` is opened once for its check, as a session does.
"""

from .judging import check_turn_detector
from .listening import check_stt
from .noticing import check_vad
from .speaking import check_tts
from .thinking import check_llm

__all__ = ["check_llm", "check_stt", "check_tts", "check_turn_detector", "check_vad"]
