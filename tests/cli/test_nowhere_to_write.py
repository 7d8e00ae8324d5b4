"""Run by a user who owns nothing: no home, and a folder of packages that only others may write to."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import strep
from tests.receiving import BOUND_S

pytestmark = [
    pytest.mark.soak,  # each compiles anew
    pytest.mark.skipif(sys.platform != "linux", reason="a user without rights is made as Linux does"),
]

WARNING = (
    "strep: warning: compiled code cannot be kept, so each start compiles it anew, for half a minute in which some "
    "tens of calls can be received: name a folder that can be written to in NUMBA_CACHE_DIR"
)
#: The superuser may write everywhere but for this.
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


@pytest.fixture
def start(tmp_path):
    """Give what starts a command in a folder of its own, of a package that cannot be written to."""
    if UNPRIVILEGED and not shutil.which(UNPRIVILEGED[0]):
        pytest.skip("needs setpriv, to be no superuser")
    package = tmp_path / "packages" / "strep"
    shutil.copytree(Path(strep.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    folders = [package, *(path for path in package.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    (tmp_path / "here").mkdir()
    # Compiled without much ado: what is tried here is where it goes.
    ours = {"PYTHONPATH": str(package.parent), "HOME": "/proc/nonexistent", "NUMBA_OPT": "0", "COLUMNS": "500"}
    ours["TELNYX_API_KEY"] = "KEY"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "XDG_"))}
    running = []

    def start(*args):
        command = [*UNPRIVILEGED, sys.executable, "-P", "-m", "strep.cli", *map(str, args)]
        place = {"cwd": tmp_path / "here", "env": kept | ours, "text": True}
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **place))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()
    for folder in folders:
        folder.chmod(0o755)


def test_a_capture_is_decoded_with_one_warning(start, capture, tmp_path):
    process = start("decode", capture, "--out", "calls")
    _, said = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0
    assert said.splitlines() == [WARNING]
    assert len(list((tmp_path / "here" / "calls").glob("*.wav"))) == 1


def test_the_demo_passes_with_one_warning(start):
    process = start("demo", "--seconds", "1")
    _, said = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0
    assert said.splitlines() == [WARNING]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_recorder_starts_and_stops_with_one_warning(start, workers):
    process = start("record", "--target", "udp:127.0.0.1:0", "--out", "calls", "--workers", workers, "--duration", "1")
    _, said = process.communicate(timeout=2 * BOUND_S)
    assert process.returncode == 0
    assert said.splitlines()[0] == WARNING
    assert len([line for line in said.splitlines() if "warning" in line and "rmem_max" not in line]) == 1


def test_a_service_starts_and_stops_with_one_warning(start, tmp_path):
    example = subprocess.run([sys.executable, "-m", "strep.cli", "serve", "--example"], capture_output=True, text=True)
    config = example.stdout
    for old, new in (("127.0.0.1:8080", "127.0.0.1:0"), ("udp:0.0.0.0:9000", "udp:127.0.0.1:0")):
        assert old in config
        config = config.replace(old, new)
    (tmp_path / "here" / "strep.toml").write_text(config)
    process = start("serve", "--config", "strep.toml")
    said = []
    for line in process.stderr:
        said.append(line.rstrip())
        if "webhooks at" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0, [*said, rest]
    assert said[0] == WARNING
    assert sum("warning" in line and "rmem_max" not in line for line in said) == 1
