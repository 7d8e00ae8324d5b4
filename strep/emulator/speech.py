"""Give the conversation that the emulator's calls carry: a caller and an agent of an energy company, two voices.

The voices are spoken by espeak-ng; tools/make_speech.py makes the files.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]  # it ships none
from numpy.typing import NDArray

from strep.errors import ConfigError

_STORED_HZ = 16_000


@lru_cache(maxsize=4)  # the codecs need 8, 16 and 48 kHz; 2.5 MB a party at most
def conversation(sample_rate_hz: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Load what the two parties say, aligned sample by sample: (caller, agent), each int16[n], read-only.

    Each spans the whole conversation, about 25 s, silence included, and is a whole number of 20 ms packets.
    Raises ConfigError when 20 ms are no whole number of samples at that rate, or it is above 192 kHz.
    """
    if not 50 <= sample_rate_hz <= 192_000 or sample_rate_hz % 50:
        raise ConfigError(f"sample_rate_hz: expected a multiple of 50 up to 192000, found {sample_rate_hz}")
    return _load("caller", sample_rate_hz), _load("agent", sample_rate_hz)


def _load(party: str, sample_rate_hz: int) -> NDArray[np.int16]:
    with resources.files(__package__).joinpath("voices", f"{party}.flac").open("rb") as file:
        stored, stored_hz = soundfile.read(file, dtype="float32")
    assert stored_hz == _STORED_HZ, "tools/make_speech.py writes at this rate"
    length = len(stored) * sample_rate_hz // _STORED_HZ
    resampled = soxr.resample(stored, _STORED_HZ, sample_rate_hz, "VHQ") if sample_rate_hz != _STORED_HZ else stored
    samples = np.zeros(length, dtype=np.int16)
    fitting = np.round(resampled[:length] * 32768)
    samples[: len(fitting)] = np.clip(fitting, -32768, 32767)
    samples.flags.writeable = False
    return samples
