"""Many calls that begin or end together: their work is spread over turns, and nothing else becomes different."""

import json
from pathlib import Path

import numpy as np
import pytest

from strep.sinks.recordings import Encoding, Layout, RecordingSink
from strep.sinks.recordings.open_recording import OpenRecording
from strep.stream.allowance import Allowance
from tests.sinks.recordings.calls import SECOND, T0, block, closed, format_changed, load, name, opened, tone

MS = 1_000_000
VOICE = tone(400_000)


def voice(slot: int) -> np.ndarray:
    return VOICE[slot * 331 :]


class Crowd:
    """Calls that begin together; `turn` lets all of them speak for 20 ms and flushes."""

    def __init__(self, sink: RecordingSink, calls: int) -> None:
        self.sink = sink
        self.slots = range(2 * calls)
        self.now_ms = 0
        for slot in self.slots:
            sink.event(opened(slot, slot % 2, call=1 + slot // 2))
            sink.event(format_changed(slot))

    def speak(self) -> None:
        at = self.now_ms * 8
        self.sink.block(block([(slot, at, voice(slot)[at : at + 160]) for slot in self.slots], at_ns=self.now_ms * MS))
        self.now_ms += 20

    def flush(self) -> None:
        self.sink.flush(T0 + self.now_ms * MS)

    def turn(self) -> None:
        self.speak()
        self.flush()

    def end(self) -> None:
        for slot in self.slots:
            end = closed(slot, slot % 2, call=1 + slot // 2, length=self.now_ms * 8, at_ns=self.now_ms * MS)
            self.sink.event(end)


def check(folder: Path, calls: int, length: int) -> None:
    for call in range(calls):
        frames, _ = load(folder / f"{name(call + 1)}.wav")
        expected = np.stack([voice(2 * call)[:length], voice(2 * call + 1)[:length]], axis=1)
        assert np.array_equal(frames, expected)
        assert json.loads((folder / f"{name(call + 1)}.json").read_text())["complete"]


def counts(folder: Path) -> tuple[int, int]:
    return len(list(folder.glob("[!.]*.wav"))), len(list(folder.glob("[!.]*.json")))


@pytest.mark.thorough
def test_files_of_calls_that_begin_together_are_created_some_at_a_time(tmp_path: Path) -> None:
    crowd = Crowd(RecordingSink(tmp_path), 400)
    while crowd.now_ms < 780:
        crowd.turn()
    assert counts(tmp_path) == (0, 0)
    found = []
    while crowd.now_ms < 1060:
        crowd.turn()
        found.append(counts(tmp_path))
    files, sidecars = (np.array(column) for column in zip(*found, strict=True))
    assert files[:6].tolist() == [60, 120, 180, 240, 300, 360]
    assert files[-1] == 400
    assert sidecars[:13].tolist() == list(range(30, 400, 30))
    assert sidecars[-1] == 400
    crowd.sink.close()
    check(tmp_path, 400, 1060 * 8)


def test_calls_that_end_together_are_finished_some_at_a_time_and_in_order(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    crowd = Crowd(sink, 200)
    while crowd.now_ms < 2000:
        crowd.turn()
    crowd.end()
    at_once, waiting = sink.recording_count, sink.ending_count
    assert at_once == 15, "30 are allowed, and each direction is one"
    assert at_once + waiting == 200 == at_once + sink.open_count
    finished = []
    while sink.ending_count:
        crowd.now_ms += 20
        crowd.flush()
        finished.append(sink.recording_count)
    assert np.diff([at_once, *finished]).max() <= 30
    assert [recording.path.stem for recording in sink.recordings] == [name(call + 1) for call in range(200)]
    assert sink.open_count == 0
    check(tmp_path, 200, 2000 * 8)


def test_a_recording_that_waits_to_be_finished_goes_to_disk_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Allowance, "use", lambda self: self._ns_each == SECOND // 4000)  # first turns, nothing else
    sink = RecordingSink(tmp_path)
    crowd = Crowd(sink, 20)
    while crowd.now_ms < 2000:
        crowd.turn()
    crowd.end()
    assert sink.ending_count == 20
    for _ in range(38):
        crowd.now_ms += 20
        crowd.flush()
    assert sink.ending_count == 20
    for call in range(20):
        assert len(load(tmp_path / f"{name(call + 1)}.wav")[0]) == 16_000
    sink.close()
    check(tmp_path, 20, 16_000)


def test_slots_serve_again_while_their_recordings_wait_to_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Allowance, "use", lambda self: False)
    sink = RecordingSink(tmp_path)
    crowd = Crowd(sink, 10)
    while crowd.now_ms < 400:
        crowd.turn()
    crowd.end()
    other = tone(1600, 5)
    for slot in crowd.slots:
        sink.event(opened(slot, slot % 2, call=101 + slot // 2, at_ns=400 * MS))
    sink.block(block([(slot, 0, other) for slot in crowd.slots], at_ns=400 * MS))
    sink.close()
    assert sink.recording_count == 20
    check(tmp_path, 10, 3200)
    for call in range(101, 111):
        assert np.array_equal(load(tmp_path / f"{name(call)}.wav")[0], np.stack([other, other], axis=1))


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("layout", list(Layout))
def test_a_stream_that_comes_back_finds_the_same_recording_however_busy_the_sink_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool, layout: Layout
) -> None:
    if busy:
        monkeypatch.setattr(Allowance, "use", lambda self: self._ns_each == SECOND // 4000)
    sink = RecordingSink(tmp_path, layout=layout)
    crowd = Crowd(sink, 1)
    while crowd.now_ms < 2000:
        crowd.turn()
    sink.event(closed(1, 1, length=16_000, at_ns=2 * SECOND))
    sink.event(opened(7, 1, at_ns=2 * SECOND))
    sink.block(block([(7, 0, tone(8000, 3))], at_ns=2 * SECOND))
    sink.event(closed(0, 0, length=16_000, at_ns=2 * SECOND))
    sink.event(closed(7, 1, length=8000, anchor_ns=2 * SECOND, at_ns=3 * SECOND))
    sink.event(opened(0, 0, at_ns=3 * SECOND))
    sink.close()
    lengths = {path.stem.removeprefix(name()): len(load(path)[0]) for path in tmp_path.glob("*.wav")}
    if layout is Layout.STEREO:
        assert lengths == {"": 24_000, "-2": 0}
        assert np.array_equal(load(tmp_path / f"{name()}.wav")[0][16_000:, 1], tone(8000, 3))
    else:
        assert lengths == {"-in": 16_000, "-out": 16_000, "-in-2": 0, "-out-2": 8000}


@pytest.mark.parametrize("encoding", [Encoding.PCM16, Encoding.ULAW])
def test_recordings_do_not_depend_on_how_busy_the_sink_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: Encoding
) -> None:
    def record(folder: Path) -> dict[str, bytes]:
        sink = RecordingSink(folder, encoding=encoding)
        crowd = Crowd(sink, 12)
        while crowd.now_ms < 1500:
            crowd.turn()
        crowd.end()
        for _ in range(10):
            crowd.now_ms += 20
            crowd.flush()
        sink.close()
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    idle = record(tmp_path / "idle")
    allowed = iter(range(10**9))
    monkeypatch.setattr(Allowance, "use", lambda self: next(allowed) % 5 == 0)
    assert record(tmp_path / "busy") == idle
    assert len(idle) == 24


def test_when_too_many_wait_to_be_finished_the_oldest_is_finished_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strep.sinks.recordings.sink._MOST_ENDING", 3)
    monkeypatch.setattr(Allowance, "use", lambda self: False)
    sink = RecordingSink(tmp_path)
    crowd = Crowd(sink, 10)
    crowd.turn()
    crowd.end()
    assert (sink.recording_count, sink.ending_count) == (7, 3)
    sink.close()
    check(tmp_path, 10, 160)


def test_a_call_that_has_to_wait_for_its_file_until_its_ring_is_full_gets_it_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Allowance, "use", lambda self: False)
    crowd = Crowd(RecordingSink(tmp_path), 3)
    while crowd.now_ms < 2300:
        crowd.turn()
    assert counts(tmp_path) == (0, 0)
    while crowd.now_ms < 6000:
        crowd.turn()
    for path in tmp_path.glob("*.wav"):
        assert len(load(path)[0]) >= (6000 - 2500) * 8
    crowd.sink.close()
    check(tmp_path, 3, 48_000)


def test_a_turn_that_is_late_writes_each_recording_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = Crowd(RecordingSink(tmp_path, flush_interval_ms=500), 50)
    while crowd.now_ms < 3000:
        crowd.turn()
    flushed = []
    flush = OpenRecording.flush

    def counted(self: OpenRecording, now_ns: int) -> None:
        flushed.append(self.name)
        flush(self, now_ns)

    monkeypatch.setattr(OpenRecording, "flush", counted)
    while crowd.now_ms < 4600:
        crowd.speak()
    crowd.flush()
    assert len(flushed) == len(set(flushed)) == 50
    while crowd.now_ms < 5100:
        crowd.turn()
    assert len(flushed) == 100, "and each has its turns at its own time again"
    crowd.sink.close()
    check(tmp_path, 50, 5100 * 8)
