"""What a voice activity detector must do."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from ..._audio import g711
from ...abc import Opens, SpeechDetector, VADProvider
from ...events import MULAW_8K
from ..wordsound import noise, speak_words
from ._conduct import conduct, expect, opened

__all__ = ["check_vad"]

# Windows may go through a model in batches, whose last bits depend on the batch.
_SAME = 1e-3
_TIMEOUT_SECONDS = 60.0


async def check_vad(
    provider: VADProvider | Opens[VADProvider],
    *,
    sample_rate: int = 8000,
    speech: bytes | None = None,
    seed: int = 0,
) -> None:
    """Checks a voice activity detector.

    One probability between 0 and 1 per window; how the sound is cut changes nothing; two detectors do not
    know of each other; silence is no speech, and ``speech``, where it is given, is.

    Args:
        provider: settings of the detector.
        sample_rate: of the sound.
        speech: human speech in linear16 at ``sample_rate``, at least half a second, that must be noticed.
        seed: of the random cuts.

    Raises:
        AssertionError: it does not conform.
    """
    sound = speech or g711.decode(speak_words("good morning") + noise(0.3) + speak_words("again"), MULAW_8K)
    sound = bytes(sample_rate) + sound + bytes(sample_rate)  # half a second of silence around it
    async with opened(provider) as live:
        expect(
            isinstance(live, VADProvider),
            "a VADProvider has a name, thresholds and open_detector(sample_rate)",
        )
        thresholds = live.thresholds
        expect(
            0 <= thresholds.release <= thresholds.onset <= 1, "thresholds lie as 0 <= release <= onset <= 1"
        )
        expect(thresholds.onset_windows >= 1, "onset_windows is at least 1")

        async def detects() -> None:
            whole = _run(live.open_detector(sample_rate), [sound])
            _judge_probabilities(live, sample_rate, sound, whole)
            random = Random(seed)
            for cuts in (
                _cut(sound, [320]),
                _cut(sound, [2]),
                _cut(sound, random.choices(range(2, 3000, 2), k=50)),
            ):
                _expect_same(whole, _run(live.open_detector(sample_rate), cuts), "how the sound is cut")
            _expect_same(whole, _run_beside(live, sample_rate, sound), "another detector beside it")
            silence = _run(live.open_detector(sample_rate), [bytes(2 * sample_rate)])
            expect(max(silence, default=0.0) < thresholds.onset, "silence is taken for speech")
            if speech is not None:
                expect(max(whole) >= thresholds.onset, "the speech is not noticed")

        await conduct("detecting", detects, _TIMEOUT_SECONDS)


def _run(detector: SpeechDetector, blocks: Sequence[bytes]) -> list[float]:
    return [probability for block in blocks for probability in detector.feed(block)]


def _run_beside(provider: VADProvider, sample_rate: int, sound: bytes) -> list[float]:
    """The probabilities of a detector while a second one hears noise in between."""
    detector, other = provider.open_detector(sample_rate), provider.open_detector(sample_rate)
    probabilities: list[float] = []
    for block in _cut(sound, [640]):
        probabilities += detector.feed(block)
        other.feed(g711.decode(noise(0.1), MULAW_8K))
    return probabilities


def _cut(sound: bytes, sizes: Sequence[int]) -> list[bytes]:
    blocks: list[bytes] = []
    while sound:
        size = sizes[len(blocks) % len(sizes)]
        blocks.append(sound[:size])
        sound = sound[size:]
    return [b"", *blocks]


def _judge_probabilities(
    provider: VADProvider, sample_rate: int, sound: bytes, probabilities: Sequence[float]
) -> None:
    window = provider.open_detector(sample_rate).window
    expect(window > 0, "window is a length in seconds")
    expected = len(sound) // (2 * round(window * sample_rate))
    expect(
        len(probabilities) == expected,
        f"{len(sound) / 2 / sample_rate:.2f} s of sound has {expected} windows, not {len(probabilities)}",
    )
    expect(all(0 <= probability <= 1 for probability in probabilities), "a probability lies between 0 and 1")


def _expect_same(whole: Sequence[float], other: Sequence[float], cause: str) -> None:
    same = len(whole) == len(other) and all(
        abs(one - two) <= _SAME for one, two in zip(whole, other, strict=True)
    )
    expect(same, f"{cause} changes the probabilities")
