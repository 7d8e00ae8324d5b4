from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import WireError
from strep.wire.red import RedBlock, parse_red

#: Copies as (payload type, ticks older, bytes).
COPIES = st.lists(st.tuples(st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=4)


def red(copies: list[tuple[int, int, bytes]], payload_type: int, audio: bytes) -> bytes:
    """Wrap audio and copies of earlier audio, written as bit strings are read in RFC 2198 section 3."""
    headers = [f"1{kind:07b}{older:014b}{len(data):010b}" for kind, older, data in copies]
    bits = "".join([*headers, f"0{payload_type:07b}"])
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)) + b"".join([c[2] for c in copies] + [audio])


@given(COPIES, st.integers(0, 127), st.binary(max_size=40))
def test_every_block_is_found(copies: list[tuple[int, int, bytes]], payload_type: int, audio: bytes) -> None:
    payload = red(copies, payload_type, audio)
    blocks = [(b.payload_type, b.timestamp_offset, payload[b.start : b.start + b.length]) for b in parse_red(payload)]
    assert blocks == [*copies, (payload_type, 0, audio)]


def test_audio_without_copies_has_a_header_of_one_byte() -> None:
    assert parse_red(b"\x08\xd5\xd5") == (RedBlock(8, 1, 2),)


@pytest.mark.parametrize(
    ("payload", "needed"),
    [(b"", 1), (b"\x80", 5), (b"\x80\x02\x80\x00", 5), (b"\x80\x02\x80\x03\x00\xff\xff", 8)],
)
def test_what_its_headers_do_not_fit_is_refused(payload: bytes, needed: int) -> None:
    with pytest.raises(WireError, match=f"RED payload needs {needed} bytes .* got {len(payload)}"):
        parse_red(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_blocks_that_lie_within_them_or_an_error(payload: bytes) -> None:
    try:
        blocks = parse_red(payload)
    except WireError:
        return
    assert blocks[-1].start + blocks[-1].length == len(payload)
    assert all(0 < one.start <= other.start for one, other in pairwise(blocks))
