"""The engine as its callers see it: feeding, advancing, counting, reporting, ending calls."""

import uuid

import numpy as np
import pytest

from strep.audio.block import AudioBlock
from strep.audio.formats import AudioFormat
from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, FormatChanged, StreamClosed, StreamOpened
from strep.wire.batch import NOT_STREP, REFUSED_SENDER, SENDER_OVER_LIMIT, DatagramBatch, Endpoint
from strep.wire.fate import Fate
from tests.paths import path  # noqa: F401 - runs every test by both paths
from tests.traffic import HERE, LEG, MS, SMALL, START_NS, Sender, every, feed, pcmu, play, result, run


def test_nothing_comes_out_before_its_playout_delay_has_passed() -> None:
    engine = Engine(SMALL)
    (opened,) = feed(engine, [(0, Sender().packet())])
    assert isinstance(opened, StreamOpened)
    assert engine.is_waiting
    assert engine.advance(START_NS + 100 * MS - 1) == []
    changed, block = engine.advance(START_NS + 100 * MS)
    assert isinstance(changed, FormatChanged)
    assert isinstance(block, AudioBlock)
    assert not engine.is_waiting


def test_to_go_back_in_time_does_nothing() -> None:
    engine = Engine(SMALL)
    feed(engine, every(Sender().packets(3)))
    assert engine.advance(START_NS + 110 * MS)
    assert engine.advance(START_NS) == []
    assert engine.advance(START_NS + 110 * MS) == []
    assert engine.advance(0) == []
    assert engine.is_waiting
    assert engine.close()[-1].time_ns == START_NS + 110 * MS


def test_an_engine_that_was_fed_nothing_gives_nothing() -> None:
    engine = Engine(SMALL)
    assert engine.advance(START_NS) == []
    assert engine.feed(DatagramBatch.from_datagrams([], [], [], HERE)) == []
    assert engine.end_call("nobody") == []
    assert engine.close() == []
    assert engine.reports() == []
    assert set(engine.counts().values()) == {0}


def test_counts_have_every_fate_by_name_and_add_up() -> None:
    sender = Sender()
    good, lost, more = sender.packets(3), sender.packet(), sender.packets(8)
    odd = [b"", b"\xc4\x18", b"\xc8\x18" + bytes(40), b"\x80", b"\x80\xc8" + bytes(10), b"INVITE", bytes(20)]
    odd.append(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12))
    odd.append(bytes((0x80,)) + bytes(2100))
    odd.append(sender.wrap(b"\x40" * 20))
    arrivals = [*every(good), (61, good[0]), *every(more, start_ms=80), (240, lost)]
    arrivals += [(300 + n, datagram) for n, datagram in enumerate(odd)]
    arrivals.append((400, sender.packet(sequence_number=30_000)))
    counts = play(arrivals).counts
    assert list(counts) == [fate.label for fate in Fate]
    assert sum(counts.values()) == len(arrivals)
    assert {name: count for name, count in counts.items() if count} == {
        "accepted": 11,
        "duplicate": 1,
        "late": 1,
        "malformed_empty": 1,
        "malformed_strep": 1,
        "malformed_rtp": 2,
        "rejected_strep_version": 1,
        "rejected_sequence": 1,
        "not_audio_rtcp": 1,
        "not_audio_stun": 1,
        "not_audio_t38": 1,
        "not_audio_sip": 1,
        "over_limit_size": 1,
    }


def test_the_fates_of_a_stream_are_those_of_its_datagrams() -> None:
    packets = Sender().packets(12)
    arrivals = [*every(packets[:3]), (41, packets[0]), *every(packets[4:], start_ms=80), (240, packets[3])]
    arrivals.append((250, Sender(sequence_number=30_000).packet()))
    report = play(arrivals).report
    assert report.fates == {"accepted": 11, "duplicate": 1, "late": 1, "rejected_sequence": 1}


def test_open_streams_can_be_reported_at_any_time() -> None:
    engine = Engine(SMALL)
    sender, other = Sender(), Sender(direction=1, seed=2)
    feed(engine, every(sender.packets(10)))
    feed(engine, every(other.packets(1), start_ms=201))
    engine.advance(START_NS + 310 * MS)
    first, second = engine.reports()
    assert (first.identity.direction, second.identity.direction) == (0, 1)
    assert (first.length_samples, first.sources[0].packets) == (1600, 10)
    assert engine.open_streams == 2
    assert len(engine.reports()) == 2, "to look changes nothing"


def test_to_end_a_call_closes_both_its_directions_and_no_other() -> None:
    engine = Engine(SMALL)
    both = [Sender(direction=direction, seed=direction) for direction in (0, 1)]
    leg_b, other = Sender(leg=1), Sender(call_leg_id=uuid.UUID(int=3))
    packets = [sender.packets(5) for sender in (*both, leg_b, other)]
    outputs = [output for some in packets for output in feed(engine, every(some))]
    outputs += engine.end_call(f"{LEG}-A")
    ended = result(outputs, engine)
    closed = ended.of(StreamClosed)
    assert [(event.report.identity.call, event.reason) for event in closed] == [(f"{LEG}-A", CloseReason.ENDED)] * 2
    assert [ended.audio(slot).tolist() for slot in (0, 1)] == [pcmu(some).tolist() for some in packets[:2]]
    assert engine.open_streams == 2
    assert [report.identity.leg for report in engine.reports()] == [1, 0]
    assert engine.end_call(f"{LEG}-A") == []


def test_a_call_ends_no_earlier_than_its_last_packet_came() -> None:
    engine = Engine(SMALL)
    feed(engine, every(Sender().packets(3)))
    (closed,) = (event for event in engine.end_call(f"{LEG}-A") if isinstance(event, StreamClosed))
    assert closed.time_ns == closed.report.sources[0].last_arrival_ns == START_NS + 40 * MS


def test_a_call_that_was_ended_with_another_reason_says_so() -> None:
    engine = Engine(SMALL)
    feed(engine, [(0, Sender().packet())])
    closed = engine.end_call(f"{LEG}-A", CloseReason.STOPPED)[-1]
    assert isinstance(closed, StreamClosed)
    assert closed.reason is CloseReason.STOPPED


def test_to_close_hands_on_everything_and_closes_every_stream() -> None:
    engine = Engine(SMALL)
    packets = Sender().packets(5)
    outputs = [*feed(engine, every(packets)), *engine.close()]
    outcome = result(outputs, engine)
    assert outcome.audio().tolist() == pcmu(packets).tolist()
    assert [event.reason for event in outcome.of(StreamClosed)] == [CloseReason.STOPPED]
    assert engine.open_streams == 0
    assert engine.close() == []


def test_events_of_a_stream_come_before_the_audio_they_speak_of() -> None:
    outputs, engine = [], Engine(SMALL)
    sender = Sender()
    packets = sender.packets(5) + sender.packets(5, payload_type=8)
    outputs += [*feed(engine, every(packets)), *engine.close()]
    kinds = [type(output).__name__ for output in outputs]
    assert kinds[:2] == ["StreamOpened", "FormatChanged"]
    assert kinds[-1] == "StreamClosed"
    second_change = [n for n, kind in enumerate(kinds) if kind == "FormatChanged"][1]
    rows = [int(output.position[-1]) for output in outputs[second_change:] if isinstance(output, AudioBlock)]
    assert min(rows) >= 800


def test_each_piece_says_when_the_packet_came_that_it_is_from() -> None:
    outcome = run(every(Sender().packets(5), start_ms=3))
    arrivals = [int(ns) - START_NS for block in outcome.blocks for ns in block.arrival_ns]
    assert arrivals == [(3 + 20 * n) * MS for n in range(5)]


def test_streams_of_one_tick_share_a_block() -> None:
    senders = [Sender(call_leg_id=uuid.UUID(int=n), seed=n) for n in range(8)]
    arrivals = [(n * 20 + k, sender.packet()) for n in range(20) for k, sender in enumerate(senders)]
    outcome = run(arrivals, portions=[8] * 20)
    assert max(len(block) for block in outcome.blocks) >= 8
    for block in outcome.blocks:
        assert len(np.unique(np.stack((block.slots, block.position)), axis=1).T) == len(block)


def test_pieces_of_a_stream_stay_in_order_however_they_are_grouped() -> None:
    one, other = Sender(), Sender(direction=1, seed=2)
    engine = Engine(SMALL)
    outputs = feed(engine, [(0, one.packet()), (1, other.packet())])
    outputs += engine.advance(START_NS + 101 * MS)
    packets = [one.packet(), one.packet(80), other.packet(33), other.packet(80)]
    outputs += [*feed(engine, every(packets, start_ms=120, step_ms=1)), *engine.close()]
    outcome = result(outputs, engine)
    assert [[position for position, *_ in outcome.pieces[slot]] for slot in (0, 1)] == [[0, 160, 320], [0, 160, 193]]
    assert max(len(block) for block in outcome.blocks) == 2, "those of one length share a block"


def test_a_configuration_with_payload_types_leaves_the_first_alone() -> None:
    first = EngineConfig()
    second = first.with_payload_types({97: AudioFormat("PCMU", 8000, 8000)})
    assert first.payload_types[97] is None
    assert str(second.payload_types[97]) == "PCMU/8000"
    assert second.payload_types[0] == first.payload_types[0]


@pytest.mark.parametrize("gap_s", [3600, 90_000])
def test_arrival_times_may_leap_forward_by_any_amount(gap_s: int) -> None:
    sender = Sender()
    arrivals = [(0, sender.packet()), (gap_s * 1000, sender.packet())]
    outcome = run(arrivals, step_ms=None)
    assert [event.reason for event in outcome.of(StreamClosed)] == [CloseReason.IDLE, CloseReason.STOPPED]


def test_datagrams_whose_senders_were_refused_are_counted_and_do_nothing_else() -> None:
    packets = Sender().packets(6)
    sources = [0, REFUSED_SENDER, 0, SENDER_OVER_LIMIT, NOT_STREP, REFUSED_SENDER]
    arrivals = [(20 * n, packet, source) for n, (packet, source) in enumerate(zip(packets, sources, strict=True))]
    outcome = run([*arrivals, (120, bytes(5000), REFUSED_SENDER)], portions=[7])
    assert {name: count for name, count in outcome.counts.items() if count} == {
        "accepted": 2,
        "rejected_sender": 3,
        "over_limit_senders": 1,
        "rejected_not_strep": 1,
    }
    (source,) = outcome.report.sources
    assert source.packets == 2


def test_a_batch_of_refused_senders_alone_opens_nothing() -> None:
    outcome = run([(n, packet, REFUSED_SENDER) for n, packet in enumerate(Sender().packets(3))], portions=[3])
    assert (outcome.events, outcome.counts["rejected_sender"]) == ([], 3)


def test_senders_are_in_use_while_sources_of_theirs_are_open() -> None:
    engine = Engine(SMALL)
    here = [Endpoint(f"192.0.2.1:{n}", "192.0.2.2:9", f"call-{n}") for n in range(3)]
    feed(engine, [(0, Sender().packet(), 2), (1, b"", 1)], here)
    assert engine.senders_in_use() == {2}
    engine.close()
    assert engine.senders_in_use() == set()
