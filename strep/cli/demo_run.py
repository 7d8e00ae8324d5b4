"""Run the demo's call: a platform on a local port, a command by HTTP, a fork over UDP, a recording."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from strep.cli.signals import Interrupted, stop_event
from strep.control import AsyncClient
from strep.emulator import CODECS, DEFAULT_API_KEY, Platform, PlatformServer, SentStream
from strep.emulator.codec import PACKETS_PER_SECOND, encoded_conversation
from strep.live.receiver import Receiver
from strep.sinks.recordings import RecordingSink
from strep.stream.events import Direction, Leg

#: A hundred datagrams a second need no more, and every system grants so much.
_RECEIVE_BUFFER_BYTES = 128 << 10
_PROGRESS_S = 0.1


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What was sent, and what became of it. sent: of leg A, by direction."""

    base_url: str
    target: str
    sent: Mapping[Direction, SentStream]
    datagrams: Mapping[str, int]
    kernel_drops: int


async def fork_and_record(
    encoding: str, seconds: float, sink: RecordingSink, progress: Callable[[float], None]
) -> DemoRun:
    """Fork a call from its first word on for so many seconds, into `sink`, which is closed then.

    encoding: one of CODECS. progress: is told now and then for how many seconds the fork runs. Raises Interrupted when
    a signal comes.
    """
    codec, platform = CODECS[encoding], Platform()
    conversation_s = len(encoded_conversation(encoding)[0]) / PACKETS_PER_SECOND
    repeats = math.floor(seconds / conversation_s) + 1  # the parties must not hang up before the fork is stopped
    call = platform.add_call(encoding, waits_for_fork=True, repeats=repeats)
    receiver = Receiver(
        "udp:127.0.0.1:0",
        sinks=[sink],
        payload_types={codec.payload_type: codec.format},
        receive_buffer_bytes=_RECEIVE_BUFFER_BYTES,
    )
    async with PlatformServer(platform) as server, receiver:
        target = str(receiver.addresses[0])
        async with AsyncClient(DEFAULT_API_KEY, base_url=server.base_url) as client:
            started = await client.fork_start(call.call_control_id, target=target)
            with stop_event() as stopped:
                await _let_pass(seconds, stopped, progress)
            await client.fork_stop(call.call_control_id, stream_type=started.stream_type)
        await receiver.stop()
        sent = {direction: call.sent[Leg.A, direction] for direction in Direction}
    return DemoRun(server.base_url, target, sent, receiver.counts(), receiver.kernel_drops)


async def _let_pass(seconds: float, stopped: asyncio.Event, progress: Callable[[float], None]) -> None:
    began_s = time.monotonic()
    while (done_s := time.monotonic() - began_s) < seconds:
        progress(done_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopped.wait(), min(_PROGRESS_S, seconds - done_s))
        if stopped.is_set():
            raise Interrupted
