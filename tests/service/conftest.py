import ssl

import pytest


@pytest.fixture(autouse=True)
def no_authorities(monkeypatch):
    """Read no certificates for each client: all is plain HTTP on loopback, and reading them takes the longest."""
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda context, *args, **kwargs: None)
