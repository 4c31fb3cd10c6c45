"""What the sound of a call costs, in microseconds per 20 ms frame and as a multiple of the plainest way.

In: a message is decoded, put in order and made linear, as µ-law at 8 kHz (the baseline), A-law and linear16
at 16 kHz; then what an agent may ask for, a high-pass and an even level. Out: a frame is taken from the
playout, accounted, encoded and given to a socket that takes everything, for the same formats (the baseline is
µ-law as the voice gave it); then with a background under it, and the background alone. Both ways: what a
recording adds, and what its thread has to write.

Each step is repeated in batches; p50, p99 and max are over the batches, per single frame. A ratio is the
step's own p50 over that of its baseline, measured in the same run.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import trio

from _picture import Bar, bars, save
from _report import (
    Row,
    machine,
    percentile,
    print_machine,
    print_rows,
    read_options,
    row_of,
    write_report,
)
from hops import STREAM, NullSocket, timed
from patter_trio._actors.accompany import AccompaniedLeg
from patter_trio._actors.leg import Leg
from patter_trio._audio import g711
from patter_trio._audio.background import AudioConfig, BackgroundAudioPlayer
from patter_trio._audio.inbound import AgcConfig, AutomaticGain, HighPass
from patter_trio._audio.order import FrameOrder
from patter_trio._audio.tape import Tape
from patter_trio._audio.wav import WavWriter
from patter_trio._turns.ledger import Ledger
from patter_trio._turns.playout import Playout
from patter_trio._wire.twilio import TwilioWire
from patter_trio._wire.twilio_far import FarStream
from patter_trio.events import LINEAR_16K, MULAW_8K, AudioFormat, AudioReceived

FORMATS = {"mulaw_8k": MULAW_8K, "alaw_8k": AudioFormat("alaw"), "linear_16k": LINEAR_16K}
# The baselines: every other step of the same direction is a multiple of them.
IN, OUT = "in_mulaw_8k", "out_mulaw_8k"
SECOND = Random(1).randbytes(8000)


class AnyWire(TwilioWire):
    """Twilio's messages around sound of any format."""

    def __init__(self, audio: AudioFormat) -> None:
        super().__init__()
        for message in self.far.opening({}):
            self.decode(message)
        self._audio = audio

    @property
    def far(self) -> FarStream:
        return FarStream(STREAM, call_sid="CA" + "0" * 32, account_sid="AC" + "0" * 32)


def frames_of(audio: AudioFormat) -> list[bytes]:
    """A second of noise in 50 frames."""
    pcm = g711.decode(SECOND, MULAW_8K) * (audio.sample_rate // 8000)
    sound, size = g711.encode(pcm, audio), audio.bytes_for(0.02)
    return [sound[at : at + size] for at in range(0, len(sound), size)]


def hearing(audio: AudioFormat) -> Callable[[int], Any]:
    wire, order = AnyWire(audio), FrameOrder(audio)
    frames, far = frames_of(audio), wire.far

    # Only the media time changes from message to message: the carrier's own work is not ours.
    template = far.media(frames[0], 0)
    assert '"timestamp":"0"' in template

    def step(number: int) -> None:
        event = wire.decode(template.replace('"timestamp":"0"', f'"timestamp":"{number * 20}"', 1))
        assert isinstance(event, AudioReceived)
        for frame in order.feed(event):
            g711.decode(frame.audio, audio)

    return step


def speaking(audio: AudioFormat, leg: Leg) -> Callable[[int], Any]:
    frames = frames_of(audio)
    playout = Playout(audio, Ledger(1, audio.sample_rate), lead=0.1)
    playout.push(b"".join(frames) * 2)

    def step(number: int) -> None:
        for frame, _ in playout.due(number * 0.02):
            leg.post_audio(frame, 1)
            playout.push(frames[number % len(frames)])

    return step


def accompanied(rate: int) -> AccompaniedLeg:
    sound = g711.decode(SECOND, MULAW_8K) * 10
    bed = BackgroundAudioPlayer(AudioConfig(sound, sample_rate=rate), loop=True).open_bed(MULAW_8K)
    return AccompaniedLeg(NullSocket(), AnyWire(MULAW_8K), bed, 0.1)


def filtering(stage: HighPass | AutomaticGain, rate: int) -> Callable[[int], Any]:
    linear = frames_of(AudioFormat("linear16", rate))
    return lambda number: stage.process(linear[number % len(linear)])


def taping(audio: AudioFormat) -> Callable[[int], Any]:
    """A frame of each side, and once a second what has become final."""
    tape, frames = Tape(audio, 0.0), frames_of(audio)

    def step(number: int) -> None:
        now = number * 0.02
        tape.caller(frames[number % 50], now, now)
        tape.sent(frames[number % 50], now)
        if number % 50 == 0:
            tape.marked(str(number))
            tape.echoed(str(number - 50), now)
            tape.take(now)

    return step


def writing() -> Callable[[int], Any]:
    """The thread's own work for a second of stereo, a fiftieth of it per frame; the file is in memory."""
    second = bytes(4 * 8000)
    writers: list[WavWriter] = []

    def step(number: int) -> None:
        if number % 50_000 == 0:
            writers[:] = [WavWriter(io.BytesIO(), channels=2, sample_rate=8000)]
        if number % 50 == 0:
            writers[0].append(second)

    return step


def steps() -> dict[str, Callable[[int], Any]]:
    """Everything that is measured, by name."""
    found = {f"in_{name}": hearing(audio) for name, audio in FORMATS.items()}
    for rate in (8000, 16000):
        found[f"in_high_pass_{rate // 1000}k"] = filtering(HighPass(100, rate), rate)
        found[f"in_agc_{rate // 1000}k"] = filtering(AutomaticGain(AgcConfig(), rate), rate)
    for name, audio in FORMATS.items():
        found[f"out_{name}"] = speaking(audio, Leg(NullSocket(), AnyWire(audio)))
    for rate in (8000, 24000):
        found[f"out_background_{rate // 1000}k"] = speaking(MULAW_8K, accompanied(rate))
    alone = accompanied(8000)
    found["out_background_alone"] = lambda number: alone.tick(number * 0.02)
    found["both_recording_8k"] = taping(MULAW_8K)
    found["both_recording_16k"] = taping(LINEAR_16K)
    found["disk_recording_8k"] = writing()
    return found


def main(argv: Sequence[str] | None = None) -> None:
    options = read_options(argv, __doc__, calls=(1,), seconds=1)
    facts = machine()
    print_machine(facts, f"each step for {options.seconds:g} s, one call, nothing waits")
    found = trio.run(measured, options.seconds)
    rows = [row_of(1, name, values, "us") for name, values in found.items()]
    print_rows("real clock: microseconds per frame", rows)
    ratios = [ratio_row(name, values, found) for name, values in found.items()]
    print_rows("the same as a multiple of the baseline of its direction", ratios)
    drawn = [
        Bar(row.metric, row.p50, "us", colour=("in", "out", "both", "disk").index(row.metric.split("_")[0]))
        for row in rows
    ]
    shapes, y = bars(drawn, 70)
    save(shapes, y, "The sound of a call, microseconds per frame (p50)", options.out, "audio_chain")
    write_report(options, "audio_chain", [*rows, *ratios], machine=facts)


async def measured(seconds: float) -> dict[str, list[float]]:
    """Each step in turn, and all of it three times: a busy moment of the machine hits several of them."""
    found: dict[str, list[float]] = {}
    for _ in range(3):
        for name, step in steps().items():
            found.setdefault(name, []).extend(timed(step, seconds / 3))
            await trio.lowlevel.checkpoint()
    return found


def ratio_row(name: str, values: Sequence[float], found: dict[str, list[float]]) -> Row:
    baseline = percentile(found[IN if name.startswith("in_") else OUT], 0.5)
    return row_of(1, f"{name}_ratio", [value / baseline for value in values], "x")


if __name__ == "__main__":
    main()
