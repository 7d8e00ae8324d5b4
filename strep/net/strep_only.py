"""Tell STREP from everything else, for targets that take nothing else: the twin of the kernel's program (steering).

STREP is what begins with version 1 and a HeaderLen that can be, and has room for an RTP header behind the 24 bytes.
What of it is malformed all the same is for the engine to say.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from strep.wire.batch import NOT_STREP, DatagramBatch
from strep.wire.rtp import RTP_BYTES
from strep.wire.strep import STREP_BYTES, STREP_MAGIC, STREP_VERSION

#: The first byte without L and D.
FIRST, FIRST_MASK = STREP_MAGIC | STREP_VERSION << 2, 0xFC
LEAST_HEADER_BYTES = STREP_BYTES
LEAST_BYTES = STREP_BYTES + RTP_BYTES


def mark_others(batch: DatagramBatch) -> DatagramBatch:
    """Give datagrams that are no STREP the source NOT_STREP, unless they are refused already."""
    others = batch.flat[batch.offset] & FIRST_MASK != FIRST
    others |= batch.flat[batch.offset + 1] < LEAST_HEADER_BYTES
    others |= batch.length < LEAST_BYTES
    if not others.any():
        return batch
    return replace(batch, source=np.where(others & (batch.source >= 0), NOT_STREP, batch.source))
