"""Be a call platform on this machine: the API, two-party calls with real forks of them over UDP, and signed webhooks.

    platform = Platform(webhook_url="http://127.0.0.1:8080/webhooks")
    async with PlatformServer(platform) as server, AsyncClient(DEFAULT_API_KEY, base_url=server.base_url) as client:
        call = platform.incoming_call("+13125550100", "+13125550199", waits_for_fork=True)
        await client.answer(call.call_control_id)
        await client.fork_start(call.call_control_id, target="udp:127.0.0.1:9000")

`call.sent` then holds what was sent, to compare a recording with. The other party does what it is told to
(`call.send_dtmf("1#", in_band=True)`, `call.hold(Pause.COMFORT_NOISE)`, `call.hang_up()`), and so do the network, the
platform and whoever is dialed, at any time, chance by a seed:
`platform.impairments = Impairments(loss=0.01, jitter_ms=30, seed=1)`,
`platform.faults = Faults(rate_limited=0.1, webhook_repeated=0.1, seed=1)`, `platform.callee = Callee(Outcome.BUSY)`.

For an application in another language, all of that is there over HTTP: `strep emulate`, strep.emulator.control_api.
"""

from strep.emulator.about import CallDirection
from strep.emulator.app import create_app
from strep.emulator.call import EmulatedCall
from strep.emulator.callee import Callee, Outcome
from strep.emulator.codec import CODECS, Party, speech
from strep.emulator.dtmf import Digits
from strep.emulator.faults import Fault, Faults
from strep.emulator.fork import Fork, SentStream
from strep.emulator.impairments import Impairments
from strep.emulator.platform import DEFAULT_API_KEY, DEFAULT_API_SECRET, DEFAULT_CONNECTION_ID, Platform
from strep.emulator.script import Pause
from strep.emulator.server import PlatformServer
from strep.emulator.speech import conversation
from strep.emulator.states import CallState, HangupCause, HangupSource

__all__ = [
    "CODECS",
    "DEFAULT_API_KEY",
    "DEFAULT_API_SECRET",
    "DEFAULT_CONNECTION_ID",
    "CallDirection",
    "CallState",
    "Callee",
    "Digits",
    "EmulatedCall",
    "Fault",
    "Faults",
    "Fork",
    "HangupCause",
    "HangupSource",
    "Impairments",
    "Outcome",
    "Party",
    "Pause",
    "Platform",
    "PlatformServer",
    "SentStream",
    "conversation",
    "create_app",
    "speech",
]
