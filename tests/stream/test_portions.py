"""The worst network that can be drawn: what comes out depends on arrival times, never on how they were fed."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from strep.stream.events import StreamClosed
from tests.traffic import LEG, SMALL, Sender, per_stream, run

EVENT = {"payload_type": 101, "ticks": 0}
NEAR_AND_FAR = [-70, -30, 1, 2999, 3001, 20_000, 40_000]


class Wild:
    """Draws one stream's packets: everything that other files here try one by one, all at once."""

    def __init__(self, draw: st.DrawFn, direction: int) -> None:
        self.draw = draw
        self.claims = draw(st.booleans())
        self.sender = Sender(
            direction=direction,
            seed=direction,
            payload_type=draw(st.sampled_from([0, 8, 9, 3, 11, 97])),
            sequence_number=draw(st.sampled_from([0, 1, 1000, 65_530])),
            timestamp=draw(st.sampled_from([0, 50_000, 0xFFFF_FFFF - 400])),
        )
        self.left: tuple[int, int, int] | None = None  # the source before an SSRC change, to come back to

    def pick(self, *choices):
        return self.draw(st.sampled_from(choices))

    def disturb(self, kind: str) -> int:
        """Change the sender; give the milliseconds that this takes."""
        sender = self.sender
        if kind == "pause":
            pause_ms = self.pick(100, 1500, 5000)
            sender.timestamp += self.pick(0, 8 * pause_ms)
            return pause_ms
        if kind == "restart":
            sender.sequence_number += self.pick(*NEAR_AND_FAR)
        elif kind == "offset":
            sender.timestamp += self.pick(-100_000, -800, 800, 100_000, 1 << 30, 1 << 31)
        elif kind == "type":
            sender.payload_type = self.pick(0, 8, 9, 11, 97, 3)
        elif kind == "ssrc":
            here = (sender.ssrc, sender.sequence_number, sender.timestamp)
            back = self.left if self.left and self.pick(True, False) else (sender.ssrc + 1, self.pick(5, 65_535), 0)
            self.left, (sender.ssrc, sender.sequence_number, sender.timestamp) = here, back
        return 0

    def packet(self, kind: str) -> bytes:
        sender = self.sender
        if kind == "event":
            return sender.packet(payload=bytes((5, self.pick(0x0A, 0x8A), 0, 160)), **EVENT)
        if kind == "noise":
            return sender.packet(payload=b"\x40", payload_type=13)
        if kind == "wild":
            stray = Sender(direction=sender.direction, ssrc=sender.ssrc)
            stray.sequence_number, stray.timestamp = self.pick(7, 30_000, 60_000), self.pick(0, 1 << 31)
            return stray.packet()
        csrc = (1, 2) if self.claims and self.pick(True, True, False) else ()
        datagram = sender.packet(self.pick(160, 160, 80, 240, 33, 500), ticks=160, csrc=csrc)
        if self.claims and kind == "claim":
            return datagram[:24] + bytes((datagram[24] | self.pick(1, 15, 16, 31),)) + datagram[25:]
        return datagram


@st.composite
def wild_network(draw: st.DrawFn) -> list[tuple[float, bytes]]:
    arrivals = []
    for direction in range(draw(st.integers(1, 2))):
        wild, now_ms, stalled_until_ms = Wild(draw, direction), draw(st.integers(0, 40)), 0
        kinds = ["plain"] * 12 + ["lost", "lost event", "event", "noise", "wild", "claim", "stall"]
        kinds += ["pause", "restart", "offset", "type", "ssrc"]
        for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=40)):
            now_ms += 20 + wild.disturb(kind)
            if kind == "stall":
                stalled_until_ms = now_ms + draw(st.sampled_from([500, 3000]))
            datagram = wild.packet(kind.removeprefix("lost "))
            if not kind.startswith("lost"):
                at_ms = max(now_ms + draw(st.sampled_from([0, 0, 0, 5, 45, 99, 100, 150])), stalled_until_ms)
                arrivals += [(at_ms + 7 * copy, datagram) for copy in range(draw(st.sampled_from([1, 1, 1, 2])))]
    return sorted(arrivals, key=lambda arrival: arrival[0])


@given(
    wild_network(),
    st.lists(st.integers(1, 40), max_size=20),
    st.sampled_from([1, 7, 250, None]),
    st.booleans(),
)
@settings(max_examples=2 * settings.default.max_examples)
def test_portions_and_ticks_compiled_or_not_change_nothing(arrivals, portions, step_ms, compiled: bool) -> None:
    whole = run(arrivals)
    config = replace(SMALL, compiled=compiled)
    other = run(arrivals, config, portions=[*portions, *[1000] * 10], step_ms=step_ms)
    assert per_stream(other) == per_stream(whole)


@given(wild_network())
def test_every_sample_has_one_cause_and_every_packet_is_accounted_for(arrivals) -> None:
    for engine_report in (closed.report for closed in run(arrivals).of(StreamClosed)):
        assert engine_report.identity.call == f"{LEG}-A"
        assert sum(engine_report.samples_by_state.values()) == engine_report.length_samples
        assert min(engine_report.samples_by_state.values()) >= 0
        for source in engine_report.sources:
            assert source.lost == source.expected - (source.packets - source.duplicates - source.rejected)
            assert source.lost >= 0
