"""Finish cleanly on SIGINT and SIGTERM. The second signal does not wait."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 -- it is what the user wanted, not a fault
    """Says that a signal ended a command before it was done."""


@contextlib.contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """Give an event of the running loop that the first signal sets."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def give_back() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])

    def stop() -> None:
        stopped.set()
        give_back()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        if not stopped.is_set():
            give_back()


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Give a check that raises Interrupted after a signal, so that nothing is torn apart in the middle."""
    arrived = False
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True
        give_back()

    def give_back() -> None:
        for number in _SIGNALS:
            signal.signal(number, before[number])

    def check() -> None:
        if arrived:
            raise Interrupted

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield check
    finally:
        give_back()
