"""The README's example, run as it stands by a Python of its own, against loopback traffic."""

import ast
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
import soundfile

from strep.emulator import DEFAULT_CONNECTION_ID, Platform
from strep.plugins.registry import plugin_names
from strep.service import ServiceConfig
from strep.service.example import EXAMPLE
from tests.receiving import BOUND_S
from tests.traffic import Sender, pcmu

README = Path(__file__).resolve().parents[1] / "README.md"


def example() -> str:
    """Find the one Python block that is a whole program."""
    (code,) = (block for block in blocks("python") if "asyncio.run(" in block)
    return code


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


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
    for _ in range(BOUND_S * 20):
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
    raise AssertionError(f"the example did not listen within {BOUND_S} s")


@pytest.mark.parametrize("code", blocks("python"))
def test_every_block_of_python_is_python_that_imports_what_there_is(code: str) -> None:
    tree = compile(code, "README.md", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    exec("\n".join(map(ast.unparse, imports)), {})


def test_the_keys_to_change_make_a_configuration_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    (changed,) = blocks("toml")
    document = tomllib.loads(EXAMPLE)
    del document["webhooks"]["public_key"]
    for table, keys in tomllib.loads(changed).items():
        document[table] |= keys
    monkeypatch.setenv("TELNYX_PUBLIC_KEY", Platform(seed=1).public_key)
    config = ServiceConfig.model_validate_json(json.dumps(document))
    assert config.api.base_url == "http://127.0.0.1:8081/v2"
    assert f'connection_id = "{DEFAULT_CONNECTION_ID}"' in EXAMPLE, "the calls of the emulator are those of a rule"


def test_every_plugin_is_a_row_of_one_table() -> None:
    tables = re.findall(r"^\| plugin .*\n((?:\|.*\n)+)", README.read_text(), re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)`", "".join(tables), re.MULTILINE)
    assert sorted(rows) == sorted(plugin_names())


def test_the_command_for_the_tests_is_what_ci_runs_first() -> None:
    (command,) = (block for block in blocks("sh") if "pytest" in block)
    steps = [line for line in (README.parent / ".ci" / "run").read_text().splitlines() if ".venv/bin" in line]
    assert steps[0] == command.rstrip()


def test_the_example_is_short() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 15


def test_the_example_listens_and_records(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "calls"
    inbound, outbound = Sender().packets(50), Sender(direction=1, ssrc=2, seed=2).packets(50)
    command = [sys.executable, "-u", "-c", adapted(port, folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        watchdog = threading.Timer(BOUND_S, program.kill)
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
