"""The columnar path, the rings, the flushes and the overlays, against one plain array for the whole call."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.sinks.recordings import RecordingSink
from tests.sinks.recordings.calls import SECOND, T0, Samples, block, closed, load, name, opened

RATE_HZ = 8000


@dataclass
class Row:
    direction: int
    position: int
    samples: Samples


@dataclass
class Step:
    rows: list[Row]
    flush_after_ms: int


def reference(rows: list[Row], offsets: tuple[int, int], length: int) -> Samples:
    """Place every row by hand, in order, in an array of the whole call."""
    frames = np.zeros((length, 2), np.int16)
    for row in rows:
        begin = offsets[row.direction] + row.position
        frames[begin : begin + len(row.samples), row.direction] = row.samples
    return frames


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Draw blocks with packets that mostly go on, and else leave gaps, step back, or straddle anything."""
    heads, value, found = [0, 0], 0, []
    heard = draw(st.sampled_from([(0, 1), (0, 1), (0,), (1,)]))
    for _ in range(draw(st.integers(1, 12))):
        length = draw(st.sampled_from([160, 160, 240, 1, 77, 8000, 12_000, 25_000]))
        rows = []
        for direction in draw(st.lists(st.sampled_from(heard), min_size=1, max_size=8)):
            jump = draw(st.sampled_from([0, 0, 0, 0, 1600, -160, -9000, 13, 30_000, 90_000]))
            position = max(heads[direction] + jump, 0)
            heads[direction] = position + length
            value += 1
            rows.append(Row(direction, position, np.full(length, value, np.int16)))
        found.append(Step(rows, draw(st.sampled_from([0, 20, 400, 900, 3000]))))
    return found


@settings(max_examples=settings.default.max_examples)
@given(steps(), st.integers(0, 3000), st.booleans(), st.randoms(use_true_random=False))
def test_a_recording_is_what_its_rows_say_whenever_it_was_flushed(
    steps: list[Step], later_ms: int, shuffled: bool, random
) -> None:
    rows = [row for step in steps for row in step.rows]
    offsets = (0, later_ms * 8)
    ends = [offsets[row.direction] + row.position + len(row.samples) for row in rows]
    length = max(*ends, *offsets)  # a call whose second direction was opened is at least that long
    with TemporaryDirectory() as folder:
        sink = RecordingSink(folder)
        sink.event(opened(0, 0))
        sink.event(opened(1, 1, at_ns=later_ms * 1_000_000))
        now_ns, placed = T0, []
        for step in steps:
            if shuffled:
                random.shuffle(step.rows)
            placed += step.rows
            arrival_ns = now_ns - T0 + 3600 * SECOND
            sink.block(block([(row.direction, row.position, row.samples) for row in step.rows], at_ns=arrival_ns))
            now_ns += step.flush_after_ms * 1_000_000
            sink.flush(now_ns)
        for direction in (0, 1):
            sink.event(closed(direction, direction))
        sink.close()
        frames, rate_hz = load(sink.recordings[0].path)
    assert rate_hz == RATE_HZ
    assert not sink.failures
    assert np.array_equal(frames, reference(placed, offsets, length))


def test_many_calls_in_one_block_stay_apart(tmp_path: Path) -> None:
    calls, packets = 150, 130
    sink = RecordingSink(tmp_path)
    samples = np.random.default_rng(5).integers(1, 30_000, (packets, 2 * calls, 160)).astype(np.int16)
    for slot in range(2 * calls):
        sink.event(opened(slot, slot % 2, call=1 + slot // 2))
    for packet in range(packets):
        now_ns = (packet + 1) * 20_000_000
        sink.block(block([(slot, packet * 160, samples[packet, slot]) for slot in range(2 * calls)], at_ns=now_ns))
        sink.flush(T0 + now_ns)
    sink.close()
    assert sink.recording_count == calls
    for number, recording in enumerate(sink.recordings):
        frames, _ = load(recording.path)
        assert np.array_equal(frames[:, 0], samples[:, 2 * number].ravel())
        assert np.array_equal(frames[:, 1], samples[:, 2 * number + 1].ravel())


def test_rows_of_a_stream_nobody_announced_are_counted_and_harm_nobody(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    sink.event(opened(0))
    for packet in range(3):
        ones = np.ones(160, np.int16)
        sink.block(block([(0, packet * 160, ones), (9, packet * 160, 5 * ones), (70_000, 0, 7 * ones)]))
    sink.close()
    assert sink.orphan_rows == 6
    frames, _ = load(sink.recordings[0].path)
    assert frames.shape == (480, 2)
    assert (frames[:, 0] == 1).all()


def test_what_the_file_has_is_not_written_again_until_something_new_comes(tmp_path: Path) -> None:
    sink = RecordingSink(tmp_path)
    for direction in (0, 1):
        sink.event(opened(direction, direction))
    sink.block(block([(0, 0, np.full(9 * 800, 5, np.int16))]))
    sink.flush(T0 + SECOND)
    path = tmp_path / f"{name()}.wav"
    with path.open("r+b") as file:
        file.seek(44)
        file.write(b"elsewhere")
    sink.flush(T0 + 2 * SECOND)
    assert path.read_bytes()[44:53] == b"elsewhere"
    sink.block(block([(1, 160, np.full(160, 7, np.int16))]))
    sink.flush(T0 + 3 * SECOND)
    sink.close()
    frames, _ = load(path)
    assert frames[:, 0].tolist() == [5] * 9 * 800
    assert frames[160:320, 1].tolist() == [7] * 160
