"""The Protocols that can be plugged in. A class that fits needs to import nothing of ours.

**Settings and live things.** What a user writes down (``SileroVAD(threshold=0.6)``) is a settings object:
frozen, cheap, shareable by a thousand calls. If it has ``open()``, the session enters that context once,
before its first call, and uses what it yields (a loaded model, a pool of connections) in its place; a class
that is ready to work as it stands has no ``open()``.

**Streams.** What flows is given and returned as async iterables; what must be closed is an async context
manager. ``@trio.as_safe_channel`` turns an async generator into exactly that, so a voice can be::

    class MyVoice:
        name, audio = "mine", AudioFormat("linear16", 16000)

        @trio.as_safe_channel
        async def speak(self, sentences):
            async for sentence in sentences:
                yield SpokenAudio(await render(sentence), text=sentence)

        @asynccontextmanager
        async def open_voice(self, audio, call):
            yield self

``patter_trio.testing.checks`` holds the conformance checks for each Protocol.
"""

from ._carriers import (
    Carrier,
    EndsByClosing,
    FollowsUp,
    LiveCarrier,
    MediaSocket,
    MediaWire,
    OutlivesStreams,
    SendsDigits,
    ServesDocuments,
    SignsTestWebhook,
    WebhookRequest,
    WritesDigits,
)
from ._engines import Engine, EngineRequest, EngineSession, EngineSound
from ._providers import (
    AudioFilter,
    AudioFilterProvider,
    BargeInStrategy,
    DetectorThresholds,
    LLMProvider,
    Opens,
    SpeechDetector,
    STTProvider,
    TTSProvider,
    TurnDetector,
    VADProvider,
    Voice,
)

__all__ = [
    "AudioFilter",
    "AudioFilterProvider",
    "BargeInStrategy",
    "Carrier",
    "DetectorThresholds",
    "EndsByClosing",
    "Engine",
    "EngineRequest",
    "EngineSession",
    "EngineSound",
    "FollowsUp",
    "LLMProvider",
    "LiveCarrier",
    "MediaSocket",
    "MediaWire",
    "Opens",
    "OutlivesStreams",
    "STTProvider",
    "SendsDigits",
    "ServesDocuments",
    "SignsTestWebhook",
    "SpeechDetector",
    "TTSProvider",
    "TurnDetector",
    "VADProvider",
    "Voice",
    "WebhookRequest",
    "WritesDigits",
]
