"""Share among the recordings of one sink what they have in common: where and how they are written, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strep.sinks.descriptors import DescriptorCache
from strep.sinks.file_policy import FilePolicy
from strep.sinks.locks import RecorderLock
from strep.sinks.recordings.about import CallAbout
from strep.sinks.recordings.recording import Failure, Layout
from strep.sinks.recordings.rings import Rings
from strep.sinks.sndfile import Container
from strep.sinks.wav_file import Encoding
from strep.stream.events import StreamIdentity


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """What all takes of a sink share."""

    directory: Path
    layout: Layout
    encoding: Encoding
    container: Container
    max_part_bytes: int
    max_gaps: int
    files: FilePolicy
    descriptors: DescriptorCache
    lock: RecorderLock
    rings_for: Callable[[int], Rings]
    failed: Callable[[Failure], None]
    about: Callable[[StreamIdentity], CallAbout | None] | None = None
