"""Parts of a stream, held against a twin that walks the call packet by packet and decides each by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strep.emulator.codec import Audio
from strep.emulator.dtmf import KeyEvent
from strep.emulator.script import NOISE_PACKETS, Numbering, Pause, Playing, Script, Steps

END = 40
FIRST = Numbering(1, 2, 3)
CALLER = Playing(Audio((b"",), None), 0)


def new_script():
    return Script(Steps.begin(FIRST), Steps.begin(CALLER))


def test_without_any_change_packets_and_numbers_are_the_same():
    script = new_script()
    assert [script.number(packet) for packet in range(5)] == [*range(5)]
    assert [script.packet_of(number) for number in range(5)] == [*range(5)]
    assert script.part(10**9).has_audio


def test_a_step_lasts_until_the_next_and_a_change_drops_those_planned_after_it():
    steps = Steps.begin("a")
    steps.change(10, "b")
    steps.change(20, "c")
    assert [steps.at(packet) for packet in (0, 9, 10, 19, 20, 10**9)] == ["a", "a", "b", "b", "c", "c"]
    steps.change(15, "d")
    assert [steps.at(packet) for packet in (14, 15, 20)] == ["b", "d", "d"]
    steps.change(0, "e")
    assert (steps.starts, steps.values) == ([0], ["e"])


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("pause"), st.integers(0, END), st.sampled_from([None, *Pause])),
        st.tuples(st.just("event"), st.integers(0, END), st.integers(2, 6)),
        st.tuples(st.just("numbering"), st.integers(0, END), st.integers(0, 9).map(lambda n: Numbering(n, n, n))),
        st.tuples(st.just("playing"), st.integers(0, END), st.integers(0, 9).map(lambda n: CALLER._replace(shift=n))),
    ),
    max_size=8,
)


class Walked:
    """Is the twin: what every packet is, each kept by itself; a part is found by walking back."""

    def __init__(self):
        self.pause, self.event = [None] * (END + 50), [None] * (END + 50)
        self.numbering, self.playing = [FIRST] * (END + 50), [CALLER] * (END + 50)
        self.begins = {0}

    def change(self, name, at, value):
        kept = getattr(self, name)
        kept[at:] = [value] * (len(kept) - at)

    def rtp_packets(self, packet, begin):
        if event := self.event[packet]:
            return 3 if packet in (event.start, event.start + event.packets - 1) else 1
        if self.pause[packet] is Pause.COMFORT_NOISE:
            return int((packet - begin) % NOISE_PACKETS == 0)
        return 0 if self.pause[packet] is Pause.ABSENT else 1


@given(CHANGES)
def test_parts_are_what_walking_every_packet_finds(changes):
    script, twin = new_script(), Walked()
    # In the order of time, as a call makes them; a key is released only when its event is over.
    free = 0
    for name, at, value in sorted(changes, key=lambda change: change[1]):
        if name == "event":
            at = max(at, free)
            if at > END:
                continue
            free = at + value
            event = KeyEvent(at, value, "5", value * 160, 101)
            for where, what in ((at, event), (free, None)):
                script.event.change(where, what)
                twin.change("event", where, what)
                twin.begins.add(where)
        else:
            getattr(script, name).change(at, value)
            twin.change(name, at, value)
            twin.begins.add(at)
        script.rewrite(at)
    number = begin = 0
    for packet in range(END):
        begin = packet if packet in twin.begins else begin
        part = script.part(packet)
        assert (part.pause, part.event) == (twin.pause[packet], twin.event[packet])
        numbered = twin.event[packet].start if twin.event[packet] else packet  # an event keeps its timestamp
        assert (part.numbering, part.playing) == (twin.numbering[numbered], twin.playing[packet])
        assert script.number(packet) == number
        made = twin.rtp_packets(packet, begin)
        assert [script.packet_of(n) for n in range(number, number + made)] == [packet] * made
        number += made


@pytest.mark.parametrize(("pause", "has_audio"), [(None, True), *((kind, kind is Pause.SILENCE) for kind in Pause)])
def test_only_speech_and_frames_of_silence_are_audio(pause, has_audio):
    script = new_script()
    script.pause.change(10, pause)
    script.rewrite(10)
    assert script.part(9).has_audio and script.part(10).has_audio is has_audio
