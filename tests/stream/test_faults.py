"""A fault of our own closes the stream that it was at, is counted and logged, and costs no other stream a sample.

Only rules that are not compiled can be made to fail.
"""

import functools
import logging
import uuid
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import strep.stream
from strep.audio.decoders import new_decoder
from strep.audio.formats import STATIC_PAYLOAD_TYPES
from strep.stream.admission import Admission
from strep.stream.engine import Engine
from strep.stream.events import CloseReason, StreamClosed
from tests.traffic import MS, SMALL, START_NS, Result, Sender, every, feed, pcmu, result

PLAIN = replace(SMALL, compiled=False)
SENDERS = [Sender(call_leg_id=uuid.UUID(int=n), ssrc=n, seed=n) for n in range(8)]
ODD = b"\x55" * 7


class BrokenRuleError(RuntimeError):
    """What a rule raises that is broken."""


def breaking(rule: Callable, is_at: Callable[..., bool]) -> Callable:
    """Make a rule raise where `is_at` says so of its arguments."""

    def broken(*arguments, **named):
        if is_at(*arguments):
            raise BrokenRuleError("made to fail")
        return rule(*arguments, **named)

    return broken


def break_rule(patch: pytest.MonkeyPatch, name: str, is_at: Callable[..., bool]) -> None:
    """Let a rule be broken for those that call it: its name in the module where they are, below strep.stream."""
    rule = functools.reduce(getattr, name.split("."), strep.stream)
    patch.setattr(f"strep.stream.{name}", breaking(rule, is_at))


def traffic(payload_type: int = 0) -> tuple[list[tuple[float, bytes]], dict[int, list[bytes]]]:
    """8 calls, 40 packets each; the third one has an odd packet in the middle."""
    senders = [Sender(call_leg_id=sender.call_leg_id, ssrc=sender.ssrc, seed=sender.seed) for sender in SENDERS]
    sent: dict[int, list[bytes]] = {n: [] for n in range(8)}
    arrivals = []
    for turn in range(40):
        for n, sender in enumerate(senders):
            odd = {"payload": ODD, "payload_type": 99} if n == 2 and turn == 20 else {"payload_type": payload_type}
            sent[n].append(sender.packet(ticks=160, **odd))
            arrivals.append((turn * 20, sent[n][-1]))
    return arrivals, sent


def play_with_fault(payload_type: int = 0) -> tuple[Engine, Result, dict[int, list[bytes]]]:
    arrivals, sent = traffic(payload_type)
    engine = Engine(PLAIN)
    outputs = []
    for turn in range(0, len(arrivals), 8):
        outputs += feed(engine, arrivals[turn : turn + 8])
        outputs += engine.advance(START_NS + int(arrivals[turn][0] * MS))
    outputs += engine.close()
    assert sum(engine.counts().values()) == len(arrivals)
    return engine, result(outputs, engine), sent


def streams_of(outcome: Result, number: int) -> list[StreamClosed]:
    """Give how the streams of one call ended."""
    leg = SENDERS[number].call_leg_id
    return [event for event in outcome.of(StreamClosed) if event.report.identity.call_leg_id == leg]


def check_that_others_lost_nothing(outcome: Result, sent: dict[int, list[bytes]], decode: Callable = pcmu) -> None:
    for number in {*range(8)} - {2}:
        (closed,) = streams_of(outcome, number)
        assert closed.reason is CloseReason.STOPPED
        assert outcome.audio(closed.slot).tolist() == decode(sent[number]).tolist()


@pytest.mark.parametrize(
    ("name", "is_at"),
    [
        ("receive.judge", lambda tables, row, source, header, arrival_ns: header.payload_type == 99),
        ("receive.lay", lambda tables, datagrams, row, sequence, format: tables.header[0].payload_type == 99),
        ("playout.place", lambda tables, packet: packet.payload_type == 99),
    ],
)
def test_a_rule_that_fails_at_one_packet_costs_that_stream_and_no_other(
    name: str, is_at: Callable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    break_rule(monkeypatch, name, is_at)
    with caplog.at_level(logging.ERROR, "strep.stream.faults"):
        engine, outcome, sent = play_with_fault()
    assert engine.faults == 1
    received = name.startswith("receive.")
    assert engine.counts()["rejected_fault"] == received
    assert ODD.hex() in caplog.text
    assert f"{SENDERS[2].call_leg_id}-A is closed" in caplog.text
    assert "BrokenRuleError: made to fail" in caplog.text
    assert CloseReason.FAULT in [event.reason for event in streams_of(outcome, 2)]
    check_that_others_lost_nothing(outcome, sent)


@pytest.mark.parametrize(
    ("name", "is_at"),
    [
        ("path.measure_payloads", lambda format, payload, length: len(length) > 1),
        ("outputs.Decoding.decode", lambda self, decoders, payloads, samples: len(payloads) > 1),
    ],
)
def test_what_is_done_for_many_and_fails_is_done_for_each_by_itself(
    name: str, is_at: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_rule(monkeypatch, name, is_at)
    engine, outcome, sent = play_with_fault(9)
    assert engine.faults > 0
    assert engine.counts()["accepted"] == 320

    def g722(packets: list[bytes]) -> np.ndarray:
        decoder = new_decoder(STATIC_PAYLOAD_TYPES[9])
        return np.concatenate([decoder.decode(packet[36:]) for packet in packets])

    check_that_others_lost_nothing(outcome, sent, g722)


def test_a_fault_before_any_stream_is_known_leaves_every_datagram_a_fate(monkeypatch: pytest.MonkeyPatch) -> None:
    break_rule(monkeypatch, "receive.parse_headers", lambda *arguments: True)
    engine = Engine(PLAIN)
    feed(engine, [(0, SENDERS[0].packet())] * 3)
    assert engine.counts()["rejected_fault"] == 3


def test_a_fault_at_a_datagram_of_nobody_knows_whom_closes_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    known, odd = Sender(), Sender(leg=1).packet(samples=777)
    break_rule(monkeypatch, "receive.parse_headers", lambda flat, start, length, header: length == len(odd))
    engine, packets = Engine(PLAIN), known.packets(11)
    outputs = feed(engine, [(0, packets[0])])
    for n, packet in enumerate(packets[1:], 1):
        outputs += feed(engine, [(20 * n, packet), (20 * n, odd)])
    outcome = result([*outputs, *engine.close()], engine)
    assert (engine.counts()["accepted"], engine.counts()["rejected_fault"]) == (11, 10)
    assert [event.reason for event in outcome.of(StreamClosed)] == [CloseReason.STOPPED]
    assert outcome.audio().tolist() == pcmu(packets).tolist()


def test_a_call_whose_stream_failed_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    break_rule(monkeypatch, "playout.place", lambda tables, packet: packet.payload_type == 99)
    _, outcome, sent = play_with_fault()
    mine = streams_of(outcome, 2)
    assert [event.reason for event in mine] == [CloseReason.FAULT, CloseReason.STOPPED]
    again = b"".join(data for _, _, _, data in outcome.pieces[mine[1].slot])
    assert pcmu(sent[2][30:]).tobytes() in again


def test_a_fault_at_deciding_who_may_begin_costs_that_datagram(monkeypatch: pytest.MonkeyPatch) -> None:
    def admit(self, batch, unknown):
        raise BrokenRuleError("made to fail")

    arrivals = every(Sender().packets(3))
    with monkeypatch.context() as patch:
        patch.setattr(Admission, "admit", admit)
        engine = Engine(SMALL)
        assert feed(engine, arrivals[:2]) == []
    assert (engine.counts()["rejected_fault"], engine.faults) == (2, 2)
    feed(engine, arrivals[2:])
    assert engine.open_streams == 1
