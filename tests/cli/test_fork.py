import pytest

from strep.emulator import DEFAULT_API_KEY

KEY = {"TELNYX_API_KEY": DEFAULT_API_KEY}


@pytest.fixture
def call(platform_server):
    return platform_server.platform.add_call("PCMU", waits_for_fork=True)


@pytest.fixture
def fork(strep, platform_server):
    """Run a fork command against the platform on this machine."""

    def run(*args, env=KEY):
        return strep("fork", *args, "--base-url", platform_server.base_url, env=env)

    return run


def test_a_fork_is_started_and_stopped(fork, call):
    started = fork("start", call.call_control_id, "--target", "udp:127.0.0.1:9", "--json")
    assert (started.exit_code, started.stderr) == (0, "")
    assert started.json.pop("command_id")
    assert started.json | {"command_id": ""} == {
        "result": "ok",
        "call_control_id": call.call_control_id,
        "target": "udp:127.0.0.1:9",
        "stream_type": "raw",
        "command_id": "",
    }
    assert call.fork.is_active
    stopped = fork("stop", call.call_control_id, "--stream-type", "raw", "--json")
    assert (stopped.exit_code, stopped.json["result"]) == (0, "ok")
    assert not call.fork.is_active


def test_people_are_told_how_to_stop_it(strep, fork, call):
    outcome = fork("start", call.call_control_id, "--rx", "udp:127.0.0.1:9", "--tx", "udp:127.0.0.1:10")
    lines = [line.split() for line in outcome.stdout.splitlines()]
    assert lines[0] == ["result", "ok"]
    assert ["rx", "udp:127.0.0.1:9"] in lines
    assert ["stream_type", "decrypted"] in lines
    command = outcome.stdout.splitlines()[-1].partition("stop it with: strep fork ")[2].split()
    assert command[-2] == "--base-url"
    assert strep("fork", *command, env=KEY).exit_code == 0
    assert not call.fork.is_active


def test_a_command_id_makes_a_second_start_harmless(fork, call):
    for _ in range(2):
        outcome = fork("start", call.call_control_id, "--target", "udp:127.0.0.1:9", "--command-id", "once", "--json")
        assert (outcome.exit_code, outcome.json["command_id"]) == (0, "once")


def test_the_key_and_the_base_url_come_from_the_environment_too(strep, platform_server, call):
    environment = KEY | {"TELNYX_BASE_URL": platform_server.base_url}
    outcome = strep("fork", "start", call.call_control_id, "--target", "udp:127.0.0.1:9", env=environment)
    assert outcome.exit_code == 0


def test_a_key_on_the_command_line_goes_first(fork, call):
    outcome = fork("start", call.call_control_id, "--target", "udp:127.0.0.1:9", "--api-key", "KEY-WRONG")
    assert outcome.exit_code == 1


def test_a_wrong_key_is_one_line_without_the_key(fork, call):
    outcome = fork("start", call.call_control_id, "--target", "udp:127.0.0.1:9", env={"TELNYX_API_KEY": "KEY-WRONG"})
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.error.startswith("Authentication failed")
    assert "KEY-WRONG" not in outcome.stderr


START = ("start", "v3:a", "--target", "udp:127.0.0.1:9")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("start", "v3:nobody", "--target", "udp:127.0.0.1:9"), "Invalid Call Control ID"),
        (("stop", "v3:nobody", "--stream-type", "raw"), "Invalid Call Control ID"),
    ],
)
def test_what_the_platform_refuses_is_one_line(fork, args, message):
    outcome = fork(*args)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.error.startswith(message)


def test_a_platform_that_is_not_there_is_one_line(strep):
    outcome = strep("fork", *START, "--base-url", "http://127.0.0.1:1/v2", env=KEY)
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.error.startswith("no answer from http://127.0.0.1:1/v2 to fork_start")


def test_a_fork_that_is_not_there_cannot_be_stopped(fork, call):
    outcome = fork("stop", call.call_control_id, "--stream-type", "decrypted")
    assert outcome.exit_code == 1
    assert outcome.error.startswith("Call is not currently forked")


@pytest.mark.parametrize(
    ("args", "env", "message"),
    [
        (START, {}, "expected an API key, as an argument or in TELNYX_API_KEY, found none"),
        ((*START, "--base-url", "nonsense"), KEY, "expected a base URL like"),
        (("start", "v3:a", "--target", "127.0.0.1:9"), KEY, "target: expected 'udp:IP:PORT'"),
        (("start", "v3:a", "--rx", "udp:127.0.0.1:9"), KEY, "tx: expected 'udp:IP:PORT' beside rx, found none"),
        (("start", "v3:a"), KEY, "expected either target, or rx and tx, found none of them"),
        ((*START, "--stream-type", "decrypted"), KEY, "stream_type: 'decrypted' needs rx and tx, found target"),
        ((*START, "--client-state", "no base64!"), KEY, "client_state: expected valid Base64"),
        (("stop", "", "--stream-type", "raw"), KEY, "call_control_id: expected the id of a call"),
    ],
)
def test_what_cannot_work_is_one_line(strep, args, env, message):
    outcome = strep("fork", *args, env=env)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.error.startswith(message)


@pytest.mark.parametrize("args", [("stop", "v3:a"), (*START, "--stream-type", "cooked"), ("start",), ("pause", "v3:a")])
def test_a_wrong_use_of_the_command_line_is_told_apart_from_an_error(strep, args):
    assert strep("fork", *args, env=KEY).exit_code == 2
