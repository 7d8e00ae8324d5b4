"""Turn finished WAV recordings into FLAC or Ogg Opus, by libsndfile.

Neither format is valid in the middle of being written, so a call is recorded as WAV, and converted when it is over.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Sequence
from pathlib import Path

import soundfile

from strep.sinks.atomic import create_file, publish, temporary_path

#: Memory stays small however long the call was; also, libsndfile's Ogg writers overflow the stack on huge writes.
_BLOCK_FRAMES = 16_384
#: RFC 6716 section 2: what an Opus encoder takes.
_OPUS_RATES_HZ = (8000, 12000, 16000, 24000, 48000)


class Container(enum.StrEnum):
    """The file format of finished recordings."""

    WAV = "wav"
    FLAC = "flac"
    OGG_OPUS = "ogg_opus"

    @property
    def suffix(self) -> str:
        """Give the file name's ending; `.opus` is what RFC 7845 section 9 asks for."""
        return {Container.WAV: ".wav", Container.FLAC: ".flac", Container.OGG_OPUS: ".opus"}[self]

    def sample_rate_hz(self, wanted_hz: int) -> int:
        """Give the lowest rate that this container can have and that loses nothing, or else its highest."""
        if self is not Container.OGG_OPUS:
            return wanted_hz
        return min((rate for rate in _OPUS_RATES_HZ if rate >= wanted_hz), default=_OPUS_RATES_HZ[-1])


_SNDFILE_FORMAT = {Container.FLAC: ("FLAC", "PCM_16"), Container.OGG_OPUS: ("OGG", "OPUS")}


def convert(parts: Sequence[Path], target: Path, container: Container, *, mode: int = 0o600) -> None:
    """Join WAV files of one format into `target`, which appears only when it is whole and on the disk.

    mode: its permissions.
    Raises OSError (FileExistsError when `target` exists); the WAV files are not touched in any case.
    """
    temporary = temporary_path(target)
    try:
        create_file(temporary, mode)
        _write(parts, temporary, container)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # its source is about to be removed
        publish(temporary, target)
    except soundfile.SoundFileError as error:
        raise OSError(f"cannot convert {parts[0].name} to {container.value}: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _write(parts: Sequence[Path], temporary: Path, container: Container) -> None:
    file_format, subtype = _SNDFILE_FORMAT[container]
    first = soundfile.info(str(parts[0]))
    with soundfile.SoundFile(
        str(temporary), "w", first.samplerate, first.channels, format=file_format, subtype=subtype
    ) as output:
        for part in parts:
            with soundfile.SoundFile(str(part)) as source:
                while len(frames := source.read(_BLOCK_FRAMES, dtype="int16", always_2d=True)):
                    output.write(frames)
