"""Receive forked call audio and keep it right.

sink = strep.WriterThread(strep.RecordingSink("calls"))  # in a thread of its own: nobody waits for a disk
async with strep.Receiver("udp:0.0.0.0:9000", sinks=[sink]) as receiver:
    async for stream in receiver:  # each direction of each call leg, as it opens
        async for frame in stream:  # its audio, every sample with a position and a cause
            ...
"""

from strep.audio.block import AudioBlock, AudioFrame, SampleState
from strep.audio.formats import AudioFormat
from strep.engine import EngineConfig
from strep.errors import CaptureFileError, ConfigError, ControlError, ReceiveError, SinkError, StrepError, WireError
from strep.listening import Stream
from strep.net.spool import Spool
from strep.offline import CaptureResult, read_capture
from strep.receiver import ReceiveBufferWarning, Receiver
from strep.sinks.base import Sink
from strep.sinks.recordings import RecordingSink, WriterThread
from strep.stream.events import Direction, Leg, StreamIdentity, StreamReport

__all__ = [
    "AudioBlock",
    "AudioFormat",
    "AudioFrame",
    "CaptureFileError",
    "CaptureResult",
    "ConfigError",
    "ControlError",
    "Direction",
    "EngineConfig",
    "Leg",
    "ReceiveBufferWarning",
    "ReceiveError",
    "Receiver",
    "RecordingSink",
    "SampleState",
    "Sink",
    "SinkError",
    "Spool",
    "Stream",
    "StreamIdentity",
    "StreamReport",
    "StrepError",
    "WireError",
    "WriterThread",
    "read_capture",
]
