"""A datagram makes no more of itself than its own length and the time since the last one allow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.audio.block import AudioBlock, SampleState
from strep.audio.formats import parse_format
from strep.stream import playout
from strep.stream.clock import AHEAD_NS, AHEAD_PPM
from strep.stream.engine import Engine, EngineConfig
from tests.traffic import Sender, every, feed, pcmu, play, run

CONFIG = EngineConfig(max_streams=8, probation=False).with_payload_types({108: parse_format("L16/8000")})
AHEAD = AHEAD_NS * 8000 // 10**9


@pytest.mark.parametrize("payload_bytes", [160, 2000])
@pytest.mark.parametrize("spacing_ms", [0, 1, 20])
def test_jumps_in_sequence_and_time_alike_add_up_to_no_more_than_the_time_and_5_s(
    payload_bytes: int, spacing_ms: int
) -> None:
    """100 packets, each 2,999 ahead of the one before and as far in time: 13 hours, if they were believed."""
    packets = []
    for n in range(100):
        number = {"sequence_number": 2999 * n & 0xFFFF, "timestamp": 2999 * payload_bytes * n & 0xFFFF_FFFF}
        packets.append(Sender().packet(samples=payload_bytes, **number))
    outcome = play(every(packets, step_ms=spacing_ms), CONFIG)
    elapsed = 100 * spacing_ms * 8
    own = 100 * payload_bytes
    assert outcome.report.length_samples <= max(elapsed, own // 8) + AHEAD + own


@given(
    st.lists(
        st.tuples(
            st.integers(-70_000, 70_000),
            st.integers(-(1 << 31), 1 << 31),
            st.sampled_from([0, 1, 20, 500]),
            st.sampled_from([0, 1, 160, 1900]),
            st.sampled_from([0, 0, 0, 8, 9, 108, 13]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_no_packets_make_more_than_the_time_their_bytes_and_5_s(steps) -> None:
    number = timestamp = ms = payload = 0
    arrivals = []
    for step, ticks, pause_ms, length, payload_type in steps:
        number, timestamp, ms, payload = number + step, timestamp + ticks, ms + pause_ms, payload + length
        fields = {"sequence_number": number & 0xFFFF, "timestamp": timestamp & 0xFFFF_FFFF}
        arrivals.append((ms, Sender().packet(payload=bytes(length), payload_type=payload_type, **fields)))
    report = run(arrivals, CONFIG, portions=[5] * 20).report
    seconds = report.length_samples / report.sample_rate_hz
    concealed_s = 0.06 * len(steps)
    assert seconds <= ms / 1000 * (1 + AHEAD_PPM / 1e6) + AHEAD_NS / 1e9 + 3 * payload / 8000 + concealed_s


@pytest.mark.thorough
def test_a_pause_of_a_day_is_one_piece_that_takes_no_memory() -> None:
    sender, other, engine = Sender(), Sender(direction=1, seed=2), Engine(CONFIG)
    before = sender.packets(10)
    sender.timestamp += 24 * 3600 * 8000
    after = sender.packets(10)
    keeps_open = every(other.packets(24 * 60 * 2, ticks=30 * 8000), step_ms=30_000)
    outputs = []
    for arrival in sorted(every(before) + keeps_open + every(after, start_ms=24 * 3_600_000 + 200)):
        outputs += feed(engine, [arrival])
    outputs += engine.close()
    blocks = [output for output in outputs if isinstance(output, AudioBlock)]
    (pause,) = [block for block in blocks if block.samples.shape[1] == 24 * 3600 * 8000]
    assert (pause.samples.strides[-1], pause.state.tolist()) == (0, [SampleState.SILENCE])
    behind = blocks[next(n for n, block in enumerate(blocks) if block is pause) + 1 :]
    heard = [block.samples[block.slots == pause.slots[0]].ravel() for block in behind]
    assert np.concatenate(heard).tolist() == pcmu(after).tolist()


def test_streams_that_pause_together_share_a_block_that_takes_no_memory() -> None:
    senders = [Sender(leg=leg, seed=leg) for leg in (0, 1)]
    arrivals = [(n * 20, sender.packet()) for n in range(10) for sender in senders]
    for sender in senders:
        sender.timestamp += 30 * 8000
    arrivals += [(30_200 + n * 20, sender.packet()) for n in range(10) for sender in senders]
    outcome = run(arrivals, CONFIG, portions=[1000], step_ms=None)
    (block,) = [block for block in outcome.blocks if block.samples.shape[1] == 30 * 8000]
    assert (block.samples.shape[0], block.samples.strides) == (2, (0, 0))
    assert np.count_nonzero(block.samples[:, :10]) == 0


@pytest.mark.thorough
def test_a_sender_whose_clock_runs_fast_for_a_day_keeps_its_place_over_a_loss() -> None:
    """500 ppm fast: after 4 hours, its timestamps are 7 s ahead of the time since it began."""
    sender, arrivals = Sender(), []
    for minute in range(240):
        start_ms = minute * 60_000
        arrivals += every([sender.packet() for _ in range(3)], start_ms=start_ms)
        sender.timestamp += 60 * 8004 - 480
    packets = sender.packets(9)
    arrivals += [arrival for n, arrival in enumerate(every(packets, start_ms=240 * 60_000)) if n != 4]
    outcome = run(arrivals, CONFIG)
    lost = [state for state in outcome.states() if state[0] is SampleState.CONCEALED]
    assert lost == [(SampleState.CONCEALED, 160)]


@pytest.mark.thorough
def test_filling_rings_makes_no_packet_cost_all_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sources of one stream, each packet a ring further: what one hands on before its time is handed on once."""
    played = []
    play_out = playout.play_out
    monkeypatch.setattr(
        playout, "play_out", lambda tables, row, target: (played.append(row), play_out(tables, row, target))
    )
    senders, arrivals = (Sender(ssrc=1), Sender(ssrc=2)), []
    for n in range(400):
        senders[n % 2].sequence_number += 63
        arrivals.append((n / 100, senders[n % 2].packet()))
    outcome = run(arrivals, EngineConfig(max_streams=8, probation=False, compiled=False), portions=[400])
    assert outcome.counts["accepted"] == 400
    assert 400 <= len(played) <= 3 * 400, "not 400 for each"


@pytest.mark.parametrize("payload_type", [0, 8, 9])
def test_of_a_packet_longer_than_200_ms_so_much_is_heard(payload_type: int) -> None:
    sender = Sender(payload_type=payload_type)
    packets = [sender.packet(), *sender.packets(9, samples=2000, ticks=1600), sender.packet()]
    outcome = play(every(packets, step_ms=200), CONFIG)
    rate_hz = 16_000 if payload_type == 9 else 8000
    assert outcome.report.length_samples == (2 * 160 + 9 * 1600) * rate_hz // 8000
    assert outcome.report.samples_by_state["received"] == outcome.report.length_samples
    assert outcome.report.sources[0].undecoded == 9, "what is not heard is told"
