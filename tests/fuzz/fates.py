"""Hold what the engine makes of each datagram against the naive model of tests/naive_fates.py."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from strep.stream.engine import Engine
from strep.wire.batch import DatagramBatch
from strep.wire.fate import Fate
from tests.fuzz.engine import seeds as seeds
from tests.fuzz.scenario import ENDPOINTS, Datagram, Scenario, call_of, read_scenario
from tests.naive_fates import NaiveFates, Unspecified


def run(data: bytes) -> None:
    """Play a scenario to both."""
    scenario = read_scenario(data)
    with contextlib.suppress(Unspecified):
        compare(scenario._replace(config=replace(scenario.config, senders_may_move=False)))


def compare(scenario: Scenario) -> None:
    """Play a scenario to both, and compare the counts after each step. Raises Unspecified where the model ends."""
    engine, model = Engine(scenario.config), NaiveFates(scenario.config, ENDPOINTS)
    for step in scenario.steps:
        if isinstance(step, Datagram):
            # One by one: within a batch, who is new is looked at before what the others sent is accounted for.
            engine.feed(DatagramBatch.from_datagrams([step.data], [step.arrival_ns], [step.sender], ENDPOINTS))
            model.datagram(*step)
        elif step.name == "advance":
            engine.advance(step.argument)
            model.pass_time(step.argument)
        elif step.name == "end_call":
            engine.end_call(call_of(step.argument))
            model.end_call(call_of(step.argument))
        elif step.name in ("leave_out", "take_back"):
            getattr(engine, step.name)(step.argument)
            getattr(model, step.name)(step.argument)
        elif step.name == "ask_again":
            engine.ask_again()
            model.ask_again()
        told = {fate.label: model.counts[fate] for fate in Fate}
        assert engine.counts() == told, _difference(engine.counts(), told)
        assert engine.open_calls == len(model.legs), f"{engine.open_calls} calls open, not {len(model.legs)}"


def _difference(engine: dict[str, int], model: dict[str, int]) -> str:
    return ", ".join(f"{name}: {engine[name]}, not {model[name]}" for name in engine if engine[name] != model[name])
