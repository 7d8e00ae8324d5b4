"""AMR and AMR-WB: both ways to write payloads are told apart, cut up and measured alike."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.amr import FRAME_BITS, MOST_FRAMES, amr
from strep.audio.decoders import is_decodable, measure_payloads, packet_samples
from strep.audio.formats import parse_format
from strep.audio.lavc import LavcCodec, Piece
from tests.audio.amr_payloads import Frame, aligned, efficient, stored

SAMPLES = {"AMR": 160, "AMR-WB": 320}
each_encoding = pytest.mark.parametrize("encoding", list(SAMPLES))


def codec(text: str) -> LavcCodec:
    found = amr(parse_format(text))
    assert found is not None
    return found


@st.composite
def frames(draw: st.DrawFn, encoding: str, most: int = MOST_FRAMES) -> list[Frame]:
    types = [kind for kind, bits in enumerate(FRAME_BITS[encoding]) if bits >= 0]
    kinds = draw(st.lists(st.sampled_from(types), min_size=1, max_size=most))
    random, bits = Random(draw(st.integers(0, 1000))), FRAME_BITS[encoding]
    return [(kind, 1, f"{random.getrandbits(bits[kind]):0{bits[kind]}b}" if bits[kind] else "") for kind in kinds]


def pieces(made: list[Frame], encoding: str) -> list[Piece]:
    return [Piece(stored(one), SAMPLES[encoding]) for one in made]


@each_encoding
@given(data=st.data(), mode_request=st.integers(0, 15))
def test_both_ways_are_read_when_told(encoding: str, data: st.DataObject, mode_request: int) -> None:
    made = data.draw(frames(encoding))
    expected = pieces(made, encoding)
    assert codec(f"{encoding};octet-align=0").pieces(efficient(made, mode_request)) == expected
    assert codec(f"{encoding};octet-align=1").pieces(aligned(made, mode_request)) == expected
    assert codec(f"{encoding};crc=1").pieces(aligned(made, mode_request, crc=True)) == expected


@each_encoding
@given(data=st.data(), mode_request=st.integers(0, 15))
def test_one_frame_tells_by_itself_which_way_it_is_written(
    encoding: str, data: st.DataObject, mode_request: int
) -> None:
    made = data.draw(frames(encoding, most=1))
    expected = pieces(made, encoding)
    assert codec(encoding).pieces(efficient(made, mode_request)) == expected
    assert codec(encoding).pieces(aligned(made, mode_request)) == expected


@each_encoding
def test_every_kind_and_number_of_frames_of_one_rate_tells_which_way_it_is_written(encoding: str) -> None:
    random = np.random.default_rng(1)
    for kind, bits in enumerate(FRAME_BITS[encoding]):
        for count in range(1, MOST_FRAMES + 1 if bits >= 0 else 1):
            made = [(kind, 1, "".join(random.choice(["0", "1"], bits))) for _ in range(count)]
            for payload in (efficient(made), aligned(made)):
                assert codec(encoding).pieces(payload) == pieces(made, encoding), (kind, count)


def test_a_damaged_frame_keeps_its_mark() -> None:
    made = [(7, 0, "01" * 122)]
    assert codec("amr;octet-align=1").pieces(aligned(made)) == pieces(made, "AMR")
    assert codec("amr;octet-align=0").pieces(efficient(made))[0].data[0] == 7 << 3


@each_encoding
@pytest.mark.parametrize("parameters", ["", ";octet-align=0", ";octet-align=1", ";crc=1"])
@given(data=st.data())
def test_many_payloads_measure_as_each_does(encoding: str, parameters: str, data: st.DataObject) -> None:
    format = parse_format(encoding + parameters)
    ways = [efficient, aligned, lambda made: aligned(made, crc=True)]
    payloads = data.draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(ways), frames(encoding)).map(lambda made: made[0](made[1])),
                st.tuples(st.sampled_from(ways), frames(encoding), st.binary(max_size=3)).map(
                    lambda made: made[0](made[1])[: -len(made[2]) or None] + made[2]
                ),
                st.binary(max_size=40),
                st.binary(max_size=3).map(lambda some: some + bytes([0xFC]) * 30),
            ),
            min_size=1,
            max_size=4,
        )
    )
    rows = np.zeros((len(payloads), max(1, *map(len, payloads))), np.uint8)
    rows[:] = data.draw(st.integers(0, 255))  # what is behind a short one may be anything
    for row, payload in zip(rows, payloads, strict=True):
        row[: len(payload)] = np.frombuffer(payload, np.uint8)
    measured = measure_payloads(format, rows, np.array([len(payload) for payload in payloads]))
    assert measured.tolist() == [packet_samples(format, payload) for payload in payloads]


@each_encoding
@pytest.mark.parametrize("change", [lambda payload: payload[:-1], lambda payload: payload + b"\0"])
def test_a_payload_that_is_not_as_long_as_it_says_is_no_audio(encoding: str, change) -> None:
    made = [(2, 1, "10" * 200)] * 2
    made = [(kind, good, data[: FRAME_BITS[encoding][kind]]) for kind, good, data in made]
    for text, way in (("octet-align=0", efficient), ("octet-align=1", aligned)):
        payload = change(way(made))
        assert codec(f"{encoding};{text}").pieces(payload) == [Piece(payload, 0)]


def test_a_packet_of_too_many_frames_is_no_audio() -> None:
    none = [(15, 1, "")]
    assert packet_samples(parse_format("amr"), aligned(MOST_FRAMES * none)) == MOST_FRAMES * 160
    assert packet_samples(parse_format("amr"), aligned((MOST_FRAMES + 1) * none)) == 0


@pytest.mark.parametrize(("encoding", "kind"), [("AMR", 9), ("AMR", 14), ("AMR-WB", 10), ("AMR-WB", 13)])
def test_reserved_types_make_a_packet_no_audio(encoding: str, kind: int) -> None:
    for payload in (aligned([(kind, 1, "")]), efficient([(kind, 1, "")])):
        assert packet_samples(parse_format(encoding), payload) == 0


@pytest.mark.parametrize("parameter", ["interleaving=2", "robust-sorting=1"])
def test_ways_to_write_that_are_not_read_do_not_decode(parameter: str) -> None:
    assert not is_decodable(parse_format(f"amr;octet-align=1;{parameter}"))
    assert is_decodable(parse_format("amr;octet-align=1;robust-sorting=0"))
