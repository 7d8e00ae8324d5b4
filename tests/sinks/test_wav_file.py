import errno
import os
import tempfile
import wave
from pathlib import Path
from subprocess import check_output

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from strep.audio import g711
from strep.sinks.descriptors import DescriptorCache
from strep.sinks.file_policy import LargeFiles
from strep.sinks.wav_file import Encoding, WavFile, WavFormat, WavParts

STEREO = WavFormat(Encoding.PCM16, 8000, 2)
LAWS = {Encoding.ULAW: g711.Law.MU, Encoding.ALAW: g711.Law.A}


def samples(frames: int, channels: int = 2, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32000, 32000, (frames, channels)).astype(np.int16)


def make(path: Path, wav_format: WavFormat = STEREO) -> WavFile:
    return WavFile.create(path, wav_format, DescriptorCache(limit=8))


def test_a_pcm_file_has_the_plain_44_byte_header(tmp_path: Path) -> None:
    data = samples(1000)
    file = make(tmp_path / "x.wav")
    file.write(0, data)
    file.close()
    content = (tmp_path / "x.wav").read_bytes()
    assert content[:44] == (
        b"RIFF" + (36 + 4000).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\x01\0\x02\0"
        b"\x40\x1f\0\0\0\x7d\0\0\x04\0\x10\0data" + (4000).to_bytes(4, "little")
    )
    assert content[44:] == data.tobytes()


def test_an_empty_file_opens(tmp_path: Path) -> None:
    make(tmp_path / "x.wav").close()
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert (file.getnframes(), file.getnchannels(), file.getframerate()) == (0, 2, 8000)


@pytest.mark.parametrize("encoding", list(LAWS))
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [800, 801])
def test_a_g711_file_is_read_as_what_it_is(tmp_path: Path, encoding: Encoding, channels: int, frames: int) -> None:
    data, wav_format = samples(frames, channels), WavFormat(encoding, 8000, channels)
    file = make(tmp_path / "x.wav", wav_format)
    file.write(0, wav_format.encode(data))
    file.close()
    read, rate_hz = soundfile.read(tmp_path / "x.wav", dtype="int16", always_2d=True)
    assert rate_hz == 8000
    assert soundfile.info(str(tmp_path / "x.wav")).subtype == encoding.value.upper()
    assert np.array_equal(read, g711.decode(g711.encode(data, LAWS[encoding]), LAWS[encoding]))
    content = (tmp_path / "x.wav").read_bytes()
    assert int.from_bytes(content[4:8], "little") == len(content) - 8
    assert len(content) % 2 == 0, "a chunk of odd size is padded"
    assert content[38:50] == b"fact\x04\0\0\0" + frames.to_bytes(4, "little")


@pytest.mark.peer
@pytest.mark.parametrize("encoding", list(Encoding))
def test_ffmpeg_reads_the_same_samples(tmp_path: Path, encoding: Encoding, need) -> None:
    need("ffmpeg")
    data, wav_format = samples(1601, 2), WavFormat(encoding, 8000, 2)
    file = make(tmp_path / "x.wav", wav_format)
    file.write(0, wav_format.encode(data))
    file.close()
    command = ["ffmpeg", "-v", "error", "-i", tmp_path / "x.wav", "-f", "s16le", "-"]
    read = np.frombuffer(check_output(command), "<i2").reshape(-1, 2)
    expected = data if encoding is Encoding.PCM16 else g711.decode(wav_format.encode(data), LAWS[encoding])
    assert np.array_equal(read, expected)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_what_was_never_written_is_silence(tmp_path: Path, encoding: Encoding) -> None:
    wav_format = WavFormat(encoding, 8000, 2)
    file = make(tmp_path / "x.wav", wav_format)
    file.write(10, wav_format.encode(samples(5)))
    file.write(70_015, wav_format.encode(samples(5)))
    file.extend(140_100)
    file.close()
    read, _ = soundfile.read(tmp_path / "x.wav", dtype="int16")
    assert len(read) == 140_100
    sounding = np.flatnonzero(np.abs(read.astype(int)).max(axis=1) > 8)
    assert sounding.tolist() == [*range(10, 15), *range(70_015, 70_020)]


def test_an_overlay_replaces_one_channel_and_can_pass_the_end(tmp_path: Path) -> None:
    data, over = samples(100), samples(30, 1, seed=2)[:, 0]
    parts = WavParts(make(tmp_path / "x.wav"))
    parts.write(0, data)
    parts.overlay(90, 1, over)
    parts.close()
    read, _ = soundfile.read(tmp_path / "x.wav", dtype="int16")
    assert len(read) == 120
    assert np.array_equal(read[:, 1], np.concatenate([data[:90, 1], over]))
    assert np.array_equal(read[:, 0], np.concatenate([data[:, 0], np.zeros(20, np.int16)]))


def test_a_recording_goes_on_in_another_file_before_a_size_overflows(tmp_path: Path) -> None:
    data = samples(1000)
    (tmp_path / "x-part3.wav").write_bytes(b"somebody else's")
    parts = WavParts(make(tmp_path / "x.wav"), max_part_bytes=44 + 400 * 4)
    for begin in range(0, 1000, 150):
        parts.write(begin, data[begin : begin + 150])
    parts.overlay(390, 0, samples(20, 1, seed=3)[:, 0])
    parts.extend(1200)
    parts.close()
    assert [path.name for path in parts.paths] == ["x.wav", "x-part2.wav", "x-part3-2.wav"]
    assert parts.frames == 1200
    read = np.concatenate([soundfile.read(path, dtype="int16")[0] for path in parts.paths])
    data[390:410, 0] = samples(20, 1, seed=3)[:, 0]
    assert np.array_equal(read, np.concatenate([data, np.zeros((200, 2), np.int16)]))
    assert all(path.stat().st_size <= 44 + 400 * 4 for path in parts.paths)
    assert (tmp_path / "x-part3.wav").read_bytes() == b"somebody else's"


def test_a_jump_over_whole_files_leaves_no_hole_between_them(tmp_path: Path) -> None:
    parts = WavParts(make(tmp_path / "x.wav"), max_part_bytes=44 + 400 * 4)
    parts.write(1000, samples(10))
    parts.close()
    assert [soundfile.info(str(path)).frames for path in parts.paths] == [400, 400, 210]


def test_a_system_that_takes_a_few_bytes_at_a_time_gets_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system_pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, content, at: system_pwrite(fd, memoryview(content).cast("B")[:7], at))
    data = samples(100)
    file = make(tmp_path / "x.wav")
    file.write(0, data)
    file.close()
    assert np.array_equal(soundfile.read(tmp_path / "x.wav", dtype="int16")[0], data)


@pytest.mark.parametrize("encoding", list(Encoding))
def test_what_a_failed_write_left_behind_is_not_heard_in_the_silence_put_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: Encoding
) -> None:
    wav_format = WavFormat(encoding, 8000, 2)
    file = make(tmp_path / "x.wav", wav_format)
    data = wav_format.encode(samples(100))
    file.write(0, data)
    system_pwrite, end = os.pwrite, wav_format.header_bytes + 100 * wav_format.frame_bytes

    def full(descriptor: int, content: memoryview, position: int) -> int:
        if position > end:
            raise OSError(errno.ENOSPC, "No space left on device")
        return system_pwrite(descriptor, content.cast("B")[:-3], position)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            file.write(100, wav_format.encode(samples(26)))
    assert file.frames == 100
    file.write(200, data)
    file.close()
    content = (tmp_path / "x.wav").read_bytes()[wav_format.header_bytes :]
    assert content == data.tobytes() + wav_format.silence(100).tobytes() + data.tobytes()


def test_a_file_of_that_name_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"older")
    with pytest.raises(FileExistsError):
        make(tmp_path / "x.wav")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.wav", b"older")]


@pytest.mark.parametrize("encoding", list(Encoding))
def test_a_file_that_may_become_rf64_is_plain_wav_while_it_is_small(tmp_path: Path, encoding: Encoding) -> None:
    wav_format = WavFormat(encoding, 8000, 2, LargeFiles.RF64)
    file, data = make(tmp_path / "x.wav", wav_format), wav_format.encode(samples(800))
    file.write(0, data)
    file.close()
    content = (tmp_path / "x.wav").read_bytes()
    assert content[:4] == b"RIFF"
    assert content[12:16] == b"JUNK"
    assert content[wav_format.header_bytes - 8 :][:4] == b"data"
    assert content[wav_format.header_bytes :] == data.tobytes()
    assert soundfile.info(str(tmp_path / "x.wav")).frames == 800


@pytest.mark.parametrize("encoding", [Encoding.PCM16, Encoding.ULAW])
def test_a_file_that_outgrows_riff_becomes_rf64_and_keeps_every_sample(tmp_path: Path, encoding: Encoding) -> None:
    wav_format = WavFormat(encoding, 8000, 2, LargeFiles.RF64)
    parts = WavParts(make(tmp_path / "x.wav", wav_format))
    first, last = wav_format.encode(samples(800, seed=1)), wav_format.encode(samples(800, seed=2))
    parts.write(0, first)
    far = 2**32 // wav_format.frame_bytes
    parts._parts[0].frames = far - 400  # without writing 4 GB of silence in G.711; the file is sparse
    parts.write(far - 400, last)
    parts.close()
    assert parts.paths == [tmp_path / "x.wav"]
    with (tmp_path / "x.wav").open("rb") as file:
        assert file.read(4) == b"RF64"
    info = soundfile.info(str(tmp_path / "x.wav"))
    assert (info.format, info.frames, info.channels, info.samplerate) == ("RF64", far + 400, 2, 8000)
    with soundfile.SoundFile(str(tmp_path / "x.wav")) as file:
        assert np.array_equal(wav_format.encode(file.read(800, dtype="int16")), first)
        file.seek(far - 400)
        assert np.array_equal(wav_format.encode(file.read(800, dtype="int16")), last)


@pytest.mark.peer
def test_ffmpeg_reads_rf64(tmp_path: Path, need) -> None:
    need("ffprobe")
    wav_format = WavFormat(Encoding.PCM16, 8000, 2, LargeFiles.RF64)
    parts = WavParts(make(tmp_path / "x.wav", wav_format))
    parts.extend(2**30 + 100)
    parts.close()
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=duration_ts", "-of", "csv=p=0"]
    assert int(check_output([*command, str(tmp_path / "x.wav")])) == 2**30 + 100


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_has_its_permissions_from_its_first_byte_on_whatever_the_umask(tmp_path: Path, mode: int) -> None:
    before = os.umask(0o077)
    try:
        file = WavFile.create(tmp_path / "x.wav", STEREO, DescriptorCache(limit=8, file_mode=mode))
    finally:
        os.umask(before)
    assert (tmp_path / "x.wav").stat().st_mode & 0o777 == mode
    file.close()


def test_a_file_is_there_until_it_is_deleted_renamed_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    for closed_meanwhile in (False, True):
        file = make(path)
        if closed_meanwhile:
            file.close()
        assert file.is_there()
        path.rename(tmp_path / "y.wav")
        assert not file.is_there()
        path.write_bytes(b"another")
        assert not file.is_there()
        file.close()
        with pytest.raises(FileNotFoundError, match="another file has its name"):
            file.write(0, samples(8))
        path.unlink()
        (tmp_path / "y.wav").rename(path)
        assert file.is_there()
        file.write(0, samples(8))
        path.unlink()
        assert not file.is_there()
        file.close()


def test_a_system_that_cannot_tell_leaves_a_file_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = make(tmp_path / "x.wav")

    def away(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "stat", away)
    assert file.is_there()
    monkeypatch.undo()
    file.close()


def test_only_the_parts_that_are_gone_are_begun_again(tmp_path: Path) -> None:
    data = samples(1000)
    parts = WavParts(make(tmp_path / "x.wav"), max_part_bytes=44 + 400 * 4)
    parts.write(0, data)
    assert list(parts.renew()) == []
    (tmp_path / "x-part2.wav").unlink()
    (tmp_path / "x-part3.wav").rename(tmp_path / "kept.wav")
    (tmp_path / "x-part3.wav").write_bytes(b"somebody else's")
    assert not parts.is_gone
    lost = list(parts.renew())
    assert [(path.name, begin, end) for path, begin, end in lost] == [
        ("x-part2.wav", 400, 800),
        ("x-part3.wav", 800, 1000),
    ]
    assert [path.name for path in parts.paths] == ["x.wav", "x-part2.wav", "x-part3-2.wav"]
    parts.write(900, data[900:])
    parts.close()
    assert (tmp_path / "x-part3.wav").read_bytes() == b"somebody else's"
    found = np.concatenate([soundfile.read(path, dtype="int16", always_2d=True)[0] for path in parts.paths])
    assert np.array_equal(found[:400], data[:400])
    assert not found[400:900].any()
    assert np.array_equal(found[900:], data[900:])


def test_silence_in_what_is_written_takes_no_room_and_silences_what_was_there(tmp_path: Path) -> None:
    path, sound = tmp_path / "x.wav", samples(1000)
    silence = np.zeros((100_000, 2), np.int16)
    file = make(path)
    file.write(0, sound)
    file.write(1000, np.concatenate((silence, sound)))
    assert file.frames == 102_000
    assert path.stat().st_blocks * 512 < 100_000, "the silence is a hole"
    file.write(500, silence)
    file.write(1000, np.concatenate((silence, sound)))
    file.close()
    content = np.frombuffer(path.read_bytes()[44:], "<i2").reshape(-1, 2)
    assert (content == np.concatenate((sound[:500], np.zeros((100_500, 2), np.int16), sound))).all()


def test_a_large_piece_that_begins_and_ends_with_sound_is_written_whole(tmp_path: Path) -> None:
    data = samples(50_000, seed=2)
    data[20_000:25_000] = 0
    file = make(tmp_path / "x.wav")
    file.write(10, data)
    file.write(40, data)
    file.close()
    content = np.frombuffer((tmp_path / "x.wav").read_bytes()[44:], "<i2").reshape(-1, 2)
    assert (content[40:] == data).all()
    assert (content[10:40] == data[:30]).all()


def test_pages_that_are_silent_take_no_room_however_little_is_written(tmp_path: Path) -> None:
    """A word of 20 ms in each second: what is on disk is the word, not the second."""
    path, expected = tmp_path / "x.wav", np.zeros((20 * 8000, 2), np.int16)
    expected[4000::8000, 1] = 99
    file = make(path)
    for frame in range(0, len(expected), 8000):
        file.write(frame, expected[frame : frame + 8000])
    file.close()
    assert path.stat().st_blocks * 512 <= (20 + 1) * 4096
    assert (np.frombuffer(path.read_bytes()[44:], "<i2").reshape(-1, 2) == expected).all()


@given(st.lists(st.tuples(st.integers(0, 9000), st.integers(0, 6000), st.integers(0, 6000)), max_size=8))
def test_what_was_written_last_is_what_is_heard(pieces: list[tuple[int, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, expected = make(Path(folder) / "x.wav"), np.zeros((21_000, 2), np.int16)
        for frame, silent, sounding in pieces:
            data = np.concatenate((np.zeros((silent, 2), np.int16), samples(sounding, seed=frame)))
            expected[frame : frame + len(data)] = data
            file.write(frame, data)
        file.close()
        content = np.frombuffer(file.path.read_bytes()[44:], "<i2").reshape(-1, 2)
    assert len(content) == file.frames == max([0, *(sum(piece) for piece in pieces)])
    assert (content == expected[: len(content)]).all()
