import base64
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.control import CommandRefused, ForkStart, ForkStarted, ForkStop, StreamType, UnexpectedAnswer
from strep.errors import ConfigError
from strep.net.address import UdpAddress

ID = "v3:MdI91X4lWFEs7IgbBEOT9M4AigoY08M0WWZFISt1Yw2axZ_IiE4pqg"
RX, TX = "udp:192.0.2.1:9000", "udp:192.0.2.1:9001"


def body_of(command):
    return json.loads(command.request("https://api.example/v2").content)


def test_a_command_knows_where_it_goes():
    request = ForkStart(ID, target=RX).request("https://api.example/v2")
    assert (request.method, request.url) == ("POST", f"https://api.example/v2/calls/{ID}/actions/fork_start")
    assert ForkStop(ID, stream_type="raw").request("x").url == f"x/calls/{ID}/actions/fork_stop"


def test_a_call_control_id_cannot_lead_to_another_path():
    assert ForkStart("a/../b?c#d", target=RX).request("").url == "/calls/a%2F..%2Fb%3Fc%23d/actions/fork_start"


def test_what_is_not_given_is_not_sent():
    body = body_of(ForkStart(ID, target=RX, command_id="one"))
    assert body == {"target": RX, "stream_type": "raw", "command_id": "one"}


def test_rx_and_tx_are_sent_as_given():
    body = body_of(ForkStart(ID, rx=RX, tx=UdpAddress("192.0.2.1", 9001), command_id="one"))
    assert body == {"rx": RX, "tx": TX, "stream_type": "decrypted", "command_id": "one"}


def test_an_ipv6_destination_keeps_its_brackets():
    assert body_of(ForkStart(ID, target="udp:[2001:DB8::1]:9000"))["target"] == "udp:[2001:db8::1]:9000"


def test_the_stream_type_is_always_sent_and_fits_the_kind_of_fork():
    assert ForkStart(ID, target=RX).stream_type is StreamType.RAW
    assert ForkStart(ID, rx=RX, tx=TX).stream_type is StreamType.DECRYPTED
    assert ForkStart(ID, rx=RX, tx=TX, stream_type="raw").stream_type is StreamType.RAW
    assert body_of(ForkStop(ID, stream_type=StreamType.DECRYPTED))["stream_type"] == "decrypted"


def test_each_command_has_an_id_of_its_own_that_stays_when_it_is_sent_again():
    first, second = ForkStart(ID, target=RX), ForkStart(ID, target=RX)
    assert uuid.UUID(first.command_id).version == 4
    assert first.command_id != second.command_id
    assert body_of(first) == body_of(first)


def test_a_given_command_id_is_kept():
    assert body_of(ForkStop(ID, stream_type="raw", command_id="mine"))["command_id"] == "mine"


@given(st.binary())
def test_client_state_in_bytes_is_encoded(state):
    sent = body_of(ForkStop(ID, stream_type="raw", client_state=state))["client_state"]
    assert base64.b64decode(sent, validate=True) == state


def test_client_state_in_base64_is_sent_as_it_is():
    assert body_of(ForkStart(ID, target=RX, client_state="aGF2ZQ=="))["client_state"] == "aGF2ZQ=="


@pytest.mark.parametrize("state", ["not base64!", "aGF2ZQ=", "ä"])
def test_client_state_that_is_no_base64_is_refused(state):
    with pytest.raises(ConfigError, match=r"client_state.*Base64"):
        ForkStart(ID, target=RX, client_state=state)


@pytest.mark.parametrize(
    ("destinations", "message"),
    [
        ({}, "either target, or rx and tx, found none"),
        ({"target": RX, "rx": RX}, "found target and rx"),
        ({"target": RX, "rx": RX, "tx": TX}, "found target and rx and tx"),
        ({"rx": RX}, "^tx: expected"),
        ({"tx": TX}, "^rx: expected"),
        ({"target": "192.0.2.1:9000"}, "^target: expected 'udp:IP:PORT'.*found '192.0.2.1:9000'"),
        ({"rx": RX, "tx": "udp:192.0.2.1:99999"}, "^tx: .*99999"),
        ({"target": "udp:0.0.0.0:9000"}, r"^target: expected the address of one host.*udp:0.0.0.0:9000"),
        ({"target": "udp:[::]:9000"}, r"^target: expected the address of one host"),
        ({"target": "udp:192.0.2.1:0"}, r"^target: .*a port from 1"),
        ({"target": RX, "stream_type": "decrypted"}, "^stream_type: 'decrypted' needs rx and tx"),
        ({"target": RX, "stream_type": "cooked"}, "^stream_type: expected 'raw' or 'decrypted', found 'cooked'"),
    ],
)
def test_a_fork_that_cannot_work_is_refused_before_it_is_sent(destinations, message):
    with pytest.raises(ConfigError, match=message):
        ForkStart(ID, **destinations)


def test_a_call_without_an_id_is_refused():
    with pytest.raises(ConfigError, match="call_control_id"):
        ForkStop("", stream_type="raw")


def test_a_fork_tells_its_destinations():
    assert ForkStart(ID, rx=RX, tx=TX).destinations == (UdpAddress.parse(RX), UdpAddress.parse(TX))
    assert ForkStop(ID, stream_type="raw").destinations == ()


def test_yes_to_a_fork_brings_the_stream_type_to_stop_it_with():
    answer = ForkStart(ID, rx=RX, tx=TX).read_response(200, {}, b'{"data": {"result": "ok"}}')
    assert answer == ForkStarted(result="ok", stream_type=StreamType.DECRYPTED)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"data": 1}', b"[" * 100_000, b"\xff\xfe"])
def test_a_yes_in_another_form_is_not_taken_for_the_platforms(status, body):
    with pytest.raises(UnexpectedAnswer, match="'data'"):
        ForkStop(ID, stream_type="raw").read_response(status, {}, body)


def test_a_redirect_is_not_followed_but_told():
    with pytest.raises(UnexpectedAnswer, match="found 301: is the base URL right"):
        ForkStop(ID, stream_type="raw").read_response(301, {"location": "https://elsewhere"}, b"")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["errors", "data", "code", "source"]), inner),
    max_leaves=10,
)


@given(st.integers(100, 999), st.binary() | JSON.map(lambda document: json.dumps(document).encode()))
def test_any_answer_is_a_result_or_one_of_our_errors(status, body):
    try:
        assert isinstance(ForkStart(ID, target=RX).read_response(status, {}, body), ForkStarted)
    except (CommandRefused, UnexpectedAnswer) as error:
        assert str(error).isprintable()
