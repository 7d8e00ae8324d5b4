"""Finish recordings that are over: the last sidecar, the conversion, and both again until they work.

A recording is told of when nothing is left to do for it but its sidecar: one in WAV at once, another when it was
converted. What fails is told each time, and tried again by strep.sinks.recordings.retries; `close` tries it once more,
and then what could not be converted is told of as the WAV that it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from strep.sinks.file_policy import FilePolicy
from strep.sinks.recordings.conversion import MOST_PENDING, Converted, Converter
from strep.sinks.recordings.recording import Failure, Recording
from strep.sinks.recordings.retries import MOST_WAITING, Retries, Retry
from strep.sinks.sidecar import Document, write_sidecar
from strep.sinks.sndfile import Container


class Finishing:
    """The recordings that are over but not finished. recorded, failed: are told what came of them."""

    def __init__(
        self,
        container: Container,
        files: FilePolicy,
        recorded: Callable[[Recording], object],
        failed: Callable[[Failure], object],
    ) -> None:
        self._files, self._recorded, self._failed = files, recorded, failed
        self._converter = None if container is Container.WAV else Converter(files)
        self._retries = Retries()
        self._now_ns = 0
        self._is_closing = False

    def take(self, recording: Recording, document: Document, now_ns: int) -> None:
        """Take a recording whose audio is complete, with what its sidecar is to say."""
        self._now_ns = now_ns
        self._write_sidecar(recording, document)
        if self._converter is None:
            self._recorded(recording)
        else:
            self._convert(recording, document)

    def advance(self, now_ns: int) -> None:
        """Try again what it is time for, and tell of what was converted."""
        self._now_ns = now_ns
        for retry in self._retries.due(now_ns):
            retry.act(retry)
        if self._converter:
            for result in self._converter.done():
                self._conclude(result)

    def close(self) -> None:
        """Try everything once more, wait for conversions, and tell of all that there is."""
        self._is_closing = True
        for retry in self._retries.take_all():
            retry.act(retry)
        if self._converter:
            for result in self._converter.close():
                self._conclude(result)

    def _write_sidecar(self, recording: Recording, document: Document, last: Retry | None = None) -> None:
        try:
            write_sidecar(
                recording.sidecar_path,
                document,
                mode=self._files.file_mode,
                fsync=self._files.fsync_s is not None,
            )
        except OSError as error:
            self._fail(recording, str(error))
            if self._converter is None:  # a conversion writes it anyway
                self._again(recording, partial(self._write_sidecar, recording, document), last)

    def _convert(self, recording: Recording, document: Document, last: Retry | None = None) -> None:
        assert self._converter is not None
        if not self._converter.submit(recording, document, last):
            self._fail(recording, f"{MOST_PENDING} conversions are waiting; it stays WAV")
            self._recorded(recording)

    def _conclude(self, result: Converted) -> None:
        recording, document = result.recording, result.document
        if result.error:
            self._fail(recording, str(result.error))
        if document is None:
            self._recorded(recording)
        elif not all(part.exists() for part in recording.parts):
            self._fail(recording, f"{recording.path} was deleted or moved before it could be converted")
        elif self._is_closing or not self._again(recording, partial(self._convert, recording, document), result.last):
            self._recorded(recording)

    def _again(self, recording: Recording, act: Callable[[Retry], None], last: Retry | None) -> bool:
        """Have an act tried again later, which is given its Retry; tell whether there is room for it."""
        if self._is_closing:
            return False
        taken = self._retries.add(act, self._now_ns, last)
        if not taken:
            self._fail(recording, f"{MOST_WAITING} others wait to be finished; it stays as it is")
        return taken

    def _fail(self, recording: Recording, reason: str) -> None:
        self._failed(Failure(recording.identities[0].call, reason))
