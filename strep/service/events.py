"""Say what a service does: to hooks, and as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strep.service.calls import Call, Phase
from strep.service.facts import CallFacts
from strep.utc import utc_text


@dataclass(frozen=True, slots=True)
class CallView:
    """A call as it is at one moment: what hooks get.

    rule: which one decided, empty while or if none did. failure: why its fork failed. ended_by: what ended it, or its
    fork.
    """

    facts: CallFacts
    phase: Phase
    rule: str
    failure: str | None
    ended_by: str | None

    @classmethod
    def of(cls, call: Call) -> CallView:
        """Take a view of a call."""
        return cls(call.facts, call.phase, call.decision.rule if call.decision else "", call.failure, call.ended_by)


@dataclass(frozen=True, slots=True)
class ServiceEvent:
    """One thing that happened.

    kind: `service.started` and `.stopped`; `call.initiated`, `.answered`, `.forking`, `.forked`, `.stopping`,
    `.unforked`, `.ended` (a call came to that phase; a call that is unforked goes on), `.fork_failed`, `.resumed`,
    `.undecided` (a rule asks for what no webhook has told for too long), `.stop_failed` (fork_stop was refused);
    `stream.opened` and `.closed`; `digit`; `finding.speech` and the like, of plugins (strep.analysis.jsonl has the
    fields); `leg.quarantined`, `.released`, `.cut_off` and `.refused`; `recording.finished`, `.interrupted` (the
    service before this one was killed) and `.removed` (limits made it go; `recorded_call` is what its sidecar says);
    `recordings.recovered` (what a killed recorder left was finished); `alarm` (something goes wrong with reception as a
    whole: strep.alarms, with the fields of strep.analysis.jsonl); `webhooks.refused` (how many since it was told last,
    and why; once a minute for each reason). call: what is known of it, empty for none.
    """

    time_ns: int
    kind: str
    call: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """Write it as a line of JSON, without the end of line."""
        document: dict[str, Any] = {"time": utc_text(self.time_ns), "event": self.kind}
        if self.call:
            document["call"] = dict(self.call)
        return json.dumps({**document, **self.detail, **document}, default=str)  # what all lines have wins
