"""Say in words of the caller why a socket could not be opened."""

from __future__ import annotations

import errno

_REASONS = {
    errno.EADDRINUSE: "expected a free port, found it in use by another socket",
    errno.EADDRNOTAVAIL: "expected an address of this machine, found that none of its interfaces has it",
    errno.EACCES: "expected a port that this user may open, found one that needs more rights",
    errno.EAFNOSUPPORT: "expected an address family of this machine, found it switched off",
}


def socket_reason(error: OSError) -> str:
    """Give what was expected and found; the system's own words for anything that is not foreseen here."""
    return _REASONS.get(error.errno or 0, error.strerror or str(error))
