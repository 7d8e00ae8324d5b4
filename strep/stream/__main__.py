"""Compile the packet path, and keep it: `python -m strep.stream`. strep does so by itself when nothing is kept."""

from __future__ import annotations

from strep.compiler import kept_in
from strep.compiler.background import wait_for_turn
from strep.stream.rules import compiled_rules

wait_for_turn(kept_in())
compiled_rules()
