"""Drive calls on the platform: every command of its API, with typed parameters and errors by meaning.

with Client() as client:  # the key from TELNYX_API_KEY
    fork = client.fork_start(call_control_id, target="udp:198.51.100.7:9000")
    ...
    client.fork_stop(call_control_id, stream_type=fork.stream_type)
"""

from strep.control.client import AsyncClient, Client
from strep.control.commands import (
    COMMANDS,
    CallCommand,
    Command,
    CommandResult,
    ForkStart,
    ForkStarted,
    ForkStop,
    StreamType,
)
from strep.control.errors import (
    AlreadyActive,
    AudioNotStarted,
    CallEnded,
    CommandFailed,
    CommandRefused,
    ConferenceEnded,
    InvalidParameter,
    LimitReached,
    MediaUnavailable,
    NotAnswered,
    NotAuthorised,
    NotForked,
    NotFound,
    PlatformUnreachable,
    PrivateAddressWarning,
    RateLimited,
    ServerError,
    StreamingInUse,
    UnexpectedAnswer,
)
from strep.control.ledger import SendingCounts
from strep.control.retries import Outcome, RetryPolicy

__all__ = [
    "COMMANDS",
    "AlreadyActive",
    "AsyncClient",
    "AudioNotStarted",
    "CallCommand",
    "CallEnded",
    "Client",
    "Command",
    "CommandFailed",
    "CommandRefused",
    "CommandResult",
    "ConferenceEnded",
    "ForkStart",
    "ForkStarted",
    "ForkStop",
    "InvalidParameter",
    "LimitReached",
    "MediaUnavailable",
    "NotAnswered",
    "NotAuthorised",
    "NotForked",
    "NotFound",
    "Outcome",
    "PlatformUnreachable",
    "PrivateAddressWarning",
    "RateLimited",
    "RetryPolicy",
    "SendingCounts",
    "ServerError",
    "StreamType",
    "StreamingInUse",
    "UnexpectedAnswer",
]
