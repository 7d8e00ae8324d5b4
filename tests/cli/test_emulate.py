"""`strep emulate`: its help, what it says of wrong use, and a session with a program of its own."""

import json
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import httpx
import pytest

from strep.cli import emulate
from strep.emulator import DEFAULT_API_KEY, DEFAULT_API_SECRET
from tests.receiving import BOUND_S

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_the_help_page_says_how_to_use_it(strep):
    outcome = strep("emulate", "--help", columns=100)
    text = ANSI.sub("", outcome.stdout)
    assert outcome.exit_code == 0
    for said in ("Examples:", "--webhook-url", "--fault", "/emulator/calls", "Ctrl-C", "clock_drift_ppm"):
        assert said in text
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize(
    ("args", "found"),
    [
        (("--fault", "rate=0.1"), "--fault rate=0.1: expected one of rate_limited"),
        (("--fault", "rate_limited"), "--fault rate_limited: expected a number after '='"),
        (("--fault", "rate_limited=often"), "--fault rate_limited=often: expected a number after '=', found 'often'"),
        (("--fault", "rate_limited=2"), "--fault rate_limited: expected a share of 0 to 1, found 2"),
        (("--impair", "loss=nan"), "--impair loss: expected a probability of 0 to 1"),
        (("--impair", "jitter_ms=-1"), "--impair jitter_ms: expected 0 to 10000"),
        (("--impair", "lose=1"), "--impair lose=1: expected one of loss"),
        (("--callee", "faints"), "--callee: expected one of answers, busy"),
        (("--webhook-url", "localhost:8080"), "--webhook-url: expected a URL like http://127.0.0.1:8080/webhooks"),
    ],
)
def test_values_that_cannot_be_are_a_line_and_an_exit_code(strep, args, found):
    outcome = strep("emulate", *args)
    assert outcome.exit_code == 2 and not outcome.stdout
    assert outcome.error.startswith(found)


def test_an_address_of_another_machine_is_a_line_and_an_exit_code(strep):
    outcome = strep("emulate", "--host", "192.0.2.1")
    assert outcome.exit_code == 1 and not outcome.stdout
    assert outcome.error.startswith("expected to listen on 192.0.2.1 port 0")


@pytest.mark.parametrize("args", [("--codec", "G729"), ("--port", "65536"), ("--calls", "-1"), ("--levitate",)])
def test_what_is_no_use_of_the_command_is_a_wrong_use(strep, args):
    outcome = strep("emulate", *args)
    assert outcome.exit_code == 2 and not outcome.stdout and args[0] in outcome.stderr


def test_the_keys_shown_in_the_help_are_those_of_the_platform():
    assert (emulate._KEY, emulate._SECRET) == (DEFAULT_API_KEY, DEFAULT_API_SECRET)


@contextmanager
def running(*args):
    """Run it as a program of its own, with JSON; stop it as Ctrl-C does."""
    with subprocess.Popen(
        [sys.executable, "-m", "strep", "emulate", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=BOUND_S)
    assert (process.returncode, error) == (0, "")


@pytest.mark.thorough
def test_a_session_over_http_until_it_is_interrupted():
    with running("--seed", "1", "--calls", "2", "--codec", "opus", "--json") as process:
        said = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")
        headers = {"Authorization": f"Bearer {said['api_key']}"}
        with httpx.Client(base_url=said["base_url"], headers=headers) as http:
            call = f"/calls/{said['calls'][0]}"
            assert http.get(call).json()["data"]["is_alive"]
            assert http.post(f"{call}/actions/fork_stop").json()["errors"][0]["code"] == "90031"
            target = {"target": "udp:127.0.0.1:9"}
            assert http.post(f"{call}/actions/fork_start", json=target).json() == {"data": {"result": "ok"}}
            assert http.post(f"{call}/actions/fork_stop").status_code == 200
            assert http.post(f"{call}/actions/hangup").status_code == 200
            assert http.post(f"{call}/actions/hangup").json()["errors"][0]["code"] == "90018"
            first, second = http.get(f"{said['emulator_url']}/calls").json()["data"]
            assert (first["state"], second["state"], second["codecs"]) == ("ended", "active", ["OPUS"])
    assert len(said["calls"]) == 2 and said["public_key"] and said["webhook_url"] is None


@pytest.mark.thorough
def test_what_it_says_can_be_copied_to_another_terminal():
    with running("--seed", "1") as process:
        said = [process.stdout.readline().rstrip("\n") for _ in range(9)]
    about = {line[:10].strip(): line[10:].strip() for line in said}
    base_url = about["base URL"]
    assert f"TELNYX_BASE_URL={base_url} TELNYX_API_KEY={DEFAULT_API_KEY} TELNYX_PUBLIC_KEY=" in about["use it"]
    assert f"strep fork start {about['call']} --target udp:127.0.0.1:9000 --base-url {base_url}" in about["fork it"]
    assert "/emulator/calls" in about["call in"] and "/emulator/faults" in about["fail"]
