"""The README's example, run as it stands by a Python of its own, against loopback traffic."""

import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

import soundfile

from tests.traffic import Sender, pcmu

README = Path(__file__).resolve().parents[1] / "README.md"
WAIT_S = 30


def example() -> str:
    """Find the one Python block that receives."""
    blocks = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)
    (code,) = (block for block in blocks if "strep.Receiver(" in block)
    return code


def adapted(port: int, folder: Path) -> str:
    code = example()
    for old, new in (('"udp:0.0.0.0:9000"', f'"udp:127.0.0.1:{port}"'), ('"calls"', repr(str(folder)))):
        assert code.count(old) == 1, f"expected one {old} in the README's example, found {code.count(old)}"
        code = code.replace(old, new)
    return code


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until_open(port: int, program: subprocess.Popen) -> None:
    """Send empty datagrams until the kernel does not answer that nobody listens."""
    for _ in range(WAIT_S * 20):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(("127.0.0.1", port))
            sock.send(b"")
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                return
        try:
            program.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the example ended before it listened: {program.communicate()}")
    raise AssertionError(f"the example did not listen within {WAIT_S} s")


def test_the_example_is_short() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 15


def test_the_example_listens_and_records(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "calls"
    inbound, outbound = Sender().packets(50), Sender(direction=1, ssrc=2, seed=2).packets(50)
    command = [sys.executable, "-u", "-c", adapted(port, folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        watchdog = threading.Timer(WAIT_S, program.kill)
        try:
            wait_until_open(port, program)
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
                for pair in zip(inbound, outbound, strict=True):
                    for datagram in pair:
                        sock.sendto(datagram, ("127.0.0.1", port))
            watchdog.start()
            lines = list(islice(program.stdout, len(inbound) + len(outbound)))
            program.send_signal(signal.SIGINT)
            errors = program.communicate()[1]
        finally:
            program.kill()
            watchdog.cancel()
    for direction in ("INBOUND", "OUTBOUND"):
        assert len([line for line in lines if f" {direction} " in line and "RECEIVED" in line]) == 50, errors
    assert errors.rstrip().endswith("KeyboardInterrupt")
    (path,) = folder.glob("*.wav")
    frames, rate_hz = soundfile.read(path, dtype="int16", always_2d=True)
    assert rate_hz == 8000
    assert frames.shape[1] == 2
    for column, datagrams in enumerate((inbound, outbound)):
        heard = frames[:, column].tobytes()
        assert pcmu(datagrams).tobytes() in heard
