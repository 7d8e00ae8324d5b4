"""A fault of our own closes the stream that it was at, is counted and logged, and costs no other stream a sample."""

import logging
import uuid

import pytest

from strep.engine import Engine
from strep.stream.events import CloseReason, StreamClosed
from strep.stream.intake import Intake
from strep.stream.placing import Placer
from strep.stream.timeline import Timeline
from tests.traffic import MS, SMALL, START_NS, Sender, feed, pcmu, result

SENDERS = [Sender(call_leg_id=uuid.UUID(int=n), ssrc=n, seed=n) for n in range(8)]
ODD = b"\x55" * 7


class BrokenRuleError(RuntimeError):
    """What a rule raises that is broken."""


def breaking(rule, is_at):
    """Make a rule raise where `is_at` says so of its arguments."""

    def broken(self, *arguments, **named):
        if is_at(*arguments):
            raise BrokenRuleError("made to fail")
        return rule(self, *arguments, **named)

    return broken


def traffic() -> tuple[list[tuple[float, bytes]], dict[int, list[bytes]]]:
    """8 calls, 40 packets each; the third one has an odd packet in the middle."""
    senders = [Sender(call_leg_id=sender.call_leg_id, ssrc=sender.ssrc, seed=sender.seed) for sender in SENDERS]
    sent: dict[int, list[bytes]] = {n: [] for n in range(8)}
    arrivals = []
    for turn in range(40):
        for n, sender in enumerate(senders):
            odd = n == 2 and turn == 20
            sent[n].append(sender.packet(payload=ODD if odd else None, payload_type=99 if odd else 0, ticks=160))
            arrivals.append((turn * 20, sent[n][-1]))
    return arrivals, sent


def play_with_fault() -> tuple[Engine, object, dict[int, list[bytes]]]:
    arrivals, sent = traffic()
    engine = Engine(SMALL)
    outputs = []
    for turn in range(0, len(arrivals), 8):
        outputs += feed(engine, arrivals[turn : turn + 8])
        outputs += engine.advance(START_NS + int(arrivals[turn][0] * MS))
    outputs += engine.close()
    assert sum(engine.counts().values()) == len(arrivals)
    return engine, result(outputs, engine), sent


@pytest.mark.parametrize("kind", [Placer, Intake])
def test_a_rule_that_fails_at_one_packet_costs_that_stream_and_no_other(
    kind: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if kind is Placer:
        broken = breaking(Placer._place, lambda source, stream, packet: packet.payload == ODD)
        monkeypatch.setattr(Placer, "_place", broken)
    else:
        broken = breaking(Intake._take, lambda packets, n: packets.payload_type[n] == 99)
        monkeypatch.setattr(Intake, "_take", broken)
    with caplog.at_level(logging.ERROR, "strep.stream.faults"):
        engine, outcome, sent = play_with_fault()
    assert engine.faults == 1
    assert engine.counts()["rejected_fault"] == (kind is Intake)
    assert ODD.hex() in caplog.text
    assert "BrokenRuleError: made to fail" in caplog.text
    closed = outcome.of(StreamClosed)
    (failed,) = [event for event in closed if event.reason is CloseReason.FAULT]
    assert failed.report.identity.call_leg_id == SENDERS[2].call_leg_id
    for event in closed:
        number = event.report.identity.call_leg_id.int
        if number != 2:
            assert outcome.audio(event.slot).tolist() == pcmu(sent[number]).tolist()


@pytest.mark.parametrize(("kind", "name"), [(Timeline, "_release_straight"), (Intake, "columns")])
def test_what_is_done_for_many_and_fails_is_done_for_each_by_itself(
    kind: type, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, name, breaking(getattr(kind, name), lambda *arguments: True))
    monkeypatch.setattr("strep.stream.timeline.SMALL", 1)
    monkeypatch.setattr("strep.engine.SMALL", 1)
    engine, outcome, sent = play_with_fault()
    assert engine.faults > 0
    assert engine.counts()["accepted"] == 320
    for event in outcome.of(StreamClosed):
        number = event.report.identity.call_leg_id.int
        if number != 2:
            assert outcome.audio(event.slot).tolist() == pcmu(sent[number]).tolist()


def test_a_fault_before_any_stream_is_known_leaves_every_datagram_a_fate(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(batch):
        raise BrokenRuleError("made to fail")

    monkeypatch.setattr("strep.engine.parse_headers", parse)
    engine = Engine(SMALL)
    feed(engine, [(0, SENDERS[0].packet())] * 3)
    assert engine.counts()["rejected_fault"] == 3


def test_a_call_whose_stream_failed_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = breaking(Placer._place, lambda source, stream, packet: packet.payload == ODD)
    monkeypatch.setattr(Placer, "_place", broken)
    _, outcome, sent = play_with_fault()
    mine = [e for e in outcome.of(StreamClosed) if e.report.identity.call_leg_id == SENDERS[2].call_leg_id]
    assert [event.reason for event in mine] == [CloseReason.FAULT, CloseReason.STOPPED]
    again = b"".join(data for _, _, _, data in outcome.pieces[mine[1].slot])
    assert pcmu(sent[2][30:]).tobytes() in again
