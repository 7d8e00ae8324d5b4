"""Hold the only sockets and capture files of the data path."""
