"""Events as plugins are given them."""

from strep.plugins.base import PlacedEvent
from strep.stream.events import Direction


def placed(event, position=None, direction=Direction.INBOUND):
    """Say where an event is for a plugin; unless told, where it is for the stream."""
    return PlacedEvent(event, direction, getattr(event, "position", 0) if position is None else position)
