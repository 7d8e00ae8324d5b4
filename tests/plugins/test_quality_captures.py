"""Packets, loss and jitter of captured calls are what the engine itself counts (RFC 3550 A.3 and A.8)."""

from pathlib import Path

import pytest

from strep.audio.formats import AudioFormat
from strep.live.offline import read_capture
from strep.plugins.packets import WINDOW_RUNS
from strep.plugins.quality import Quality, QualityConfig, QualityPlugin

OPUS = {124: AudioFormat("OPUS", 48000, 48000, 2)}
#: Captures with packets of 20 and 30 ms; and how many packets at most are no audio but telephone events, and so not
#: counted, or counted doubly, where packets become longer (20 to 40 ms).
CALLS = [
    ("debian-sip-tester/g711a.pcap", {}, 0, 0),
    ("freeswitch/milliwatt.pcmu.rtp.pcap", {}, 0, 0),
    ("mediastreamer2/audio-80-75-0c60.pcapng", {}, 0, 3 * WINDOW_RUNS),
    ("mediastreamer2/rtp-534late-24loss-7000total.pcapng", OPUS, 0, 0),
    ("restcomm-mediaserver/gigaset-n510-ip-pro-rfc2833.pcap", {}, 70, 0),
    ("sippy-rtpproxy/extractaudio__call1_alaw.a.rtp.converted.pcap", {}, 0, 0),
    ("wireshark-samples/SIP_DTMF2.cap", {}, 35, 0),
    ("wireshark-samples/sip-rtp-g726.pcap", {}, 0, 0),
    ("wireshark-samples/sip-rtp-ilbc.pcap", {}, 0, 0),
    ("wireshark-samples/sip-rtp-opus.pcap", {}, 0, 0),
]


def rated(path, payload_types):
    """Give what is told of each stream of a capture, and the engine's report of it."""
    told: dict[object, list[Quality]] = {}

    def keep(notice):
        finding = getattr(notice.what, "finding", None)
        if isinstance(finding, Quality):
            told.setdefault(notice.identity, []).append(finding)

    plugin = QualityPlugin(QualityConfig(interval_s=3600))
    result = read_capture(path, plugins=[plugin], consumers=[keep], payload_types=payload_types)
    return [(told[report.identity], report) for report in result.streams]


@pytest.mark.parametrize(("name", "payload_types", "events", "doubled"), CALLS, ids=lambda value: Path(str(value)).stem)
@pytest.mark.thorough
def test_a_captured_call_has_the_packets_and_the_jitter_that_the_engine_counts(
    name, payload_types, events, doubled, captures
):
    for told, report in rated(captures / name, payload_types):
        ((quality,), (source,)) = told, report.sources
        assert source.expected - events <= quality.packets <= source.expected + doubled
        lost = source.lost + source.late
        assert round(quality.loss_percent * quality.packets / 100) == pytest.approx(lost, abs=doubled / 10)
        assert source.mean_jitter_ms / 2 <= quality.jitter_ms <= min(3 * source.mean_jitter_ms, source.max_jitter_ms)


@pytest.mark.thorough
def test_the_jitter_of_a_stream_whose_clock_nobody_knows_is_a_jitter(captures):
    path = captures / "mediastreamer2/rtp-534late-24loss-7000total.pcapng"
    (((quality,), _),) = rated(path, {})
    assert 0 < quality.jitter_ms < 1000
