"""Every contender takes exactly what it is sent, from its own socket, and the report has every number."""

import json
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

from bench import BenchError, receive
from bench.customary import StructProtocol, aiortc_protocol, decode_packet
from bench.drains import bind_deep, open_deep
from bench.receive import FLOOR, FLOOR_TICKS, OURS, OURS_GRO, OURS_TICKS, conclude, make_entries
from bench.sending import SendingProcess
from bench.turns import Rounds, Turn, run_rounds, take_turn
from strep.audio.g711 import Law, decode
from strep.net import source
from tools.traffic import Traffic, expected_payload

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="recvmmsg is Linux's")
STREAMS = 20


@pytest.fixture(scope="module")
def sending() -> Iterator[SendingProcess]:
    with SendingProcess(STREAMS) as process:
        yield process


@pytest.mark.bench
def test_every_contender_takes_all_that_it_is_sent(sending: SendingProcess) -> None:
    with ExitStack() as stack:
        entries = list(make_entries(STREAMS, 6, stack))
        rounds = run_rounds(entries, sending, 1)
    assert {FLOOR, "read", OURS, OURS_GRO, OURS_TICKS, FLOOR_TICKS, "asyncio_struct"} <= set(rounds.turns)
    assert {turns[0].packets for turns in rounds.turns.values()} == {STREAMS * 6, STREAMS * 2}
    outcome = conclude(rounds, STREAMS, 6)
    assert set(outcome.report["ns_per_packet"]) == set(rounds.turns)
    assert json.loads(json.dumps(outcome.report)) == outcome.report
    ours = sum(name.startswith("engine") for name in rounds.turns) - 1
    assert [table.row_count for table in outcome.tables] == [len(rounds.turns) - 2 + 3 * ours, 2 + 3]


def test_a_packet_that_a_contender_does_not_see_is_noticed(sending: SendingProcess) -> None:
    with ExitStack() as stack:
        entry = next(make_entries(STREAMS, 2, stack))
        drain = entry.contender.drain
        entry.contender.drain = lambda queued: None  # type: ignore[method-assign]
        # Where other tests flood the machine, the kernel may have had no room for some of them: that is told first.
        fault = take_turn(entry, sending).fault or ""
        assert fault.startswith((f"expected {2 * STREAMS} received, found 0", "the kernel dropped "))
        drain(0)


def test_ratios_are_held_against_the_drain_of_the_same_pattern() -> None:
    def turns(*cpu_ns: int) -> list[Turn]:
        return [Turn(100, ns, 2 * ns, (ns, 0, 0)) for ns in cpu_ns]

    found = {
        FLOOR: turns(100, 200),
        OURS: turns(300, 600),
        OURS_GRO: turns(50, 60),
        FLOOR_TICKS: turns(10, 20),
        OURS_TICKS: turns(50, 100),
    }
    report = conclude(Rounds(found, ["why"]), 2, 50).report
    assert report["ns_per_packet"][OURS] == {"median": 4.5, "min": 3.0, "max": 6.0}
    assert report["wall_ns_per_packet"][FLOOR]["median"] == 3.0
    assert report["ratio_to_bare_drain"] == 3.0
    assert report["ratio_to_bare_drain_ticks"] == 5.0
    assert report["engine_stages_ns"][OURS]["read"]["median"] == 4.5
    assert (report["rounds"], report["packets"][OURS], report["invalid_rounds"]) == (2, 100, ["why"])


def test_the_customary_ways_understand_and_decode_what_they_receive() -> None:
    packet = Traffic(3).packet(4)
    assert packet is not None
    name = Traffic(3).name(4)
    payload = np.frombuffer(expected_payload(name.call, name.direction, name.index, 1), np.uint8)
    for protocol in (StructProtocol(), aiortc_protocol()()):
        protocol.datagram_received(packet, None)
        ((leg_id, leg_direction), (sequence_number, timestamp, samples)) = next(iter(protocol.latest.items()))
        assert (leg_id, leg_direction) == (packet[8:24], name.direction)
        assert (sequence_number, timestamp) == struct.unpack_from("!HI", packet, 26)
        assert np.array_equal(np.frombuffer(samples, "<i2"), decode(payload, Law.MU))


def test_decoding_without_numpy_agrees_for_every_code() -> None:
    codes = bytes(range(256))
    assert decode_packet(codes) == decode(np.frombuffer(codes, np.uint8), Law.MU).astype("<i2").tobytes()


@pytest.mark.parametrize("open_socket", [bind_deep, open_deep])
def test_a_queue_that_would_not_hold_a_turn_is_refused(open_socket: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_widen", lambda sock, wanted_bytes: 4_194_304)
    with pytest.raises(BenchError, match=r"rmem_max.*found 4194304"):
        open_socket(100_000)  # type: ignore[operator]


@pytest.mark.parametrize("words", [["--streams", "3"], ["--streams", "0"], ["--rounds", "0"], ["--periods", "0"]])
def test_arguments_that_cannot_work_are_refused(words: list[str]) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    receive.add_arguments(parser)
    with pytest.raises(BenchError, match="expected an even number"):
        receive.run(parser.parse_args(words))
