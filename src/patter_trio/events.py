"""The words of a call: frozen records that travel between its parts.

Four families, in this order: sound and speech, what a carrier says, what a model says, and what happened
in the call (:class:`CallEvent` and its subclasses, the ones that listeners receive). All times are seconds
on the trio clock unless a name says otherwise; ``*_ms`` in a payload is what the public contract asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs

__all__ = [
    "LINEAR_8K",
    "LINEAR_16K",
    "MULAW_8K",
    "AgentSpeechEnded",
    "AgentSpeechStarted",
    "AgentState",
    "AudioFormat",
    "AudioOut",
    "AudioReceived",
    "CallAccepted",
    "CallEnded",
    "CallEvent",
    "CallInfo",
    "CarrierEvent",
    "DigitPressed",
    "DigitReceived",
    "DigitsSent",
    "EouTrigger",
    "FloorHeld",
    "FloorReleased",
    "FloorTaken",
    "HearingItem",
    "HoldChanged",
    "LLMChunk",
    "LlmText",
    "LlmToken",
    "MarkPlayed",
    "Message",
    "MuteChanged",
    "SpeechAudio",
    "SpeechEnded",
    "SpeechStarted",
    "SpokenAudio",
    "StreamStarted",
    "StreamStopped",
    "ToolFinished",
    "ToolStarted",
    "Transcript",
    "TranscriptHeard",
    "TtsSound",
    "TurnEnded",
    "TurnFailed",
    "TurnWindow",
    "UserAway",
    "UserSpeechEnded",
    "UserSpeechEos",
    "UserSpeechStarted",
    "UserState",
    "UtteranceOvertaken",
    "UtterancePassedOver",
    "Word",
]

Encoding = Literal["mulaw", "alaw", "linear16"]
Direction = Literal["inbound", "outbound"]
Role = Literal["user", "assistant"]
UserState = Literal["listening", "speaking", "thinking", "away"]
AgentState = Literal["initializing", "idle", "listening", "thinking", "speaking"]
EouTrigger = Literal["vad_silence", "semantic_turn_detector", "manual_commit", "keys_pressed"]
TurnKind = Literal["greeting", "reply", "say", "clip", "keys", "music"]

Message = Mapping[str, Any]
"""One message to a language model, in the OpenAI chat shape: ``{"role": …, "content": …}``."""


# --- sound and speech ---------------------------------------------------------------------------------------


@attrs.frozen
class AudioFormat:
    """How samples are written as bytes: one channel, linear16 is little-endian."""

    encoding: Encoding = "mulaw"
    sample_rate: int = 8000

    @property
    def bytes_per_sample(self) -> int:
        """2 for linear16, 1 for the G.711 laws."""
        return 2 if self.encoding == "linear16" else 1

    @property
    def silence(self) -> bytes:
        """One sample of silence (µ-law 0xFF, A-law 0xD5, linear 0)."""
        return {"mulaw": b"\xff", "alaw": b"\xd5", "linear16": b"\0\0"}[self.encoding]

    def bytes_for(self, seconds: float) -> int:
        """Bytes of ``seconds`` of sound, rounded to a whole sample."""
        return round(seconds * self.sample_rate) * self.bytes_per_sample

    def seconds_in(self, size: int) -> float:
        """Seconds of sound in ``size`` bytes."""
        return size / (self.sample_rate * self.bytes_per_sample)


MULAW_8K = AudioFormat("mulaw", 8000)
LINEAR_8K = AudioFormat("linear16", 8000)
LINEAR_16K = AudioFormat("linear16", 16000)


@attrs.frozen
class Word:
    """A word with its place in time, in seconds from the start of what it belongs to."""

    text: str
    start: float
    end: float
    confidence: float | None = None


@attrs.frozen
class Transcript:
    """What a recogniser understood.

    An interim result replaces the interim before it; a final one is added to what was said.
    ``speech_final`` says that the recogniser itself believes the caller has finished;
    ``from_finalize`` that this final is the answer to a :class:`SpeechEnded`.
    """

    text: str
    is_final: bool = False
    confidence: float | None = None
    speech_final: bool = False
    from_finalize: bool = False
    words: tuple[Word, ...] = ()


@attrs.frozen
class SpeechAudio:
    """A block of the caller's sound on its way to a recogniser, in the format agreed when it was opened.

    ``at`` is the media time of its first sample, in seconds since the stream started. ``speech`` says
    whether the detector hears the caller in it.
    """

    audio: bytes
    at: float
    speech: bool = False


@attrs.frozen
class SpeechStarted:
    """The detector's positive edge; ``at`` is the media time at which the speech began."""

    at: float


@attrs.frozen
class SpeechEnded:
    """The detector's trailing edge: a recogniser that can, finalises now. ``at`` is the end in media time."""

    at: float


HearingItem = SpeechAudio | SpeechStarted | SpeechEnded
"""What a recogniser receives, in order."""


@attrs.frozen
class TurnWindow:
    """What a turn detector judges: the caller's latest sound and words, as they stand in a silence.

    Args:
        pcm: linear16 sound, one channel, at most the last 8 s of the call's hearing; it ends with the silence
            that is being judged.
        sample_rate: samples per second of ``pcm``.
        transcript: the words of the running utterance so far, interim ones included; may be empty.
        language: BCP 47 tag of the conversation.
    """

    pcm: bytes
    sample_rate: int
    transcript: str = ""
    language: str = "en"


@attrs.frozen
class SpokenAudio:
    """A piece of synthesised speech.

    ``text`` stands on the first piece of each sentence and says which text the sound from here on speaks; an
    empty one stands on every piece of sound without words, such as music.
    ``words`` may follow on any piece, their times counted from the start of that sentence's sound.
    """

    audio: bytes
    text: str | None = None
    words: tuple[Word, ...] = ()


# --- what a carrier says ------------------------------------------------------------------------------------


@attrs.frozen
class StreamStarted:
    """The carrier opened a call's media stream."""

    stream_id: str
    call_id: str
    parameters: Mapping[str, str] = attrs.field(factory=dict[str, str])
    audio: AudioFormat = MULAW_8K


@attrs.frozen
class AudioReceived:
    """A frame of the caller's sound; ``at`` is its media time in seconds since the stream started."""

    audio: bytes
    at: float


@attrs.frozen
class MarkPlayed:
    """The carrier has played (or cleared) everything sent before the mark of this name."""

    name: str


@attrs.frozen
class DigitPressed:
    """The caller pressed a key of the phone."""

    digit: str


@attrs.frozen
class StreamStopped:
    """The carrier says that the stream is over: the caller hung up, or the call was redirected."""


CarrierEvent = StreamStarted | AudioReceived | MarkPlayed | DigitPressed | StreamStopped


# --- what a model says --------------------------------------------------------------------------------------


@attrs.frozen
class LLMChunk:
    """A piece of a model's answer: ``text``, a ``tool_call``, the ``usage`` count, or ``done``.

    A tool call may come in pieces that share an ``index``; ``arguments`` is JSON text to be joined.
    Token counts stand on ``usage`` chunks.
    """

    type: Literal["text", "tool_call", "done", "usage"]
    content: str = ""
    index: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


# --- what happened in the call ------------------------------------------------------------------------------


@attrs.frozen
class CallInfo:
    """Who is on the line. ``custom_params`` are the parameters that came with the stream."""

    call_id: str
    caller: str = ""
    callee: str = ""
    direction: Direction = "inbound"
    telephony_provider: str = ""
    custom_params: Mapping[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen(kw_only=True)
class CallEvent:
    """Something that happened in a call, told to its listeners.

    ``time`` is the call's trio clock in seconds; ``timestamp_ms`` is wall time (epoch) for people and logs.
    """

    name: ClassVar[str] = "call_event"

    call_id: str
    time: float
    timestamp_ms: int

    def payload(self) -> dict[str, Any]:
        """The fields as a plain dict; ``None`` values and the trio clock are left out."""
        fields = attrs.asdict(self, recurse=False)
        del fields["time"]
        return {key: value for key, value in fields.items() if value is not None}


@attrs.frozen(kw_only=True)
class CallAccepted(CallEvent):
    """The media stream is up and the agent is on the line."""

    name: ClassVar[str] = "call_accepted"

    info: CallInfo


@attrs.frozen(kw_only=True)
class DigitReceived(CallEvent):
    """The caller pressed a key of the phone."""

    name: ClassVar[str] = "digit_received"

    digit: str


@attrs.frozen(kw_only=True)
class DigitsSent(CallEvent):
    """The agent's side has pressed keys; those of a sequence that broke off are the ones before that."""

    name: ClassVar[str] = "digits_sent"

    digits: str


@attrs.frozen(kw_only=True)
class HoldChanged(CallEvent):
    """The caller was put on hold, or the agent is back."""

    name: ClassVar[str] = "hold_changed"

    on_hold: bool


@attrs.frozen(kw_only=True)
class MuteChanged(CallEvent):
    """The agent's ears were closed, or opened again."""

    name: ClassVar[str] = "mute_changed"

    muted: bool


@attrs.frozen(kw_only=True)
class UserSpeechStarted(CallEvent):
    """The detector began to hear the caller: the raw edge, not the end of anything."""

    name: ClassVar[str] = "user_speech_started"

    vad_confidence: float | None = None
    audio_offset_ms: int | None = None


@attrs.frozen(kw_only=True)
class UserSpeechEnded(CallEvent):
    """The detector stopped hearing the caller: the raw edge, they may go on."""

    name: ClassVar[str] = "user_speech_ended"

    speech_duration_ms: int
    vad_confidence: float | None = None
    audio_offset_ms: int | None = None


@attrs.frozen(kw_only=True)
class UserSpeechEos(CallEvent):
    """The utterance is committed: the caller has finished, as far as this call is concerned."""

    name: ClassVar[str] = "user_speech_eos"

    trigger: EouTrigger
    trailing_silence_ms: int | None = None
    transcript_so_far: str | None = None


@attrs.frozen(kw_only=True)
class AgentSpeechStarted(CallEvent):
    """The first frame of the agent's turn went out on the wire."""

    name: ClassVar[str] = "agent_speech_started"

    turn_idx: int
    tts_provider: str | None = None
    engine: str | None = None


@attrs.frozen(kw_only=True)
class AgentSpeechEnded(CallEvent):
    """The last frame of the agent's turn was heard, or the turn was cut."""

    name: ClassVar[str] = "agent_speech_ended"

    turn_idx: int
    speech_duration_ms: int
    interrupted: bool


@attrs.frozen(kw_only=True)
class LlmToken(CallEvent):
    """The first token of the turn arrived."""

    name: ClassVar[str] = "llm_token"

    turn_idx: int
    llm_provider: str
    model: str


@attrs.frozen(kw_only=True)
class AudioOut(CallEvent):
    """The first synthesised sound of the turn exists (it has not been sent yet)."""

    name: ClassVar[str] = "audio_out"

    turn_idx: int
    tts_provider: str


@attrs.frozen(kw_only=True)
class LlmText(CallEvent):
    """A piece of what the model writes. Told only while somebody is subscribed to ``LLM_CHUNK``."""

    name: ClassVar[str] = "llm_text"

    turn_idx: int
    text: str


@attrs.frozen(kw_only=True)
class TtsSound(CallEvent):
    """A piece of sound came from the voice, ``size`` bytes in its own format.

    Told only while somebody is subscribed to ``TTS_CHUNK``.
    """

    name: ClassVar[str] = "tts_sound"

    turn_idx: int
    size: int


@attrs.frozen(kw_only=True)
class TranscriptHeard(CallEvent):
    """A recogniser's result, interim or final, or the agent's words as heard (``role="assistant"``)."""

    name: ClassVar[str] = "transcript"

    role: Role
    text: str
    is_final: bool = True


@attrs.frozen(kw_only=True)
class ToolStarted(CallEvent):
    """The model calls a tool; ``arguments`` is JSON text as the model wrote it."""

    name: ClassVar[str] = "tool_started"

    turn_idx: int
    tool: str
    arguments: str


@attrs.frozen(kw_only=True)
class ToolFinished(CallEvent):
    """A tool has answered; ``result`` is what the model is told, and ``error`` why it is no success."""

    name: ClassVar[str] = "tool_finished"

    turn_idx: int
    tool: str
    result: str
    ok: bool
    duration_ms: float
    error: str | None = None


@attrs.frozen(kw_only=True)
class FloorHeld(CallEvent):
    """The caller spoke over the agent: the gate is closed, nothing more is sent for now."""

    name: ClassVar[str] = "floor_held"

    turn_idx: int


@attrs.frozen(kw_only=True)
class FloorReleased(CallEvent):
    """A false interruption: the gate is open again and the agent goes on where it stopped."""

    name: ClassVar[str] = "floor_released"

    turn_idx: int
    held_ms: int


@attrs.frozen(kw_only=True)
class FloorTaken(CallEvent):
    """The caller has the floor: the turn was cancelled, it has ended, and ``clear`` was sent.

    ``phase`` is what the agent was doing. ``onset_to_clear_ms`` counts from the detector's edge,
    ``cancel_ms`` from the cancellation to the join of the turn's nursery. ``report`` is the whole
    :class:`patter_trio.CancelReport`.
    """

    name: ClassVar[str] = "floor_taken"

    turn_idx: int
    phase: Literal["thinking", "speaking"]
    onset_to_clear_ms: float
    cancel_ms: float
    frames_unsent: int
    text_unheard: str
    report: Any = None


@attrs.frozen(kw_only=True)
class UserAway(CallEvent):
    """Nobody has spoken for ``silent_ms``: the caller seems to have left the phone."""

    name: ClassVar[str] = "user_away"

    silent_ms: int


@attrs.frozen(kw_only=True)
class UtterancePassedOver(CallEvent):
    """Words over the agent that no strategy took for more than a sign of listening: they get no answer."""

    name: ClassVar[str] = "utterance_passed_over"

    text: str


@attrs.frozen(kw_only=True)
class UtteranceOvertaken(CallEvent):
    """The caller went on before the answer began: these words are answered with the ones that follow."""

    name: ClassVar[str] = "utterance_overtaken"

    text: str


@attrs.frozen(kw_only=True)
class TurnFailed(CallEvent):
    """A stage of the turn failed; the call goes on."""

    name: ClassVar[str] = "turn_failed"

    turn_idx: int
    code: str
    message: str


@attrs.frozen(kw_only=True)
class TurnEnded(CallEvent):
    """A turn is over, with the record of it (a :class:`patter_trio._turns.latency.TurnMetrics`)."""

    name: ClassVar[str] = "turn_ended"

    turn_idx: int
    kind: TurnKind
    metrics: Any = None


@attrs.frozen(kw_only=True)
class CallEnded(CallEvent):
    """The call is over; ``reason`` says how it ended and ``error_code`` what broke, if anything did."""

    name: ClassVar[str] = "call_ended"

    outcome: str
    reason: str
    error_code: str | None = None
