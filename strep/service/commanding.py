"""Send the service's commands, and again where that makes sense. How many are under way at a time, the client says.

The client below tries a command again by itself for a while; this goes on for as long as the platform knows the command
again by its id, so that it is carried out once however often it is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from strep.control.client import AsyncClient
from strep.control.commands import ForkStart, ForkStop
from strep.control.errors import (
    AlreadyActive,
    CallEnded,
    InvalidParameter,
    NotAnswered,
    NotAuthorised,
    NotFound,
    PlatformUnreachable,
    RateLimited,
    ServerError,
)
from strep.errors import ConfigError, ControlError
from strep.service.calls import Status

_log = logging.getLogger(__name__)
#: What may go well the next time: the platform is busy, cannot be reached, or is behind with its own state.
_PASSING = (RateLimited, ServerError, PlatformUnreachable, NotAnswered)
#: Between tries, doubled each time but for a rate limit: beyond what the client itself waits, short against a call.
_FIRST_DELAY_S, _LAST_DELAY_S = 0.25, 4.0
_POINTS_TO_CALL = "call_control_id"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a fork did not come about. is_gone: there is no such call any more. is_early: it is not answered yet."""

    reason: str
    is_gone: bool = False
    is_early: bool = False


class Commander:
    """A commander that sends commands by a client. asks: how many questions may be under way; retries: how often one
    was sent again.
    """

    def __init__(self, client: AsyncClient, asks: int) -> None:
        self._client = client
        self._may_ask = asyncio.Semaphore(asks)  # hundreds of calls can fall silent at once: forks go before that
        self.retries = 0

    async def fork(self, command: ForkStart, is_wanted: Callable[[], bool], give_up_s: float) -> Refusal | None:
        """Send a fork command until it is carried out, is not wanted any more (None both), or must be given up."""
        delay_s, is_repeated = _FIRST_DELAY_S, False
        refusal = Refusal(f"no answer within {give_up_s:.0f} s")
        deadline_s = asyncio.get_running_loop().time() + give_up_s
        while True:
            try:
                async with asyncio.timeout_at(deadline_s):
                    if is_wanted():
                        await self._client.send(command)
                return None
            except TimeoutError:
                return refusal
            except _PASSING as error:
                refusal = Refusal(str(error), is_early=isinstance(error, NotAnswered))
                is_limited = isinstance(error, RateLimited)
                wait_s = max(getattr(error, "retry_after_s", None) or 0.0, _FIRST_DELAY_S if is_limited else delay_s)
                delay_s = delay_s if is_limited else min(2 * delay_s, _LAST_DELAY_S)
            except AlreadyActive as error:
                # After a repetition it was the first one that did it.
                return None if is_repeated or error.attempts > 1 else Refusal(str(error))
            except (ControlError, ConfigError) as error:
                if isinstance(error, NotAuthorised):
                    _log.error("the platform does not let this API key fork calls: %s", error)
                return Refusal(str(error), is_gone=says_gone(error))
            if asyncio.get_running_loop().time() + wait_s >= deadline_s:
                return refusal
            await asyncio.sleep(wait_s)
            is_repeated = True
            self.retries += 1

    async def stop(self, command: ForkStop) -> str | None:
        """Send a fork_stop; give the reason why it was refused, if it was."""
        try:
            await self._client.send(command)
        except (ControlError, ConfigError) as error:
            return str(error)
        return None

    async def ask(self, call_control_id: str) -> Status | None:
        """Ask the platform how a call is; None: it did not say.

        It says nothing of directions, numbers and headers, nor whether a call was answered; but it says how long the
        call lasts, and before it is answered that is nothing.
        """
        try:
            async with self._may_ask:
                told = await self._client.retrieve_call(call_control_id)
        except (ControlError, ConfigError) as error:
            return Status(is_alive=False) if says_gone(error) else None
        return Status(told.is_alive, told.is_alive and bool(told.call_duration))


def says_gone(error: Exception) -> bool:
    """Tell whether an answer means that there is no such call, or none any more."""
    if isinstance(error, InvalidParameter):
        return _POINTS_TO_CALL in error.pointer
    return isinstance(error, CallEnded | NotFound)
