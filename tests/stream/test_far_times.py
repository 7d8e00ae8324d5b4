"""A clock that jumps by hours or years makes nobody wait for the seconds in between."""

import uuid

import pytest

from strep.stream.engine import Engine, EngineConfig
from strep.stream.events import CloseReason, StreamClosed
from tests.traffic import MS, START_NS, Sender, every, feed, per_stream, result, run

LASTING = EngineConfig(max_streams=8, probation=False, idle_timeout_s=86_400)


def test_hours_pass_in_one_step_and_all_that_was_due_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    settle = Engine._settle
    monkeypatch.setattr(Engine, "_settle", lambda self, now_ns: (steps.append(now_ns), settle(self, now_ns)))
    engine = Engine(LASTING)
    outputs = feed(engine, every(Sender().packets(20)))
    outputs += engine.advance(START_NS + 23 * 3_600_000 * MS)
    assert engine.open_streams == 1
    outputs += engine.advance(START_NS + 400 * 86_400_000 * MS)
    (closed,) = result(outputs, engine).of(StreamClosed)
    assert (closed.reason, closed.time_ns) == (CloseReason.IDLE, START_NS + 86_401_000 * MS)
    assert len(steps) < 12


@pytest.mark.parametrize("pause_ms", [900, 4_000, 5_500, 9_999, 61_000, 90_000_000])
def test_what_comes_of_a_jump_does_not_depend_on_when_somebody_looked(pause_ms: int) -> None:
    senders = [Sender(call_leg_id=uuid.UUID(int=n), seed=n, direction=n % 2) for n in range(3)]
    arrivals = [a for n, s in enumerate(senders) for a in every(s.packets(3 + 4 * n), start_ms=1500 * n)]
    arrivals += [a for s in senders for a in every(s.packets(3), start_ms=pause_ms + 3000)]
    arrivals.sort()
    looked = run(arrivals, LASTING, portions=[1] * 100, step_ms=max(250, pause_ms / 300))
    assert per_stream(looked) == per_stream(run(arrivals, LASTING, portions=[1000], step_ms=None))
