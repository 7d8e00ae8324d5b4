"""The options of `strep record` but for where to receive, as they go to whoever records: this process, or workers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from strep.cli.options import ENGINE, FileFormat
from strep.cli.output import Document
from strep.net.opening import Receive
from strep.net.spool import SPOOL_BYTES
from strep.sinks.recordings import Encoding, FilePolicy, LargeFiles, Layout, QueueLimits
from strep.sinks.retention import RetentionLimits


@dataclass(frozen=True, slots=True)
class Reception:
    """A choice of what is received and whether it is kept as it came: see strep.Receiver and strep.net.spool.Spool."""

    allow: tuple[str, ...] | None = None
    strep_only: bool = False
    spool: Path | None = None
    spool_bytes: int = SPOOL_BYTES
    spool_name: str = ""
    receive: Receive = Receive.SOCKET

    @classmethod
    def read(cls, document: Document) -> Reception:
        """Read what RecorderOptions.describe made."""
        given = document | {"allow": document["allow"] and tuple(document["allow"]), "spool": _path(document["spool"])}
        given["receive"] = Receive(document["receive"])
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Listening:
    """A choice of plugins (--plugins), their settings (--set), and where events go to (--events)."""

    plugins: str | None = None
    settings: tuple[str, ...] = ()
    events: Path | None = None

    @classmethod
    def read(cls, document: Document) -> Listening:
        """Read what RecorderOptions.describe made."""
        return cls(document["plugins"], tuple(document["settings"]), _path(document["events"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderOptions:
    """The options of one recorder, or of a group of them. retention: is for whoever starts them to keep."""

    out: Path
    layout: Layout = Layout.STEREO
    encoding: Encoding = Encoding.PCM16
    file_format: FileFormat = FileFormat.WAV
    pt: tuple[str, ...] = ()
    playout_delay_ms: int = ENGINE.playout_delay_ms
    idle_timeout_s: int = ENGINE.idle_timeout_s
    max_calls: int = ENGINE.max_calls
    reception: Reception = field(default_factory=Reception)
    listening: Listening = field(default_factory=Listening)
    files: FilePolicy = field(default_factory=FilePolicy)
    queue: QueueLimits = field(default_factory=QueueLimits)
    retention: RetentionLimits = field(default_factory=RetentionLimits)

    def describe(self) -> Document:
        """Make a document of the options, for another process."""
        document: Document = asdict(self)
        for group, name in ((document, "out"), (document["reception"], "spool"), (document["listening"], "events")):
            group[name] = group[name] and str(group[name])
        return document

    @classmethod
    def read(cls, document: Document) -> RecorderOptions:
        """Read what `describe` made."""
        files = document["files"]
        given = document | {
            "out": Path(document["out"]),
            "layout": Layout(document["layout"]),
            "encoding": Encoding(document["encoding"]),
            "file_format": FileFormat(document["file_format"]),
            "pt": tuple(document["pt"]),
            "reception": Reception.read(document["reception"]),
            "listening": Listening.read(document["listening"]),
            "files": FilePolicy(**files | {"large_files": LargeFiles(files["large_files"])}),
            "queue": QueueLimits(**document["queue"]),
            "retention": RetentionLimits(**document["retention"]),
        }
        return cls(**given)

    def of_worker(self, index: int) -> RecorderOptions:
        """Give a worker's own options: each writes a file of events and a series of the spool for itself."""
        events = self.listening.events
        own = events and events.with_stem(f"{events.stem}-{index + 1}")
        return replace(
            self,
            listening=replace(self.listening, events=own),
            reception=replace(self.reception, spool_name=f"w{index + 1}"),
        )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
