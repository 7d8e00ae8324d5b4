"""Tell what happens in JSON Lines: one object a line, in order.

Every line has:

    file            of `strep analyze` only: which one it is about; the sequence begins anew with each
    sequence        1, 2, 3 and so on; where one is missing, the reader was too slow
    event           start, media_format, source, gap, telephone_event, stop, or a finding's own: speech, digit, ...
    time            when, RFC 3339 in UTC with microseconds; of what lasts, when it begins
    call            names the leg: both directions have the same
    call_leg_id     null for plain RTP
    leg             A or B
    direction       inbound, outbound, or both (of plugins that listen to both)

and then

    start           ssrc, source, destination
    media_format    payload_type, encoding, sample_rate_hz, channels (null when nobody knows), start_s
    source          ssrc, start_s: another SSRC goes on
    gap             start_s, duration_ms, state (concealed, silence, lost), lost_packets
    telephone_event start_s, duration_ms, digit, volume_dbm0, complete
    stop            reason, duration_ms, packets, lost, samples_by_state
    a finding       plugin, start_s, duration_ms, and the finding's own fields by their names

A line of its own kind, about no stream, is that of an alarm: something goes wrong with reception as a whole
(strep.alarms). It has no sequence and no call, but

    event           alarm
    time            when it was told
    reason          a stable word: kernel_drops, write_errors, or a fate of datagrams (strep.wire.fate)
    state           raised, standing (once a minute), cleared
    count           how many since it was last told
    total           how many since reception began
    since           when it was raised

Neither has that of an old recording which limits made go (`strep record --keep-days`):

    event           recording_removed
    sidecar, files, size_bytes

A finding's own fields are those of its class, where they are described:

    speech_start, speech, talk  strep.plugins.conversation (of plugins voice and silero)
    digit                       strep.plugins.digit_pairing (dtmf)
    call_progress               strep.plugins.progress
    level, dead_air             strep.plugins.level
    echo                        strep.plugins.echo
    quality                     strep.plugins.quality

start_s is seconds since the stream (of pairs, the leg) began, whose `start` may turn out to have been earlier than its
first packet told. Fields may be added; none changes its meaning. What is no number (an infinite level) is null.
"""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections import deque
from dataclasses import fields
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from strep.alarms import Alarm
from strep.analysis.analysis import Notice
from strep.analysis.found import Found
from strep.errors import SinkError
from strep.plugins.base import RESERVED, Finding
from strep.stream.events import (
    AnchorMoved,
    Direction,
    Event,
    FormatChanged,
    Gap,
    SourceChanged,
    StreamClosed,
    StreamIdentity,
    StreamOpened,
    TelephoneEvent,
)
from strep.utc import utc_text

_log = logging.getLogger(__name__)
Document = dict[str, Any]
#: Lines that wait for the reader: 20 MB. A pipe that nobody reads must not make capture wait.
MOST_LINES = 100_000
#: How long the end waits for a reader that takes nothing.
_PATIENCE_S = 5.0
#: What a finding's own fields do not say.
_COMMON = {one.name for one in fields(Finding)} | RESERVED


class JsonLines:
    """A consumer (strep.analysis) that writes to a file or a stream such as stdout, in a thread of its own.

    to: a path, which is written anew unless it `appends`, or a text stream, which is left open. waits: for a reader
    that is too slow, rather than drop the oldest lines. about: what each line begins with. missed: lines that are not
    there; undescribed: those of them of which none could be made. failure: what writing raised, after which nothing
    more is written; logged, unless it waits: then whoever runs it looks. Raises SinkError when it cannot be opened.
    """

    def __init__(
        self, to: str | Path | TextIO, *, appends: bool = False, waits: bool = False, most_lines: int = MOST_LINES
    ) -> None:
        self._owns = isinstance(to, str | Path)
        try:
            self._stream: TextIO = _open(Path(to), appends=appends) if isinstance(to, str | Path) else to
        except OSError as error:
            raise SinkError(f"{to}: {error.strerror}") from error
        self._describer = Describer()
        self.about: Document = {}
        self._waits, self._most = waits, most_lines
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self.missed = self.undescribed = 0
        self.failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="strep json lines", daemon=True)
        self._thread.start()

    def __call__(self, notice: Notice) -> None:
        """Write one notice."""
        line = self._line(notice)
        if line is not None:
            self._put(line)

    def alarm(self, alarm: Alarm) -> None:
        """Write an alarm."""
        self.tell("alarm", alarm.time_ns, alarm.describe())

    def tell(self, event: str, time_ns: int, fields: Document) -> None:
        """Write a line that is about no stream; any thread may call this. fields: what JSON has."""
        self._put(json.dumps(self.about | {"event": event, "time": utc_text(time_ns), **fields}) + "\n")

    def _put(self, line: str) -> None:
        with self._changed:
            while self._waits and len(self._lines) >= self._most and self.failure is None:
                self._changed.wait()
            if self.failure is not None or len(self._lines) >= self._most:
                self.missed += 1
                if self.failure is not None:
                    return
                self._lines.popleft()
            self._lines.append(line)
            self._changed.notify_all()

    def _line(self, notice: Notice) -> str | None:
        """Write a notice down; None for one that is not told. What cannot be written down is counted as missed."""
        try:
            document = self._describer.describe(notice)
            if document is None:
                return None
            line = json.dumps(self.about | document, ensure_ascii=False, allow_nan=False) + "\n"
            return line.encode("utf-8", "backslashreplace").decode()  # half a character is an escape in JSON, too
        except Exception as error:  # of what a plugin made: others have things to tell
            if not self.undescribed:
                _log.error("what a plugin found cannot be written down; further ones are only counted", exc_info=error)
            self.undescribed += 1
            self.missed += 1
            return None

    def close(self) -> None:
        """Write what waits, as far as the reader takes it."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join(None if self._waits else _PATIENCE_S)
        if self._thread.is_alive():
            with self._changed:
                self.missed += len(self._lines)
                self._lines.clear()
        elif self._owns:
            try:
                self._stream.close()
            except OSError as error:
                self.failure = self.failure or error

    def _work(self) -> None:
        while lines := self._next():
            try:
                self._stream.write("".join(lines))
                self._stream.flush()
            except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
                with self._changed:
                    self.failure = error if isinstance(error, OSError) else OSError(str(error))
                    self.missed += len(lines) + len(self._lines)
                    self._lines.clear()
                    self._changed.notify_all()
                if not self._waits:
                    _log.error("nothing more is written to %s: %s", getattr(self._stream, "name", "a stream"), error)
                return

    def _next(self) -> list[str]:
        with self._changed:
            while not self._lines and not self._ended:
                self._changed.wait()
            lines = list(self._lines)
            self._lines.clear()
            self._changed.notify_all()
        return lines


class Describer:
    """A describer that makes documents of notices. It remembers the sample rate of each stream, by which positions
    become seconds.
    """

    def __init__(self) -> None:
        self._zero_ns: dict[int, int] = {}
        self._rate_hz: dict[int, int] = {}

    def describe(self, notice: Notice) -> Document | None:
        """Give the document of a notice, None for one that is not told: an anchor that moved."""
        what = notice.what
        if isinstance(what, Found):
            name, time_ns, more = what.finding.KIND, what.time_ns, _finding(what)
        else:
            name, time_ns, more = self._event(what)
        if isinstance(what, AnchorMoved):
            return None
        is_pair = isinstance(what, Found) and what.is_pair
        return {
            "sequence": notice.sequence,
            "event": name,
            "time": utc_text(time_ns),
            **_identity(notice.identity, is_pair=is_pair),
            **{key: _plain(value) for key, value in more.items()},
        }

    def _event(self, event: Event) -> tuple[str, int, Document]:
        match event:
            case StreamOpened():
                self._zero_ns[event.slot], self._rate_hz[event.slot] = event.time_ns, 8000
                more = {"ssrc": event.ssrc, "source": event.source, "destination": event.destination}
                return "start", event.time_ns, more
            case AnchorMoved():
                self._zero_ns[event.slot] = min(event.anchor_ns, self._zero_ns.get(event.slot, event.anchor_ns))
                return "", event.time_ns, {}
            case FormatChanged():
                return self._format(event)
            case SourceChanged():
                return "source", *self._at(event.slot, event.position, {"ssrc": event.ssrc})
            case Gap():
                return "gap", *self._at(
                    event.slot,
                    event.position,
                    {
                        "duration_ms": event.length_samples * 1000 / event.sample_rate_hz,
                        "state": event.state.name.lower(),
                        "lost_packets": event.lost_packets,
                    },
                )
            case TelephoneEvent():
                more = {"duration_ms": event.duration_ms, "digit": event.name}
                more |= {"volume_dbm0": event.volume_dbm0, "complete": event.complete}
                return "telephone_event", *self._at(event.slot, event.position, more)
            case StreamClosed():
                self._zero_ns.pop(event.slot, None)
                self._rate_hz.pop(event.slot, None)
                return "stop", event.time_ns, _stop(event)

    def _format(self, event: FormatChanged) -> tuple[str, int, Document]:
        meaning = event.format
        self._rate_hz[event.slot] = meaning.sample_rate_hz if meaning else self._rate_hz.get(event.slot, 8000)
        return "media_format", *self._at(
            event.slot,
            event.position,
            {
                "payload_type": event.payload_type,
                "encoding": meaning.encoding if meaning else None,
                "sample_rate_hz": meaning.sample_rate_hz if meaning else None,
                "channels": meaning.channels if meaning else None,
            },
        )

    def _at(self, slot: int, position: int, more: Document) -> tuple[int, Document]:
        rate_hz = self._rate_hz.get(slot, 8000)
        time_ns = self._zero_ns.get(slot, 0) + position * 1_000_000_000 // rate_hz
        return time_ns, {"start_s": round(position / rate_hz, 6), **more}


def _open(path: Path, *, appends: bool) -> TextIO:
    """Open a file; where a writer was killed within its last line, that one is ended."""
    stream = path.open("a" if appends else "w", encoding="utf-8")
    if appends and path.stat().st_size:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            stream.write("" if file.read() == b"\n" else "\n")
    return stream


def _identity(identity: StreamIdentity, *, is_pair: bool) -> Document:
    return {
        "call": identity.call,
        "call_leg_id": str(identity.call_leg_id) if identity.call_leg_id else None,
        "leg": identity.leg.name,
        "direction": "both" if is_pair else identity.direction.name.lower(),
    }


def describe_found(found: Found) -> Document:
    """Say what was found, where in the stream, and by whom; but not whose it is, and not when."""
    return {key: _plain(value) for key, value in _finding(found).items()}


def _finding(found: Found) -> Document:
    own = {one.name: getattr(found.finding, one.name) for one in fields(found.finding) if one.name not in _COMMON}
    if isinstance(own.get("direction"), Direction):  # of a pair, the finding knows which it is
        own["direction"] = own["direction"].name.lower()
    return {"plugin": found.plugin, "start_s": round(found.start_s, 6), "duration_ms": found.duration_ms, **own}


def _stop(event: StreamClosed) -> Document:
    report = event.report
    return {
        "reason": event.reason.value,
        "duration_ms": report.length_samples * 1000 / report.sample_rate_hz,
        "packets": sum(source.packets for source in report.sources),
        "lost": sum(source.lost for source in report.sources),
        "samples_by_state": report.samples_by_state,
    }


def _plain(value: Any) -> Any:
    """Make of a value what JSON has."""
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
