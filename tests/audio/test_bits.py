import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.bits import MOST_BITS, cut_bits, read_bit_columns, read_bits
from tests.audio.amr_payloads import bits_of, packed


@given(st.binary(max_size=20), st.integers(0, 170), st.integers(1, MOST_BITS))
def test_bits_are_read_as_they_are_written_with_zeros_behind(payload: bytes, position: int, count: int) -> None:
    written = bits_of(payload).ljust(200, "0")
    assert read_bits(payload, position, count) == int(written[position : position + count], 2)


@given(st.binary(min_size=10, max_size=10), st.data(), st.integers(1, MOST_BITS))
def test_columns_read_what_one_reads(payload: bytes, data: st.DataObject, count: int) -> None:
    positions = data.draw(st.lists(st.integers(0, 80 - count), min_size=1))
    rows = np.broadcast_to(np.frombuffer(payload, np.uint8), (len(positions), 10))
    found = read_bit_columns(rows, np.array(positions), count)
    assert found.tolist() == [read_bits(payload, position, count) for position in positions]


@given(st.binary(max_size=20), st.integers(0, 160), st.integers(0, 160))
def test_a_cut_is_what_is_written_there(payload: bytes, one: int, other: int) -> None:
    start, stop = sorted((min(one, 8 * len(payload)), min(other, 8 * len(payload))))
    assert cut_bits(payload, start, stop) == packed(bits_of(payload)[start:stop])
