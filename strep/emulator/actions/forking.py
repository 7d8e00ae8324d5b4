"""Start and stop forks.

The platform accepted different things over time: `target` or `rx` and `tx`; `raw` or `decrypted`. All of them are
accepted here. Where the description leaves a default to the platform, it is the one described: of fork_start, `raw` for
target and `decrypted` for rx and tx; of fork_stop, `raw`.
"""

from __future__ import annotations

from collections.abc import Mapping

from strep.emulator import refusal
from strep.emulator.call import EmulatedCall
from strep.emulator.exchange import Exchange
from strep.emulator.media import ForkedStream
from strep.emulator.parameters import Body, text
from strep.emulator.stream import RtpStream
from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.stream.events import Direction, Leg
from strep.wire.strep import StrepHeader


def check(action: str, body: Body) -> None:
    """Raise the Refusal for parameters of fork_start that do not go together; other commands have none of these."""
    if action == "fork_start":
        _stream_type(body, _destinations(body))


def start(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """Fork a call."""
    destinations = _destinations(body)
    if call.is_streaming:
        raise refusal.streaming_in_use()
    if call.is_forked:
        raise refusal.already_forked()
    streams = _forked_streams(call, destinations)
    exchange.sender.start(call.start_fork(_stream_type(body, destinations), streams))


def stop(exchange: Exchange, call: EmulatedCall, body: Body) -> None:
    """End a fork: of the stream_type that it was started with."""
    stream_type = text(body, "stream_type") or "raw"
    if not call.fork or not call.is_forked or call.fork.stream_type != stream_type:
        raise refusal.not_forked()
    call.stop_fork()


def _stream_type(body: Body, destinations: Mapping[str, UdpAddress]) -> str:
    stream_type = text(body, "stream_type") or ("raw" if "target" in destinations else "decrypted")
    if stream_type == "decrypted" and "target" in destinations:
        raise refusal.missing_parameter("rx")
    return stream_type


def _destinations(body: Body) -> dict[str, UdpAddress]:
    """Read target, or rx and tx; whichever is given, the others must be as that asks."""
    given = {name: found for name in ("target", "rx", "tx") if (found := text(body, name))}
    if not given:
        raise refusal.missing_parameter("target")
    if "target" in given and len(given) > 1:
        raise refusal.invalid_value("target", "Either target, or rx and tx must be given, not both.")
    for name in ("rx", "tx"):
        if "target" not in given and name not in given:
            raise refusal.missing_parameter(name)
    return {name: _address(name, found) for name, found in given.items()}


def _address(name: str, found: str) -> UdpAddress:
    try:
        address = UdpAddress.parse(found)
    except ConfigError:
        address = None
    if address is None or not address.is_destination:
        raise refusal.invalid_value(name, "The value must look like udp:ip_address:port.")
    return address


def _forked_streams(call: EmulatedCall, destinations: Mapping[str, UdpAddress]) -> list[ForkedStream]:
    if "target" in destinations:
        target = destinations["target"]
        return [ForkedStream(stream, target, _strep_header(call, stream)) for stream in call.streams]
    port = {Direction.INBOUND: destinations["rx"], Direction.OUTBOUND: destinations["tx"]}
    return [ForkedStream(stream, port[stream.direction]) for stream in call.streams if stream.leg is Leg.A]


def _strep_header(call: EmulatedCall, stream: RtpStream) -> bytes:
    return StrepHeader(call.call_leg_id, stream.leg, stream.direction).serialize()
