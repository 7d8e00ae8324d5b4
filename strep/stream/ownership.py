"""Keep who owns each open stream, by the rules of strep.stream.source_lock; count what others send to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from strep.stream.clock import NS
from strep.stream.index import Key
from strep.stream.keys import sender_of, ssrc_of
from strep.stream.legs import Legs, NewSource
from strep.stream.probation import HeldPacket
from strep.stream.sequence import extend_sequence, extend_timestamp
from strep.stream.source_lock import HOST_SILENT_NS, Verdict, goes_on, host_of, was_left
from strep.stream.sources import Sources
from strep.stream.state import StreamState
from strep.wire.batch import Endpoint

#: Other senders that a stream's report names; all others are one.
MOST_NAMED = 8
OTHERS = "others"


class Ownership:
    """The owners of streams, who would be one, and whom they keep out. packets: those left out so far, by row."""

    def __init__(self, legs: Legs, sources: Sources, packets: NDArray[np.int64], *, senders_may_move: bool) -> None:
        self._legs, self._sources, self._may_move = legs, sources, senders_may_move
        self._packets = packets
        self._waiting: dict[bytes, NewSource] = {}  # who is to have a stream, by the stream's key
        self._refused: dict[int, tuple[StreamState, str]] = {}  # by the row that it is left out under

    def senders(self) -> set[int]:
        """Give the numbers of all owners, and of who would be one."""
        owners = {number for state in self._legs.streams() for number in (state.owner, *state.earlier_owners)}
        reported = {
            number for source in self._sources.state if source for number in (source.sender, *source.moved_from)
        }
        return owners | reported | {sender_of(new.key) for new in self._waiting.values()}

    def judge(
        self, packet: HeldPacket, endpoint: Endpoint, stream: StreamState | None, leg: Sequence[StreamState]
    ) -> Verdict:
        """Say whether a source may send to a leg that is open, by a packet of it."""
        host, sender = host_of(endpoint.source), sender_of(packet.key)
        if stream is not None and stream.owner == sender:
            return Verdict.ADMITTED
        if stream is None:
            told = leg[0].identity.call_leg_id is None  # a port that is one direction of one call: the caller said so
            known = told or self._may_move or any(state.owner_host == host for state in leg)
            leg_silent_ns = packet.arrival_ns - self._legs.last_heard_ns(leg)
            return Verdict.ADMITTED if known or leg_silent_ns >= HOST_SILENT_NS else Verdict.REFUSED
        waiting = self._waiting.get(stream.key)
        if waiting is not None and waiting.key == packet.key:
            return Verdict.LATER
        new = NewSource(packet.key, endpoint, packet.arrival_ns)
        if sender not in stream.earlier_owners:
            if waiting is not None:
                return Verdict.REFUSED
            if not self._was_left(stream, new, leg) and not self._goes_on(packet, stream):
                return Verdict.REFUSED
        self._waiting[stream.key] = new
        return Verdict.LATER

    def change_owners(self, is_proven: Callable[[Key], bool]) -> list[Key]:
        """Give streams to who waits for them, unless their owners were heard since; gives the new owners' keys."""
        waiting, self._waiting = self._waiting, {}
        changed: list[Key] = []
        for key, new in waiting.items():
            stream = self._legs.by_key(key)
            if stream is None or not is_proven(new.key):
                continue
            if sender_of(new.key) in stream.earlier_owners or self._is_still_left(stream, new):
                self._change_owner(stream, new)
                changed.append(new.key)
        return changed

    def remember_refused(self, row: int, stream: StreamState, source: str) -> None:
        """Take note whose packets are left out under a row, until `forget_refused`."""
        self._refused[row] = stream, source
        self._packets[row] = 0

    def forget_refused(self) -> None:
        """Forget them all."""
        self.count_refused()
        self._refused.clear()

    def count_refused(self) -> None:
        """Count packets that were left out with the streams that they were sent to."""
        for row, (stream, source) in self._refused.items():
            packets, self._packets[row] = int(self._packets[row]), 0
            if packets:
                named = source in stream.refused_senders or len(stream.refused_senders) < MOST_NAMED
                name = source if named else OTHERS
                stream.refused_senders[name] = stream.refused_senders.get(name, 0) + packets

    def _is_still_left(self, stream: StreamState, new: NewSource) -> bool:
        """Tell whether a stream's owner has not been heard since, nor in the batch before."""
        if self._may_move:
            return self._legs.last_heard_ns([stream]) <= new.arrival_ns
        return self._was_left(stream, new, self._legs.of_leg(stream.leg))

    def _was_left(self, stream: StreamState, new: NewSource, leg: Sequence[StreamState]) -> bool:
        host = host_of(new.endpoint.source)
        others = [state for state in leg if state.owner_host != host]  # what it sends itself is no sign of the owner
        stream_silent_ns = new.arrival_ns - self._legs.last_heard_ns([stream])
        leg_silent_ns = new.arrival_ns - self._legs.last_heard_ns(others or leg)
        return was_left(host, stream.owner_host, stream_silent_ns, leg_silent_ns)

    def _goes_on(self, packet: HeldPacket, stream: StreamState) -> bool:
        """Tell whether a packet of another address goes on from one of the stream, where that is enough (rule 4)."""
        row = self._row_of(stream, ssrc_of(packet.key))
        if not self._may_move or row is None:
            return False
        source = self._sources.records[row]
        highest, last = int(source.highest_sequence), int(source.last_timestamp)
        ticks = extend_timestamp(packet.timestamp, last) - last
        since_ns = packet.arrival_ns - int(source.last_arrival_ns)
        difference_ns = ticks * NS / int(source.rtp_clock_hz) - since_ns
        return goes_on(extend_sequence(packet.sequence_number, highest) - highest, difference_ns)

    def _row_of(self, stream: StreamState, ssrc: int) -> int | None:
        """Give the youngest source of a stream with this SSRC."""
        rows = [row for row in stream.rows if (source := self._sources.state[row]) and source.ssrc == ssrc]
        return rows[-1] if rows else None

    def _change_owner(self, stream: StreamState, new: NewSource) -> None:
        """Let what the owner sends be unknown from now on, and what the new one sent before be known again.

        A source that goes on from another address is the same source, with another key.
        """
        index, sources, sender = self._legs.index, self._sources, sender_of(new.key)
        known = [row for row in stream.rows if index.get(index.key(row)) == row]
        index.remove(known)
        if self._may_move and sender not in stream.earlier_owners:
            row = self._row_of(stream, ssrc_of(new.key))
            if row in known:
                index.add([new.key], [row])
                source = sources.state[row]
                assert source is not None
                source.moved_from.append(source.sender)
                source.sender = sender
        else:
            again = [row for row in stream.rows if (source := sources.state[row]) and source.sender == sender]
            index.add([index.key(row) for row in again], again)
            if sender in stream.earlier_owners:
                del stream.earlier_owners[: stream.earlier_owners.index(sender) + 1]
            else:
                stream.earlier_owners = [stream.owner, *stream.earlier_owners][:MOST_NAMED]
        stream.owner, stream.owner_host = sender, host_of(new.endpoint.source)
