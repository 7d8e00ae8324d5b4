"""The laws of the engine, on any traffic: conservation, no exception, the same output from any portions."""

import uuid
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from strep.audio.block import AudioBlock
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import StreamClosed
from strep.wire.batch import DatagramBatch
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader
from tests.paths import path  # noqa: F401 - runs every test by both paths
from tests.traffic import SMALL, START_NS, Sender, per_stream, run

LEGS = [uuid.UUID(int=n) for n in range(3)]


@st.composite
def network(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    """A few streams through a bad network: lost, doubled, overtaken, late, wrapped, silent, restarted."""
    arrivals = []
    for n in range(draw(st.integers(1, 3))):
        sender = Sender(
            call_leg_id=LEGS[n],
            direction=draw(st.integers(0, 1)),
            payload_type=draw(st.sampled_from([0, 8, 9, 3, 18, 11, 97])),
            sequence_number=draw(st.sampled_from([0, 1000, 65530])),
            timestamp=draw(st.sampled_from([0, 50_000, 0xFFFFFFFF - 400])),
            seed=n,
        )
        ms = draw(st.integers(0, 40))
        for _ in range(draw(st.integers(1, 25))):
            kind = draw(
                st.sampled_from(["plain"] * 12 + ["lost", "event", "noise", "pause", "restart", "offset", "ssrc"])
            )
            if kind == "pause":
                pause_ms = draw(st.sampled_from([100, 1500, 5000]))
                ms += pause_ms
                sender.timestamp += draw(st.sampled_from([0, 8 * pause_ms]))
            elif kind == "restart":
                sender.sequence_number = draw(st.integers(0, 0xFFFF))
            elif kind == "offset":
                sender.timestamp += draw(st.integers(-100_000, 100_000))
            elif kind == "ssrc":
                sender.ssrc += 1
            if kind == "event":
                datagram = sender.packet(payload=bytes((5, 0x8A, 0, 160)), payload_type=101, ticks=0)
            elif kind == "noise":
                datagram = sender.packet(payload=b"\x40", payload_type=13)
            else:
                datagram = sender.packet(draw(st.sampled_from([160, 160, 160, 80, 240, 33, 500])), ticks=160)
            ms += 20
            if kind != "lost":
                late_ms = draw(st.sampled_from([0, 0, 0, 0, 5, 45, 99, 150]))
                arrivals += [(ms + late_ms + 7 * copy, datagram) for copy in range(draw(st.sampled_from([1, 1, 1, 2])))]
    return sorted(arrivals, key=lambda arrival: arrival[0])


@given(network(), st.lists(st.integers(1, 40), max_size=20), st.sampled_from([1, 7, 20, 250, None]))
def test_portions_and_ticks_change_nothing(arrivals, portions, step_ms) -> None:
    whole = run(arrivals, SMALL, step_ms=20)
    assert per_stream(run(arrivals, SMALL, portions=[*portions, *[1000] * 10], step_ms=step_ms)) == per_stream(whole)


@given(network(), st.integers(1, 40))
def test_what_is_compiled_does_what_the_rules_do_as_they_stand(arrivals, portion: int) -> None:
    compiled, plain = (
        run(arrivals, replace(SMALL, compiled=compiled), portions=[portion] * 100) for compiled in (True, False)
    )
    assert per_stream(compiled) == per_stream(plain)


@given(network())
def test_every_datagram_has_one_fate_and_every_sample_one_cause(arrivals) -> None:
    result = run(arrivals, SMALL)
    assert sum(result.counts.values()) == len(arrivals)
    for event in result.of(StreamClosed):
        report = event.report
        assert sum(report.samples_by_state.values()) == report.length_samples
        end = 0
        rates = set()
        for position, rate, _, data in result.pieces.get(event.slot, []):
            rates.add(rate)
            if len(rates) == 1:
                assert position == end, "pieces leave no hole and never overlap"
            end = position + len(data) // 2
        for source in report.sources:
            distinct = source.packets - source.duplicates - source.rejected
            assert source.lost == source.expected - distinct
            assert source.lost >= 0


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3_000),
            st.binary(max_size=100)
            | st.builds(
                lambda leg, ld, rtp: StrepHeader(leg, ld >> 1, ld & 1).serialize() + rtp,
                st.sampled_from(LEGS),
                st.integers(0, 3),
                st.builds(
                    RtpPacket,
                    payload_type=st.integers(0, 127),
                    sequence_number=st.integers(0, 0xFFFF),
                    timestamp=st.integers(0, 0xFFFFFFFF),
                    ssrc=st.integers(0, 2),
                    payload=st.binary(max_size=400),
                    marker=st.booleans(),
                    padding_length=st.integers(0, 3),
                ).map(RtpPacket.serialize),
            ),
        ),
        max_size=60,
    )
)
@settings(max_examples=2 * settings.default.max_examples)
def test_no_bytes_in_any_order_raise_and_all_are_counted(arrivals) -> None:
    arrivals = sorted((float(ms), data) for ms, data in arrivals)
    result = run(arrivals, EngineConfig(probation=False, max_streams=4), portions=[7] * 100)
    assert sum(result.counts.values()) == len(arrivals)
    assert per_stream(run(arrivals, EngineConfig(probation=False, max_streams=4))) == per_stream(result)


def test_what_becomes_of_a_batchs_arrays_after_it_was_fed_does_not_matter() -> None:
    senders = [Sender(call_leg_id=uuid.UUID(int=n), ssrc=n, seed=n) for n in range(8)]
    engine, taken = Engine(SMALL), 0
    for turn in range(12):
        datagrams = [sender.packet() for sender in senders]
        batch = DatagramBatch.from_datagrams(datagrams, [START_NS + turn * 20_000_000] * 8)
        flat = batch.flat.copy()
        batch = DatagramBatch(flat, batch.offset, batch.length, batch.arrival_ns, batch.source, batch.endpoints)
        outputs = engine.feed(batch) + engine.advance(START_NS + turn * 20_000_000)
        for column in (flat, batch.offset, batch.length, batch.arrival_ns, batch.source):
            column[:] = 99  # as a receiver does, which reads the next datagrams into the same buffers
        taken += sum(len(output) for output in outputs if isinstance(output, AudioBlock))
    assert taken == 8 * (12 - 5), "all but what the playout delay of five packets holds back"


def test_a_datagram_longer_than_any_slot_is_counted_and_not_read() -> None:
    engine = Engine(SMALL)
    column = np.zeros(1, np.int64)
    batch = DatagramBatch(np.zeros(400, np.uint8), column, column + 9000, column + START_NS, column)
    assert engine.feed(batch) == []
    assert engine.counts()["over_limit_size"] == 1
