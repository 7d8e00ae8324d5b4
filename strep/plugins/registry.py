"""Find plugins: by name, by import path, or as what the caller has in hand.

A name is that of a built-in one, or of an entry point in the group `strep.plugins`, which any installed package may
have, but not with the name of a built-in one. An import path is "module:Class".
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from strep.errors import ConfigError
from strep.plugins.base import Plugin, PluginConfig
from strep.plugins.each import EachStream, StreamPlugin

GROUP = "strep.plugins"
#: They are loaded when they are asked for: some need packages that not everyone has.
BUILT_IN = {
    "dtmf": "strep.plugins.dtmf:DtmfPlugin",
    "echo": "strep.plugins.echo:EchoPlugin",
    "level": "strep.plugins.level:LevelPlugin",
    "progress": "strep.plugins.progress:ProgressPlugin",
    "quality": "strep.plugins.quality:QualityPlugin",
    "silero": "strep.plugins.silero:SileroPlugin",
    "voice": "strep.plugins.voice:VoicePlugin",
}
_METHODS = ("start", "open", "process", "event", "close", "finish")
PluginSource = str | type | Plugin | StreamPlugin
Settings = Mapping[str, Any] | PluginConfig | None


def load_plugin(source: PluginSource, config: Settings = None) -> Plugin:
    """Make a plugin of a name, an import path, a class, or take an object as it is.

    config: of the class's CONFIG, or a mapping that is checked by it. Raises ConfigError saying what is wrong with
    either of them.
    """
    found = _find(source) if isinstance(source, str) else source
    if not isinstance(found, type):
        if config is not None:
            raise ConfigError(f"a plugin that is an object has its configuration already, got another: {config!r}")
        return _checked(EachStream(type(found), found.config) if isinstance(found, StreamPlugin) else found)
    kind: Any = found
    settings = _configure(kind, config)
    try:
        plugin = EachStream(kind, settings) if issubclass(found, StreamPlugin) else kind(settings)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"plugin {kind.__qualname__} cannot be made: {error!r}") from error
    return _checked(plugin)


def plugin_names() -> list[str]:
    """List the names that `load_plugin` knows."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def _find(name: str) -> type:
    path = name if ":" in name else BUILT_IN.get(name) or _path_of_entry_point(name)
    try:
        found = EntryPoint("", path, GROUP).load()
    except Exception as error:  # also what the module's own code raises
        raise ConfigError(f"plugin {path} cannot be imported: {error}") from error
    if not isinstance(found, type):
        raise ConfigError(f"expected {path} to be a class, found {type(found).__name__}")
    return found


def _path_of_entry_point(name: str) -> str:
    paths = sorted({point.value for point in entry_points(group=GROUP) if point.name == name})
    if not paths:
        raise ConfigError(f"expected a plugin, {', '.join(plugin_names())} or module:Class, got {name!r}")
    if len(paths) > 1:
        raise ConfigError(f"more than one package has a plugin {name!r}: ask for one of {', '.join(paths)}")
    return paths[0]


def _configure(kind: type, config: Settings) -> PluginConfig:
    model: type[PluginConfig] = getattr(kind, "CONFIG", PluginConfig)
    if isinstance(config, model):
        return config
    if isinstance(config, PluginConfig):
        raise ConfigError(f"plugin {kind.__name__} needs a {model.__name__}, got a {type(config).__name__}")
    try:
        return model(**(config or {}))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise ConfigError(f"configuration of plugin {getattr(kind, 'NAME', kind.__name__)}: {wrong}") from error


def _checked(plugin: Plugin) -> Plugin:
    missing = [name for name in _METHODS if not callable(getattr(plugin, name, None))]
    if missing or not hasattr(plugin, "NAME") or not hasattr(plugin, "wants"):
        lacking = ", ".join([*missing, *(name for name in ("NAME", "wants") if not hasattr(plugin, name))])
        raise ConfigError(f"{type(plugin).__name__} is no plugin (strep.plugins.base): it lacks {lacking}")
    wants = plugin.wants
    if wants.sample_rate_hz <= 0 or wants.hop_samples <= 0:
        raise ConfigError(f"plugin {plugin.NAME} wants {wants}, expected a positive rate and hop")
    return plugin
