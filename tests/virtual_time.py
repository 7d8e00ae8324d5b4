"""An event loop whose time passes only when everything in it waits: minutes of waiting take no time, and no chance."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class _Clock(selectors.SelectSelector):
    """Is a selector that lets time pass in place of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits, and for nothing that could come"
            self.now_s += max(timeout, 0.0)
        return ready

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        found = super().get_map()
        assert found is not None
        return found


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s


def run_at_once(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run to the end. Sockets that somebody else writes to would be waited for in vain: there are to be none."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
