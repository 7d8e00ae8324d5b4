"""What a receiver spooled and is decoded again is what it recorded: the same bytes, events and fates."""

import random
import uuid
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

import strep
from strep.live.offline import read_capture
from strep.net.address import UdpAddress
from strep.net.spool import Spool, series_of
from strep.stream.engine import EngineConfig
from strep.stream.events import Event
from tests.receiving import RECEIVE_BUFFER_BYTES, open_socket, until
from tests.traffic import Sender

FAST = EngineConfig(idle_timeout_s=1)


class EventSink:
    """Keeps events in their order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def event(self, event: Event) -> None:
        self.events.append(event)

    def block(self, block) -> None:
        pass

    def flush(self, now_ns: int) -> None:
        pass

    def close(self) -> None:
        pass


def impaired(packets: list[bytes], seed: int) -> list[bytes]:
    """Lose, double and swap some."""
    draw, sent = random.Random(seed), []
    for packet in packets:
        sent += [packet] * draw.choice([0, 1, 1, 1, 1, 1, 1, 2])
    for n in range(3, len(sent) - 1, 7):
        sent[n], sent[n + 1] = sent[n + 1], sent[n]
    return sent


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def parts_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if series_of(path))


async def send(receiver: strep.Receiver, streams: list[tuple[UdpAddress, list[bytes]]]) -> None:
    """Send all streams side by side, each from a socket of its own, with a breath between the rounds."""
    with ExitStack() as stack:
        senders = [(stack.enter_context(closing(open_socket(to))), datagrams) for to, datagrams in streams]
        sent = 0
        for n in range(max(len(datagrams) for _, datagrams in senders)):
            for sock, datagrams in senders:
                if n < len(datagrams):
                    sock.send(datagrams[n])
                    sent += 1
            if n % 5 == 0:
                await until(lambda sent=sent: receiver.received >= sent)
        await until(lambda: receiver.received >= sent)


def decode(parts: list[Path], folder: Path) -> tuple[EventSink, strep.live.offline.CaptureResult]:
    events = EventSink()
    return events, read_capture(parts, sinks=[strep.RecordingSink(folder), events])


@pytest.mark.parametrize("part_bytes", [None, 20_000])
async def test_the_decoded_spool_equals_the_live_recording(tmp_path: Path, part_bytes: int | None) -> None:
    spool, events = Spool(tmp_path / "spool"), EventSink()
    if part_bytes is not None:
        spool._part_bytes = part_bytes
    receiver = strep.Receiver(
        "udp:[::]:0",
        rx="udp:127.0.0.1:0",
        tx="udp:127.0.0.1:0",
        sinks=[strep.RecordingSink(tmp_path / "live"), events],
        spool=spool,
        config=FAST,
        payload_types={100: strep.AudioFormat("L16", 16000, 16000)},
        receive_buffer_bytes=RECEIVE_BUFFER_BYTES,
    )
    legs = [
        Sender(leg=n % 2, direction=d, ssrc=n, seed=2 * n + d, call_leg_id=uuid.UUID(int=n // 2 + 1))
        for n in range(5)
        for d in (0, 1)
    ]
    wide = Sender(payload_type=100, call_leg_id=uuid.UUID(int=99))
    async with receiver:
        port = receiver.addresses[0].port
        v4, v6 = UdpAddress("127.0.0.1", port), UdpAddress("::1", port)
        streams = [((v4, v6)[n % 2], impaired(leg.packets(120), n)) for n, leg in enumerate(legs)]
        streams += [(to, impaired(Sender(strep=False, seed=80).packets(90), 50)) for to in (v4, v6)]
        streams += [
            (to, impaired(Sender(strep=False, seed=90 + n).packets(90), n))
            for n, to in enumerate(receiver.addresses[1:])
        ]
        streams += [
            (v4, [b"", b"OPTIONS sip:a@b SIP/2.0", bytes(3000), b"\xc4\x18"] * 3),
            (v6, wide.packets(30, samples=640)),
        ]
        await send(receiver, streams)
        await until(lambda: receiver.engine.open_streams == 0)  # all of them idle
        await send(receiver, [(v4, Sender(seed=7, call_leg_id=uuid.UUID(int=1)).packets(30))])
    assert receiver.kernel_drops == 0
    parts = parts_of(tmp_path / "spool")
    assert len(parts) == 1 if part_bytes is None else len(parts) > 5
    decoded, result = decode(parts, tmp_path / "again")
    assert result.datagrams == receiver.counts()
    assert decoded.events == events.events
    live, again = files_of(tmp_path / "live"), files_of(tmp_path / "again")
    assert len(live) > 2 * 8
    assert again == live
    assert (spool.spooled, spool.dropped) == (receiver.received, 0)


@pytest.mark.thorough
async def test_a_spool_that_was_cut_anywhere_is_decoded_up_to_there(tmp_path: Path) -> None:
    spool, packets = Spool(tmp_path / "spool"), Sender().packets(60)
    async with strep.Receiver("udp:127.0.0.1:0", spool=spool, receive_buffer_bytes=RECEIVE_BUFFER_BYTES) as receiver:
        await send(receiver, [(receiver.addresses[0], packets)])
    (part,) = parts_of(tmp_path / "spool")
    whole, draw, counts = part.read_bytes(), random.Random(1), []
    header = whole.index(b"\x06\0\0\0")
    for length in sorted(draw.sample(range(header, len(whole)), 40)):
        cut = tmp_path / "cut.pcapng"
        cut.write_bytes(whole[:length])
        _, result = decode([cut], tmp_path / f"cut-{length}")
        counts.append(result.datagrams["accepted"])
        assert sum(result.datagrams.values()) == max(counts[-1], result.datagrams["rejected_probation"])
    assert counts == sorted(counts)
    assert counts[-1] > 50 > 10 > counts[0]


async def test_what_is_told_when_decoding_goes_before_what_the_receiver_was_told(tmp_path: Path) -> None:
    spool, sender = Spool(tmp_path / "spool"), Sender(payload_type=99)
    config = EngineConfig(playout_delay_ms=40)
    async with strep.Receiver(
        "udp:127.0.0.1:0", spool=spool, config=config, receive_buffer_bytes=RECEIVE_BUFFER_BYTES
    ) as receiver:
        await send(receiver, [(receiver.addresses[0], sender.packets(20))])
    parts = parts_of(tmp_path / "spool")
    result = read_capture(parts, payload_types={99: strep.AudioFormat("PCMA", 8000, 8000)})
    assert result.streams[0].sources[0].payload_types == {99: "PCMA/8000"}
    assert result.reader.spool is not None
    assert result.reader.spool.configure(EngineConfig()).playout_delay_ms == 40
    (report,) = read_capture(parts).streams
    assert report.sources[0].payload_types == {99: "unknown"}


async def test_datagrams_of_refused_senders_are_not_spooled(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    settings = {"spool": spool, "allow": ["192.0.2.0/24"], "receive_buffer_bytes": RECEIVE_BUFFER_BYTES}
    settings["receive"] = "recvmmsg"  # of a ring, they do not come this far
    async with strep.Receiver("udp:127.0.0.1:0", **settings) as receiver:
        await send(receiver, [(receiver.addresses[0], Sender().packets(20))])
    assert receiver.counts()["rejected_sender"] == 20
    _, result = decode(parts_of(tmp_path / "spool"), tmp_path / "again")
    assert (sum(result.datagrams.values()), spool.spooled) == (0, 0)
