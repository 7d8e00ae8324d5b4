"""Read an audio file as that of a call: one or two channels of 16 bits."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from strep.errors import AudioFileError

_MOST_CHANNELS = 2
#: What is sampled slower or faster is no call, and a window of it would be nothing, or fill the memory.
_RATE_LIMITS_HZ = (1000, 384_000)
#: What libsndfile says of a stream that does not say how long it is.
_UNKNOWN_FRAMES = 2**63 - 1


@dataclass(frozen=True, slots=True)
class CallAudio:
    """An audio file that is open. frames: how long it claims to be."""

    file: soundfile.SoundFile
    path: Path
    channels: int
    sample_rate_hz: int
    frames: int

    def read(self, frames: int = -1) -> NDArray[np.int16]:
        """Read so many frames, or all that are left: int16[n, channels]. Raises AudioFileError where it is damaged."""
        try:
            return self._read(frames)
        except RuntimeError as error:
            raise AudioFileError(f"{self.path}: expected audio to the end, found otherwise: {error}") from None

    def _read(self, frames: int) -> NDArray[np.int16]:
        if self.file.subtype not in ("FLOAT", "DOUBLE"):
            samples: NDArray[np.int16] = self.file.read(frames, dtype="int16", always_2d=True)
            return samples
        # Read as integers, floats would not be scaled: 1 at most would be all that remains of them.
        scaled = np.nan_to_num(self.file.read(frames, dtype="float32", always_2d=True)) * 32768.0
        clipped: NDArray[np.int16] = np.clip(np.round(scaled), -32768, 32767).astype(np.int16)
        return clipped


@contextmanager
def open_call_audio(path: Path) -> Iterator[CallAudio]:
    """Open an audio file. Raises AudioFileError when it is none, or not that of a call."""
    try:
        # By its bytes, where it has any: a name need not be text.
        file = soundfile.SoundFile(os.fsencode(path) if os.name == "posix" else path)
    except (OSError, RuntimeError) as error:
        raise AudioFileError(f"{path}: expected a capture or an audio file, found neither: {error}") from None
    with file:
        low, high = _RATE_LIMITS_HZ
        if file.channels > _MOST_CHANNELS:
            raise AudioFileError(f"{path}: expected one or two channels, found {file.channels}")
        if not low <= file.samplerate <= high:
            raise AudioFileError(f"{path}: expected a sample rate of {low} to {high} Hz, found {file.samplerate}")
        if file.frames == _UNKNOWN_FRAMES:
            raise AudioFileError(f"{path}: expected a file that says how long it is, found a stream")
        yield CallAudio(file, path, file.channels, int(file.samplerate), int(file.frames))
