"""The Moonshine network on plain onnxruntime: sound in, words out. Blocking; threads may share one.

Facts read from the graphs: the encoder takes float samples at 16 kHz and gives a state per 384 of them; the
decoder takes one token and its past keys and values, starts with token 1 and ends with 2. After the first
step the keys of the encoder stay as they are and only the decoder's own grow. The vocabulary file is a list
of byte strings, each behind its length (two bytes, low seven bits first, from 128 on); U+2581 is a space.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ..errors import RecognizerError
from .models import open_onnx

__all__ = ["Heard", "Listening", "Moonshine", "without_echoes"]

SAMPLE_RATE = 16000

_START, _END = 1, 2
# Fast speech is about 4 tokens a second; Moonshine's authors allow 6.5 before they call it a loop.
_TOKENS_PER_SECOND = 6.5
_TOKENS_AT_LEAST = 6
# Shorter sound than the encoder's first window of context gives nothing but guesses.
_SHORTEST = SAMPLE_RATE // 10
# A phrase that comes this often in a row, over at least this many tokens, is the decoder talking to itself:
# telephone numbers repeat a digit three or four times.
_ECHO_TIMES, _ECHO_TOKENS, _ECHO_LONGEST = 4, 12, 8


@attrs.frozen
class Heard:
    """The words of a piece of sound, and the geometric mean of the tokens' probabilities."""

    text: str
    confidence: float


class Listening:
    """A recognition that may be told to stop from another thread: within a few milliseconds it does."""

    def __init__(self) -> None:
        import onnxruntime

        self.options = onnxruntime.RunOptions()
        # A run that is stopped is no error to be printed.
        self.options.log_severity_level = 4

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return bool(self.options.terminate)

    def stop(self) -> None:
        """Ends it, between two steps of the network."""
        self.options.terminate = True


class Moonshine:
    """A loaded model.

    Args:
        folder: holds ``encoder_model.ort``, ``decoder_model_merged.ort`` and ``tokenizer.bin``.
        instead: the alternative named where onnxruntime is missing.
    """

    def __init__(self, folder: Path, instead: str) -> None:
        self._encoder = open_onnx(folder / "encoder_model.ort", "MoonshineSTT", instead)
        self._decoder = open_onnx(folder / "decoder_model_merged.ort", "MoonshineSTT", instead)
        self._vocabulary = _read_vocabulary((folder / "tokenizer.bin").read_bytes())
        self._encoder_masked = "attention_mask" in _names(self._encoder)
        self._decoder_masked = "encoder_attention_mask" in _names(self._decoder)
        self._past = {
            put.name: np.zeros((1, put.shape[1], 0, put.shape[3]), np.float32)
            for put in self._decoder.get_inputs()
            if put.name.startswith("past_key_values")
        }
        # What the first step gives, and what the others need: the encoder's keys are copied out once only.
        self._first_outputs = [put.name for put in self._decoder.get_outputs()]
        self._outputs = [name for name in self._first_outputs if ".encoder." not in name]

    def recognise(self, samples: NDArray[np.float32], listening: Listening) -> Heard:
        """The words in ``samples`` (16 kHz, full scale 1.0); what is there so far if ``listening`` stopped.

        Raises:
            RecognizerError: the network failed.
        """
        if len(samples) < _SHORTEST:
            return Heard("", 0.0)
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail

        try:
            return self._decode(self._encode(samples, listening), len(samples), listening)
        except Fail as error:
            if listening.stopped:
                return Heard("", 0.0)
            raise RecognizerError(f"Moonshine failed: {error}") from error

    def _encode(self, samples: NDArray[np.float32], listening: Listening) -> NDArray[np.float32]:
        feed: dict[str, Any] = {"input_values": samples[np.newaxis]}
        if self._encoder_masked:
            feed["attention_mask"] = np.ones((1, len(samples)), np.int64)
        hidden: NDArray[np.float32] = self._encoder.run(None, feed, listening.options)[0]
        return hidden

    def _decode(self, hidden: NDArray[np.float32], samples: int, listening: Listening) -> Heard:
        feed: dict[str, Any] = {"encoder_hidden_states": hidden, **self._past}
        if self._decoder_masked:
            # The graph takes every 384th element of a mask over samples; one element stands for all.
            feed["encoder_attention_mask"] = np.ones((1, 1), np.int64)
        tokens: list[int] = []
        certainty = 0.0
        token = _START
        most = int(samples / SAMPLE_RATE * _TOKENS_PER_SECOND) + _TOKENS_AT_LEAST
        while len(tokens) < most and not listening.stopped:
            feed["input_ids"] = np.array([[token]], np.int64)
            feed["use_cache_branch"] = np.array([bool(tokens)])
            names = self._outputs if tokens else self._first_outputs
            results = dict(zip(names, self._decoder.run(names, feed, listening.options), strict=True))
            token, log_probability = _best(results.pop("logits")[0, -1])
            if token == _END:
                break
            feed.update((name.replace("present", "past_key_values"), keys) for name, keys in results.items())
            tokens.append(token)
            certainty += log_probability
            kept = without_echoes(tokens)
            if len(kept) < len(tokens):
                tokens = list(kept)
                break
        return Heard(self._text(tokens), float(np.exp(certainty / len(tokens))) if tokens else 0.0)

    def _text(self, tokens: Sequence[int]) -> str:
        spoken = b"".join(self._vocabulary[token] for token in tokens).decode("utf-8", "replace")
        # After "p.m." the decoder sets another full stop.
        return re.sub(r"(?<!\.)\.\.$", ".", spoken.replace("\u2581", " ").strip())


def without_echoes(tokens: Sequence[int]) -> Sequence[int]:
    """``tokens``, or them with one copy of a phrase that repeats at their end."""
    for length in range(1, _ECHO_LONGEST + 1):
        times = max(_ECHO_TIMES, -(-_ECHO_TOKENS // length))
        if len(tokens) < length * times:
            continue
        tail = list(tokens[-length * times :])
        if tail == tail[:length] * times:
            return tokens[: len(tokens) - length * (times - 1)]
    return tokens


def _best(logits: NDArray[np.float32]) -> tuple[int, float]:
    token = int(logits.argmax())
    return token, -float(np.log(np.exp(logits - logits[token]).sum()))


def _names(session: Any) -> set[str]:
    return {put.name for put in session.get_inputs()}


def _read_vocabulary(data: bytes) -> list[bytes]:
    words: list[bytes] = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            length += 128 * (data[at] - 1)
            at += 1
        words.append(data[at : at + length])
        at += length
    return words
