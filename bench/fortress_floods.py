"""Do floods of what are no calls cost a call? Real sockets over loopback: `strep record`, 200 calls, and a flood.

In each run 200 calls last from before the flood until after it, and 20 begin in the midst of it. Every sample of all of
them is held against what was sent. The first run has no flood: the others' memory is held against its.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.claims import Claim
from bench.completeness import check_recordings
from bench.flooding import COLLIDING_IDS, ID_BYTES, Flood, Flooding, colliding_ids, speech_packet
from bench.load import Load, Sending, kept_pace
from bench.machine import RECEIVER_CPU, SENDER_CPU
from bench.recorder_command import RecorderCommand
from strep.stream.engine import Engine, EngineConfig
from strep.wire.batch import DatagramBatch, Endpoint

#: The most that memory may grow by a flood, against the run without.
_MEMORY_SHARE = 0.2
#: A sender that reaches so much of a rate has offered it.
_REACHED_SHARE = 0.98
#: The most that a datagram of ids that collide may cost, in those of random ids: more than what runs differ by.
_COST_RATIO = 1.5
_COST_ROUNDS = 25
#: Legs open, code compiles, and 100 ms later what is first of each stream is placed.
_FIRST_ROUNDS = 8
_SHOWN_FAULTS = 3


@dataclass(frozen=True, slots=True)
class Scene:
    """One run: calls that last throughout, those that begin meanwhile, and when the flood comes.

    All in seconds: how long the first ones last, when the flood begins and how long it lasts, and how long after it
    the others begin and how long they last. pinned: whether sender and receiver have a core each.
    """

    calls: int = 200
    begun: int = 20
    seconds: int = 14
    flood_after_s: float = 2.0
    begin_after_s: float = 2.0
    begun_seconds: int = 5
    pinned: bool = True


_NO_FLOOD = Flood("garbage", 1, 0.0)
#: By name: the flood and what else strep record is told.
FLOODS: tuple[tuple[str, Flood, tuple[str, ...]], ...] = (
    ("garbage", Flood("garbage", 200_000, 10), ()),
    ("random call_leg_ids", Flood("random ids", 100_000, 10), ()),
    ("25,000 colliding call_leg_ids", Flood("colliding ids", 100_000, 10), ()),
    # At 100,000 a second, each takes 9 us of ours, and with the calls that is more than a core has.
    ("1,000,000 senders", Flood("many senders", 62_500, 16.1), ()),
    ("garbage, --strep-only", Flood("garbage", 200_000, 10), ("--strep-only",)),
)


def measure(
    scene: Scene | None = None, floods: tuple[tuple[str, Flood, tuple[str, ...]], ...] = FLOODS
) -> dict[str, Any]:
    """Measure in some 20 s a flood."""
    scene = scene or Scene()
    quiet = measure_one(scene, None, ())
    found = {name: measure_one(scene, flood, words) for name, flood, words in floods}
    return {"quiet": quiet, "floods": found, "collisions": measure_collisions()}


def rows(report: dict[str, Any]) -> list[Claim]:
    """Say of a report what was promised, and whether it was kept."""
    quiet, claims = report["quiet"], list[Claim]()
    claims.append(_exact("no flood", quiet))
    for name, one in report["floods"].items():
        wanted, reached = one["rate"], one["reached"]
        claims.append(
            Claim(
                f"{name}: datagrams a second; the kernel dropped {one['kernel_drops']:,}, and others had the "
                f"recorder's core for {one['preempted_s']:.1f} s",
                f"{reached:,.0f}",
                f"{wanted:,}",
                reached >= _REACHED_SHARE * wanted,
            )
        )
        claims.append(_exact(name, one))
        growth = one["resident_most_kib"] / quiet["resident_most_kib"] - 1
        memory = f"{one['resident_most_kib'] / 1024:.0f} MiB, {growth:+.0%}"
        claims.append(Claim(f"{name}: memory", memory, f"+{_MEMORY_SHARE:.0%}", growth <= _MEMORY_SHARE))
    cost = report["collisions"]
    claims.append(
        Claim(
            f"a datagram of {cost['legs']:,} open legs whose ids collide, in those of random ids",
            f"{cost['ratio']:.2f} x ({cost['colliding_ns']:.0f} ns)",
            f"{_COST_RATIO} x",
            cost["ratio"] <= _COST_RATIO,
        )
    )
    return claims


def _exact(name: str, one: dict[str, Any]) -> Claim:
    calls, begun = one["calls"], one["begun"]
    return Claim(
        f"{name}: exact of {calls} calls, and of {begun} begun meanwhile",
        f"{one['exact']} and {one['begun_exact']}",
        "all, no other file",
        (one["exact"], one["begun_exact"], one["faults"]) == (calls, begun, []),
    )


def measure_one(scene: Scene, flood: Flood | None, words: tuple[str, ...]) -> dict[str, Any]:
    """Record calls beside a flood, or without one, and check them."""
    seconds = max(scene.seconds, round(scene.flood_after_s + flood.seconds) + 2 if flood else 0)
    base, more = Load(scene.calls, seconds, seed=1), Load(scene.begun, scene.begun_seconds, seed=2)
    sender_cpu, receiver_cpu = (SENDER_CPU, RECEIVER_CPU) if scene.pinned else (None, None)
    with tempfile.TemporaryDirectory(prefix="strep-fortress-") as folder:
        directory = Path(folder) / "calls"
        with RecorderCommand(directory, *words, cpu=receiver_cpu) as recorder:
            with (
                Flooding(flood or _NO_FLOOD, recorder.address, cpu=sender_cpu) as flooding,
                Sending(base, recorder.address, cpu=sender_cpu) as sending,
            ):
                time.sleep(scene.flood_after_s)
                flooding.begin()
                time.sleep(scene.begin_after_s)
                with Sending(more, recorder.address, cpu=sender_cpu) as sending_more:
                    sent_more = sending_more.finish()
                flooded = flooding.finish()
                sent = sending.finish()
            resident_most_kib = recorder.resident_most_kib
            processor_s, preempted_s = recorder.processor_s, recorder.preempted_s
            told = recorder.stop()
        processes = 2 if scene.pinned else 1
        findings = check_recordings(directory, base.traffic(), base.packets, processes=processes, others=more.calls)
        begun = check_recordings(directory, more.traffic(), more.packets, others=base.calls)
    faults = [*findings.faults.values(), *begun.faults.values()]
    return {
        "calls": base.calls,
        "exact": findings.complete,
        "begun": more.calls,
        "begun_exact": begun.complete,
        "faults": faults[:_SHOWN_FAULTS],
        "rate": flood.rate if flood else 0,
        "reached": flooded["packets_per_second"] if flood else 0.0,
        "flood_sent": flooded["packets_sent"],
        "resident_most_kib": resident_most_kib,
        "processor_s": processor_s,
        "preempted_s": preempted_s,
        "kernel_drops": told["kernel_drops"],
        "kernel_refused": told["kernel_refused"],
        "fates": {name: count for name, count in told["datagrams"].items() if count},
        "sender_kept_pace": kept_pace(sent) and kept_pace(sent_more),
        "sender": sent,
    }


def measure_collisions(legs: int = 20_000, rounds: int = _COST_ROUNDS) -> dict[str, Any]:
    """Compare what datagrams of open legs cost whose ids collide, and whose ids are random: by the engine alone.

    The least of some rounds, as others use the machine, too.
    """
    random = np.random.default_rng(3).bytes(16 * legs)
    kinds = {
        "colliding_ns": colliding_ids(max(legs, COLLIDING_IDS))[-legs:],
        "random_ns": np.frombuffer(random, np.uint8).reshape(-1, 16),
    }
    engines = {name: _Played(ids) for name, ids in kinds.items()}
    costs: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):  # in turns, so that a slow second is both's
        for name, engine in engines.items():
            costs[name].append(engine.play())
    found: dict[str, Any] = {name: min(some) for name, some in costs.items()}
    return found | {"legs": legs, "ratio": found["colliding_ns"] / found["random_ns"]}


class _Played:
    """An engine with a leg for each id, to which one packet after the other comes."""

    def __init__(self, ids: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        self._rows = np.tile(np.frombuffer(speech_packet(), np.uint8), (len(ids), 1))
        self._rows[:, ID_BYTES] = ids
        self._engine = Engine(EngineConfig(probation=False, compiled=True))
        self._number = 0
        for _ in range(_FIRST_ROUNDS):
            self.play()

    def play(self) -> float:
        """Let a packet come to each leg; returns nanoseconds a packet."""
        self._number += 1
        header = self._rows[0].tobytes().index(bytes([0x80, 0]))  # RTP without anything, PCMU
        self._rows[:, header + 2 : header + 4] = np.frombuffer(self._number.to_bytes(2, "big"), np.uint8)
        self._rows[:, header + 4 : header + 8] = np.frombuffer((160 * self._number).to_bytes(4, "big"), np.uint8)
        arrival_ns = 1_700_000_000_000_000_000 + self._number * 20_000_000
        batch = DatagramBatch.from_datagrams(
            [row.tobytes() for row in self._rows],
            [arrival_ns] * len(self._rows),
            endpoints=(Endpoint("192.0.2.1:9", "192.0.2.2:9", "default"),),
        )
        began_ns = time.process_time_ns()
        self._engine.feed(batch)
        spent_ns = time.process_time_ns() - began_ns
        self._engine.advance(arrival_ns)
        return spent_ns / len(self._rows)


def small() -> tuple[Scene, tuple[tuple[str, Flood, tuple[str, ...]], ...]]:
    """Give a scene and floods of a second, for tests."""
    scene = Scene(4, 2, 3, 0.2, 0.2, 1, pinned=False)
    return scene, tuple((name, replace(flood, rate=2000, seconds=1.0), words) for name, flood, words in FLOODS)
