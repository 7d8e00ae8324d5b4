"""Finish cleanly on SIGINT, SIGTERM and SIGHUP. A second SIGINT or SIGTERM does not wait.

SIGHUP says that the terminal was closed. Shell and kernel may each send one, so the second is passed over; and who
ignores it from the start (nohup) is not ended by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)  # not everywhere


def ending_signals() -> list[signal.Signals]:
    """List the signals that end a command: SIGINT, SIGTERM, and SIGHUP unless it is ignored."""
    if _HANGUP is None or signal.getsignal(_HANGUP) is signal.SIG_IGN:
        return list(_SIGNALS)
    return [*_SIGNALS, _HANGUP]


class Interrupted(Exception):  # noqa: N818 -- it is what the user wanted, not a fault
    """An error that says that a signal ended a command before it was done."""


@contextlib.contextmanager
def stop_event() -> Iterator[asyncio.Event]:
    """Give an event of the running loop that the first signal sets."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    before = {number: signal.getsignal(number) for number in ending_signals()}

    def give_back() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            _ignore_hangup()
            give_back()

    for number in before:
        loop.add_signal_handler(number, stop)
    try:
        yield stopped
    finally:
        if not stopped.is_set():
            give_back()
        if _HANGUP is not None and _HANGUP in before:
            loop.remove_signal_handler(_HANGUP)
            # The files are yet to be finished: once we stop, the terminal's end must not keep us from that.
            signal.signal(_HANGUP, signal.SIG_IGN if stopped.is_set() else before[_HANGUP])


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Give a check that raises Interrupted after a signal, so that nothing is torn apart in the middle."""
    arrived = False
    before = {number: signal.getsignal(number) for number in ending_signals()}

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal arrived
        arrived = True
        _ignore_hangup()
        give_back(_SIGNALS)

    def give_back(numbers: Iterable[signal.Signals]) -> None:
        for number in numbers:
            signal.signal(number, before[number])

    def check() -> None:
        if arrived:
            raise Interrupted

    for number in before:
        signal.signal(number, note)
    try:
        yield check
    finally:
        give_back(before)


def _ignore_hangup() -> None:
    if _HANGUP is not None:
        signal.signal(_HANGUP, signal.SIG_IGN)
