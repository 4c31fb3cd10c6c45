"""When each stage of a turn happened, and what that means in milliseconds."""

from __future__ import annotations

import attrs

from .cancelled import CancelReport
from .usage import Usage

__all__ = ["LatencyBreakdown", "TurnMetrics", "TurnTimes"]


@attrs.frozen
class LatencyBreakdown:
    """A turn's latencies in milliseconds; ``None`` where that stage did not happen.

    Args:
        endpoint_ms: the caller's last voiced sound to the committed utterance.
        stt_ms: the detector's trailing edge to the final result.
        llm_ttft_ms: the committed utterance to the first token.
        llm_total_ms: the committed utterance to the last word written.
        tts_ms: the first sentence written to its first sound.
        tts_total_ms: the first sentence written to the last sound of the voice.
        agent_response_ms: the caller's last voiced sound to the first frame on the wire: what they wait.
        bargein_ms: the detector's edge to ``clear`` written, for a turn that was cut.
        user_speech_duration_ms: how long the caller spoke.
        total_ms: the turn's start to its end.
    """

    endpoint_ms: float | None = None
    stt_ms: float | None = None
    llm_ttft_ms: float | None = None
    llm_total_ms: float | None = None
    tts_ms: float | None = None
    tts_total_ms: float | None = None
    agent_response_ms: float | None = None
    bargein_ms: float | None = None
    user_speech_duration_ms: float | None = None
    total_ms: float | None = None


@attrs.frozen
class TurnMetrics:
    """The record of one turn, emitted when it ends, however it ends.

    Args:
        preempted: the answer was begun before the caller's words were final.
        filled: the pause before the answer was filled with ``long_turn_message``.
        hedges: requests made because the first one was slow, and of those ``hedges_won`` the first to speak.
        usage: what the model was asked and gave.
        wasted: the same for requests whose answers nobody needed; without the provider's own count a piece
            of text counts as a token.
        cancel: for a turn that was cancelled, what it was doing and how it stopped.
    """

    turn_index: int
    kind: str
    user_text: str
    agent_text: str
    unheard_text: str
    interrupted: bool
    latency: LatencyBreakdown
    tts_characters: int
    audio_sent_seconds: float
    audio_heard_seconds: float
    timestamp: float
    error_code: str | None = None
    preempted: bool = False
    filled: bool = False
    hedges: int = 0
    hedges_won: int = 0
    usage: Usage = attrs.field(factory=Usage)
    wasted: Usage = attrs.field(factory=Usage)
    cancel: CancelReport | None = None


@attrs.define
class TurnTimes:
    """Clock times of a turn's stages, written by the stages themselves, in seconds."""

    started: float
    speech_started: float | None = None
    speech_ended: float | None = None
    trailing_silence: float = 0.0
    final: float | None = None
    committed: float | None = None
    first_token: float | None = None
    written: float | None = None
    first_sentence: float | None = None
    first_audio: float | None = None
    synthesised: float | None = None
    first_frame: float | None = None
    floor_lost: float | None = None
    cancelled: float | None = None
    cleared: float | None = None
    ended: float | None = None

    def breakdown(self) -> LatencyBreakdown:
        """The differences that people look at."""
        quiet_since = None if self.speech_ended is None else self.speech_ended - self.trailing_silence
        return LatencyBreakdown(
            endpoint_ms=_ms(quiet_since, self.committed),
            stt_ms=_ms(self.speech_ended, self.final),
            llm_ttft_ms=_ms(self.committed, self.first_token),
            llm_total_ms=_ms(self.committed, self.written),
            tts_ms=_ms(self.first_sentence, self.first_audio),
            tts_total_ms=_ms(self.first_sentence, self.synthesised),
            agent_response_ms=_ms(quiet_since, self.first_frame),
            bargein_ms=_ms(self.floor_lost, self.cleared),
            user_speech_duration_ms=_ms(self.speech_started, quiet_since),
            total_ms=_ms(self.started, self.ended),
        )


def _ms(start: float | None, end: float | None) -> float | None:
    # An answer that was begun before the words were final has its first token before the commit: no wait.
    return None if start is None or end is None else round(max(0.0, end - start) * 1000, 3)
