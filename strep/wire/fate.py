"""Name the one fate that every datagram ends in (conservation: the fates add up to the datagrams received)."""

from __future__ import annotations

import enum


class Fate(enum.IntEnum):
    """What became of a datagram; the name's first word is its class, the rest the reason."""

    ACCEPTED = 0
    DUPLICATE = 1
    LATE = 2  #: its place in the stream had been given up before it came
    MALFORMED_EMPTY = 3  #: a datagram without a byte
    MALFORMED_STREP = 4  #: STREP header cut short, or a HeaderLen below 24 or beyond the datagram
    MALFORMED_RTP = 5  #: RTP header cut short, not version 2, or padding that cannot be
    REJECTED_STREP_VERSION = 6  #: a STREP version other than 1
    REJECTED_SEQUENCE = 7  #: a wild sequence number that its successor did not confirm (RFC 3550 A.1)
    NOT_AUDIO_RTCP = 8
    NOT_AUDIO_STUN = 9
    NOT_AUDIO_T38 = 10
    NOT_AUDIO_SIP = 11
    OVER_LIMIT_STREAMS = 12  #: a new stream when the table was full
    OVER_LIMIT_SIZE = 13  #: a payload larger than any audio packet that we hold

    OVER_LIMIT_LOAD = 14  #: its call was left out, because more came than could be carried

    REJECTED_LEG = 15  #: its leg was not admitted by whoever was asked (EngineConfig.admits)
    REJECTED_SENDER = 16  #: its sender is in none of the networks that datagrams are taken from
    OVER_LIMIT_SENDERS = 17  #: a new sender when the table of senders was full, and all of them in use
    REJECTED_NOT_STREP = 18  #: no STREP of version 1 with RTP in it, where only that is taken
    REJECTED_PROBATION = 19  #: its source has not proven itself, or not yet: strep.stream.probation
    REJECTED_SOURCE = 20  #: another address than the leg's own sent it: strep.stream.source_lock
    OVER_LIMIT_CALLS = 21  #: a new leg when there were as many as there may be
    OVER_LIMIT_RATE = 22  #: a new leg of a host that began too many at once
    REJECTED_FAULT = 23  #: our own fault: what its stream's rules made of it closed that stream

    @property
    def label(self) -> str:
        """Give the name that reports use."""
        return self.name.lower()
