"""Search the targets for inputs that break a promise: `python -m tests.fuzz [--seconds N] [--target NAME]...`.

Each target is searched in a process of its own, from its corpus and its seeds. An input that breaks a promise goes to
found/, with a line that says how to repeat it; the exit code is 1 then. `--grow` keeps in the corpus what was reached
anew.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import CORPUS, TARGETS, inputs_of, load

HERE = Path(__file__).parent
FOUND = HERE / "found"
#: Of one target, so that all corpora stay well below 1 MB and are replayed in seconds.
_CORPUS_BYTES, _CORPUS_FILES = 100_000, 120
_MOST_INPUT_BYTES = 3208  # tests.fuzz.scenario: 400 steps and the head
#: An input that takes longer is a finding: the slowest ones in the corpora take 0.3 s when nothing else runs.
_TIMEOUT_S = 25
_MEMORY_MB = 2500
#: Of one process: atheris itself takes 5 MB a second, and gives nothing back.
_LONGEST_S = 300
_EXECUTIONS = re.compile(r"stat::number_of_executed_units: (\d+)")
_CORPUS_SIZE = re.compile(r"corp: (\d+)/")


class Outcome(NamedTuple):
    """Is what came of one search."""

    executions: int
    corpus: int
    found: list[Path]
    output: str


def search(target: str, seconds: int, *, grow: bool, seed: int | None = None) -> Outcome:
    """Search one target."""
    FOUND.mkdir(exist_ok=True)
    before = set(FOUND.glob(f"{target}-*"))
    with tempfile.TemporaryDirectory(prefix="strep-fuzz-") as folder:
        for data in inputs_of(target):
            (Path(folder) / hashlib.sha1(data).hexdigest()).write_bytes(data)
        options = [f"-artifact_prefix={FOUND / target}-", "-print_final_stats=1"]
        options += [] if seed is None else [f"-seed={seed}"]
        executions, output, left_s = 0, "", seconds
        while left_s > 0:
            output = _libfuzzer(target, folder, f"-max_total_time={min(left_s, _LONGEST_S)}", *options)
            units = _EXECUTIONS.search(output)
            executions, left_s = executions + (int(units[1]) if units else 0), left_s - _LONGEST_S
            found = sorted(set(FOUND.glob(f"{target}-*")) - before)
            if found or not units:
                break
        if grow:
            _grow(target, folder)
    sizes = _CORPUS_SIZE.findall(output)
    return Outcome(executions, int(sizes[-1]) if sizes else 0, found, output)


def _libfuzzer(target: str, *options: str) -> str:
    bounds = (f"-max_len={_MOST_INPUT_BYTES}", f"-timeout={_TIMEOUT_S}", f"-rss_limit_mb={_MEMORY_MB}")
    # What is slow but within the time-out is no finding: the first input compiles, beside whatever else runs here.
    command = (sys.executable, "-m", "tests.fuzz.search", target, *bounds, f"-report_slow_units={_TIMEOUT_S}", *options)
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace").stdout


def _grow(target: str, folder: str) -> None:
    """Keep inputs that reached something new, of all sizes, as far as there is room."""
    seeds = set(load(target).seeds())
    reached = [data for path in Path(folder).iterdir() if (data := path.read_bytes()) not in seeds]
    reached.sort(key=lambda data: (len(data), data))
    corpus, left_bytes = CORPUS / target, _CORPUS_BYTES
    corpus.mkdir(parents=True, exist_ok=True)
    for old in corpus.iterdir():
        old.unlink()
    for data in reached[:: max(1, len(reached) // _CORPUS_FILES)]:
        left_bytes -= len(data)
        if left_bytes >= 0:
            (corpus / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


def repeat(paths: list[Path]) -> None:
    """Run single inputs, which are named after their targets or lie in its corpus, to see how they fail."""
    for path in paths:
        named = path.name.partition("-")[0]
        target = named if named in TARGETS else path.absolute().parent.name
        load(target).run(path.read_bytes())


def main() -> int:
    """Run the program; returns the exit code."""
    about = "\n".join(f"  {name}: {what}" for name, what in TARGETS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=f"{__doc__}\n{about}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=int, default=60, help="for each target (%(default)s)")
    parser.add_argument("--target", action="append", choices=TARGETS, help="repeatable; all of them when not given")
    parser.add_argument("--seed", type=int, help="search in the order of this number; in another one each time without")
    parser.add_argument("--jobs", type=int, default=1, help="targets at one time (%(default)s)")
    parser.add_argument("--grow", action="store_true", help="keep what was reached anew in the corpus")
    parser.add_argument(
        "--repeat", type=Path, nargs="+", metavar="INPUT", help="run these inputs only, and fail as they do"
    )
    options = parser.parse_args()
    if options.repeat:
        repeat(options.repeat)
        return 0
    if find_spec("atheris") is None:
        parser.error("expected atheris (pip install -e '.[dev,fuzz]'), found none")
    names = options.target or list(TARGETS)
    failed = False
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = pool.map(lambda name: search(name, options.seconds, grow=options.grow, seed=options.seed), names)
        for name, outcome in zip(names, outcomes, strict=True):
            failed |= _tell(name, outcome)
    return int(failed)


def _tell(name: str, outcome: Outcome) -> bool:
    """Print what came of a search; tell whether it found something, or did not run at all."""
    counts = f"{outcome.executions:8} executions, {outcome.corpus:5} in corpus, {len(outcome.found)} found"
    print(f"{name:10} {counts}", flush=True)
    for path in outcome.found:
        print(f"  python -m tests.fuzz --repeat {path}")
    if outcome.found or not outcome.executions:
        print(outcome.output[-3000:])
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
