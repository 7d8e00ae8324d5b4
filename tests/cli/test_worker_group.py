"""`strep record --workers`: real processes, real sockets, and a kill."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import time
import uuid
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import soundfile

from strep.cli import worker_group as worker_group_module
from strep.cli.announcements import Announcements
from strep.cli.options import FileFormat
from strep.cli.recorder_options import Listening, Reception, RecorderOptions
from strep.cli.status import StatusLine
from strep.cli.worker_group import AnnouncingLedger, bind_worker_group, record_in_workers
from strep.live.workers import Counts, Entry, EntryKind, RestartPolicy, Supervisor
from strep.net import steering
from strep.net.steering import socket_of
from strep.sinks.recordings import Encoding, FilePolicy, LargeFiles, Layout, QueueLimits
from strep.sinks.retention import RetentionLimits
from strep.stream.events import Direction
from strep.wire.strep import StrepHeader
from tests.cli.test_record import Recording, holds
from tests.receiving import BOUND_S, RECEIVE_BUFFER_BYTES, interleave, until
from tests.traffic import Sender, pcmu

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux steers")
#: Small, so that a test can fill it, and granted to everybody.
BUFFER_BYTES = 8192
HALF = 50  # packets: a second
LOOPBACK = "udp:127.0.0.1:0"


def options_of(out):
    return RecorderOptions(out=out, pt=("98=opus/48000/2",))


def send(datagrams, address, sock=None):
    """Send from one port, a new one each time unless there is a socket: a leg belongs to the port it came from."""
    with contextlib.nullcontext(sock) if sock else socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, (address.host, address.port))


def wait_until(condition):
    deadline_s = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.005)


def is_running(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def workers_of(pid):
    """Find the workers of a supervisor: process ids by number."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            command = (entry / "cmdline").read_bytes().split(b"\0")
            if parent == str(pid) and b"strep.cli.worker" in command:
                found[int(command[command.index(b"strep.cli.worker") + 1])] = int(entry.name)
    return found


class Leg:
    """Is both directions of a leg of HALF packets, and HALF more."""

    def __init__(self, number, *, strep=True):
        draw = uuid.UUID(int=0x1234_5678_9ABC_4DEF_8123 << 48 | number * 0x9E37_79B1)
        self.call_leg_id = uuid.UUID(int=draw.int, version=4)
        senders = [
            Sender(direction=d, ssrc=2 * number + d, seed=2 * number + d, call_leg_id=self.call_leg_id, strep=strep)
            for d in (0, 1)
        ]
        self.first = [sender.packets(HALF) for sender in senders]
        self.second = [sender.packets(HALF) for sender in senders]
        self.name = f"{self.call_leg_id}-A"

    @property
    def whole(self):
        return [first + second for first, second in zip(self.first, self.second, strict=True)]


def legs_of(worker, count):
    """Make legs that are steered to a worker of two."""
    return list(islice((leg for leg in map(Leg, itertools.count()) if socket_of(leg.call_leg_id, 2) == worker), count))


def holds_both(path, directions, header=36):
    samples, _ = soundfile.read(path, dtype="int16", always_2d=True)
    return all(holds(samples[:, d], pcmu(directions[d], header)) for d in Direction)


def has_frames(path, frames):
    """Tell whether a recording and its sidecar are on disk, and so many frames of it."""
    if not path.with_suffix(".json").exists() or not path.exists():
        return False
    return path.stat().st_size > 44 and soundfile.info(path).frames >= frames


@pytest.fixture
def record(tmp_path):
    with contextlib.ExitStack() as stack:

        def start(*args):
            recording = Recording(tmp_path, "--target", "udp:127.0.0.1:0", "--workers", "2", *args)
            stack.callback(recording.close)
            recording.read_listening()
            return recording

        yield start


@pytest.mark.thorough
async def test_a_killed_worker_is_replaced_loses_nothing_that_comes_after_and_disturbs_no_other(tmp_path, capfd):
    options, said = options_of(tmp_path / "calls"), []
    lasting, struck, plain = legs_of(0, 2), legs_of(1, 2), Leg(5000, strep=False)
    first_files = {leg.name: options.out / f"{leg.name}.wav" for leg in struck}
    with (
        bind_worker_group(options, 2, LOOPBACK, LOOPBACK, LOOPBACK, RECEIVE_BUFFER_BYTES) as group,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as platform,
    ):
        addresses = [bound.address for bound in group.inputs[0].values()]
        recording = asyncio.create_task(record_in_workers(group, None, report=said.append))
        await until(lambda: bool(said))
        workers = workers_of(os.getpid())
        assert set(workers) == {0, 1}

        send(interleave(*(stream for leg in lasting + struck for stream in leg.first)), addresses[0], platform)
        for direction in (0, 1):
            send(plain.whole[direction], addresses[1 + direction])
        # What a worker did since its last report is lost with it.
        await until(
            lambda: group.ledger.total.received == 2 * HALF * (4 + 2) and group.ledger.total.open_recordings == 5
        )
        await until(lambda: all(has_frames(path, 160 * HALF) for path in first_files.values()))
        os.kill(workers[1], signal.SIGKILL)
        await until(lambda: not is_running(workers[1]))
        send(interleave(*(stream for leg in lasting + struck for stream in leg.second)), addresses[0], platform)
        await until(lambda: all((options.out / f"{leg.name}-2.wav").exists() for leg in struck))
        successors = workers_of(os.getpid())
        os.kill(os.getpid(), signal.SIGINT)
        document = await recording

    assert said[1:] == [
        "worker 1 was killed by SIGKILL, and its recordings under way (2) end there; its calls go on in a new one"
    ]
    assert "worker" not in capfd.readouterr().err, "each of them is silent"
    assert successors[0] == workers[0]
    assert successors[1] != workers[1]
    assert not any(map(is_running, successors.values()))
    assert document["workers"] == {"count": 2, "restarts": 1, "cut_short": 2}
    assert document["error"] is None
    assert document["kernel_drops"] == 0
    assert document["datagrams"]["accepted"] == sum(document["datagrams"].values()) == 2 * HALF * (4 + 2 + 4)
    assert document["recording_count"] == len(document["recordings"]) == 5
    files = {Path(made["path"]).stem: Path(made["path"]) for made in document["recordings"]}
    for leg in lasting:
        assert holds_both(files.pop(leg.name), leg.whole)
    for leg in struck:
        assert holds_both(first_files[leg.name], leg.first)
        assert json.loads(first_files[leg.name].with_suffix(".json").read_bytes())["complete"] is False
        assert holds_both(files.pop(f"{leg.name}-2"), leg.second)
    ((name, path),) = files.items()
    assert name.startswith("rx-")
    assert holds_both(path, plain.whole, header=12)


@pytest.mark.thorough
def test_workers_finish_their_files_and_end_when_their_supervisor_is_killed(record, tmp_path):
    recording = record()
    legs = legs_of(0, 1) + legs_of(1, 1)
    workers = workers_of(recording.process.pid)
    recording.send(interleave(*(stream for leg in legs for stream in leg.first)))
    wait_until(lambda: all((tmp_path / "calls" / f"{leg.name}.wav").exists() for leg in legs))
    code, _, err = recording.stop(signal.SIGKILL)
    wait_until(lambda: not any(map(is_running, workers.values())))
    assert (code, err) == (-signal.SIGKILL, "")
    for leg in legs:
        path = tmp_path / "calls" / f"{leg.name}.wav"
        assert holds_both(path, leg.first)
        assert json.loads(path.with_suffix(".json").read_bytes())["complete"] is True


@pytest.mark.thorough
def test_an_unknown_payload_type_is_told_while_it_is_heard_and_sigterm_prints_the_table_of_all_workers(
    record, tmp_path
):
    recording = record()
    known, unknown = legs_of(0, 1) + legs_of(1, 1), legs_of(1, 2)[1]
    recording.send(interleave(*(stream for leg in known for stream in leg.first)))
    recording.send(Sender(payload_type=100, call_leg_id=unknown.call_leg_id).packets(HALF))
    told = f"strep: {unknown.name}: payload type 100 is unknown, name it with --pt; its recording is silent there\n"
    assert recording.process.stderr.readline() == told
    code, out, err = recording.stop(signal.SIGTERM)
    assert code == 0
    assert err == "strep: payload type 100 is unknown: name it, such as --pt 100=opus/48000/2\n"
    assert out.splitlines()[0] == f"3 recordings in {tmp_path / 'calls'}"
    assert out.splitlines()[-1] == f"{5 * HALF} datagrams: {5 * HALF} accepted; the kernel dropped 0"


@pytest.mark.thorough
def test_workers_that_never_work_end_the_command_with_an_error(strep, tmp_path, monkeypatch):
    monkeypatch.setattr(worker_group_module, "WORKER_MODULE", "strep.cli.no_such_worker")
    impatient = partial(Supervisor, policy=RestartPolicy(delays_s=(0.0,)))
    monkeypatch.setattr(worker_group_module, "Supervisor", impatient)
    outcome = strep("record", "--target", "udp:127.0.0.1:0", "--out", "calls", "--workers", "2")
    assert outcome.exit_code == 1
    assert outcome.stdout.startswith("no recordings\n0 datagrams")
    assert outcome.stderr.splitlines()[-1].endswith(
        "ended with exit code 1; it was started again 1 times in a row: giving up"
    )
    assert not (tmp_path / "calls").exists()


@pytest.mark.thorough
def test_where_nothing_can_be_steered_one_worker_receives_all_and_it_is_said(strep, monkeypatch):
    monkeypatch.setattr(steering, "_SO_ATTACH_REUSEPORT_CBPF", 0x7FFF)
    outcome = strep(
        *("record", "--target", "udp:127.0.0.1:0", "--out", "calls", "--workers", "3", "--duration", "0.01", "--json")
    )
    assert outcome.exit_code == 0
    assert outcome.json["workers"] == {"count": 1, "restarts": 0, "cut_short": 0}
    warning, listening = (line for line in outcome.stderr.splitlines() if "compiling" not in line)
    assert warning.startswith("strep: warning: this system cannot steer call legs to workers")
    assert listening.endswith("into calls with one worker; stop with Ctrl-C")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--rx", "udp:127.0.0.1:0", "--tx", "udp:127.0.0.1:0"), "--workers needs --target: rx and tx carry one call"),
        (("--target", "127.0.0.1:9000"), "expected 'udp:IP:PORT'"),
        (("--target", "udp:127.0.0.1:0", "--rx", "udp:127.0.0.1:0"), "expected --tx beside --rx"),
        (("--target", "udp:127.0.0.1:0", "--allow", "x"), "expected a network as 192.0.2.0/24 or 2001:db8::/32, found"),
        (("--target", "udp:127.0.0.1:0", "--pt", "x"), "payload type must look like"),
        (("--target", "udp:127.0.0.1:0", "--receive-buffer-bytes", "1"), "expected a receive buffer of 4096 to"),
        (("--target", "udp:127.0.0.1:0", "--encoding", "ulaw", "--format", "flac"), "ulaw needs a WAV file, got flac"),
    ],
)
def test_what_cannot_work_is_one_line_before_any_worker_starts(strep, tmp_path, options, message):
    outcome = strep("record", "--out", "calls", "--workers", "2", *options)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.error.startswith(message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("workers", ["0", "65", "-1"])
def test_a_number_of_workers_that_cannot_be_is_a_wrong_use(strep, workers):
    outcome = strep("record", "--target", "udp:127.0.0.1:0", "--out", "calls", "--workers", workers)
    assert outcome.exit_code == 2


@pytest.fixture
def group(tmp_path):
    with bind_worker_group(options_of(tmp_path / "calls"), 2, LOOPBACK, None, None, BUFFER_BYTES) as group:
        yield group


def test_the_status_line_says_what_all_workers_do(group):
    now_s = [0.0]
    line = StatusLine(group, group, group.watch, clock_s=lambda: now_s[0])
    group.ledger.take(0, Counts(received=100, lost_packets=2, calls=3, streams=6))
    group.ledger.take(1, Counts(received=300, lost_packets=1, calls=1, streams=1))
    now_s[0] = 2.0
    assert line.text() == "4 calls, 7 streams, 200 packets/s, 3 lost, 0 kernel drops"


def test_what_goes_wrong_is_told_once_for_all_workers(group, caplog):
    now_ns = [0]
    group = worker_group_module.WorkerGroup(group.inputs, group.options, clock_ns=lambda: now_ns[0])
    fates = {"accepted": 10, "rejected_leg": 50, "rejected_probation": 3}
    group.ledger.take(0, Counts(received=63, fates=fates, failures=1, unproven_packets=3))
    now_ns[0] = 1_000_000_000
    group.ledger.take(1, Counts(received=80, fates={"accepted": 10, "rejected_leg": 70}, failures=1))
    assert [(alarm.reason, alarm.total) for alarm in group.watch.standing] == [
        ("write_errors", 2),
        ("rejected_leg", 120),
    ]
    assert caplog.messages == ["write_errors began: 1 failed write so far", "rejected_leg began: 50 datagrams so far"]


def test_what_workers_come_across_is_told_when_it_is_and_once_for_all_of_them():
    said = []
    ledger = AnnouncingLedger(2, 9, Announcements(shows_recordings=False, tell=said.append, clock_s=lambda: 0.0))
    for worker in (0, 1):
        for meaning in (None, "G728/8000", "PCMU/8000", "opus/48000/2"):
            document = {"call": f"call-{worker}", "payload_type": 100, "format": meaning}
            ledger.take(worker, Entry(EntryKind.FORMAT, document))
        ledger.take(worker, Entry(EntryKind.LEFT_OUT, {"call": f"call-{worker}"}))
    assert said == [
        "call-0: payload type 100 is unknown, name it with --pt; its recording is silent there",
        "call-0: G728 is not decoded here; its recording is silent there",
        "call-0: left out, more calls came than can be carried",
        "call-1: left out, more calls came than can be carried",
    ]


def test_what_overflows_while_no_worker_is_there_is_counted(group):
    header = StrepHeader(legs_of(1, 1)[0].call_leg_id, 0, 0).serialize()
    address = group.inputs[0]["target"].address
    send([header + bytes(160)] * 100, address)
    waiting = 0
    with contextlib.suppress(BlockingIOError):
        while group.inputs[1]["target"].socket.recv(2048):
            waiting += 1
    assert group.kernel_drops == 100 - waiting > 0


@pytest.mark.thorough
def test_workers_that_take_only_strep_of_some_networks_refuse_all_else(record, tmp_path):
    legs = legs_of(0, 2) + legs_of(1, 2)
    group = record("--strep-only", "--allow", "127.0.0.0/8", "--json")
    sent = [datagram for leg in legs for direction in leg.whole for datagram in direction]
    group.send(sent)
    group.send([bytes(100)] * 30)
    code, out, _ = group.stop(signal.SIGINT)
    document = json.loads(out)
    assert (code, document["kernel_refused"], document["kernel_drops"]) == (0, 30 if sys.platform == "linux" else 0, 0)
    assert document["datagrams"]["accepted"] == len(sent)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"layout": Layout.MONO, "encoding": Encoding.ALAW, "file_format": FileFormat.FLAC, "pt": ("98=opus/48000/2",)},
        {"playout_delay_ms": 50, "idle_timeout_s": 7, "max_calls": 9},
        {"reception": Reception(("192.0.2.0/24",), True, Path("s"), 1 << 30, "w1")},
        {"listening": Listening("level", ("level.interval_s=5",), Path("x/told.jsonl"))},
        {"files": FilePolicy(0o640, LargeFiles.RF64, 2.5), "queue": QueueLimits(5, 1 << 21)},
        {"retention": RetentionLimits(30, 1 << 40, 0)},
    ],
)
def test_options_reach_a_worker_as_they_are(tmp_path, given):
    options = RecorderOptions(out=tmp_path, **given)
    assert RecorderOptions.read(json.loads(json.dumps(options.describe()))) == options


def test_each_worker_has_events_and_a_spool_of_its_own(tmp_path):
    options = RecorderOptions(out=tmp_path, listening=Listening(events=Path("x/told.jsonl")))
    own = options.of_worker(1)
    assert (own.listening.events, own.reception.spool_name) == (Path("x/told-2.jsonl"), "w2")
    assert RecorderOptions(out=tmp_path).of_worker(1).listening.events is None
