"""Every table has a bound, counts what it refuses, and is as good as new when calls have ended."""

import uuid

import pytest

from strep.errors import ConfigError
from strep.stream.engine import MAX_DATAGRAM_BYTES, Engine, EngineConfig
from strep.stream.events import StreamClosed, StreamOpened
from strep.stream.playout import NOTES_ROOM, PIECES_ROOM
from strep.stream.records import CELLS, MAX_SOURCES_PER_STREAM
from tests.traffic import Sender, every, feed, pcmu, play, result, run


def senders(count: int, first: int = 0) -> list[Sender]:
    return [Sender(call_leg_id=uuid.UUID(int=n), seed=n, ssrc=n) for n in range(first, first + count)]


def test_a_stream_more_than_there_may_be_is_refused_and_counted_and_hurts_no_other() -> None:
    packets = [sender.packets(5) for sender in senders(3)]
    arrivals = sorted((n * 20 + k, packet) for k, some in enumerate(packets) for n, packet in enumerate(some))
    outcome = play(arrivals, EngineConfig(probation=False, max_streams=2))
    assert outcome.counts["over_limit_streams"] == 5
    assert outcome.counts["accepted"] == 10
    assert [outcome.audio(slot).tolist() for slot in (0, 1)] == [pcmu(some).tolist() for some in packets[:2]]


def test_a_place_that_was_given_back_serves_again_and_what_waited_for_it_is_whole() -> None:
    first, second = senders(2)
    engine = Engine(EngineConfig(probation=False, max_streams=1))
    feed(engine, every(first.packets(3)))
    waited = second.packets(1)
    feed(engine, every(waited, start_ms=60))
    assert engine.counts()["over_limit_streams"] == 1
    engine.end_call(f"{first.call_leg_id}-A")
    packets = second.packets(3)
    outputs = [*feed(engine, every(packets, start_ms=80)), *engine.close()]
    outcome = result(outputs, engine)
    assert engine.counts()["over_limit_streams"] == 0
    assert outcome.audio(outcome.of(StreamOpened)[0].slot).tolist() == pcmu([*waited, *packets]).tolist()


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_a_call_of_which_one_direction_only_finds_a_place_is_counted_to_the_last_packet(streams: int) -> None:
    """What was held back of the other direction takes the last place before the direction that proves the leg."""
    first, inbound = senders(2)
    outbound = Sender(call_leg_id=inbound.call_leg_id, direction=1, ssrc=2)
    packets = [*first.packets(2), inbound.packet(), *outbound.packets(2), inbound.packet()]
    outcome = run(every(packets), EngineConfig(max_streams=streams))
    refused = {1: 4, 2: 2, 3: 0}[streams]
    assert outcome.counts["over_limit_streams"] + outcome.counts["rejected_probation"] == refused
    assert outcome.counts["accepted"] == len(packets) - refused


def test_three_times_as_many_calls_as_there_is_room_for_pass_through_one_after_the_other() -> None:
    engine = Engine(EngineConfig(probation=False, max_streams=4))
    for n, sender in enumerate(senders(12 * 3)):
        packets = [sender.packet(ssrc=sender.ssrc + 1000 * (k // 2)) for k in range(6)]  # three sources each
        outputs = feed(engine, every(packets, start_ms=n * 200))
        outputs += engine.end_call(f"{sender.call_leg_id}-A")
        outcome = result(outputs, engine)
        (closed,) = outcome.of(StreamClosed)
        assert (len(closed.report.sources), closed.report.fates["accepted"]) == (3, 6)
        assert outcome.audio(closed.slot).tolist() == pcmu(packets).tolist()
    assert engine.open_streams == 0
    assert engine.counts()["over_limit_streams"] == 0


def test_calls_that_expire_give_back_their_places_too() -> None:
    arrivals = [(n * 2500, sender.packet()) for n, sender in enumerate(senders(12))]
    outcome = play(arrivals, EngineConfig(probation=False, max_streams=1, idle_timeout_s=1))
    assert outcome.counts["over_limit_streams"] == 0
    assert len(outcome.of(StreamClosed)) == 12


def test_a_stream_has_so_many_sources_and_no_more() -> None:
    packets = [Sender(ssrc=n, timestamp=160 * n).packet() for n in range(MAX_SOURCES_PER_STREAM + 6)]
    again = Sender(ssrc=0, sequence_number=1001, timestamp=160 * len(packets)).packet()
    outcome = play(every([*packets, again]))
    assert outcome.counts["over_limit_streams"] == 6
    assert len(outcome.report.sources) == MAX_SOURCES_PER_STREAM
    assert outcome.report.sources[0].packets == 2


def test_many_sources_of_one_stream_do_not_keep_others_from_being_heard() -> None:
    attacker = [Sender(ssrc=n).packet() for n in range(500)]
    caller = Sender(call_leg_id=uuid.UUID(int=9), seed=2).packets(5)
    outcome = play(
        every(attacker, step_ms=1) + every(caller, start_ms=600), EngineConfig(probation=False, max_streams=64)
    )
    assert outcome.audio(1).tolist() == pcmu(caller).tolist()


@pytest.mark.parametrize(
    ("length", "fate"), [(MAX_DATAGRAM_BYTES, "accepted"), (MAX_DATAGRAM_BYTES + 1, "over_limit_size")]
)
def test_a_datagram_is_as_long_as_a_slot_or_refused(length: int, fate: str) -> None:
    good = Sender().packets(3)
    large = Sender(direction=1).packet(samples=length - 36)
    outcome = play([(0, good[0]), (5, large), (20, good[1]), (40, good[2])])
    assert outcome.counts["accepted"] == 3 + (fate == "accepted")
    assert outcome.counts[fate] >= 1
    assert outcome.audio(0).tolist() == pcmu(good).tolist()


def test_what_is_refused_is_counted_in_any_portions() -> None:
    arrivals = every([packet for sender in senders(20) for packet in sender.packets(3)], step_ms=1)
    counts = [
        run(arrivals, EngineConfig(probation=False, max_streams=3), portions=portions).counts
        for portions in ([1] * 60, [60], [7] * 9)
    ]
    assert counts[0] == counts[1] == counts[2]
    assert counts[0]["over_limit_streams"] == 51


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("playout_delay_ms", -1),
        ("playout_delay_ms", 501),
        ("idle_timeout_s", 0),
        ("idle_timeout_s", 86_401),
        ("max_streams", 0),
        ("max_streams", 65_537),
        ("max_calls", 0),
    ],
)
def test_a_limit_that_cannot_work_is_said_at_once(name: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be .* got {value}"):
        EngineConfig(**{name: value})


@pytest.mark.thorough
def test_the_most_that_one_packet_can_set_free_finds_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """All cells of all sources of a stream wait, each packet of another type than the one before, and behind a loss."""
    for name, room in (("_PIECES", PIECES_ROOM), ("_BLOCKS", PIECES_ROOM), ("_MOST_NOTES", NOTES_ROOM)):
        monkeypatch.setattr(f"strep.stream.path.{name}", room)
    engine, arrivals = Engine(EngineConfig(max_streams=64, probation=False, compiled=False)), []
    for ssrc in range(MAX_SOURCES_PER_STREAM):
        fields = {"ssrc": ssrc, "samples": 80}
        arrivals += [
            Sender().packet(
                payload_type=(0, 8)[n % 2], sequence_number=n * (CELLS + 1), timestamp=n * 80 * (CELLS + 1), **fields
            )
            for n in range(CELLS + (ssrc == MAX_SOURCES_PER_STREAM - 1))
        ]
    feed(engine, [(0, datagram) for datagram in arrivals])
    assert (engine.counts()["accepted"], engine.faults) == (len(arrivals), 0)
