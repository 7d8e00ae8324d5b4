"""What is left out is whole legs, the youngest first, until they are taken back; the others lose nothing."""

import uuid

import pytest

from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, StreamClosed, StreamOpened
from tests.traffic import Sender, feed, pcmu, result

CONFIG = EngineConfig(probation=False, max_streams=8)


def legs(count: int, first: int = 0, **fields) -> list[Sender]:
    return [Sender(call_leg_id=uuid.UUID(int=n + 1), seed=n, ssrc=n, **fields) for n in range(first, first + count)]


class Traffic:
    """Feeds one packet of each sender every 20 ms, and keeps what was sent."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.ms, self.outputs = engine, 0, []
        self.sent: dict[uuid.UUID, list[bytes]] = {}

    def send(self, senders: list[Sender], periods: int) -> None:
        for _ in range(periods):
            packets = [sender.packet() for sender in senders]
            for sender, packet in zip(senders, packets, strict=True):
                self.sent.setdefault(sender.call_leg_id, []).append(packet)
            self.outputs += feed(self.engine, [(self.ms, packet) for packet in packets])
            self.ms += 20

    def leave_out(self, calls: int) -> None:
        self.outputs += self.engine.leave_out(calls)

    def end(self):
        self.outputs += self.engine.close()
        return result(self.outputs, self.engine)


def test_the_youngest_legs_close_as_overloaded_and_all_else_of_them_is_counted_and_the_others_are_whole() -> None:
    traffic, calls = Traffic(Engine(CONFIG)), legs(4)
    traffic.send(calls, 5)
    traffic.leave_out(2)
    assert (traffic.engine.open_calls, traffic.engine.left_out_calls) == (2, 2)
    traffic.send(calls, 10)
    outcome = traffic.end()
    closed = {event.report.identity.call_leg_id.int: event for event in outcome.of(StreamClosed)}
    assert [closed[n].reason for n in (1, 2, 3, 4)] == [CloseReason.STOPPED] * 2 + [CloseReason.OVERLOADED] * 2
    assert outcome.counts["over_limit_load"] == 20
    assert sum(outcome.counts.values()) == 60
    for n, count in ((0, 15), (1, 15), (2, 5), (3, 5)):
        slot = closed[n + 1].slot
        assert outcome.audio(slot).tolist() == pcmu(traffic.sent[calls[n].call_leg_id][:count]).tolist()


def test_neither_the_other_direction_nor_another_source_of_a_leg_that_is_left_out_begins_it_anew() -> None:
    traffic, (first, second) = Traffic(Engine(CONFIG)), legs(2)
    traffic.send([first, second], 2)
    traffic.leave_out(1)
    other = Sender(call_leg_id=second.call_leg_id, direction=1)
    second.ssrc += 100
    traffic.send([other, second], 3)
    assert (traffic.engine.open_calls, traffic.engine.left_out_calls) == (1, 1)
    assert traffic.engine.counts()["over_limit_load"] == 6


def test_the_other_direction_and_another_source_of_a_leg_that_stays_are_taken() -> None:
    traffic, (first, second) = Traffic(Engine(CONFIG)), legs(2)
    traffic.send([first, second], 2)
    traffic.leave_out(1)
    first.ssrc += 100
    traffic.send([first, Sender(call_leg_id=first.call_leg_id, direction=1)], 3)
    outcome = traffic.end()
    assert outcome.counts["over_limit_load"] == 0
    assert outcome.counts["accepted"] == 10


def test_new_legs_are_left_out_too_until_the_first_is_taken_back() -> None:
    traffic, calls = Traffic(Engine(CONFIG)), legs(4)
    traffic.send(calls[:2], 2)
    traffic.leave_out(1)
    traffic.send(calls[2:3], 3)
    assert traffic.engine.left_out_calls == 2
    traffic.engine.take_back(1)
    traffic.send(calls[2:], 3)
    assert (traffic.engine.open_calls, traffic.engine.left_out_calls) == (2, 1)
    assert traffic.engine.counts()["over_limit_load"] == 6


def test_who_is_taken_back_begins_anew_those_first_that_were_left_out_first() -> None:
    traffic, calls = Traffic(Engine(CONFIG)), legs(3)
    traffic.send(calls, 2)
    traffic.leave_out(1)
    traffic.leave_out(1)
    traffic.engine.take_back(1)
    traffic.send(calls, 3)
    outcome = traffic.end()
    opened = [event.identity.call_leg_id.int for event in outcome.of(StreamOpened)]
    assert opened == [1, 2, 3, 3]
    assert outcome.counts["over_limit_load"] == 3  # of the second
    assert (
        outcome.audio(outcome.of(StreamOpened)[-1].slot).tolist()
        == pcmu(traffic.sent[calls[2].call_leg_id][2:]).tolist()
    )


def test_when_all_are_taken_back_all_is_as_it_was() -> None:
    traffic, calls = Traffic(Engine(CONFIG)), legs(3)
    for _ in range(50):  # more often than there is room for at a time
        traffic.send(calls, 1)
        traffic.leave_out(3)
        traffic.send(calls, 1)
        traffic.engine.take_back(99)
    traffic.send(calls, 1)
    assert traffic.engine.left_out_calls == 0
    assert traffic.engine.counts()["over_limit_load"] == 150
    assert traffic.engine.counts()["accepted"] == 153


def test_sources_beyond_what_can_be_remembered_are_counted_and_still_left_out() -> None:
    traffic, (first, second) = Traffic(Engine(EngineConfig(probation=False, max_streams=1))), legs(2)
    traffic.send([first], 1)
    traffic.leave_out(1)
    for n in range(200):
        second.ssrc = n
        traffic.send([second], 1)
    assert traffic.engine.counts()["over_limit_load"] == 200  # 65 rows, one of them the first leg's
    assert traffic.engine.open_calls == 0


@pytest.mark.parametrize("calls", [0, 5])
def test_to_leave_out_none_does_nothing_and_more_than_there_are_leaves_out_all(calls: int) -> None:
    traffic = Traffic(Engine(CONFIG))
    traffic.send(legs(3), 2)
    traffic.leave_out(calls)
    assert traffic.engine.open_calls == (0 if calls else 3)
