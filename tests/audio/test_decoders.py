"""The choice of a decoder, and the one law of them all: as many samples as the payload measures."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.decoders import (
    is_decodable,
    is_stateless,
    measure_payloads,
    new_decoder,
    packet_samples,
)
from strep.audio.formats import STATIC_PAYLOAD_TYPES, AudioFormat, parse_format
from strep.errors import ConfigError

STATELESS = ["PCMU", "PCMA", "PCMU/16000", "L16/44100", "L16/44100/2", "L16/16000"]
STATEFUL = ["G722", "GSM", "G729", "opus/48000/2", "opus", "G723", "iLBC", "speex", "speex/16000", "speex/32000"]
STATEFUL += ["G726-16", "G726-24", "G726-32", "G726-40", "AAL2-G726-16", "AAL2-G726-24", "AAL2-G726-32", "AAL2-G726-40"]
STATEFUL += ["AMR", "AMR-WB", "amr;octet-align=0", "amr-wb;octet-align=1", "amr;crc=1"]
NOT_DECODABLE = ["G728", "speex/44100", "amr/16000", "amr-wb/8000", "amr/8000/2", "iLBC/16000", "RED"]
NOT_DECODABLE += ["amr;octet-align=1;interleaving=4", "amr-wb;robust-sorting=1"]
NOT_DECODABLE += ["PCMU/8000/2", "G722/16000", "GSM/16000", "opus/16000", "G729/8000/2", "telephone-event", "CN"]


@pytest.mark.parametrize("name", STATELESS + STATEFUL)
@given(payloads=st.lists(st.binary(max_size=170), max_size=6))
def test_a_payload_decodes_to_as_many_samples_as_it_measures(name: str, payloads: list[bytes]) -> None:
    format = parse_format(name)
    decoder = new_decoder(format)
    for payload in payloads:
        samples = decoder.decode(payload)
        assert samples.dtype == np.int16
        assert samples.shape == (packet_samples(format, payload),)
    assert 0 <= decoder.errors <= len(payloads)


@pytest.mark.parametrize("name", STATELESS + STATEFUL + ["G728"])
@given(payloads=st.lists(st.binary(max_size=170), min_size=1, max_size=6), padding=st.binary(min_size=1, max_size=3))
def test_many_payloads_measure_as_each_does(name: str, payloads: list[bytes], padding: bytes) -> None:
    format, width = parse_format(name), max(map(len, payloads)) + len(padding) - 1
    rows = [np.frombuffer((payload + 170 * padding)[: max(1, width)], np.uint8) for payload in payloads]
    measured = measure_payloads(format, np.stack(rows), np.array([len(payload) for payload in payloads]))
    assert measured.tolist() == [packet_samples(format, payload) for payload in payloads]


@pytest.mark.parametrize("name", STATELESS + STATEFUL)
@given(payloads=st.lists(st.binary(max_size=170), max_size=6))
def test_to_decode_into_zeros_is_to_decode(name: str, payloads: list[bytes]) -> None:
    format = parse_format(name)
    decoder, twin = new_decoder(format), new_decoder(format)
    for payload in payloads:
        samples = np.zeros(packet_samples(format, payload), np.int16)
        decoder.decode_into(payload, samples)
        assert samples.tolist() == twin.decode(payload).tolist()
        assert decoder.errors == twin.errors


@pytest.mark.parametrize(
    ("name", "payload", "samples"),
    [
        ("PCMU", bytes(160), 160),
        ("L16/44100/2", bytes(7), 1),
        ("G722", bytes(160), 320),
        ("GSM", bytes(33), 160),
        ("GSM", bytes(65), 160),
        ("G729", bytes(20), 160),
        ("G729", bytes(22), 240),
        ("G729", bytes(2), 80),
        ("G729", bytes(9), 0),
        ("opus", b"", 0),
        ("opus", b"\x78", 960),  # RFC 6716 section 3.1: configuration 15, hybrid, 20 ms; code 0
        ("opus", b"\x80", 120),  # configuration 16: CELT, 2.5 ms
        ("opus", b"\x19", 5760),  # configuration 3: SILK, 60 ms; code 1, two frames
        ("opus", b"\x9a", 1920),  # configuration 19: CELT, 20 ms; code 2, two frames
        ("opus", b"\x83\x30", 5760),  # code 3, 48 frames of 2.5 ms
        ("opus", b"\x83\xf0", 5760),  # the same with VBR and padding
        ("opus", b"\x83\x31", 0),  # 49 are more than 120 ms
        ("opus", b"\x83\x00", 0),
        ("opus", b"\x83", 0),
        ("G728", bytes(24), 0),
    ],
)
def test_payloads_measure_by_length_or_by_header(name: str, payload: bytes, samples: int) -> None:
    assert packet_samples(parse_format(name), payload) == samples


def test_each_law_decodes_by_its_own_table() -> None:
    assert new_decoder(parse_format("PCMU")).decode(b"\x80\xff").tolist() == [32124, 0]
    assert new_decoder(parse_format("PCMA")).decode(b"\xaa\xd5").tolist() == [32256, 8]


def test_bytes_beyond_the_last_sample_are_counted() -> None:
    decoder = new_decoder(parse_format("L16/44100/2"))
    assert decoder.decode(bytes(4)).tolist() == [0]
    assert decoder.errors == 0
    decoder.decode(bytes(6))
    decoder.reset()
    assert decoder.errors == 1


def test_what_is_stateless_is_so_and_the_rest_is_not() -> None:
    assert all(is_decodable(parse_format(name)) and is_stateless(parse_format(name)) for name in STATELESS)
    assert all(is_decodable(parse_format(name)) and not is_stateless(parse_format(name)) for name in STATEFUL)


@pytest.mark.parametrize("name", NOT_DECODABLE)
def test_other_encodings_rates_and_channels_do_not_decode(name: str) -> None:
    format = parse_format(name)
    assert not is_decodable(format)
    assert not is_stateless(format)
    assert packet_samples(format, bytes(80)) == 0
    with pytest.raises(ConfigError, match=f"expected a format that decodes .*, got {format}"):
        new_decoder(format)


def test_a_sample_rate_that_is_not_the_codecs_does_not_decode() -> None:
    assert not is_decodable(AudioFormat("G722", 8000, 8000))
    assert not is_decodable(AudioFormat("PCMU", 8000, 16000))
    assert not is_decodable(AudioFormat("PCMU", 8000, 8000, 0))


def test_the_static_types_of_telephony_decode() -> None:
    assert {number for number, format in STATIC_PAYLOAD_TYPES.items() if is_decodable(format)} == {
        0, 2, 3, 4, 8, 9, 10, 11, 18,
    }  # fmt: skip


def test_a_codec_that_libavcodec_was_built_without_does_not_decode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libopus"})
    assert not is_decodable(parse_format("opus/48000/2"))
    assert is_decodable(parse_format("G722"))
