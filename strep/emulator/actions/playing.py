"""Play audio and speak, as far as an application sees of it: one thing after the other, and how each ended.

The media do not change: nothing is fetched, and no voice is made. So a file lasts two seconds, whatever is in it, and
speech as long as it takes to say so many letters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strep.emulator import refusal
from strep.emulator.call import MAX_ACTIVITIES, EmulatedCall
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, is_set, text
from strep.emulator.states import NS_PER_S

_CURRENT, _OVERLAY = "playing", "playing over"
_FILE_NS = 2 * NS_PER_S
#: At 150 words a minute and 6 letters a word.
_LETTER_NS = 66_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """Something to play: what is told when it begins, and when it ends, and how long it lasts (None: for ever)."""

    begin: Callable[[], None]
    end: Callable[[str], None]
    length_ns: int | None


def play(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Play a file: after what is played now, or over it."""
    if stopped := text(body, "stop"):
        _stop(call, stopped, is_set(body, "overlay"))
    if is_set(body, "overlay"):
        if _CURRENT not in call.activities or _OVERLAY in call.activities:
            raise refusal.unable("Overlay needs audio that is being played.")
        _begin(call, _OVERLAY, _file(call, body))
    else:
        _enqueue(call, _file(call, body))


def speak(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Say something: after what is played now."""
    if stopped := text(body, "stop"):
        _stop(call, stopped, False)
    _enqueue(call, _speech(call, body))


def stop(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Stop what is played, and, unless only the current file is meant, forget what was to be played after it."""
    _stop(call, text(body, "stop") or "all", is_set(body, "overlay"))


def prompt(call: EmulatedCall, body: Body) -> None:
    """Play the file that asks for digits."""
    _enqueue(call, _file(call, body))


def interrupt(call: EmulatedCall) -> None:
    """Stop everything, as a digit does that was asked for."""
    _stop(call, "all", False)


def _file(call: EmulatedCall, body: Body) -> Item:
    told = {name: found for name in ("media_name", "media_url") if (found := _source(body, name))}
    told_overlay = {"overlay": is_set(body, "overlay")}
    return Item(
        lambda: call.tell("call.playback.started", **told, **told_overlay),
        lambda status: call.tell("call.playback.ended", **told, **told_overlay, status=status, status_detail=""),
        _repeated(_FILE_NS, body.get("loop")),
    )


def _source(body: Body, name: str) -> str:
    return text(body, "audio_url" if name == "media_url" else name)


def _speech(call: EmulatedCall, body: Body) -> Item:
    return Item(
        lambda: call.tell("call.speak.started"),
        # Of speech that is stopped the description has no word: what there was to say has been said.
        lambda status: call.tell("call.speak.ended", status="completed" if status == "cancelled" else status),
        _repeated(len(text(body, "payload")) * _LETTER_NS, body.get("loop")),
    )


def _repeated(length_ns: int, loop: object) -> int | None:
    return None if loop == "infinity" else length_ns * int(str(loop or 1))


def _enqueue(call: EmulatedCall, item: Item) -> None:
    if _CURRENT not in call.activities:
        _begin(call, _CURRENT, item)
    elif len(call.playlist) >= MAX_ACTIVITIES:
        raise refusal.unable("Too much waits to be played.")
    else:
        call.playlist.append(lambda: _begin(call, _CURRENT, item))


def _begin(call: EmulatedCall, name: str, item: Item) -> None:
    def end(status: str) -> None:
        item.end(status)
        if name == _CURRENT and call.playlist and status != "call_hangup":
            call.playlist.popleft()()

    item.begin()
    activity = call.begin_activity(name, end)
    if item.length_ns is not None:
        activity.timers.append(call.later(item.length_ns, lambda: call.finish_activity(name)))


def _stop(call: EmulatedCall, which: str, overlay: bool) -> None:
    if which == "all" and not overlay:
        call.playlist.clear()
    call.finish_activity(_OVERLAY if overlay else _CURRENT, "cancelled")
