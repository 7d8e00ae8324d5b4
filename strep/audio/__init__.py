"""Turn payloads into samples. Knows no streams, no sockets, no clock."""
