"""A block is its frames, and its frames are the block."""

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


def test_the_frames_of_a_block_make_the_block() -> None:
    assert same(AudioBlock.of(list(made().frames())), made())


def test_rows_can_be_selected() -> None:
    frames = list(made().frames())
    assert same(made().select(np.array([2, 0])), AudioBlock.of([frames[2], frames[0]]))
    assert len(made().select(np.zeros(0, np.int64))) == 0
