"""The whole service beside a local platform: real HTTP, real UDP, real time."""

import asyncio
import base64
import json
import random
import socket
import time

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from strep.control.webhooks import sign
from strep.emulator.faults import Faults
from strep.errors import ReceiveError
from strep.service import Phase, Service, reception, state_file
from strep.stream.events import Direction, Leg
from tests.receiving import until
from tests.service.scene import (
    API_KEY,
    SECRET,
    Settings,
    assert_recorded,
    free_port,
    heard,
    of_call,
    read,
    scene,
    sidecars,
    times_forked,
)
from tests.traffic import Sender

#: Half of all webhooks late by up to 0.3 s, half sent twice, a third after the next one of their call.
LATE, DOUBLED, DISORDERED = 0.5, 0.5, 0.3
UNRULY = Faults(webhook_late=LATE, webhook_repeated=DOUBLED, webhook_disordered=DISORDERED, late_s=0.3, seed=5)
FAILING = Faults(
    rate_limited=0.1,
    server_error=0.05,
    answer_lost=0.05,
    rate_limit_reset_s=0,
    webhook_late=LATE,
    webhook_repeated=DOUBLED,
    webhook_disordered=DISORDERED,
    late_s=0.3,
    seed=11,
)


async def run_calls(stage, count, *, seconds, seed=3):
    """Have calls come in, be forked, last for about so long, and be hung up in random order."""
    chance = random.Random(seed)
    calls = [stage.call(from_=f"+4930{n:05}", to="+493055555") for n in range(count)]
    await until(lambda: all(call.is_forked for call in calls))
    await asyncio.sleep(seconds)
    for call in chance.sample(calls, count):
        call.hang_up()
        await asyncio.sleep(chance.random() * 0.02)
    await stage.told("recording.finished", count)
    await until(lambda: all(view.phase is Phase.ENDED for view in stage.service.calls))
    return calls


def packets_of(call):
    """Count what was sent of a call in the direction of which least was."""
    return min(call.sent[Leg.A, direction].packets for direction in Direction)


def assert_all_recorded(stage, calls):
    documents = sidecars(stage.out)
    assert len(documents) == len(calls), "no more, no fewer"
    for call in calls:
        (document,) = of_call(stage.out, call)
        assert_recorded(document, call)
        assert document["call"]["ended_by"] in ("hangup", "fork.stopped")
    assert not (stage.out / "quarantine").exists()
    assert times_forked(stage.platform) == {call.call_control_id: 1 for call in calls}


async def test_calls_are_forked_and_recorded_by_themselves(tmp_path):
    async with scene(tmp_path, Settings(rule='name = "all"')) as stage:
        calls = await run_calls(stage, 4, seconds=0.5)
    assert_all_recorded(stage, calls)
    assert {document["call"]["rule"] for document in sidecars(stage.out)} == {"all"}


async def test_webhooks_that_are_late_doubled_and_disordered_make_no_difference(tmp_path):
    async with scene(tmp_path, Settings(faults=UNRULY)) as stage:
        calls = await run_calls(stage, 8, seconds=1)
        assert stage.service.counts()["webhooks"]["duplicates"] > 0
    assert_all_recorded(stage, calls)


async def test_a_platform_that_fails_now_and_then_forks_each_call_once(tmp_path):
    async with scene(tmp_path, Settings(faults=FAILING)) as stage:
        calls = await run_calls(stage, 8, seconds=1)
        assert sum(stage.platform.fault_counts.values()) > 0
    assert_all_recorded(stage, calls)


@pytest.mark.soak
@pytest.mark.parametrize("faults", [UNRULY, FAILING], ids=["webhooks", "webhooks and answers"])
async def test_50_calls_of_10_s(tmp_path, faults, capsys):
    async with scene(tmp_path, Settings(faults=faults)) as stage:
        calls = await run_calls(stage, 50, seconds=10)
        counts = stage.service.counts()
        struck = {fault.value: number for fault, number in stage.platform.fault_counts.items() if number}
    assert_all_recorded(stage, calls)
    with capsys.disabled():
        packets = sum(stream["packets"] for it in sidecars(stage.out) for stream in it["streams"])
        print(f"\n50 calls, {packets} packets, all right; faults {struck}; webhooks {counts['webhooks']}")  # noqa: T201


async def test_only_what_a_rule_selects_is_forked(tmp_path):
    rule = 'name = "ours"\ndirection = "incoming"\nto = "+4930*"\nheaders = { "X-Record" = "yes" }'
    async with scene(tmp_path, Settings(rule=rule)) as stage:
        header = ({"name": "X-Record", "value": "yes"},)
        ours = stage.call(to="+493055555", custom_headers=header)
        others = [stage.call(to="+493055555"), stage.call(to="+1", custom_headers=header)]
        await stage.told("call.forked")
        await asyncio.sleep(0.2)
        assert [call.is_forked for call in (ours, *others)] == [True, False, False]
        ours.hang_up()
        await stage.told("recording.finished")
    assert [document["call"]["call_control_id"] for document in sidecars(stage.out)] == [ours.call_control_id]


async def test_a_call_is_forked_to_two_ports_of_its_own(tmp_path, monkeypatch):
    first = free_port(socket.SOCK_DGRAM)
    settings = Settings(rule='fork = "rx_tx"', media=f'ports = "{first}-{first + 3}"')
    async with scene(tmp_path, settings) as stage:
        accepted, stop = [], reception._stop

        async def stop_slowly(line):
            accepted.append(stage.service.counts()["datagrams"]["accepted"])
            await stop(line)
            accepted.append(stage.service.counts()["datagrams"]["accepted"])

        monkeypatch.setattr(reception, "_stop", stop_slowly)
        calls = [stage.call(), stage.call(), stage.call()]
        await stage.told("call.forked", 2)
        await stage.told("call.fork_failed")
        await until(lambda: all(packets_of(call) > 40 for call in calls if call.fork))
        for call in calls:
            call.hang_up()
        await stage.told("recording.finished", 2)
        counts = stage.service.counts()
    forked = [call for call in calls if call.fork]
    assert len(forked) == 2, "there are two pairs of ports"
    packets = sum(stream["packets"] for call in forked for it in of_call(stage.out, call) for stream in it["streams"])
    assert counts["datagrams"]["accepted"] == packets > 0, "those of closed ports still count"
    assert accepted == sorted(accepted) and accepted[0] > 0, "and those of ports that are being closed"
    for call in forked:
        (document,) = of_call(stage.out, call)
        about = document["call"]
        assert about["call_leg_id"] == str(call.call_leg_id)
        for direction in Direction:
            assert len(heard(document, direction)) > 6000


async def test_what_goes_wrong_with_reception_is_told_while_it_happens(tmp_path, caplog):
    async with scene(tmp_path, Settings(rule='name = "all"')) as stage:
        address = stage.service.media_address
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(Sender().packet()[:20], (address.host, address.port))
        await stage.told("alarm")
        (alarm,) = [event for event in stage.events if event.kind == "alarm"]
        assert {key: alarm.detail[key] for key in ("reason", "state", "count", "total")} == {
            "reason": "malformed_strep",
            "state": "raised",
            "count": 1,
            "total": 1,
        }
        assert "malformed_strep began: 1 datagram so far" in caplog.messages


async def test_what_nobody_forked_is_quarantined_and_released_when_it_becomes_known(tmp_path):
    settings = Settings(rule='to = "+4930*"\nfork = false\naccept = true', limits="quarantine_legs = 2")
    async with scene(tmp_path, settings) as stage:
        url, stage.platform.webhook_url = stage.platform.webhook_url, ""
        known, unknown, too_many = (stage.call(to="+493055555") for _ in range(3))
        for call in (known, unknown, too_many):
            fork = {"target": str(stage.service.media_address), "stream_type": "raw"}
            stage.platform.command(call.call_control_id, "fork_start", fork)
            await until(lambda call=call: packets_of(call) > 5)
        await stage.told("leg.quarantined", 2)
        await until(lambda: stage.service.receivers[0].counts()["rejected_leg"] > 0)
        in_quarantine = {f"{call.call_leg_id}-A.wav" for call in (known, unknown)}
        await until(lambda: {path.name for path in (stage.out / "quarantine").glob("*.wav")} == in_quarantine)
        stage.platform.webhook_url = url
        known.tell("call.answered", state="answered")
        await stage.told("leg.released")
        known.hang_up()
        await stage.told("recording.finished")
    (document,) = sidecars(stage.out)
    assert_recorded(document, known)
    quarantined = {document["call_leg_id"]: document["call"] for document in sidecars(stage.out / "quarantine")}
    # Whoever was released made room for the next one.
    assert quarantined == {str(unknown.call_leg_id): {}, str(too_many.call_leg_id): {}}
    assert stage.service.receivers[0].counts()["rejected_leg"] > 0


async def test_the_client_state_of_the_latest_webhook_is_kept(tmp_path):
    async with scene(tmp_path) as stage:
        call = stage.call()
        await stage.told("stream.opened", 2)
        state = base64.b64encode(b"42").decode()
        stage.platform.command(call.call_control_id, "hangup", {"client_state": state})
        await stage.told("recording.finished")
    (document,) = sidecars(stage.out)
    assert document["call"]["client_state"] == state


async def test_hooks_get_calls_streams_and_frames(tmp_path):
    views, frames = [], {}

    async def on_call(view):
        views.append((view.facts.call_control_id, view.phase))

    async def on_stream(view, stream):
        async for frame in stream:
            key = view.facts.call_control_id, stream.identity.direction
            frames[key] = frames.get(key, 0) + len(frame.samples)

    async with scene(tmp_path, on_call=on_call, on_stream=on_stream) as stage:
        (call,) = await run_calls(stage, 1, seconds=0.5)
    phases = [phase for _, phase in views]
    phases = [phase for phase in phases if phase is not Phase.UNFORKED]  # its webhook comes before hangup, or after
    assert phases == [Phase.INITIATED, Phase.FORKING, Phase.FORKED, Phase.ENDED]
    for direction in Direction:
        (document,) = sidecars(stage.out)
        assert frames[call.call_control_id, direction] == len(heard(document, direction))


async def test_hooks_that_fail_or_hang_cost_nothing(tmp_path, caplog):
    async def on_call(view):
        raise ValueError("not today")

    async def on_stream(view, stream):
        await asyncio.Event().wait()

    async with scene(tmp_path, on_call=on_call, on_stream=on_stream) as stage:
        calls = await run_calls(stage, 2, seconds=0.5)
    assert_all_recorded(stage, calls)
    assert stage.service.counts()["hooks"]["on_call"]["failed"] > 0


async def test_stopping_finishes_every_file_and_leaves_the_forks_to_the_next_service(tmp_path):
    async with scene(tmp_path) as stage:
        calls = [stage.call() for _ in range(3)]
        await stage.told("stream.opened", 2 * 3)
        await stage.service.stop()
        assert all(call.is_forked for call in calls)
        assert len(sidecars(stage.out)) == 3
        assert all(document["complete"] for document in sidecars(stage.out))
        assert (stage.out / ".strep-service.state").read_text().count('"phase": "forked"') == 3


async def test_stopping_ends_the_forks_if_it_is_told_to(tmp_path):
    async with scene(tmp_path, Settings(service="stop_forks = true")) as stage:
        calls = [stage.call() for _ in range(3)]
        await stage.told("call.forked", 3)
        await asyncio.sleep(0.3)
        await stage.service.stop()
        assert not any(call.is_forked for call in calls)
        assert all(call.lifecycle.is_alive for call in calls)
        state = json.loads((stage.out / ".strep-service.state").read_text())
        assert [call["phase"] for call in state["calls"]] == ["unforked"] * 3, "the next forks none of them"


async def test_no_more_calls_are_forked_than_the_limit_says(tmp_path):
    async with scene(tmp_path, Settings(limits="forks = 2")) as stage:
        calls = [stage.call() for _ in range(3)]
        await stage.told("call.forked", 2)
        await stage.told("call.fork_failed")
        assert sum(call.is_forked for call in calls) == 2
        await stage.told("stream.opened", 4)
        next(call for call in calls if call.is_forked).hang_up()
        await stage.told("recording.finished")
        another = stage.call()
        await stage.told("call.forked", 3)
        assert another.is_forked


async def test_a_call_whose_answer_no_webhook_told_is_forked_when_the_platform_was_asked(tmp_path, monkeypatch):
    monkeypatch.setattr("strep.service.calls._ASK_AFTER_NS", (0, 0, 1_500_000_000, 2_500_000_000))
    async with scene(tmp_path, Settings(rule='direction = "incoming"')) as stage:
        call = stage.call(answered=False)
        await stage.told("call.initiated")
        url, stage.platform.webhook_url = stage.platform.webhook_url, ""
        call.answer()
        await until(lambda: call.is_forked)
        assert times_forked(stage.platform) == {call.call_control_id: 1}
        stage.platform.webhook_url = url


async def test_a_call_that_is_gone_without_a_word_is_found_to_be_gone(tmp_path):
    async with scene(tmp_path, Settings(media="idle_timeout_s = 1")) as stage:
        call = stage.call()
        await stage.told("stream.opened", 2)
        stage.platform.webhook_url = ""
        call.hang_up()
        await stage.told("call.ended")
        await stage.told("recording.finished")
        assert stage.events[-1].call["ended_by"] == "gone"


@pytest.mark.parametrize("accept", [True, pytest.param(False, marks=pytest.mark.thorough)])
async def test_a_call_that_is_forked_a_second_time_is_recorded_a_second_time(tmp_path, accept):
    async with scene(tmp_path, Settings(rule=f"accept = {str(accept).lower()}")) as stage:
        call = stage.call()
        await stage.told("stream.opened", 2)
        stage.platform.command(call.call_control_id, "fork_stop", {"stream_type": "raw"})
        await stage.told("call.unforked")
        await stage.told("recording.finished")
        fork, before = {"target": str(stage.service.media_address), "stream_type": "raw"}, packets_of(call)
        stage.platform.command(call.call_control_id, "fork_start", fork)
        await stage.told("stream.opened", 4)
        await until(lambda: packets_of(call) >= before + 25)
        call.hang_up()
        await stage.told("recording.finished", 2)
        assert stage.count("call.ended") == 1
    again = stage.out if accept else stage.out / "quarantine"
    assert len(of_call(stage.out, call)) == 1 + accept
    document = of_call(again, call)[-1]
    assert document["complete"]
    assert document["duration_s"] > 0.3
    assert stage.service.counts()["events"].get("leg.refused", 0) == 0


@pytest.mark.parametrize("rule", ['direction = "incoming"', 'headers = { "X-Record" = "yes" }'])
async def test_a_call_that_rings_while_the_service_is_started_anew_is_forked_when_it_is_answered(tmp_path, rule):
    async with scene(tmp_path, Settings(rule=rule)) as stage:
        call = stage.call(answered=False, custom_headers=({"name": "X-Record", "value": "yes"},))
        await stage.told("call.initiated")
        await stage.service.stop()
        async with Service(read(stage.config_text), on_event=stage.events.append) as second:
            stage.platform.webhook_url = f"http://127.0.0.1:{second.webhook_port}/webhooks"
            call.answer()
            await stage.told("call.forked")
            assert call.is_forked
            assert stage.count("call.initiated") == 1


async def test_a_call_that_somebody_else_forked_is_recorded_in_its_place_by_the_next_service_too(tmp_path):
    settings = Settings(rule="fork = false\naccept = true", media_port=free_port(socket.SOCK_DGRAM))
    async with scene(tmp_path, settings) as stage:
        call = stage.call()
        await stage.told("call.answered")
        fork = {"target": str(stage.service.media_address), "stream_type": "raw"}
        stage.platform.command(call.call_control_id, "fork_start", fork)
        await stage.told("stream.opened", 2)
        await stage.service.stop()
        async with Service(read(stage.config_text), on_event=stage.events.append) as second:
            stage.platform.webhook_url = f"http://127.0.0.1:{second.webhook_port}/webhooks"
            await stage.told("stream.opened", 4)
            await asyncio.sleep(0.3)
            assert second.counts()["quarantine"]["admitted"] == 0
            call.hang_up()
            await stage.told("recording.finished", 2)
    parts = of_call(stage.out, call)
    assert [(part["complete"], part["call"]["rule"]) for part in parts] == [(True, "rules[0]")] * 2
    assert not (stage.out / "quarantine").exists()


async def test_the_end_of_a_call_is_on_disk_before_its_recordings_are_closed(tmp_path, monkeypatch):
    written, replace_file = [], state_file.replace_file

    def keep(path, content, **given):
        written.append([call["phase"] for call in json.loads(content)["calls"]])
        replace_file(path, content)

    monkeypatch.setattr(state_file, "replace_file", keep)
    async with scene(tmp_path) as stage:
        await run_calls(stage, 1, seconds=0.2)
        assert stage.count("call.ended") == 1
    assert ["ended"] in written, "or the next service would tell of its end again"
    assert written[-1] == []


async def test_a_signature_that_is_not_the_platform_s_changes_nothing(tmp_path):
    import httpx

    async with scene(tmp_path) as stage, httpx.AsyncClient() as client:
        url = stage.platform.webhook_url
        answer = await client.post(url, json={"data": {"event_type": "call.answered", "id": "1", "payload": {}}})
        assert answer.status_code == 403
        assert stage.service.calls == []


@pytest.mark.parametrize("api", ["", "secret_file = 'api.secret'"], ids=["Bearer", "Basic"])
@pytest.mark.parametrize("key", [API_KEY, "KEY-THAT-IS-NOT-THE-PLATFORM-S"], ids=["right key", "wrong key"])
async def test_keys_and_secrets_are_shown_nowhere(tmp_path, api, key, caplog, monkeypatch):
    caplog.set_level("DEBUG")
    (tmp_path / "api.secret").write_text(SECRET)
    monkeypatch.chdir(tmp_path)
    async with scene(tmp_path, Settings(api=api), api_key=key) as stage:
        call = stage.call()
        await stage.told("call.fork_failed" if key != API_KEY else "stream.opened")
        call.hang_up()
        await stage.told("call.ended")
    shown = [repr(stage.service), repr(stage.service.config), repr(stage.service.__dict__), caplog.text]
    shown += [event.line() for event in stage.events] + [repr(event) for event in stage.events]
    shown += [path.read_text("latin-1") for path in stage.out.rglob("*") if path.is_file()]
    for text in shown:
        for secret in (key, SECRET, base64.b64encode(f"{key}:{SECRET}".encode()).decode()):
            assert secret not in text
    assert stage.count("call.fork_failed") == (key != API_KEY)


async def test_webhooks_that_are_refused_are_told_once_with_a_hint(tmp_path, caplog):
    async with scene(tmp_path) as stage:
        url = stage.platform.webhook_url
        async with httpx.AsyncClient() as client:
            for _ in range(3):
                headers = sign(b"{}", Ed25519PrivateKey.generate(), time.time())
                assert (await client.post(url, content=b"{}", headers=headers)).status_code == 403
        await until(lambda: "webhooks.public_key" in caplog.text)
        await asyncio.sleep(0.3)
        told = [record.getMessage() for record in caplog.records if "refused as forged" in record.getMessage()]
        assert len(told) == 1
        assert stage.service.counts()["webhooks"]["refused"] == {"forged": 3}
    told = [event.detail for event in stage.events if event.kind == "webhooks.refused"]
    assert [detail["reason"] for detail in told] == ["forged"]


async def test_the_counts_have_the_fates_of_all_datagrams(tmp_path):
    async with scene(tmp_path) as stage:
        calls = await run_calls(stage, 2, seconds=0.5)
        counts = stage.service.counts()
    packets = sum(stream["packets"] for call in calls for it in of_call(stage.out, call) for stream in it["streams"])
    assert counts["datagrams"]["accepted"] == packets
    assert counts["kernel_drops"] == 0


async def test_a_service_that_could_not_start_does_not_tell_that_it_stopped(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings, told = Settings(webhook_port=taken.getsockname()[1]), []
        with pytest.raises(ReceiveError, match="expected a free port, found it in use"):
            async with scene(tmp_path, settings, on_event=told.append):
                pass
    assert [event.kind for event in told] == []
