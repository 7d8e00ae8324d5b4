"""Keep calls in queues until somebody takes them out, or they have waited for too long."""

from __future__ import annotations

from strep.emulator import refusal
from strep.emulator.call import EmulatedCall
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, number, text
from strep.emulator.states import NS_PER_S

_ACTIVITY = "queue"
_MAX_SIZE = 100


def enqueue(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Put a call at the end of a queue, which is made if there is none of that name."""
    name = text(body, "queue_name")
    queue = exchange.queues.get(name, [])
    if _ACTIVITY in call.activities:
        raise refusal.already_in_queue()
    if len(queue) >= number(body, "max_size", _MAX_SIZE):
        raise refusal.queue_full(name)
    since_ns = exchange.now_ns()
    exchange.queues[name] = queue
    queue.append(call)

    def leave(reason: str) -> None:
        position = queue.index(call) + 1
        queue.remove(call)
        if not queue:
            exchange.queues.pop(name, None)
        call.tell(
            "call.dequeued",
            queue=name,
            queue_position=position,
            reason="hangup" if reason == "call_hangup" else reason,
            wait_time_secs=(exchange.now_ns() - since_ns) // NS_PER_S,
        )

    activity = call.begin_activity(_ACTIVITY, leave)
    if wait_s := number(body, "max_wait_time_secs", 0):
        timer = call.later(wait_s * NS_PER_S, lambda: call.finish_activity(_ACTIVITY, "timeout"))
        activity.timers.append(timer)
    call.tell("call.enqueued", queue=name, current_position=len(queue), queue_avg_wait_time_secs=0)


def leave(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Take a call out of its queue."""
    if not call.finish_activity(_ACTIVITY, "leave"):
        raise refusal.unable("The call is in no queue.")


def leave_for_bridge(call: EmulatedCall) -> None:
    """Take a call out of its queue, if it is in one, because it is being bridged."""
    call.finish_activity(_ACTIVITY, "bridged")


def take_first(exchange: Exchange, name: str, call: EmulatedCall) -> EmulatedCall:
    """Give the first call of a queue, `call` excepted, which it leaves. Raises the Refusal when there is none."""
    first = next((waiting for waiting in exchange.queues.get(name, ()) if waiting is not call), None)
    if first is None:
        raise refusal.unable(f"The '{name}' queue is empty.")
    leave_for_bridge(first)
    return first
