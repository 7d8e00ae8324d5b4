"""Be a call platform on this machine: the API, the callers, the forks."""
