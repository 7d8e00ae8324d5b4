"""Share one UDP port among several sockets so that all datagrams of a call leg come to the same one.

Linux lets sockets share a port (SO_REUSEPORT, socket(7)) and asks a classic BPF program of a few instructions which of
them, by number, gets a datagram. The rules:

1. STREP: the number is a mix of the call_leg_id modulo the number of sockets, see `socket_of`. Both directions of a leg
   have one call_leg_id, so they meet, whatever addresses they come from.
2. Anything else (plain RTP): the program names no socket, and the kernel goes by its own hash of addresses and ports,
   as it does without a program. So all datagrams of one sender come to one socket.
3. A STREP header cut short of its call_leg_id ends the program at the load beyond its end; that means number 0.
4. Where only STREP is taken, everything else comes to one socket more, which has a filter that drops all that it gets.
   So its drops are what was refused, and those of the others what they had no room for: a filter on these themselves
   would add to the same counter.
5. A socket's number is the order of binding, as long as none is closed: the kernel gives a closed one's number to the
   last one, and so other sockets' calls to strangers. Whoever binds the group must therefore keep all of it open, and
   let those who read work on duplicates: then one of them can die, its socket keeps its number and its queue, and
   another can go on reading where it stopped.
6. The kernel asks once for what it holds as one packet. Where it joins datagrams of one sender (UDP_GRO, or a sender on
   this machine that lets the kernel segment), it would take the leg of the first for that of all. So the sockets of a
   group must not ask for UDP_GRO.

The program looks at bytes of the payload: where one begins, the kernel has stepped over the UDP header.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import uuid
from collections.abc import Sequence
from dataclasses import replace

from strep.errors import ConfigError
from strep.net.address import UdpAddress
from strep.net.bpf import DROP_ALL, SO_ATTACH_FILTER, SO_DETACH_FILTER, Instruction, Op, attach
from strep.net.control_messages import SO_TIMESTAMPNS
from strep.net.source import LEAST_RECEIVE_BUFFER_BYTES, RECEIVE_BUFFER_BYTES, BoundSocket, QueueMeter, bind_udp
from strep.net.strep_only import FIRST, FIRST_MASK, LEAST_BYTES, LEAST_HEADER_BYTES
from strep.wire.strep import STREP_MAGIC

#: Each costs a process and a receive buffer; no machine that takes calls has many more cores to give.
MAX_SOCKETS = 64
#: What the program returns to name no socket: any number that no socket has.
NO_SOCKET = 0xFFFF_FFFF

#: Linux, asm-generic/socket.h; Python's socket module does not name it.
_SO_ATTACH_REUSEPORT_CBPF = 51
_ID_WORDS_AT = (8, 12, 16, 20)
# Odd constants with well spread bits: 2**32 divided by the golden ratio, and the first one of MurmurHash3's finaliser.
_FOLD = 0x9E37_79B1
_SPREAD = 0x85EB_CA6B


def steering_program(sockets: int) -> tuple[Instruction, ...]:
    """Write the program for so many sockets; its scalar twin for a call_leg_id is `socket_of`."""
    mix = _mix(sockets)
    return (
        Instruction(Op.LOAD_BYTE, 0),
        Instruction(Op.AND, STREP_MAGIC),
        Instruction(Op.SKIP_UNLESS_EQUAL, STREP_MAGIC, skip=len(mix)),
        *mix,
        Instruction(Op.RETURN, NO_SOCKET),
    )


def strep_only_program(sockets: int) -> tuple[Instruction, ...]:
    """Write the program that brings STREP to one of so many sockets, and everything else to the one behind them."""
    program = (*_mix(sockets), Instruction(Op.RETURN, sockets))
    # From the last check to the first: each one that fails goes to the last instruction.
    for test, k, *load in (
        (Op.SKIP_UNLESS_EQUAL, FIRST, Instruction(Op.LOAD_BYTE, 0), Instruction(Op.AND, FIRST_MASK)),
        (Op.SKIP_UNLESS_AT_LEAST, LEAST_HEADER_BYTES, Instruction(Op.LOAD_BYTE, 1)),
        (Op.SKIP_UNLESS_AT_LEAST, LEAST_BYTES, Instruction(Op.LOAD_LENGTH)),
    ):
        program = (*load, Instruction(test, k, skip=len(program) - 1), *program)
    return program


def _mix(sockets: int) -> tuple[Instruction, ...]:
    """Return the number of a leg's socket."""
    return (
        Instruction(Op.LOAD_WORD, _ID_WORDS_AT[0]),
        *(step for at in _ID_WORDS_AT[1:] for step in _fold_in(at)),
        *_xor_shifted(16),
        Instruction(Op.MULTIPLY, _SPREAD),
        *_xor_shifted(13),
        Instruction(Op.MODULO, sockets),
        Instruction(Op.RETURN_A),
    )


def socket_of(call_leg_id: uuid.UUID, sockets: int) -> int:
    """Tell which of so many sockets the datagrams of a leg come to.

    All 128 bits count: a version 4 id is random but for six of them, a version 1 id is a clock in its first words and
    the same in the others for all calls of a machine (RFC 9562 sections 5.1 and 5.4).
    """
    words = struct.unpack(">4I", call_leg_id.bytes)
    mixed: int = words[0]
    for word in words[1:]:
        mixed = mixed * _FOLD & 0xFFFF_FFFF ^ word
    mixed ^= mixed >> 16
    mixed = mixed * _SPREAD & 0xFFFF_FFFF
    mixed ^= mixed >> 13
    return mixed % sockets


def bind_group(
    address: UdpAddress,
    sockets: int,
    receive_buffer_bytes: int = RECEIVE_BUFFER_BYTES,
    *,
    strep_only: bool = False,
) -> list[BoundSocket]:
    """Bind several sockets to one address and steer legs to them; returns them in the order of their numbers.

    receive_buffer_bytes: of each. strep_only: let the system refuse what is no STREP; the first one's `refused` counts
    that. Nothing is received until the group is complete. Where the system cannot steer (only Linux can), it is a group
    of one that gets everything: without steering, the directions of a leg could come to different sockets.
    Raises ReceiveError when the address is in use or the system refuses, ConfigError for what cannot be.
    """
    if not 1 <= sockets <= MAX_SOCKETS:
        raise ConfigError(f"expected 1 to {MAX_SOCKETS} sockets for one port, found {sockets}")
    if (sockets == 1 and not strep_only) or sys.platform != "linux":
        return [bind_udp(address, receive_buffer_bytes, _ask_for_receive_times)]
    # The first one is bound as if alone, and allows company afterwards: so a port that another program has, another
    # group too, is refused, and not shared.
    group = [bind_udp(address, receive_buffer_bytes, _begin_deaf)]
    refuser: BoundSocket | None = None
    try:
        group[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while len(group) < sockets:
            group.append(bind_udp(group[0].address, receive_buffer_bytes, _begin_deaf_in_company))
        if strep_only:
            refuser = bind_udp(group[0].address, LEAST_RECEIVE_BUFFER_BYTES, _begin_deaf_in_company)
        if not _steer(group[0].socket, strep_only_program(sockets) if strep_only else steering_program(sockets)):
            _close([*group[1:], *filter(None, [refuser])])
            del group[1:]
            refuser = None
            group[0].socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        refused = QueueMeter(refuser.socket, from_now=True) if refuser is not None else None
        is_alone = len(group) == 1
        return [replace(_hearing(bound, refused if bound is group[0] else None), is_alone=is_alone) for bound in group]
    except BaseException:
        _close([*group, *filter(None, [refuser])])
        raise


def _hearing(bound: BoundSocket, refused: QueueMeter | None) -> BoundSocket:
    """Let a socket receive; what it dropped before was never ours."""
    with contextlib.suppress(OSError):  # where the filter was refused, there is none to take away
        bound.socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    return replace(bound, drops=QueueMeter(bound.socket, from_now=True), refused=refused)


def adopt_socket(descriptor: int, receive_buffer_bytes: int, receive_buffer_wanted_bytes: int) -> BoundSocket:
    """Make a BoundSocket of an inherited descriptor of a bound UDP socket, which it will close: one of several."""
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    address = UdpAddress(*sock.getsockname()[:2])
    return BoundSocket(
        sock, address, receive_buffer_bytes, receive_buffer_wanted_bytes, QueueMeter(sock), is_alone=False
    )


def _fold_in(word_at: int) -> tuple[Instruction, ...]:
    """Multiply A, and exclusive-or a word into it."""
    return (
        Instruction(Op.MULTIPLY, _FOLD),
        Instruction(Op.COPY_A_TO_X),
        Instruction(Op.LOAD_WORD, word_at),
        Instruction(Op.XOR_X),
    )


def _xor_shifted(bits: int) -> tuple[Instruction, ...]:
    """Exclusive-or A with itself shifted right: brings down to the low bits what multiplying brought up."""
    return Instruction(Op.COPY_A_TO_X), Instruction(Op.SHIFT_RIGHT, bits), Instruction(Op.XOR_X)


def _steer(sock: socket.socket, program: Sequence[Instruction]) -> bool:
    """Give the program to the group of a socket; tell whether the system took it."""
    try:
        attach(sock, _SO_ATTACH_REUSEPORT_CBPF, program)
    except OSError:  # older than Linux 4.5, or something that only looks like Linux
        return False
    return True


def _ask_for_receive_times(sock: socket.socket) -> None:
    """Ask now, as a datagram may wait for a second before the process that will read it has begun."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def _begin_deaf(sock: socket.socket) -> None:
    """Let a socket drop all that arrives, until its group is complete: what came before could be another's."""
    _ask_for_receive_times(sock)
    with contextlib.suppress(OSError):
        attach(sock, SO_ATTACH_FILTER, DROP_ALL)


def _begin_deaf_in_company(sock: socket.socket) -> None:
    _begin_deaf(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def _close(group: Sequence[BoundSocket]) -> None:
    for bound in group:
        bound.close()
