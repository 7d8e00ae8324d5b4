"""Redundant audio (RED): what is heard is the audio of each packet, as if nothing had wrapped it."""

import pytest

from strep.audio.formats import parse_format
from strep.stream.engine import EngineConfig
from strep.stream.events import FormatChanged, Gap
from tests.traffic import Result, Sender, every, pcmu, play

RED = 121
CONFIG = EngineConfig(max_streams=8).with_payload_types({RED: parse_format("red/8000"), 97: parse_format("G722")})


def wrapped(plain: list[bytes], payload_type: int = 0, copies: bool = True) -> list[bytes]:
    """Wrap packets of 160 bytes of audio, each with a copy of the one before."""
    packets, before = [], plain[0][36:]
    for packet in plain:
        head, audio = bytearray(packet[:36]), packet[36:]
        head[25] = head[25] & 0x80 | RED
        copy_header = (1 << 31 | payload_type << 24 | 160 << 10 | len(before)).to_bytes(4)
        inside = copy_header + bytes([payload_type]) + before + audio if copies else bytes([payload_type]) + audio
        packets.append(bytes(head) + inside)
        before = audio
    return packets


def heard(result: Result) -> list[int]:
    return result.audio().tolist()


@pytest.mark.parametrize("copies", [True, False])
def test_the_audio_of_each_packet_is_heard(copies: bool) -> None:
    plain = Sender().packets(20)
    result = play(every(wrapped(plain, copies=copies)), CONFIG)
    assert heard(result) == pcmu(plain).tolist()
    (event,) = result.of(FormatChanged)
    assert (event.payload_type, str(event.format)) == (0, "PCMU/8000")
    (source,) = result.report.sources
    assert source.payload_types == {0: "PCMU/8000"}
    assert source.undecoded == 0


def test_jitter_and_loss_are_those_of_the_packets() -> None:
    plain = Sender().packets(20)
    del plain[7]
    bare, red = play(every(plain), CONFIG), play(every(wrapped(plain)), CONFIG)
    assert heard(red) == heard(bare)
    assert [gap.lost_packets for gap in red.of(Gap)] == [1]
    (one,), (other,) = bare.report.sources, red.report.sources
    assert (one.lost, one.mean_jitter_ms, one.max_jitter_ms) == (other.lost, other.mean_jitter_ms, other.max_jitter_ms)
    assert other.payload_bytes == one.payload_bytes + 19 * 165  # they count what came


def test_wrapped_and_bare_packets_may_alternate() -> None:
    plain = Sender().packets(20)
    mixed = [(bare, red)[n % 3 > 0] for n, (bare, red) in enumerate(zip(plain, wrapped(plain), strict=True))]
    result = play(every(mixed), CONFIG)
    assert heard(result) == pcmu(plain).tolist()
    assert len(result.of(FormatChanged)) == 1


def test_a_codec_with_a_past_may_be_wrapped() -> None:
    plain = Sender(payload_type=97).packets(20)
    assert heard(play(every(wrapped(plain, 97)), CONFIG)) == heard(play(every(plain), CONFIG))


@pytest.mark.parametrize("payload", [b"\x80\x02\x80\xa0", bytes([RED]) + bytes(160), b"\xff" * 40])
def test_what_cannot_be_unpacked_is_counted_and_the_rest_is_heard(payload: bytes) -> None:
    sender = Sender()
    plain = [*sender.packets(5), sender.packet(payload=payload, payload_type=RED, ticks=160), *sender.packets(5)]
    result = play(every([*wrapped(plain[:5]), plain[5], *wrapped(plain[6:])]), CONFIG)
    (source,) = result.report.sources
    assert source.undecoded == 1
    assert sum(result.counts.values()) == result.counts["accepted"] == 11
    assert heard(result) == [*pcmu(plain[:5]).tolist(), *[0] * 160, *pcmu(plain[6:]).tolist()]
    assert result.report.samples_by_state["undecoded"] == 160
    assert len(result.of(FormatChanged)) == 1
