"""Another SSRC goes on in the same stream, at the same place, on the same side."""

import numpy as np
import pytest

from strep.audio.block import SampleState
from strep.audio.decoders import new_decoder
from strep.audio.formats import STATIC_PAYLOAD_TYPES
from strep.stream.events import SourceChanged, StreamOpened
from tests.traffic import Sender, every, pcmu, play

RECEIVED, SILENCE = SampleState.RECEIVED, SampleState.SILENCE


@pytest.mark.parametrize("ssrc", [0, 1, 0xFFFF_FFFF])
def test_the_new_source_goes_on_where_the_old_one_ended(ssrc: int) -> None:
    old, new = Sender().packets(20), Sender(ssrc=ssrc, sequence_number=7, timestamp=0xFFFF_0000, seed=2).packets(20)
    result = play([*every(old), *every(new, start_ms=403)])
    assert result.audio().tolist() == np.concatenate((pcmu(old), pcmu(new))).tolist()
    assert result.states() == [(RECEIVED, 40 * 160)]
    (changed,) = result.of(SourceChanged)
    assert (changed.position, changed.ssrc) == (3200, ssrc)
    assert len(result.of(StreamOpened)) == 1


def test_each_source_has_a_report_of_its_own_and_the_stream_one_of_all() -> None:
    old, new = Sender().packets(20), Sender(ssrc=5, seed=2).packets(30)
    arrivals = [a for n, a in enumerate([*every(old), *every(new, start_ms=400)]) if n not in (3, 25)]
    report = play(arrivals).report
    assert [(s.ssrc, s.packets, s.lost) for s in report.sources] == [(0x1A2B3C4D, 19, 1), (5, 29, 1)]
    assert report.fates["accepted"] == 48
    assert report.length_samples == 50 * 160


def test_time_between_the_sources_is_silence() -> None:
    old, new = Sender().packets(20), Sender(ssrc=5, seed=2).packets(20)
    result = play([*every(old), *every(new, start_ms=2400)])
    assert result.states() == [(RECEIVED, 3200), (SILENCE, 16_000), (RECEIVED, 3200)]
    assert result.report.sources[1].lost == 0


def test_the_old_source_may_come_back() -> None:
    first, second = Sender(), Sender(ssrc=5, seed=2)
    packets = first.packets(10) + second.packets(10)
    first.timestamp += 1600  # its clock ran on meanwhile, and it sent nothing
    packets += first.packets(10)
    result = play(every(packets))
    assert result.audio().tolist() == pcmu(packets).tolist()
    assert [event.ssrc for event in result.of(SourceChanged)] == [5, first.ssrc]
    assert [source.lost for source in result.report.sources] == [0, 0]


def test_a_packet_that_falls_within_what_is_there_changes_the_source_and_back() -> None:
    old, stray = Sender().packets(6, samples=256), Sender(ssrc=5, seed=2).packet(samples=8)
    result = play([*every(old[:3], step_ms=32), (64.4, stray), *every(old[3:], start_ms=96, step_ms=32)])
    assert [event.ssrc for event in result.of(SourceChanged)] == [5, Sender().ssrc]
    assert result.audio().tolist() == pcmu(old).tolist()
    assert result.report.overlapped_samples == 8


def test_the_last_packets_of_the_old_source_may_come_after_the_first_of_the_new() -> None:
    old, new = Sender().packets(20), Sender(ssrc=5, seed=2).packets(20)
    arrivals = sorted([*every(old), *every(new, start_ms=380.5)])
    result = play(arrivals)
    assert result.counts["accepted"] == 40
    assert result.report.length_samples == pytest.approx(39 * 160, abs=2 * 160)


def test_a_burst_of_the_new_source_does_not_overtake_what_the_old_one_still_holds() -> None:
    """More comes at once than its ring holds, so that it has to be handed on before its time."""
    old, new = Sender().packets(10), Sender(ssrc=5, seed=2).packets(70, samples=8)
    result = play([*every(old), *((250, packet) for packet in new)])
    assert result.audio().tolist() == pcmu(old + new).tolist()
    assert [event.position for event in result.of(SourceChanged)] == [1600]


def test_a_source_on_the_other_direction_is_another_stream() -> None:
    inbound, outbound = Sender(ssrc=1).packets(5), Sender(ssrc=1, direction=1, seed=2).packets(5)
    result = play(sorted([*every(inbound), *every(outbound, start_ms=1)]))
    assert not result.of(SourceChanged)
    assert len(result.of(StreamOpened)) == 2
    assert result.audio(1).tolist() == pcmu(outbound).tolist()


def test_a_codec_with_a_past_begins_anew() -> None:
    old, new = Sender(payload_type=9).packets(10), Sender(payload_type=9, ssrc=5, seed=2).packets(10)
    result = play([*every(old), *every(new, start_ms=200)])
    decoder = new_decoder(STATIC_PAYLOAD_TYPES[9])
    expected = np.concatenate([decoder.decode(packet[36:]) for packet in new])
    assert result.audio()[3200:].tolist() == expected.tolist()
