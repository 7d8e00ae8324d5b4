"""Plugins are found by name, by path, or taken as they are; what is wrong is said."""

from importlib.metadata import EntryPoint

import pytest

from strep.errors import ConfigError
from strep.plugins import registry
from strep.plugins.base import BlockPlugin, PluginConfig, Wants
from strep.plugins.each import EachStream, StreamPlugin
from strep.plugins.quality import QualityConfig, QualityPlugin
from strep.plugins.registry import load_plugin, plugin_names


class OneConfig(PluginConfig):
    level: int = 1


class OfOneStream(StreamPlugin):
    NAME = "one"
    CONFIG = OneConfig


class Around:
    class Inner(BlockPlugin):
        NAME = "inner"


class NoPlugin:
    NAME = "no"


class BadWants(BlockPlugin):
    NAME = "bad"
    wants = Wants(8000, 0)


class Unmade(BlockPlugin):
    def __init__(self, config):
        raise OSError("no model")


def test_a_built_in_plugin_is_found_by_its_name():
    assert isinstance(load_plugin("quality"), QualityPlugin)
    assert load_plugin("quality", {"interval_s": 5}).config == QualityConfig(interval_s=5)
    assert "dtmf" in plugin_names()


def test_an_entry_point_is_found_by_its_name(monkeypatch):
    point = EntryPoint("mine", f"{__name__}:OfOneStream", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    assert isinstance(load_plugin("mine"), EachStream)
    assert "mine" in plugin_names()


def test_an_entry_point_is_whatever_packaging_allows_and_none_is_taken_for_another(monkeypatch):
    values = [f"{__name__}:Around.Inner", f"{__name__}:Around.Inner [extra]", f"{__name__}:OfOneStream"]
    points = [EntryPoint(name, value, registry.GROUP) for name, value in zip(("a", "b", "b"), values, strict=True)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert load_plugin("a").NAME == "inner"
    with pytest.raises(ConfigError, match=r"more than one package has a plugin 'b': .*Around.Inner \[extra\], .*One"):
        load_plugin("b")


def test_an_object_for_one_stream_keeps_its_configuration():
    made = load_plugin(OfOneStream(OneConfig(level=3)))
    assert isinstance(made, EachStream)
    assert (made.NAME, made.config.level) == ("one", 3)


def test_an_import_path_a_class_and_an_object_are_taken():
    assert load_plugin(f"{__name__}:OfOneStream").NAME == "one"
    assert isinstance(load_plugin(OfOneStream), EachStream)
    made = QualityPlugin()
    assert load_plugin(made) is made


@pytest.mark.parametrize(
    ("source", "config", "says"),
    [
        ("nothing-of-that-name", None, "expected a plugin, .*quality.* got 'nothing-of-that-name'"),
        ("no.such.module:Class", None, "cannot be imported: No module named"),
        ("strep.plugins.quality:Missing", None, "cannot be imported.*Missing"),
        ("strep.plugins.quality:Quality.x", None, "cannot be imported"),
        ("no module at all:X", None, "cannot be imported"),
        ("strep.plugins.registry:GROUP", None, "to be a class, found str"),
        ("quality", {"interval_s": 0}, "plugin quality: interval_s: .*greater than"),
        ("quality", {"interval": 5}, "plugin quality: interval: Extra"),
        ("quality", PluginConfig(), "needs a QualityConfig, got a PluginConfig"),
        (QualityPlugin(), {"interval_s": 5}, "has its configuration already"),
        (NoPlugin, None, "cannot be made"),
        (object(), None, "object is no plugin.*lacks start, open, .*NAME, wants"),
        (BadWants, None, "expected a positive rate and hop"),
        (Unmade, None, "Unmade cannot be made: OSError"),
    ],
)
def test_what_is_wrong_is_said(source, config, says):
    with pytest.raises(ConfigError, match=says):
        load_plugin(source, config)
