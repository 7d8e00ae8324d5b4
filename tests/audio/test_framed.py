"""Speex, iLBC, G.723.1 and G.726: how payloads are cut up and measured, frame by frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.decoders import measure_payloads, new_decoder, packet_samples
from strep.audio.formats import parse_format
from strep.audio.lavc import MOST_PACKET_SAMPLES
from strep.audio.speex import _FRAME_BITS, _LAYER_BITS, MOST_FRAMES
from tests.audio.amr_payloads import packed

SPEEX = ["speex/8000", "speex/16000", "speex/32000"]


def speex(frames: list[tuple[int, list[int]]], end: str = "01111111") -> bytes:
    """Write frames of a narrowband mode and of layers' modes, and fill the last byte up."""
    bits = ""
    for mode, layers in frames:
        bits += f"0{mode:04b}".ljust(_FRAME_BITS[mode], "1")
        bits += "".join(f"1{layer:03b}".ljust(_LAYER_BITS[layer], "0") for layer in layers)
    return packed(bits + end[: -len(bits) % 8])


#: Layers' modes: the first may be any, the second one of two; a third belongs to nothing and is left out.
LAYERS = st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 4)).map(list)
SPEEX_FRAMES = st.lists(
    st.tuples(st.integers(0, 8), st.tuples(LAYERS, st.integers(0, 3)).map(lambda made: made[0][: made[1]])),
    min_size=1,
    max_size=MOST_FRAMES,
)


@pytest.mark.parametrize("name", SPEEX)
@given(frames=SPEEX_FRAMES)
def test_every_speex_frame_decodes(name: str, frames: list[tuple[int, list[int]]]) -> None:
    format, payload = parse_format(name), speex(frames)
    decoder = new_decoder(format)
    assert packet_samples(format, payload) == len(frames) * format.sample_rate_hz // 50
    assert len(decoder.decode(payload)) == len(frames) * format.sample_rate_hz // 50
    assert decoder.errors == 0


@given(
    payloads=st.lists(
        st.one_of(
            SPEEX_FRAMES.map(speex),
            st.tuples(SPEEX_FRAMES, st.binary(max_size=4)).map(lambda made: speex(made[0]) + made[1]),
            SPEEX_FRAMES.map(lambda made: speex(made)[:-1]),
            st.integers(0, 30).map(bytes),
            st.binary(max_size=20),
        ),
        min_size=1,
        max_size=8,
    ),
    behind=st.integers(0, 255),
)
def test_many_speex_payloads_measure_as_each_does(payloads: list[bytes], behind: int) -> None:
    format = parse_format("speex")
    rows = np.full((len(payloads), max(1, *map(len, payloads))), behind, np.uint8)
    for row, payload in zip(rows, payloads, strict=True):
        row[: len(payload)] = np.frombuffer(payload, np.uint8)
    measured = measure_payloads(format, rows, np.array([len(payload) for payload in payloads]))
    assert measured.tolist() == [packet_samples(format, payload) for payload in payloads]


def test_not_every_five_zeros_of_a_datagram_become_speech() -> None:
    assert packet_samples(parse_format("speex"), bytes(1400)) == MOST_FRAMES * 160


@pytest.mark.parametrize("payload", [b"\x7f", b"\x90", b"\x70\x00", speex([(5, [])])[:-1], speex([(3, [])]) + b"\x48"])
def test_what_is_no_speex_frame_is_counted(payload: bytes) -> None:
    decoder = new_decoder(parse_format("speex"))
    decoder.decode(payload)
    assert decoder.errors == 1


@pytest.mark.parametrize(
    ("name", "sizes", "samples", "errors"),
    [
        ("iLBC", [38, 38, 76], 640, 0),
        ("iLBC", [50, 100], 720, 0),
        ("iLBC", [38, 50, 38], 560, 0),  # the mode may change
        ("iLBC", [37, 39, 51, 88], 0, 4),
        ("G726-16", [1, 40], 164, 0),
        ("G726-24", [60], 160, 0),
        ("G726-24", [61, 2], 160, 2),
        ("G726-32", [80, 1], 162, 0),
        ("G726-40", [100], 160, 0),
        ("AAL2-G726-40", [104, 4], 160, 2),
    ],
)
def test_payloads_measure_by_their_length(name: str, sizes: list[int], samples: int, errors: int) -> None:
    decoder = new_decoder(parse_format(name))
    assert sum(len(decoder.decode(bytes(size))) for size in sizes) == samples
    assert decoder.errors == errors


SPEECH_63, SPEECH_53, NOISE = b"\x00" + bytes(23), b"\x01" + bytes(19), b"\x02" + bytes(3)


@pytest.mark.parametrize(
    ("payload", "frames", "errors"),
    [
        (SPEECH_63, 1, 0),
        (SPEECH_53, 1, 0),
        (NOISE, 1, 0),
        (SPEECH_63 + SPEECH_53 + NOISE, 3, 0),
        (SPEECH_63 + b"\x01", 1, 1),
        (NOISE + SPEECH_63, 1, 1),  # RFC 3551 section 4.5.3: it ends a packet
        (b"\x03", 0, 1),
        (SPEECH_63[:-1], 0, 1),
    ],
)
def test_g723_frames_say_how_long_they_are(payload: bytes, frames: int, errors: int) -> None:
    decoder = new_decoder(parse_format("G723"))
    assert len(decoder.decode(payload)) == packet_samples(parse_format("G723"), payload) == frames * 240
    assert decoder.errors == errors


@given(
    st.lists(
        st.lists(st.sampled_from([SPEECH_63, SPEECH_53, NOISE, b"\x03", b"\x01"])).map(b"".join), min_size=1, max_size=6
    )
)
def test_many_g723_payloads_measure_as_each_does(payloads: list[bytes]) -> None:
    format = parse_format("G723")
    rows = np.zeros((len(payloads), max(1, *map(len, payloads))), np.uint8)
    for row, payload in zip(rows, payloads, strict=True):
        row[: len(payload)] = np.frombuffer(payload, np.uint8)
    measured = measure_payloads(format, rows, np.array([len(payload) for payload in payloads]))
    assert measured.tolist() == [packet_samples(format, payload) for payload in payloads]


@pytest.mark.parametrize(
    ("name", "payload"),
    [("G729", bytes(2000)), ("G729", bytes(2002)), ("GSM", bytes(33 * 60)), ("G723", bytes(24 * 80))]
    + [("iLBC", bytes(size)) for size in (38 * 50, 50 * 40)]
    + [(f"{order}G726-{8 * bits}", bytes(2000)) for order in ("", "AAL2-") for bits in (2, 3, 4, 5)],
)
def test_no_packet_of_many_frames_holds_more_than_200_ms(name: str, payload: bytes) -> None:
    most = 1440 if name in ("G723", "iLBC") else MOST_PACKET_SAMPLES  # whole frames of 30 ms
    format = parse_format(name)
    decoder = new_decoder(format)
    assert len(decoder.decode(payload)) == packet_samples(format, payload) == most
    assert decoder.errors == 1, "what lies behind is no frame"
    rows = np.frombuffer(payload, np.uint8)[np.newaxis]
    assert measure_payloads(format, rows, np.array([len(payload)])).tolist() == [most]
