"""What there is to say of a verdict, as data: every report is written from this, and says the same."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import attrs

from chaoskit.brokers.inside import names_of
from chaoskit.brokers.wording import IDEMPOTENT
from chaoskit.report.boundary import boundary_lines
from chaoskit.report.deaths import death_lines, died_in_one_call
from chaoskit.report.effects import EffectRow, effect_rows
from chaoskit.report.failures import failure_lines
from chaoskit.report.labels import also_text, kinds_of, label_text, name_of
from chaoskit.report.overlaps import overlap_lines
from chaoskit.report.remedies import remedies
from chaoskit.report.repairs import RepairText, clash_texts, damage_text, no_repair, repair_texts
from chaoskit.report.self_check import self_check_lines
from chaoskit.report.smallest import smallest, stream_remarks
from chaoskit.report.symptom import Has, advice_on, fits, symptom
from chaoskit.report.timeline import Grid, grid
from chaoskit.report.values import cut
from chaoskit.values.errors import StaleState
from chaoskit.values.event import EventId
from chaoskit.values.outcome import Outcome
from chaoskit.values.schedule import reached
from chaoskit.values.state import ABSENT, Difference, only_rounding, parted, same
from chaoskit.values.texts import printed
from chaoskit.values.verdict import Exhausted, Tally, Verdict

MOST_DIFFERENCES = 12
MOST_PLACES = 3
MOST_OF_CHANGE = 60
"""Letters of a value among the changes of a state."""
IN_ORDER = (
    "Every message came once and in order, and no setting rules that out: correct the handler or the invariant, or "
    "narrow the streams with events(valid=…)"
)
CONSTANT = (
    "No step changes the state that the test gives, so it does not show whether an attempt that raised had done "
    "something before"
)
NO_STATES = "The states along the way are not known: the delivery is too long, or the file has none."
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
class Summary:
    """A violated verdict. `remarks`: what is to be reported of the differences, and what is violated besides; `more`:
    differences that would be too many. `sentences` are the numbered ones, `besides` what else the steps have done,
    `label` says which order is broken, where it is about one. `remedies` are kinds of fault, or what else happened, and
    what rules each out; `advice` is for the handler, by what its state has. `beside` has the states
    after each step, where there are any. `read`: the fields of values in the order in which the handler reads them
    first. `damage`: what became of which events. `repairs`: the moves that were tried, the one to make first, and
    `no_repair` where none holds; `clashes`: the events that do not commute.
    `boundary`: what has to stay in order, where that was asked. `effects`: what left and no rollback takes back.
    `deaths`: lines that show where processes died inside the handler; `failures`: which calls failed there; `overlaps`:
    where executions stopped in it, and what took place beside them."""

    headline: str
    size: str
    differences: tuple[Difference, ...]
    more: int
    remarks: tuple[str, ...]
    tracebacks: tuple[str, ...]
    grid: Grid
    sentences: tuple[str, ...]
    besides: tuple[str, ...]
    label: str
    remedies: tuple[tuple[str, str], ...]
    advice: tuple[tuple[Has, str], ...]
    beside: tuple[Beside, ...]
    read: tuple[str, ...]
    damage: str
    repairs: tuple[RepairText, ...]
    no_repair: str
    clashes: tuple[str, ...]
    boundary: tuple[str, ...]
    effects: tuple[EffectRow, ...]
    deaths: tuple[str, ...]
    failures: tuple[str, ...]
    overlaps: tuple[str, ...]


def summary_of(verdict: Verdict) -> Summary:
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    scenario = verdict.scenario
    found = differences_of(verdict)
    remarks = [ROUNDING] if found and all(map(only_rounding, found)) else []
    remarks += stream_remarks(verdict)
    # With differences the message only repeats what the table shows.
    messages = list(dict.fromkeys(v.message for v in verdict.violations if not v.differences))
    sentences = tuple(sentence for _, sentence in scenario.broker.explain(verdict.schedule, scenario.events))
    advice = tuple(_advice(verdict))
    return Summary(
        headline=headline(verdict),
        size=f"{count(len(scenario.events), 'event')}, {count(len(scenario.faults), 'fault')}, {smallest(verdict)}",
        differences=tuple(found[:MOST_DIFFERENCES]),
        more=max(0, len(found) - MOST_DIFFERENCES),
        remarks=(*remarks, *messages[:MOST_DIFFERENCES]),
        tracebacks=tuple(_tracebacks(verdict.outcome)),
        grid=grid(scenario, verdict.schedule, _changed(verdict)),
        sentences=sentences if scenario.faults else (IN_ORDER,),
        besides=tuple(_besides(verdict)),
        label=f"{label_text(verdict)} {also_text(verdict)}".strip(),
        remedies=tuple(remedies(verdict, bool(advice))),
        advice=advice,
        beside=tuple(_beside(verdict)),
        read=verdict.read,
        damage=damage_text(verdict.damage),
        repairs=repair_texts(verdict),
        no_repair=no_repair(verdict),
        clashes=clash_texts(verdict),
        boundary=tuple(boundary_lines(verdict.needed_order)),
        effects=effect_rows(verdict),
        deaths=tuple(death_lines(verdict.schedule)),
        failures=tuple(failure_lines(verdict.schedule)),
        overlaps=tuple(overlap_lines(verdict.schedule)),
    )


def found_lines(verdict: Verdict, option: str = "seed=") -> list[str]:
    """What finds it again, and how long it took; nothing for what was not searched. `option` is what takes the seed."""
    tally, verb = verdict.tally, "Found" if verdict.status == "violated" else "Searched"
    lines = [] if verdict.seed is None else [f"{verb} with {option}{verdict.seed}"]
    if tally.schedules and verdict.status == "violated":
        lines.append(f"It took {count(tally.schedules, 'schedule')} of {count(tally.streams, 'stream')}")
    return lines


def _changed(verdict: Verdict) -> list[bool | None]:
    """Whether each step has changed the state; None where one of the two states is not there."""
    if verdict.states is None:
        return []
    states = [verdict.states.initial, *verdict.states.observed]
    return [None if None in (a, b) else not _alike(a, b) for a, b in pairwise(states)]


def _alike(one: Any, two: Any) -> bool | None:
    try:
        return same(one, two)
    except StaleState:  # parts that cannot be compared
        return False


@attrs.frozen
class Ended:
    """A process ended at this `step`. `held`: the events of which its handler could remember something; those that are
    `gone` do not come again."""

    step: int
    held: tuple[EventId, ...]
    gone: tuple[EventId, ...]


def _ended(verdict: Verdict) -> Iterator[Ended]:
    """Where handlers are made anew for each process: what restarts took from them."""
    if verdict.memory_kept is not False or verdict.schedule is None:
        return
    steps = verdict.schedule.steps
    held: dict[int, dict[EventId, None]] = {}
    in_one_call = died_in_one_call(steps)
    for number, step in enumerate(steps, start=1):
        if step.action == "restart" and (had := tuple(held.pop(step.consumer, {}))):
            again = {s.event for s in steps[number:] if s.action == "deliver"}
            yield Ended(number, had, tuple(event for event in had if event not in again))
        # What it refused it need not remember.
        elif step.action == "deliver" and not step.raised and step.event is not None and number not in in_one_call:
            held.setdefault(step.consumer, {})[step.event] = None


def _besides(verdict: Verdict) -> Iterator[str]:
    """What steps have done that their marks do not say: to the memory of a process, and before the handler raised."""
    assert verdict.schedule is not None
    for ended in _ended(verdict):
        rest = f"; {names_of(ended.gone)} did not come again" if ended.gone else ""
        yield f"Step {ended.step} took with it what the handler kept in memory of {names_of(ended.held)}{rest}"
    changes = _changed(verdict)
    raised = [pair for pair in zip(verdict.schedule, changes, strict=False) if pair[0].raised]
    if raised and False in changes and not any(changes):
        yield CONSTANT
    numbers = [
        n
        for n, (step, changed) in enumerate(zip(verdict.schedule, changes, strict=False), start=1)
        if step.raised and changed
    ]
    if numbers:
        which = f"{'Step' if len(numbers) == 1 else 'Steps'} {names_of(numbers)}"
        yield f"{which} changed the state before the handler raised, and raising does not take that back"


def _advice(verdict: Verdict) -> Iterator[tuple[Has, str]]:
    """For the handler: where a restart has cost it its memory, and what the broker's settings do not say."""
    assert verdict.scenario is not None
    shows = symptom(verdict)
    if shows is None:
        return
    settings = [verdict.scenario.broker.ruled_out_by(kind) for kind in kinds_of(verdict)]
    habit = any(IDEMPOTENT in remedy for remedy in settings)
    ended = list(_ended(verdict))
    if ended or fits(shows, verdict, settings, habit=habit):
        gone = [event for one in ended for event in one.gone]
        yield shows.has, advice_on(shows, gone, across=verdict.label == "across keys")


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
    if verdict.is_cut_alone:
        return f"{name} depends on where the batch ends: {verdict.violations[0].message}"
    broker = name_of(verdict.scenario.broker)
    across = " across keys" if verdict.label == "across keys" else ""
    return f"{name} does not survive {kinds}{across}, which {broker} can do: {verdict.violations[0].message}"


def held_lines(verdict: Verdict) -> list[str]:
    """What a passing run has shown, and what has to be known about it."""
    tally = verdict.tally
    shown = [", ".join(tally.effective)] if tally.effective else []
    if tally.all_singles and verdict.exhausted is None:
        shown.append("every schedule with a single fault")
    if tally.not_tried:
        shown.append(f"never came about: {', '.join(tally.not_tried)}")
    kinds = f" ({'; '.join(shown)})" if shown else ""
    held = f"held: {tally.schedules:,} schedules of {count(tally.streams, 'stream')}{kinds}"
    if verdict.exhausted is not None:
        held = f"held: {_all_of(verdict.exhausted)}{kinds}"
    besides = [*self_check_lines(verdict.self_check), *boundary_lines(verdict.boundary)]
    return [held, *_promises(tally), *besides, *verdict.notes]


def _promises(tally: Tally) -> Iterator[str]:
    """How much of what needs several faults at once was tried, at least."""
    probabilities = [
        f"any {_NUMBERS[bound.faults]} given faults with {bound.probability:.0%}" for bound in tally.bounds
    ]
    if probabilities:
        events = count(tally.bounds[0].events, "event")
        yield f"tried together with at least this probability, in streams of up to {events}: {', '.join(probabilities)}"
    if tally.singles_up_to and not tally.all_singles:
        yield f"every single fault was run in a stream of {count(tally.singles_up_to, 'event')}"


_NUMBERS = {2: "two", 3: "three"}


def _all_of(one: Exhausted) -> str:
    """What an exhaustive run has shown; and where not each schedule was run, why that is enough."""
    text = (
        f"all {one.schedules:,} distinct schedules of up to {count(one.events, 'event')} and "
        f"{count(one.faults, 'fault')} pass"
    )
    if one.runs < one.schedules:
        text += (
            f", of which {one.runs:,} were run: the handler's keys do not depend on each other, as {one.compared} "
            "pairs of schedules showed that differ between keys alone"
        )
    return text


def tried(verdict: Verdict) -> str:
    """What a run that has shown nothing has tried; empty where it came to nothing."""
    return held_lines(verdict)[0].removeprefix("held: ") if verdict.tally.schedules else ""


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def differences_of(verdict: Verdict) -> list[Difference]:
    return [difference for violation in verdict.violations for difference in violation.differences]


MOST_OF_VALUE = 200


def short(value: object, limit: int = MOST_OF_VALUE) -> str:
    """A value in one line."""
    return cut(printed(value), limit)


def pair(expected: Any, observed: Any) -> tuple[str, str]:
    """Two values, each in one line: of long lists what they have in common at their beginning is counted only."""
    alike = 0
    if type(expected) is type(observed) and type(expected) in (list, tuple):
        alike = next((n for n, (a, b) in enumerate(zip(expected, observed, strict=False)) if not _alike(a, b)),
                     min(len(expected), len(observed)))  # fmt: skip
    if alike < 2 or max(len(printed(expected)), len(printed(observed))) <= MOST_OF_CHANGE:
        return short(expected), short(observed)
    return _rest(expected, alike), _rest(observed, alike)


def _rest(items: Sequence[Any], alike: int) -> str:
    opening, closing = ("[", "]") if isinstance(items, list) else ("(", ")")
    return cut(f"{opening}{', '.join([f'… {alike} alike', *map(printed, items[alike:])])}{closing}", MOST_OF_VALUE)


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
    return parted(in_order, observed, MOST_PLACES)


def changes(before: Any, after: Any) -> list[str]:
    """What a step has changed in the state, place by place, and how many more places there are."""
    found = parted(before, after)
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
    # The first one is ours, which called the handler.
    frames = traceback.extract_tb(error.__traceback__)[1:] or traceback.extract_tb(error.__traceback__)
    return "".join([*traceback.format_list(frames), *traceback.format_exception_only(error)]).rstrip()
