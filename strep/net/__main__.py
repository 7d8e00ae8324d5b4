"""Compile the walk through a packet ring, and keep it: `python -m strep.net`. strep does so when nothing is kept."""

from __future__ import annotations

from strep.compiler import kept_in
from strep.compiler.background import wait_for_turn
from strep.net.ring_rules import compiled_rules

wait_for_turn(kept_in(), "compiling-ring")
compiled_rules()
