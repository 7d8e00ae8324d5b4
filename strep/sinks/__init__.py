"""Keep what the engine puts out: recordings and their sidecars."""
