"""After a hold the same source may go on with any timestamps: arrival says where."""

import numpy as np
import pytest

from strep.audio.block import SampleState
from strep.audio.decoders import new_decoder
from strep.audio.formats import STATIC_PAYLOAD_TYPES
from strep.stream.events import SourceChanged
from tests.traffic import Sender, every, pcmu, play

RECEIVED, SILENCE = SampleState.RECEIVED, SampleState.SILENCE
OFFSETS = [-3_000_000_000, -1_000_000, -48_000, 100_000, 1_000_000, 1 << 31, 3_000_000_000]


def held(offset: int, hold_ms: int = 5000) -> tuple[list[bytes], list[bytes], list[tuple[float, bytes]]]:
    sender = Sender(timestamp=1 << 20)
    before = sender.packets(20)
    sender.timestamp += offset
    after = sender.packets(30)
    return before, after, [*every(before), *every(after, start_ms=400 + hold_ms)]


@pytest.mark.parametrize("offset", OFFSETS)
def test_audio_goes_on_where_it_arrived_whatever_the_new_offset(offset: int) -> None:
    before, after, arrivals = held(offset)
    result = play(arrivals)
    assert result.states() == [(RECEIVED, 3200), (SILENCE, 40_000), (RECEIVED, 4800)]
    assert result.audio()[:3200].tolist() == pcmu(before).tolist()
    assert result.audio()[43_200:].tolist() == pcmu(after).tolist()
    assert [event.position for event in result.of(SourceChanged)] == [43_200]


@pytest.mark.parametrize("offset", OFFSETS)
def test_without_a_hold_it_joins_without_a_seam(offset: int) -> None:
    before, after, arrivals = held(offset, hold_ms=7)
    result = play(arrivals)
    assert result.audio().tolist() == pcmu(before + after).tolist()
    assert result.report.overlapped_samples == 0


@pytest.mark.parametrize("offset", OFFSETS)
def test_the_new_offset_is_no_jitter_and_jitter_is_measured_after_it(offset: int) -> None:
    before, after, _ = held(offset)
    arrivals = [*every(before), *((5400 + 20 * n + 6 * (n % 2), packet) for n, packet in enumerate(after))]
    source = play(arrivals).report.sources[0]
    assert 2 < source.max_jitter_ms < 6, "every difference there is 6 ms"
    assert source.mean_jitter_ms > 1
    assert source.lost == 0


def test_a_codec_with_a_past_keeps_it() -> None:
    sender = Sender(payload_type=9)
    before = sender.packets(10)
    sender.timestamp += 1_000_000
    after = sender.packets(10)
    decoder = new_decoder(STATIC_PAYLOAD_TYPES[9])
    decoded = [decoder.decode(packet[36:]) for packet in before + after]
    result = play([*every(before), *every(after, start_ms=2200)])
    assert result.audio()[-3200:].tolist() == np.concatenate(decoded[10:]).tolist()


def test_it_may_happen_again_and_again() -> None:
    sender, arrivals = Sender(), []
    for n, offset in enumerate(OFFSETS):
        arrivals += every(sender.packets(10), start_ms=3000 * n)
        sender.timestamp += offset
    result = play(arrivals)
    assert result.states() == [(RECEIVED, 1600), *[(SILENCE, 22_400), (RECEIVED, 1600)] * (len(OFFSETS) - 1)]
