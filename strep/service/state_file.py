"""Keep on disk which calls go on, for a service that is started after this one was killed.

The file is written before a fork command is sent, so that there is no forked call that it does not name; and it is
always whole (strep.sinks.atomic). It holds what webhooks said of the calls, and no secrets.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from strep.sinks.atomic import replace_file

_log = logging.getLogger(__name__)
_VERSION = 1
#: It holds phone numbers and client states: nobody else's business.
_MODE = 0o600
#: Some 1 KB a call, and client_state of up to 11 KB; a file that is larger than this was not written by us.
_LARGEST_BYTES = 256 << 20
#: Calls that are answered together share a write, which takes some 10 ms with 1,000 calls; a fork waits for it so long,
#: or for so many times what the write before took, and for the disk.
_GATHER_S, _GATHER_TIMES = 0.01, 5.0

_MOST_GATHER_S = 0.05

Document = dict[str, Any]


class StateFile:
    """A state file that writes what `calls` gives: a document for each call that is to be kept. failures: what could
    not be written.
    """

    def __init__(self, path: Path, calls: Callable[[], Iterable[Document]]) -> None:
        self.path = path
        self.failures = 0
        self._calls = calls
        self._wanted = self._written = 0
        self._writing: asyncio.Task[None] | None = None
        self._took_s = 0.0

    def read(self) -> list[Document]:
        """Read what the service before this one wrote. A file that cannot be read is put aside, and is no calls."""
        try:
            if self.path.stat().st_size > _LARGEST_BYTES:
                raise ValueError("it is too large")
            return _calls_of(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return []
        except (OSError, ValueError, RecursionError) as error:
            self._put_aside(error)
            return []

    async def save(self) -> None:
        """Return when what is the state now is on disk, or could not be written, which is logged and counted."""
        self._wanted += 1
        mine = self._wanted
        while self._written < mine:
            if self._writing is None:
                self._writing = asyncio.create_task(self._write(), name="strep state file")
            await asyncio.shield(self._writing)

    async def _write(self) -> None:
        await asyncio.sleep(max(_GATHER_S, _GATHER_TIMES * self._took_s))
        number, began_s = self._wanted, time.monotonic()
        content = json.dumps({"version": _VERSION, "calls": list(self._calls())}).encode()
        self._took_s = min(time.monotonic() - began_s, _MOST_GATHER_S)
        try:
            await asyncio.to_thread(replace_file, self.path, content, mode=_MODE)
        except OSError as error:
            self.failures += 1
            _log.error("cannot write %s: %s", self.path, error.strerror or error)
        finally:
            self._written, self._writing = number, None

    def _put_aside(self, error: Exception) -> None:
        self.failures += 1
        aside = self.path.with_name(self.path.name + ".unreadable")
        _log.error("cannot read %s, calls that go on are not found again: %s", self.path, error)
        try:
            self.path.replace(aside)
        except OSError:
            _log.error("cannot rename it to %s", aside)


def _calls_of(document: object) -> list[Document]:
    if not isinstance(document, Mapping) or document.get("version") != _VERSION:
        raise ValueError(f"expected version {_VERSION} of the state file")
    calls = document.get("calls")
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise ValueError("expected a list of calls")
    return calls
