"""What a demo call leaves behind in its folder: the sound, the words, the times and the picture."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import attrs

from ..errors import MissingExtraError, PatterConfigError
from .record import CallArtefacts, CallTurn, FloorChange, ScriptStep
from .timeline import timeline_png, timeline_svg

__all__ = [
    "CallArtefacts",
    "CallTurn",
    "FloorChange",
    "ScriptStep",
    "latency_record",
    "latency_table",
    "transcript_record",
    "wav_bytes",
    "write_artefacts",
]


def write_artefacts(
    call: CallArtefacts, folder: Path, *, say: Callable[[str], object] = lambda line: None
) -> list[Path]:
    """Writes call.wav, transcript.json, latency.json, timeline.svg and, with Pillow, timeline.png.

    Files of the same name are replaced, each at once and whole; nothing else in ``folder`` is touched.
    ``say`` receives one line of progress per file. Returns the files written. Blocking: call it in a thread.

    Raises:
        PatterConfigError: the folder cannot be created or written.
    """
    made: list[tuple[str, Callable[[], bytes]]] = [
        ("call.wav", lambda: wav_bytes(call)),
        ("transcript.json", lambda: _json(transcript_record(call))),
        ("latency.json", lambda: _json(latency_record(call))),
        ("timeline.svg", lambda: timeline_svg(call).encode()),
        ("timeline.png", lambda: timeline_png(call)),
    ]
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in made:
            try:
                content = make()
            except MissingExtraError as error:
                say(f"not written: {name}: {error}")
                continue
            replaced = _write(folder / name, content)
            written.append(folder / name)
            say(f"{'replaced' if replaced else 'wrote'} {folder / name} ({_size(len(content))})")
    except OSError as error:
        hint = "name a folder you may write to: --out DIR"
        raise PatterConfigError(f"Cannot write to {folder}: {error.strerror or error}", hint=hint) from error
    return written


def wav_bytes(call: CallArtefacts) -> bytes:
    """The recording as a WAV file: 16 bit, left the caller, right the agent as heard."""
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(call.sample_rate)
        out.writeframes(call.audio)
    return file.getvalue()


def transcript_record(call: CallArtefacts) -> dict[str, Any]:
    """The conversation: every turn with what was heard and what was cut, floor changes, script steps."""
    return {
        "title": call.title,
        "conditions": dict(call.conditions),
        "summary": call.summary(),
        "turns": [_without_none(attrs.asdict(turn)) for turn in call.turns],
        "floor": [_without_none(attrs.asdict(change)) for change in call.floor],
        "steps": [_without_none(attrs.asdict(step)) for step in call.steps],
    }


def latency_record(call: CallArtefacts) -> dict[str, Any]:
    """Milliseconds: per turn the reply gap and its parts, per barge-in onset to silence, and the summary."""
    return {
        "unit": "ms",
        "summary": call.summary(),
        "turns": [
            {
                "idx": turn.idx,
                "kind": turn.kind,
                "interrupted": turn.interrupted,
                "reply_gap": _ms(turn.gap_ms),
            }
            | {name: _ms(value) for name, value in turn.latencies.items()}
            for turn in call.turns
        ],
        "barge_ins": [
            {"turn_idx": change.turn_idx, "onset_to_silence": _ms(change.reaction_ms)}
            for change in call.floor
            if change.kind == "taken"
        ],
    }


def latency_table(call: CallArtefacts) -> str:
    """The per-turn latencies as an aligned text table, one line per turn."""
    names = list(dict.fromkeys(name for turn in call.turns for name in turn.latencies))
    head = ["turn", "kind", "reply gap", *names, "agent"]
    rows = [
        [
            *(str(turn.idx), turn.kind, _cell(turn.gap_ms)),
            *(_cell(turn.latencies.get(name)) for name in names),
            "interrupted" if turn.interrupted else "heard",
        ]
        for turn in call.turns
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    texts = (0, 1, len(head) - 1)
    lines = [
        "  ".join(
            cell.ljust(w) if n in texts else cell.rjust(w)
            for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [head, ["-" * width for width in widths], *rows]
    ]
    return "\n".join(line.rstrip() for line in lines)


def _write(path: Path, content: bytes) -> bool:
    """Writes beside the file and renames, so that a picture viewer never sees half of it."""
    replaced = path.exists()
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
    return replaced


def _json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def _without_none(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in record.items()
        if value is not None
    }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"
