"""Makes the clips of this folder again from the packages that carry them.

``apt-get download pocketsphinx-testdata asterisk-core-sounds-it-wav asterisk-core-sounds-ru-wav`` into a
folder, then ``python benchmarks/speech/cut.py FOLDER`` (needs ``dpkg-deb``). Nothing is changed about a voice
but its sample rate, its coding and the silence around it: no filter, no gain.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from _caller import SPEECH_DBFS  # noqa: E402  # the folder above is no package
from patter_trio._audio import g711  # noqa: E402
from patter_trio._audio.levels import rms_dbfs  # noqa: E402
from patter_trio._audio.resample import Resampler  # noqa: E402
from patter_trio._audio.wav import read_wav  # noqa: E402

SPHINX = "usr/share/pocketsphinx/test/data/"
ITALIAN = "usr/share/asterisk/sounds/it_IT_m_Carlo/"
RUSSIAN = "usr/share/asterisk/sounds/ru_RU_f_IvrvoiceRU/"
SOURCES = {
    "young_man": SPHINX + "librivox/sense_and_sensibility_01_austen_64kb-0880.wav",
    "amiable": SPHINX + "librivox/sense_and_sensibility_01_austen_64kb-0930.wav",
    "forward": SPHINX + "goforward.raw",
    "somewhere": SPHINX + "something.raw",
    "clubs": SPHINX + "cards/003.wav",
    "risposta": ITALIAN + "vm-sorry.wav",
    "numero": ITALIAN + "privacy-incorrect.wav",
    "nomer": RUSSIAN + "privacy-incorrect.wav",
    "proverte": RUSSIAN + "check-number-dial-again.wav",
    "arrivederci": ITALIAN + "vm-goodbye.wav",
    "o": ITALIAN + "letters/o.wav",
    "e": ITALIAN + "is.wav",
    "a": ITALIAN + "letters/a.wav",
}
RATE, FRAME_BYTES = 8000, 320
AROUND = 5  # frames of 20 ms that are kept before the first and behind the last that is loud


def read_source(path: Path) -> bytes:
    """Linear16 at 8 kHz."""
    channels, rate = ([path.read_bytes()], 16000) if path.suffix == ".raw" else read_wav(path)
    if rate == RATE:
        return channels[0]
    resampler = Resampler(rate, RATE)
    return resampler.feed(channels[0]) + resampler.flush()


def cut(pcm: bytes) -> bytes:
    """The speech with at most 100 ms of what the recording has around it."""
    frames = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    loud = [place for place, frame in enumerate(frames) if rms_dbfs(frame) >= SPEECH_DBFS]
    return b"".join(frames[max(0, loud[0] - AROUND) : loud[-1] + 1 + AROUND])


def mulaw_wav(sound: bytes) -> bytes:
    """A WAV file of format 7 (µ-law), which the standard library cannot write."""
    form = struct.pack("<HHIIHHH", 7, 1, RATE, RATE, 1, 8, 0)
    chunks = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in (
            (b"fmt ", form),
            (b"fact", struct.pack("<I", len(sound))),
            (b"data", sound),
        )
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the .deb files are")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as unpacked:
        for package in sorted(options.folder.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        for name, source in SOURCES.items():
            sound = g711.linear_to_mulaw(cut(read_source(Path(unpacked) / source)))
            (HERE / f"{name}.wav").write_bytes(mulaw_wav(sound))
            print(f"{name}.wav  {len(sound) / RATE:.2f} s  from {source}")


if __name__ == "__main__":
    main()
