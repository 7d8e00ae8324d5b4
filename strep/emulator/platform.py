"""Be the call platform, without HTTP: calls exist because you add them, and commands act on them.

The emulator accepts what the API described over time: `target` or `rx` and `tx`; `raw` or `decrypted`. Where the
description leaves a default to the platform, it is the one described: of fork_start, `raw` for target and `decrypted`
for rx and tx; of fork_stop, `raw`.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, TracebackType

from strep.emulator import refusal
from strep.emulator.call import Call, CallState
from strep.emulator.codec import CODECS, encoded_conversation
from strep.emulator.media import ForkedStream, Impairments, RtpStream
from strep.emulator.sender import ForkSender, UdpSender
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.stream.events import Direction, Leg
from strep.wire.strep import StrepHeader

DEFAULT_API_KEY = "KEY-EMULATOR"
STREAM_TYPES = ("raw", "decrypted")
#: A few kilobytes each. All of them forked would need 18 µs a datagram: one core keeps the pace of some 500 forks.
MAX_CALLS = 10_000
#: Seven hours: the account of what was sent takes a byte for each packet.
MAX_REPEATS = 1000
_CODEC_NAMES = ", ".join(CODECS)


class Platform:
    """Is a call platform of your own: add calls, then send it commands, by HTTP (see `create_app`) or by hand.

    api_key: what commands must bring. seed: makes ids, SSRCs and first numbers the same on each run. speed: how much
    faster than speech the calls run. clock_ns: a monotonic clock. sender: what sends the forks; real UDP by default.
    """

    def __init__(
        self,
        *,
        api_key: str = DEFAULT_API_KEY,
        seed: int | None = None,
        speed: float = 1.0,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sender: ForkSender | None = None,
    ) -> None:
        self._api_key = api_key
        self._random = random.Random(seed)
        self._speed, self._clock_ns = speed, clock_ns
        self._sender = sender or UdpSender(speed)
        self._calls: dict[str, Call] = {}
        self._actions: Mapping[str, Callable[[Call, Mapping[str, object]], None]] = {
            "fork_start": self._fork_start,
            "fork_stop": self._fork_stop,
        }

    @property
    def calls(self) -> Mapping[str, Call]:
        """Give every call ever added, by call_control_id."""
        return MappingProxyType(self._calls)

    def add_call(
        self,
        codec: str = "PCMU",
        *,
        payload_type: int | None = None,
        bridged: bool = False,
        answered: bool = True,
        waits_for_fork: bool = False,
        repeats: int = 1,
        impairments: Impairments | None = None,
    ) -> Call:
        """Add a call (`Call` says what the parties do).

        codec: PCMU, PCMA, G722 or OPUS. payload_type: to send instead of the usual one. bridged: has a leg B as well.
        repeats: how many times the parties hold the conversation before they hang up. impairments: what the network
        does to the fork. Raises ConfigError when a value cannot be, or there are MAX_CALLS calls.
        """
        if codec not in CODECS:
            raise ConfigError(f"codec: expected one of {_CODEC_NAMES}, found {codec!r}")
        if payload_type is not None and not 0 <= payload_type <= 127:
            raise ConfigError(f"payload_type: expected 0 to 127, found {payload_type}")
        if not 1 <= repeats <= MAX_REPEATS:
            raise ConfigError(f"repeats: expected 1 to {MAX_REPEATS}, found {repeats}")
        if len(self._calls) >= MAX_CALLS:
            raise ConfigError(f"expected at most {MAX_CALLS} calls on one platform")
        legs = (Leg.A, Leg.B) if bridged else (Leg.A,)
        call = Call(
            "v3:" + base64.urlsafe_b64encode(self._random.randbytes(39)).decode("ascii"),
            uuid.UUID(bytes=self._random.randbytes(16), version=4),
            [self._stream(codec, payload_type, leg, direction) for leg in legs for direction in Direction],
            repeats * len(encoded_conversation(codec)[0]),
            impairments=impairments or Impairments(),
            waits_for_fork=waits_for_fork,
            media_ns=self._media_ns,
        )
        self._calls[call.call_control_id] = call
        if answered:
            call.answer()
        return call

    def check_authorization(self, header: str) -> None:
        """Refuse what is not 'Bearer' and the API key."""
        if not hmac.compare_digest(header.encode(), f"Bearer {self._api_key}".encode()):
            raise refusal.authentication_failed()

    def command(self, call_control_id: str, action: str, body: Mapping[str, object]) -> None:
        """Carry a command out, or raise the Refusal that the platform answers. A repeated command_id does nothing."""
        if action not in self._actions:
            raise refusal.resource_not_found()
        call = self._calls.get(call_control_id)
        if call is None:
            raise refusal.invalid_call_control_id()
        command_id, now_ns = _text(body, "command_id"), self._clock_ns()
        if command_id and call.commands.has(command_id, now_ns):
            return
        _check_client_state(_text(body, "client_state"))
        self._actions[action](call, body)
        if command_id:
            call.commands.add(command_id, now_ns)

    async def aclose(self) -> None:
        """Hang up every call, and stop sending."""
        for call in self._calls.values():
            call.hang_up()
        await self._sender.aclose()

    async def __aenter__(self) -> Platform:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    def _fork_start(self, call: Call, body: Mapping[str, object]) -> None:
        destinations = _fork_destinations(body)
        default = "raw" if "target" in destinations else "decrypted"
        stream_type = _stream_type(body, default)
        if stream_type == "decrypted" and "target" in destinations:
            raise refusal.missing_parameter("rx")
        _check_active(call)
        if call.is_streaming:
            raise refusal.streaming_in_use()
        if call.fork and call.fork.is_active:
            raise refusal.already_forked()
        self._sender.start(call.start_fork(stream_type, _forked_streams(call, destinations)))

    def _fork_stop(self, call: Call, body: Mapping[str, object]) -> None:
        stream_type = _stream_type(body, "raw")
        _check_active(call)
        if not call.fork or not call.fork.is_active or call.fork.stream_type != stream_type:
            raise refusal.not_forked()
        call.stop_fork()

    def _stream(self, encoding: str, payload_type: int | None, leg: Leg, direction: Direction) -> RtpStream:
        codec = CODECS[encoding]
        return RtpStream(
            leg,
            direction,
            codec if payload_type is None else replace(codec, payload_type=payload_type),
            encoded_conversation(encoding)[leg ^ direction],  # caller in on A is caller out on B
            ssrc=self._random.getrandbits(32),
            first_sequence_number=self._random.getrandbits(16),
            first_timestamp=self._random.getrandbits(32),
        )

    def _media_ns(self) -> int:
        return int(self._clock_ns() * self._speed)


def _forked_streams(call: Call, destinations: Mapping[str, UdpAddress]) -> list[ForkedStream]:
    if "target" in destinations:
        target = destinations["target"]
        return [ForkedStream(stream, target, _strep_header(call, stream)) for stream in call.streams]
    port = {Direction.INBOUND: destinations["rx"], Direction.OUTBOUND: destinations["tx"]}
    return [ForkedStream(stream, port[stream.direction]) for stream in call.streams if stream.leg is Leg.A]


def _strep_header(call: Call, stream: RtpStream) -> bytes:
    return StrepHeader(call.call_leg_id, stream.leg, stream.direction).serialize()


def _check_active(call: Call) -> None:
    if call.state is CallState.ENDED:
        raise refusal.call_ended()
    if call.state is CallState.RINGING:
        raise refusal.not_answered()


def _fork_destinations(body: Mapping[str, object]) -> dict[str, UdpAddress]:
    """Read target, or rx and tx; whichever is given, the others must be as that asks."""
    given = {name: text for name in ("target", "rx", "tx") if (text := _text(body, name))}
    if not given:
        raise refusal.missing_parameter("target")
    if "target" in given and len(given) > 1:
        raise refusal.invalid_value("target", "Either target, or rx and tx must be given, not both.")
    for name in ("rx", "tx"):
        if "target" not in given and name not in given:
            raise refusal.missing_parameter(name)
    return {name: _address(name, text) for name, text in given.items()}


def _address(name: str, text: str) -> UdpAddress:
    try:
        address = UdpAddress.parse(text)
    except ConfigError:
        address = None
    if address is None or not address.is_destination:
        raise refusal.invalid_value(name, "The value must look like udp:ip_address:port.")
    return address


def _stream_type(body: Mapping[str, object], default: str) -> str:
    stream_type = _text(body, "stream_type") or default
    if stream_type not in STREAM_TYPES:
        raise refusal.not_enumerated("stream_type", STREAM_TYPES)
    return stream_type


def _text(body: Mapping[str, object], name: str) -> str:
    """Read a parameter; one that is missing or null reads as empty."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise refusal.invalid_value(name, "The value must be a string.")
    return value or ""


def _check_client_state(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refusal.invalid_value("client_state", "The value must be a valid Base-64 encoded string.") from None
