"""What happens is told in JSON Lines that other programs can rely on."""

import importlib
import io
import json
import threading
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest

from strep.alarms import Alarm, AlarmState
from strep.analysis import Found, JsonLines, Notice, PluginRun, jsonl
from strep.errors import SinkError
from strep.plugins import registry
from strep.plugins.base import Finding
from strep.stream.events import Direction, Leg, StreamIdentity, StreamOpened
from strep.utc import utc_text
from tests.analysis.faulty import Sound
from tests.analysis.test_faults import record
from tests.traffic import LEG, START_NS

IDENTITY = StreamIdentity(LEG, Leg.B, Direction.OUTBOUND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd(Finding):
    KIND: ClassVar[str] = "odd"
    value: Any


def notice(number, value=0, is_pair=False):
    finding = Odd(row=3, position=4000, length_samples=80, value=value)
    return Notice(number, IDENTITY, Found("odd-one", IDENTITY, is_pair, START_NS + 500_000_000, 0.5, 10.0, finding))


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def written(*notices):
    stream = io.StringIO()
    writer = JsonLines(stream)
    for one in notices:
        writer(one)
    writer.close()
    assert writer.failure is None
    return lines(stream)


def test_what_all_lines_have_cannot_be_said_otherwise_by_a_finding():
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Overrides(Finding):
        KIND: ClassVar[str] = "overrides"
        sequence: int = 99
        time: str = "noon"
        level: int = 5

    found = Found("it", IDENTITY, False, START_NS, 0.0, 0.0, Overrides(row=0, position=0))
    (line,) = written(Notice(7, IDENTITY, found))
    assert (line["sequence"], line["level"]) == (7, 5)
    assert line["time"].startswith("2023-11-14")


def test_every_kind_of_the_plugins_that_come_along_is_described():
    for module in registry.BUILT_IN.values():
        importlib.import_module(module.partition(":")[0])
    kinds = {kind.KIND: kind.__module__ for kind in Finding.__subclasses__() if kind.__module__.startswith("strep.")}
    table = dict(line.split(maxsplit=1) for line in "\n".join(_rows(jsonl.__doc__)).splitlines())
    assert {kind: place.split()[0] for kind, place in table.items()} == kinds


def _rows(text):
    """Give "kind place" for each kind in the table."""
    for line in text.splitlines():
        if " strep.plugins." in line:
            kinds, place = line.split("  strep")
            yield from (f"{kind.strip()} strep{place}" for kind in kinds.split(","))


def test_half_a_character_is_told_and_silences_nothing(tmp_path):
    writer = JsonLines(tmp_path / "told.jsonl")
    writer(notice(1, "\udce4 ä"))
    writer(notice(2))
    writer.close()
    first, second = (json.loads(line) for line in (tmp_path / "told.jsonl").read_text("utf-8").splitlines())
    assert (first["value"], second["sequence"]) == ("\udce4 ä", 2)
    assert writer.failure is None


def test_what_cannot_be_written_down_is_counted_and_silences_nobody(caplog):
    class Stubborn:
        def __str__(self):
            raise ValueError("no words")

    stream = io.StringIO()
    writer = JsonLines(stream)
    for number, value in enumerate([Stubborn(), Stubborn(), 5]):
        writer(notice(number, value))
    writer.close()
    assert [line["value"] for line in lines(stream)] == [5]
    assert (writer.missed, writer.undescribed, writer.failure) == (2, 2, None)
    assert caplog.text.count("cannot be written down") == 1


def test_a_disk_that_is_full_is_told(caplog):
    writer = JsonLines("/dev/full")
    writer(notice(1))
    writer.close()
    assert writer.failure is not None
    assert writer.missed == 1
    assert "nothing more is written to /dev/full: " in caplog.text


def test_an_alarm_is_a_line_about_no_call():
    stream = io.StringIO()
    told = JsonLines(stream)
    told(notice(1))
    told.alarm(Alarm("rejected_leg", AlarmState.STANDING, 5, 12, START_NS + 1_000_000_000, START_NS))
    told.close()
    assert lines(stream)[1] == {
        "event": "alarm",
        "time": utc_text(START_NS + 1_000_000_000),
        "reason": "rejected_leg",
        "state": "standing",
        "count": 5,
        "total": 12,
        "since": utc_text(START_NS),
    }


def test_lines_begin_with_what_they_are_about():
    stream = io.StringIO()
    writer = JsonLines(stream)
    writer.about = {"file": "a.pcap"}
    writer(notice(1))
    writer.close()
    assert next(iter(lines(stream)[0].items())) == ("file", "a.pcap")


def test_a_finding_is_told_with_whose_it_is_and_when():
    (line,) = written(notice(7, "x"))
    assert line == {
        "sequence": 7,
        "event": "odd",
        "time": "2023-11-14T22:13:20.500000Z",
        "call": f"{LEG}-B",
        "call_leg_id": str(LEG),
        "leg": "B",
        "direction": "outbound",
        "plugin": "odd-one",
        "start_s": 0.5,
        "duration_ms": 10.0,
        "value": "x",
    }
    assert written(notice(1, is_pair=True))[0]["direction"] == "both"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("-inf"), None),
        (float("nan"), None),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        ((1.5, float("nan")), [1.5, None]),
        (np.arange(2), [0, 1]),
        ({1: True}, {"1": True}),
        (Direction.INBOUND, 0),
        (LEG, str(LEG)),
    ],
)
def test_every_value_becomes_json(value, told):
    assert written(notice(1, value))[0]["value"] == told


def test_a_call_is_told_from_start_to_stop(tmp_path):
    _, _, notices = record(tmp_path, [PluginRun(Sound)])
    told = written(*notices)
    assert [line["sequence"] for line in told] == sorted(line["sequence"] for line in told)
    inbound = [line for line in told if line["direction"] == "inbound"]
    kinds = [line["event"] for line in inbound]
    assert (kinds[0], kinds[1], kinds[-1]) == ("start", "media_format", "stop")
    assert inbound[1]["encoding"] == "PCMU"
    gaps = [line for line in inbound if line["event"] == "gap"]
    assert [(gap["state"], gap["start_s"], gap["duration_ms"], gap["lost_packets"]) for gap in gaps][:1] == [
        ("concealed", 0.1, 20.0, 1)
    ]
    assert gaps[0]["time"] == "2023-11-14T22:13:20.100000Z"
    assert inbound[-1]["duration_ms"] == 2000.0
    assert inbound[-1]["lost"] == len(gaps)
    assert kinds.count("peak") == 100


def test_a_file_is_written_anew(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("old")
    writer = JsonLines(path)
    writer(notice(1))
    writer.close()
    assert [json.loads(line)["sequence"] for line in path.read_text().splitlines()] == [1]
    with pytest.raises(SinkError, match="No such file"):
        JsonLines(tmp_path / "missing" / "events.jsonl")


class Slow(io.StringIO):
    """Takes nothing until it may."""

    def __init__(self):
        super().__init__()
        self.asked, self.may = threading.Event(), threading.Event()

    def write(self, text):
        self.asked.set()
        self.may.wait()
        return super().write(text)


def test_a_reader_that_is_too_slow_misses_the_oldest_lines():
    stream = Slow()
    writer = JsonLines(stream, most_lines=3)
    writer(notice(1))
    stream.asked.wait()
    for number in range(2, 12):
        writer(notice(number))
    stream.may.set()
    writer.close()
    assert [line["sequence"] for line in lines(stream)] == [1, 9, 10, 11]
    assert writer.missed == 7


def test_a_reader_that_takes_nothing_does_not_keep_the_end_waiting(monkeypatch):
    monkeypatch.setattr("strep.analysis.jsonl._PATIENCE_S", 0.01)
    stream = Slow()
    writer = JsonLines(stream)
    writer(notice(1))
    stream.asked.wait()
    writer(notice(2))
    writer.close()
    assert writer.missed == 1
    stream.may.set()


def test_when_writing_fails_the_rest_is_counted():
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError("gone")

    writer = JsonLines(Broken())
    writer(notice(1))
    writer.close()
    writer(notice(2))
    assert isinstance(writer.failure, BrokenPipeError)
    assert writer.missed == 2


def test_a_stream_that_starts_names_its_source():
    (line,) = written(Notice(1, IDENTITY, StreamOpened(START_NS, 4, IDENTITY, 77, "192.0.2.1:5", "192.0.2.2:6")))
    assert (line["event"], line["ssrc"], line["source"]) == ("start", 77, "192.0.2.1:5")
