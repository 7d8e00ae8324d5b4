"""Silence that takes no memory takes no time and no space on disk either, and sounds as if it had been written."""

import json
import os
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import AudioBlock, is_silence, silence
from strep.audio.resample import resample
from strep.sinks.recordings import Encoding, RecordingSink
from strep.sinks.recordings.adapter import RateAdapter
from strep.sinks.wav_file import WavParts
from tests.sinks.recordings.calls import SECOND, T0, Samples, block, closed, format_changed, load, name, opened, tone

DAY_S = 24 * 3600
RATE_HZ = 8000
#: What a turn may write of a silence: what the rings hold of both channels, and headers.
MOST_BYTES = 2 * 2 * RATE_HZ * 5


def row(slot: int, position: int, samples: Samples, rate_hz: int = RATE_HZ) -> AudioBlock:
    """Make a block of one row as it is, also when it takes no memory."""
    of_one = block([(slot, position, np.zeros(1, np.int16))], rate_hz)
    return AudioBlock(rate_hz, of_one.slots, of_one.position, samples[None, :], of_one.state, of_one.arrival_ns)


def speak(sink: RecordingSink, slots: tuple[int, ...], begin_s: float, end_s: float) -> None:
    for at in range(round(begin_s * RATE_HZ), round(end_s * RATE_HZ), 800):
        for slot in slots:
            sink.block(row(slot, at, tone(800, at % 1009 + slot)))
        sink.flush(T0 + (at + 800) * SECOND // RATE_HZ)


def spoken(slot: int, begin_s: float, end_s: float) -> Samples:
    begin, end = round(begin_s * RATE_HZ), round(end_s * RATE_HZ)
    return np.concatenate([tone(800, at % 1009 + slot) for at in range(begin, end, 800)])


class Written:
    """Counts what goes to disk, and what is read from it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes = 0
        system_pwrite, system_pread = os.pwrite, os.pread

        def pwrite(descriptor: int, content: Any, position: int) -> int:
            self.bytes += memoryview(content).nbytes
            return system_pwrite(descriptor, content, position)

        def pread(descriptor: int, count: int, position: int) -> bytes:
            self.bytes += count
            return system_pread(descriptor, count, position)

        monkeypatch.setattr(os, "pwrite", pwrite)
        monkeypatch.setattr(os, "pread", pread)


@pytest.mark.parametrize("second_too", [False, True])
def test_a_day_of_silence_is_a_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, second_too: bool) -> None:
    sink = RecordingSink(tmp_path)
    for slot in (0, 1):
        sink.event(opened(slot, slot))
        sink.event(format_changed(slot))
    speak(sink, (0, 1), 0, 5)
    written, memory = Written(monkeypatch), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sink.flush(T0 + (5 + DAY_S) * SECOND)
    for slot in (0, 1) if second_too else (0,):
        sink.block(row(slot, 5 * RATE_HZ, silence(DAY_S * RATE_HZ)))
    sink.flush(T0 + (5 + DAY_S) * SECOND)
    assert written.bytes < MOST_BYTES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 64 * 1024
    speak(sink, (0, 1) if second_too else (0,), 5 + DAY_S, 10 + DAY_S)
    for slot in (0, 1):
        sink.event(closed(slot, slot, length=(10 + DAY_S) * RATE_HZ, at_ns=(10 + DAY_S) * SECOND))
    sink.close()
    path = tmp_path / f"{name()}.wav"
    assert path.stat().st_blocks * 512 < 1 << 20
    with soundfile.SoundFile(str(path)) as file:
        assert file.frames == (10 + DAY_S) * RATE_HZ
        begun = file.read(10 * RATE_HZ, dtype="int16")
        file.seek((DAY_S + 3) * RATE_HZ)
        ended = file.read(dtype="int16")
    for slot in (0, 1):
        assert np.array_equal(begun[: 5 * RATE_HZ, slot], spoken(slot, 0, 5))
        assert not begun[5 * RATE_HZ :, slot].any()
        assert not ended[: 2 * RATE_HZ, slot].any()
        heard = spoken(slot, 5 + DAY_S, 10 + DAY_S) if slot == 0 or second_too else np.zeros(5 * RATE_HZ)
        assert np.array_equal(ended[2 * RATE_HZ :, slot], heard)
    document = json.loads(path.with_suffix(".json").read_text())
    assert document["unwritten_samples"] == 0
    assert [stream["refused_samples"] for stream in document["streams"]] == [0, 0]


def test_a_direction_that_was_silent_while_the_other_spoke_comes_back_without_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordingSink(tmp_path)
    for slot in (0, 1):
        sink.event(opened(slot, slot))
    speak(sink, (0, 1), 0, 3)
    speak(sink, (0,), 3, 60)
    with monkeypatch.context() as patch:
        patch.setattr(WavParts, "overlay", lambda *_: pytest.fail("nothing was heard there"))
        sink.block(row(1, 3 * RATE_HZ, silence(57 * RATE_HZ)))
        speak(sink, (0, 1), 60, 65)
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames[:, 0], spoken(0, 0, 65))
    assert np.array_equal(frames[:, 1], np.concatenate([spoken(1, 0, 3), silence(57 * RATE_HZ), spoken(1, 60, 65)]))


def test_silence_over_what_was_heard_in_its_place_is_written(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    for slot in (0, 1):
        sink.event(opened(slot, slot))
    speak(sink, (0, 1), 0, 30)
    sink.block(row(1, 2 * RATE_HZ, silence(10 * RATE_HZ)))
    sink.block(row(1, -2 * RATE_HZ, silence(3 * RATE_HZ)))
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    expected = spoken(1, 0, 30)
    expected[2 * RATE_HZ : 12 * RATE_HZ] = expected[:RATE_HZ] = 0
    assert np.array_equal(frames[:, 0], spoken(0, 0, 30))
    assert np.array_equal(frames[:, 1], expected)
    document = json.loads((tmp_path / f"{name()}.json").read_text())
    assert document["streams"][1]["clipped_samples"] == 2 * RATE_HZ


def test_silence_that_claims_to_reach_into_the_future_is_cut_there(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    speak(sink, (0,), 0, 2)
    sink.block(row(0, 2 * RATE_HZ, silence(DAY_S * RATE_HZ)))
    sink.close()
    document = json.loads((tmp_path / f"{name()}.json").read_text())
    assert document["length_samples"] <= 603 * RATE_HZ
    assert document["streams"][0]["refused_samples"] >= (DAY_S - 602) * RATE_HZ


@pytest.mark.parametrize("encoding", [Encoding.ULAW, Encoding.ALAW])
def test_in_g711_silence_is_written_since_a_hole_would_be_loud(tmp_path: Path, encoding: Encoding) -> None:
    sink = RecordingSink(tmp_path, encoding=encoding)
    sink.event(opened(0))
    sink.event(format_changed(0))
    speak(sink, (0,), 0, 2)
    sink.flush(T0 + 602 * SECOND)
    sink.block(row(0, 2 * RATE_HZ, silence(600 * RATE_HZ)))
    speak(sink, (0,), 602, 604)
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert len(frames) == 604 * RATE_HZ
    assert np.abs(frames[2 * RATE_HZ : 602 * RATE_HZ]).max() <= 8, "A-law has no zero"
    assert (frames[602 * RATE_HZ :, 0] != 0).all()


rows = st.tuples(
    st.integers(0, 1),  # direction
    st.sampled_from([-16_000, -3000, 0, 0, 0, 0, 500, 30_000]),  # where, from where the stream has got to
    st.sampled_from([1, 160, 1600, 8000, 19_200, 60_000, 200_000]),  # how long
    st.booleans(),  # silent
)


@given(st.lists(rows, min_size=1, max_size=12))
def test_long_silence_sounds_like_zeros_that_were_written(steps: list[tuple[int, int, int, bool]]) -> None:
    """Wherever it comes: late, over what was heard, in one channel, beyond what the rings hold."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for dense in (False, True):
            directory = Path(folder) / str(dense)
            sink = RecordingSink(directory)
            for slot in (0, 1):
                sink.event(opened(slot, slot))
                sink.block(row(slot, 0, tone(160, slot)))
            ends, now_ns = [160, 160], T0
            for number, (slot, where, length, silent) in enumerate(steps):
                position = max(ends[slot] + where, 0)
                for at in range(0, length, RATE_HZ) if dense or not silent else (0,):
                    size = min(RATE_HZ, length - at) if dense or not silent else length
                    samples = silence(size) if silent else tone(size, number)
                    sink.block(row(slot, position + at, samples.copy() if dense else samples))
                ends[slot] = max(ends[slot], position + length)
                now_ns = max(now_ns, T0 + max(ends) * SECOND // RATE_HZ)
                sink.flush(now_ns)
            sink.close()
            files.append(load(directory / f"{name()}.wav")[0])
        assert np.array_equal(*files)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16_000), (8000, 48_000), (16_000, 8000), (11_025, 8000)])
def test_a_long_silence_is_resampled_at_once_and_what_follows_lies_in_its_place(from_hz: int, to_hz: int) -> None:
    first, second, pause = tone(from_hz // 2, 1), tone(from_hz // 2 + 1, 2), 30 * from_hz
    sounds = [(0, first), (len(first), silence(pause)), (len(first) + pause, second)]
    whole = np.zeros(32 * to_hz, np.int16)
    adapter, most = RateAdapter(from_hz, to_hz), 0
    for position, samples in sounds:
        for at, piece in adapter.feed(position, samples):
            most = max(most, 0 if is_silence(piece) else len(piece))
            whole[at : at + len(piece)] = piece
    for at, piece in adapter.finish():
        whole[at : at + len(piece)] = piece
    naive, expected = RateAdapter(from_hz, to_hz), np.zeros(32 * to_hz, np.int16)
    for at, piece in naive.feed(0, np.concatenate([samples for _, samples in sounds])) + naive.finish():
        expected[at : at + len(piece)] = piece
    assert most <= 2 * to_hz, "no more is computed than before and behind it"
    assert np.abs(whole.astype(int) - expected).max() <= 1, "soxr counts in float32"


def test_silence_is_told_from_zeros_that_take_memory() -> None:
    assert is_silence(silence(10**12))
    assert is_silence(silence(100)[20:30])
    assert not is_silence(np.zeros(100, np.int16))
    assert not is_silence(np.broadcast_to(np.int16(7), 100))
    assert not is_silence(silence(0))


@pytest.mark.parametrize("heard_hz", [8000, 16_000, 44_100, 48_000])
def test_what_is_heard_between_pauses_takes_its_own_room_whatever_the_formats_are(
    tmp_path: Path, heard_hz: int
) -> None:
    """A word of 20 ms after every 30 s, in a file of another rate: that, and what the filter rings, in whole pages."""
    sink = RecordingSink(tmp_path)
    for slot in (0, 1):
        sink.event(opened(slot, slot))
    sink.block(row(0, 0, tone(48_000), 48_000))
    sink.flush(T0 + SECOND)
    path, word = tmp_path / f"{name()}.wav", tone(heard_hz // 50)
    before_bytes, end = path.stat().st_blocks * 512, heard_hz
    for n in range(1, 11):
        sink.block(row(0, end, silence((30 * n + 1) * heard_hz - end), heard_hz))
        sink.block(row(0, (30 * n + 1) * heard_hz, word, heard_hz))
        end = (30 * n + 1) * heard_hz + len(word)
        sink.flush(T0 + (30 * n + 2) * SECOND)
    sink.close()
    assert path.stat().st_blocks * 512 - before_bytes <= 10 * (192_000 // 20 + 2 * 4096)
    frames, _ = load(path)
    for n in range(1, 11):
        at = (30 * n + 1) * 48_000
        assert np.abs(frames[at : at + 960, 0].astype(int)).max() > 1000
        assert not frames[at + 2 * 960 : at + 29 * 48_000].any()


#: Sound, silence that takes no memory, or zeros that were sent.
ROWS = st.tuples(st.sampled_from(["sound", "silence", "zeros"]), st.integers(1, 24_000))


@given(st.sampled_from([8000, 11_025, 16_000, 44_100, 48_000]), st.lists(ROWS, min_size=1, max_size=8))
def test_a_silence_is_resampled_as_if_it_had_been_written(to_hz: int, rows: list[tuple[str, int]]) -> None:
    from_hz, position, whole, pieces = 32_000, 3 * 32_000, list[Samples](), list[tuple[int, Samples]]()
    adapter, random = RateAdapter(from_hz, to_hz), np.random.default_rng(len(rows))
    for kind, length in rows:
        loud = random.integers(-32_768, 32_768, length).astype(np.int16)
        whole.append({"sound": loud, "silence": silence(4 * length), "zeros": np.zeros(length, np.int16)}[kind])
        pieces += adapter.feed(position, whole[-1])
        position += len(whole[-1])
    pieces += adapter.finish()
    expected = resample(np.concatenate(whole), from_hz, to_hz)
    got = np.concatenate([np.zeros(0, np.int16), *(samples for _, samples in pieces)])
    starts = [place for place, _ in pieces]
    assert starts == [3 * to_hz + sum(len(s) for _, s in pieces[:n]) for n in range(len(pieces))]
    assert abs(len(got) - len(expected)) <= 1
    common = min(len(got), len(expected))
    assert np.abs(got[:common].astype(int) - expected[:common]).max(initial=0) <= 1, "rounding"
