"""Record calls: `RecordingSink` is the sink, the other modules are its parts."""

from strep.sinks.file_policy import FilePolicy, LargeFiles
from strep.sinks.recordings.about import CallAbout
from strep.sinks.recordings.recording import Failure, Layout, Recording
from strep.sinks.recordings.sink import RecordingSink
from strep.sinks.recordings.writer_thread import QueueLimits, WriterThread, share_interpreter
from strep.sinks.sndfile import Container
from strep.sinks.wav_file import Encoding

__all__ = [
    "CallAbout",
    "Container",
    "Encoding",
    "Failure",
    "FilePolicy",
    "LargeFiles",
    "Layout",
    "QueueLimits",
    "Recording",
    "RecordingSink",
    "WriterThread",
    "share_interpreter",
]
