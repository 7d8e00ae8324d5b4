"""A direction that follows the other closely is told of, and two people who talk are not."""

import numpy as np
import pytest

from strep.plugins.base import Hops
from strep.plugins.echo import Echo, EchoConfig, EchoPlugin, likeness
from strep.stream.events import Direction, Leg, StreamIdentity

HOP, HOPS = 160, 500
IDENTITY = StreamIdentity(None, Leg.A, Direction.INBOUND, "x")


def speech(seed):
    """Make noise that is loud and quiet as syllables are, with pauses: float64[HOPS * HOP]."""
    chance = np.random.default_rng(seed)
    level = np.repeat(10 ** chance.uniform(2.2, 3.7, HOPS // 5) * (np.repeat(chance.random(HOPS // 50), 10) > 0.4), 5)
    return chance.normal(size=HOPS * HOP) * np.repeat(level, HOP) + chance.normal(0, 10, HOPS * HOP)


def delayed(samples, delay_ms, loss_db):
    delay = 8 * delay_ms
    return np.concatenate([np.zeros(delay), samples[: len(samples) - delay]]) * 10 ** (-loss_db / 20)


def hear(pairs, plugin=None):
    """Give float64[n, 2, HOPS * HOP] to a plugin."""
    plugin = plugin or EchoPlugin()
    rows, found = np.arange(len(pairs)), []
    plugin.start(len(rows))
    for row in rows.tolist():
        plugin.open(row, IDENTITY)
    for hop in range(HOPS):
        position, samples = np.full(len(rows), hop * HOP), np.asarray(pairs)[:, :, hop * HOP : (hop + 1) * HOP]
        state = np.zeros((len(rows), 2), np.uint8)
        found += plugin.process(Hops(8000, rows, position, position, samples.astype(np.int16), state))
    return found


@pytest.mark.parametrize(("delay_ms", "loss_db"), [(0, 12), (60, 20), (130, 30), (270, 6)])
def test_an_echo_is_told_with_its_direction_delay_and_loss(delay_ms, loss_db):
    said = speech(1)
    inbound, outbound = hear([(delayed(said, delay_ms, loss_db), said), (said, delayed(said, delay_ms, loss_db))])
    for row, (found, direction) in enumerate([(inbound, Direction.INBOUND), (outbound, Direction.OUTBOUND)]):
        assert isinstance(found, Echo)
        assert (found.row, found.direction, found.position, found.length_samples) == (row, direction, 0, HOPS * HOP)
        assert found.delay_ms == pytest.approx(delay_ms, abs=20)
        assert found.loss_db == pytest.approx(loss_db, abs=2)


def test_two_who_talk_and_one_who_talks_alone_are_no_echo():
    silence = np.zeros(HOPS * HOP)
    assert hear([(speech(1), speech(2)), (speech(3), silence), (silence, silence)]) == []


def test_a_little_speech_proves_nothing():
    said = speech(1)
    said[40 * HOP :] = 0
    assert hear([(said, delayed(said, 60, 10))]) == []


def test_pairs_beside_each_other_make_no_difference():
    said = speech(4)
    pairs = [(said, speech(5)), (said, delayed(said, 40, 15)), (speech(6), said)]
    together = hear(pairs)
    assert [found.row for found in together] == [1]
    assert hear(pairs[1:2])[0].correlation == together[0].correlation


def test_likeness_is_the_best_of_the_correlations_delay_by_delay():
    chance = np.random.default_rng(1)
    source = chance.uniform(-60, -10, 300).astype(np.float32)
    heard = (np.roll(source, 7) - 12 + chance.normal(0, 6, 300)).astype(np.float32)
    expected = []
    for delay in range(16):
        pairs = [(source[n], heard[n + delay]) for n in range(285) if source[n] > -40]
        expected.append(np.corrcoef(np.array(pairs, np.float64).T)[0, 1])
    found = likeness(source, heard)
    assert found.delay_hops == int(np.argmax(expected)) == 7
    assert found.correlation == pytest.approx(max(expected))


def test_the_louder_one_is_not_the_echo():
    source = np.random.default_rng(1).uniform(-39, -20, 300).astype(np.float32)
    assert likeness(source, source + np.float32(5)) is None


def test_an_interval_begins_anew_when_a_row_is_opened():
    plugin = EchoPlugin(EchoConfig(interval_s=6))
    said = speech(1)
    pair = [(said, delayed(said, 60, 10))]
    assert [found.position for found in hear(pair, plugin)] == [0]
    assert [found.position for found in hear(pair, plugin)] == [0]
