"""L16 by columns against struct, sample by sample."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.l16 import decode
from strep.errors import ConfigError


def reference(row: bytes, channels: int) -> list[int]:
    frames = struct.iter_unpack(f">{channels}h", row[: len(row) // (2 * channels) * 2 * channels])
    return [sum(frame) // channels for frame in frames]


@given(st.binary(max_size=300), st.integers(1, 6), st.integers(1, 3))
def test_rows_of_any_bytes_decode_as_struct_reads_them(data: bytes, rows: int, channels: int) -> None:
    payload = np.frombuffer(data[: len(data) // rows * rows], np.uint8).reshape(rows, -1)
    decoded = decode(payload, channels)
    assert decoded.dtype == np.int16
    assert decoded.tolist() == [reference(row.tobytes(), channels) for row in payload]


def test_stereo_at_full_scale_does_not_overflow() -> None:
    loud = np.frombuffer(struct.pack(">6h", 32767, 32767, -32768, -32768, 32767, -32768), np.uint8)
    assert decode(loud, 2).tolist() == [32767, -32768, -1]


def test_a_single_payload_is_a_row_of_its_own() -> None:
    assert decode(np.array([0x12, 0x34, 0xFF, 0xFE, 0x77], np.uint8)).tolist() == [0x1234, -2]


def test_what_the_caller_does_wrong_is_refused() -> None:
    with pytest.raises(ConfigError, match="got int16 and 1"):
        decode(np.zeros(4, np.int16))
    with pytest.raises(ConfigError, match="got uint8 and 0"):
        decode(np.zeros(4, np.uint8), 0)
