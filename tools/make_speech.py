"""Make the conversation that the emulator's callers speak: strep/emulator/voices/{caller,agent}.flac.

Run it where `espeak-ng` is installed; nobody needs to who only uses the emulator:

    python tools/make_speech.py                  # writes into the package
    python tools/make_speech.py --into FOLDER    # writes elsewhere, to compare

Each file holds one party for the whole conversation (16 kHz, mono, 16 bits), so the two are aligned sample by sample
and last equally long. The parties take turns, are silent for a while, and twice speak at the same time.
espeak-ng 1.51 gives the same samples on every run.
"""

from __future__ import annotations

import argparse
import io
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]  # it ships none
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
#: The conversation ends on a whole 20 ms packet at every sample rate.
PACKET_SAMPLES = SAMPLE_RATE_HZ // 50
LEVEL_DBFS = -23.0  # mean level of speech while it lasts; leaves room for peaks 20 dB above it
LEAD_IN_S, LEAD_OUT_S = 0.4, 0.5
INTO = Path(__file__).resolve().parent.parent / "strep" / "emulator" / "voices"

#: What tells a voice: the espeak-ng voice, its pitch (0 to 99) and its speed in words a minute.
VOICES = {"caller": ("en-gb", 38, 180), "agent": ("en-us+f3", 62, 190)}


@dataclass(frozen=True, slots=True)
class Turn:
    """What a party says, `pause_s` after the turn before it ended: below zero, the two overlap."""

    party: str
    text: str
    pause_s: float = 0.35


CONVERSATION = (
    Turn("agent", "Good morning, Northgate Energy, this is Alice. How can I help?", 0.0),
    Turn("caller", "Hello. My last bill is twice what I normally pay."),
    Turn("agent", "I'm sorry to hear that. May I have your account number?"),
    Turn("caller", "Yes, it's seven four two, nine one five.", 0.5),
    Turn("agent", "Thank you. One moment."),
    Turn("agent", "I see what happened: your meter was read twice.", 1.6),
    Turn("caller", "Oh, I see.", -0.6),
    Turn("agent", "You will get a new bill tomorrow.", 0.1),
    Turn("caller", "That's wonderful, thank you very much.", 0.3),
    Turn("agent", "You're welcome. Goodbye.", -0.3),
    Turn("caller", "Bye.", 0.2),
)


def speak(turn: Turn) -> NDArray[np.float64]:
    """Say one turn: float64[n] at SAMPLE_RATE_HZ, without the silence around it, at LEVEL_DBFS."""
    voice, pitch, words_a_minute = VOICES[turn.party]
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(words_a_minute), "--stdout", turn.text]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    spoken, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float64")
    samples = soxr.resample(spoken, rate_hz, SAMPLE_RATE_HZ, "VHQ")
    audible = np.flatnonzero(np.abs(samples) > 0.002 * np.abs(samples).max())
    samples = samples[audible[0] : audible[-1] + 1]
    return np.asarray(samples * 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(samples**2)))


def perform(conversation: tuple[Turn, ...]) -> dict[str, NDArray[np.int16]]:
    """Lay the turns out in time: per party int16[n], all of one length, whole packets."""
    said, end = [], LEAD_IN_S
    for turn in conversation:
        samples = speak(turn)
        start = round((end + turn.pause_s) * SAMPLE_RATE_HZ)
        said.append((turn.party, start, samples))
        end = (start + len(samples)) / SAMPLE_RATE_HZ
    last_sample = max(start + len(samples) for _, start, samples in said) + LEAD_OUT_S * SAMPLE_RATE_HZ
    length = int(-(-last_sample // PACKET_SAMPLES) * PACKET_SAMPLES)
    tracks = {party: np.zeros(length) for party in VOICES}
    for party, start, samples in said:
        tracks[party][start : start + len(samples)] += samples
    return {party: np.round(np.clip(track, -1, 1) * 32767).astype(np.int16) for party, track in tracks.items()}


def main() -> None:
    """Write both files and say how long and how large they are."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--into", type=Path, default=INTO, help="folder to write to (default: the package's)")
    into: Path = arguments.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    for party, samples in perform(CONVERSATION).items():
        path = into / f"{party}.flac"
        soundfile.write(path, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        print(f"{path}: {len(samples) / SAMPLE_RATE_HZ:.2f} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
