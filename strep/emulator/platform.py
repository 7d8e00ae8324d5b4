"""Be the call platform, without HTTP: calls come in or are dialed, commands act on them, webhooks tell of them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import httpx

from strep.emulator import described, refusal
from strep.emulator.about import CallAbout, CallDirection
from strep.emulator.actions import ACTIONS, check, perform
from strep.emulator.actions.connecting import dial
from strep.emulator.call import EmulatedCall
from strep.emulator.callee import Callee
from strep.emulator.documents import Document, active_call, call_resource, event, iso_time, payload
from strep.emulator.exchange import CallMedia, Exchange
from strep.emulator.faults import Fault, FaultDraws, Faults
from strep.emulator.impairments import Impairments
from strep.emulator.outbox import RETRY_DELAYS_S, DeliveryCounts, Webhook, WebhookOutbox
from strep.emulator.parameters import Body, text
from strep.emulator.recent import Answer, RecentCommands
from strep.emulator.schedule import Pump
from strep.emulator.sender import ForkSender, UdpSender
from strep.emulator.signing import WebhookKey
from strep.emulator.states import Lifecycle
from strep.emulator.webhooks import WebhookDeliverer
from strep.errors import ConfigError

DEFAULT_API_KEY = "KEY-EMULATOR"
DEFAULT_API_SECRET = "SECRET-EMULATOR"
DEFAULT_CONNECTION_ID = "1684641123236054244"
DEFAULT_FROM, DEFAULT_TO = "+13125550001", "+13125550002"
_KEPT_EVENTS = 1000
_MAX_CALLEES = 10_000
#: Of the whole platform; see RecentCommands.
_REMEMBERED_DIALS = 10_000

Headers = Sequence[Mapping[str, object]]


class Platform:
    """A call platform of your own: have calls come in, then send it commands, by HTTP (`create_app`) or by hand.

    api_key, api_secret: what commands must bring, as Bearer token or (both) by Basic. seed: makes ids, SSRCs, first
    numbers and the webhooks' key pair the same on each run. speed: how much faster than speech the calls run. clock_ns:
    a monotonic clock. wall_s: seconds since 1970. sender: what sends the forks; real UDP by default. webhook_url: who
    is told of what happens, unless a call says otherwise; nobody by default. webhook_transport: httpx's, for that.
    connections: the connection ids that there are; None: every one. faults, impairments, callee: how it behaves, to
    begin with.

    Time passes for the calls in `async with`; without, whenever it is asked something, and by `advance`.
    """

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_API_KEY,
        api_secret: str = DEFAULT_API_SECRET,
        seed: int | None = None,
        speed: float = 1.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        wall_s: Callable[[], float] = time.time,
        sender: ForkSender | None = None,
        webhook_url: str = "",
        webhook_transport: httpx.AsyncBaseTransport | None = None,
        connections: Sequence[str] | None = None,
        faults: Faults | None = None,
        impairments: Impairments | None = None,
        callee: Callee | None = None,
    ) -> None:
        self.webhook_url = webhook_url
        #: The last events, the newest last, whether anybody was told of them or not.
        self.events: deque[Document] = deque(maxlen=_KEPT_EVENTS)
        self._bearer = f"Bearer {api_key}".encode()
        self._basic = b"Basic " + base64.b64encode(f"{api_key}:{api_secret}".encode())
        self._speed, self._clock_ns, self._wall_s = speed, clock_ns, wall_s
        self._connections = None if connections is None else frozenset(connections)
        self._draws = FaultDraws(faults or Faults())
        self._key = WebhookKey(seed)
        self._webhooks = WebhookDeliverer(
            WebhookOutbox(self._draws), self._key, wall_s=wall_s, transport=webhook_transport
        )
        self._exchange = Exchange(
            seed, self._call_ns, sender or UdpSender(speed), self._tell, self._forget, wall_s=wall_s
        )
        self._exchange.settings.impairments = impairments or Impairments()
        self._exchange.settings.callee = callee or Callee()
        self._pump = Pump(self._exchange.schedule, self._call_ns, speed)
        self._dials = RecentCommands(_REMEMBERED_DIALS)
        self._closed = asyncio.Event()

    def __repr__(self) -> str:
        return f"Platform(calls={len(self.calls)}, public_key={self.public_key!r})"

    # What it is, and how it behaves

    @property
    def calls(self) -> Mapping[str, EmulatedCall]:
        """Give every call by call_control_id: those that are over as well, as long as there is room for them."""
        return self._exchange.calls

    @property
    def public_key(self) -> str:
        """Give what webhooks are verified with, in Base64."""
        return self._key.public_key

    @property
    def webhook_counts(self) -> DeliveryCounts:
        """Count what became of webhooks."""
        return self._webhooks.outbox.counts

    @property
    def fault_counts(self) -> Mapping[Fault, int]:
        """Count the faults there were, by kind."""
        return dict(self._draws.struck)

    @property
    def faults(self) -> Faults:
        """Give how often the platform fails. May be set at any time."""
        return self._draws.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._draws.faults = faults

    @property
    def impairments(self) -> Impairments:
        """Give what the network does to forks. May be set at any time: forks that run have it at once."""
        return self._exchange.settings.impairments

    @impairments.setter
    def impairments(self, impairments: Impairments) -> None:
        self._exchange.impair(impairments)

    @property
    def callee(self) -> Callee:
        """Give what whoever is dialed does. May be set at any time."""
        return self._exchange.settings.callee

    @callee.setter
    def callee(self, callee: Callee) -> None:
        self._exchange.settings.callee = callee

    def set_callee(self, number: str, callee: Callee) -> None:
        """Have whoever has a number do something else than `callee`. Raises ConfigError when there are too many."""
        callees = self._exchange.settings.callees
        if number not in callees and len(callees) >= _MAX_CALLEES:
            raise ConfigError(f"expected at most {_MAX_CALLEES} numbers with a callee of their own")
        callees[number] = callee

    # What happens to it

    def add_call(
        self,
        codec: str = "PCMU",
        *,
        payload_type: int | None = None,
        bridged: bool = False,
        answered: bool = True,
        waits_for_fork: bool = False,
        repeats: int | None = 1,
        impairments: Impairments | None = None,
        from_: str = DEFAULT_FROM,
        to: str = DEFAULT_TO,
        from_display_name: str = "",
        connection_id: str = DEFAULT_CONNECTION_ID,
        custom_headers: Headers = (),
        sip_headers: Headers = (),
        webhook_url: str = "",
    ) -> EmulatedCall:
        """Add a call that has come in (`Call` says what the parties do).

        codec: PCMU, PCMA, G722 or OPUS. payload_type: to send instead of the usual one. bridged: has a leg B as well.
        answered: is so already, by nobody. repeats: how many times the parties hold the conversation before they hang
        up; None: until the call is ended. impairments: what the network does to its forks, instead of what it does to
        all. custom_headers, sip_headers: {"name", "value"} each, as the caller sent them. webhook_url: instead of the
        platform's. Raises ConfigError when a value cannot be, or there are too many calls.
        """
        media = CallMedia(codec, payload_type, bridged, waits_for_fork, repeats, impairments)
        self.advance()
        about = CallAbout(
            from_,
            to,
            CallDirection.INCOMING,
            connection_id,
            self._exchange.new_id(),
            from_display_name=from_display_name,
            custom_headers=tuple(custom_headers),
            sip_headers=tuple(sip_headers),
            webhook_url=webhook_url,
        )
        call = self._exchange.add(about, Lifecycle(self._exchange.now_ns()), media)
        call.tell("call.initiated", state="parked")
        if answered:
            call.answer()
        return call

    def incoming_call(
        self,
        from_: str = DEFAULT_FROM,
        to: str = DEFAULT_TO,
        connection_id: str = DEFAULT_CONNECTION_ID,
        *,
        codec: str = "PCMU",
        payload_type: int | None = None,
        waits_for_fork: bool = False,
        repeats: int | None = None,
        impairments: Impairments | None = None,
        from_display_name: str = "",
        custom_headers: Headers = (),
        sip_headers: Headers = (),
        webhook_url: str = "",
    ) -> EmulatedCall:
        """Have somebody call: it rings until it is answered or rejected. Otherwise as `add_call`."""
        return self.add_call(
            codec,
            payload_type=payload_type,
            answered=False,
            waits_for_fork=waits_for_fork,
            repeats=repeats,
            impairments=impairments,
            from_=from_,
            to=to,
            from_display_name=from_display_name,
            connection_id=connection_id,
            custom_headers=custom_headers,
            sip_headers=sip_headers,
            webhook_url=webhook_url,
        )

    def advance(self) -> None:
        """Let happen to the calls what is due by now."""
        self._exchange.schedule.advance(self._call_ns())

    # What it is asked

    def check_authorization(self, header: str) -> None:
        """Refuse what is neither 'Bearer' and the API key, nor 'Basic' and both key and secret."""
        given = header.encode()
        if not (hmac.compare_digest(given, self._bearer) | hmac.compare_digest(given, self._basic)):
            raise refusal.authentication_failed()

    def command(self, call_control_id: str, action: str, body: Body) -> Answer:
        """Carry a command out, or raise the Refusal that the platform answers. A repeated command_id does nothing."""
        if action not in ACTIONS:
            raise refusal.resource_not_found()
        call = self._find(call_control_id)
        command_id, now_ns = _command_id(body), self._clock_ns()
        if command_id and (answer := call.commands.answer(command_id, now_ns)) is not None:
            return answer
        check(action, call, body)
        answer = perform(action, self._exchange, call, body)
        if command_id:
            call.commands.add(command_id, now_ns, answer)
        return answer

    def dial(self, body: Body) -> Answer:
        """Dial, or raise the Refusal that the platform answers. A repeated command_id does nothing."""
        self.advance()
        command_id, now_ns = _command_id(body), self._clock_ns()
        if command_id and (answer := self._dials.answer(command_id, now_ns)) is not None:
            return answer
        described.DIAL.check(body)
        if self._connections is not None and text(body, "connection_id") not in self._connections:
            raise refusal.unknown_connection()
        call, own = dial(self._exchange, body)
        # Whoever dials is answered before anybody's telephone rings.
        answer = {**call_resource(call, self._call_ns()), "is_alive": False, **own}
        if command_id:
            self._dials.add(command_id, now_ns, answer)
        return answer

    def retrieve(self, call_control_id: str) -> Answer:
        """Tell of a call, or raise the Refusal that the platform answers."""
        return call_resource(self._find(call_control_id), self._call_ns())

    def active_calls(self, connection_id: str) -> list[Document]:
        """List what there is to tell of the calls of a connection that have not ended, the oldest first."""
        self.advance()
        now_ns = self._call_ns()
        return [
            active_call(call, now_ns)
            for call in self.calls.values()
            if call.lifecycle.is_alive and call.about.connection_id == connection_id
        ]

    def answer_fault(self, call_control_id: str) -> Fault | None:
        """Draw what is to happen to the next answer."""
        return self._draws.answer_fault(call_control_id if call_control_id in self.calls else "")

    async def dawdle(self, seconds: float) -> None:
        """Let time pass before an answer, but no longer than the platform is there."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)

    # How long it is there

    async def aclose(self) -> None:
        """Hang up every call, tell nobody any more, and stop sending."""
        self._closed.set()
        self._pump.stop()
        await self._webhooks.aclose()
        for call in self.calls.values():
            call.hang_up()
        self._exchange.schedule.clear()
        await self._exchange.sender.aclose()

    async def __aenter__(self) -> Platform:
        self._closed.clear()
        self._pump.start()
        self._webhooks.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    # How it is done

    def _find(self, call_control_id: str) -> EmulatedCall:
        self.advance()
        call = self._exchange.find(call_control_id)
        if call is None:
            raise refusal.invalid_call_control_id()
        return call

    def _tell(self, call: EmulatedCall, event_type: str, own: Mapping[str, object]) -> None:
        document = event(event_type, self._exchange.new_id(), iso_time(self._wall_s()), payload(call, event_type, own))
        self.events.append(document)
        about = call.about
        url = about.webhook_urls.get(event_type) or about.webhook_url or self.webhook_url
        policy = about.retries.get(event_type)
        delays_s = RETRY_DELAYS_S if policy is None else tuple(delay_ms / 1000 for delay_ms in policy)
        self._webhooks.add(Webhook(call.call_control_id, url, document, delays_s))

    def _forget(self, call: EmulatedCall) -> None:
        self._draws.forget(call.call_control_id)

    def _call_ns(self) -> int:
        return int(self._clock_ns() * self._speed)


def _command_id(body: Body) -> str:
    given = body.get("command_id")
    if given is not None and not isinstance(given, str):
        raise refusal.invalid_value("command_id", "The value must be a string.")
    return given or ""
