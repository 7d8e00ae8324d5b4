"""Do one job in several processes: a supervisor that starts, watches and restarts workers, and adds up their counts."""

from strep.live.workers.ledger import Ledger
from strep.live.workers.messages import Counts, Document, Entry, EntryKind
from strep.live.workers.process import WorkerProcess
from strep.live.workers.restarts import RestartPolicy
from strep.live.workers.supervisor import Supervisor, WorkerError
from strep.live.workers.worker import Job, serve

__all__ = [
    "Counts",
    "Document",
    "Entry",
    "EntryKind",
    "Job",
    "Ledger",
    "RestartPolicy",
    "Supervisor",
    "WorkerError",
    "WorkerProcess",
    "serve",
]
