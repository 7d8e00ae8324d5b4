"""Read and write capture files (pcap, pcapng) of UDP traffic."""

from strep.net.capture.packets import CaptureCounts, LinkType, PacketFate
from strep.net.capture.reader import CaptureReader, open_capture
from strep.net.capture.signalling import conversation_formats, sdp_formats
from strep.net.capture.writer import PcapWriter

__all__ = [
    "CaptureCounts",
    "CaptureReader",
    "LinkType",
    "PacketFate",
    "PcapWriter",
    "conversation_formats",
    "open_capture",
    "sdp_formats",
]
