"""What only an emulator has: somebody calls, presses keys, holds; faults and impairments are switched while it runs."""

import httpx
import pytest

from strep.emulator import DEFAULT_API_KEY, CallState, Faults, create_app


@pytest.fixture
async def http(platform):
    async with httpx.AsyncClient(
        base_url="http://localhost/emulator",
        transport=httpx.ASGITransport(create_app(platform)),
        headers={"Authorization": f"Bearer {DEFAULT_API_KEY}"},
    ) as http:
        yield http


def error(answer):
    (one,) = answer.json()["errors"]
    return answer.status_code, one["code"], one.get("source", {}).get("pointer")


async def test_somebody_calls(platform, http):
    answer = await http.post("/calls", json={"from": "+13125550100", "codec": "OPUS", "payload_type": 111, "to": None})
    (call,) = platform.calls.values()
    data = answer.json()["data"]
    assert answer.status_code == 201 and data["call_control_id"] == call.call_control_id
    assert (data["state"], data["direction"], data["codecs"], data["from"]) == (
        "ringing",
        "incoming",
        ["OPUS"],
        "+13125550100",
    )
    assert call.streams[0].codec.payload_type == 111


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"form": "+1"}, "10015", "/form"),
        ({"codec": "G729"}, "10015", "/codec"),
        ({"codec": 7}, "10015", "/codec"),
        ({"repeats": 0}, "10033", "/repeats"),
        ({"repeats": 1001}, "10015", "/repeats"),
        ({"payload_type": 128}, "10033", "/payload_type"),
        ({"to": "5550100"}, "10016", "/to"),
        ({"custom_headers": [{"name": "X"}]}, "10004", "/custom_headers/0/value"),
    ],
)
async def test_a_call_that_cannot_be_is_refused_by_name(platform, http, body, code, pointer):
    assert error(await http.post("/calls", json=body)) == (422, code, pointer)
    assert not platform.calls


async def test_the_other_party_answers_presses_keys_holds_and_hangs_up(platform, http, clock, types):
    call = platform.incoming_call()

    async def act(name, **body):
        answer = await http.post(f"/calls/{call.call_control_id}/{name}", json=body)
        assert answer.status_code == 200
        return answer.json()["data"]["state"]

    assert await act("answer") == "active"
    await act("dtmf", digits="1", in_band=True)
    clock.advance(1)
    await act("hold")
    await act("unhold")
    await act("hold", kind="comfort_noise")
    assert await act("hangup") == "ended"
    assert types() == [
        "call.initiated",
        "call.answered",
        "call.dtmf.received",
        "call.hold",
        "call.unhold",
        "call.hold",
        "call.hangup",
    ]


@pytest.mark.parametrize(
    ("act", "body", "expected"),
    [
        ("levitate", {}, (404, "10005", None)),
        ("dtmf", {}, (422, "10004", "/digits")),
        ("dtmf", {"digits": "x"}, (422, "10015", "/digits")),
        ("dtmf", {"digits": "1", "in_band": "yes"}, (422, "10015", "/in_band")),
        ("hold", {"kind": "music"}, (422, "10032", "/kind")),
        ("hold", {"kind": "comfort_noise"}, (422, "90033", None)),  # Opus has none
    ],
)
async def test_what_a_party_cannot_do_is_refused(platform, http, act, body, expected):
    call = platform.add_call("OPUS")
    assert error(await http.post(f"/calls/{call.call_control_id}/{act}", json=body)) == expected


@pytest.mark.parametrize("act", ["dtmf", "hold", "unhold"])
async def test_a_call_that_rings_has_no_media_to_change(platform, http, act):
    call = platform.incoming_call()
    assert error(await http.post(f"/calls/{call.call_control_id}/{act}", json={"digits": "1"}))[1] == "90034"


async def test_nobody_acts_in_a_call_that_is_over_or_never_was(platform, http):
    call = platform.incoming_call()
    call.hang_up()
    assert error(await http.post(f"/calls/{call.call_control_id}/hangup"))[1] == "90018"
    assert error(await http.post("/calls/v3:nobody/hangup"))[1] == "90015"


async def test_calls_tell_what_their_forks_sent(platform, sender, http):
    call = platform.add_call()
    platform.command(call.call_control_id, "fork_start", {"target": "udp:127.0.0.1:9000"})
    fork = sender.forks[0]
    for datagram in fork.take(100_000_000):
        fork.count(datagram, was_sent=datagram.stream == 0)
    (data,) = (await http.get("/calls")).json()["data"]
    assert data["fork"]["is_active"] and data["fork"]["stream_type"] == "raw"
    inbound, outbound = data["fork"]["sent"]
    assert (inbound["leg"], inbound["direction"], inbound["packets"], inbound["refused"]) == ("A", "inbound", 6, 0)
    assert (outbound["direction"], outbound["packets"], outbound["refused"]) == ("outbound", 0, 6)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults", {"rate_limited": 0.2, "seed": 3}),
        ("/impairments", {"loss": 0.01, "jitter_ms": 30, "reorder": 0.1, "duplicate": 0.1, "clock_drift_ppm": 50}),
        ("/callee", {"outcome": "busy", "acts_after_s": 2}),
    ],
)
async def test_settings_are_put_and_read_and_what_is_not_given_has_its_default(platform, http, path, body):
    before = (await http.get(path)).json()["data"]
    put = await http.put(path, json=body)
    assert put.status_code == 200 and put.json()["data"] == {**before, **body}
    assert (await http.get(path)).json()["data"] == {**before, **body}
    assert (await http.put(path, json={})).json()["data"] == before


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("/faults", {"rate_limited": 2}, "/rate_limited"),
        ("/faults", {"rate_limited": "often"}, "/rate_limited"),
        ("/faults", {"rate": 0.1}, "/rate"),
        ("/impairments", {"loss": "a lot"}, "/loss"),
        ("/impairments", {"loss": True}, "/loss"),
        ("/callee", {"outcome": "faints"}, "/outcome"),
        ("/callee", {"outcome": []}, "/outcome"),
        ("/callee", {"rings_after_s": -1}, "/rings_after_s"),
        ("/callee", {"is_machine": 1}, "/is_machine"),
        ("/callees/+13125550003", {"outcome": "faints"}, "/outcome"),
    ],
)
async def test_settings_that_cannot_be_are_refused_by_name(platform, http, path, body, pointer):
    assert error(await http.put(path, json=body)) == (422, "10015", pointer)
    assert platform.faults == Faults()


async def test_one_call_can_be_impaired_alone(platform, http):
    one, other = platform.add_call(), platform.add_call()
    answer = await http.put(f"/calls/{one.call_control_id}/impairments", json={"loss": 0.5})
    assert answer.json()["data"]["loss"] == 0.5
    assert (one.impairments.loss, other.impairments.loss) == (0.5, 0)


async def test_one_number_can_have_a_callee_of_its_own(platform, http, clock):
    await http.put("/callees/+13125550003", json={"outcome": "rejects"})
    platform.dial({"connection_id": "1", "from": "+13125550001", "to": "+13125550003"})
    clock.advance(2)
    (data,) = (await http.get("/calls")).json()["data"]
    assert (data["state"], data["hangup_cause"]) == (CallState.ENDED, "call_rejected")


async def test_events_and_webhooks_can_be_looked_at(platform, http):
    platform.incoming_call()
    (event,) = (await http.get("/events")).json()["data"]
    assert event["data"]["event_type"] == "call.initiated"
    webhooks = (await http.get("/webhooks")).json()["data"]
    assert webhooks["public_key"] == platform.public_key
    assert (webhooks["counts"]["asked"], webhooks["counts"]["unaddressed"]) == (1, 1)


@pytest.mark.parametrize("path", ["/calls", "/faults", "/events", "/webhooks", "/callee", "/impairments"])
async def test_it_asks_for_the_key_and_suffers_no_faults(platform, http, path):
    platform.faults = Faults(server_error=1)
    assert (await http.get(path)).status_code == 200
    assert (await http.get(path, headers={"Authorization": "Bearer x"})).status_code == 401
