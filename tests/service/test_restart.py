"""Kill the service in mid-call, and start it again: `strep serve` in processes of their own."""

import asyncio
import contextlib
import json
import signal
import socket
import sys

import numpy as np
import pytest
import soundfile

from strep.stream.events import Direction, Leg
from tests.receiving import BOUND_S, until
from tests.service.scene import (
    API_KEY,
    Settings,
    configure,
    decoded,
    emulated,
    free_port,
    heard,
    of_call,
    scene,
    sidecars,
)


class Serving:
    """Is `strep serve` in a process of its own."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, config):
        command = (sys.executable, "-m", "strep", "serve", "--config", str(config))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(BOUND_S):
            while b"webhooks at" not in (line := await process.stderr.readline()):
                assert line, "it ended before it listened"
        return cls(process)

    async def end(self, number):
        """Send it a signal; give what it printed."""
        self.process.send_signal(number)
        async with asyncio.timeout(BOUND_S):
            return await self.process.communicate()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.communicate()


@contextlib.asynccontextmanager
async def platform_and_configuration(folder, **settings):
    ports = {"webhook_port": free_port(socket.SOCK_STREAM), "media_port": free_port(socket.SOCK_DGRAM)}
    asked = Settings(**ports, **settings)
    async with emulated(asked) as server:
        (folder / "strep.toml").write_text(configure(asked, folder, server))
        server.platform.webhook_url = f"http://127.0.0.1:{asked.webhook_port}/webhooks"
        yield server.platform, folder / "strep.toml"


def frames_on_disk(path):
    return soundfile.info(path).frames if path.exists() else 0


def assert_is_part_of(part, whole):
    """Find the samples of a part in what was sent, all of them in a row."""
    start = whole.tobytes().find(part.tobytes())
    assert start >= 0, f"{len(part)} samples are not in a row of what was sent"
    return start // 2


@pytest.mark.thorough
async def test_calls_that_go_on_after_a_kill_are_recorded_on_and_the_earlier_part_is_intact(tmp_path):
    out = tmp_path / "calls"
    async with platform_and_configuration(tmp_path, service='events = "jsonl"') as (platform, config):
        async with await Serving.start(config) as first:
            goes_on, ends = (platform.incoming_call(waits_for_fork=True) for _ in range(2))
            for call in (goes_on, ends):
                call.answer()
            earlier = {call: out / f"{call.call_leg_id}-A.wav" for call in (goes_on, ends)}
            await until(lambda: all(frames_on_disk(path) > 8000 for path in earlier.values()))
            await first.end(signal.SIGKILL)
        bytes_before = {call: path.read_bytes() for call, path in earlier.items()}
        ends.hang_up()
        async with await Serving.start(config) as second:
            later = out / f"{goes_on.call_leg_id}-A-2.wav"
            await until(lambda: frames_on_disk(later) > 8000)
            goes_on.hang_up()
            await until(lambda: later.with_suffix(".json").exists() and sidecars(out)[1]["complete"])
            await until(lambda: sum(bool(it.get("interrupted")) for it in sidecars(out)) == 2)
            printed, _ = await second.end(signal.SIGTERM)
            assert second.process.returncode == 0
    told = [event for event in map(json.loads, printed.splitlines()) if event["event"] == "recording.interrupted"]
    assert {event["sidecar"] for event in told} == {str(path.with_suffix(".json")) for path in earlier.values()}
    assert {tuple(event["files"]) for event in told} == {(str(path),) for path in earlier.values()}
    for call, path in earlier.items():  # the kill may have come between samples and the header that counts them
        assert path.read_bytes()[44:] == bytes_before[call][44:], "not a sample was touched"
    (recovered,) = [
        event for event in map(json.loads, printed.splitlines()) if event["event"] == "recordings.recovered"
    ]
    assert recovered["counts"]["recovered"] == 2
    assert len(sidecars(out)) == 3
    (document,) = of_call(out, ends)
    assert (document["interrupted"], document["recovered"], document["complete"]) == (True, True, True)
    assert document["call"]["from"] == ends.about.from_
    parts = of_call(out, goes_on)
    assert [bool(part.get("interrupted")) for part in parts] == [True, False]
    assert parts[0]["call"] | {"ended_by": None} == parts[1]["call"] | {"ended_by": None}, "the same identity"
    for direction in Direction:
        whole = decoded(goes_on.sent[Leg.A, direction].payloads())
        first_part, _ = soundfile.read(earlier[goes_on], dtype="int16", always_2d=True)
        start_s = next(it["start_s"] for it in parts[0]["streams"] if it["direction"] == direction.name.lower())
        first_part = first_part[round(start_s * 8000) :, int(direction)]
        assert assert_is_part_of(np.trim_zeros(first_part, "b")[:4000], whole) == 0
        second_part = heard(parts[1], direction)
        assert whole.tobytes().endswith(second_part.tobytes()), "to the last sample"
    assert goes_on.fork is not None


@pytest.mark.thorough
async def test_a_service_that_is_told_to_stop_does_so_and_shows_no_secret(tmp_path):
    async with platform_and_configuration(tmp_path, service='events = "jsonl"') as (platform, config):
        async with await Serving.start(config) as serving:
            call = platform.incoming_call(waits_for_fork=True)
            call.answer()
            await until(lambda: frames_on_disk(tmp_path / "calls" / f"{call.call_leg_id}-A.wav") > 0)
            printed, said = await serving.end(signal.SIGTERM)
        assert serving.process.returncode == 0
    (document,) = sidecars(tmp_path / "calls")
    assert document["complete"]
    assert b'"event": "call.forked"' in printed
    assert b'"event": "recording.finished"' in printed
    for text in (printed, said, *(path.read_bytes() for path in (tmp_path / "calls").iterdir())):
        assert API_KEY.encode() not in text


@pytest.mark.parametrize("content", [b"{", b'{"version": 1, "calls": [{"call_control_id": 3}]}'])
async def test_a_state_file_of_no_sense_does_not_keep_it_from_starting(tmp_path, content):
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / ".strep-service.state").write_bytes(content)
    async with scene(tmp_path) as stage:
        stage.call()
        await stage.told("call.forked")
