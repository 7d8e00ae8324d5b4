"""Do one job in several processes: a supervisor that starts, watches and restarts workers, and adds up their counts."""

from strep.live.workers.ledger import WorkerLedger
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
    "RestartPolicy",
    "Supervisor",
    "WorkerError",
    "WorkerLedger",
    "WorkerProcess",
    "serve",
]
