"""Receive forked call audio and keep it right.

sink = strep.WriterThread(strep.RecordingSink("calls"))  # in a thread of its own: nobody waits for a disk
async with strep.Receiver("udp:0.0.0.0:9000", sinks=[sink]) as receiver:
    async for stream in receiver:  # each direction of each call leg, as it opens
        async for frame in stream:  # its audio, every sample with a position and a cause
            ...
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strep.audio.block import AudioBlock, AudioFrame, SampleState
    from strep.audio.formats import AudioFormat
    from strep.errors import CaptureFileError, ConfigError, ControlError, ReceiveError, SinkError, StrepError, WireError
    from strep.live.listening import Stream
    from strep.live.offline import CaptureResult, read_capture
    from strep.live.receiver import ReceiveBufferWarning, Receiver
    from strep.net.spool import Spool
    from strep.sinks.base import Sink
    from strep.sinks.recordings import RecordingSink, WriterThread
    from strep.stream.engine import EngineConfig
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

#: What is in which module. A module is imported when one of its names is used: all take half a second.
_NAMES = {
    "strep.audio.block": "AudioBlock AudioFrame SampleState",
    "strep.audio.formats": "AudioFormat",
    "strep.stream.engine": "EngineConfig",
    "strep.errors": "CaptureFileError ConfigError ControlError ReceiveError SinkError StrepError WireError",
    "strep.live.listening": "Stream",
    "strep.net.spool": "Spool",
    "strep.live.offline": "CaptureResult read_capture",
    "strep.live.receiver": "ReceiveBufferWarning Receiver",
    "strep.sinks.base": "Sink",
    "strep.sinks.recordings": "RecordingSink WriterThread",
    "strep.stream.events": "Direction Leg StreamIdentity StreamReport",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
