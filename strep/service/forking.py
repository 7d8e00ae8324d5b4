"""Do about calls what the switchboard decides: fork them, stop that, close them; and take them up after a kill.

Each act is a task; commands are sent some at a time. The state file is written before a fork command is sent, and soon
after each change of a call that is to be kept, so that a service that is killed at any instant finds all of its calls
when it is started again:

1. Every call in the file is taken up as it was, so that its packets are taken from the first one on.
2. Then the platform is asked about each: one that is gone is closed. While nobody says, a call goes on; and so does one
   that rings, of which the platform need not say that it is alive.
3. What the killed service recorded stays as it is, but for its sidecar, which says what is known (interrupted_calls);
   and it is told of.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from strep.control.commands import ForkStart, ForkStop, StreamType
from strep.errors import ConfigError, StrepError
from strep.net.address import UdpAddress
from strep.service.calls import Act, Call, Phase, Status
from strep.service.commanding import Commander, Refusal
from strep.service.config import ServiceConfig
from strep.service.interrupted_calls import find_interrupted, finish_interrupted
from strep.service.ports import PortPairs
from strep.service.reception import Reception
from strep.service.release import release
from strep.service.rules import ForkMode
from strep.service.state_file import StateFile
from strep.service.switchboard import QUARANTINE_FOLDER, Switchboard, conversation_of, legs_of

_log = logging.getLogger(__name__)
#: Of the 5 s that an end may take.
_STOP_FORKS_S = 2.0
#: Between two writes of the state file that no fork waits for: the forks' own are to find the disk free.
_BETWEEN_SAVES_S = 0.25


class Forks:
    """The calls that are forked, from their fork command until they are closed. `state` is their file."""

    def __init__(
        self,
        config: ServiceConfig,
        board: Switchboard,
        reception: Reception,
        commander: Commander,
        clock_ns: Callable[[], int],
    ) -> None:
        self.config = config
        self.state = StateFile(config.state_path, lambda: [call.document() for call in board.calls if call.is_kept])
        self._board, self._reception, self._commander, self._clock_ns = board, reception, commander, clock_ns
        self._ports = PortPairs(config.media.ports or range(0))
        self._forked: dict[Call, None] = {}
        self._asking: set[Call] = set()
        self._interrupted: dict[str, list[Path]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_changed = self._is_saving = False
        board.changed = self._save_soon

    def __len__(self) -> int:
        return len(self._forked)

    def stop(self, call: Call) -> bool:
        """End the fork of a call; tell whether there was one."""
        if call.phase not in (Phase.FORKING, Phase.FORKED):
            return False
        self._board.apply(call, lambda: call.stop(self._clock_ns()))
        return True

    async def stop_all(self) -> None:
        """End all forks, as far as that can be done in a short while."""
        before = set(self._tasks)
        for call in list(self._forked):
            self.stop(call)
        if stopping := self._tasks - before:
            await asyncio.wait(stopping, timeout=_STOP_FORKS_S)

    async def cancel(self) -> None:
        """Do nothing more."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def save_last(self) -> None:
        """Write the state file for the next service: what has ended is finished by now."""
        for call in self._board.calls:
            if call.phase is Phase.ENDED:
                call.close()
        await self.state.save()

    async def read_state(self) -> list[Call]:
        """Take up the calls of the service before this one, and find what it was recording of them."""
        calls: list[Call] = []
        for document in self.state.read():
            try:
                call = Call.resume(document, self._clock_ns())
            except (ValueError, TypeError, KeyError) as error:
                _log.error("a call in %s cannot be read: %s", self.state.path, error)
                continue
            if self._board.calls.get(call.call_control_id) is None:
                calls.append(self._board.calls.add(call))
                if call.is_ours:
                    self._forked[call] = None
        if calls:
            legs = {leg: call.call_control_id for call in calls for leg in legs_of(call)}
            out = self.config.recordings.out
            folders = (out, out / QUARANTINE_FOLDER)
            self._interrupted = await asyncio.to_thread(find_interrupted, folders, legs)
        return calls

    async def reopen_pair(self, call: Call) -> None:
        """Open the ports again that a call was allotted by the service before this one."""
        if call.pair is None or not self._ports.claim(call.pair):
            return
        self._board.calls.allot(call, conversation_of(call.pair))
        try:
            await self._reception.open_pair(call.pair)
        except StrepError as error:
            _log.error("the ports of a call cannot be opened again: %s", error)

    def resume(self, call: Call) -> None:
        """Go on with a call of the service before this one."""
        self._spawn(self._resume(call))

    async def _resume(self, call: Call) -> None:
        """Find out whether a call of the service before this one goes on; while nobody says, it does."""
        if call.phase is Phase.ENDED:
            self.act(call, Act.CLOSE)
        elif call.phase is not Phase.INITIATED and await self._is_gone(call):
            self._board.apply(call, lambda: call.checked(Status(is_alive=False), (), self._clock_ns()))
        else:
            self._board.tell("call.resumed", call)
            give_up_ns = int(self.config.api.give_up_s * 1e9)
            self._board.apply(call, lambda: call.resumed(give_up_ns, self._clock_ns()))
        for path in self._interrupted.pop(call.call_control_id, ()):
            finished = await asyncio.to_thread(finish_interrupted, path, self._board.describe(call))
            if finished is not None:
                self._board.tell(
                    "recording.interrupted",
                    call,
                    files=[str(path.parent / Path(name).name) for name in finished["files"]],
                    sidecar=str(path),
                    duration_s=round(finished["duration_s"], 3),
                )

    async def _is_gone(self, call: Call) -> bool:
        status = await self._commander.ask(call.call_control_id)
        return status is not None and not status.is_alive

    def act(self, call: Call, act: Act) -> None:
        """Do what is to be done about a call."""
        match act:
            case Act.FORK:
                self._spawn(self._fork(call))
            case Act.STOP:
                self._spawn(self._stop_one(call))
            case Act.CHECK if call not in self._asking:
                self._asking.add(call)
                self._spawn(self._check(call))
            case Act.CLOSE:
                self._spawn(self._close(call))

    def tell_finished(self) -> None:
        """Tell of the recordings that were finished since the last time."""
        out = self.config.recordings.out
        for recording in self._reception.finished():
            identity = recording.identities[0]
            call = self._board.calls.of_stream(identity)
            if recording.path.parent != out and not self._board.is_quarantined(call):
                recording = release(recording, out)
            self._board.tell(
                "recording.finished",
                call,
                leg=identity.call,
                files=[str(part) for part in recording.parts],
                sidecar=str(recording.sidecar_path),
                duration_s=round(recording.duration_s, 3),
            )

    async def _fork(self, call: Call) -> None:
        refusal = self._refuse_over_limit(call)
        if refusal is None:
            self._forked[call] = None
            refusal = await self._send_fork(call)
        now_ns = self._clock_ns()
        if refusal is None:
            self._board.apply(call, lambda: call.fork_done(now_ns))
        elif refusal.is_early and not call.facts.is_answered:
            self._forked.pop(call, None)
            self._board.apply(call, lambda: call.fork_early(now_ns))
        else:
            is_sent = call.command_id is not None
            if not is_sent:
                self._forked.pop(call, None)
            self._board.apply(
                call, lambda: call.fork_failed(refusal.reason, now_ns, is_gone=refusal.is_gone, was_sent=is_sent)
            )
        await self.state.save()

    def _refuse_over_limit(self, call: Call) -> Refusal | None:
        most = self.config.limits.forks
        if call in self._forked or len(self._forked) < most:
            return None
        return Refusal(f"limits.forks: {most} calls are forked already")

    async def _send_fork(self, call: Call) -> Refusal | None:
        """Have a call forked; give why it was not. `command_id` tells whether anything was sent."""
        try:
            destination = await self._destination(call)
        except StrepError as error:
            return Refusal(str(error))
        if destination is None:
            return Refusal("media.ports: all are in use")
        call.command_id = call.command_id or str(uuid.uuid4())
        call.sent_ns = call.sent_ns or self._clock_ns()
        await self.state.save()
        stream_type = call.decision.stream_type if call.decision else None
        try:
            command = ForkStart(
                call.call_control_id, **destination, stream_type=stream_type, command_id=call.command_id
            )
        except ConfigError as error:
            return Refusal(str(error))
        left_s = self.config.api.give_up_s - (self._clock_ns() - call.sent_ns) / 1e9
        return await self._commander.fork(command, lambda: call.phase is Phase.FORKING, max(left_s, 0.0))

    async def _destination(self, call: Call) -> dict[str, Any] | None:
        """Give where a call is to be forked to; None: there is no pair of ports for it."""
        assert call.decision is not None
        if call.decision.fork is not ForkMode.RX_TX:
            return {"target": self._reception.announced}
        if call.pair is not None:  # opened when the service was started
            host = self.config.media.announce.host
            return {"rx": UdpAddress(host, call.pair[0]), "tx": UdpAddress(host, call.pair[1])}
        pair = self._ports.take(self._clock_ns())
        if pair is None:
            return None
        call.pair = pair
        self._board.calls.allot(call, conversation_of(pair))
        rx, tx = await self._reception.open_pair(pair)
        return {"rx": rx, "tx": tx}

    async def _stop_one(self, call: Call) -> None:
        command = ForkStop(call.call_control_id, stream_type=_stream_type(call))
        reason = await self._commander.stop(command)
        if reason is not None:
            _log.warning("the platform did not stop the fork of %s: %s", call.call_control_id, reason)
            self._board.tell("call.stop_failed", call, reason=reason)
        self._board.apply(call, lambda: call.stop_done(self._clock_ns()))

    async def _check(self, call: Call) -> None:
        try:
            status = await self._commander.ask(call.call_control_id)
        finally:
            self._asking.discard(call)
        if status is not None:
            self._board.apply(call, lambda: call.checked(status, self.config.rules, self._clock_ns()))

    async def _close(self, call: Call) -> None:
        was_kept = call.is_kept
        if was_kept:
            await self.state.save()  # or a service after this one would tell of the end again
        await asyncio.sleep(self.config.media.linger_ms / 1000)
        self._board.close(call)
        pair, call.pair = call.pair, None  # a fork anew comes to other ports
        if pair is not None:
            await self._reception.close_pair(pair)
            self.tell_finished()  # while the ports still say whose it is
            self._board.calls.free(call, conversation_of(pair))
            self._ports.give_back(pair, self._clock_ns())
        self._forked.pop(call, None)
        if was_kept:
            await self.state.save()

    def _save_soon(self) -> None:
        self._is_changed = True
        if not self._is_saving:
            self._is_saving = True
            self._spawn(self._save_changes())

    async def _save_changes(self) -> None:
        try:
            while self._is_changed:
                self._is_changed = False
                await self.state.save()
                await asyncio.sleep(_BETWEEN_SAVES_S)
        finally:
            self._is_saving = False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("something that the service was to do failed", exc_info=error)  # our own fault


def _stream_type(call: Call) -> StreamType:
    """Give what fork_start took when none was told: raw for target, decrypted for rx and tx."""
    decision = call.decision
    if decision is not None and decision.stream_type is not None:
        return decision.stream_type
    return StreamType.DECRYPTED if call.pair is not None else StreamType.RAW
