import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strep.errors import ConfigError, SinkError
from strep.sinks.recordings import Container, Encoding, RecordingSink
from strep.sinks.recordings.open_recording import OpenRecording
from strep.sinks.wav_file import WavFile
from tests.sinks.recordings.calls import SECOND, T0, block, closed, load, name, opened, tone

MS = 1_000_000


def speak(sink: RecordingSink, voices: dict[int, np.ndarray], begin_ms: int, end_ms: int) -> None:
    for at_ms in range(begin_ms, end_ms, 20):
        rows = [(slot, at_ms * 8, voice[at_ms * 8 : at_ms * 8 + 160]) for slot, voice in voices.items()]
        sink.block(block(rows, at_ns=at_ms * MS))
        sink.flush(T0 + (at_ms + 20) * MS)


def test_a_missing_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    RecordingSink(tmp_path / "a" / "b").close()
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_that_is_a_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(SinkError, match=r"cannot record into .*a: File exists"):
        RecordingSink(tmp_path / "a")
    with pytest.raises(SinkError, match=r"cannot record into .*b: Not a directory"):
        RecordingSink(tmp_path / "a" / "b")


def test_a_folder_that_cannot_be_written_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:  # the tests may run as root, whom permissions do not stop
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    with pytest.raises(SinkError, match=r"cannot record into .*: Permission denied$"):
        RecordingSink(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoding": Encoding.ULAW, "container": Container.FLAC}, "ulaw needs a WAV file, got flac"),
        ({"flush_interval_ms": 5000}, "flush_interval_ms must be 50 to 1000, got 5000"),
        ({"max_part_bytes": 2**32}, "max_part_bytes must be 1024 to 4294901760, got 4294967296"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RecordingSink(tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_a_disk_that_is_full_for_a_while_costs_what_could_not_be_written_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = tone(80_000, 1), tone(80_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, call=1))
    sink.event(opened(1, call=2))
    voices = {0: first, 1: second}
    speak(sink, voices, 0, 3000)
    system_write = WavFile.write

    def full(self: WavFile, frame: int, data: np.ndarray) -> None:
        if self.path.stem == name(1):
            raise OSError(errno.ENOSPC, "No space left on device")
        system_write(self, frame, data)

    monkeypatch.setattr(WavFile, "write", full)
    speak(sink, voices, 3000, 6000)
    monkeypatch.undo()
    speak(sink, voices, 6000, 10_000)
    sink.event(closed(0, call=1, length=80_000))
    sink.event(closed(1, call=2, length=80_000))

    frames, _ = load(tmp_path / f"{name(2)}.wav")
    assert np.array_equal(frames[:, 0], second)
    frames, _ = load(tmp_path / f"{name(1)}.wav")
    lost = np.flatnonzero(frames[:, 0] == 0)
    assert np.array_equal(lost, np.arange(lost[0], lost[-1] + 1))
    assert 8_000 <= len(lost) <= 20_000, "3 s, less what the rings still held, and what had been due before"
    assert np.array_equal(np.delete(frames[:, 0], lost), np.delete(first, lost))
    document = json.loads((tmp_path / f"{name(1)}.json").read_text())
    assert document["unwritten_samples"] == sink.recordings[0].unwritten_samples == len(lost)
    assert document["unwritten"] == {
        "count": 1,
        "samples": len(lost),
        "listed": [
            {
                "at_s": lost[0] / 8000,
                "duration_s": len(lost) / 8000,
                "position": lost[0],
                "length_samples": len(lost),
            }
        ],
    }
    assert document["write_errors"] == {"count": sink.failure_count, "first": "[Errno 28] No space left on device"}
    assert 3 <= sink.failure_count <= 5
    assert {failure.call for failure in sink.failures} == {name(1)}


def refuse_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WavFile, "write", full)
    monkeypatch.setattr(Path, "write_bytes", full)


def sidecar(folder: Path) -> dict:
    return json.loads((folder / f"{name()}.json").read_text())


@pytest.mark.parametrize("directions", [1, 2])
def test_a_write_that_fails_is_made_good_as_long_as_the_rings_hold_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, directions: int
) -> None:
    voices = {slot: tone(40_000, slot + 1) for slot in range(directions)}
    sink = RecordingSink(tmp_path)
    for slot in voices:
        sink.event(opened(slot, slot))
    speak(sink, voices, 0, 2000)
    refuse_writes(monkeypatch)
    at_ms = 2000
    while not sink.failure_count:
        speak(sink, voices, at_ms, at_ms + 20)
        at_ms += 20
    monkeypatch.undo()
    speak(sink, voices, at_ms, 5000)
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    for slot, voice in voices.items():
        assert np.array_equal(frames[:, slot], voice)
    document = sidecar(tmp_path)
    assert document["write_errors"]["count"] == 1
    assert document["unwritten"] == {"count": 0, "samples": 0, "listed": []}


def test_a_disk_that_is_full_several_times_leaves_as_many_silences_and_all_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voices = {slot: tone(160_000, slot + 1) for slot in range(2)}
    sink = RecordingSink(tmp_path)
    for slot in voices:
        sink.event(opened(slot, slot))
    for begin_ms in (0, 8000):
        speak(sink, voices, begin_ms, begin_ms + 4000)
        refuse_writes(monkeypatch)
        speak(sink, voices, begin_ms + 4000, begin_ms + 8000)
        monkeypatch.undo()
    speak(sink, voices, 16_000, 20_000)
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    unwritten = sidecar(tmp_path)["unwritten"]
    silent = np.zeros(160_000, np.bool_)
    for entry in unwritten["listed"]:
        silent[entry["position"] : entry["position"] + entry["length_samples"]] = True
    assert unwritten["count"] == len(unwritten["listed"]) == 2
    assert unwritten["samples"] == silent.sum() > 2 * 8000
    for slot, voice in voices.items():
        assert np.array_equal(frames[:, slot], np.where(silent, 0, voice))


def test_late_sound_that_cannot_be_written_over_its_place_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = tone(40_000)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    speak(sink, {0: voice}, 0, 1000)
    speak(sink, {0: voice}, 1200, 4000)
    refuse_writes(monkeypatch)
    sink.block(block([(0, at, voice[at : at + 160]) for at in range(8000, 9600, 160)], at_ns=4 * SECOND))
    monkeypatch.undo()
    sink.close()
    (entry,) = sidecar(tmp_path)["unwritten"]["listed"]
    assert entry == {"at_s": 1.0, "duration_s": 0.2, "position": 8000, "length_samples": 1600}


def test_a_disk_that_stays_full_leaves_the_first_sidecar_and_every_refusal_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = tone(32_000)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    speak(sink, {0: voice}, 0, 1000)
    before = sidecar(tmp_path)
    refuse_writes(monkeypatch)
    speak(sink, {0: voice}, 1000, 4000)
    sink.event(closed(0, length=32_000))
    refused = sink.failure_count
    sink.close()
    assert sidecar(tmp_path) == before
    assert before["complete"] is False
    assert refused >= 5, "four turns, the end, and the sidecar"
    assert sink.failure_count == len(sink.failures) == refused + 1, "the sidecar is tried once more by close"
    assert sink.failures[-1].call == name()
    assert "No space left" in sink.failures[-1].reason


def test_the_sidecar_is_tried_once_more_at_the_end_and_tells_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = tone(32_000)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    speak(sink, {0: voice}, 0, 1000)
    written = len(load(tmp_path / f"{name()}.wav")[0])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WavFile, "write", full)
    monkeypatch.setattr(WavFile, "extend", full)
    speak(sink, {0: voice}, 1000, 4000)
    sink.event(closed(0, length=40_000))
    document = sidecar(tmp_path)
    assert document["complete"]
    assert document["length_samples"] == written
    (entry,) = document["unwritten"]["listed"]
    assert (entry["position"], entry["length_samples"]) == (written, 40_000 - written), "the silent end as well"


@pytest.mark.parametrize("full_ms", [1000, 3000])
def test_a_file_that_cannot_be_created_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_ms: int
) -> None:
    voice = tone(32_000)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    system_open = os.open

    def full(path: Path, flags: int, *args: object, **options: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return system_open(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", full)
    speak(sink, {0: voice}, 0, full_ms)
    assert sink.failure_count
    monkeypatch.undo()
    speak(sink, {0: voice}, full_ms, 4000)
    sink.event(closed(0, length=32_000))
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert len(frames) == 32_000
    begin = int(np.flatnonzero(frames[:, 0])[0])
    assert np.array_equal(frames[begin:, 0], voice[begin:])
    assert bool(begin) == (full_ms > 1000)
    assert sidecar(tmp_path)["unwritten_samples"] == begin


def test_a_recording_that_never_got_a_file_is_a_failure_and_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(WavFile, "create", full)
    speak(sink, {0: tone(16_000)}, 0, 2000)
    sink.event(closed(0, length=16_000))
    sink.close()
    assert sink.failure_count > 1
    assert not sink.recordings
    assert not list(tmp_path.iterdir())


def test_failures_and_recordings_are_remembered_within_a_bound(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path, keep=3)
    for call in range(1, 6):
        sink.event(opened(0, call=call))
        sink.event(closed(0, call=call))
    assert [recording.path.stem for recording in sink.recordings] == [name(call) for call in (3, 4, 5)]
    assert sink.recording_count == 5
    assert sink.open_count == 0


def test_more_recordings_than_descriptors_are_all_written(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    cache = sink._settings.descriptors
    cache.limit = 3
    voices = {slot: tone(24_000, slot + 1) for slot in range(8)}
    for slot in voices:
        sink.event(opened(slot, call=slot + 1))
    speak(sink, voices, 0, 3000)
    assert len(cache) == 3
    sink.close()
    for slot, voice in voices.items():
        assert np.array_equal(load(tmp_path / f"{name(slot + 1)}.wav")[0][:, 0], voice)
    assert cache.reopened > 8


def test_calls_that_begin_together_go_to_disk_at_different_times(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    voices = {slot: tone(32_000, slot + 1) for slot in range(40)}
    for slot in voices:
        sink.event(opened(slot, call=slot + 1))
    sizes, grown = {}, []
    for at_ms in range(0, 4000, 20):
        speak(sink, voices, at_ms, at_ms + 20)
        now = {path: path.stat().st_size for path in tmp_path.glob("*.wav")}
        grown.append(sum(sizes.get(path) != size for path, size in now.items()))
        sizes = now
    assert grown[39] == 40, "the first flush is the alignment"
    assert max(grown[100:]) <= 3, "40 recordings over 30 ticks"
    assert sum(grown[100:]) >= 40 * 2
    sink.close()


def test_between_its_turns_a_recording_lacks_no_more_than_the_interval_and_a_tick(tmp_path: Path) -> None:
    """So there is room for the engine's own delay in the second that a kill may cost."""
    sink = RecordingSink(tmp_path)
    voices = {slot: tone(40_000, slot + 1) for slot in range(3)}
    for slot in voices:
        sink.event(opened(slot, call=slot + 1))
    for at_ms in range(0, 5000, 20):
        speak(sink, voices, at_ms, at_ms + 20)
        for path in tmp_path.glob("*.wav"):
            assert (path.stat().st_size - 44) // 4 >= (at_ms + 20 - 620) * 8
        assert at_ms < 900 or len(list(tmp_path.glob("*.wav"))) == 3
    sink.close()


def test_a_direction_that_sends_nothing_does_not_slow_the_other_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_rows = []
    system_write = OpenRecording.write

    def counted(self: OpenRecording, *args: Any) -> None:
        slow_rows.append(args)
        system_write(self, *args)

    monkeypatch.setattr(OpenRecording, "write", counted)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    speak(sink, {0: tone(80_000), 1: tone(80_000)}, 0, 2000)
    speak(sink, {0: tone(80_000)}, 2000, 10_000)
    sink.close()
    assert not slow_rows


def test_a_loop_that_stalled_catches_up_without_losing_a_sample(tmp_path: Path) -> None:
    left, right = tone(80_000, 1), tone(80_000, 2)
    sink = RecordingSink(tmp_path)
    sink.event(opened(0, 0))
    sink.event(opened(1, 1))
    speak(sink, {0: left, 1: right}, 0, 2000)
    rows = [
        (slot, at, voice[at : at + 160])
        for slot, voice in enumerate((left, right))
        for at in range(16_000, 80_000, 160)
    ]
    sink.block(block(rows, at_ns=10 * SECOND))
    sink.flush(T0 + 10 * SECOND)
    sink.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames, np.stack([left, right], axis=1))
