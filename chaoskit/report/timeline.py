"""The delivery as rows and lanes, one row for each step, deviations marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import attrs

from chaoskit.brokers.sentences import Place, brought_back, place_of
from chaoskit.report.values import cut
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import Fault, Rehash, Resend
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Schedule, Step
from chaoskit.values.texts import printed

MOST_ROWS = 60
MOST_OF_EXPRESSION = 32
"""Letters of an expression of the handler's, so that values keep their room."""
FOLDED = 3
"""So many repetitions of what the handler refused share one row."""


@attrs.frozen
class Row:
    """A step: its `number`, counted from 1, what stands in its `lane`, and what is written beside it.

    `lane` is None for a step that stands in all of them. `sentence` is the number of the one that explains it, and
    `origin` the number of an earlier step from which the same event comes again. A row without a `step` stands for
    repetitions up to the step `last`.
    """

    number: int
    last: int
    step: Step | None = None
    lane: int | None = None
    cell: str = ""
    mark: str = ""
    sentence: int | None = None
    origin: int | None = None
    event: Event | None = None

    @property
    def boxed(self) -> bool:
        """Whether it is about a message in a lane, and not about a consumer."""
        return self.lane is not None and self.step is not None and self.step.action not in ("restart", "take over")


@attrs.frozen
class Grid:
    """The rows of a delivery and the names of its lanes. `workers`: which consumer it is has to be shown for each step.
    `left_out`: steps that would be too many."""

    lanes: tuple[str, ...]
    rows: tuple[Row, ...]
    workers: bool
    left_out: int


def grid(scenario: Scenario, schedule: Schedule, changed: Sequence[bool | None] = ()) -> Grid:
    """Time runs down. Its sentences are numbered as `explain` has them. `changed`: whether each step
    has changed the state, where that is known."""
    made, repeats = _Rows(scenario, schedule, changed), _repeats(schedule.steps)
    rows: list[Row] = []
    shown = 0
    for number, step in enumerate(schedule.steps, start=1):
        if number in repeats:
            last, times = repeats[number]
            rows.append(Row(number, last, mark=f"the same, {times} times more"))
        if any(first <= number <= last for first, (last, _) in repeats.items()):
            continue
        shown = number
        # Nobody reads more, and a picture of thousands of steps opens in no browser.
        if len(rows) >= MOST_ROWS:
            break
        rows.append(made.row(number, step))
    left_out = len(schedule.steps) - shown + 1 if len(rows) >= MOST_ROWS else 0
    return Grid(tuple(made.lanes), tuple(_bracketed(rows)), made.workers, max(0, left_out))


def _bracketed(rows: Sequence[Row]) -> Iterator[Row]:
    """What came in one call stands in brackets, and the step before it in no row of its own."""
    left, first, sentence = 0, False, None
    for row in rows:
        if row.step is not None and row.step.action == "batch":
            left, first, sentence = row.step.size or 0, True, row.sentence
            continue
        if left:
            left -= 1
            cell = ("[" if first else "") + row.cell + ("" if left else "]")
            row = attrs.evolve(row, cell=cell, sentence=row.sentence or (sentence if first else None))
            first = False
        yield row


class _Rows:
    """Makes the rows of a delivery one after the other: what a row says depends on the steps before it."""

    def __init__(self, scenario: Scenario, schedule: Schedule, changed: Sequence[bool | None]) -> None:
        self._broker = scenario.broker
        self._events = {event.id: event for event in scenario.events}
        self._sentences = _sentences(scenario, schedule)
        self._changed = changed
        places = [self._place(step) for step in schedule]
        consumers = {step.consumer for step in schedule}
        self.lanes = _in_order({lane for lane in places if lane is not None})
        by_consumer = bool(self.lanes) and None not in places and len(self.lanes) == len(consumers)
        self.workers = len(consumers) > 1 and not by_consumer
        self._numbered = any(lane.startswith(("partition", "shard")) for lane in self.lanes)
        self._owners: dict[Fault | None, int] = {}
        self._seen: set[tuple[int | None, int | None]] = set()
        self._latest: dict[EventId | None, int] = {}

    def _event(self, step: Step) -> Event | None:
        return None if step.event is None else self._events.get(step.event)

    def _place(self, step: Step) -> str | None:
        event = self._event(step)
        return self._broker.lane(step, None if event is None else event.key)

    def row(self, number: int, step: Step) -> Row:
        if step.action == "take over" and step.fault is not None:
            self._owners[step.fault] = step.consumer
        place = self._place(step)
        row = Row(
            number,
            number,
            step,
            lane=None if place is None else self.lanes.index(place),
            cell=_cell(step, self._numbered),
            mark=self._mark(number, step),
            sentence=self._sentences.get(number),
            origin=self._latest.get(step.event) if step.event is not None and _comes(step) else None,
            event=self._event(step) if step.action in ("deliver", "die", "begin") else None,
        )
        if step.action != "batch":
            self._seen.add((step.partition, step.offset))
        if step.action in _LEAVES_A_TRACE:
            self._latest[step.event] = number
        return row

    def _mark(self, number: int, step: Step) -> str:
        ran_on = step.fault in self._owners and step.consumer != self._owners[step.fault]
        mark = _mark(self._broker.mark(step), step, (step.partition, step.offset) in self._seen, ran_on)
        # A state that no step changes shows nothing of an attempt either.
        if not step.raised or number > len(self._changed) or not any(self._changed):
            return mark
        return ", ".join(part for part in (mark, _CHANGED[self._changed[number - 1]]) if part)


_CHANGED = {True: "changed the state", False: "state unchanged", None: ""}
"""What an attempt has done that the handler gave up by raising."""


def _sentences(scenario: Scenario, schedule: Schedule) -> dict[int, int]:
    """By the number of a step that of the sentence that explains it: about its fault, or about what the handler refused
    there, or refused before, so that this comes again."""
    faults: dict[Fault, int] = {}
    refused: dict[Place, int] = {}
    for number, (cause, _) in enumerate(scenario.broker.explain(schedule, scenario.events), start=1):
        if isinstance(cause, Step):
            refused[place_of(cause)] = number
        elif cause is not None:
            faults[cause] = number
    brought = brought_back(schedule.steps)
    found: dict[int, int | None] = {}
    for index, step in enumerate(schedule.steps):
        if step.fault is not None:
            found[index + 1] = faults.get(step.fault)
        elif step.raised:
            found[index + 1] = refused.get(place_of(step))
        elif index in brought:
            behind = schedule.steps[brought[index]]
            found[index + 1] = refused.get(place_of(behind)) if behind.fault is None else faults.get(behind.fault)
    return {number: sentence for number, sentence in found.items() if sentence is not None}


_LEAVES_A_TRACE = ("deliver", "die", "begin", "go on", "fail", "park", "put back", "skip", "refuse")
"""Steps from which a message can come again."""


def _comes(step: Step) -> bool:
    return step.action in ("deliver", "put back")


def _repeats(steps: Sequence[Step]) -> dict[int, tuple[int, int]]:
    """Where a refusal, or one and what follows it, comes again and again: from the number of the second time on to the
    last number, and how often."""
    alike = [
        (s.action, s.consumer, s.partition, s.offset, s.raised) if s.fault is None else (s.action, s.raised, s.fault)
        for s in steps
    ]
    found: dict[int, tuple[int, int]] = {}
    at = 0
    while at < len(steps):
        # Two where each attempt is followed by what the broker does with it, such as a restart.
        for length in (1, 2):
            block, times = alike[at : at + length], 0
            while alike[(after := at + (times + 1) * length) : after + length] == block:
                times += 1
            # Only refusals: other repetitions are what the schedule is about.
            if times >= FOLDED and any(step.raised for step in steps[at : at + length]):
                found[at + length + 1] = at + (times + 1) * length, times
                at += (times + 1) * length
                break
        else:
            at += 1
    return found


def _in_order(lanes: set[str]) -> list[str]:
    """By name, and by number where the names end with one."""
    return sorted(lanes, key=lambda lane: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", lane)])


_ENDS = {"deliver": "", "die": " killed", "begin": " pauses", "go on": " goes on"}
"""How what is run ends, in a cell."""


def _cell(step: Step, numbered: bool) -> str:
    if step.event is None:
        return "·"
    name = f"{step.offset}: " if numbered else ""
    if step.action in _ENDS:
        return f"{name}{step.event}{' raised' if step.raised else _ENDS[step.action]}"
    if step.action == "put back":
        return f"{name}({step.event})"
    return "·" if step.action == "take over" else f"{name}[{step.event}]"


def _mark(what: str, step: Step, again: bool, ran_on: bool) -> str:
    """What stands beside a step. `again`: it was shown before; `ran_on`: by a consumer that was taken for dead."""
    if ran_on:
        what = "runs on"
    elif step.action == "die" and not step.raised:
        what = f"killed before {_short(step.died.before)}" if step.died is not None and step.died.before else what
    elif step.failed is not None:
        what = f"{_short(step.failed.expression)} fails"
    elif step.action == "begin" and not step.raised:
        before = step.stopped.before if step.stopped is not None else ""
        what = f"pauses before {_short(before)}" if before else what
    elif step.action == "deliver":
        what = f"again, attempt {step.attempt}" if (step.attempt or 1) > 1 else "again" if again else ""
    if step.fault is None or what:
        return what
    if isinstance(step.fault, Rehash) and step.event == step.fault.at:
        return "rehashed"
    return "sent again" if isinstance(step.fault, Resend) else "late"


def _short(expression: str) -> str:
    """Beside a step; the whole stands in its line of source."""
    return cut(" ".join(expression.split()), MOST_OF_EXPRESSION)


def value_of(event: Event) -> str:
    """Key and value in one line."""
    value = " ".join(printed(event.value).split("\n")).strip()  # a message of protobuf has a line for each field
    return f"{printed(event.key)} {value}" if event.key is not None else value
