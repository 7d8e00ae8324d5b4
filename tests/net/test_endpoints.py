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
from strep.net import endpoints as endpoints_module
from strep.net.address import UdpAddress
from strep.net.endpoints import SECRET_BYTES, EndpointTable, Input, displayed_host, plain_conversation
from strep.net.networks import Networks
from strep.wire.batch import REFUSED_SENDER, SENDER_OVER_LIMIT, Endpoint

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
    assert list(table.endpoints) == [Endpoint("203.0.113.5:40000", "192.0.2.1:9000", "plain-203.0.113.5_40000", 0)]


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


def test_senders_too_many_are_refused_and_those_before_them_keep_their_numbers() -> None:
    table = EndpointTable(limit=2)
    an_input = table.add_input(V4)
    full = SENDER_OVER_LIMIT
    assert number(an_input, V4, A, B, C, C, A) == [0, 1, full, full, 0]
    assert number(an_input, V4, D, D, B) == [full, full, 1]
    assert number(an_input, V4, D) == [full]
    assert number(an_input, V4, D) == [full]
    assert [e.source for e in table.endpoints] == ["203.0.113.5:40000", "203.0.113.5:40001"]


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


def test_a_collision_of_keys_does_not_join_senders() -> None:
    table = EndpointTable(secret=bytes(SECRET_BYTES))  # all factors are 1: the same words in another order share a key
    an_input = table.add_input(V6)
    one, other, third = ("2001:db8:0:1::2", 7), ("2001:db8:0:2::1", 7), ("2001:db8:0:3::", 7)
    assert len(np.unique(an_input._mixed(names(V6, [one, other, third])))) == 1
    for _ in range(3):
        assert number(an_input, V6, one, other, third, other, A, one) == [0, 2, 3, 2, 1, 0]
    assert number(an_input, V6, third, third) == [3, 3]
    assert sorted(e.source for e in table.endpoints) == sorted(
        ["[2001:db8:0:1::2]:7", "[2001:db8:0:2::1]:7", "[2001:db8:0:3::]:7", "203.0.113.5:40000"]
    )
    table.forget_all_but([0], now_ns=0)
    assert number(an_input, V6, third, one) == [1, 0], "a sender that shared a key is forgotten like any other"


def test_secrets_are_random_unless_they_are_told() -> None:
    keys = [EndpointTable().add_input(V6)._mixed(names(V6, [A])).tolist() for _ in range(2)]
    assert keys[0] != keys[1]


def test_senders_that_are_not_in_use_are_forgotten_and_their_numbers_serve_again() -> None:
    table = EndpointTable(limit=3)
    an_input = table.add_input(V4)
    assert number(an_input, V4, A, B, C) == [0, 1, 2]
    assert table.endpoints[0].source == "203.0.113.5:40000"
    assert table.forget_all_but({1}, now_ns=0).tolist() == [0, 2]
    assert table.room == 2
    with pytest.raises(IndexError, match="expected the number of a sender"):
        table.endpoints[0]
    assert number(an_input, V4, D, B, A) == [0, 1, 2]
    assert [e.source for e in table.endpoints] == ["203.0.113.7:1", "203.0.113.5:40001", "203.0.113.5:40000"]


def test_the_sender_of_the_batch_before_is_forgotten_as_well() -> None:
    table = EndpointTable(limit=3)
    an_input = table.add_input(V4)
    assert number(an_input, V4, A, A) == [0, 0]
    table.forget_all_but((), now_ns=0)
    assert number(an_input, V4, B, A) == [0, 1]


def test_senders_of_datagrams_that_wait_to_be_given_out_are_kept() -> None:
    table = EndpointTable(limit=3)
    an_input = table.add_input(V4)
    number(an_input, V4, A, B, C)
    an_input.held = np.array([2, REFUSED_SENDER])
    assert table.forget_all_but((), now_ns=0).tolist() == [0, 1]


def test_it_is_time_to_forget_when_a_quarter_was_given_out_and_of_a_full_table_once_a_second() -> None:
    table = EndpointTable(limit=8)
    an_input = table.add_input(V4)
    number(an_input, V4, A)
    assert not table.must_forget(0)
    number(an_input, V4, B)
    assert table.must_forget(0)
    table.forget_all_but({0, 1}, now_ns=0)
    assert not table.must_forget(10**9)
    number(an_input, V4, *[("203.0.113.9", port) for port in range(6)])
    table.forget_all_but(range(8), now_ns=10**9)
    assert not table.must_forget(2 * 10**9 - 1)
    assert table.must_forget(2 * 10**9)


def test_refused_senders_take_no_place() -> None:
    table = EndpointTable(limit=2, allow=Networks.parse(["203.0.113.5/32"]))
    an_input = table.add_input(V4)
    strangers = [("198.51.100.1", port) for port in range(100)]
    assert number(an_input, V4, *strangers, A, C, B) == [*[REFUSED_SENDER] * 100, 0, REFUSED_SENDER, 1]
    assert number(an_input, V4, C, C) == number(an_input, V4, C, C) == [REFUSED_SENDER] * 2
    assert len(table.endpoints) == 2


class Model:
    """Is the table in the plainest form: one datagram at a time, one dictionary."""

    def __init__(self, limit: int) -> None:
        self.limit, self.known, self.free, self.sources = limit, {}, list(range(limit)), {}

    def number(self, port: int, sender: Sender) -> int:
        if (port, sender) not in self.known:
            if not self.free:
                return SENDER_OVER_LIMIT
            number = self.known[port, sender] = self.free.pop(0)
            host, sender_port = sender
            self.sources[number] = f"[{host}]:{sender_port}" if ":" in host else f"{host}:{sender_port}"
        return self.known[port, sender]

    def forget_all_but(self, in_use: set[int]) -> None:
        self.known = {name: number for name, number in self.known.items() if number in in_use}
        self.free = sorted(set(range(self.limit)) - set(self.known.values()))


v4_senders = st.tuples(st.sampled_from(["10.0.0.1", "10.0.0.2", "255.255.255.255"]), st.sampled_from([0, 1, 65535]))
v6_senders = st.tuples(st.sampled_from(["2001:db8::1", "10.0.0.1", "::1", "ffff::ffff"]), st.sampled_from([1, 256]))


def batches(senders: st.SearchStrategy[Sender]) -> st.SearchStrategy[list[tuple[int, list[Sender]]]]:
    several, of_one = st.lists(senders, min_size=1, max_size=8), senders.map(lambda sender: [sender] * 3)
    batch = several | of_one
    return st.lists(st.tuples(st.sampled_from([9000, 9001]), batch), max_size=12)


@pytest.mark.parametrize(("host", "senders"), [("10.9.9.9", v4_senders), ("::", v6_senders)])
def test_batches_and_spelled_names_and_the_plain_model_agree(host: str, senders: st.SearchStrategy[Sender]) -> None:
    @given(batches(senders), st.integers(1, 10), st.sets(st.integers(0, 9)), st.integers(0, 12))
    def agree(traffic: list[tuple[int, list[Sender]]], limit: int, in_use: set[int], forget_after: int) -> None:
        model, table = Model(limit), EndpointTable(limit)
        locals_ = {port: UdpAddress(host, port) for port in (9000, 9001)}
        inputs = {port: table.add_input(local) for port, local in locals_.items()}
        for n, (port, senders) in enumerate(traffic):
            if n == forget_after:
                given_out = in_use & set(model.known.values())
                table.forget_all_but(given_out, now_ns=n)
                model.forget_all_but(given_out)
            expected = [model.number(port, sender) for sender in senders]
            assert number(inputs[port], locals_[port], *senders) == expected
            spelled = inputs[port].spelled([(*sender, 0) for sender in senders])
            assert inputs[port].numbers(spelled).tolist() == expected
        for known in model.known.values():
            assert table.endpoints[known].source == model.sources[known]

    agree()


def test_of_many_senders_each_is_described_though_few_descriptions_are_kept(monkeypatch):
    monkeypatch.setattr(endpoints_module, "_MOST_DESCRIBED", 3)
    table = EndpointTable()
    an_input = table.add_input(UdpAddress("192.0.2.1", 9000))
    numbers = an_input.numbers(an_input.spelled([("203.0.113.5", 40_000 + n, 0) for n in range(10)]))
    for _ in range(2):
        described = [table.endpoints[number].source for number in numbers.tolist()]
        assert described == [f"203.0.113.5:{40_000 + n}" for n in range(10)]
