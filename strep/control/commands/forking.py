"""Start and stop the fork of a call's audio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from strep.control.commands.command import FullCallCommand, command
from strep.control.commands.kinds import Destination, about
from strep.control.commands.results import CommandResult, ForkStarted
from strep.control.commands.stream_type import StreamType
from strep.errors import ConfigError
from strep.net.address import UdpAddress


@command
class ForkStart(FullCallCommand[ForkStarted]):
    """Copy a call's audio to an address of yours: `target`, or `rx` and `tx`.

    target gets both directions of every leg, each packet with a STREP header that says which call, leg and direction;
    rx and tx get what the platform receives and what it transmits, as plain RTP. The platform's description of today
    has rx and tx with DECRYPTED only; target, and RAW, are from the one before, which is still served.

    stream_type: RAW by default for target, DECRYPTED for rx and tx; always sent, as the platform's own defaults have
    changed over time and differ from fork_stop's. DECRYPTED goes with rx and tx only.
    """

    ACTION: ClassVar[str] = "fork_start"
    RESULT: ClassVar[type[Any]] = ForkStarted

    target: Annotated[Destination | None, about("Where both directions go, with a STREP header.")] = None
    rx: Annotated[Destination | None, about("Where what the platform receives goes, as plain RTP.")] = None
    tx: Annotated[Destination | None, about("Where what the platform transmits goes, as plain RTP.")] = None
    stream_type: Annotated[
        StreamType | str | None, about("As on the wire, or decrypted. By default raw for target, decrypted for rx, tx.")
    ] = None

    def complete(self) -> None:
        """Choose the stream_type, and check the addresses against each other."""
        super().complete()
        given = [name for name in ("target", "rx", "tx") if getattr(self, name) is not None]
        if not given or ("target" in given and len(given) > 1):
            raise ConfigError(f"expected either target, or rx and tx, found {' and '.join(given) or 'none of them'}")
        for missing, other in (("rx", "tx"), ("tx", "rx")):
            if given == [other]:
                raise ConfigError(f"{missing}: expected 'udp:IP:PORT' beside {other}, found none")
        default = StreamType.RAW if self.target else StreamType.DECRYPTED
        stream_type = _stream_type(self.stream_type or default)
        object.__setattr__(self, "stream_type", stream_type)
        if self.target and stream_type is StreamType.DECRYPTED:
            raise ConfigError("stream_type: 'decrypted' needs rx and tx, found target")

    @property
    def destinations(self) -> tuple[UdpAddress, ...]:
        """List the addresses that the platform will send the fork to."""
        return tuple(address for address in (self.target, self.rx, self.tx) if isinstance(address, UdpAddress))

    def _result(self, data: Mapping[str, object]) -> ForkStarted:
        return super()._result({**data, "stream_type": self.stream_type})


@command
class ForkStop(FullCallCommand[CommandResult]):
    """End the fork of a call.

    stream_type: must be the one that the fork was started with (`ForkStarted.stream_type`), or the platform finds no
    such fork and the audio goes on. So there is no default here; the platform's own is RAW.
    """

    ACTION: ClassVar[str] = "fork_stop"

    stream_type: Annotated[StreamType | str, about("The one that the fork was started with.")]

    def complete(self) -> None:
        """Take the stream_type as such."""
        super().complete()
        object.__setattr__(self, "stream_type", _stream_type(self.stream_type))


def _stream_type(value: str) -> StreamType:
    try:
        return StreamType(value)
    except ValueError:
        raise ConfigError(f"stream_type: expected 'raw' or 'decrypted', found {value!r}") from None
