"""Where an execution stopped inside the handler, and what it and the others did then: two columns of lines."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.brokers.base import Settings, ways_without_overlap
from chaoskit.brokers.overlaps import Ways
from chaoskit.brokers.together import Together
from chaoskit.report.columns import fitted, narrow, underlined
from chaoskit.report.deaths import MOST_HAPPENED, at
from chaoskit.values.faults import Overlap
from chaoskit.values.scenario import Broker, Scenario
from chaoskit.values.schedule import Schedule, Step, StoppedAt
from chaoskit.values.texts import in_line

STOPPED = "Two executions at once"
MOST_LINES = 24
"""Lines beside each other that are shown: the first ones after the stop."""
WIDEST = (44, 60)
"""Columns of what the one execution did, and of what the others did."""


def short_ways(scenario: Scenario, ruled_out_by: str) -> list[str]:
    """What rules the overlaps of this scenario out, by a line for the handler and one for what a setting can do against
    what took place; of a broker that does not give it apart, all that it says."""
    found: dict[str, None] = {}
    for fault in scenario.faults:
        if isinstance(fault, Overlap):
            broker, topic = _broker_of(scenario, fault)
            if not isinstance(broker, Settings):
                return [ruled_out_by]
            found |= dict.fromkeys(_ways(ways_without_overlap(broker), fault, topic))
    return list(found) or [ruled_out_by]


def _ways(ways: Ways, fault: Overlap, topic: str) -> list[str]:
    # Where a key moves the message of another owner is one of the same key.
    by_setting = (ways.two_messages if fault.others else ways.one_message) or ways.one_message or ways.two_messages
    return [f"in the handler, {ways.handler}", f"{topic}{by_setting}"] if by_setting else [ways.handler]


def _broker_of(scenario: Scenario, fault: Overlap) -> tuple[Broker, str]:
    """That of its stream; and of several streams the name of this one."""
    broker = scenario.broker
    if not isinstance(broker, Together):
        return broker, ""
    topic = next(event.topic for event in scenario.events if event.id == fault.at)
    return broker.brokers[broker.topics.index(topic)], f"{topic}: "


def overlap_lines(schedule: Schedule) -> Iterator[str]:
    """Lines of a text with a fixed width."""
    last = None
    for step in schedule:
        if step.stopped is not None and step.stopped != last:  # once for a call with many messages
            yield from _lines(step, step.stopped)
        last = step.stopped


def _lines(step: Step, stopped: StoppedAt) -> Iterator[str]:
    yield f"{step.event}: this execution paused before this{at(stopped)}:"
    yield from (f"    {line}" for line in underlined(stopped.source, stopped.before, stopped.column))
    happened = stopped.happened[-MOST_HAPPENED:]
    left = [f"… ({len(stopped.happened) - len(happened)} more)"] if len(happened) < len(stopped.happened) else []
    rows = [(f"{step.event}, this execution", "meanwhile"), *((text, "") for text in (*left, *happened))]
    beside = stopped.beside[:MOST_LINES]
    rows += [("", f"{event}: {text}") if event else (text, "") for event, text in beside]
    if len(beside) < len(stopped.beside):
        rows.append((f"… ({len(stopped.beside) - len(beside)} more)", ""))
    mine = fitted([text for text, _ in rows], WIDEST[0])
    for text, (_, other) in zip(mine, rows, strict=True):
        yield f"    {text}  | {narrow(in_line(other), WIDEST[1])}".rstrip()
