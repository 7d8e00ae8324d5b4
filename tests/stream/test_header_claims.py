"""Forked packets can keep the X and CC bits of what was cut out: what a header claims is believed only when it fits."""

import numpy as np
import pytest

from strep.audio.block import SampleState
from strep.stream.claims import CLAIM_PROOFS
from strep.stream.engine import Engine
from strep.wire.batch import SLACK_BYTES, DatagramBatch
from tests.traffic import HERE, MS, SMALL, START_NS, Result, Sender, every, pcmu, play, result

FIRST_RTP_BYTE = 24


def claiming(packets: list[bytes], bits: int) -> list[bytes]:
    """Set bits of the RTP header's first byte, and nothing else."""
    return [packet[:FIRST_RTP_BYTE] + bytes((packet[FIRST_RTP_BYTE] | bits,)) + packet[25:] for packet in packets]


def heard_as(result: Result, packets: list[bytes], *, false: bool) -> None:
    assert result.audio().tolist() == pcmu(packets).tolist()
    source = result.report.sources[0]
    assert source.false_header_claims is false
    assert source.undecoded == 0


@pytest.mark.parametrize("count", range(1, 16))
def test_csrcs_that_were_cut_out_take_nothing_from_the_audio(count: int) -> None:
    packets = Sender().packets(30)
    heard_as(play(every(claiming(packets, count))), packets, false=True)


@pytest.mark.parametrize("count", [0, 1, 15])
def test_an_extension_that_was_cut_out_takes_nothing_from_the_audio(count: int) -> None:
    packets = Sender().packets(30)
    result = play(every(claiming(packets, 0x10 | count)))
    heard_as(result, packets, false=True)
    assert result.states() == [(SampleState.RECEIVED, 30 * 160)]


@pytest.mark.parametrize(
    "fields",
    [
        {"csrc": (1,)},
        {"csrc": tuple(range(15))},
        {"extension": (0xBEDE, bytes(8))},
        {"extension": (0xBEDE, bytes(160))},
        {"csrc": (1, 2), "extension": (0x1000, b"")},
    ],
    ids=str,
)
def test_what_is_really_there_is_skipped_over(fields: dict) -> None:
    packets = Sender().packets(30, **fields)
    bare = Sender().packets(30)
    heard_as(play(every(packets)), bare, false=False)


def test_packets_with_and_without_an_extension_may_alternate() -> None:
    sender, plain = Sender(), Sender()
    packets = [sender.packet(**({"extension": (0xBEDE, bytes(4))} if n % 3 else {})) for n in range(30)]
    heard_as(play(every(packets)), plain.packets(30), false=False)


def test_payload_bytes_are_counted_without_what_the_header_really_has() -> None:
    report = play(every(Sender().packets(20, csrc=(1, 2, 3)))).report
    assert report.sources[0].payload_bytes == 20 * 160
    report = play(every(claiming(Sender().packets(20), 3))).report
    assert report.sources[0].payload_bytes == 20 * 160


def by_chance(words: int) -> bytes:
    """A payload of 160 bytes that reads as an extension of so many words."""
    return b"\x10\x00" + words.to_bytes(2) + bytes(range(100, 100 + 78)) * 2


def test_a_false_claim_that_fits_by_chance_is_found_out_by_the_next_that_does_not() -> None:
    """An extension of 19 words leaves 80 bytes, which could be 10 ms: only what comes later tells."""
    sender = Sender()
    lucky = [sender.packet(payload=by_chance(19)) for _ in range(3)]
    rest = sender.packets(20)
    result = play(every(claiming(lucky + rest, 0x10)))
    assert result.report.sources[0].false_header_claims
    assert result.audio()[-20 * 160 :].tolist() == pcmu(rest).tolist()


def test_a_false_claim_that_leaves_no_whole_10_ms_is_not_believed_though_it_fits() -> None:
    packets = [Sender().packet(payload=by_chance(10))]
    heard_as(play(every(claiming(packets, 0x10))), packets, false=True)


def test_after_enough_proofs_a_payload_of_odd_length_does_not_overturn_a_claim() -> None:
    sender = Sender()
    packets = sender.packets(CLAIM_PROOFS + 3, csrc=(1, 2, 3, 4, 5))
    odd = sender.packet(payload=bytes(60), samples=60, csrc=(1, 2, 3, 4, 5))
    source = play(every([*packets, odd])).report.sources[0]
    assert not source.false_header_claims
    assert source.payload_bytes == (CLAIM_PROOFS + 3) * 160 + 60


def test_even_then_a_claim_beyond_the_packet_does() -> None:
    sender = Sender()
    packets = sender.packets(CLAIM_PROOFS + 3, csrc=(1, 2))
    beyond = claiming([sender.packet(samples=40)], 15)
    assert play(every(packets + beyond)).report.sources[0].false_header_claims


def test_sources_are_judged_one_by_one() -> None:
    honest, cut = Sender(), Sender(direction=1, seed=2)
    with_csrcs, bare = honest.packets(20, csrc=(1, 2)), cut.packets(20)
    outcome = play(sorted([*every(with_csrcs), *every(claiming(bare, 2), start_ms=5)]))
    assert outcome.audio(0).tolist() == pcmu(Sender().packets(20)).tolist()
    assert outcome.audio(1).tolist() == pcmu(bare).tolist()


def test_a_payload_that_grows_beyond_its_cell_when_the_claim_falls_is_kept_whole() -> None:
    sender = Sender()
    small, large = sender.packets(3), sender.packet(samples=480, payload=by_chance(60) + bytes(320))
    packets = [*claiming(small, 15), *claiming([large], 0x10)]
    assert play(every(packets)).audio().tolist() == pcmu([*small, large]).tolist()


def test_a_long_header_at_the_very_end_of_the_buffer_is_read_within_it() -> None:
    """The batch has slack behind every offset, not behind every payload."""
    engine, outputs = Engine(SMALL), []
    long, plain = Sender(direction=1), Sender()
    sent = []
    for n in range(12):
        datagrams = [plain.packet(), long.packet(samples=10, extension=(0xBEDE, bytes(300)))]
        sent.append(datagrams[0])
        length = np.array([len(datagram) for datagram in datagrams])
        offset = length.cumsum() - length
        flat = np.frombuffer(b"".join(datagrams), np.uint8)
        assert len(flat) >= offset[-1] + SLACK_BYTES
        arrival_ns = np.full(2, START_NS + n * 20 * MS)
        outputs += engine.feed(DatagramBatch(flat, offset, length, arrival_ns, np.zeros(2, np.int64), HERE))
    outputs += engine.close()
    outcome = result(outputs, engine)
    assert outcome.audio(0).tolist() == pcmu(sent).tolist()
    assert len(outcome.audio(1)) == 120
