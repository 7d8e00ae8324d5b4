"""Do one job in several processes: a supervisor that starts, watches and restarts workers, and adds up their counts."""

from strep.workers.ledger import Ledger
from strep.workers.messages import Counts, Document, Entry, EntryKind
from strep.workers.process import WorkerProcess
from strep.workers.restarts import RestartPolicy
from strep.workers.supervisor import Supervisor, WorkerError
from strep.workers.worker import Job, serve

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
