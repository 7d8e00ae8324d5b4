"""Record calls, as far as an application sees of it: no audio is kept here, the URLs lead nowhere."""

from __future__ import annotations

from strep.emulator import refusal
from strep.emulator.call import MAX_ACTIVITIES, EmulatedCall
from strep.emulator.documents import iso_time
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, number, text
from strep.emulator.states import NS_PER_S

_PREFIX = "recording "


def on_answer(exchange: Exchange, call: EmulatedCall, body: Body) -> dict[str, object]:
    """Have a recording begin when the call is answered, if that is asked for; give its id then."""
    if text(body, "record") != "record-from-answer":
        return {}
    recording_id = exchange.new_id()
    call.on_answer.append(lambda: _begin(exchange, call, recording_id, body, "record_"))
    return {"recording_id": recording_id}


def from_now_on(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Begin a recording, if `record` asks for one."""
    if text(body, "record") == "record-from-answer":
        _begin(exchange, call, exchange.new_id(), body, "record_")


def start(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Begin a recording."""
    if not call.lifecycle.is_answered:
        raise refusal.no_audio_yet()
    if len(call.activities) >= MAX_ACTIVITIES:
        raise refusal.unable("Too much goes on in this call.")
    _begin(exchange, call, exchange.new_id(), body, "")


def stop(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """End a recording: the one that is named, or all."""
    for name in _running(call, body):
        call.finish_activity(name)


def pause(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Interrupt a recording. Nothing is told of it."""
    _running(call, body)


def resume(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Go on with a recording. Nothing is told of it."""
    _running(call, body)


def _running(call: EmulatedCall, body: Body) -> list[str]:
    wanted = text(body, "recording_id")
    names = [name for name in call.activities if name.startswith(_PREFIX) and (not wanted or name == _PREFIX + wanted)]
    if not names:
        raise refusal.unable("The call is not being recorded.")
    return names


def _begin(exchange: Exchange, call: EmulatedCall, recording_id: str, body: Body, prefix: str) -> None:
    began_s = call.wall_s()
    kind = text(body, f"{prefix}format") or "mp3"
    urls = {kind: f"https://recordings.invalid/{recording_id}.{kind}"}

    def saved(status: str) -> None:
        call.tell(
            "call.recording.saved",
            channels=text(body, f"{prefix}channels") or "dual",
            recording_started_at=iso_time(began_s),
            recording_ended_at=iso_time(call.wall_s()),
            recording_urls=urls,
            public_recording_urls=urls,
        )

    name = _PREFIX + recording_id
    activity = call.begin_activity(name, saved)
    if longest_s := number(body, f"{prefix}max_length", 0):
        activity.timers.append(call.later(longest_s * NS_PER_S, lambda: call.finish_activity(name)))
