"""Fuzzers: each target turns any bytes into an input of strep and checks what must hold whatever comes.

`python -m tests.fuzz` searches (see `--help`), and tests/test_fuzz.py replays what is in corpus/: bytes that we made
and that reach something no other one does.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Protocol, cast

#: Each is a module here.
TARGETS = {
    "engine": "datagrams, any clock and what a caller does meanwhile, into the engine",
    "fates": "the same, held against a naive model of what becomes of each datagram",
    "captures": "pcap, pcapng and spool files",
    "payloads": "payloads of every codec",
    "webhooks": "requests to the webhook server",
    "sidecars": "sidecars of recordings",
    "config": "strep.toml",
}
CORPUS = Path(__file__).parent / "corpus"


class Target(Protocol):
    """Is a module that can be searched."""

    def run(self, data: bytes) -> None:
        """Do what an input says; raises when a promise is broken."""

    def seeds(self) -> list[bytes]:
        """Give inputs to begin with."""


def load(name: str) -> Target:
    """Import a target."""
    return cast(Target, importlib.import_module(f"tests.fuzz.{name}"))


def inputs_of(name: str) -> list[bytes]:
    """Give a target's corpus and seeds."""
    corpus = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    return [*corpus, *load(name).seeds()]
