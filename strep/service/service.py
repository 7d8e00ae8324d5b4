"""Be the service: webhooks in, fork commands out, forked audio recorded as what call it is. Where control meets media.

    platform ──webhooks──> WebhookInbox ──> Switchboard ──acts──> Forks ──commands──> platform
                                                │      ^
                                        admits, about  │ events of streams
                                                v      │
    platform ──forked audio──────────────────> Reception ──> recordings and their sidecars

The switchboard decides, without I/O; Forks does it; all of it runs in one event loop with the receivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any

from strep.alarms import Alarms, warn
from strep.control.client import AsyncClient
from strep.control.webhooks import webhook_app
from strep.errors import ConfigError, StrepError
from strep.live.listening import Stream
from strep.live.receiver import Receiver
from strep.net.address import UdpAddress
from strep.net.http_server import HttpServer
from strep.service.calls import Act, Call
from strep.service.commanding import Commander
from strep.service.config import ServiceConfig
from strep.service.events import CallView, ServiceEvent
from strep.service.forking import Forks
from strep.service.hooks import Hook, StreamHook, is_async
from strep.service.reception import Answers, Reception
from strep.service.refusals import RefusalReport, refusals_of
from strep.service.switchboard import Switchboard, Wires
from strep.service.upkeep import Upkeep

_log = logging.getLogger(__name__)
_TICK_S = 0.1
#: Of the 5 s that an end may take, what hooks get to do what waits for them.
_STOP_HOOKS_S = 0.5


class Service:
    """A service that forks and records calls by itself, until it is left.

        async with Service(load_config("strep.toml"), on_stream=listen) as service:
            await service.wait()

    on_call: gets a CallView whenever a call came to another phase. on_event: gets every ServiceEvent. Both may be plain
    functions, which run in threads of their own, or async. on_stream: an async function that gets the CallView (None
    for a call that is not known) and each Stream that opens, and may iterate it as long as it likes. None of them can
    hurt the service: see strep.service.hooks. client: to send commands with, in place of one from the configuration.
    clock_ns: the wall clock.

    Entering raises ConfigError, ReceiveError and SinkError. Leaving stops within 5 s; a recording that is converted to
    FLAC or Ogg Opus can take longer.
    """

    def __init__(
        self,
        config: ServiceConfig,
        *,
        on_call: Callable[[CallView], Any] | None = None,
        on_stream: Callable[[CallView | None, Stream], Any] | None = None,
        on_event: Callable[[ServiceEvent], Any] | None = None,
        client: AsyncClient | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        if on_stream is not None and not is_async(on_stream):
            raise ConfigError("on_stream: expected an async function, found a plain one")
        limits = config.limits
        self.config = config
        self._clock_ns = clock_ns
        self._on_call, self._on_event = (
            Hook(name, function, limits.hook_queue) for name, function in (("on_call", on_call), ("on_event", on_event))
        )
        self._on_stream = StreamHook("on_stream", on_stream, limits.stream_hooks)
        writes = _write_line if config.service.events == "jsonl" else None
        self._lines = Hook("events", writes, limits.hook_queue)
        self._client = client or _client(config)
        self._owns_client = client is None
        self._commander = Commander(self._client, max(config.api.commands // 2, 1))
        wires = Wires(self._act, self._told, self._on_call.put, self._end_leg, self._readmit, self._recorded)
        self._board = Switchboard(config, wires, clock_ns, time.monotonic_ns)
        answers = Answers(
            self._board.admits,
            self._board.payload_types_of,
            self._board.about,
            self._board.watch,
            self._board.take_found,
            self._streamed if on_stream else None,
        )
        self._reception = Reception(config, answers)
        self._forks = Forks(config, self._board, self._reception, self._commander, clock_ns)
        self._upkeep = Upkeep(config.recordings, self._board.tell, clock_ns)
        self._webhooks = webhook_app(
            config.webhooks.read_public_key(), path=config.webhooks.path, tolerance_s=config.webhooks.tolerance_s
        )
        host, port = config.webhooks.listen
        self._listener = HttpServer(self._webhooks.app, host=host, port=port, name="webhooks.listen")
        self._running: list[asyncio.Task[None]] = []
        self._refusals, self._alarms = RefusalReport(), Alarms()
        self._entered = self._is_stopping = False

    def __repr__(self) -> str:
        return f"Service({len(self._board.calls)} calls, {len(self._forks)} forked)"

    async def __aenter__(self) -> Service:
        if self._entered:
            raise ConfigError("a service is entered once, found it entered before: make a new one")
        self._entered = True
        for hook in (self._on_call, self._on_event, self._lines):
            hook.start()
        try:
            await self._start()
        except BaseException:
            with contextlib.suppress(StrepError):
                await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.stop()

    async def wait(self) -> None:
        """Wait until the service cannot go on, which it does as long as anything can be recorded; raise why."""
        assert self._running, "entered"
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if not task.cancelled():
                task.result()

    async def stop(self) -> None:
        """Answer no more webhooks, stop the forks if so configured, and finish every recording."""
        if self._is_stopping:
            return
        self._is_stopping = True
        stop_forks = self.config.service.stop_forks
        self._webhooks.close()
        await asyncio.gather(self._listener.stop(), self._forks.stop_all() if stop_forks else asyncio.sleep(0))
        await self._forks.cancel()
        try:
            await self._reception.stop()
        finally:
            await self._stop_running()
            await self._upkeep.stop()
            self._forks.tell_finished()
            if self._running:  # who was told that it began
                self._board.tell("service.stopped", None, **self.counts())
            await asyncio.gather(*(hook.stop(_STOP_HOOKS_S) for hook in self._hooks))
            if self._owns_client:
                await self._client.aclose()

    @property
    def webhook_port(self) -> int:
        """Give the port that webhooks are listened for on."""
        return self._listener.port

    @property
    def media_address(self) -> UdpAddress | None:
        """Give the address that is listened on for the audio of all calls, if there is one."""
        return self._reception.address

    @property
    def receivers(self) -> list[Receiver]:
        """Give the receivers: that of the target, and one for each call that has two ports of its own."""
        return self._reception.receivers

    @property
    def calls(self) -> list[CallView]:
        """Give a view of every call that is known."""
        return [CallView.of(call) for call in self._board.calls]

    def counts(self) -> dict[str, Any]:
        """Count what happened: events by kind, webhooks, commands, hooks, and what was refused because of a bound."""
        hooks = {hook.name: {"done": hook.done, "failed": hook.failed, "missed": hook.missed} for hook in self._hooks}
        quarantine = self._board.quarantine
        return {
            "events": dict(self._board.counts),
            "webhooks": self._webhooks.counters(),
            "connections": asdict(self._listener.counts),
            "datagrams": self._reception.counts(),
            "kernel_drops": self._reception.kernel_drops,
            "kernel_refused": self._reception.kernel_refused,
            "command_retries": self._commander.retries,
            "calls_over_limit": self._board.calls.overflowed,
            "undecided": {"waiting": len(self._board.undecided), "given_up": self._board.undecided.given_up},
            "quarantine": {
                "admitted": quarantine.admitted,
                "refused": quarantine.refused,
                "recorded_bytes": quarantine.recorded_bytes,
                "released": quarantine.released,
            },
            "plugins": {name: asdict(counts) for name, counts in self._reception.plugin_counts().items()},
            "state_failures": self._forks.state.failures,
            "hooks": hooks,
        }

    def stop_fork(self, call_control_id: str) -> bool:
        """End the fork of a call; tell whether it was forked by us."""
        call = self._board.calls.get(call_control_id)
        return call is not None and self._forks.stop(call)

    @property
    def _hooks(self) -> tuple[Hook | StreamHook, ...]:
        return self._on_call, self._on_event, self._on_stream, self._lines

    async def _start(self) -> None:
        resumed = await self._forks.read_state()
        await self._upkeep.recover()
        await self._reception.start()
        for call in resumed:
            await self._forks.reopen_pair(call)
        await self._listener.start()
        works = (self._reception.wait(), self._take_webhooks(), self._tick())
        self._running = [asyncio.create_task(work, name="strep service") for work in works]
        self._board.tell("service.started", None, webhook_port=self.webhook_port, media=str(self.media_address))
        for call in resumed:
            self._forks.resume(call)
        self._upkeep.start()

    async def _stop_running(self) -> None:
        if not self._running:
            return  # where another service has our port, the state file is its own
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._forks.save_last()

    def _act(self, call: Call, act: Act) -> None:
        self._forks.act(call, act)

    async def _take_webhooks(self) -> None:
        async for event in self._webhooks:
            self._board.take(event)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._board.tick()
            self._forks.tell_finished()
            self._tell_alarms()
            counts = refusals_of(self._webhooks.counts, self._listener.counts)
            for refused in self._refusals.due(counts, time.monotonic_ns()):
                _log.warning("%s", refused)
                self._board.tell("webhooks.refused", reason=refused.reason, count=refused.count)

    def _tell_alarms(self) -> None:
        now_ns = self._clock_ns()
        if self._alarms.is_due(now_ns):
            for alarm in self._alarms.look(now_ns, self._reception.alarm_totals()):
                warn(alarm)
                self._board.tell("alarm", None, **alarm.describe())

    def _recorded(self, leg: str) -> int:
        return self._reception.recorded_bytes(leg)

    def _end_leg(self, leg: str) -> None:
        with contextlib.suppress(StrepError):  # of a sink: wait() raises it
            self._reception.end_leg(leg)

    def _readmit(self) -> None:
        self._reception.readmit()

    def _streamed(self, stream: Stream) -> None:
        call = self._board.calls.of_stream(stream.identity)
        self._on_stream.put(CallView.of(call) if call else None, stream)

    def _told(self, event: ServiceEvent) -> None:
        self._on_event.put(event)
        self._lines.put(event)


def _client(config: ServiceConfig) -> AsyncClient:
    api = config.api
    return AsyncClient(
        api.read_key(),
        api_secret=api.read_secret(),
        base_url=api.base_url,
        timeout_s=api.timeout_s,
        max_connections=api.commands,
    )


def _write_line(event: ServiceEvent) -> None:
    sys.stdout.write(event.line() + "\n")
    sys.stdout.flush()
