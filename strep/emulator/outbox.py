"""Keep webhooks until they are delivered. Pure: time is an argument, and who delivers them says how that went.

Those of one call go out one after the other, in the order in which things happened; what has to be sent again does not
hold up the next. Faults make some late, double some, and swap some with the next of their call.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count

from strep.emulator.faults import Fault, FaultDraws

#: A kilobyte each. Who takes webhooks so slowly that this many wait will not catch up.
CAPACITY = 10_000
#: A minute in all, which is the most that a policy of the platform may ask for.
RETRY_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0)
#: One that is to come after its successor waits so long for it.
_HELD_S = 1.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Something to tell: where to, and after what delays again. call: whose it is."""

    call: str
    url: str
    document: Mapping[str, object]
    retry_delays_s: Sequence[float] = RETRY_DELAYS_S


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to deliver a webhook. number: 1 is the first. in_turn: the next of its call waits for it."""

    webhook: Webhook
    number: int = 1
    in_turn: bool = False

    def body(self) -> bytes:
        """Write what is sent."""
        meta = {"attempt": self.number, "delivered_to": self.webhook.url}
        return json.dumps({**self.webhook.document, "meta": meta}).encode()


@dataclass(slots=True)
class DeliveryCounts:
    """Counts of what became of webhooks.

    asked: all of them, those that faults repeated included; the rest says what became of them. unaddressed: there was
    no URL to send it to. overflowed: there was no room. failed_attempts: after which there may have been another.
    """

    asked: int = 0
    repeated: int = 0
    delivered: int = 0
    given_up: int = 0
    unaddressed: int = 0
    overflowed: int = 0
    failed_attempts: int = 0

    @property
    def pending(self) -> int:
        """Count those that are not delivered yet."""
        return self.asked - self.delivered - self.given_up - self.unaddressed - self.overflowed

    def as_dict(self) -> dict[str, int]:
        """Give all counts by name."""
        return {**asdict(self), "pending": self.pending}


@dataclass(slots=True)
class _Lane:
    """The webhooks of one call that wait for their turn; `held` waits for the next one to come before it."""

    waiting: deque[Delivery] = field(default_factory=deque)
    is_busy: bool = False
    held: Delivery | None = None


class WebhookOutbox:
    """An outbox that holds the webhooks that are not delivered yet."""

    def __init__(self, draws: FaultDraws, capacity: int = CAPACITY) -> None:
        self.counts = DeliveryCounts()
        self._draws, self._capacity = draws, capacity
        self._lanes: dict[str, _Lane] = {}
        self._ready: deque[Delivery] = deque()
        self._later: list[tuple[float, int, Delivery]] = []
        self._order = count()

    @property
    def next_s(self) -> float | None:
        """Give when there is something to deliver next: 0 is now, None is never."""
        if self._ready:
            return 0.0
        return self._later[0][0] if self._later else None

    def add(self, webhook: Webhook, now_s: float) -> None:
        """Take a webhook."""
        late, repeated, disordered = (
            self._draws.strikes(fault, webhook.call)
            for fault in (Fault.WEBHOOK_LATE, Fault.WEBHOOK_REPEATED, Fault.WEBHOOK_DISORDERED)
        )
        late_s, repeated_s = (
            self._draws.fraction(f"{fault} seconds", webhook.call) * self._draws.faults.late_s
            for fault in (Fault.WEBHOOK_LATE, Fault.WEBHOOK_REPEATED)
        )
        if self._admit(webhook):
            if late:
                self._put_off(now_s + late_s, Delivery(webhook))
            else:
                self._line_up(webhook, now_s, is_held=disordered)
        self.counts.repeated += repeated
        if repeated and self._admit(webhook):
            self._put_off(now_s + repeated_s, Delivery(webhook))

    def take(self, now_s: float, limit: int) -> list[Delivery]:
        """Give what is to be delivered now, at most so many. Each is to be reported with `finish`."""
        while self._later and self._later[0][0] <= now_s:
            delivery = heapq.heappop(self._later)[2]
            if delivery.in_turn:
                self._release(delivery)
            else:
                self._ready.append(delivery)
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def finish(self, delivery: Delivery, was_delivered: bool, now_s: float) -> None:
        """Report how an attempt went."""
        delays_s = delivery.webhook.retry_delays_s
        if was_delivered:
            self.counts.delivered += 1
        else:
            self.counts.failed_attempts += 1
            if delivery.number > len(delays_s):
                self.counts.given_up += 1
            else:
                again = Delivery(delivery.webhook, delivery.number + 1)
                self._put_off(now_s + delays_s[delivery.number - 1], again)
        if delivery.in_turn:
            lane = self._lanes[delivery.webhook.call]
            lane.is_busy = False
            self._next(delivery.webhook.call, lane)

    def _admit(self, webhook: Webhook) -> bool:
        self.counts.asked += 1
        if not webhook.url:
            self.counts.unaddressed += 1
            return False
        if self.counts.pending > self._capacity:
            self.counts.overflowed += 1
            return False
        return True

    def _line_up(self, webhook: Webhook, now_s: float, *, is_held: bool) -> None:
        lane = self._lanes.setdefault(webhook.call, _Lane())
        delivery = Delivery(webhook, in_turn=True)
        if is_held and lane.held is None:
            lane.held = delivery
            self._put_off(now_s + _HELD_S, delivery)
            return
        lane.waiting.append(delivery)
        if lane.held:
            lane.waiting.append(lane.held)
            lane.held = None
        self._next(webhook.call, lane)

    def _release(self, held: Delivery) -> None:
        """Deliver one that has waited long enough for its successor, if it does so still."""
        lane = self._lanes.get(held.webhook.call)
        if lane and lane.held is held:
            lane.held = None
            lane.waiting.append(held)
            self._next(held.webhook.call, lane)

    def _next(self, call: str, lane: _Lane) -> None:
        if not lane.is_busy and lane.waiting:
            lane.is_busy = True
            self._ready.append(lane.waiting.popleft())
        if not lane.is_busy and not lane.held:
            del self._lanes[call]

    def _put_off(self, due_s: float, delivery: Delivery) -> None:
        heapq.heappush(self._later, (due_s, next(self._order), delivery))
