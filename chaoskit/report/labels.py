"""What is broken: the order that the broker promises, one that nothing fixed, or none; and what fails alike."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.brokers.inside import names_of
from chaoskit.brokers.together import Together
from chaoskit.brokers.wording import CUT_ALONE
from chaoskit.values.event import Event
from chaoskit.values.faults import FaultKind, Lose, Overlap
from chaoskit.values.scenario import Broker, Scenario
from chaoskit.values.schedule import Schedule
from chaoskit.values.texts import printed
from chaoskit.values.verdict import Verdict


def kinds_of(verdict: Verdict) -> list[FaultKind]:
    assert verdict.scenario is not None
    return list(dict.fromkeys(type(fault) for fault in verdict.scenario.faults))


def name_of(broker: Broker) -> str:
    """What can do it."""
    if isinstance(broker, Together):
        return f"{names_of([type(each).__name__ for each in broker.brokers])} together"
    return type(broker).__name__


def ruled_out_by(scenario: Scenario, kind: FaultKind) -> str:
    """Which setting or habit rules out the faults of this kind; of several streams, on those that have them."""
    if isinstance(scenario.broker, Together):
        return scenario.broker.what_rules_out(kind, scenario.faults, scenario.events)
    return scenario.broker.ruled_out_by(kind)


def also_text(verdict: Verdict) -> str:
    """Other kinds of fault that do the same on this stream: what rules out the one that is shown may not help there."""
    return f"It fails alike under: {', '.join(verdict.also)}." if verdict.also else ""


def label_text(verdict: Verdict) -> str:
    """Nothing where no order is asked about, such as for a run that does not end."""
    assert verdict.scenario is not None
    if verdict.label is None:
        return ""
    if verdict.loss == "violation" and {type(fault) for fault in verdict.scenario.faults} == {Lose}:
        return "No order is what breaks it: what was lost is missing."
    if verdict.is_cut_alone:
        return CUT_ALONE
    broker, no_order = type(verdict.scenario.broker).__name__, verdict.scenario.broker.promises_no_order
    if verdict.label == "across keys":
        if isinstance(verdict.scenario.broker, Together) and verdict.schedule is not None:
            return verdict.scenario.broker.across(verdict.schedule, verdict.scenario.events)
        return (
            f"Across keys: some order that {broker} may choose without any fault gives this result, too. These "
            "events lie in different partitions, and nothing fixed their order. If either result is right, "
            'chaos(across_keys="any") accepts it.'
        )
    if verdict.label == "within":
        return _within(verdict, no_order)
    return "Whether an order without any fault gives this result, too, was not decided: there are too many orders."


def _within(verdict: Verdict, no_order: str) -> str:
    """It breaks what the broker promises, or the order within a key where it promises none."""
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    if kinds_of(verdict) == [Overlap]:
        return "Within a key: it takes two executions at once; no order without a fault gives this result."
    if no_order and _is_out_of_order(verdict.schedule, verdict.scenario.events):
        return f"Within a key: {no_order}"
    return "Within a key or partition: it takes the faults above; no order without a fault gives this result."


def _is_out_of_order(schedule: Schedule, events: Sequence[Event]) -> bool:
    """Whether some key's events came for the first time in another order than that of the stream."""
    place = {event.id: number for number, event in enumerate(events)}
    furthest: dict[str, int] = {}
    for id_ in dict.fromkeys(schedule.delivered):
        key = printed(events[place[id_]].key)
        if place[id_] < furthest.get(key, 0):
            return True
        furthest[key] = place[id_]
    return False
