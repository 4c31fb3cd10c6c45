"""What the tests of all voices behind sockets need to know of each vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from patter_trio.tts._settings import NetworkTTS
from patter_trio.tts.cartesia import CartesiaTTS
from patter_trio.tts.deepgram import DeepgramTTS
from patter_trio.tts.elevenlabs import ElevenLabsTTS
from patter_trio.tts.inworld import InworldTTS
from patter_trio.tts.lmnt import LMNTTTS

from .stt_endpoint import FarEnd
from .tts_endpoint import CartesiaTalk, DeepgramTalk, ElevenLabsTalk, InworldTalk, LMNTTalk, VoiceTalk

KEY = "key-that-nobody-may-see"


@attrs.frozen
class Vendor:
    """``stops`` are fields of the message that stops a turn; ``timed`` says whether words have times."""

    kind: type[NetworkTTS]
    talk: type[VoiceTalk]
    stops: Mapping[str, Any]
    timed: bool = True
    tolerance: float = 0.011
    mulaw: bool = True

    def make(self, far: FarEnd, **settings: Any) -> Any:
        return self.kind(api_key=KEY, base_url=far.url, **settings)


VENDORS = {
    "elevenlabs": Vendor(ElevenLabsTTS, ElevenLabsTalk, {"close_context": True}),
    "cartesia": Vendor(CartesiaTTS, CartesiaTalk, {"cancel": True}),
    "deepgram": Vendor(DeepgramTTS, DeepgramTalk, {"type": "Clear"}, timed=False),
    "inworld": Vendor(InworldTTS, InworldTalk, {"cancel_context": {}}, mulaw=False),
    "lmnt": Vendor(LMNTTTS, LMNTTalk, {"type": "reset"}),
}
