import contextlib
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import call_datagrams
from tests.receiving import BOUND_S
from tests.ring import needs_ring
from tests.traffic import pcmu


class Recording:
    """Is `strep record` in a process of its own, once it listens; `addresses` are where."""

    def __init__(self, folder, *args, stderr=subprocess.PIPE):
        command = [sys.executable, "-m", "strep", "record", "--out", str(folder / "calls"), *args]
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env=environment | {"TERM": "xterm"},
        )
        self._watchdog = threading.Timer(BOUND_S, self.process.kill)
        self._watchdog.start()

    def wait_listening(self, line):
        self.addresses = [(host, int(port)) for host, port in re.findall(r"udp:([\d.]+):(\d+)", line)]
        assert self.addresses, line

    def read_listening(self):
        """Wait until it listens; the first one on a machine tells before that it compiles."""
        while (line := self.process.stderr.readline()).startswith("strep: compiling"):
            pass
        self.wait_listening(line)

    def send(self, datagrams, address=0):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for datagram in datagrams:
                sock.sendto(datagram, self.addresses[address])

    def stop(self, number):
        self.process.send_signal(number)
        out, err = self.process.communicate()
        return self.process.returncode, out, err

    def close(self):
        self._watchdog.cancel()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def record(tmp_path):
    running = []

    def start(*args):
        recording = Recording(tmp_path, *args)
        running.append(recording)
        recording.read_listening()
        return recording

    yield start
    for recording in running:
        recording.close()


def datagrams(*, strep=True):
    return [datagram for *_, datagram in call_datagrams(50, strep=strep)]


def holds(heard, sent):
    """Tell whether a channel holds what was sent (no sample of which is 0), however much later it came."""
    start = np.flatnonzero(heard)[0]
    return np.array_equal(heard[start : start + len(sent)], sent)


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(one, marks=pytest.mark.thorough) for one in (signal.SIGTERM, signal.SIGHUP))],
)
def test_a_signal_finishes_the_files_and_prints_the_document(record, tmp_path, number):
    recording = record("--target", "udp:127.0.0.1:0", "--json")
    recording.send(datagrams())
    code, out, err = recording.stop(number)
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["datagrams"]["accepted"] == sum(document["datagrams"].values()) == 100
    assert document["kernel_drops"] == 0
    assert document["receive"] != ["ring"], "unless it is asked for"
    (recorded,) = document["recordings"]
    samples, _ = soundfile.read(tmp_path / recorded["path"], dtype="int16")
    for direction in (0, 1):
        assert holds(samples[:, direction], pcmu(datagrams()[direction::2]))
    assert json.loads((tmp_path / recorded["sidecar"]).read_bytes())["complete"] is True


@pytest.mark.thorough
@needs_ring
@pytest.mark.parametrize("way", ["ring", "auto"])
def test_a_packet_ring_records_what_a_socket_does(record, tmp_path, monkeypatch, way):
    monkeypatch.setenv("STREP_RECEIVE", way)
    recording = record("--target", "udp:127.0.0.1:0", "--json")
    recording.send(datagrams())
    code, out, err = recording.stop(signal.SIGINT)
    document = json.loads(out)
    assert (code, err, document["receive"]) == (0, "", ["ring"])
    assert document["datagrams"]["accepted"] == sum(document["datagrams"].values()) == 100
    (recorded,) = document["recordings"]
    samples, _ = soundfile.read(tmp_path / recorded["path"], dtype="int16")
    for direction in (0, 1):
        assert holds(samples[:, direction], pcmu(datagrams()[direction::2]))


@pytest.mark.thorough
def test_rx_and_tx_are_the_two_directions_of_one_call(record, tmp_path):
    recording = record("--rx", "udp:127.0.0.1:0", "--tx", "udp:127.0.0.1:0", "--idle-timeout-s", "5")
    plain = datagrams(strep=False)
    recording.send(plain[0::2], 0)
    recording.send(plain[1::2], 1)
    code, out, _ = recording.stop(signal.SIGINT)
    assert code == 0
    assert "1 recording in" in out
    assert "in+out" in out
    assert out.splitlines()[-1] == "100 datagrams: 100 accepted; the kernel dropped 0"
    (wav,) = (tmp_path / "calls").glob("*.wav")
    samples, _ = soundfile.read(wav, dtype="int16")
    for direction in (0, 1):
        assert holds(samples[:, direction], pcmu(plain[direction::2], header=12))


def test_a_terminal_shows_one_live_line_and_others_none(tmp_path):
    parent, child = pty.openpty()
    recording = Recording(tmp_path, "--target", "udp:127.0.0.1:0", stderr=child)
    os.close(child)
    shown = b""
    try:
        while b"Ctrl-C\r\n" not in shown:
            shown += os.read(parent, 4096)
        recording.wait_listening(shown.decode())
        recording.send(datagrams())
        while b"1 call, 2 streams" not in shown:
            shown += os.read(parent, 4096)
        code, out, _ = recording.stop(signal.SIGINT)
    finally:
        recording.close()
        os.close(parent)
    assert code == 0
    assert re.search(rb"\d+ packets/s, 0 lost, 0 kernel drops", shown)
    assert "streams" not in out
    assert "\x1b" not in out


def test_time_ends_a_recording(strep, tmp_path):
    outcome = strep("record", "--target", "udp:127.0.0.1:0", "--out", "calls", "--duration", "0.05", "--json")
    assert outcome.exit_code == 0
    assert outcome.json["recordings"] == []
    assert outcome.error.startswith("recording what arrives at udp:127.0.0.1:")
    assert not (tmp_path / "calls").exists()  # there was nothing to put into it


@pytest.fixture
def taken():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"udp:127.0.0.1:{sock.getsockname()[1]}"


def test_a_port_in_use_is_one_line_and_leaves_nothing(strep, tmp_path, taken):
    outcome = strep("record", "--target", taken, "--out", "a/b")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.error == f"cannot receive on {taken}: expected a free port, found it in use by another socket"
    assert list(tmp_path.iterdir()) == []


def test_of_two_ports_the_one_in_use_is_named_and_the_other_given_back(strep, tmp_path, taken):
    outcome = strep("record", "--rx", "udp:127.0.0.1:0", "--tx", taken, "--out", "calls")
    assert outcome.exit_code == 1
    assert taken in outcome.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ("--target", "127.0.0.1:9000"),
            "expected 'udp:IP:PORT' (an IPv6 address in brackets), found '127.0.0.1:9000'",
        ),
        (("--target", "udp:127.0.0.1:99999"), "expected a port of 0 to 65535"),
        (("--target", "udp:example.com:9000"), "expected an IP address in udp:IP:PORT"),
        ((), "expected --target, or --rx and --tx, found none of them"),
        (("--rx", "udp:127.0.0.1:0"), "expected --tx beside --rx: each carries one direction of a call"),
        (("--target", "udp:127.0.0.1:0", "--tx", "udp:127.0.0.1:0"), "expected --rx beside --tx"),
        (("--rx", "udp:127.0.0.1:9", "--tx", "udp:127.0.0.1:9"), "target, rx and tx each need an address of their own"),
        (("--target", "udp:127.0.0.1:0", "--idle-timeout-s", "0"), "idle_timeout_s must be 1 to 86400, got 0"),
        (("--target", "udp:127.0.0.1:0", "--receive-buffer-bytes", "1"), "expected a receive buffer of 4096 to"),
        (("--target", "udp:127.0.0.1:0", "--pt", "x"), "payload type must look like"),
        (("--target", "udp:127.0.0.1:0", "--file-mode", "rw"), "expected permissions in octal, as in 600 or 640"),
        (("--target", "udp:127.0.0.1:0", "--file-mode", "400"), "file_mode must be octal, and let its owner"),
        (("--target", "udp:127.0.0.1:0", "--fsync", "often"), "expected never, end, or a number of seconds"),
        (("--target", "udp:127.0.0.1:0", "--write-queue-s", "1"), "a queue must be 2 to 3600 s long, got 1"),
        (("--target", "udp:127.0.0.1:0", "--write-queue-bytes", "1"), "a queue must have 1048576 to"),
    ],
)
def test_what_cannot_work_is_one_line_and_leaves_nothing(strep, tmp_path, options, message):
    outcome = strep("record", "--out", "calls", *options)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.error.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder_is_one_line(strep, tmp_path):
    (tmp_path / "file").touch()
    outcome = strep("record", "--target", "udp:127.0.0.1:0", "--out", "file/calls")
    assert (outcome.exit_code, outcome.error) == (1, "cannot record into file/calls: Not a directory")


@pytest.mark.thorough
def test_files_are_kept_as_the_options_say(record, tmp_path):
    options = ("--file-mode", "640", "--large-files", "rf64", "--fsync", "end", "--write-queue-s", "5")
    recording = record("--target", "udp:127.0.0.1:0", "--json", *options)
    recording.send(datagrams())
    code, out, _ = recording.stop(signal.SIGINT)
    assert code == 0
    document = json.loads(out)
    (recorded,) = document["recordings"]
    assert document["write_queue"] == {"left_out_samples": 0, "dropped_events": 0, "refused_streams": 0}
    path = tmp_path / recorded["path"]
    assert path.stat().st_mode & 0o777 == (tmp_path / recorded["sidecar"]).stat().st_mode & 0o777 == 0o640
    assert path.read_bytes()[12:16] == b"JUNK", "where RF64 would have its sizes"


def test_a_duration_below_zero_is_a_wrong_use(strep):
    assert strep("record", "--target", "udp:127.0.0.1:0", "--out", "calls", "--duration", "-1").exit_code == 2


@pytest.mark.thorough
def test_a_terminal_that_is_closed_costs_no_recording(tmp_path):
    parent, child = pty.openpty()
    recording = Recording(tmp_path, "--target", "udp:127.0.0.1:0", "--json", stderr=child)
    os.close(child)
    shown = b""
    try:
        while b"Ctrl-C\r\n" not in shown:
            shown += os.read(parent, 4096)
        recording.wait_listening(shown.decode())
        recording.send(datagrams())
        while b"1 call, 2 streams" not in shown:
            shown += os.read(parent, 4096)
    finally:
        os.close(parent)
    code, out, _ = recording.stop(signal.SIGHUP)
    recording.close()
    assert code == 0
    (recorded,) = json.loads(out)["recordings"]
    assert json.loads((tmp_path / recorded["sidecar"]).read_bytes())["complete"] is True


@pytest.mark.thorough
def test_datagrams_from_elsewhere_and_what_is_no_strep_are_counted_and_nothing_else(record, tmp_path):
    elsewhere = record("--target", "udp:127.0.0.1:0", "--json", "--allow", "192.0.2.0/24", "--allow", "2001:db8::/32")
    elsewhere.send(datagrams())
    code, out, _ = elsewhere.stop(signal.SIGINT)
    document = json.loads(out)
    assert (code, document["recordings"], document["datagrams"]["rejected_sender"]) == (0, [], 100)
    here = record("--target", "udp:127.0.0.1:0", "--strep-only", "--allow", "127.0.0.1")
    here.send(datagrams())
    here.send(datagrams(strep=False))
    code, out, _ = here.stop(signal.SIGINT)
    assert (code, out.splitlines()[-1]) == (
        0,
        "100 datagrams: 100 accepted; the kernel refused 100 that were no STREP; the kernel dropped 0",
    )


def names_and_bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.thorough)])
def test_what_was_spooled_is_decoded_to_the_very_files_that_were_recorded(record, strep, tmp_path, workers):
    recording = record("--target", "udp:127.0.0.1:0", "--spool", "spool", "--json", "--workers", workers)
    recording.send(datagrams())
    recording.send(datagrams(strep=False))
    code, out, _ = recording.stop(signal.SIGINT)
    document = json.loads(out)
    assert (code, document["recording_count"]) == (0, 2)
    if workers == "1":
        assert document["spool"] == {"spooled": 200, "dropped": 0, "removed_parts": 0, "failure": None}
    outcome = strep("decode", "spool", "--out", "again", "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.json["datagrams"] == document["datagrams"]
    assert names_and_bytes(tmp_path / "again") == names_and_bytes(tmp_path / "calls")


@pytest.mark.thorough
def test_the_spool_of_a_killed_recorder_is_decoded_up_to_its_end_and_that_of_the_next_one_by_itself(
    record, strep, tmp_path
):
    killed = record("--target", "udp:127.0.0.1:0", "--spool", "spool")
    killed.send(datagrams())
    recordings = tmp_path / "calls"
    while not [path for path in recordings.glob("*.wav") if path.stat().st_size > 30_000]:
        with contextlib.suppress(subprocess.TimeoutExpired):
            killed.process.wait(0.01)
            pytest.fail("it ended by itself")
    killed.process.kill()
    killed.process.communicate()
    after = record("--target", "udp:127.0.0.1:0", "--spool", "spool")
    after.send(datagrams())
    after.stop(signal.SIGINT)
    outcome = strep("decode", "spool", "--out", "again", "--json")
    assert (outcome.exit_code, outcome.json["recording_count"]) == (0, 2)
    assert outcome.json["datagrams"]["accepted"] == 200
    again, calls = names_and_bytes(tmp_path / "again"), names_and_bytes(tmp_path / "calls")
    (last,) = [name for name in calls if name.endswith("-2.wav")]
    assert {name for name in again if name.endswith(".wav")} == {name for name in calls if name.endswith(".wav")}
    assert again[last] == calls[last]
