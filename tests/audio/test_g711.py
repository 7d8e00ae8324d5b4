"""G.711 by table against the standard's arithmetic, its own laws, and other programs."""

import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strep.audio.g711 import Law, decode, encode, encode_sample
from strep.errors import ConfigError

ALL_CODES = np.arange(256, dtype=np.uint8)
ALL_SAMPLES = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
each_law = pytest.mark.parametrize("law", Law)
laws = st.sampled_from(Law)


def decode_code(code: int, law: Law) -> int:
    """Decode one byte to a 16-bit sample: the middle of its quantisation step (G.711 tables 1 and 2)."""
    if law is Law.MU:
        bits = code ^ 0xFF
        segment, step = (bits >> 4) & 7, bits & 15
        magnitude = (((2 * step + 33) << segment) - 33) << 2
        return -magnitude if bits & 0x80 else magnitude
    bits = code ^ 0x55
    segment, step = (bits >> 4) & 7, bits & 15
    magnitude = (2 * step + 1) << 3 if segment == 0 else (2 * step + 33) << (segment + 2)
    return magnitude if bits & 0x80 else -magnitude


@pytest.mark.parametrize(
    ("law", "code", "sample"),
    [
        (Law.MU, 0x00, -32124),
        (Law.MU, 0x80, 32124),
        (Law.MU, 0xFF, 0),
        (Law.MU, 0x7F, 0),
        (Law.MU, 0xFE, 8),
        (Law.MU, 0xEF, 132),
        (Law.A, 0xD5, 8),
        (Law.A, 0x55, -8),
        (Law.A, 0xAA, 32256),
        (Law.A, 0x2A, -32256),
        (Law.A, 0xC5, 264),
    ],
)
def test_codes_mean_what_the_tables_of_g711_say(law: Law, code: int, sample: int) -> None:
    assert decode_code(code, law) == sample


@each_law
def test_the_table_and_a_naive_decoder_agree_on_every_code(law: Law) -> None:
    expected = [decode_code(code, law) for code in range(256)]
    assert decode(ALL_CODES, law).tolist() == expected  # 256 codes, in pairs
    assert decode(ALL_CODES[:, None], law)[:, 0].tolist() == expected  # one by one


@each_law
def test_the_table_and_the_scalar_encoder_agree_on_every_sample(law: Law) -> None:
    assert encode(ALL_SAMPLES, law).tolist() == [encode_sample(sample, law) for sample in range(-32768, 32768)]


@given(st.binary(max_size=400), st.integers(1, 8), laws)
def test_rows_of_any_length_decode_as_their_bytes_one_by_one(data: bytes, rows: int, law: Law) -> None:
    payload = np.frombuffer(data[: len(data) // rows * rows], np.uint8).reshape(rows, -1)
    expected = [[decode_code(code, law) for code in row] for row in payload.tolist()]
    assert decode(payload, law).tolist() == expected
    out = np.full(payload.shape, 99, np.int16)
    assert decode(payload, law, out) is out
    assert out.tolist() == expected


@given(st.integers(0, 9), st.integers(0, 9), laws)
def test_payloads_and_outputs_may_be_parts_of_larger_arrays(skip: int, width: int, law: Law) -> None:
    whole = np.arange(400, dtype=np.int32).astype(np.uint8).reshape(20, 20)
    payload, out = whole[1::2, skip : skip + width], np.zeros((20, 23), np.int16)[::2, skip : skip + width]
    decode(payload, law, out)
    assert out.tolist() == [[decode_code(code, law) for code in row] for row in payload.tolist()]


def test_an_output_of_every_second_column_is_filled() -> None:
    payload, out = np.arange(12, dtype=np.uint8).reshape(2, 6), np.zeros((2, 12), np.int16)
    decode(payload, Law.A, out[:, ::2])
    assert (out[:, ::2] == decode(payload, Law.A)).all()
    assert not out[:, 1::2].any()


def test_one_row_at_an_odd_address_decodes_too() -> None:
    data, out = np.arange(9, dtype=np.uint8)[1:], np.zeros(9, np.int16)[1:]
    assert decode(data, Law.A, out).tolist() == [decode_code(code, Law.A) for code in range(1, 9)]


@each_law
def test_decoding_what_was_encoded_is_stable(law: Law) -> None:
    decoded = decode(ALL_CODES, law)
    assert (decode(encode(decoded, law), law) == decoded).all()


def test_every_code_survives_but_the_mu_law_negative_zero() -> None:
    assert (encode(decode(ALL_CODES, Law.A), Law.A) == ALL_CODES).all()
    changed = np.flatnonzero(encode(decode(ALL_CODES, Law.MU), Law.MU) != ALL_CODES)
    assert changed.tolist() == [0x7F]


@each_law
def test_the_error_is_at_most_half_a_quantisation_step(law: Law) -> None:
    codes = encode(ALL_SAMPLES, law)
    segment = ((codes ^ (0xFF if law is Law.MU else 0x55)) >> 4) & 7
    half_step = 4 << segment.astype(int) if law is Law.MU else 8 << np.maximum(segment.astype(int) - 1, 0)
    error = np.abs(decode(codes, law).astype(int) - ALL_SAMPLES)
    clipped = np.abs(ALL_SAMPLES.astype(int)) > 32635 if law is Law.MU else np.zeros(65536, bool)
    assert (error <= half_step)[~clipped].all()
    assert (np.abs(decode(codes, law)[clipped]) == 32124).all()


@each_law
def test_a_sample_and_its_complement_differ_in_the_sign_bit_alone(law: Law) -> None:
    assert (encode(~ALL_SAMPLES, law) == encode(ALL_SAMPLES, law) ^ 0x80).all()


def test_arrays_of_another_type_or_shape_are_refused() -> None:
    payload = np.zeros((2, 4), np.uint8)
    with pytest.raises(ConfigError, match="must be uint8, got int16"):
        decode(payload.astype(np.int16), Law.MU)
    with pytest.raises(ConfigError, match=r"must be int16\(2, 4\), got int16\(2, 3\)"):
        decode(payload, Law.MU, np.zeros((2, 3), np.int16))
    with pytest.raises(ConfigError, match="got int32"):
        decode(payload, Law.MU, np.zeros((2, 4), np.int32))
    with pytest.raises(ConfigError, match="int16 samples, got float64"):
        encode(np.zeros(4), Law.MU)  # type: ignore[arg-type]


# Peers -----------------------------------------------------------------------

Need = Callable[..., None]
FFMPEG_NAMES = {Law.MU: "mulaw", Law.A: "alaw"}


def ffmpeg(data: bytes, from_format: str, to_format: str) -> bytes:
    read = ["-f", from_format, "-ar", "8000", "-ac", "1", "-i", "pipe:0"]
    command = ["ffmpeg", "-v", "error", *read, "-f", to_format, "pipe:1"]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def nearest_code(samples: NDArray[np.int16], law: Law) -> NDArray[np.uint8]:
    """Encode by ffmpeg's rule: floor to 14 bits, then the nearest output value, and up where two are as near."""
    mask = 0xFF if law is Law.MU else 0xD5
    outputs = decode(np.arange(128, dtype=np.uint8) ^ np.uint8(mask), law).astype(int)
    boundaries = (outputs[:-1] + outputs[1:] + 4) >> 3
    floored = samples.astype(int) >> 2
    codes = np.searchsorted(boundaries, np.abs(floored), side="right") ^ mask
    found: NDArray[np.uint8] = np.where(floored < 0, codes ^ 0x80, codes).astype(np.uint8)
    return found


@pytest.mark.peer
@each_law
def test_ffmpeg_decodes_every_code_alike(law: Law, need: Need) -> None:
    need("ffmpeg")
    assert decode(ALL_CODES, law).astype("<i2").tobytes() == ffmpeg(ALL_CODES.tobytes(), FFMPEG_NAMES[law], "s16le")


@pytest.mark.peer
@each_law
def test_ffmpeg_encodes_alike_but_for_its_own_rounding(law: Law, need: Need) -> None:
    need("ffmpeg")
    theirs = np.frombuffer(ffmpeg(ALL_SAMPLES.astype("<i2").tobytes(), "s16le", FFMPEG_NAMES[law]), np.uint8)
    assert (theirs == nearest_code(ALL_SAMPLES, law)).all()
    assert np.count_nonzero(theirs != encode(ALL_SAMPLES, law)) == 964


@pytest.mark.peer
@each_law
def test_gstreamer_encodes_alike_but_for_negative_samples_on_a_decision_value(law: Law, need: Need) -> None:
    need("gst-launch-1.0")
    element = "mulawenc" if law is Law.MU else "alawenc"
    pipeline = f"fdsrc ! rawaudioparse sample-rate=8000 num-channels=1 ! {element} ! fdsink".split()
    data = ALL_SAMPLES.astype("<i2").tobytes()
    run = subprocess.run(["gst-launch-1.0", "-q", *pipeline], input=data, capture_output=True, check=True)
    theirs, ours = np.frombuffer(run.stdout, np.uint8), encode(ALL_SAMPLES, law)
    differ = ALL_SAMPLES[theirs != ours]
    assert len(differ) == 127
    # There the next sample down has another code by our rule too: they take the boundary into the louder step.
    assert (differ < 0).all()
    assert (encode(differ - np.int16(1), law) == theirs[theirs != ours]).all()
