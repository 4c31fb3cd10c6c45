"""From speech probabilities to speech edges, counting windows."""

from __future__ import annotations

import attrs

from ..abc import DetectorThresholds

__all__ = ["CallerSpeech", "SpeechTracker"]


@attrs.frozen
class CallerSpeech:
    """Whether the caller is speaking: a level that has one writer and any number of readers.

    Args:
        speaking: between the positive and the trailing edge.
        voiced: seconds of voiced windows since the positive edge, the windows that made it included.
        since: clock time of the positive edge.
        until: clock time of the trailing edge, of a speech that is over.
    """

    speaking: bool = False
    voiced: float = 0.0
    since: float = 0.0
    until: float = 0.0


class SpeechTracker:
    """Hysteresis over a detector's probabilities.

    Speech begins after ``onset_windows`` voiced windows in a row and ends after ``min_silence`` seconds in
    which no window reached ``release``. ``voiced`` counts only windows in which there was a voice: a cough
    of 0.1 s followed by the silence that ends it stays a cough of 0.1 s.
    """

    def __init__(self, thresholds: DetectorThresholds, window: float) -> None:
        self._thresholds = thresholds
        self._window = window
        self._run = 0
        self._silent = 0.0
        self.speaking = False
        self.voiced = 0.0
        self.confidence = 0.0

    @property
    def onset_delay(self) -> float:
        """Seconds of speech that had passed when the positive edge was seen."""
        return self._thresholds.onset_windows * self._window

    @property
    def trailing_silence(self) -> float:
        """Seconds since the last voiced window of the running (or just ended) speech."""
        return self._silent

    def feed(self, probability: float) -> bool | None:
        """Takes one window; returns ``True`` for a positive edge, ``False`` for a trailing one."""
        self.confidence = probability
        if not self.speaking:
            if probability < self._thresholds.onset:
                self._run = 0
                return None
            self._run += 1
            if self._run < self._thresholds.onset_windows:
                return None
            self.speaking = True
            self.voiced = self._run * self._window
            self._silent = 0.0
            return True
        if probability >= self._thresholds.release:
            self.voiced += self._window
            self._silent = 0.0
            return None
        self._silent += self._window
        # Half a window of tolerance: sums of binary fractions must not decide which window ends the speech.
        if self._silent < self._thresholds.min_silence - self._window / 2:
            return None
        self.speaking = False
        self._run = 0
        return False
