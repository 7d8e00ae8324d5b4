"""Convert finished recordings to their container, beside the receiver: an hour of stereo takes libsndfile seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from strep.sinks.file_policy import FilePolicy
from strep.sinks.recordings.recording import Recording
from strep.sinks.recordings.retries import Retry
from strep.sinks.sidecar import Document, write_sidecar
from strep.sinks.sndfile import Container, convert

#: Some kilobytes each. A call that ends while so many wait stays WAV: the receiver never waits for an encoder.
MOST_PENDING = 16_384


@dataclass(frozen=True, slots=True)
class Converted:
    """Is a recording after its conversion; if that failed, it is as it was, and `error` says why.

    document: of its sidecar, with which the conversion can be tried again; None: there is nothing left to try.
    last: what was given with it.
    """

    recording: Recording
    error: OSError | None = None
    document: Document | None = None
    last: Retry | None = None


class Converter:
    """Converts one recording after the other, in a thread of its own; results come in the order of submission."""

    def __init__(self, container: Container, files: FilePolicy) -> None:
        self._container, self._files = container, files
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="strep-convert")
        self._pending: deque[Future[Converted]] = deque()

    def submit(self, recording: Recording, document: Document, last: Retry | None = None) -> bool:
        """Take a finished WAV recording with its sidecar's document; refuse it (False) when too many wait.

        last: by which this is tried again.
        """
        if len(self._pending) >= MOST_PENDING:
            return False
        work = Converted(recording, None, document, last)
        self._pending.append(self._thread.submit(_convert, work, self._container, self._files))
        return True

    def done(self) -> Iterator[Converted]:
        """Give what is ready, without waiting."""
        while self._pending and self._pending[0].done():
            yield self._pending.popleft().result()

    def close(self) -> Iterator[Converted]:
        """Wait for everything, and give it."""
        while self._pending:
            yield self._pending.popleft().result()
        self._thread.shutdown()


def _convert(work: Converted, container: Container, files: FilePolicy) -> Converted:
    """Convert, let the sidecar speak of the new file, and only then remove the old ones."""
    recording, document = work.recording, work.document
    assert document is not None
    target = recording.path.with_suffix(container.suffix)
    changed = document | {"files": [target.name], "container": container.value}
    if container is Container.OGG_OPUS:
        changed["encoding"] = "opus"
    try:
        convert(recording.parts, target, container, mode=files.file_mode)
        _write_sidecar_or_remove(recording.sidecar_path, changed, target, files)
    except OSError as error:
        return replace(work, error=error)
    converted = replace(recording, path=target, parts=(target,))
    try:
        for part in recording.parts:
            part.unlink(missing_ok=True)
    except OSError as error:  # what is left over is a copy
        return Converted(converted, error)
    return Converted(converted)


def _write_sidecar_or_remove(path: Path, document: Document, target: Path, files: FilePolicy) -> None:
    """Write the sidecar; where that fails, the new file goes, for the old one is still what is told of."""
    try:
        write_sidecar(path, document, mode=files.file_mode, fsync=files.fsync_s is not None)
    except OSError:
        target.unlink(missing_ok=True)
        raise
