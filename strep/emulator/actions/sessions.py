"""Start and stop what runs beside a call, as far as an application sees of it: streaming, SIPREC, transcription,
assistants. No media go anywhere, and nobody listens.
"""

from __future__ import annotations

from strep.emulator import refusal
from strep.emulator.call import EmulatedCall
from strep.emulator.dtmf import Digits
from strep.emulator.exchange import Exchange
from strep.emulator.parameters import Body, is_set, text
from strep.emulator.recent import Answer
from strep.emulator.states import NS_PER_S
from strep.errors import ConfigError

_STREAMING, _SIPREC, _TRANSCRIPTION = "streaming", "siprec", "transcription"
_ASSISTANT, _RELAY = "assistant", "relay"


class Conversation:
    """A conversation of the other party with a machine."""

    def __init__(self, exchange: Exchange, call: EmulatedCall, body: Body) -> None:
        self.conversation_id = exchange.new_id()
        assistant = body.get("assistant")
        self._assistant_id = str(assistant.get("id", "")) if isinstance(assistant, dict) else ""
        self._exchange, self._call, self._since_ns = exchange, call, exchange.now_ns()

    def end(self, status: str) -> None:
        """Tell that it is over."""
        self._call.tell(
            "call.conversation.ended",
            assistant_id=self._assistant_id,
            conversation_id=self.conversation_id,
            calling_party_type="sip" if self._call.about.from_.startswith("sip") else "pstn",
            duration_sec=(self._exchange.now_ns() - self._since_ns) // NS_PER_S,
            reason="call_hangup" if status == "call_hangup" else None,
        )


def do_nothing(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Accept a command of which nobody outside sees anything, but for its client_state."""


def on_answer(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have begin when the call is answered what dial and answer can ask for."""
    if text(body, "stream_url"):
        call.on_answer.append(lambda: start_streaming(exchange, call, body))
    if is_set(body, "transcription"):
        call.on_answer.append(lambda: start_transcription(exchange, call, body))
    if body.get("assistant"):
        call.on_answer.append(lambda: start_assistant(exchange, call, body))


def press(call: EmulatedCall, digits: str) -> None:
    """Press keys for the other party to hear, as far as there are such keys."""
    try:
        call.transmit_dtmf(Digits(digits))
    except ConfigError:
        return  # the platform documents no error for it, and by now nobody waits for an answer


def start_streaming(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Stream the media, which rules out forks meanwhile."""
    if call.is_streaming:
        raise refusal.streaming_in_use()
    url = text(body, "stream_url")
    if not url and not is_set(body, "enable_dialogflow"):
        raise refusal.missing_parameter("stream_url")

    def end(status: str) -> None:
        call.is_streaming = False
        call.tell("streaming.stopped", stream_url=url)

    call.is_streaming = True
    call.begin_activity(_STREAMING, end)
    call.tell("streaming.started", stream_url=url)


def stop_streaming(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Stop streaming."""
    _stop(call, _STREAMING, "The call's media are not being streamed.")


def start_siprec(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have a recorder elsewhere listen."""
    _check_absent(call, _SIPREC, "A SIPREC session is running already.")
    call.begin_activity(_SIPREC, lambda status: call.tell("siprec.stopped", hangup_cause="normal_clearing"))
    call.tell("siprec.started")


def stop_siprec(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have it listen no more."""
    _stop(call, _SIPREC, "No SIPREC session is running.")


def start_transcription(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Write down what is said."""
    if _TRANSCRIPTION in call.activities:
        raise refusal.transcription_in_progress()
    call.begin_activity(_TRANSCRIPTION, lambda status: None)


def stop_transcription(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Write down no more."""
    _stop(call, _TRANSCRIPTION, "The call is not being transcribed.")


def start_assistant(exchange: Exchange, call: EmulatedCall, body: Body) -> Answer:
    """Have an assistant speak with the other party."""
    if _ASSISTANT in call.activities:
        raise refusal.assistant_in_progress()
    conversation = Conversation(exchange, call, body)
    call.begin_activity(_ASSISTANT, conversation.end)
    return {"conversation_id": conversation.conversation_id}


def stop_assistant(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have it speak no more."""
    _stop(call, _ASSISTANT, "No AI Assistant is in progress.")


def join_assistant(exchange: Exchange, call: EmulatedCall, body: Body) -> Answer:
    """Let the call take part in a conversation."""
    return {"conversation_id": text(body, "conversation_id")}


def start_relay(exchange: Exchange, call: EmulatedCall, body: Body) -> Answer:
    """Have a program of yours speak with the other party, in text."""
    _check_absent(call, _RELAY, "A conversation relay is running already.")
    conversation = Conversation(exchange, call, body)
    call.begin_activity(_RELAY, conversation.end)
    return {"conversation_relay_id": conversation.conversation_id}


def stop_relay(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Have it speak no more."""
    _stop(call, _RELAY, "No conversation relay is running.")


def _check_absent(call: EmulatedCall, name: str, detail: str) -> None:
    if name in call.activities:
        raise refusal.unable(detail)


def _stop(call: EmulatedCall, name: str, detail: str) -> None:
    if not call.finish_activity(name):
        raise refusal.unable(detail)
