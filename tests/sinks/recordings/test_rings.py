import mmap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.sinks.recordings.rings import Rings

RATE_HZ = 100  # so that a ring has 240 samples, and straddling is common
CAPACITY = 240

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(-50, 400)), min_size=1, max_size=30)
blocks = st.lists(st.tuples(st.integers(1, 260), rows), min_size=1, max_size=4)
starts = st.lists(st.integers(0, 300), min_size=4, max_size=4)


def filled(rings: Rings) -> list[int]:
    """Open rings for slots 0 to 3; 4 and 5 stay unknown."""
    return [rings.open(slot) for slot in range(4)]


@given(blocks, starts)
def test_columns_and_rows_one_by_one_fill_the_rings_alike(
    blocks: list[tuple[int, list[tuple[int, int]]]], starts: list[int]
) -> None:
    columns, scalar = Rings(RATE_HZ), Rings(RATE_HZ)
    assert filled(columns) == filled(scalar)
    for slot, start in enumerate(starts):
        for rings in (columns, scalar):
            rings.advance(slot + 1, start)
    value = 0
    for length, block in blocks:
        slots, position = np.array(block, np.int64).T
        samples = (np.arange(len(block) * length, dtype=np.int64).reshape(-1, length) + value).astype(np.int16)
        value += samples.size
        left = columns.place(slots, position, samples)
        for row, (slot, at) in enumerate(block):
            inside = slot < 4 and starts[slot] <= at and at + length <= starts[slot] + CAPACITY
            assert inside or row in left, "what has no place in the window is left to the caller"
            if inside:
                scalar.write(slot + 1, at, samples[row])
            if inside and row in left:
                columns.write(slot + 1, at, samples[row])
    for row in range(1, 5):
        assert columns.head[row] == scalar.head[row]
        assert np.array_equal(contents(columns, row), contents(scalar, row))


def contents(rings: Rings, row: int) -> np.ndarray:
    out = np.zeros(CAPACITY, np.int16)
    rings.read(row, int(rings.start[row]), out)
    return out


def test_rows_in_their_plain_places_are_all_placed_at_once() -> None:
    rings = Rings(8000)
    for slot in range(200):
        rings.open(slot)
    slots = np.arange(200)
    for packet in range(119):
        samples = np.full((200, 160), packet + 1, np.int16) + slots[:, None].astype(np.int16)
        assert not len(rings.place(slots, np.full(200, packet * 160), samples))
    out = np.zeros(19200, np.int16)
    rings.read(150, 0, out)
    assert np.array_equal(out, np.append(np.repeat(np.arange(119) + 150, 160), np.zeros(160)))


def test_silence_may_be_a_broadcast_and_longer_than_a_packet() -> None:
    rings = Rings(8000)
    row = rings.open(3)
    rings.write(row, 0, np.ones(16000, np.int16))
    silence = np.broadcast_to(np.zeros(1, np.int16), (1, 8000))
    assert not len(rings.place(np.array([3]), np.array([4000]), silence))
    out = np.zeros(16000, np.int16)
    rings.read(row, 0, out)
    assert np.array_equal(np.flatnonzero(out == 0), np.arange(4000, 12000))


def test_moving_the_window_forgets_what_was_before_it() -> None:
    rings = Rings(RATE_HZ)
    row = rings.open(0)
    rings.write(row, 0, np.ones(CAPACITY, np.int16))
    rings.advance(row, 100)
    out = np.ones(CAPACITY, np.int16)
    rings.read(row, 100, out)
    assert np.array_equal(out, np.append(np.ones(140), np.zeros(100)))
    rings.advance(row, 10_000)
    rings.read(row, 10_000, out)
    assert not out.any()


def test_a_slot_that_serves_again_begins_with_an_empty_ring() -> None:
    rings = Rings(RATE_HZ)
    first = rings.open(0)
    rings.write(first, 0, np.ones(CAPACITY, np.int16))
    rings.detach(0)
    assert len(rings.place(np.array([0]), np.array([0]), np.ones((1, 10), np.int16))) == 1, "it has no ring now"
    second = rings.open(0)
    assert not len(rings.place(np.array([0]), np.array([5]), np.full((1, 10), 7, np.int16)))
    assert contents(rings, first).all(), "what was in the ring of the stream before is still there"
    assert np.flatnonzero(contents(rings, second)).tolist() == list(range(5, 15))
    rings.close(first)
    third = rings.open(1)
    assert third == first
    assert (rings.start[third], rings.head[third]) == (0, 0)
    assert not contents(rings, third).any()


def test_interleaving_gives_silence_for_a_channel_without_a_stream() -> None:
    rings = Rings(RATE_HZ)
    row = rings.open(0)
    rings.write(row, 200, np.arange(1, 41, dtype=np.int16))
    frames = rings.interleave([None, (row, 200)], 40)
    assert frames.tolist() == [[0, value] for value in range(1, 41)]


@pytest.mark.parametrize("can_enlarge", [True, False])
def test_rings_keep_what_they_hold_when_there_are_more(monkeypatch: pytest.MonkeyPatch, can_enlarge: bool) -> None:
    if not can_enlarge:
        monkeypatch.setattr("strep.sinks.recordings.rings.mmap.mmap", MapOfFixedSize)
    rings = Rings(RATE_HZ)
    for slot in range(300):
        row = rings.open(slot)
        rings.write(row, 0, np.full(CAPACITY, slot + 1, np.int16))
    assert [contents(rings, int(rings._row_of_slot[slot])).tolist() for slot in range(300)] == [
        [slot + 1] * CAPACITY for slot in range(300)
    ]


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc to tell what memory is in use")
def test_a_ring_costs_memory_only_where_it_was_written_to() -> None:
    before = resident_bytes()
    rings = Rings(8000)
    rows = [rings.open(slot) for slot in range(4000)]
    for row in rows[:100]:
        rings.write(row, 0, np.ones(rings.capacity, np.int16))
    used = resident_bytes() - before
    assert used < 20_000_000, "100 rings are 4 MB, 4,000 would be 154"


class MapOfFixedSize(mmap.mmap):
    """What mmap is where the system has no mremap()."""

    def resize(self, size: int) -> None:
        raise SystemError("mmap: resizing not available--no mremap()")


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
