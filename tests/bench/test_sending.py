"""The sending process fills the queue it is told to, and goes on along one timeline."""

import itertools
import sys
from collections.abc import Iterator

import pytest

from bench import BenchError
from bench.sending import SendingProcess
from strep.net.address import UdpAddress
from strep.net.source import DatagramSource
from strep.net.udp import open_udp
from tests.naive_datagram import parse_datagram

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sendmmsg is Linux's")


@pytest.fixture(scope="module")
def sending() -> Iterator[SendingProcess]:
    with SendingProcess(2) as process:
        yield process


@pytest.fixture
def receivers() -> Iterator[list[DatagramSource]]:
    sources = [open_udp(UdpAddress("127.0.0.1", 0)) for _ in range(2)]
    yield sources
    for source in sources:
        source.close()


def sequence_numbers(source: DatagramSource) -> dict[int, list[int]]:
    """Read all that is queued: sequence numbers by SSRC."""
    batch = source.read()
    assert source.drained
    found: dict[int, list[int]] = {}
    for n in range(len(batch)):
        packet = parse_datagram(batch.datagram(n)).rtp
        assert packet is not None
        found.setdefault(packet.ssrc, []).append(packet.sequence_number)
    return found


def consecutive(numbers: list[int]) -> bool:
    return all((after - before) % 65_536 == 1 for before, after in itertools.pairwise(numbers))


@pytest.mark.parametrize("paced", [False, True])
def test_a_queue_has_all_that_was_sent_and_no_packet_is_left_out(
    sending: SendingProcess, receivers: list[DatagramSource], paced: bool
) -> None:
    for periods in (2, 3):
        sending.begin(receivers[0].local_address, paced=paced)  # the same target again: nothing is missed
        assert sending.send(periods) == 2 * periods
    found = sequence_numbers(receivers[0])
    assert [len(numbers) for numbers in found.values()] == [5, 5]
    assert all(consecutive(numbers) for numbers in found.values())


def test_packets_that_are_not_paced_are_never_late(sending: SendingProcess, receivers: list[DatagramSource]) -> None:
    sending.begin(receivers[0].local_address, paced=False)
    sending.send(1)
    assert not sending.is_late


def test_streams_go_on_in_their_own_time_when_another_target_was_served(
    sending: SendingProcess, receivers: list[DatagramSource]
) -> None:
    first = last = 0
    for target in (0, 1, 0):
        sending.begin(receivers[target].local_address, paced=True)
        sending.send(2)
    for numbers in sequence_numbers(receivers[0]).values():
        first, *_, last = numbers
        assert len(numbers) == 4
        assert 5 <= (last - first) % 65_536 < 500


@pytest.mark.thorough
def test_a_process_that_ended_is_noticed() -> None:
    with SendingProcess(2) as process:
        process.child.terminate()
        with pytest.raises(BenchError, match="found it ended"):
            process.send(1)


@pytest.mark.thorough
def test_a_core_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BenchError, match="expected a core number 4096"):
        SendingProcess(2, cpu=4096)
