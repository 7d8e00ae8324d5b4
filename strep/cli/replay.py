"""`strep replay`: send the media of a capture file again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from strep.cli.errors import fail, say
from strep.cli.options import CaptureFile, JsonOption
from strep.cli.output import Document, counted, duration, print_json, print_line
from strep.cli.progress import Bar
from strep.net.address import UdpAddress
from strep.net.capture import CaptureReader, open_capture
from strep.net.replay import Replay, parse_speed
from strep.net.schedule import media_schedule


def replay(
    file: CaptureFile,
    destination: Annotated[
        str, typer.Argument(metavar="udp:IP:PORT", help="Where to send it, on this machine or any other.")
    ],
    speed: Annotated[
        str, typer.Option("--speed", metavar="FACTOR|max", help="How many times as fast as it was; max: no pauses.")
    ] = "1",
    encapsulate: Annotated[
        bool, typer.Option("--encapsulate", help="Put a STREP header in front of plain RTP, as a fork would have.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Send the media of a capture file again, at its own pace.

    What is RTP or STREP is sent; signalling and RTCP are left out. Each sender
    in the capture gets a port of its own, for plain RTP is told apart by it.
    """
    factor, address = parse_speed(speed), UdpAddress.parse(destination)
    with Bar() as bar:
        reader = open_capture(file, progress=bar.indexed)
        with Replay(address, speed=factor) as sender:
            began_s = time.monotonic()
            try:
                schedule = media_schedule(reader.batches(), encapsulate=encapsulate)
                sender.run(schedule, lambda done: bar.show("sending", done, len(reader)))
            except KeyboardInterrupt:
                say(f"{file}: not sent to its end: {counted(sender.sent, 'datagram')} went out")
                raise
            elapsed_s = time.monotonic() - began_s
    _report(file, sender, reader, address, elapsed_s, as_json=as_json)


def _report(
    file: Path, sender: Replay, reader: CaptureReader, address: UdpAddress, elapsed_s: float, *, as_json: bool
) -> None:
    """Print what was sent; fail where that is not all there is to send."""
    document: Document = {
        "destination": str(address),
        "datagrams": len(reader),
        "sent": sender.sent,
        "sent_bytes": sender.sent_bytes,
        "left_out": len(reader) - sender.sent - sender.refused,
        "refused": sender.refused,
        "retried": sender.retried,
        "unheard": sender.unheard,
        "duration_s": round(elapsed_s, 3),
    }
    if not sender.sent + sender.refused:
        fail(f"{file}: expected RTP or STREP to send, found none in {counted(len(reader), 'datagram')}")
    if as_json:
        print_json(document)
    else:
        print_line(
            f"sent {counted(sender.sent, 'datagram')} ({sender.sent_bytes} bytes) to {address} "
            f"in {duration(elapsed_s)}; {document['left_out']} others left out"
        )
    if sender.unheard:
        who = f"{counted(sender.unheard, 'datagram')} {'was' if sender.unheard == 1 else 'were'} refused by {address}"
        (fail if sender.unheard >= sender.sent else say)(f"{who}: is anybody listening there?")
    if sender.refused:
        fail(f"the system refused {counted(sender.refused, 'datagram')}, the first because of: {sender.first_refusal}")
