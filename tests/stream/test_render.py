"""G.711 is decoded by rules, in place of a decoder."""

from dataclasses import replace

import numpy as np
import pytest

from strep.audio import g711
from strep.audio.block import AudioBlock
from strep.stream.engine import Engine
from tests.traffic import SMALL, START_NS, Sender, feed


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize(("payload_type", "law"), [(0, g711.Law.MU), (8, g711.Law.A)])
@pytest.mark.parametrize("length", [1, 79, 160, 256])
def test_every_code_is_decoded_as_by_the_table(compiled: bool, payload_type: int, law: g711.Law, length: int) -> None:
    codes = np.arange(512, dtype=np.int64).astype(np.uint8)
    sender = Sender(payload_type=payload_type)
    payloads = [codes[n : n + length].tobytes() for n in range(0, 256, 1 if length == 1 else 16)]
    packets = [sender.packet(payload=payload, ticks=length) for payload in payloads]
    engine = Engine(replace(SMALL, compiled=compiled))
    arrivals = [(length / 8 * n, packet) for n, packet in enumerate(packets)]
    outputs = [out for some in (arrivals[:1], arrivals[1:]) for out in feed(engine, some)]
    outputs += engine.advance(START_NS + 60 * 10**9)
    samples = np.concatenate([out.samples.ravel() for out in outputs if isinstance(out, AudioBlock)])
    assert np.array_equal(samples, g711.decode(np.frombuffer(b"".join(payloads), np.uint8), law))
