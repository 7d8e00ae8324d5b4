"""Run plugins (strep.plugins) on live streams and on files: `Analysis` is the sink that does it."""

from strep.analysis.analysis import Analysis, Consumer, Notice
from strep.analysis.found import Found
from strep.analysis.jsonl import JsonLines
from strep.analysis.options import PluginCounts, PluginRun, Way

__all__ = ["Analysis", "Consumer", "Found", "JsonLines", "Notice", "PluginCounts", "PluginRun", "Way"]
