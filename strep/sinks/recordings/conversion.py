"""Convert finished recordings to their container, beside the receiver: an hour of stereo takes libsndfile seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from strep.sinks.recordings.recording import Recording
from strep.sinks.sidecar import Document, write_sidecar
from strep.sinks.sndfile import Container, convert

#: Some kilobytes each. A call that ends while so many wait stays WAV: the receiver never waits for an encoder.
MOST_PENDING = 16_384


@dataclass(frozen=True, slots=True)
class Converted:
    """Is a recording after its conversion; if that failed, it is as it was, and `error` says why."""

    recording: Recording
    error: OSError | None = None


class Converter:
    """Converts one recording after the other, in a thread of its own; results come in the order of submission."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="strep-convert")
        self._pending: deque[Future[Converted]] = deque()

    def submit(self, recording: Recording, document: Document) -> bool:
        """Take a finished WAV recording with its sidecar's document; refuse it (False) when too many wait."""
        if len(self._pending) >= MOST_PENDING:
            return False
        self._pending.append(self._thread.submit(_convert, recording, document, self._container))
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


def _convert(recording: Recording, document: Document, container: Container) -> Converted:
    """Convert, let the sidecar speak of the new file, and only then remove the old ones."""
    target = recording.path.with_suffix(container.suffix)
    document = document | {"files": [target.name], "container": container.value}
    if container is Container.OGG_OPUS:
        document["encoding"] = "opus"
    try:
        convert(recording.parts, target, container)
        write_sidecar(recording.sidecar_path, document)
        for part in recording.parts:
            part.unlink()
    except OSError as error:
        return Converted(recording, error)
    return Converted(replace(recording, path=target, parts=(target,)))
