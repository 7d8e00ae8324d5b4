import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.net.capture.dissect import IPV4, IPV6, flow_key
from strep.net.capture.flows import FlowTable, endpoints_of


def v4(source: str, destination: str) -> bytes:
    (host, port), (to_host, to_port) = (text.split(":") for text in (source, destination))
    ports = int(port).to_bytes(2) + int(to_port).to_bytes(2)
    return flow_key(IPV4, bytes(map(int, host.split("."))), bytes(map(int, to_host.split("."))), ports)


def columns(keys: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 5)


def test_a_flow_and_its_exact_reverse_are_one_conversation_whose_first_heard_has_direction_0() -> None:
    there, back = v4("10.0.2.15:28102", "10.0.2.20:6000"), v4("10.0.2.20:6000", "10.0.2.15:28102")
    first, second = endpoints_of([there, back])
    assert (first.source, first.destination, first.direction) == ("10.0.2.15:28102", "10.0.2.20:6000", 0)
    assert (second.source, second.destination, second.direction) == ("10.0.2.20:6000", "10.0.2.15:28102", 1)
    assert first.conversation == second.conversation == "10.0.2.15_28102-10.0.2.20_6000"


def test_a_flow_that_differs_in_one_port_is_another_conversation() -> None:
    flows = [v4("10.0.0.1:1", "10.0.0.2:2"), v4("10.0.0.2:2", "10.0.0.1:3"), v4("10.0.0.2:1", "10.0.0.1:2")]
    endpoints = endpoints_of(flows)
    assert len({endpoint.conversation for endpoint in endpoints}) == 3
    assert [endpoint.direction for endpoint in endpoints] == [0, 0, 0]


def test_a_flow_to_itself_is_direction_0() -> None:
    (endpoint,) = endpoints_of([v4("10.0.0.1:1", "10.0.0.1:1")])
    assert endpoint.direction == 0


def test_ipv6_has_brackets_in_addresses_and_a_conversation_safe_as_a_file_name() -> None:
    key = flow_key(IPV6, bytes(15) + b"\1", bytes.fromhex("20010db8") + bytes(11) + b"\2", b"\0\x09\x17\x70")
    (endpoint,) = endpoints_of([key])
    assert (endpoint.source, endpoint.destination) == ("[::1]:9", "[2001:db8::2]:6000")
    assert endpoint.conversation == "0.0.0.0.0.0.0.1_9-2001.db8.0.0.0.0.0.2_6000"


def test_ipv6_that_looks_like_ipv4_bytes_is_another_flow() -> None:
    ipv4, ports = v4("10.0.0.1:1", "10.0.0.2:2"), b"\0\1\0\2"
    ipv6 = flow_key(IPV6, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), ports)
    assert FlowTable().number(columns([ipv4, ipv6])).tolist() == [0, 1]


def test_flows_beyond_the_limit_are_refused_and_known_ones_are_not() -> None:
    table = FlowTable(most=2)
    a, b, c = (v4(f"10.0.0.{n}:1", "10.0.0.9:9") for n in range(3))
    assert table.number(columns([a, b, c, a])).tolist() == [0, 1, -1, 0]
    assert table.number(columns([c, b, a])).tolist() == [-1, 1, 0]
    assert len(table) == 2


class DictTable:
    """Is FlowTable, one key at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.numbers: dict[bytes, int] = {}

    def number(self, key: bytes) -> int:
        if key not in self.numbers and len(self.numbers) < self.most:
            self.numbers[key] = len(self.numbers)
        return self.numbers.get(key, -1)


@given(st.lists(st.lists(st.integers(0, 12), max_size=20), max_size=5), st.integers(1, 13), st.booleans())
def test_columns_number_flows_as_a_dictionary_does(runs: list[list[int]], most: int, colliding: bool) -> None:
    table, scalar = FlowTable(most), DictTable(most)
    with pytest.MonkeyPatch.context() as patch:
        if colliding:  # so that all keys look alike before they are compared in full
            patch.setattr("strep.net.capture.flows._SPREAD", np.uint64(0))
        for run in runs:
            keys = [v4(f"10.0.0.{n}:{n}", "10.0.0.99:9") for n in run]
            assert table.number(columns(keys)).tolist() == [scalar.number(key) for key in keys]
    assert table.keys() == list(scalar.numbers)
