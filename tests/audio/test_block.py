"""Blocks can be taken apart and joined."""

from dataclasses import replace

import numpy as np

from strep.audio.block import AudioBlock, SampleState


def made() -> AudioBlock:
    states = np.array([SampleState.RECEIVED, SampleState.LOST, SampleState.SILENCE], np.uint8)
    columns = np.array([4, 2, 7]), np.array([0, 320, 160]), np.arange(480, dtype=np.int16).reshape(3, 160), states
    return AudioBlock(16_000, *columns, np.array([10, 0, 30]))


def same(one: AudioBlock, other: AudioBlock) -> bool:
    columns = ("slots", "position", "samples", "state", "arrival_ns")
    return one.sample_rate_hz == other.sample_rate_hz and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in columns
    )


def test_rows_can_be_selected_and_blocks_joined() -> None:
    block = made()
    parts = [block.select(np.array([0])), block.select(np.array([1, 2]))]
    assert [len(part) for part in parts] == [1, 2]
    assert [frame.slot for frame in parts[1].frames()] == [2, 7]
    assert same(AudioBlock.joined(parts), block)
    assert same(AudioBlock.joined(parts[:1]), parts[0])
    assert len(block.select(np.zeros(0, np.int64))) == 0


def test_silence_takes_no_memory_however_it_is_selected() -> None:
    silence = replace(made(), samples=np.broadcast_to(np.int16(0), (3, 160)))
    chosen = silence.select(np.array([2, 0]))
    assert chosen.slots.tolist() == [7, 4]
    assert chosen.samples.shape == (2, 160)
    assert chosen.samples.strides == (0, 0)
