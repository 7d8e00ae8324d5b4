"""Drive the emulator's API with the client, in one process; time stands still and nothing is sent."""

import httpx
import pytest

from strep.control import (
    AsyncClient,
    CallEnded,
    CommandRefused,
    InvalidParameter,
    NotAnswered,
    NotAuthorised,
    NotForked,
    NotFound,
    StreamingInUse,
    StreamType,
)
from strep.emulator import DEFAULT_API_KEY, Platform, create_app
from strep.stream.events import Direction, Leg
from strep.wire.rtp import RtpPacket
from strep.wire.strep import StrepHeader

RX, TX, TARGET = "udp:127.0.0.1:9000", "udp:127.0.0.1:9001", "udp:[::1]:9002"
BASE_URL = "http://localhost/v2"


@pytest.fixture
def transport(platform):
    return httpx.ASGITransport(create_app(platform))


@pytest.fixture
async def client(transport):
    async with AsyncClient(DEFAULT_API_KEY, base_url=BASE_URL, transport=transport) as client:
        yield client


@pytest.fixture
async def post(transport):
    """Post to the API by hand, as a client that makes mistakes would."""
    async with httpx.AsyncClient(base_url=BASE_URL, transport=transport) as http:

        async def post(path, key=DEFAULT_API_KEY, **body):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return await http.post(path, headers=headers, **body)

        yield post


async def test_target_gets_both_directions_behind_a_strep_header(platform, sender, client):
    call = platform.add_call()
    fork = await client.fork_start(call.call_control_id, target=TARGET)
    assert (fork.result, fork.stream_type) == ("ok", StreamType.RAW)
    datagrams = list(sender.forks[0].media())[:4]
    assert {str(datagram.destination) for datagram in datagrams} == {TARGET}
    headers = [StrepHeader.parse(datagram.data) for datagram in datagrams]
    assert headers == [StrepHeader(call.call_leg_id, 0, direction) for direction in (0, 1, 0, 1)]
    for direction, datagram in zip(Direction, datagrams, strict=False):
        assert RtpPacket.parse(datagram.data[24:]).ssrc == call.sent[Leg.A, direction].stream.ssrc


async def test_target_gets_both_legs_of_a_bridged_call(platform, sender, client):
    call = platform.add_call(bridged=True)
    await client.fork_start(call.call_control_id, target=TARGET)
    headers = [StrepHeader.parse(datagram.data) for datagram in list(sender.forks[0].media())[:4]]
    assert [(header.leg, header.direction) for header in headers] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {header.call_leg_id for header in headers} == {call.call_leg_id}


@pytest.mark.parametrize("bridged", [False, True])
async def test_rx_and_tx_get_plain_rtp_of_one_direction_each(platform, sender, client, bridged):
    call = platform.add_call("PCMA", bridged=bridged)
    fork = await client.fork_start(call.call_control_id, rx=RX, tx=TX)
    assert fork.stream_type is StreamType.DECRYPTED
    received, transmitted, *_ = datagrams = list(sender.forks[0].media())
    assert len(datagrams) == 2 * call.length_packets and set(call.sent) == {(Leg.A, way) for way in Direction}
    for datagram, destination, direction in ((received, RX, 0), (transmitted, TX, 1)):
        packet, stream = RtpPacket.parse(datagram.data), call.sent[Leg.A, Direction(direction)].stream
        assert str(datagram.destination) == destination
        assert (packet.ssrc, packet.payload_type, packet.payload) == (stream.ssrc, 8, stream.payloads[0])


async def test_a_fork_is_stopped_by_its_stream_type(platform, sender, client):
    call = platform.add_call()
    fork = await client.fork_start(call.call_control_id, rx=RX, tx=TX)
    with pytest.raises(NotForked):
        await client.fork_stop(call.call_control_id, stream_type="raw")
    assert sender.forks[0].is_active
    await client.fork_stop(call.call_control_id, stream_type=fork.stream_type)
    assert not sender.forks[0].is_active
    with pytest.raises(NotForked):
        await client.fork_stop(call.call_control_id, stream_type=fork.stream_type)


async def test_a_fork_that_ended_by_itself_cannot_be_stopped(platform, sender, client):
    call = platform.add_call()
    await client.fork_start(call.call_control_id, target=TARGET)
    sender.forks[0].end()
    with pytest.raises(NotForked):
        await client.fork_stop(call.call_control_id, stream_type="raw")


async def test_a_second_fork_at_the_same_time_is_refused(platform, client):
    call = platform.add_call()
    await client.fork_start(call.call_control_id, target=TARGET)
    with pytest.raises(CommandRefused, match="already being forked"):
        await client.fork_start(call.call_control_id, target=TARGET)


async def test_a_command_sent_again_within_a_minute_is_carried_out_once(platform, clock, sender, client):
    call = platform.add_call(repeats=10)
    for _ in range(2):
        await client.fork_start(call.call_control_id, target=TARGET, command_id="start")
    assert len(sender.forks) == 1
    await client.fork_stop(call.call_control_id, stream_type="raw", command_id="stop")
    clock.advance(59)
    await client.fork_stop(call.call_control_id, stream_type="raw", command_id="stop")
    clock.advance(2)
    with pytest.raises(NotForked):
        await client.fork_stop(call.call_control_id, stream_type="raw", command_id="stop")


async def test_a_command_id_is_one_calls_own(platform, sender, client):
    for call in (platform.add_call(), platform.add_call()):
        await client.fork_start(call.call_control_id, target=TARGET, command_id="start")
    assert len(sender.forks) == 2


async def test_a_command_that_was_refused_can_be_sent_again(platform, sender, client):
    call = platform.add_call(answered=False)
    with pytest.raises(NotAnswered):
        await client.fork_start(call.call_control_id, target=TARGET, command_id="start")
    call.answer()
    await client.fork_start(call.call_control_id, target=TARGET, command_id="start")
    assert len(sender.forks) == 1


@pytest.mark.parametrize(
    ("prepare", "kind", "status", "code"),
    [
        (lambda platform: platform.add_call(answered=False), NotAnswered, 422, "90034"),
        (lambda platform: hung_up(platform.add_call()), CallEnded, 422, "90018"),
        (lambda platform: streaming(platform.add_call()), StreamingInUse, 422, "90045"),
    ],
)
async def test_a_call_in_the_wrong_state_refuses_a_fork(platform, client, prepare, kind, status, code):
    call = prepare(platform)
    with pytest.raises(kind) as refused:
        await client.fork_start(call.call_control_id, target=TARGET)
    assert (refused.value.http_status, refused.value.code) == (status, code)


def hung_up(call):
    call.hang_up()
    return call


def streaming(call):
    call.is_streaming = True
    return call


async def test_a_call_that_never_was_is_no_valid_id(client):
    with pytest.raises(InvalidParameter) as refused:
        await client.fork_start("v3:nobody", target=TARGET)
    assert (refused.value.code, refused.value.pointer) == ("90015", "/call_control_id")


@pytest.mark.parametrize("key", ["", "KEY-OTHER", f"{DEFAULT_API_KEY}x"])
async def test_without_the_right_key_nothing_is_done(platform, sender, post, key):
    call = platform.add_call()
    answer = await post(f"/calls/{call.call_control_id}/actions/fork_start", key=key, json={"target": TARGET})
    assert answer.status_code == 401
    (error,) = answer.json()["errors"]
    assert (error["code"], error["title"]) == ("10009", "Authentication failed")
    assert not sender.forks


async def test_the_client_with_another_key_is_not_authorised(platform, transport):
    async with AsyncClient("KEY-OTHER", base_url=BASE_URL, transport=transport) as client:
        with pytest.raises(NotAuthorised):
            await client.fork_stop(platform.add_call().call_control_id, stream_type="raw")


async def test_a_wrong_base_url_is_not_found(platform, transport):
    async with AsyncClient(DEFAULT_API_KEY, base_url="http://localhost/v3", transport=transport) as client:
        with pytest.raises(NotFound) as refused:
            await client.fork_stop(platform.add_call().call_control_id, stream_type="raw")
    assert refused.value.code == "10005"


async def test_an_unknown_action_is_not_found(platform, post):
    answer = await post(f"/calls/{platform.add_call().call_control_id}/actions/levitate", json={})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "10005")


@pytest.mark.parametrize("content", [b"{", b"[]", b'"x"', b"[" * 100_000, b" " * (1 << 20) + b"{}"])
async def test_a_body_that_is_no_json_object_is_a_bad_request(platform, post, content):
    answer = await post(f"/calls/{platform.add_call().call_control_id}/actions/fork_start", content=content)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "10015")


async def test_a_body_that_is_no_text_is_a_bad_request_that_says_where(platform, post):
    answer = await post(f"/calls/{platform.add_call().call_control_id}/actions/fork_start", content=b'{"a": "\xff"}')
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "10028")
    assert answer.json()["errors"][0]["detail"].endswith("position 7")


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "10004", "/target"),
        ({"target": ""}, "10004", "/target"),
        ({"rx": RX}, "10004", "/tx"),
        ({"tx": TX}, "10004", "/rx"),
        ({"target": TARGET, "rx": RX}, "10015", "/target"),
        ({"target": TARGET, "stream_type": "decrypted"}, "10004", "/rx"),
        ({"target": TARGET, "stream_type": "cooked"}, "10032", "/stream_type"),
        ({"target": "127.0.0.1:9000"}, "10015", "/target"),
        ({"target": "udp:0.0.0.0:9000"}, "10015", "/target"),
        ({"rx": RX, "tx": "udp:127.0.0.1:0"}, "10015", "/tx"),
        ({"target": 9000}, "10015", "/target"),
        ({"target": TARGET, "client_state": "not base64!"}, "10015", "/client_state"),
        ({"target": TARGET, "command_id": 7}, "10015", "/command_id"),
    ],
)
async def test_a_wrong_parameter_is_named(platform, sender, post, body, code, pointer):
    answer = await post(f"/calls/{platform.add_call().call_control_id}/actions/fork_start", json=body)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["source"]["pointer"]) == (422, code, pointer)
    assert not sender.forks


async def test_the_platforms_own_defaults_are_those_described(platform, sender, post):
    target, pair, ended = (platform.add_call().call_control_id for _ in range(3))
    await post(f"/calls/{target}/actions/fork_start", json={"target": TARGET})
    await post(f"/calls/{pair}/actions/fork_start", json={"rx": RX, "tx": TX})
    assert [fork.stream_type for fork in sender.forks] == ["raw", "decrypted"]
    assert (await post(f"/calls/{target}/actions/fork_stop")).json() == {"data": {"result": "ok"}}
    assert (await post(f"/calls/{pair}/actions/fork_stop", json={})).json()["errors"][0]["code"] == "90031"
    assert (await post(f"/calls/{ended}/actions/fork_stop")).status_code == 422


def test_equal_seeds_make_equal_platforms():
    one, two, other = (Platform(seed=seed).add_call() for seed in (1, 1, 2))
    assert (one.call_control_id, one.call_leg_id, one.streams) == (two.call_control_id, two.call_leg_id, two.streams)
    assert one.call_leg_id != other.call_leg_id
