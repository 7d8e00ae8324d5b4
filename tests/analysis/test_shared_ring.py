"""Audio reaches another process as it was, through memory that both see."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.analysis.shared_ring import RingReader, RingWriter, parts_of, record_of
from strep.plugins.base import Hops
from tests.plugins.test_framing import identity


def hops(n, hop=160, is_pair=False, arrival=True):
    random = np.random.default_rng(n)
    shape = (n, 2) if is_pair else (n,)
    return Hops(
        8000,
        np.arange(n) * 3,
        np.arange(n) * 160,
        np.arange(n) + 2**60,
        random.integers(-(2**15), 2**15, (*shape, hop)).astype(np.int16),
        random.integers(0, 5, shape).astype(np.uint8),
        random.integers(0, 2**60, shape) if arrival else None,
    )


def columns(given_hops):
    arrival_ns = given_hops.arrival_ns
    return [
        given_hops.rows.tolist(),
        given_hops.position.tolist(),
        given_hops.time_ns.tolist(),
        given_hops.samples.tolist(),
        given_hops.state.tolist(),
        np.zeros_like(given_hops.state, np.int64).tolist() if arrival_ns is None else arrival_ns.tolist(),
    ]


@pytest.fixture
def ring():
    writer = RingWriter(64 * 1024)
    yield writer, RingReader(writer.fd, writer.size_bytes)
    writer.close()


@pytest.mark.parametrize("is_pair", [False, True])
@pytest.mark.parametrize("arrival", [False, True])
def test_hops_are_read_as_they_were_written(ring, is_pair, arrival):
    writer, reader = ring
    sent = hops(7, is_pair=is_pair, arrival=arrival)
    begin, _ = writer.write(record_of(sent))
    got = reader.read(begin)
    assert columns(got) == columns(sent)
    assert got.samples.flags.owndata or got.samples.base.flags.owndata  # the ring may be written to again


def test_anything_else_is_pickled(ring):
    writer, reader = ring
    begin, _ = writer.write(record_of((3, identity(), 5)))
    assert reader.read(begin) == (3, identity(), 5)


@given(st.lists(st.integers(1, 40), max_size=40), st.integers(1, 8))
def test_records_come_out_whole_however_the_ring_wraps(sizes, most_under_way):
    writer = RingWriter(32 * 1024)
    reader = RingReader(writer.fd, writer.size_bytes)
    under_way = []
    for size in sizes:
        sent = hops(size)
        while (place := writer.write(record_of(sent))) is None or len(under_way) >= most_under_way:
            expected, begin, taken = under_way.pop(0)
            assert columns(reader.read(begin)) == expected
            writer.free(taken)
            if place is not None:
                break
        under_way.append((columns(sent), *place))
    for expected, begin, _ in under_way:
        assert columns(reader.read(begin)) == expected
    writer.close()


def test_what_is_too_large_for_a_record_is_cut_by_streams(ring):
    writer, _ = ring
    sent = hops(200)
    parts = parts_of(sent, writer.largest_record_bytes)
    assert all(sum(map(len, record_of(part))) <= writer.largest_record_bytes for part in parts)
    assert [row for part in parts for row in part.rows.tolist()] == sent.rows.tolist()
    assert np.concatenate([part.samples for part in parts]).tolist() == sent.samples.tolist()


def test_a_ring_that_is_full_takes_nothing(ring):
    writer, _ = ring
    record = record_of(hops(40))
    while writer.write(record) is not None:
        pass
    assert writer.write(record_of(0)) is not None  # there is still room for less
    assert writer.write(record) is None
