"""Make audio of which it is known where someone speaks: recorded prompts with silence between, and noise added.

The prompts are those of Debian's package asterisk-core-sounds-en-wav: 568 recordings of one speaker at 8 kHz, of which
558 are longer than 200 ms, 22 minutes. A frame of 20 ms is speech where the prompt, before any noise, is no more than
SPEECH_RANGE_DB below the loudest tenth of its frames; pauses of up to BRIDGED_FRAMES inside a prompt are speech too, as
nobody has stopped to speak. What is labelled by energy suits a detector that goes by energy; there are no labels by
hand for these. So the sounds among the prompts (NO_SPEECH) are labelled as speech, too: frames of theirs are marked,
and whoever scores may leave them out.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.table import Table

from bench import BenchError

SOUNDS = Path("/usr/share/asterisk/sounds")
PROMPTS = SOUNDS / "en_US_f_Allison"
NO_PROMPTS = "needs asterisk-core-sounds-en-wav"
SAMPLE_RATE_HZ, FRAME_SAMPLES = 8000, 160
#: What the package's own transcript (core-sounds-en.txt) has in brackets, as a sound: tones, and monkeys for 16 s.
NO_SPEECH = {
    "ascending-2tone",
    "beep",
    "beeperr",
    "confbridge-join",
    "confbridge-leave",
    "descending-2tone",
    "tt-monkeys",
}
#: The loudest tenth of frames lies some 5 dB above the active speech level: so this is 25 dB below that.
SPEECH_RANGE_DB = 30.0
#: 200 ms, as in ITU-T P.56: what is shorter belongs to the speech about it.
BRIDGED_FRAMES = 10
Noise = Literal["white", "pink", "babble"]
_TALKERS = 12


class Call(NamedTuple):
    """One direction of a call.

    samples: int16[frames * FRAME_SAMPLES]; speech: bool[frames]; is_sound: bool[frames], those of NO_SPEECH.
    """

    samples: NDArray[np.int16]
    speech: NDArray[np.bool_]
    is_sound: NDArray[np.bool_]


def prompt_folders() -> list[Path]:
    """List the folders of recorded prompts that are installed, one a language: PROMPTS first."""
    folders = [path for path in SOUNDS.glob("*") if path.is_dir() and not path.is_symlink()]
    return sorted(folders, key=lambda path: (path != PROMPTS, path.name))


def has_prompts() -> bool:
    """Tell whether the prompts are installed."""
    return PROMPTS.is_dir()


def prompts() -> tuple[NDArray[np.float64], ...]:
    """Read the prompts, each cut to whole frames from its first frame of speech to its last.

    Raises BenchError where they are not installed.
    """
    return tuple(samples for samples, _ in _read())


@functools.lru_cache(maxsize=1)
def _read() -> tuple[tuple[NDArray[np.float64], bool], ...]:
    """Read the prompts, and whether each is of NO_SPEECH."""
    files = sorted(PROMPTS.rglob("*.wav"))
    if not files:
        raise BenchError(f"expected recorded prompts in {PROMPTS} (package asterisk-core-sounds-en-wav), found none")
    read = ((np.asarray(soundfile.read(file, dtype="int16")[0], np.float64), file.stem) for file in files)
    cut = ((_trimmed(samples), name in NO_SPEECH) for samples, name in read)
    return tuple(prompt for prompt in cut if len(prompt[0]) >= 10 * FRAME_SAMPLES)


def false_alarms(counted: dict[str, Any], title: str) -> Table:
    """Show what was heard in the prompts of each language: prompts, minutes, wrong; and in all of them."""
    table = Table("", title=title, title_justify="left", show_footer=len(counted) > 1)
    table.columns[0].footer = "together"
    for name, form in (("prompts", "{:,}"), ("minutes", "{:.1f}"), ("wrong", "{:,}")):
        total = form.format(sum(one[name] for one in counted.values()))
        table.add_column(name, footer=total, justify="right")
    for folder, one in counted.items():
        table.add_row(folder, f"{one['prompts']:,}", f"{one['minutes']:.1f}", f"{one['wrong']:,}")
    if not counted:
        table.add_row(NO_PROMPTS, "-", "-", "-")
    return table


def speech_frames(samples: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which frames of a clean prompt are speech: bool[frames]."""
    energy = (samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES) ** 2).mean(axis=1)
    loud = np.quantile(energy, 0.9) if len(energy) else 0.0
    return bridge(energy > max(loud * 10 ** (-SPEECH_RANGE_DB / 10), 1.0), BRIDGED_FRAMES)


def bridge(frames: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
    """Fill in pauses of up to `most` frames."""
    filled = frames.copy()
    places = np.flatnonzero(frames)
    for before, after in zip(places[:-1].tolist(), places[1:].tolist(), strict=True):
        if after - before - 1 <= most:
            filled[before:after] = True
    return filled


def make_call(seed: int, seconds: float, noise: Noise, snr_db: float | None, half: int | None = None) -> Call:
    """Make a call: prompts with 0.3 to 4 s of silence between, at -36 to -16 dBFS, and noise.

    snr_db: from the level of the frames that are speech to the level of the noise; None adds none. half: only every
    other prompt, from the first (0) or the second (1) on, so that what is tuned on one half is measured on the other.
    """
    chance = np.random.default_rng([seed, 5])
    clean = np.zeros(int(seconds * SAMPLE_RATE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES)
    speech, is_sound = np.zeros((2, len(clean) // FRAME_SAMPLES), np.bool_)
    chosen = _read() if half is None else _read()[half::2]
    frame = int(chance.integers(15, 75))
    while frame < len(speech):
        prompt, is_no_speech = chosen[int(chance.integers(len(chosen)))]
        room = min(len(prompt) // FRAME_SAMPLES, len(speech) - frame)
        clean[frame * FRAME_SAMPLES : (frame + room) * FRAME_SAMPLES] = prompt[: room * FRAME_SAMPLES]
        speech[frame : frame + room] = speech_frames(prompt)[:room]
        is_sound[frame : frame + room] = is_no_speech
        frame += room + int(chance.integers(15, 200))
    active = clean.reshape(-1, FRAME_SAMPLES)[speech]
    clean *= 32768 * 10 ** (chance.uniform(-36, -16) / 20) / np.sqrt((active**2).mean())
    if snr_db is not None:
        level = np.sqrt((clean.reshape(-1, FRAME_SAMPLES)[speech] ** 2).mean())
        clean += make_noise(noise, len(clean), chance) * level * 10 ** (-snr_db / 20)
    return Call(np.clip(np.round(clean), -32768, 32767).astype(np.int16), speech, is_sound)


def make_noise(noise: Noise, length: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Make float64[length] of noise with a level of 1."""
    if noise == "babble":
        made = sum((_talker(length, chance) for _ in range(_TALKERS)), np.zeros(length))
    else:
        made = chance.normal(size=length)
    if noise == "pink":
        spectrum = np.fft.rfft(made)
        made = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), length / 160)), length)
    level: float = np.sqrt((made**2).mean())
    return np.asarray(made / level)


def _talker(length: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Make someone who reads one prompt after the other, from somewhere within one on."""
    parts, read = list[NDArray[np.float64]](), prompts()
    while sum(map(len, parts)) < 2 * length:
        prompt = read[int(chance.integers(len(read)))]
        parts.append(prompt / np.sqrt((prompt**2).mean()))
    start = int(chance.integers(length))
    return np.concatenate(parts)[start : start + length]


def _trimmed(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    frames = np.flatnonzero(speech_frames(samples))
    if not len(frames):
        return samples[:0]
    return samples[frames[0] * FRAME_SAMPLES : (frames[-1] + 1) * FRAME_SAMPLES]
