"""The tests. Each process of theirs has numpy on one thread: with two, they spin while they wait for each other.

Beside two busy processes, tests of tones took 16 s of processor time and 77 s of the clock with two threads; with one
it was 6 s and 17 s.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
