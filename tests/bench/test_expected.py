"""What must come of a stream is what decoding its packets one by one gives."""

import numpy as np
import pytest

from bench.expected import DYNAMIC_PAYLOAD_TYPES, expected_samples, format_of, frame_samples
from strep.audio.decoders import new_decoder
from tools.traffic import CODINGS, expected_payload


@pytest.mark.parametrize("codec", sorted(CODINGS))
def test_a_stream_decodes_as_its_packets_do(codec: str) -> None:
    decoder = new_decoder(format_of(codec))
    packets = [decoder.decode(expected_payload(3, 1, k, 1, codec)) for k in range(30)]
    assert (expected_samples(3, 1, 30, codec) == np.concatenate(packets)).all()
    assert {len(packet) for packet in packets} == {frame_samples(codec)}


@pytest.mark.parametrize("codec", sorted(CODINGS))
def test_the_two_directions_of_a_call_are_told_apart(codec: str) -> None:
    assert (expected_samples(0, 0, 30, codec) != expected_samples(0, 1, 30, codec)).any()


def test_only_opus_has_to_be_told_to_a_receiver() -> None:
    assert {audio_format.encoding for audio_format in DYNAMIC_PAYLOAD_TYPES.values()} == {"OPUS"}
    assert frame_samples("G722") == 320
