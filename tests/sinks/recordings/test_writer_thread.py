"""Reception never waits for a disk: what is queued is written in order, what is not is listed exactly."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from strep.errors import ConfigError
from strep.live.pipeline import Pipeline
from strep.sinks.recordings import CallAbout, QueueLimits, RecordingSink, WriterThread, share_interpreter, writer_thread
from strep.sinks.recordings.dropped import DroppedAudio, Missing
from strep.stream.engine import Engine
from strep.stream.events import StreamIdentity
from tests.sinks.recordings.calls import SECOND, T0, Samples, block, closed, format_changed, load, name, opened, tone

MS = 1_000_000
TICK_MS = 20
#: Nothing here takes long; a test that hangs fails by this.
PATIENCE_S = 30
MEBIBYTE = 1 << 20


class StallingSink(RecordingSink):
    """A RecordingSink whose disk stalls from when it is told to until it is let go."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stall, self.stalled, self.let_go = threading.Event(), threading.Event(), threading.Event()

    def flush(self, now_ns: int) -> bool:
        if self.stall.is_set():
            self.stalled.set()
            assert self.let_go.wait(PATIENCE_S)
        return super().flush(now_ns)


def speak(sink: Any, voices: dict[int, Samples], begin_ms: int, end_ms: int) -> None:
    for at_ms in range(begin_ms, end_ms, TICK_MS):
        rows = [(slot, at_ms * 8, voice[at_ms * 8 : at_ms * 8 + 160]) for slot, voice in voices.items()]
        sink.block(block(rows, at_ns=at_ms * MS))
        sink.flush(T0 + (at_ms + TICK_MS) * MS)


def stall(sink: StallingSink, thread: WriterThread, at_ms: int) -> None:
    """Have the disk stall in the flush that comes next, when all before it is written."""
    drain(thread)
    sink.stall.set()
    thread.flush(T0 + at_ms * MS)
    assert sink.stalled.wait(PATIENCE_S)


def let_go(sink: StallingSink) -> None:
    sink.stall.clear()
    sink.let_go.set()


def drain(thread: WriterThread) -> None:
    """Wait until the thread has done all that was put."""
    done = threading.Event()
    thread._put(lambda _: done.set(), None, 0)
    assert done.wait(PATIENCE_S)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def record_two_calls(sink: Any) -> None:
    voices = {slot: tone(40_000, slot + 1) for slot in range(4)}
    for slot in voices:
        sink.event(opened(slot, slot % 2, call=1 + slot // 2))
        sink.event(format_changed(slot))
    speak(sink, voices, 0, 4000)
    sink.event(closed(0, 0, call=1, length=32_000, at_ns=4 * SECOND))
    sink.event(closed(1, 1, call=1, length=32_000, at_ns=4 * SECOND))
    sink.flush(T0 + 4 * SECOND)
    sink.event(opened(0, 0, call=3, at_ns=4 * SECOND))
    speak(sink, {2: voices[2], 3: voices[3]}, 4000, 5000)
    sink.close()


def test_the_files_are_those_that_are_made_without_a_thread(tmp_path: Path) -> None:
    record_two_calls(RecordingSink(tmp_path / "inline"))
    record_two_calls(WriterThread(RecordingSink(tmp_path / "thread")))
    assert contents(tmp_path / "thread") == contents(tmp_path / "inline")


def test_what_came_of_it_is_there_after_close(tmp_path: Path) -> None:
    inline, thread = RecordingSink(tmp_path / "inline"), WriterThread(RecordingSink(tmp_path / "thread"))
    for sink in (inline, thread):
        record_two_calls(sink)
    assert [recording.path.name for recording in thread.recordings] == [made.path.name for made in inline.recordings]
    assert (thread.recording_count, thread.failure_count, thread.open_count) == (3, 0, 0)
    assert (thread.ending_count, thread.orphan_rows, thread.queued_bytes, thread.queued_s) == (0, 0, 0, 0)


def test_a_sink_that_was_given_nothing_is_closed_without_a_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    thread = WriterThread(RecordingSink(tmp_path))
    assert threading.active_count() == before
    thread.close()
    assert not thread.recordings


def test_recordings_that_finish_are_handed_over_by_the_next_flush(tmp_path: Path) -> None:
    thread = WriterThread(RecordingSink(tmp_path))
    thread.event(opened(0))
    speak(thread, {0: tone(16_000)}, 0, 2000)
    thread.event(closed(0, length=16_000, at_ns=2 * SECOND))
    drain(thread)
    assert thread.recording_count == 0, "nobody reads what another thread writes"
    thread.flush(T0 + 2 * SECOND)
    assert [recording.path.stem for recording in thread.recordings] == [name()]
    assert thread.recording_count == 1
    thread.close()


def test_a_stall_within_the_bound_costs_nothing_and_nobody_waits(tmp_path: Path) -> None:
    voices = {slot: tone(240_000, slot + 1) for slot in range(2)}
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink)
    for slot in voices:
        thread.event(opened(slot, slot))
    speak(thread, voices, 0, 2000)
    stall(sink, thread, 2000)
    speak(thread, voices, 2000, 28_000)  # comes back although the disk does not
    assert 25 < thread.queued_s < 27
    let_go(sink)
    thread.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert np.array_equal(frames, np.stack([voices[0][:224_000], voices[1][:224_000]], axis=1))
    assert thread.failure_count == thread.left_out_samples == 0


@pytest.mark.parametrize("closes_full", [False, True])
def test_a_stall_beyond_the_bound_lists_exactly_what_was_left_out(tmp_path: Path, *, closes_full: bool) -> None:
    voice = tone(160_000)
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink, limits=QueueLimits(seconds=5))
    thread.event(opened(0))
    speak(thread, {0: voice}, 0, 2000)
    drain(thread)
    stall(sink, thread, 2000)
    speak(thread, {0: voice}, 2000, 10_000)
    assert thread.failure_count == 1, "told while it lasts, once a call"
    assert thread.failures[0].call == name()
    assert "5 s of audio wait to be written" in thread.failures[0].reason
    left_out = thread.left_out_samples
    assert 2.9 * 8000 < left_out < 3.1 * 8000
    if not closes_full:
        let_go(sink)
        drain(thread)
        speak(thread, {0: voice}, 10_000, 12_000)
    thread.event(closed(0, length=96_000, at_ns=12 * SECOND))
    let_go(sink)
    thread.close()
    frames, _ = load(tmp_path / f"{name()}.wav")
    assert len(frames) == 96_000
    begin, end = 80_000 - left_out, 80_000
    document = json.loads((tmp_path / f"{name()}.json").read_text())
    (entry,) = document["unwritten"]["listed"]
    assert (entry["position"], entry["length_samples"]) == (begin, left_out)
    assert document["unwritten_samples"] == left_out == thread.recordings[0].unwritten_samples
    assert np.array_equal(frames[:begin, 0], voice[:begin])
    assert not frames[begin:end].any()
    spoken = frames[end:, 0]
    assert not spoken.any() if closes_full else np.array_equal(spoken, voice[end:96_000])


def test_a_queue_that_was_full_takes_audio_again_when_a_tenth_of_it_is_free(tmp_path: Path) -> None:
    voice = tone(160_000)
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink, limits=QueueLimits(seconds=5))
    thread.event(opened(0))
    stall(sink, thread, 0)
    speak(thread, {0: voice}, 0, 6000)
    left_out = thread.left_out_samples
    thread._taken_ns = thread._time_ns - int(4.6 * SECOND)
    speak(thread, {0: voice}, 6000, 6020)
    assert thread.left_out_samples == left_out + 160
    thread._taken_ns = thread._time_ns - int(4.4 * SECOND)
    speak(thread, {0: voice}, 6020, 6040)
    assert thread.left_out_samples == left_out + 160
    let_go(sink)
    thread.close()


def test_bytes_bound_the_queue_as_well(tmp_path: Path) -> None:
    voices = {slot: tone(16_000, slot) for slot in range(200)}
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink, limits=QueueLimits(bytes=MEBIBYTE))
    for slot in voices:
        thread.event(opened(slot, call=slot + 1))
    stall(sink, thread, 0)
    speak(thread, voices, 0, 1000)
    assert MEBIBYTE <= thread.queued_bytes < MEBIBYTE * 1.1
    assert thread.left_out_samples
    let_go(sink)
    thread.close()


def test_silence_takes_no_room_and_is_never_told_as_left_out(tmp_path: Path) -> None:
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink, limits=QueueLimits(bytes=MEBIBYTE, seconds=2))
    thread.event(opened(0))
    speak(thread, {0: tone(16_000)}, 0, 20)
    stall(sink, thread, 20)
    silence = np.broadcast_to(np.int16(0), 8000 * 3600)
    thread.block(_silent(0, 160, silence))
    assert thread.queued_bytes < MEBIBYTE // 8
    for second in range(20, 24):
        thread.flush(T0 + second * SECOND)
    thread.block(_silent(0, 160 + len(silence), silence))
    assert thread.failure_count == thread.left_out_samples == 0
    let_go(sink)
    thread.close()


def _silent(slot: int, position: int, samples: Samples) -> Any:
    made = block([(slot, position, np.zeros(1, np.int16))])
    return type(made)(8000, made.slots, made.position, samples[None, :], made.state, made.arrival_ns)


def test_a_jump_of_the_clock_fills_no_queue(tmp_path: Path) -> None:
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink, limits=QueueLimits(seconds=5))
    thread.event(opened(0))
    stall(sink, thread, 0)
    thread.flush(T0 + 3600 * SECOND)  # the machine slept
    speak(thread, {0: tone(16_000)}, 0, 1000)
    assert thread.left_out_samples == 0
    let_go(sink)
    thread.close()


def test_from_so_many_events_on_only_ends_are_queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_thread, "MOST_EVENTS", 4)
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink)
    thread.event(opened(0))
    drain(thread)
    stall(sink, thread, 0)
    for _ in range(10):
        thread.event(format_changed(0))
    thread.event(opened(1, call=2))
    thread.event(closed(0, length=160))
    thread.event(closed(1, call=2))
    assert (thread.dropped_events, thread.refused_streams) == (6, 1)
    assert [failure.call for failure in thread.failures] == [name(2)]
    let_go(sink)
    drain(thread)
    thread.event(opened(1, call=3))
    thread.event(closed(1, call=3))
    thread.close()
    assert sorted(recording.path.stem for recording in thread.recordings) == [name(1), name(3)]
    document = json.loads((tmp_path / f"{name(1)}.json").read_text())
    assert document["streams"][0]["formats"]["count"] == 4


class BreakingSink(RecordingSink):
    """A RecordingSink that has a fault."""

    raises_in = "block"

    def block(self, block: object) -> None:
        if self.raises_in == "block":
            raise ZeroDivisionError("our own fault")

    def close(self) -> None:
        super().close()
        if self.raises_in == "close":
            raise ZeroDivisionError("our own fault")


def test_what_the_sink_raises_ends_the_thread_and_is_raised_once_by_the_next_call(tmp_path: Path) -> None:
    thread = WriterThread(BreakingSink(tmp_path))
    thread.event(opened(0))
    thread.event(format_changed(0))
    speak(thread, {0: tone(160)}, 0, 20)
    thread._thread.join(PATIENCE_S)
    with pytest.raises(ZeroDivisionError):
        thread.flush(T0 + SECOND)
    thread.close()
    assert [recording.path.stem for recording in thread.recordings] == [name()], "files that were open are finished"


@pytest.mark.parametrize("raises_in", ["block", "close"])
def test_what_nobody_has_heard_of_is_raised_by_close(tmp_path: Path, raises_in: str) -> None:
    sink = BreakingSink(tmp_path)
    sink.raises_in = raises_in
    thread = WriterThread(sink)
    thread.event(opened(0))
    thread.block(block([(0, 0, tone(160))]))
    with pytest.raises(ZeroDivisionError):
        thread.close()


def test_nothing_is_put_for_a_sink_that_has_settled(tmp_path: Path) -> None:
    thread = WriterThread(RecordingSink(tmp_path))
    thread.event(opened(0))
    speak(thread, {0: tone(16_000)}, 0, 1000)
    thread.settle()
    assert not thread._thread.is_alive()
    assert (tmp_path / f"{name()}.wav").exists()
    assert thread.recording_count == 0
    thread.close()
    assert thread.recording_count == 1


class Directory:
    """What somebody knows of calls, and in which thread it was asked."""

    def __init__(self) -> None:
        self.known: dict[str, CallAbout | None] = {}
        self.asked: list[tuple[str, int]] = []

    def about(self, identity: StreamIdentity) -> CallAbout | None:
        self.asked.append((identity.call, threading.get_ident()))
        return self.known.get(identity.call)


def test_about_is_asked_where_the_calls_are_known_and_never_by_the_thread(tmp_path: Path) -> None:
    directory = Directory()
    thread = WriterThread(RecordingSink(tmp_path), about=directory.about)
    thread.event(opened(0))
    directory.known[name()] = CallAbout({"from": "+1"}, "2024")
    speak(thread, {0: tone(160_000)}, 0, 1000)
    drain(thread)
    assert (tmp_path / "2024" / f"{name()}.wav").exists(), "the folder is that of shortly before the file was begun"
    directory.known[name()] = CallAbout({"from": "+1", "ended_by": "caller"}, "2025")
    thread.event(closed(0, length=8000))
    thread.close()
    document = json.loads((tmp_path / "2024" / f"{name()}.json").read_text())
    assert document["call"] == {"from": "+1", "ended_by": "caller"}
    assert {ident for _, ident in directory.asked} == {threading.get_ident()}
    assert len(directory.asked) == 3


def test_about_is_asked_again_every_10_s_while_a_stream_is_open(tmp_path: Path) -> None:
    directory = Directory()
    thread = WriterThread(RecordingSink(tmp_path), about=directory.about)
    thread.event(opened(0))
    for second in range(60):
        thread.flush(T0 + second * SECOND)
    assert 6 <= len(directory.asked) <= 8
    thread.event(closed(0))
    asked = len(directory.asked)
    for second in range(60, 120):
        thread.flush(T0 + second * SECOND)
    assert len(directory.asked) == asked
    thread.close()


def test_what_about_raises_is_a_failure_and_costs_nothing(tmp_path: Path) -> None:
    def about(identity: StreamIdentity) -> CallAbout:
        raise KeyError(identity.call)

    thread = WriterThread(RecordingSink(tmp_path), about=about)
    thread.event(opened(0))
    speak(thread, {0: tone(16_000)}, 0, 500)
    thread.close()
    assert "could not be asked: KeyError" in thread.failures[0].reason
    assert thread.recording_count == 1


@pytest.mark.parametrize("limits", [{"seconds": 1}, {"seconds": 4000}, {"bytes": 1000}, {"bytes": 2**41}])
def test_limits_that_cannot_be_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="a queue must"):
        QueueLimits(**limits)


def test_rows_that_follow_on_one_another_are_one_interval_and_others_are_listed_apart() -> None:
    dropped = DroppedAudio()
    assert dropped.add(block([(3, 0, tone(160)), (70, 80, tone(160)), (3, 160, tone(160))])) == [3, 70]
    assert dropped.add(block([(70, 240, tone(160)), (3, 320, tone(160))])) == []
    assert dropped.add(block([(3, 1000, tone(160))])) == []
    assert dropped.add(block([(3, 2000, tone(320))], rate_hz=16_000)) == []
    assert dropped.samples == 7 * 160 + 160
    assert dropped.take(3) == [Missing(8000, 0, 480), Missing(8000, 1000, 1160), Missing(16_000, 2000, 2320)]
    assert dropped.take(3) == []
    assert dropped.take_all() == {70: [Missing(8000, 80, 400)]}
    assert not dropped


def test_a_stream_of_holes_is_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.sinks.recordings.dropped.MOST_INTERVALS", 2)
    dropped = DroppedAudio()
    for at in (0, 1000, 2000, 3000, 2500):
        dropped.add(block([(0, at, tone(160))]))
    assert dropped.take(0) == [Missing(8000, 0, 160), Missing(8000, 1000, 1160), Missing(8000, 2000, 3160)]


def test_what_is_left_out_before_the_file_is_begun_is_listed_too(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    sink.miss(0, Missing(8000, 0, 4000))
    voice = tone(16_000)
    for at in range(4000, 16_000, 160):
        sink.block(block([(0, at, voice[at : at + 160])], at_ns=at * SECOND // 8000))
    sink.flush(T0 + 2 * SECOND)
    sink.close()
    document = json.loads((tmp_path / f"{name()}.json").read_text())
    assert [(e["position"], e["length_samples"]) for e in document["unwritten"]["listed"]] == [(0, 4000)]


def test_what_claims_to_lie_in_the_future_is_not_believed_when_it_is_left_out(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    sink.block(block([(0, 0, tone(160))]))
    sink.flush(T0 + SECOND)
    sink.miss(0, Missing(8000, 2**40, 2**40 + 160))
    sink.close()
    assert json.loads((tmp_path / f"{name()}.json").read_text())["unwritten"]["count"] == 0


def test_a_pipeline_lets_such_a_sink_settle_and_then_closes_it(tmp_path: Path) -> None:
    thread = WriterThread(RecordingSink(tmp_path))
    pipeline = Pipeline(Engine(), [thread])
    thread.event(opened(0))
    pipeline.end_streams()
    pipeline.settle()
    pipeline.finish()
    pipeline.close()
    assert thread.recording_count == 1


def test_the_interpreter_is_shared_in_shorter_turns_and_never_in_longer_ones() -> None:
    before = sys.getswitchinterval()
    try:
        for interval_s, then_s in ((0.005, 0.001), (0.0005, 0.0005)):
            sys.setswitchinterval(interval_s)
            share_interpreter()
            assert sys.getswitchinterval() == pytest.approx(then_s)
    finally:
        sys.setswitchinterval(before)


def test_the_backlog_says_how_full_the_queue_is_and_whether_the_disk_moves(tmp_path: Path) -> None:
    sink = StallingSink(tmp_path)
    thread = WriterThread(sink, limits=QueueLimits(seconds=10))
    thread.event(opened(0))
    speak(thread, {0: tone(80_000)}, 0, 1000)
    drain(thread)
    thread.flush(T0 + 1000 * MS)
    drain(thread)
    share, _, moves = thread.backlog()
    assert share < 0.01
    assert moves
    stall(sink, thread, 1000)
    speak(thread, {0: tone(80_000)}, 1000, 1500)
    share, age_ns, moves = thread.backlog()
    assert 0.04 < share < 0.06
    assert 400 * MS < age_ns < 600 * MS
    assert moves
    speak(thread, {0: tone(80_000)}, 1500, 9000)
    share, age_ns, moves = thread.backlog()
    assert 0.7 < share < 0.9
    assert not moves
    let_go(sink)
    thread.close()
