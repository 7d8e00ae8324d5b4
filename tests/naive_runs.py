"""Hold long random runs of the engine against the naive model: `python -m tests.naive_runs 10000 [--plain]`.

Loss, reordering, duplicates, wraps, restarts, changes of SSRC and format, pauses, comfort noise. Tests try 200 of them;
a run that differs is told by its number, with which the test of that module finds it again.
"""

from __future__ import annotations

import argparse
import sys

from tests.stream.test_naive_stream import compare, random_steps

_PORTIONS, _TICKS_MS = (1, 7, 1000), (20, 130)
_TOLD_EACH = 1000


def differs(seed: int, *, compiled: bool) -> bool:
    """Play one run to both, and tell whether they differ."""
    portion, tick_ms = _PORTIONS[seed % len(_PORTIONS)], _TICKS_MS[seed % len(_TICKS_MS)]
    try:
        compare(random_steps(seed), portion, tick_ms, compiled=compiled)
    except AssertionError:
        return True
    return False


def main() -> int:
    """Read the command line and play."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=int, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the number of the first (0)")
    parser.add_argument("--plain", action="store_true", help="rules as they stand, not compiled")
    arguments = parser.parse_args()
    found = list[int]()
    for n in range(arguments.runs):
        if differs(arguments.first + n, compiled=not arguments.plain):
            found.append(arguments.first + n)
            print(f"run {found[-1]} differs", flush=True)
        if (n + 1) % _TOLD_EACH == 0:
            print(f"{n + 1:,} runs, {len(found)} differ", flush=True)
    print(f"{arguments.runs:,} runs, {len(found)} differ from the model")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
