import functools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.compiler import compiled_twin
from strep.wire.red import find_primary
from tests.red import blocks_of

#: Copies as (payload type, ticks older, bytes).
COPIES = st.lists(st.tuples(st.integers(0, 127), st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=4)


def red(copies: list[tuple[int, int, bytes]], payload_type: int, audio: bytes) -> bytes:
    """Wrap audio and copies of earlier audio, written as bit strings are read in RFC 2198 section 3."""
    headers = [f"1{kind:07b}{older:014b}{len(data):010b}" for kind, older, data in copies]
    bits = "".join([*headers, f"0{payload_type:07b}"])
    return bytes(int(bits[n : n + 8], 2) for n in range(0, len(bits), 8)) + b"".join([c[2] for c in copies] + [audio])


@functools.cache
def compiled() -> Callable[..., tuple[int, int]]:
    return compiled_twin(find_primary, np.zeros(1, np.uint8), 0, 0)


def primary_of(payload: bytes) -> tuple[int, int]:
    """Find a packet's own audio in its payload, which lies among others', by the rule as it stands, and compiled."""
    found = []
    for other in (0, 0xFF):
        flat = np.frombuffer(bytes((other,)) * 7 + payload + bytes((other,)) * 7, np.uint8)
        for rule in (find_primary, compiled()):
            payload_type, start = rule(flat, 7, 7 + len(payload))
            found.append((payload_type, start - 7))
    assert found == found[:1] * 4, "what lies around it changes nothing"
    return found[0]


@given(COPIES, st.integers(0, 127), st.binary(max_size=40))
def test_a_packets_own_audio_is_what_is_behind_all_copies(
    copies: list[tuple[int, int, bytes]], payload_type: int, audio: bytes
) -> None:
    payload = red(copies, payload_type, audio)
    assert primary_of(payload) == (payload_type, len(payload) - len(audio))


def test_audio_without_copies_has_a_header_of_one_byte() -> None:
    assert primary_of(b"\x08\xd5\xd5") == (8, 1)


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x80\x02\x80\x00", b"\x80\x02\x80\x03\x00\xff\xff"])
def test_there_is_none_where_what_its_headers_say_does_not_fit(payload: bytes) -> None:
    assert primary_of(payload) == (-1, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_apart_as_by_hand(payload: bytes) -> None:
    blocks = blocks_of(payload)
    assert primary_of(payload) == (
        (blocks[-1].payload_type, len(payload) - len(blocks[-1].audio)) if blocks else (-1, 0)
    )
