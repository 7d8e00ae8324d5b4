"""Convert finished recordings to their container, beside the receiver: an hour of stereo takes libsndfile seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from strep.sinks.converting import convert_files, remove_superseded
from strep.sinks.file_policy import FilePolicy
from strep.sinks.recordings.recording import Recording
from strep.sinks.recordings.retries import Retry
from strep.sinks.sidecar import Document

#: Some kilobytes each. A call that ends while so many wait stays WAV: the receiver never waits for an encoder.
MOST_PENDING = 16_384


@dataclass(frozen=True, slots=True)
class Converted:
    """A recording after its conversion; if that failed, it is as it was, and `error` says why.

    document: of its sidecar, with which the conversion can be tried again; None: there is nothing left to try.
    last: what was given with it.
    """

    recording: Recording
    error: OSError | None = None
    document: Document | None = None
    last: Retry | None = None


class Converter:
    """A converter that converts one recording after the other, in a thread of its own; results come in the order of
    submission.
    """

    def __init__(self, files: FilePolicy) -> None:
        self._files = files
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="strep-convert")
        self._pending: deque[Future[Converted]] = deque()

    def submit(self, recording: Recording, document: Document, last: Retry | None = None) -> bool:
        """Take a finished WAV recording with its sidecar's document; refuse it (False) when too many wait.

        last: by which this is tried again.
        """
        if len(self._pending) >= MOST_PENDING:
            return False
        self._pending.append(self._thread.submit(_convert, Converted(recording, None, document, last), self._files))
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


def _convert(work: Converted, files: FilePolicy) -> Converted:
    sidecar, document = work.recording.sidecar_path, work.document
    assert document is not None
    mode, fsync = files.file_mode, files.fsync_s is not None
    try:
        document = convert_files(sidecar, document, mode=mode, fsync=fsync)
    except OSError as error:
        return replace(work, error=error)
    target = sidecar.with_name(document["files"][0])
    converted = replace(work.recording, path=target, parts=(target,))
    try:
        remove_superseded(sidecar, document, mode=mode, fsync=fsync)
    except OSError as error:  # what is left over is a copy, which `strep recover` removes
        return Converted(converted, error)
    return Converted(converted)
