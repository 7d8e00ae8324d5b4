"""Be a call platform on this machine: the API, a two-party conversation, and real forks of it over UDP.

    platform = Platform()
    call = platform.add_call("PCMU", waits_for_fork=True)
    async with PlatformServer(platform) as server, AsyncClient(DEFAULT_API_KEY, base_url=server.base_url) as client:
        await client.fork_start(call.call_control_id, target="udp:127.0.0.1:9000")

`call.sent` then holds what was sent, to compare a recording with.
"""

from strep.emulator.app import create_app
from strep.emulator.call import Call, CallState
from strep.emulator.codec import CODECS
from strep.emulator.fork import Fork, SentStream
from strep.emulator.media import Impairments
from strep.emulator.platform import DEFAULT_API_KEY, Platform
from strep.emulator.server import PlatformServer
from strep.emulator.speech import conversation

__all__ = [
    "CODECS",
    "DEFAULT_API_KEY",
    "Call",
    "CallState",
    "Fork",
    "Impairments",
    "Platform",
    "PlatformServer",
    "SentStream",
    "conversation",
    "create_app",
]
