"""Say where in a stream a packet belongs: its timestamp, held against the time it arrived.

The anchor of a stream is the wall time of its sample 0 by its least delayed packet; a packet's delay is how much later
it came than its timestamp says from there. The rules:

1. A timestamp that goes on from the packet before, or from the packets lost since, is believed, unless the delay is
   beyond STALL_NS: then the sender's clock stood still for as long (some do on hold), and arrival decides.
2. A timestamp that jumps is believed when its delay is within JUMP_NS of the least delayed: a pause (DTX, hold).
   Otherwise it is a new offset, and arrival decides; so it does for one that does not go beyond the packet before,
   although the sequence number does: its audio would fall on what was said already.
3. Delay is judged by the least delayed packet of those that came within one playout delay, so that a network that
   stalled and then delivers everything at once is not mistaken for a sender that stood still. When more came at once
   than a source's ring holds, nobody can tell how long the network stalled: the timestamp that goes on is believed.
4. No timestamp opens a gap that ends more than AHEAD_NS beyond the time since the stream began (and AHEAD_PPM of it,
   for a sender's clock that runs fast), or beyond what was received (and GAP_SHARE of it, for one that sends faster
   than time goes by, as a capture is sent again): whoever jumps ahead in sequence number and timestamp alike would else
   make hours out of a few packets, as each jump moves the anchor that the next one is judged by.
5. Where arrival decides, a place within SNAP_NS of where the packets before it end, the lost ones included, is there.
"""

from __future__ import annotations

from strep.compiler import rule

STALL_NS = 1_000_000_000
#: A better anchor is worth telling when it moves by this much: a tenth of what two directions may be apart.
TELL_ANCHOR_NS = 500_000
JUMP_NS = 250_000_000
#: Ordinary jitter: what two packets of one stream may differ in delay without meaning a pause.
SNAP_NS = 30_000_000
#: A network that delivers late what was made before the first packet came: 5 s is more than any that is still a call.
AHEAD_NS = 5_000_000_000
AHEAD_PPM = 1000
#: An eighth: more loss than in any call that can be understood.
GAP_SHARE = 8
NS = 1_000_000_000


@rule
def duration_ns(samples: int, sample_rate_hz: int) -> int:
    """Give how long samples last. In two steps: within days, samples times nanoseconds would leave 64 bits."""
    return samples // sample_rate_hz * NS + samples % sample_rate_hz * NS // sample_rate_hz


@rule
def samples_within(time_ns: int, sample_rate_hz: int) -> int:
    """Give how many samples a time takes, rounded down."""
    return time_ns // NS * sample_rate_hz + time_ns % NS * sample_rate_hz // NS


@rule
def is_believed(delay_ns: int, has_jumped: bool) -> bool:
    """Tell whether a timestamp is believed, from the least delay seen with it (rules 1 and 2)."""
    if has_jumped:
        return -JUMP_NS <= delay_ns <= JUMP_NS
    return delay_ns <= STALL_NS


@rule
def latest_position(since_start_ns: int, received: int, sample_rate_hz: int) -> int:
    """Give the sample position that no gap may end beyond (rule 4). received: samples of the stream so far."""
    elapsed_ns = since_start_ns + since_start_ns // 1_000_000 * AHEAD_PPM
    elapsed = samples_within(elapsed_ns, sample_rate_hz)
    return max(elapsed, received + received // GAP_SHARE) + samples_within(AHEAD_NS, sample_rate_hz)


@rule
def position_by_arrival(since_anchor_ns: int, end_position: int, sample_rate_hz: int) -> int:
    """Give the sample position that an arrival time means (rule 5); never negative."""
    position = max(0, (samples_within(since_anchor_ns, 2 * sample_rate_hz) + 1) // 2)  # to the nearest
    if abs(position - end_position) <= samples_within(SNAP_NS, sample_rate_hz):
        return end_position
    return position


def skew_ppm(first_anchor_ns: int, first_at_ns: int, last_anchor_ns: int, last_at_ns: int) -> float:
    """Give how much faster the sender's clock runs than ours, from the least delayed packets of two intervals."""
    elapsed_ns = last_at_ns - first_at_ns
    return -(last_anchor_ns - first_anchor_ns) / elapsed_ns * 1e6 if elapsed_ns > 0 else 0.0
