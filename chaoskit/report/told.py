"""What there is to say of a verdict, as data: every report is written from this, and says the same."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from itertools import islice
from typing import Any

import attrs

from chaoskit.errors import StaleState
from chaoskit.event import EventId
from chaoskit.faults import Lose, Overtake
from chaoskit.invariant import DIED
from chaoskit.outcome import Outcome
from chaoskit.report.timeline import Grid, grid
from chaoskit.schedule import reached
from chaoskit.state import ABSENT, Difference, differences, only_rounding, same
from chaoskit.texts import printed
from chaoskit.verdict import Verdict

MOST_DIFFERENCES = 12
MOST_PLACES = 3
MOST_OF_CHANGE = 60
"""Letters of a value among the changes of a state."""
IN_ORDER = (
    "Every message came once and in order, and no setting rules that out: correct the handler or the invariant, or "
    "narrow the streams with events(valid=…)"
)
PART = (
    "The stream is a part of the one that was found ({} of {} events), which may be none by itself. A replay plays the "
    "whole one where the handler refuses the part in order."
)
ROUNDING = "Only rounding differs: the sum of floats depends on their order. Use integers or Decimal."


@attrs.frozen
class Beside:
    """What the state is after a step, and what it is in order after the event `in_order_after`, which is the furthest
    of the stream that was handled so far; None before the first. `missing` have not come yet, so that the two need not
    agree. A state is None where there is none. `places`: where the two differ at the `first_difference`."""

    observed: Any
    in_order: Any = None
    in_order_after: EventId | None = None
    missing: tuple[EventId, ...] = ()
    first_difference: bool = False
    places: tuple[Difference, ...] = ()


@attrs.frozen
class Told:
    """A violated verdict. `remarks`: what is to be said of the differences, and what is violated besides; `more`:
    differences that would be too many. `sentences` are the numbered ones, `label` says which order is broken, where it
    is about one, `remedies` are kinds of fault and what rules each out. `beside` has the states after each step, where
    there are any."""

    headline: str
    size: str
    differences: tuple[Difference, ...]
    more: int
    remarks: tuple[str, ...]
    tracebacks: tuple[str, ...]
    grid: Grid
    sentences: tuple[str, ...]
    label: str
    remedies: tuple[tuple[str, str], ...]
    beside: tuple[Beside, ...]


def told(verdict: Verdict) -> Told:
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    scenario = verdict.scenario
    found = differences_of(verdict)
    remarks = [ROUNDING] if found and all(map(only_rounding, found)) else []
    if verdict.found is not None and verdict.is_part:
        remarks.append(PART.format(len(scenario.events), len(verdict.found)))
    messages = list(dict.fromkeys(v.message for v in verdict.violations if not v.differences))
    kinds = dict.fromkeys(type(fault) for fault in scenario.faults)
    return Told(
        headline=headline(verdict),
        size=f"{count(len(scenario.events), 'event')}, {count(len(scenario.faults), 'fault')}, {_smallest(verdict)}",
        differences=tuple(found[:MOST_DIFFERENCES]),
        more=max(0, len(found) - MOST_DIFFERENCES),
        remarks=(*remarks, *messages[:MOST_DIFFERENCES]),
        tracebacks=tuple(_tracebacks(verdict.outcome)),
        grid=grid(scenario, verdict.schedule),
        sentences=tuple(sentence for _, sentence in scenario.broker.explain(verdict.schedule, scenario.events))
        if scenario.faults
        else (IN_ORDER,),
        label=f"{_label(verdict)} {_also(verdict)}".strip(),
        remedies=tuple(
            (kind.__name__, scenario.broker.ruled_out_by(kind))
            for kind in ([Overtake] if verdict.label == "across keys" else kinds)
        ),
        beside=tuple(_beside(verdict)),
    )


def _smallest(verdict: Verdict) -> str:
    """A run that takes its process with it is not made smaller."""
    return "as drawn" if verdict.violations[0].invariant == DIED else "minimal"


def headline(verdict: Verdict) -> str:
    """One line: what the verdict is."""
    name = verdict.test.rsplit("::", 1)[-1] if verdict.test else "the test"
    if verdict.status == "held":
        return f"{name} held"
    if verdict.status == "unknown":
        return f"{name} has shown nothing: {'; '.join(verdict.reasons)}"
    assert verdict.scenario is not None
    if not verdict.scenario.faults:
        return f"{name} fails in order already, without any fault: {verdict.violations[0].message}"
    kinds = " and ".join(dict.fromkeys(type(fault).__name__ for fault in verdict.scenario.faults))
    broker = type(verdict.scenario.broker).__name__
    across = " across keys" if verdict.label == "across keys" else ""
    return f"{name} does not survive {kinds}{across}, which {broker} can do: {verdict.violations[0].message}"


def held_lines(verdict: Verdict) -> list[str]:
    """What a passing run has shown, and what has to be known about it."""
    tally = verdict.tally
    shown = [", ".join(tally.effective)] if tally.effective else []
    if tally.all_singles:
        shown.append("every schedule with a single fault")
    if tally.not_tried:
        shown.append(f"never came about: {', '.join(tally.not_tried)}")
    kinds = f" ({'; '.join(shown)})" if shown else ""
    return [f"held: {tally.schedules:,} schedules of {count(tally.streams, 'stream')}{kinds}", *verdict.notes]


def tried(verdict: Verdict) -> str:
    """What a run that has shown nothing has tried; empty where it came to nothing."""
    return held_lines(verdict)[0].removeprefix("held: ") if verdict.tally.schedules else ""


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def differences_of(verdict: Verdict) -> list[Difference]:
    return [difference for violation in verdict.violations for difference in violation.differences]


def short(value: object, limit: int = 200) -> str:
    """A value in one line."""
    text = printed(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _beside(verdict: Verdict) -> Sequence[Beside]:
    if verdict.states is None or verdict.schedule is None or verdict.scenario is None:
        return []
    ids, states = verdict.scenario.stream.ids, verdict.states
    found = []
    far = reached(verdict.schedule.steps, ids)
    for number, (observed, here) in enumerate(zip(states.observed, far, strict=True), start=1):
        first = number == states.first_difference
        if not here.events:
            found.append(Beside(observed, first_difference=first))
            continue
        in_order = states.in_order[here.events - 1]
        places = _places(in_order, observed) if first else ()
        found.append(Beside(observed, in_order, ids[here.events - 1], here.missing, first, places))
    return found


def _places(in_order: Any, observed: Any) -> tuple[Difference, ...]:
    if in_order is None or observed is None:
        return ()
    try:
        return tuple(islice(differences(in_order, observed), MOST_PLACES))
    except StaleState:  # parts that cannot be compared
        return ()


def changes(before: Any, after: Any) -> list[str]:
    """What a step has changed in the state, place by place, and how many more places there are."""
    try:
        found = list(differences(before, after))
    except StaleState:  # parts that cannot be compared
        return []
    lines = [line for each in found[: MOST_PLACES + 1] for line in _change(each)]
    more = len(lines) + len(found[MOST_PLACES + 1 :]) - MOST_PLACES
    return lines if more <= 0 else [*lines[:MOST_PLACES], f"and {more} more"]


def _change(each: Difference) -> list[str]:
    before, after = each.expected, each.observed
    if added := _added(each.path, before, after):
        return added
    if before is ABSENT:
        return [f"{each.path}: {short(after, MOST_OF_CHANGE)}"]
    if after is ABSENT:
        return [f"{each.path} is gone"]
    return [f"{each.path}: {short(before, MOST_OF_CHANGE)} → {short(after, MOST_OF_CHANGE)}"]


def _added(path: str, fewer: Any, more: Any) -> list[str]:
    """The items that a list has behind those of another; nothing where they are no such lists."""
    if not (isinstance(fewer, list) and isinstance(more, list) and same(fewer, more[: len(fewer)])):
        return []
    return [f"{path}[{place}]: {short(more[place], MOST_OF_CHANGE)}" for place in range(len(fewer), len(more))]


def place_lines(places: Sequence[Difference]) -> list[str]:
    """Where and how two states differ, in a few words for each place."""
    lines: list[str] = []
    for each in places:
        in_order, here = short(each.expected, MOST_OF_CHANGE), short(each.observed, MOST_OF_CHANGE)
        if only := _added(each.path, each.expected, each.observed):
            lines += [f"only here {line}" for line in only]
        elif only := _added(each.path, each.observed, each.expected):
            lines += [f"only in order {line}" for line in only]
        elif each.expected is ABSENT or each.observed is ABSENT:
            lines.append(
                f"only here {each.path}: {here}"
                if each.expected is ABSENT
                else f"only in order {each.path}: {in_order}"
            )
        else:
            lines.append(f"{each.path}: in order {in_order}, here {here}")
    return lines[:MOST_PLACES]


def _tracebacks(outcome: Outcome | None) -> list[str]:
    if outcome is None:
        return []
    errors = [raised.error for raised in outcome.refused]
    errors += [outcome.failure] if outcome.failure is not None else []
    return list(dict.fromkeys(map(traceback_of, errors)))[:3]


def traceback_of(error: BaseException) -> str:
    """Where the user's code raised this, without our own frame around it."""
    frames = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)]).rstrip()


def _also(verdict: Verdict) -> str:
    """Other kinds of fault that do the same on this stream: what rules out the one that is shown may not help there."""
    return f"It fails alike under: {', '.join(verdict.also)}." if verdict.also else ""


def _label(verdict: Verdict) -> str:
    """Nothing where no order is asked about, such as for a run that does not end."""
    assert verdict.scenario is not None
    if verdict.label is None:
        return ""
    if verdict.loss == "violation" and {type(fault) for fault in verdict.scenario.faults} == {Lose}:
        return "No order is what breaks it: what was lost is missing."
    broker, no_order = type(verdict.scenario.broker).__name__, verdict.scenario.broker.promises_no_order
    if verdict.label == "across keys":
        return (
            f"Across keys: some order that {broker} may choose without any fault gives this result, too. These "
            "events lie in different partitions, and nothing fixed their order. If either result is right, "
            'chaos(across_keys="any") accepts it.'
        )
    if verdict.label == "within" and no_order:
        return f"Within a key: {no_order}"
    if verdict.label == "within":
        return "Within a key or partition: it takes what is told above; no order without a fault gives this result."
    return "Whether an order without any fault gives this result, too, was not decided: there are too many orders."
