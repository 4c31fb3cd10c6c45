"""Smart Turn: a network that hears whether a caller has finished or is looking for a word.

Model facts (BSD-2-Clause, version 3.2, read from the ONNX graph): ``input_features`` is ``[n, 80, 800]``, the
Whisper picture of the last 8 s at 16 kHz, shorter sound behind silence; the one output is a probability,
whatever it is called. The weights have 8 bits, 8.7 MB; a question costs 50 ms of CPU whatever the length of
the sound, and asking for two at once saves nothing.

What it tells on telephone sound of 8 kHz after 0.25 s of silence (measured, single sentences): it lets go
96 % of those that a human spoke to their end and all of a voice's, and holds 52 % and 38 % of the same ones
broken off between two words. The longer the silence in the window, the surer it is of an end: after 1 s it
still holds 30 % and 14 %.

The weights are read from the wheel ``pipecat-ai`` (pure, Python 3.11 and later, 30 MB) and none of that
package's code is imported, nor what it depends on: another 260 MB, which nothing here uses. Who does not want
them on their disk installs that wheel with ``--no-deps``, or gives a file of their own.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from .._local import LoadOnce, in_thread, open_onnx, require_package
from .._local.segment import as_samples
from .._local.whisper_mel import BANDS, HOP, SAMPLE_RATE, log_mel, normalised
from ..errors import MissingExtraError, PatterConfigError, ProviderError
from ..events import AudioFormat, TurnWindow

__all__ = ["SmartTurn", "TurnDetector"]

_INSTEAD = (
    "or only the file: pip install onnxruntime, and pip install --no-deps pipecat-ai; "
    "or SmartTurn(model_path=…), also PATTER_SMART_TURN_MODEL, names a file of your own"
)
_EXTRA = "turn"
_SECONDS = 8
_SAMPLES = _SECONDS * SAMPLE_RATE


def _from_environment() -> Path | str | None:
    return os.environ.get("PATTER_SMART_TURN_MODEL") or None


@attrs.frozen
class SmartTurn:
    """Smart Turn v3 on this machine's CPU: it hears the melody, and never reads the words.

    Args:
        threshold: the probability from which on the caller counts as finished; higher waits more often.
        model_path: an ONNX file of Smart Turn v3; by default the one that ``PATTER_SMART_TURN_MODEL`` names
            when the settings are made, else that of the installed wheel.

    Raises:
        PatterConfigError: the threshold is out of range, or ``model_path`` is no file.
        MissingExtraError: the model or onnxruntime is not installed.
    """

    threshold: float = 0.5
    model_path: Path | str | None = attrs.field(factory=_from_environment)
    name: str = "smart-turn"

    def __attrs_post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise PatterConfigError(f"SmartTurn needs 0 < threshold < 1, not {self.threshold}")
        require_package("onnxruntime", "SmartTurn", _INSTEAD, _EXTRA)
        if not self._file().is_file():
            raise PatterConfigError(
                f"SmartTurn finds no model at {self.model_path}",
                hint="model_path and PATTER_SMART_TURN_MODEL name an .onnx file of Smart Turn v3",
            )

    def _file(self) -> Path:
        return _bundled() if self.model_path is None else Path(self.model_path)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SmartTurn]:
        """Loads the process's one model of that file in a thread, unless it is there already.

        Raises:
            PatterConfigError: the file is no model of Smart Turn v3.
        """
        await in_thread(lambda: _models.get(str(self._file())))
        yield self

    async def predict(self, window: TurnWindow) -> float:
        """The probability that the caller has finished, computed in a thread; any sample rate will do.

        Outside of :meth:`open` the first question also loads the model.

        Raises:
            PatterConfigError: the sample rate is in no simple ratio to 16 kHz.
            ProviderError: the network failed.
        """
        return await in_thread(lambda: _judge(_models.get(str(self._file())), window))


def _bundled() -> Path:
    """The newest model in the wheel that runs on a CPU."""
    package = require_package("pipecat", "SmartTurn", _INSTEAD, _EXTRA)
    found = sorted((package / "audio/turn/smart_turn/data").glob("smart-turn-v3*-cpu.onnx"))
    if not found:
        # PyPI also has a package that is called pipecat and has nothing to do with it.
        raise MissingExtraError(
            "SmartTurn needs the model in pipecat-ai, and what is installed as pipecat has none",
            hint=f"pip install 'patter-trio[{_EXTRA}]' in a fresh environment; {_INSTEAD}",
        )
    return found[-1]


def _load(path: str) -> Any:
    state: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")

    try:
        session = open_onnx(Path(path), "SmartTurn", _INSTEAD, _EXTRA)
    except (state.InvalidProtobuf, state.InvalidGraph, state.InvalidArgument, state.Fail) as error:
        raise PatterConfigError(f"SmartTurn cannot read {path}: {error}") from error
    shapes = {put.name: put.shape[1:] for put in session.get_inputs()}
    if shapes != {"input_features": [BANDS, _SAMPLES // HOP]} or len(session.get_outputs()) != 1:
        raise PatterConfigError(
            f"{path} is no model of Smart Turn v3: it takes {shapes}",
            hint=f"wanted is input_features of [n, {BANDS}, {_SAMPLES // HOP}] and one output",
        )
    return session


_models = LoadOnce(_load)


def _judge(session: Any, window: TurnWindow) -> float:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, RuntimeException

    features = log_mel(normalised(_last_seconds(window)))
    try:
        (probabilities,) = session.run(None, {"input_features": features[np.newaxis]})
    except (Fail, RuntimeException) as error:
        raise ProviderError(f"Smart Turn failed: {error}") from error
    return float(np.clip(probabilities[0, 0], 0.0, 1.0))


def _last_seconds(window: TurnWindow) -> NDArray[np.float32]:
    """Exactly 8 s that end with the window, at the model's rate; what is missing is silence before it."""
    audio = AudioFormat("linear16", window.sample_rate)
    pcm = window.pcm[: len(window.pcm) // 2 * 2]
    pcm = pcm[max(0, len(pcm) - audio.bytes_for(_SECONDS)) :]
    samples = as_samples(pcm, audio, SAMPLE_RATE)[-_SAMPLES:]
    return np.concatenate([np.zeros(_SAMPLES - len(samples), np.float32), samples])


TurnDetector = SmartTurn
