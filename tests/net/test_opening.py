"""Which way a receiver receives: the one that was asked for, or the best that may be."""

from collections.abc import Callable

import pytest

from strep.errors import ConfigError, ReceiveError
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable
from strep.net.networks import Networks
from strep.net.opening import Opening, Receive, ring_hint, way_of
from strep.net.source import BoundSocket
from strep.net.steering import bind_group
from strep.net.wallclock import WallClock
from tests.ring import needs_ring

pytestmark = needs_ring

Choice = Callable[[UdpAddress | BoundSocket, Networks | None], Receive]


@pytest.fixture
def choice() -> Choice:
    def choose(target: UdpAddress | BoundSocket, allow: Networks | None) -> Receive:
        source = Opening(Receive.AUTO, allow, 100_000).open(target, EndpointTable(allow=allow), WallClock())
        source.close()
        return way_of(source)

    return choose


def test_a_ring_is_taken_for_the_loopback_and_where_it_is_told_whom_to_hear(choice: Choice) -> None:
    everybody, some = None, Networks.parse(["192.0.2.0/24"])
    assert choice(UdpAddress("127.0.0.1", 0), everybody) is Receive.RING
    assert choice(UdpAddress("0.0.0.0", 0), everybody) is Receive.RECVMMSG
    assert choice(UdpAddress("0.0.0.0", 0), some) is Receive.RING
    assert choice(UdpAddress("::", 0), some) is Receive.RECVMMSG


def test_nobody_has_a_ring_who_did_not_ask_for_one() -> None:
    source = Opening().open(UdpAddress("127.0.0.1", 0), EndpointTable(), WallClock())
    source.close()
    assert way_of(source) is Receive.RECVMMSG


def test_sockets_that_share_a_port_have_no_ring(choice: Choice) -> None:
    for bound in bind_group(UdpAddress("127.0.0.1", 0), 2):
        assert choice(bound, None) is Receive.RECVMMSG


def test_where_the_system_refuses_a_ring_recvmmsg_serves(choice: Choice, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_rings(monkeypatch)
    assert choice(UdpAddress("127.0.0.1", 0), None) is Receive.RECVMMSG


def test_a_ring_that_was_asked_for_and_cannot_be_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="one IP version"):
        Opening(Receive.RING).open(UdpAddress("::", 0), EndpointTable(), WallClock())
    refuse_rings(monkeypatch)
    with pytest.raises(ReceiveError, match="cannot open a packet ring: expected CAP_NET_RAW, found no such right"):
        Opening(Receive.RING).open(UdpAddress("127.0.0.1", 0), EndpointTable(), WallClock())


def refuse_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("strep.net.ring.PacketRing", refuse)


def test_who_could_have_a_ring_is_told_how_and_nobody_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    anywhere, here = UdpAddress("0.0.0.0", 9000), UdpAddress("127.0.0.1", 9000)
    assert "--allow CIDR" in (ring_hint(anywhere, Receive.RECVMMSG, Receive.AUTO) or "")
    assert ring_hint(anywhere, Receive.RECVMMSG, Receive.RECVMMSG) is None, "it was asked for"
    assert ring_hint(anywhere, Receive.RING, Receive.AUTO) is None
    assert ring_hint(here, Receive.RECVMMSG, Receive.AUTO) is None, "the system refused it"
    monkeypatch.setattr("strep.net.opening.may_open", lambda: False)
    assert ring_hint(anywhere, Receive.RECVMMSG, Receive.AUTO) is None


def test_a_way_that_nobody_knows_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="expected one of socket, auto, ring, recvmmsg, portable to receive by, found 'fast'"
    ):
        Receive.parse("fast")
