"""Decide what becomes of sources that are not known yet: which legs begin, and who may send to those that are open.

Of a leg that is not open:

1. One that was refused stays so, until it is asked about again; one that was left out because of the load, until there
   is time for it. While too much comes (strep.live.overload), every other leg that begins is left out, too.
2. It must prove itself (strep.stream.probation). What was held back until then is taken when it begins.
3. `admits` is asked once a leg; one that it does not admit is refused.
4. A host begins so many legs at once and so many a second; there are so many legs and streams at one time. When these
   are short, then at each whole second those legs close which have sent little and are silent; never one that is heard.

Of a leg that is open, strep.stream.source_lock says who may send to it. What changes the owner of a stream does so at
whole seconds; until then, what may become its own is held back.

Whoever is refused is remembered under a row that no table has, so that the next packet costs a look-up (see
strep.stream.shedding): for rules 1 and 3 until the refusal ends, for the others until the next whole second.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strep.stream.allowance import Allowance
from strep.stream.events import StreamIdentity
from strep.stream.index import Key
from strep.stream.keys import SENDER_SHIFT, identity_of, leg_key, sender_of, stream_key
from strep.stream.legs import Legs, NewSource
from strep.stream.ownership import Ownership
from strep.stream.probation import HeldPacket, Probation
from strep.stream.records import Records
from strep.stream.shedding import LeftOut
from strep.stream.source_lock import Verdict, host_of
from strep.stream.sources import Sources
from strep.stream.state import StreamState
from strep.wire.batch import HELD_BACK, DatagramBatch, Endpoint
from strep.wire.fate import Fate

#: Legs a host may begin at once and a second: a platform's media server may hand over all its calls at one time, and
#: 500 a second for calls of 3 minutes would be 90,000 calls.
LEGS_AT_ONCE, LEGS_A_SECOND = 20_000, 500
#: Hosts whose pace is remembered; whoever has more addresses has the slots of rule 4 against them.
_MOST_HOSTS = 4096
#: A leg that has sent so few packets (a second of speech), and nothing for so long, makes way when slots are short.
DISPLACED_PACKETS, DISPLACED_SILENT_NS = 50, 1_000_000_000


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """What the caller says of admission; see EngineConfig."""

    probation: bool
    max_calls: int
    senders_may_move: bool
    admits: Callable[[StreamIdentity, Endpoint], bool] | None


class Admission:
    """The rules above, over the open legs. `takes_new`: whether legs may begin.

    What is refused is counted in `fates`. fate_of_row, refused: int64 by row, of sources that are left out; their
    packets are counted there by whoever finds them (strep.stream.receive).
    """

    def __init__(self, legs: Legs, sources: Sources, fates: NDArray[np.int64], rules: AdmissionRules) -> None:
        capacity = sources.capacity
        self.takes_new = True
        self._legs, self._fates, self._rules = legs, fates, rules
        self.fate_of_row = np.zeros(4 * capacity, np.int64)
        self.refused = np.zeros(4 * capacity, np.int64)
        fates_left_out = (Fate.OVER_LIMIT_LOAD, Fate.REJECTED_LEG, Fate.REJECTED_SOURCE)
        self._left_out = {fate: LeftOut(n * capacity, capacity) for n, fate in enumerate(fates_left_out, 1)}
        self._ownership = Ownership(legs, sources, self.refused, senders_may_move=rules.senders_may_move)
        self._probation = Probation()
        self._pace: OrderedDict[str, Allowance] = OrderedDict()
        self._short_of_slots: set[bytes] = set()  # legs that waited for one since the last whole second
        self._asks_again = False

    @property
    def left_out_calls(self) -> int:
        """Count the legs that are left out because of the load."""
        return len(self._left_out[Fate.OVER_LIMIT_LOAD])

    @property
    def refused_calls(self) -> int:
        """Count the legs that were not admitted, as far as they are remembered."""
        return 0 if self._asks_again else len(self._left_out[Fate.REJECTED_LEG])

    @property
    def is_waiting(self) -> bool:
        """Tell whether anything waits for the next whole second."""
        return bool(len(self._probation) or self._short_of_slots or self._left_out[Fate.REJECTED_SOURCE])

    @property
    def unproven_packets(self) -> int:
        """Count the packets that wait for their sender's proof; they are in the fates as refused."""
        return self._probation.unproven_packets

    def senders_in_use(self) -> set[int]:
        """Give the numbers of all senders that anything here refers to."""
        rows = self._legs.index.rows()
        of_keys = np.unique(self._legs.index.keys[rows, 2] >> np.uint64(SENDER_SHIFT))
        return {*of_keys.tolist(), *self._probation.senders(), *self._ownership.senders()}

    def leave_out(self, keys: list[Key]) -> None:
        """Take nothing of sources that were closed because of the load."""
        self.takes_new = False
        rows = {key: row for key in keys if (row := self._add(key, Fate.OVER_LIMIT_LOAD)) is not None}
        self._legs.index.add(list(rows), list(rows.values()))

    def take_back(self, calls: int) -> None:
        """Let legs begin again, and so many of those that were left out, those first that were left out first."""
        self.takes_new = True
        self._forget(self._left_out[Fate.OVER_LIMIT_LOAD].take_back(calls))

    def ask_again(self) -> None:
        """Forget who was refused, from the next batch on: whoever is asked may call this."""
        self._asks_again = True

    def begin_batch(self) -> None:
        """Do what was asked for since the batch before."""
        if self._asks_again:
            self._asks_again = False
            self._forget(self._left_out[Fate.REJECTED_LEG].take_back())

    def count_refused(self) -> None:
        """Let the streams know what others sent to them: whoever reports them needs that."""
        self._ownership.count_refused()

    def admit(self, batch: DatagramBatch, unknown: Records) -> list[HeldPacket]:
        """Decide on datagrams of unknown sources (UNKNOWN_SOURCE): these begin, are left out, or are held back.

        Gives what was held back of those that begin, to be taken first. What is held back of the batch is marked in its
        column of sources, as it is counted.
        """
        if self._rules.admits:
            self._forget(self._left_out[Fate.REJECTED_LEG].make_room(len(unknown)))
        added: dict[Key, int] = {}
        released: list[HeldPacket] = []
        for number, sequence_number, timestamp, words in unknown.tolist():
            key = words.tobytes()
            if key not in added:
                rtp = sequence_number, timestamp, int(batch.arrival_ns[number]), batch.datagram(number)
                packet = HeldPacket(key, *rtp, Fate.REJECTED_PROBATION)
                released += self._decide(packet, batch.endpoints, added)
            if key not in added:
                batch.source[number] = HELD_BACK
        self._legs.index.add(list(added), list(added.values()))
        return sorted(released, key=_arrival_ns)

    def pass_second(self, now_ns: int) -> tuple[list[HeldPacket], list[StreamState]]:
        """Do what is done at whole seconds; gives what owners that changed have to say, and streams to be closed."""
        self._probation.expire(now_ns)
        self._forget(self._left_out[Fate.REJECTED_SOURCE].take_back())
        self._ownership.forget_refused()
        short, self._short_of_slots = len(self._short_of_slots), set()
        making_way = self._legs.least_heard(now_ns - DISPLACED_SILENT_NS, DISPLACED_PACKETS, short) if short else []
        released: list[HeldPacket] = []
        for key in self._ownership.change_owners(self._probation.is_proven):
            released += self._release(key)
        return sorted(released, key=_arrival_ns), making_way

    def _decide(self, packet: HeldPacket, endpoints: Sequence[Endpoint], added: dict[Key, int]) -> list[HeldPacket]:
        """Begin the source of a packet, leave it out, or hold the packet; the first two add to the sources' rows.

        Gives what was held back of its leg when that begins.
        """
        key = packet.key
        leg = self._legs.of_leg(leg_key(key))
        endpoint = endpoints[sender_of(key)]
        fate = self._of_open_leg(packet, endpoint, leg) if leg else self._of_new_leg(packet, endpoint)
        if fate is None:
            held = self._release(key)
            for one in (*held, packet):
                self._begin(NewSource(one.key, endpoint, one.arrival_ns), added)
            if key not in added:  # what was held back before it took the last place
                self._hold(packet, Fate.OVER_LIMIT_STREAMS)
            return held
        if fate in self._left_out:
            self._fates[fate] += len(self._release(key))
            self._leave_out(packet, endpoint, fate, added)
        else:
            self._hold(packet, fate)
        return []

    def _hold(self, packet: HeldPacket, fate: Fate) -> None:
        self._fates[fate] += 1
        self._probation.hold(packet if fate is packet.fate else packet._replace(fate=fate))

    def _of_open_leg(self, packet: HeldPacket, endpoint: Endpoint, leg: Sequence[StreamState]) -> Fate | None:
        """Give what becomes of a source that sends to an open leg; None: it begins."""
        stream = self._legs.by_key(stream_key(packet.key))
        verdict = self._ownership.judge(packet, endpoint, stream, leg)
        if verdict is Verdict.REFUSED:
            return Fate.REJECTED_SOURCE
        if verdict is Verdict.LATER:
            return Fate.REJECTED_PROBATION
        return None if self._legs.has_room_for(stream) else Fate.OVER_LIMIT_STREAMS

    def _of_new_leg(self, packet: HeldPacket, endpoint: Endpoint) -> Fate | None:
        """Give what becomes of a source whose leg is not open; None: it begins."""
        key, leg, rules = packet.key, leg_key(packet.key), self._rules
        if leg in self._left_out[Fate.REJECTED_LEG]:
            return Fate.REJECTED_LEG
        if leg in self._left_out[Fate.OVER_LIMIT_LOAD] or not self.takes_new:
            return Fate.OVER_LIMIT_LOAD
        if rules.probation and not self._probation.is_proven(key, packet.sequence_number):
            return Fate.REJECTED_PROBATION
        if rules.admits and not rules.admits(identity_of(key, endpoint), endpoint):
            return Fate.REJECTED_LEG
        if self._legs.open_calls >= rules.max_calls or not self._legs.has_room_for(None):
            self._short_of_slots.add(leg)
            return Fate.OVER_LIMIT_CALLS if self._legs.has_room_for(None) else Fate.OVER_LIMIT_STREAMS
        return None if self._keeps_pace(host_of(endpoint.source), packet.arrival_ns) else Fate.OVER_LIMIT_RATE

    def _keeps_pace(self, host: str, now_ns: int) -> bool:
        """Tell whether a host may begin another leg now, and count it."""
        pace = self._pace.setdefault(host, Allowance(LEGS_A_SECOND, LEGS_AT_ONCE))
        self._pace.move_to_end(host)
        if len(self._pace) > _MOST_HOSTS:
            self._pace.popitem(last=False)
        pace.refill(now_ns)
        return pace.use()

    def _begin(self, new: NewSource, added: dict[Key, int]) -> None:
        stream = self._legs.by_key(stream_key(new.key))
        is_own = stream is None or stream.owner == sender_of(new.key)  # or it is judged like any packet
        if new.key not in added and is_own and self._legs.has_room_for(stream):
            added[new.key] = self._legs.open(new)

    def _leave_out(self, packet: HeldPacket, endpoint: Endpoint, fate: Fate, added: dict[Key, int]) -> None:
        """Leave a source out; where there is no room to remember it, count its packet."""
        key = packet.key
        row = self._add(key, fate)
        if row is None:
            self._fates[fate] += 1
            return
        added[key] = row
        if fate is Fate.REJECTED_SOURCE:
            stream = self._legs.by_key(stream_key(key)) or self._legs.of_leg(leg_key(key))[0]
            self._ownership.remember_refused(row, stream, endpoint.source)

    def _release(self, key: Key) -> list[HeldPacket]:
        """Give what was held back of a source's leg and sender; it will be counted anew."""
        held = self._probation.release(key)
        for packet in held:
            self._fates[packet.fate] -= 1
        return held

    def _add(self, key: Key, fate: Fate) -> int | None:
        row = self._left_out[fate].add(key)
        if row is not None:
            self.fate_of_row[row] = fate
        return row

    def _forget(self, rows: list[int]) -> None:
        self._legs.index.remove(rows)


def _arrival_ns(packet: HeldPacket) -> int:
    return packet.arrival_ns
