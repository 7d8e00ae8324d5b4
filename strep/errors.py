"""Name everything that a caller of strep can do wrong, or that the system can refuse it.

What a peer sends never raises: it is counted under a `strep.wire.fate.Fate`. These are for the caller.

    StrepError
    ├── WireError           bytes that are no such packet, given to a scalar parser by hand
    ├── ConfigError         an argument that cannot work (a malformed target, an unknown codec name)
    ├── CaptureFileError    a file that is no capture, or is cut short before its first packet
    ├── AudioFileError      a file that is no audio of a call, is damaged, or whose sidecar is
    ├── ReceiveError        a socket that cannot be opened (port in use, no such address)
    ├── SinkError           a recording that cannot be written (no such folder, no permission, disk full)
    ├── WorkerError         a worker process that failed too often and was given up (strep.live.workers)
    └── ControlError        the call platform did not do what was asked (see strep.control.errors)
"""


class StrepError(Exception):
    """The root of every exception that strep raises on purpose."""


class StrepWarning(UserWarning):
    """The root of every warning: something works, but not as whoever asked for it may think."""


class WireError(StrepError, ValueError):
    """An error that bytes given to a scalar parser are not such a packet: what was expected, what was found."""


class ConfigError(StrepError, ValueError):
    """An error that says that an argument cannot work, before anything was opened or sent."""


class CaptureFileError(StrepError):
    """An error that says that a file is not a readable capture."""


class AudioFileError(StrepError, ValueError):
    """An error that says that a file is not readable audio of a call, or that its sidecar is not as it was written."""


class ReceiveError(StrepError, OSError):
    """An error that says that a socket could not be opened."""


class SinkError(StrepError, OSError):
    """An error that says that a recording could not be opened or written."""


class ControlError(StrepError):
    """An error that says that the call platform did not do what was asked; `strep.control.errors` has the kinds."""
