import signal
import subprocess
import sys


def test_a_platform_runs_until_it_is_interrupted_and_says_how_to_fork_its_call():
    with subprocess.Popen(
        [sys.executable, "-m", "strep.emulator"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        said = [process.stdout.readline().split() for _ in range(5)]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    base_url, api_key, call, fork, _ = said
    assert fork[2:6] == ["strep", "fork", "start", call[1]]
    assert fork[6:] == ["--target", "udp:127.0.0.1:9000", "--base-url", base_url[-1], "--api-key", api_key[-1]]
    assert (process.returncode, err) == (0, "")
