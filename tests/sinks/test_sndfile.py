from pathlib import Path

import numpy as np
import pytest
import soundfile

from strep.sinks.sndfile import Container, convert


def wav(path: Path, frames: np.ndarray, rate_hz: int = 8000) -> Path:
    soundfile.write(path, frames, rate_hz, subtype="PCM_16")
    return path


def sound(frames: int, rate_hz: int) -> np.ndarray:
    time_s = np.arange(frames) / rate_hz
    waves = [np.sin(2 * np.pi * hz * time_s) for hz in (440, 660)]
    return np.rint(8000 * np.stack(waves, axis=1)).astype(np.int16)


def test_flac_has_the_same_samples_from_all_parts(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(-32768, 32767, (50_000, 2)).astype(np.int16)
    parts = [wav(tmp_path / "1.wav", frames[:30_000]), wav(tmp_path / "2.wav", frames[30_000:])]
    convert(parts, tmp_path / "x.flac", Container.FLAC)
    read, rate_hz = soundfile.read(tmp_path / "x.flac", dtype="int16")
    assert rate_hz == 8000
    assert np.array_equal(read, frames)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.wav", "2.wav", "x.flac"]


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 48_000])
def test_opus_keeps_the_length_the_place_and_the_channels(tmp_path: Path, rate_hz: int) -> None:
    frames = sound(rate_hz * 3 + 77, rate_hz)
    frames[:rate_hz] = 0
    convert([wav(tmp_path / "x.wav", frames, rate_hz)], tmp_path / "x.opus", Container.OGG_OPUS)
    info = soundfile.info(str(tmp_path / "x.opus"))
    assert (info.format, info.subtype) == ("OGG", "OPUS")
    read, read_hz = soundfile.read(tmp_path / "x.opus", dtype="int16")
    assert read_hz == rate_hz
    assert len(read) == len(frames)
    second = slice(rate_hz * 3 // 2, rate_hz * 5 // 2)
    for channel in (0, 1):
        likeness = np.corrcoef(read[second, channel], frames[second, channel])[0, 1]
        assert likeness > 0.99, "a shift of 0.1 ms would cost more"
    assert np.abs(read[: rate_hz * 9 // 10]).max() < 200


@pytest.mark.parametrize(
    ("container", "wanted_hz", "rate_hz"),
    [
        (Container.WAV, 44_100, 44_100),
        (Container.FLAC, 11_025, 11_025),
        (Container.OGG_OPUS, 8000, 8000),
        (Container.OGG_OPUS, 11_025, 12_000),
        (Container.OGG_OPUS, 44_100, 48_000),
        (Container.OGG_OPUS, 96_000, 48_000),
    ],
)
def test_a_container_says_which_rate_it_takes(container: Container, wanted_hz: int, rate_hz: int) -> None:
    assert container.sample_rate_hz(wanted_hz) == rate_hz


def test_a_file_in_the_way_is_not_touched(tmp_path: Path) -> None:
    source = wav(tmp_path / "x.wav", sound(100, 8000))
    (tmp_path / "x.flac").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        convert([source], tmp_path / "x.flac", Container.FLAC)
    assert (tmp_path / "x.flac").read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.flac", "x.wav"]


def test_what_libsndfile_cannot_do_is_an_oserror_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"no audio at all")
    with pytest.raises(OSError, match=r"cannot convert x.wav to flac: "):
        convert([tmp_path / "x.wav"], tmp_path / "x.flac", Container.FLAC)
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]
