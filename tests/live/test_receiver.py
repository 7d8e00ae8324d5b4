"""The whole receiver on loopback: real sockets, the engine, recordings on disk, and tasks that listen."""

import asyncio
import os
import sys
import threading
import uuid
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import strep
from strep import Direction, Leg
from strep.emulator import Impairments, Platform
from strep.errors import ConfigError, ReceiveError, SinkError
from strep.live.overload import Load, Overload
from strep.net.address import UdpAddress
from strep.net.endpoints import EndpointTable
from strep.net.opening import Opening
from strep.net.source import bind_udp
from strep.net.udp import open_udp
from strep.sinks.base import Backlog
from strep.sinks.recordings import Recording
from strep.stream.engine import EngineConfig
from strep.stream.events import CloseReason, FormatChanged, StreamClosed, StreamOpened
from tests.emulator.conftest import KeptForks
from tests.live.test_pipeline import KeepingSink
from tests.receiving import BOUND_S, RECEIVE_BUFFER_BYTES, deliver, interleave, open_socket, recorded, until
from tests.ring import needs_ring
from tests.traffic import Sender, pcmu

LOOPBACK = "udp:127.0.0.1:0"
IPV6_LOOPBACK = "udp:[::1]:0"
RTP_BYTES = 12


def receiver_on(*target: str, **settings) -> strep.Receiver:
    return strep.Receiver(*target, **{"receive_buffer_bytes": RECEIVE_BUFFER_BYTES} | settings)


def legs(count: int) -> list[Sender]:
    """Make both directions of so many legs, each with audio of its own."""
    return [
        Sender(leg=n % 2, direction=direction, ssrc=n, seed=2 * n + direction, call_leg_id=uuid.UUID(int=n // 2 + 1))
        for n in range(count)
        for direction in (0, 1)
    ]


def has_received(receiver: strep.Receiver, count: int) -> bool:
    return receiver.received == count


def made_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def by_call(sink: strep.RecordingSink) -> dict[str, Recording]:
    return {recording.identities[0].call: recording for recording in sink.recordings}


@pytest.fixture(params=["recvmmsg", "portable", pytest.param("ring", marks=needs_ring)])
def receive(request: pytest.FixtureRequest) -> str:
    if request.param == "recvmmsg" and sys.platform != "linux":
        pytest.skip("recvmmsg is Linux's")
    return request.param


@pytest.mark.parametrize("target", [LOOPBACK, IPV6_LOOPBACK])
async def test_each_leg_of_several_calls_becomes_a_stereo_recording(target: str, receive: str, tmp_path: Path) -> None:
    sink, senders = strep.RecordingSink(tmp_path), legs(6)
    streams = [sender.packets(60) for sender in senders]
    async with receiver_on(target, sinks=[sink], receive=receive) as receiver:
        sent = await deliver(receiver, interleave(*streams))
    assert receiver.received == sent == sum(receiver.counts().values()) == receiver.counts()["accepted"]
    assert receiver.kernel_drops == 0
    recordings = by_call(sink)
    assert len(recordings) == 6
    for sender, stream in zip(senders, streams, strict=True):
        recording = recordings[f"{sender.call_leg_id}-{Leg(sender.leg).name}"]
        assert (recording.channels, recording.sample_rate_hz) == (2, 8000)
        assert (recorded(recording, Direction(sender.direction)) == pcmu(stream)).all()


async def test_plain_rtp_on_two_ports_is_one_call_with_rx_left_and_tx_right(receive: str, tmp_path: Path) -> None:
    sink = strep.RecordingSink(tmp_path)
    rx, tx = (Sender(strep=False, ssrc=n, seed=n).packets(80) for n in (1, 2))
    async with receiver_on(rx=LOOPBACK, tx=LOOPBACK, sinks=[sink], receive=receive) as receiver:
        with closing(open_socket(receiver.addresses[0])) as left, closing(open_socket(receiver.addresses[1])) as right:
            for n, (inbound, outbound) in enumerate(zip(rx, tx, strict=True)):
                right.send(outbound)
                left.send(inbound)
                if n % 20 == 0:  # let it read in several batches
                    await until(partial(has_received, receiver, 2 * n + 2))
            await until(partial(has_received, receiver, 160))
    assert sum(receiver.counts().values()) == receiver.counts()["accepted"] == 160
    (recording,) = sink.recordings
    assert {identity.direction for identity in recording.identities} == set(Direction)
    assert (recorded(recording, Direction.INBOUND) == pcmu(rx, RTP_BYTES)).all()
    assert (recorded(recording, Direction.OUTBOUND) == pcmu(tx, RTP_BYTES)).all()


async def test_sockets_bound_before_serve_as_target_rx_and_tx_and_are_closed_in_the_end(
    receive: str, tmp_path: Path
) -> None:
    target, rx, tx = (bind_udp(UdpAddress("127.0.0.1", 0), RECEIVE_BUFFER_BYTES) for _ in range(3))
    sink, leg = strep.RecordingSink(tmp_path), Sender().packets(60)
    plain = [Sender(strep=False, ssrc=n, seed=n).packets(60) for n in (1, 2)]
    async with strep.Receiver(target, rx=rx, tx=tx, sinks=[sink], receive=receive) as receiver:
        assert receiver.addresses == [target.address, rx.address, tx.address]
        for to, datagrams in enumerate([leg, *plain]):
            await deliver(receiver, datagrams, to)
    recordings = by_call(sink)
    pair = recordings.pop(f"rx-{rx.address.port}+tx-{tx.address.port}")
    for direction in Direction:
        assert (recorded(pair, direction) == pcmu(plain[direction], RTP_BYTES)).all()
    assert (recorded(*recordings.values(), Direction.INBOUND) == pcmu(leg)).all()
    assert [bound.socket.fileno() for bound in (target, rx, tx)] == [-1, -1, -1]


async def test_who_bound_the_socket_was_told_of_a_small_buffer_and_the_receiver_does_not_repeat_it() -> None:
    bound = bind_udp(UdpAddress("127.0.0.1", 0), RECEIVE_BUFFER_BYTES)
    async with strep.Receiver(replace(bound, receive_buffer_wanted_bytes=1 << 29)) as receiver:
        assert receiver.addresses == [bound.address]


async def test_each_sender_of_plain_rtp_to_the_target_port_is_a_call_of_its_own(tmp_path: Path) -> None:
    sink = strep.RecordingSink(tmp_path)
    streams = [Sender(strep=False, seed=n).packets(30) for n in (1, 2)]  # the same SSRC from both
    names = []
    async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
        for stream in streams:
            with closing(open_socket(receiver.addresses[0])) as sock:
                names.append(f"plain-127.0.0.1_{sock.getsockname()[1]}")
                await deliver(receiver, stream, sock=sock)
    recordings = by_call(sink)
    assert sorted(recordings) == sorted(names)
    for name, stream in zip(names, streams, strict=True):
        assert (recorded(recordings[name], Direction.INBOUND) == pcmu(stream, RTP_BYTES)).all()


async def test_every_kind_of_datagram_ends_in_one_counted_fate(receive: str) -> None:
    sender = Sender()
    audio = sender.packets(40)
    lots = {
        "accepted": audio[:20] + audio[21:40] + Sender(strep=False).packets(10),
        "duplicate": audio[10:15],
        "malformed_empty": [b""] * 2,
        "malformed_strep": [audio[0][:23], audio[0][:1]],
        "malformed_rtp": [b"\x80", audio[0][:24] + b"\x80\0\0"],
        "rejected_strep_version": [bytes([audio[0][0] ^ 0x30]) + audio[0][1:]],
        "rejected_sequence": [Sender(sequence_number=40_000).packet()],
        "not_audio_rtcp": [bytes.fromhex("80c90001deadbeef")],
        "not_audio_stun": [bytes.fromhex("000100002112a442") + bytes(12)],
        "not_audio_t38": [bytes.fromhex("0001") + bytes(20)],
        "not_audio_sip": [b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"],
        "over_limit_size": [Sender().wrap(bytes([0x80, 0]) + bytes(4000))],
    }
    async with receiver_on(LOOPBACK, receive=receive) as receiver:
        sent = await deliver(receiver, [datagram for lot in lots.values() for datagram in lot])
    assert receiver.received == sent == sum(receiver.counts().values())
    assert {name: count for name, count in receiver.counts().items() if count} == {k: len(v) for k, v in lots.items()}


async def test_what_the_emulated_network_did_is_what_the_reports_say(tmp_path: Path) -> None:
    sink, forks = strep.RecordingSink(tmp_path), KeptForks()
    impairments = Impairments(loss=0.05, duplicate=0.05, reorder=0.05, seed=3)
    platform = Platform(seed=5, sender=forks)
    call = platform.add_call("PCMA", waits_for_fork=True, impairments=impairments)
    async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
        platform.command(call.call_control_id, "fork_start", {"target": str(receiver.addresses[0])})
        (fork,) = forks.forks
        media = list(fork.media())
        for datagram in media:
            fork.count(datagram, was_sent=True)
        assert await deliver(receiver, [datagram.data for datagram in media]) > 2000
    (recording,) = sink.recordings
    assert sum(receiver.counts().values()) == receiver.received
    for report in recording.reports:
        account = call.sent[report.identity.leg, report.identity.direction]
        (source,) = report.sources
        assert account.lost > 20
        assert account.duplicates > 20
        assert (source.packets, source.duplicates) == (account.packets + account.duplicates, account.duplicates)
        assert source.lost == account.lost
        assert source.reordered + source.late > 20
        assert report.length_samples == 160 * (account.end_packet - account.first_packet)


# Listening


async def test_streams_and_their_frames_are_iterated_until_the_receiver_stops() -> None:
    senders = legs(2)
    sent = [sender.packets(50) for sender in senders]
    heard: dict[tuple[str, Direction], list[strep.AudioFrame]] = {}
    reports = []

    async def listen(stream: strep.Stream) -> None:
        key = stream.identity.call, stream.identity.direction
        heard[key] = [frame async for frame in stream]
        reports.append(stream.report)
        assert stream.missed_frames == 0

    async with receiver_on(LOOPBACK) as receiver, asyncio.timeout(BOUND_S), asyncio.TaskGroup() as tasks:

        async def watch() -> None:
            async for stream in receiver:
                tasks.create_task(listen(stream))

        tasks.create_task(watch())
        await asyncio.sleep(0)
        await deliver(receiver, interleave(*sent))
        await receiver.stop()
    for sender, stream in zip(senders, sent, strict=True):
        frames = heard[f"{sender.call_leg_id}-{Leg(sender.leg).name}", Direction(sender.direction)]
        assert (np.concatenate([frame.samples for frame in frames]) == pcmu(stream)).all()
        assert [frame.position for frame in frames] == [160 * n for n in range(50)]
        assert {frame.state for frame in frames} == {strep.SampleState.RECEIVED}
    assert all(report is not None and report.length_samples == 8000 for report in reports)


async def test_a_task_that_takes_no_frames_misses_them_while_the_recording_is_complete(tmp_path: Path) -> None:
    sink, packets = strep.RecordingSink(tmp_path), Sender().packets(300)
    async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
        streams = aiter(receiver)
        await deliver(receiver, packets)
        stream = await anext(streams)
        await receiver.stop()
    late = [frame async for frame in stream]
    assert stream.missed_frames == 50
    assert (np.concatenate([frame.samples for frame in late]) == pcmu(packets[50:])).all()
    (recording,) = sink.recordings
    assert (recorded(recording, Direction.INBOUND) == pcmu(packets)).all()


async def test_events_tell_the_life_of_a_stream() -> None:
    async with receiver_on(LOOPBACK) as receiver:
        events = receiver.events()
        await deliver(receiver, Sender().packets(20))
        assert [report.identity.direction for report in receiver.reports()] == [Direction.INBOUND]
        await receiver.stop()
    told = [event async for event in events]
    kinds = [type(event) for event in told]
    assert kinds[:2] == [StreamOpened, FormatChanged]
    assert kinds.count(StreamClosed) == 1
    assert isinstance(told[-1], StreamClosed)
    assert told[-1].reason is CloseReason.STOPPED
    assert receiver.reports() == []


async def test_the_callers_payload_types_are_decoded() -> None:
    formats = {100: strep.AudioFormat("L16", 16000, 16000)}
    sender = Sender(payload_type=100)
    samples = np.random.default_rng(1).integers(-9000, 9000, (20, 320)).astype(np.int16)
    async with receiver_on(LOOPBACK, payload_types=formats) as receiver:
        streams = aiter(receiver)
        await deliver(receiver, [sender.packet(320, payload=row.astype(">i2").tobytes()) for row in samples])
        stream = await anext(streams)
        await receiver.stop()
    frames = [frame async for frame in stream]
    assert {frame.sample_rate_hz for frame in frames} == {16000}
    assert (np.stack([frame.samples for frame in frames]) == samples).all()


# Stopping


async def test_what_is_queued_when_it_stops_is_read(tmp_path: Path) -> None:
    sink, packets = strep.RecordingSink(tmp_path), Sender().packets(100)
    async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
        with closing(open_socket(receiver.addresses[0])) as sock:
            for packet in packets:
                sock.send(packet)  # the loop has no chance to read in between
    assert receiver.counts()["accepted"] == 100
    (recording,) = sink.recordings
    assert (recorded(recording, Direction.INBOUND) == pcmu(packets)).all()


async def test_it_stops_while_datagrams_keep_coming(monkeypatch: pytest.MonkeyPatch) -> None:
    reads, sender = [], Sender()

    really = Opening.open

    def open_busy(*arguments, **settings):
        source = really(*arguments, **settings)
        sock, read = sockets.enter_context(closing(open_socket(source.local_address))), source.read

        def read_busy():
            assert len(reads) < 100, "it reads on for ever"
            reads.append(sock.send(sender.packet()))  # there is always one more
            return read()

        source.read = read_busy
        return source

    monkeypatch.setattr("strep.live.receiver.Opening.open", open_busy)
    with ExitStack() as sockets:
        async with receiver_on(LOOPBACK) as receiver:
            await until(lambda: receiver.received > 3)
    assert sum(receiver.counts().values()) == receiver.received >= len(reads) - 1


@pytest.mark.parametrize("shed_calls", [True, False])
async def test_calls_are_left_out_as_the_load_demands_unless_that_is_declined(
    shed_calls: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    decided = {1: 0, 2: 1}  # when all are open, the youngest of them is left out
    monkeypatch.setattr("strep.live.receiver.Overload.look", lambda self, now_ns, load: decided.pop(load.calls, 0))
    sink, senders = strep.RecordingSink(tmp_path), [Sender(call_leg_id=uuid.UUID(int=n + 1), seed=n) for n in range(2)]
    async with receiver_on(LOOPBACK, sinks=[sink], shed_calls=shed_calls) as receiver:
        with closing(open_socket(receiver.addresses[0])) as sock:
            for _ in range(2):
                await deliver(receiver, [p for sender in senders for p in sender.packets(2)], sock=sock)
                if shed_calls:
                    await until(lambda: receiver.engine.left_out_calls == 1)
    counts = receiver.counts()
    assert (counts["accepted"], counts["over_limit_load"]) == ((6, 2) if shed_calls else (8, 0))
    assert {len(recorded(made, Direction.INBOUND)) for made in sink.recordings} == ({320, 640} if shed_calls else {640})


async def test_a_call_that_is_ended_is_closed_at_once_with_all_that_came_of_it(tmp_path: Path) -> None:
    sink, senders = strep.RecordingSink(tmp_path), legs(2)
    streams = [sender.packets(30) for sender in senders]
    async with receiver_on(LOOPBACK, sinks=[sink], config=EngineConfig(playout_delay_ms=500)) as receiver:
        events = receiver.events()
        await deliver(receiver, interleave(*streams))
        receiver.end_call(f"{senders[0].call_leg_id}-{Leg(senders[0].leg).name}")
        assert receiver.engine.open_streams == 2
        receiver.end_call("nobody")
        await until(lambda: sink.recording_count == 1)  # while the others go on
        (recording,) = sink.recordings
        for sender, stream in zip(senders[:2], streams[:2], strict=True):
            assert (recorded(recording, Direction(sender.direction)) == pcmu(stream)).all()
        await receiver.stop()
    closed = [event async for event in events if isinstance(event, StreamClosed)]
    assert [event.reason for event in closed] == [CloseReason.ENDED] * 2 + [CloseReason.STOPPED] * 2


async def test_a_leg_that_is_not_admitted_is_counted_until_it_is_asked_about_again() -> None:
    wanted: set[Leg] = {Leg.A}
    config = EngineConfig(admits=lambda identity, endpoint: identity.leg in wanted)
    first, second = Sender(), Sender(leg=1, ssrc=2)
    async with receiver_on(LOOPBACK, config=config) as receiver:
        with closing(open_socket(receiver.addresses[0])) as sock:
            await deliver(receiver, interleave(first.packets(10), second.packets(10)), sock=sock)
            wanted.add(Leg.B)
            receiver.readmit()
            await deliver(receiver, interleave(first.packets(10), second.packets(10)), sock=sock)
    counts = receiver.counts()
    assert (counts["accepted"], counts["rejected_leg"]) == (30, 10)
    assert receiver.received == sum(counts.values()) == 40


async def test_stopping_and_waiting_may_be_done_in_any_order_and_often() -> None:
    async with receiver_on(LOOPBACK) as receiver:
        waiting = asyncio.create_task(receiver.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.gather(receiver.stop(), receiver.stop())
        await asyncio.wait_for(waiting, BOUND_S)
        await receiver.wait()
        await receiver.stop()
    await receiver.stop()


async def test_a_receiver_cannot_be_entered_again() -> None:
    async with receiver_on(LOOPBACK) as receiver:
        with pytest.raises(ConfigError, match="once"):
            await receiver.__aenter__()
        await deliver(receiver, Sender().packets(2))
    with pytest.raises(ConfigError, match="once"):
        await receiver.__aenter__()


async def test_an_idle_receiver_wakes_for_a_datagram_and_for_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strep.live.receiver._QUIET_TICKS", 0)
    monkeypatch.setattr("strep.live.receiver._IDLE_TICK_S", 3600)  # so that nothing else can wake it
    async with receiver_on(LOOPBACK) as receiver, asyncio.timeout(BOUND_S):
        await asyncio.sleep(0)
        await deliver(receiver, Sender().packets(5))
        await receiver.stop()
    assert receiver.counts()["accepted"] == 5


async def test_a_cancelled_task_leaves_complete_recordings_and_a_free_port(tmp_path: Path) -> None:
    sink, packets = strep.RecordingSink(tmp_path), Sender().packets(40)
    addresses = []

    async def receive() -> None:
        async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
            await deliver(receiver, packets)
            addresses.append(receiver.addresses[0])
            await asyncio.Event().wait()

    task = asyncio.create_task(receive())
    await until(lambda: bool(addresses))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (recording,) = sink.recordings
    assert (recorded(recording, Direction.INBOUND) == pcmu(packets)).all()
    open_udp(addresses[0]).close()


def test_it_runs_on_uvloop_as_well() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def main() -> strep.Receiver:
        async with receiver_on(LOOPBACK) as receiver:
            await deliver(receiver, Sender().packets(20))
        return receiver

    assert uvloop.run(main()).counts()["accepted"] == 20


# Faults of the caller, of the system, and of a sink


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a target, or rx and tx"),
        ({"rx": LOOPBACK}, "rx and tx go together"),
        ({"target": LOOPBACK, "tx": LOOPBACK}, "rx and tx go together"),
        ({"target": "127.0.0.1:9000"}, "udp:IP:PORT"),
        ({"target": "udp:localhost:9000"}, "IP address"),
        ({"rx": LOOPBACK, "tx": "udp:127.0.0.1:65536"}, "65535"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        strep.Receiver(**arguments)


async def test_a_receive_buffer_that_cannot_be_is_refused_and_sinks_are_closed() -> None:
    sink = KeepingSink()
    with pytest.raises(ConfigError, match="receive buffer"):
        async with receiver_on(LOOPBACK, sinks=[sink], receive_buffer_bytes=1):
            pass
    assert sink.calls == ["close"]


async def test_a_port_in_use_is_refused_and_nothing_stays_open(tmp_path: Path) -> None:
    with closing(open_udp(UdpAddress("127.0.0.1", 0))) as first:
        free = open_udp(UdpAddress("127.0.0.1", 0))
        rx = free.local_address
        free.close()
        keeping = KeepingSink()
        receiver = receiver_on(rx=rx, tx=first.local_address, sinks=[strep.RecordingSink(tmp_path), keeping])
        with pytest.raises(ReceiveError, match="in use"):
            async with receiver:
                pytest.fail("it must not open")
        assert keeping.calls == ["close"]
        assert not made_in(tmp_path)
        open_udp(rx).close()  # the port that could be had was given back
        assert [stream async for stream in receiver] == []
        with pytest.raises(ConfigError, match="once"):
            await receiver.__aenter__()  # its sinks are closed


async def test_a_receive_buffer_smaller_than_asked_for_is_warned_of_where_the_receiver_is_entered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    really = Opening.open

    def open_small(*arguments, **settings):
        source = really(*arguments, **settings)
        source.receive_buffer_bytes = 212_992
        return source

    monkeypatch.setattr("strep.live.receiver.Opening.open", open_small)
    with pytest.warns(strep.ReceiveBufferWarning, match=r"212992 bytes, not 300000.*rmem_max") as warned:
        async with receiver_on(LOOPBACK, receive_buffer_bytes=300_000, receive="recvmmsg"):
            pass
    assert [warning.filename for warning in warned] == [__file__]


async def test_a_sink_that_fails_does_not_hurt_the_recording_and_is_raised_on_leaving(tmp_path: Path) -> None:
    broken, sink, packets = KeepingSink("block"), strep.RecordingSink(tmp_path), Sender().packets(120)
    receiver = receiver_on(LOOPBACK, sinks=[broken, sink])
    with pytest.raises(SinkError, match="found none"):
        async with receiver:
            await deliver(receiver, packets)
    assert broken.calls[-2:] == ["block", "close"]
    (recording,) = sink.recordings
    assert (recorded(recording, Direction.INBOUND) == pcmu(packets)).all()
    assert sum(receiver.counts().values()) == receiver.received == 120


async def test_the_failure_of_the_only_sink_ends_every_iteration_and_is_raised() -> None:
    receiver = receiver_on(LOOPBACK, sinks=[KeepingSink("block", error=RuntimeError("a mistake"))])
    heard = []

    async def listen() -> None:
        async for stream in receiver:
            heard.append([frame async for frame in stream])

    async with asyncio.timeout(BOUND_S):
        with pytest.raises(RuntimeError, match="a mistake"):
            async with receiver:
                waiting, listening = asyncio.create_task(receiver.wait()), asyncio.create_task(listen())
                await asyncio.sleep(0)
                await deliver(receiver, Sender().packets(100))
                await listening  # ends by itself
                with pytest.raises(RuntimeError, match="a mistake"):
                    await waiting
    assert len(heard) == 1
    open_udp(receiver.addresses[0]).close()


async def test_an_error_of_the_body_stays_the_context_of_that_of_a_sink() -> None:
    with pytest.raises(SinkError) as raised:
        async with receiver_on(LOOPBACK, sinks=[KeepingSink("close")]):
            raise ValueError("of the body")
    assert isinstance(raised.value.__context__, ValueError)


# Who may send


async def test_datagrams_from_other_networks_are_counted_and_nothing_else(receive: str) -> None:
    for target, allow, expected in (
        (LOOPBACK, ["192.0.2.0/24", "127.0.0.0/8"], "accepted"),
        (LOOPBACK, ["192.0.2.0/24"], "rejected_sender"),
        ("udp:[::]:0", ["127.0.0.1"], "accepted"),
        (IPV6_LOOPBACK, ["0.0.0.0/0", "2001:db8::/32"], "rejected_sender"),
        (LOOPBACK, [], "rejected_sender"),
    ):
        way = "auto" if "[::]" in target and receive == "ring" else receive
        async with receiver_on(target, allow=allow, receive=way) as receiver:
            (address,) = receiver.addresses
            host = "127.0.0.1" if address.host == "::" else address.host
            with closing(open_socket(UdpAddress(host, address.port))) as sock:
                if (way, expected) == ("ring", "rejected_sender"):
                    for packet in Sender().packets(10):
                        sock.send(packet)
                    await until(lambda: receiver.kernel_refused == 10)
                    continue
                await deliver(receiver, Sender().packets(10), sock=sock)
        assert receiver.counts() | {expected: 10} == receiver.counts()
        assert receiver.received == sum(receiver.counts().values()) == 10


def test_a_network_that_is_none_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ConfigError, match=r"expected a network as 192.0.2.0/24 or 2001:db8::/32, found 'nobody'"):
        receiver_on(LOOPBACK, allow=["nobody"])


async def test_senders_that_nothing_refers_to_make_room_for_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("strep.live.receiver.EndpointTable", partial(EndpointTable, 8))
    sink, leg = strep.RecordingSink(tmp_path), Sender(strep=False)
    packets, others = leg.packets(60), []
    async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
        with closing(open_socket(receiver.addresses[0])) as sock:
            for n, packet in enumerate(packets):
                sock.send(packet)
                await deliver(receiver, [b"junk"])  # each from a port of its own
                if n % 20 == 10:
                    other = Sender(strep=False, seed=n)
                    others.append(other.packets(3))
                    await deliver(receiver, others[-1])
    counts = receiver.counts()
    assert (counts["accepted"], counts["not_audio_sip"], counts["over_limit_senders"]) == (69, 60, 0)
    recordings = sorted(sink.recordings, key=lambda made: made.path.stat().st_size)
    assert len(recordings) == 4
    assert (recorded(recordings[-1], Direction.INBOUND) == pcmu(packets, RTP_BYTES)).all()
    assert {(*recorded(made, Direction.INBOUND)[:480],) for made in recordings[:3]} == {
        (*pcmu(other, RTP_BYTES),) for other in others
    }


async def test_where_only_strep_is_taken_everything_else_is_refused(receive: str, tmp_path: Path) -> None:
    sink, packets = strep.RecordingSink(tmp_path), Sender().packets(40)
    strangers = [*Sender(strep=False).packets(20), b"", b"OPTIONS sip:a@b SIP/2.0"]
    async with receiver_on(LOOPBACK, sinks=[sink], strep_only=True, receive=receive) as receiver:
        with closing(open_socket(receiver.addresses[0])) as sock:
            for datagram in strangers:
                sock.send(datagram)
        await deliver(receiver, packets)
    refused = receiver.kernel_refused + receiver.counts()["rejected_not_strep"]
    assert (refused, receiver.counts()["accepted"]) == (len(strangers), 40)
    is_refused = sys.platform == "linux" and receive != "ring"  # of what a ring has, it is counted here
    assert receiver.kernel_refused == (len(strangers) if is_refused else 0)
    assert receiver.kernel_drops == 0
    (recording,) = sink.recordings
    assert (recorded(recording, Direction.INBOUND) == pcmu(packets)).all()


async def test_of_a_socket_for_everything_what_is_no_strep_is_counted_and_rx_and_tx_stay_plain(receive: str) -> None:
    target = bind_udp(UdpAddress("127.0.0.1", 0), RECEIVE_BUFFER_BYTES)
    settings = {"strep_only": True, "receive": receive}
    async with receiver_on(target, rx=LOOPBACK, tx=LOOPBACK, **settings) as receiver:
        await deliver(receiver, [*Sender().packets(5), *Sender(strep=False).packets(4), b""])
        await deliver(receiver, Sender(strep=False).packets(7), to=1)
    counts = receiver.counts()
    assert (counts["accepted"], counts["rejected_not_strep"], receiver.kernel_refused) == (12, 5, 0)


def test_strep_only_without_a_target_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="strep_only is about what comes to a target, found none"):
        strep.Receiver(rx=LOOPBACK, tx=LOOPBACK, strep_only=True)


class SlowSink(KeepingSink):
    """A sink that is settled only when somebody lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.waits, self.let_go = threading.Event(), threading.Event()

        self.behind = Backlog()

    def backlog(self) -> Backlog:
        return self.behind

    def settle(self) -> None:
        assert "close" not in self.calls
        self.waits.set()
        assert self.let_go.wait(30)
        self.calls.append("settled")


async def test_whoever_shares_the_loop_goes_on_while_a_sink_settles() -> None:
    sink = SlowSink()
    receiver = receiver_on(LOOPBACK, sinks=[sink])
    async with receiver:
        await deliver(receiver, Sender().packets(20))
        stopping = asyncio.create_task(receiver.stop())
        await until(sink.waits.is_set)
        assert not stopping.done()
        sink.let_go.set()
        await stopping
    assert sink.calls[-2:] == ["settled", "close"]


async def test_what_waits_to_be_written_is_looked_at_in_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Load] = []
    monkeypatch.setattr(Overload, "look", lambda self, now_ns, load: looked_at.append(load) or 0)
    sink = SlowSink()
    sink.let_go.set()
    async with receiver_on(LOOPBACK, sinks=[sink]) as receiver:
        await deliver(receiver, Sender().packets(5))
        assert looked_at.pop().writing == Backlog()
        sink.behind = Backlog(0.95, 10**12)
        await deliver(receiver, Sender().packets(5))
        await until(lambda: looked_at[-1].writing == sink.behind)


async def test_a_disk_that_stalls_while_calls_arrive_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, packets = strep.WriterThread(strep.RecordingSink(tmp_path)), Sender().packets(200)
    moves, stalled, system_pwrite = threading.Event(), threading.Event(), os.pwrite

    def pwrite(descriptor: int, content: bytes, position: int) -> int:
        stalled.set()
        assert moves.wait(30)
        return system_pwrite(descriptor, content, position)

    monkeypatch.setattr(os, "pwrite", pwrite)
    receiver = receiver_on(LOOPBACK, sinks=[writer])
    async with receiver:
        with closing(open_socket(receiver.addresses[0])) as sock:
            await deliver(receiver, packets[:100], sock=sock)
            await until(stalled.is_set)  # the first file is being made
            await deliver(receiver, packets[100:], sock=sock)
        assert sum(receiver.counts().values()) == 200
        assert not moves.is_set()
        moves.set()
    (recording,) = writer.recordings
    assert (recorded(recording, Direction.INBOUND) == pcmu(packets)).all()
    assert recording.unwritten_samples == 0
