"""Fork, receive and record calls by themselves: `Service` is the service, the other modules are its parts.

async with Service(load_config("strep.toml"), on_event=print) as service:
    await service.wait()
"""

from strep.service.calls import Phase
from strep.service.config import ServiceConfig, load_config, read_config
from strep.service.events import CallView, ServiceEvent
from strep.service.facts import CallFacts
from strep.service.service import Service

__all__ = ["CallFacts", "CallView", "Phase", "Service", "ServiceConfig", "ServiceEvent", "load_config", "read_config"]
