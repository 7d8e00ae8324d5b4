import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.errors import ConfigError
from strep.net.address import UdpAddress


def test_an_ipv4_address_is_read():
    assert UdpAddress.parse("udp:192.0.2.1:9000") == UdpAddress("192.0.2.1", 9000)


def test_an_ipv6_address_is_read_from_its_brackets():
    assert UdpAddress.parse("udp:[2001:db8::1]:9000") == UdpAddress("2001:db8::1", 9000)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_what_is_written_is_read_back(ip, port):
    address = UdpAddress(str(ip), port)
    assert UdpAddress.parse(str(address)) == address


@given(st.ip_addresses(v=6), st.integers(0, 65535))
def test_every_spelling_of_an_ipv6_address_is_the_same_address(ip, port):
    assert UdpAddress(ip.exploded, port) == UdpAddress(ip.compressed, port)


@given(st.text() | st.from_regex(r"udp:[\[\]0-9a-f.:%]*:[0-9٣]*", fullmatch=True))
def test_any_text_is_an_address_or_a_config_error(text):
    try:
        address = UdpAddress.parse(text)
    except ConfigError:
        return
    assert text.startswith("udp:") and ipaddress.ip_address(address.host) and 0 <= address.port <= 65535


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.1:9000",
        "tcp:192.0.2.1:9000",
        "UDP:192.0.2.1:9000",
        "udp:192.0.2.1",
        "udp:192.0.2.1:",
        "udp:192.0.2.1:rtp",
        "udp:192.0.2.1:-1",
        "udp:192.0.2.1:65536",
        "udp:192.0.2.1:9000/",
        "udp:192.0.2.1:٣",
        " udp:192.0.2.1:9000",
        "udp:localhost:9000",
        "udp:192.0.2.256:9000",
        "udp:192.0.2:9000",
        "udp:::1:9000",
        "udp:[::1:9000",
        "udp:[192.0.2.1]:9000",
        "udp:[]:9000",
    ],
)
def test_what_is_no_udp_address_is_refused_with_what_was_expected_and_found(text):
    with pytest.raises(ConfigError) as refusal:
        UdpAddress.parse(text)
    assert "udp:IP:PORT" in str(refusal.value) and repr(text) in str(refusal.value)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused_when_built_by_hand(port):
    with pytest.raises(ConfigError, match=f"0 to 65535.*{port}"):
        UdpAddress("192.0.2.1", port)


@pytest.mark.parametrize("text", ["udp:0.0.0.0:9000", "udp:[::]:9000", "udp:127.0.0.1:0", "udp:224.0.0.1:9000"])
def test_any_address_and_any_port_can_be_listened_on_but_not_sent_to(text):
    assert not UdpAddress.parse(text).is_destination


@pytest.mark.parametrize("text", ["udp:8.8.8.8:9000", "udp:[::1]:1", "udp:10.0.0.1:65535"])
def test_a_definite_port_of_one_host_is_a_destination(text):
    assert UdpAddress.parse(text).is_destination


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "192.0.2.1",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "fd00::1",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "::",
    ],
)
def test_what_the_public_internet_cannot_reach_is_private(host):
    assert UdpAddress(host, 9000).is_private


@pytest.mark.parametrize("host", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_not_private(host):
    assert not UdpAddress(host, 9000).is_private


def test_loopback_is_known_in_all_its_spellings():
    assert all(UdpAddress(host, 1).is_loopback for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"))
    assert not UdpAddress("10.0.0.1", 1).is_loopback
