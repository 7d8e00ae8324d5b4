"""Write classic BPF programs (linux/filter.h), by which the kernel chooses among datagrams early."""

from __future__ import annotations

import ctypes
import enum
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

# Linux, asm-generic/socket.h; Python's socket module does not name them.
SO_ATTACH_FILTER = 26
SO_DETACH_FILTER = 27
#: Added to where a load begins: it then counts from the IP header, wherever that lies (SKF_NET_OFF).
NETWORK = 0xFFF0_0000
#: What LOAD_BYTE finds here is whom the link layer meant (SKF_AD_PKTTYPE): PACKET_HOST, and so on.
PACKET_TYPE_AT = 0xFFFF_F004


class Op(enum.IntEnum):
    """What an instruction does to the accumulator A, by itself, its constant k, or the register X (linux/filter.h).

    A and X are 32 bits wide; words are big-endian. A load beyond the end of the payload ends the program with 0.
    """

    COPY_A_TO_X = 0x07
    LOAD_WORD = 0x20  #: A = payload[k : k + 4]
    LOAD_HALF = 0x28  #: A = payload[k : k + 2]
    LOAD_BYTE = 0x30  #: A = payload[k]
    LOAD_HALF_FROM_X = 0x48  #: A = payload[X + k : X + k + 2]
    LOAD_LENGTH = 0x80  #: A = len(payload)
    LOAD_HEADER_BYTES_TO_X = 0xB1  #: X = 4 * (payload[k] & 0xF), the length of an IPv4 header
    MULTIPLY = 0x24
    AND = 0x54
    SHIFT_RIGHT = 0x74
    MODULO = 0x94
    XOR_X = 0xAC
    SKIP = 0x05  #: go on behind the next k instructions
    SKIP_UNLESS_EQUAL = 0x15  #: go on behind the next `skip` instructions unless A is k
    SKIP_UNLESS_AT_LEAST = 0x35  #: the same, unless A is k or more
    SKIP_UNLESS_ANY = 0x45  #: the same, unless A has a bit of k
    RETURN = 0x06  #: end with k
    RETURN_A = 0x16


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a program."""

    op: Op
    k: int = 0
    skip: int = 0

    def serialize(self) -> bytes:
        """Write a struct sock_filter: code, jump if true, jump if false, k."""
        return struct.pack("=HBBI", self.op, 0, self.skip, self.k)


#: Keep 0 bytes of it: drop all that arrives.
DROP_ALL = (Instruction(Op.RETURN, 0),)


def attach(sock: socket.socket, option: int, program: Sequence[Instruction]) -> None:
    """Give the kernel a program: it copies what this struct sock_fprog (length, pointer) points to. Raises OSError."""
    code = ctypes.create_string_buffer(b"".join(instruction.serialize() for instruction in program))
    sock.setsockopt(socket.SOL_SOCKET, option, struct.pack("@HP", len(program), ctypes.addressof(code)))
