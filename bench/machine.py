"""Say what a number was measured on, and keep a process on one core."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from bench import BenchError

#: Where sending and receiving run. The kernel's receive path over loopback runs on the sender's core.
SENDER_CPU, RECEIVER_CPU = 0, 1
_PACKAGES = ("numpy", "uvloop", "aiortc")


def describe_machine() -> dict[str, Any]:
    """Name processor, system and versions; load_average is the last minute's, before the bench."""
    described: dict[str, Any] = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    for package in _PACKAGES:
        try:
            described[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            described[package] = None
    return described | {"load_average": round(os.getloadavg()[0], 2)}


def pin(cpu: int | None) -> None:
    """Keep this process on one core; None: leave it free. Raises BenchError when there is no such core."""
    if cpu is None:
        return
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError as error:
        raise BenchError(f"expected a core number {cpu} to run on, found {os.cpu_count()} cores ({error})") from error


def file_system_of(path: Path) -> str:
    """Name the kind of file system that a folder is on, as Linux does: "ext4", "tmpfs"; "unknown" elsewhere."""
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    below = [(point, kind) for point, kind in mounts if path.resolve().is_relative_to(point)]
    return max(below, key=lambda mount: len(mount[0]))[1]


def _processor() -> str:
    """Name the processor as Linux does, elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
