"""Add up what workers report, those that died included."""

from __future__ import annotations

from collections import deque

from strep.live.workers.messages import Counts, Document, EntryKind, Message


class WorkerLedger:
    """A ledger that holds the latest counts of every worker, the last ones of the dead, and what they finished.

    recordings, failures: the last `keep` documents of each; `total` says how many there were.
    restarts: how often a worker was started again. cut_short: recordings that were under way when their worker died.
    A worker that dies unheard takes what it did since its last report with it: that is in no sum.
    """

    def __init__(self, workers: int, keep: int) -> None:
        self.recordings: deque[Document] = deque(maxlen=keep)
        self.failures: deque[Document] = deque(maxlen=keep)
        self.restarts = 0
        self.cut_short = 0
        self._latest = [Counts()] * workers
        self._settled = Counts()

    def take(self, index: int, message: Message) -> None:
        """Take one message of worker `index`."""
        if isinstance(message, Counts):
            self._latest[index] = message
        elif message.kind is EntryKind.RECORDING:
            self.recordings.append(message.document)
        elif message.kind is EntryKind.FAILURE:
            self.failures.append(message.document)

    def end(self, index: int) -> Counts:
        """Settle the counts of worker `index`, which has ended; returns its last ones."""
        last, self._latest[index] = self._latest[index], Counts()
        self._settled += last.without_the_living()
        return last

    @property
    def total(self) -> Counts:
        """Add up all workers, dead and alive."""
        return sum(self._latest, self._settled)
