"""Codecs with state: exact lengths, nothing held back, and no fault of a peer's that outlives its packets."""

import functools

import av
import numpy as np
import pytest
from av.error import FFmpegError
from av.packet import Packet
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.amr import amr
from strep.audio.formats import parse_format
from strep.audio.g723 import G723
from strep.audio.g726 import G726
from strep.audio.ilbc import ILBC
from strep.audio.lavc import G722, G729, GSM, OPUS, LavcCodec, LavcDecoder, Piece
from strep.audio.speex import speex
from tests.audio.amr_payloads import aligned, frame
from tests.audio.signals import encoded, random_payloads, snr_db, speech_like, tone

AMR, AMR_WB, SPEEX = amr(parse_format("AMR")), amr(parse_format("AMR-WB")), speex(parse_format("speex/16000"))
CODECS = [G722, GSM, G729, OPUS, AMR, AMR_WB, SPEEX, ILBC, G723, G726["G726-32"]]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.library_name)
#: Payloads of 20 ms that each of these codecs takes with any bytes at all.
GOOD_SIZE = {"g722": 160, "gsm": 33, "g729": 20, "ilbc": 38, "g726le": 80}
#: Payloads that are no audio. G.722 has none; the last one passes our look at an Opus header, but not libopus.
REFUSED = {
    "g722": [],
    "gsm": [b"\xd5", b"\xd5" * 32],
    "g729": [b"\x7b", b"\x7b" * 7],
    "libopus": [b"\x03", b"\x7b\x00", b"\x79\x00\x00\x00"],
    "libopencore_amrnb": [b"\xf0", b"\xf0\x3c" + bytes(30), b"\xf0\x4c" + bytes(5)],
    "libopencore_amrwb": [b"\xf0", b"\xf0\x14" + bytes(30), b"\xf0\x54" + bytes(5)],
    "speex": [b"\x7f", b"\x90", b"\x28" * 37],
    "ilbc": [b"\x03", bytes(39)],
    "g723_1": [b"\x03", bytes(23)],
    "g726le": [],
}


@functools.cache
def good_payloads(codec: LavcCodec, count: int) -> list[bytes]:
    if codec is OPUS:
        return encoded("libopus", speech_like(count * 0.02, 48000), 48000, 960)[:count]
    if codec is AMR:
        stored = encoded("libopencore_amrnb", speech_like(count * 0.02, 8000), 8000, 160)
        return [aligned([frame("AMR", one)]) for one in stored[:count]]
    if codec is AMR_WB:  # nothing here encodes it: any bits of 12.65 kbit/s
        return [b"\xf0\x14" + payload for payload in random_payloads(count, 32, seed=7)]
    if codec is SPEEX:  # nor this: narrowband mode 3, and nothing of the band above
        return [b"\x18" + payload[:18] + b"\x00" for payload in random_payloads(count, 18, seed=7)]
    if codec is G723:
        return encoded("g723_1", speech_like(count * 0.03, 8000), 8000, 240, {"b": "6300"})[:count]
    return random_payloads(count, GOOD_SIZE[codec.library_name], seed=7)


def decode_all(decoder: LavcDecoder, payloads: list[bytes]) -> list[np.ndarray]:
    return [decoder.decode(payload) for payload in payloads]


@each_codec
@given(payloads=st.lists(st.binary(max_size=200), max_size=12))
def test_any_bytes_decode_to_the_length_that_they_claim(codec: LavcCodec, payloads: list[bytes]) -> None:
    decoder = LavcDecoder(codec)
    for count, payload in enumerate(payloads):
        samples = decoder.decode(payload)
        assert samples.dtype == np.int16
        assert len(samples) == sum(piece.samples for piece in codec.pieces(payload))
        assert decoder.errors <= count + 1


@pytest.mark.parametrize(
    ("codec", "sizes"), [(G722, [160, 1, 80]), (GSM, [33, 66, 99]), (G729, [10, 20, 30, 12, 2, 22])]
)
def test_every_payload_of_the_right_size_decodes_without_error(codec: LavcCodec, sizes: list[int]) -> None:
    decoder = LavcDecoder(codec)
    decode_all(decoder, [random_payloads(1, size, seed=size)[0] for size in sizes * 5])
    assert decoder.errors == 0


@pytest.mark.parametrize(
    ("codec", "size", "samples", "errors"),
    [
        (G722, 0, 0, 0),
        (GSM, 0, 0, 0),
        (GSM, 32, 0, 1),
        (GSM, 34, 160, 1),
        (GSM, 66, 320, 0),
        (G729, 0, 0, 0),
        (G729, 1, 0, 1),
        (G729, 2, 80, 0),
        (G729, 8, 0, 1),
        (G729, 12, 160, 0),
        (G729, 15, 80, 1),
        (OPUS, 0, 0, 0),
    ],
)
def test_only_whole_frames_decode(codec: LavcCodec, size: int, samples: int, errors: int) -> None:
    decoder = LavcDecoder(codec)
    assert len(decoder.decode(b"\xd5" * size)) == samples
    assert decoder.errors == errors


def test_the_comfort_noise_frame_of_g729_is_silence() -> None:
    speech = random_payloads(1, 20, seed=3)[0]
    decoder, other = LavcDecoder(G729), LavcDecoder(G729)
    decoded = decoder.decode(speech + b"\x12\x34")
    assert (decoded[:160] == other.decode(speech)).all()
    assert decoded[:160].any()
    assert not decoded[160:].any()
    assert len(decoded) == 240


@each_codec
def test_refused_payloads_leave_no_trace(codec: LavcCodec) -> None:
    refused = REFUSED[codec.library_name]
    decoder, undisturbed = LavcDecoder(codec), LavcDecoder(codec)
    for payload in good_payloads(codec, 12):
        decode_all(decoder, [*refused, b""])
        assert (decoder.decode(payload) == undisturbed.decode(payload)).all()
    assert decoder.errors == 12 * len(refused)
    assert undisturbed.errors == 0


@each_codec
@given(junk=st.lists(st.binary(min_size=1, max_size=100), min_size=1, max_size=10))
def test_good_packets_decode_again_soon_after_junk(codec: LavcCodec, junk: list[bytes]) -> None:
    good = good_payloads(codec, 80)
    clean, disturbed = LavcDecoder(codec), LavcDecoder(codec)
    decode_all(disturbed, junk)
    errors = disturbed.errors
    expected, found = (np.concatenate(decode_all(decoder, good)[-20:]) for decoder in (clean, disturbed))
    assert expected.any()
    # Predictors forget: by then most integer decoders are the same bit by bit, and these as good as that.
    assert snr_db(expected, found) > (20 if codec in (OPUS, AMR, AMR_WB, SPEEX) else 100)
    assert disturbed.errors == errors


@each_codec
def test_reset_makes_a_decoder_as_new(codec: LavcCodec) -> None:
    good = good_payloads(codec, 10)
    decoder = LavcDecoder(codec)
    first = decode_all(decoder, good)
    unreset = decode_all(decoder, good)
    decoder.reset()
    again = decode_all(decoder, good)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not all((a == b).all() for a, b in zip(first, unreset, strict=True))


@each_codec
def test_decoded_samples_are_the_callers_own(codec: LavcCodec) -> None:
    decoder = LavcDecoder(codec)
    good = good_payloads(codec, 6)
    first = decoder.decode(good[0])
    kept = first.copy()
    first[:] = 0
    first[:] = kept
    decode_all(decoder, good[1:])
    assert (first == kept).all()


@pytest.mark.parametrize(
    ("codec", "encoder", "rate_hz", "frame_samples"), [(G722, "g722", 16000, 320), (OPUS, "libopus", 48000, 960)]
)
def test_the_nth_packet_gives_the_nth_packets_samples(
    codec: LavcCodec, encoder: str, rate_hz: int, frame_samples: int
) -> None:
    sound = tone(700, 0.6, rate_hz)
    sound[: 10 * frame_samples] = 0  # ten packets of silence, then the tone
    decoder = LavcDecoder(codec)
    decoded = decode_all(decoder, encoded(encoder, sound, rate_hz, frame_samples))
    assert [len(samples) for samples in decoded] == [frame_samples] * 30
    level = [float(np.sqrt(np.mean(samples.astype(float) ** 2))) for samples in decoded]
    assert max(level[:10]) < 100 < 3000 < min(level[10:])
    # What is left is the codec's own delay, below 8 ms.
    onset = int(np.argmax(np.abs(np.concatenate(decoded)) > 1000)) - 10 * frame_samples
    assert 0 <= onset < 0.008 * rate_hz


@each_codec
def test_libavcodec_holds_no_samples_back(codec: LavcCodec) -> None:
    decoder = LavcDecoder(codec)
    decode_all(decoder, good_payloads(codec, 5))
    assert decoder._context.decode(None) == []


@pytest.mark.parametrize("frame_ms", ["2.5", "5", "10", "20", "40", "60", "120"])
@pytest.mark.parametrize("application", ["voip", "audio"])
def test_opus_packets_of_every_duration_decode_to_it(frame_ms: str, application: str) -> None:
    samples = round(float(frame_ms) * 48)
    options = {"frame_duration": frame_ms, "application": application}
    payloads = encoded("libopus", speech_like(0.5, 48000), 48000, samples, options)
    decoder = LavcDecoder(OPUS)
    assert {len(decoded) for decoded in decode_all(decoder, payloads)} == {samples}
    assert decoder.errors == 0


def repeats_the_frame_before(payload: bytes, frame_ms: int) -> bool:
    """Tell whether SILK's flag says so (RFC 6716 section 4.2.3): it follows one bit for each 20 ms."""
    return payload[0] >> 3 < 16 and bool(payload[1] >> 7 - max(1, frame_ms // 20) & 1)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_what_opus_repeats_of_the_frame_before_is_skipped(frame_ms: int) -> None:
    sound, samples, lookahead = speech_like(3.0, 48000), 48 * frame_ms, 312
    options = {"frame_duration": str(frame_ms), "application": "voip", "b": "24000", "fec": "1", "packet_loss": "30"}
    payloads = encoded("libopus", sound, 48000, samples, options)
    assert sum(repeats_the_frame_before(payload, frame_ms) for payload in payloads) > 0.8 * len(payloads)
    decoder = LavcDecoder(OPUS)
    decoded = decode_all(decoder, payloads)
    assert {len(one) for one in decoded} == {samples}
    assert decoder.errors == 0
    # Each frame is heard once, and at its own place.
    heard = np.concatenate(decoded)
    assert np.corrcoef(sound[: len(heard) - lookahead], heard[lookahead:])[0, 1] > 0.7


def test_opus_packets_of_the_toc_byte_alone_are_audio() -> None:
    payloads = good_payloads(OPUS, 10)
    decoder = LavcDecoder(OPUS)
    decode_all(decoder, payloads)
    assert [len(decoder.decode(payloads[0][:1])) for _ in range(10)] == [960] * 10
    assert decoder.errors == 0


def test_every_opus_header_measures_as_libopus_decodes_it() -> None:
    tails = [b"", b"\x01", b"\x02\x00", b"\x03\x00\x00", b"\x06", b"\x41\x00\x00", b"\x30", b"\x31", bytes(9)]
    decoded = set()
    for toc in range(256):
        for tail in tails:
            payload = bytes([toc]) + tail
            context = av.CodecContext.create("libopus", "r")
            context.sample_rate, context.layout = 48000, "mono"
            try:
                frames = context.decode(Packet(payload))
            except FFmpegError:
                continue
            assert [frame.samples for frame in frames] == [piece.samples for piece in OPUS.pieces(payload)]
            decoded.add(toc)
    assert decoded == set(range(256))


def test_an_opus_packet_that_libopus_refuses_is_silence_of_its_length() -> None:
    decoder = LavcDecoder(OPUS)
    assert decoder.decode(b"\x79\x00\x00\x00").tolist() == [0] * 1920  # code 1: two frames of one size, in 3 bytes
    assert decoder.errors == 1


def test_an_opus_packet_above_120_ms_has_no_length() -> None:
    assert OPUS.pieces(b"\x1b\x02") == [Piece(b"\x1b\x02", 5760)]
    assert OPUS.pieces(b"\x1b\x03") == [Piece(b"\x1b\x03", 0)]


def test_stereo_opus_decodes_to_mono() -> None:
    left = tone(500, 0.4, 48000)
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "stereo", "s16"
    decoder, decoded = LavcDecoder(OPUS), []
    for start in range(0, len(left) - 959, 960):
        interleaved = np.repeat(left[start : start + 960], 2)[None]
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48000, start
        decoded += [decoder.decode(bytes(packet)) for packet in context.encode(frame)]
    assert {len(samples) for samples in decoded} == {960}
    level = np.sqrt(np.mean(np.concatenate(decoded[5:]).astype(float) ** 2))
    assert level == pytest.approx(10_000 / np.sqrt(2), rel=0.1)


def test_libavcodec_says_nothing_on_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    for codec in CODECS:
        decode_all(LavcDecoder(codec), random_payloads(50, 33, seed=2))
    assert capfd.readouterr() == ("", "")
