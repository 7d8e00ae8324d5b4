import av
import numpy as np
import pytest

from strep.audio import g711
from strep.emulator.codec import CODECS, encoded_conversation
from strep.emulator.speech import conversation


@pytest.mark.parametrize("encoding", CODECS)
def test_each_party_has_a_payload_for_each_20_ms(encoding):
    codec = CODECS[encoding]
    caller, agent = encoded_conversation(encoding)
    spoken = len(conversation(codec.format.sample_rate_hz)[0])
    assert len(caller) == len(agent) == spoken / codec.packet_samples
    assert caller != agent


@pytest.mark.parametrize(
    ("encoding", "payload_type", "samples", "ticks"),
    [("PCMU", 0, 160, 160), ("PCMA", 8, 160, 160), ("G722", 9, 320, 160), ("OPUS", 116, 960, 960)],
)
def test_a_packet_is_20_ms_of_the_rtp_clock(encoding, payload_type, samples, ticks):
    codec = CODECS[encoding]
    assert (codec.payload_type, codec.packet_samples, codec.packet_ticks) == (payload_type, samples, ticks)


@pytest.mark.parametrize("encoding", ["PCMU", "PCMA"])
def test_g711_is_the_speech_but_for_companding(encoding):
    for payloads, spoken in zip(encoded_conversation(encoding), conversation(8000), strict=True):
        assert {len(payload) for payload in payloads} == {160}
        heard = g711.decode(np.frombuffer(b"".join(payloads), np.uint8), g711.Law(encoding))
        # Half a step at most: about 1/32 of a sample (mu-law's with its bias of 132), half of 16 in A-law's lowest.
        assert np.all(np.abs(heard.astype(int) - spoken) <= np.maximum((np.abs(spoken.astype(int)) + 132) / 32, 8))


@pytest.mark.parametrize(("encoding", "decoder", "delay"), [("G722", "g722", 22), ("OPUS", "libopus", 312)])
def test_what_another_decoder_hears_is_the_speech(encoding, decoder, delay):
    rate_hz = CODECS[encoding].format.sample_rate_hz
    context = av.CodecContext.create(decoder, "r")
    context.sample_rate, context.layout = rate_hz, "mono"
    payloads = encoded_conversation(encoding)[1]
    heard = np.concatenate([f.to_ndarray().reshape(-1) for p in payloads for f in context.decode(av.Packet(p))])
    spoken = conversation(rate_hz)[1]
    assert len(heard) == len(spoken)
    assert np.corrcoef(heard[delay:], spoken[:-delay])[0, 1] > 0.85


def test_g722_fills_64_kbit_a_second():
    assert {len(payload) for payload in encoded_conversation("G722")[0]} == {160}


def test_opus_payloads_are_one_20_ms_mono_frame():
    # RFC 6716 section 3.1: configurations 1, 5, 9, 13, 17 .. are 20 ms; the s bit is 0 for mono, c is 0 for one frame.
    firsts = {payload[0] for payload in encoded_conversation("OPUS")[0]}
    twenty_ms = {1, 5, 9, 13, 15, 19, 23, 27, 31}
    assert all(first >> 3 in twenty_ms and first & 0b111 == 0 for first in firsts)
