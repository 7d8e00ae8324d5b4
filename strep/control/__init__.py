"""Drive the call platform: build requests, read answers, send them."""
