"""Find a packet's payload where its header may claim too much.

Forked packets can keep the X and CC bits of what was cut out. A claim that does not fit gives its source away; so does
one that leaves no whole number of 10 ms where ignoring it would. A source whose claims fit CLAIM_PROOFS times is
believed from then on.
"""

from __future__ import annotations

from strep.compiler import rule
from strep.stream.records import BELIEVED, DISBELIEVED, UNDECIDED, Record
from strep.wire.headers import Claim
from strep.wire.rtp import RTP_BYTES

#: Packets with a header claim that must fit before the claim is taken for granted.
CLAIM_PROOFS = 8
_NONE, _FALSE = int(Claim.NONE), int(Claim.FALSE)


@rule
def settle_claim(source: Record, header: Record, bytes_per_10_ms: int) -> None:
    """Move the payload that a header speaks of to where it is, by what is known of its source."""
    if header.claim == _NONE:
        return
    bare_start = header.rtp_start + RTP_BYTES
    bare_bytes = header.payload_start + header.payload_bytes - bare_start
    uneven = bytes_per_10_ms > 0 and header.payload_bytes % bytes_per_10_ms != 0 and bare_bytes % bytes_per_10_ms == 0
    if header.claim == _FALSE or (uneven and source.claims != BELIEVED):
        source.claims = DISBELIEVED
    elif source.claims == UNDECIDED and source.packets >= CLAIM_PROOFS:
        source.claims = BELIEVED
    if source.claims == DISBELIEVED:
        header.payload_start, header.payload_bytes = bare_start, bare_bytes
