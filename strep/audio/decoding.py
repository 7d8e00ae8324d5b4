"""Decode the payloads of many streams, each by its stream's own decoder, on as many cores as may be used.

libavcodec decodes without the interpreter's lock, so threads help: of a payload's time, the lock is held for some 3 µs
(G.722 then takes 10 in all, Opus 30). Which thread decodes a payload makes no difference to its samples or their place.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from strep.audio.decoders import Decoder

#: A thread takes some 50 µs to begin: below so many payloads each (150 µs of G.722), it is not worth waking.
PAYLOADS_A_THREAD = 16
#: The lock is held for a third of G.722's time, and a tenth of Opus's: more threads would mostly wait for it.
MOST_THREADS = 4


class Decoding:
    """What decodes rows of payloads.

    threads: how many, the caller's included; None: one for each core that the process may use, when first asked.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def decode(self, decoders: Sequence[Decoder], payloads: Sequence[bytes], samples: int) -> NDArray[np.int16]:
        """Decode payload n by decoder n, each of so many samples, to int16[n, samples]; no decoder may be there twice.

        Never raises for what the bytes are.
        """
        rows = np.zeros((len(payloads), samples), np.int16)
        parts = self._parts(len(payloads))
        if parts == 1:
            _decode(decoders, payloads, rows)
            return rows
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads - 1, thread_name_prefix="strep decoding")
        cuts = [len(payloads) * part // parts for part in range(parts + 1)]
        own, *others = (slice(start, stop) for start, stop in itertools.pairwise(cuts))
        begun = [self._pool.submit(_decode, decoders[part], payloads[part], rows[part]) for part in others]
        _decode(decoders[own], payloads[own], rows[own])
        for part in begun:
            part.result()
        return rows

    def _parts(self, payloads: int) -> int:
        if payloads < 2 * PAYLOADS_A_THREAD:
            return 1
        return min(self.threads, payloads // PAYLOADS_A_THREAD)

    @functools.cached_property
    def threads(self) -> int:
        """Count the threads, the caller's included."""
        return self._threads or min(_allowed_cores(), MOST_THREADS)


def _decode(decoders: Sequence[Decoder], payloads: Sequence[bytes], rows: NDArray[np.int16]) -> None:
    for decoder, payload, row in zip(decoders, payloads, rows, strict=True):
        decoder.decode_into(payload, row)


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
