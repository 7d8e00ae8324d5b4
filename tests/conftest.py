"""Fixtures shared by all rooms."""

import gc
import os
import shutil
import signal
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import compiling

# Shared machines are slow now and then, and a deadline would be a timing assert. CI looks further than a user's run.
# Each run tries the same examples: to look for new ones is what tests/fuzz is for.
settings.register_profile("strep", derandomize=True, deadline=None, max_examples=10)
settings.register_profile("thorough", derandomize=True, deadline=None, max_examples=100)
PROFILE = os.environ.get("STREP_TEST_PROFILE", "strep")
settings.load_profile(PROFILE)

# Thousands of tests are made while they are collected, and next to nothing is given up: to look through all of it for
# what might be, again and again, was half of the time that this took. What is there when it ends stays to the end.
gc.disable()


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Let `-n auto` be one more than there are cores: tests of calls in real time and of other processes wait."""
    workers = yield
    return workers + ("PYTEST_XDIST_AUTO_NUM_WORKERS" not in os.environ)


def pytest_configure(config: pytest.Config) -> None:
    """Hear signals, and compile while tests are collected."""
    # In the background of a shell or under nohup, some are ignored, and would be by the programs that the tests start.
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if config.option.collectonly:
        return
    process = compiling.begin()
    config.add_cleanup(lambda: compiling.end(process))


def pytest_collection_finish() -> None:
    """Collect garbage again, of what the tests make, and let none of them measure how long it takes to compile."""
    gc.freeze()
    gc.enable()
    compiling.wait()


CAPTURES = Path(__file__).resolve().parents[2] / "shared" / "captures"


#: Tests that are run only when they are asked for by name of their marker, and why.
LEFT_OUT = {
    "soak": "takes tens of seconds",
    "bench": "wants the machine for itself",
    "thorough": "takes seconds, and is near to another that is run",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for every run, unless it is asked for by -m, or by the thorough profile."""
    for marker, reason in LEFT_OUT.items():
        if marker != PROFILE and marker not in config.getoption("-m"):
            skip = pytest.mark.skip(reason=f"{reason}: ask for it by -m {marker}")
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(skip)


@pytest.fixture
def need() -> Callable[..., None]:
    """Skip a peer's test where the peer is missing, or fail it where peers are required (CI)."""

    def check(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing and os.environ.get("STREP_REQUIRE_PEERS") == "1":
            pytest.fail(f"peers are required here, but {', '.join(missing)} is not installed")
        if missing:
            pytest.skip(f"needs {', '.join(missing)}")

    return check


@pytest.fixture
def captures() -> Path:
    """Give the folder of real captures, where it exists."""
    if not CAPTURES.is_dir():
        pytest.skip("needs the folder of real captures beside the checkout")
    return CAPTURES
