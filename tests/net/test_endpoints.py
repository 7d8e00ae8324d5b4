"""Senders get small numbers: one each, as long as there is room."""

import socket
import struct
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from strep.errors import ConfigError
from strep.net import endpoints
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable, Input, displayed_host, plain_conversation
from strep.wire.batch import Endpoint

V4 = UdpAddress("192.0.2.1", 9000)
V6 = UdpAddress("::", 9000)
Sender = tuple[str, int]


def names(local: UdpAddress, senders: Sequence[Sender], flow: int = 0, scope_id: int = 0) -> NDArray[np.uint64]:
    """Spell senders as the kernel does for a socket bound to `local`."""
    rows = []
    for host, port in senders:
        if ":" in local.host:
            host = host if ":" in host else f"::ffff:{host}"
            address = struct.pack("!HI", port, flow) + socket.inet_pton(socket.AF_INET6, host)
            rows.append(struct.pack("=H", socket.AF_INET6) + address + struct.pack("=I", scope_id) + bytes(4))
        else:
            rows.append(struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8))
    words = np.frombuffer(b"".join(rows), np.uint64).reshape(len(rows), -1)
    return words if ":" in local.host else words[:, :1]


def number(an_input: Input, local: UdpAddress, *senders: Sender) -> list[int]:
    return an_input.numbers(names(local, senders)).tolist()


A, B, C, D = (("203.0.113.5", 40_000), ("203.0.113.5", 40_001), ("203.0.113.6", 40_000), ("203.0.113.7", 1))


def test_senders_are_numbered_in_the_order_of_their_first_datagram() -> None:
    table = EndpointTable()
    an_input = table.add_input(V4)
    assert number(an_input, V4, A, A) == [0, 0]
    assert number(an_input, V4, C, A, B, C) == [1, 0, 2, 1]
    assert number(an_input, V4, *[B] * 5) == [2] * 5
    assert [e.source for e in table.endpoints] == ["203.0.113.5:40000", "203.0.113.6:40000", "203.0.113.5:40001"]


def test_batches_of_one_sender_after_batches_of_another_are_told_apart() -> None:
    an_input = EndpointTable().add_input(V4)
    for sender, expected in [(A, 0), (A, 0), (B, 1), (B, 1), (A, 0), (A, 0)]:
        assert number(an_input, V4, sender, sender) == [expected] * 2
    assert number(an_input, V4, *[A] * 9) == [0] * 9


def test_without_being_told_each_sender_is_a_conversation_of_its_own() -> None:
    table = EndpointTable()
    number(table.add_input(V4), V4, A)
    assert table.endpoints == [Endpoint("203.0.113.5:40000", "192.0.2.1:9000", "plain-203.0.113.5_40000", 0)]


def test_all_senders_to_an_rx_or_tx_port_share_its_conversation_and_direction() -> None:
    table = EndpointTable()
    rx = table.add_input(V4, conversation="rx-9000+tx-9001", direction=0)
    tx = table.add_input(UdpAddress("192.0.2.1", 9001), conversation="rx-9000+tx-9001", direction=1)
    assert number(rx, V4, A, B) == [0, 1]
    assert number(tx, V4, A) == [2]
    assert {e.conversation for e in table.endpoints} == {"rx-9000+tx-9001"}
    assert [e.direction for e in table.endpoints] == [0, 0, 1]
    assert table.endpoints[2].destination == "192.0.2.1:9001"


def test_one_sender_to_two_open_ports_is_two_conversations() -> None:
    table = EndpointTable()
    first, second = table.add_input(V4), table.add_input(UdpAddress("192.0.2.1", 9002))
    number(first, V4, A)
    number(second, V4, A)
    assert [e.conversation for e in table.endpoints] == ["plain-203.0.113.5_40000", "plain-203.0.113.5_40000-9002"]


@pytest.mark.parametrize(("conversation", "direction"), [("x", None), (None, 0), ("x", 2)])
def test_half_of_what_plain_rtp_needs_is_refused(conversation: str | None, direction: int | None) -> None:
    with pytest.raises(ConfigError, match="expected a conversation with a direction of 0 or 1"):
        EndpointTable().add_input(V4, conversation=conversation, direction=direction)


def test_senders_too_many_share_one_endpoint_and_their_datagrams_are_counted() -> None:
    table = EndpointTable(limit=2)
    an_input = table.add_input(V4)
    assert number(an_input, V4, A, B, C, C, A) == [0, 1, 2, 2, 0]
    assert an_input.overflowed == 2
    assert number(an_input, V4, D, D, B) == [2, 2, 1]
    assert number(an_input, V4, D) == [2]
    assert an_input.number(*C) == 2
    assert an_input.overflowed == 6
    assert table.endpoints[2] == Endpoint("others", "192.0.2.1:9000", "plain-others", 0)
    assert len(table.endpoints) == 3


def test_senders_too_many_to_an_rx_port_still_belong_to_its_conversation() -> None:
    table = EndpointTable(limit=1)
    rx = table.add_input(V4, conversation="rx", direction=1)
    assert number(rx, V4, A, B) == [0, 1]
    assert table.endpoints[1] == Endpoint("others", "192.0.2.1:9000", "rx", 1)


def test_ipv4_senders_to_an_ipv6_socket_are_shown_as_ipv4() -> None:
    table = EndpointTable()
    assert number(table.add_input(V6), V6, A, ("2001:db8::1", 7)) == [0, 1]
    assert table.endpoints[0] == Endpoint("203.0.113.5:40000", "[::]:9000", "plain-203.0.113.5_40000")
    assert table.endpoints[1] == Endpoint("[2001:db8::1]:7", "[::]:9000", "plain-2001-db8--1_7")


def test_the_flow_of_an_ipv6_sender_does_not_make_it_another() -> None:
    an_input = EndpointTable().add_input(V6)
    sender = [("2001:db8::1", 7)]
    assert an_input.numbers(names(V6, sender, flow=1)).tolist() == [0]
    assert an_input.numbers(names(V6, sender, flow=2)).tolist() == [0]
    assert len(an_input._keys) == 1 + 1, "one name is remembered, and the one that is no sender's"


def test_the_same_link_local_address_on_two_links_is_two_senders() -> None:
    table = EndpointTable()
    an_input = table.add_input(V6)
    sender = [("fe80::1", 7)]
    assert an_input.numbers(names(V6, sender, scope_id=2)).tolist() == [0]
    assert an_input.numbers(names(V6, sender, scope_id=3)).tolist() == [1]
    assert table.endpoints[0].source == "[fe80::1%2]:7"
    assert table.endpoints[0].conversation == "plain-fe80--1_2_7"


def test_addresses_are_shown_as_people_know_them() -> None:
    assert displayed_host("203.0.113.5") == "203.0.113.5"
    assert displayed_host("::ffff:203.0.113.5") == "203.0.113.5"
    assert displayed_host("fe80::1%eth0", 2) == "fe80::1%2"
    assert plain_conversation("fe80::1%2", 5) == "plain-fe80--1_2_5"


def test_a_collision_of_keys_does_not_join_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "_mixed", lambda words: np.full(len(words[0]), 12, np.uint64))
    an_input = EndpointTable().add_input(V6)
    for _ in range(3):
        assert number(an_input, V6, A, B, C, B, A) == [0, 1, 2, 1, 0]
    assert len(an_input._keys) == 1 + 1, "of names that collide one is remembered, however often they come"


class Model:
    """Is the table in the plainest form: one datagram at a time, one dictionary."""

    def __init__(self, limit: int) -> None:
        self.limit, self.known, self.sources, self.overflowed = limit, {}, [], 0

    def number(self, port: int, sender: Sender) -> int:
        key: tuple[int, Sender | None] = (port, sender)
        if key not in self.known and len(self.sources) >= self.limit:
            key = (port, None)
        if key not in self.known:
            self.known[key] = len(self.sources)
            host, sender_port = sender
            shown = f"[{host}]:{sender_port}" if ":" in host else f"{host}:{sender_port}"
            self.sources.append(shown if key[1] else "others")
        self.overflowed += key[1] is None
        return self.known[key]


v4_senders = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "255.255.255.255"]), st.sampled_from([0, 1, 65535]))
v6_senders = st.tuples(st.sampled_from(["2001:db8::1", "10.0.0.1", "::1", "ffff::ffff"]), st.sampled_from([1, 256]))


def batches(senders: st.SearchStrategy[Sender]) -> st.SearchStrategy[list[tuple[int, list[Sender]]]]:
    several, of_one = st.lists(senders, min_size=1, max_size=8), senders.map(lambda sender: [sender] * 3)
    batch = several | of_one
    return st.lists(st.tuples(st.sampled_from([9000, 9001]), batch), max_size=12)


@pytest.mark.parametrize(("host", "senders"), [("10.9.9.9", v4_senders), ("::", v6_senders)])
def test_batches_and_single_datagrams_and_the_plain_model_agree(host: str, senders: st.SearchStrategy[Sender]) -> None:
    @given(batches(senders), st.integers(0, 10))
    def agree(traffic: list[tuple[int, list[Sender]]], limit: int) -> None:
        model, by_batch, one_by_one = Model(limit), EndpointTable(limit), EndpointTable(limit)
        locals_ = {port: UdpAddress(host, port) for port in (9000, 9001)}
        columns = {port: by_batch.add_input(local) for port, local in locals_.items()}
        scalars = {port: one_by_one.add_input(local) for port, local in locals_.items()}
        for port, senders in traffic:
            expected = [model.number(port, sender) for sender in senders]
            assert number(columns[port], locals_[port], *senders) == expected
            assert [scalars[port].number(*sender) for sender in senders] == expected
        assert [e.source for e in by_batch.endpoints] == model.sources
        assert by_batch.endpoints == one_by_one.endpoints
        for inputs in (columns, scalars):
            assert sum(an_input.overflowed for an_input in inputs.values()) == model.overflowed

    agree()
