"""Turn bytes into values and back. No state over time, no clock, no socket."""
