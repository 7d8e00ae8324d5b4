"""Packets without payload carry nothing: they are no loss to conceal, and no number of one is read as another's."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import SampleState
from strep.audio.conceal import conceal
from strep.audio.formats import parse_format
from strep.stream.engine import EngineConfig
from strep.stream.events import Gap
from tests.traffic import Sender, every, pcmu, play, run

RECEIVED, CONCEALED, SILENCE, LOST = (SampleState[name] for name in ("RECEIVED", "CONCEALED", "SILENCE", "LOST"))
CONFIG = EngineConfig(max_streams=8, probation=False).with_payload_types({108: parse_format("PCMU/8000")})


@st.composite
def mostly_empty(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """Packets of two streams, most without payload, out of order, with losses, pauses and steps of time."""
    arrivals, ms, number = [], draw(st.integers(0, 1000)), 0
    for _ in range(draw(st.integers(2, 25))):
        number += draw(st.sampled_from([1, 1, 1, 2, 5, 10, -1, -3]))
        ms += draw(st.sampled_from([0, 5, 20, 20, 40, 110, 230, 600]))
        length = draw(st.sampled_from([0, 0, 0, 160, 816]))
        sender = Sender(direction=draw(st.integers(0, 1)), payload_type=draw(st.sampled_from([0, 108, 108])))
        timestamp = 50_000 + 160 * number + draw(st.sampled_from([0, 0, 0, 80, 1000]))
        fields = {"sequence_number": (3000 + number) & 0xFFFF, "timestamp": timestamp}
        arrivals.append((ms, sender.packet(payload=b"\x36" * length, **fields)))
    return arrivals


@given(mostly_empty(), st.lists(st.integers(1, 3), max_size=25), st.sampled_from([5, 20, 100, None]))
def test_no_order_of_them_makes_a_rule_fail_and_batches_change_nothing(arrivals, portions, step_ms) -> None:
    result = run(arrivals, CONFIG, portions=[*portions, 100], step_ms=step_ms)  # which looks for faults
    assert result.counts == run(arrivals, CONFIG).counts


@pytest.mark.parametrize("compiled", [True, False])
def test_what_others_sent_since_is_not_read_where_a_streams_own_audio_lay(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In rings of 16 packets and 8 KiB, those of other calls lie where its last ones did when it goes on."""
    monkeypatch.setattr("strep.stream.path._PACKETS", 16)
    monkeypatch.setattr("strep.stream.path._PAYLOAD_BYTES", 1 << 13)
    caller, others = Sender(), Sender(leg=1, ssrc=1, seed=5)
    before = caller.packets(10)
    lost, empty = caller.packet(), caller.packets(2, payload=b"", ticks=160)
    after = caller.packets(5)
    arrivals = [*every(before), *every([*empty, *after], start_ms=1100)]
    alone = run(arrivals, CONFIG)
    between = every(others.packets(80), start_ms=200, step_ms=10)
    beside = run(sorted(arrivals + between), replace(CONFIG, compiled=compiled))
    assert beside.pieces[0] == alone.pieces[0]
    expected = pcmu([*before, lost, *after])
    made_up = np.zeros(160, np.int16)
    conceal(expected[:1600], 8000, made_up)
    assert alone.audio()[1600:1760].tolist() == made_up.tolist()


def test_what_is_missing_before_any_audio_is_silence_and_nothing_is_made_up_for_it() -> None:
    sender = Sender()
    empty = sender.packets(4, payload=b"", ticks=160)
    sender.sequence_number += 5
    sender.timestamp += 5 * 160
    audio = sender.packets(3)
    outcome = play(every(empty) + every(audio, start_ms=9 * 20))
    assert outcome.states() == [(SILENCE, 9 * 160), (RECEIVED, 480)]
    assert outcome.audio()[-480:].tolist() == pcmu(audio).tolist()


def test_empty_packets_between_audio_are_a_pause_and_no_loss() -> None:
    sender = Sender()
    packets = [*sender.packets(5), *sender.packets(5, payload=b"", ticks=160), *sender.packets(5)]
    outcome = play(every(packets))
    assert outcome.states() == [(RECEIVED, 800), (SILENCE, 800), (RECEIVED, 800)]
    assert [gap.lost_packets for gap in outcome.of(Gap)] == [0]
    assert outcome.report.sources[0].lost == 0


def test_a_loss_before_empty_packets_is_concealed_by_what_was_heard_before_it() -> None:
    sender = Sender()
    packets = [*sender.packets(8), *sender.packets(2, payload=b"", ticks=160), *sender.packets(5)]
    arrivals = [arrival for n, arrival in enumerate(every(packets)) if n != 7]
    outcome = play(arrivals)
    assert outcome.states() == [(RECEIVED, 1120), (CONCEALED, 160), (SILENCE, 320), (RECEIVED, 800)]
    assert outcome.audio()[1120:1280].any()
