"""Look after the file of a recording while it grows: whether it is still there, and when the disk is waited for."""

from __future__ import annotations

from collections.abc import Callable

from strep.sinks.locks import RecorderLock
from strep.sinks.wav_file import WavParts

#: How often it is looked whether the file is still there: 12 us for each, on a busy machine.
_LOOK_EVERY_NS = 3 * 10**9


class Upkeep:
    """The care of one recording's file. Nothing that the system refuses raises here but in `renew`.

    fsync_s: how often to wait until what was written is on the disk; None or 0: never while the file grows.
    lock: of the recorder, which is looked after as well, for it may have gone with its folder.
    lost: is told which frames went with a file that was deleted, moved or replaced: from, and up to but without.
    failed: is told what went wrong.
    """

    def __init__(
        self,
        fsync_s: float | None,
        begun_ns: int,
        lock: RecorderLock,
        lost: Callable[[int, int], object],
        failed: Callable[[OSError], object],
    ) -> None:
        self._fsync_ns = int((fsync_s or 0) * 10**9)
        self._lock, self._lost, self._failed = lock, lost, failed
        self._looked_ns = self._synced_ns = begun_ns

    def look(self, file: WavParts, now_ns: int) -> bool:
        """See now and then whether all of it is still there; tell whether some of it was begun again."""
        if now_ns - self._looked_ns < _LOOK_EVERY_NS:
            return False
        self._looked_ns = now_ns
        try:
            return self.renew(file)
        except OSError as error:
            self._failed(error)
            return False

    def renew(self, file: WavParts) -> bool:
        """Begin again what was deleted, moved or replaced; tell whether anything was. Raises OSError."""
        any_lost = False
        self._lock.hold()
        for path, begin, end in file.renew():
            any_lost = True
            self._lost(begin, end)
            self._failed(FileNotFoundError(f"{path} was deleted, moved or replaced: it is begun again"))
        return any_lost

    def sync(self, file: WavParts, now_ns: int) -> None:
        """Wait for the disk if it is time to."""
        if not self._fsync_ns or now_ns - self._synced_ns < self._fsync_ns:
            return
        self._synced_ns = now_ns
        try:
            file.sync()
        except OSError as error:
            self._failed(error)
