"""What a failing delivery did to the state, by running other deliveries of the same events."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator, Sequence
from decimal import Decimal

import attrs

from chaoskit.execution.overlap import Paused
from chaoskit.execution.script import Run
from chaoskit.search.labels import explained_by_order
from chaoskit.search.oracle import Case
from chaoskit.search.states import HANGS, tried
from chaoskit.values.errors import StaleState
from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault
from chaoskit.values.schedule import DELIVER, GO_ON, RESTART, Schedule, reached, what_of
from chaoskit.values.state import ABSENT, differences, parted, same
from chaoskit.values.verdict import Damage, DamageKind, Label, States

MOST_EVENTS = 4
"""Of so many events every order is run, and every one or two of them are left out."""

FoundDamage = tuple[DamageKind, tuple[EventId, ...]]


def damage_of(
    case: Case, faults: Sequence[Fault], run: Run, label: Label | None, states: States | None, schedule: Schedule
) -> Damage | None:
    """None where nothing that was run tells it: what fails in order already, or raises after the deliveries."""
    if not faults or run.outcome.failure is not None:
        return None
    try:
        # A generator, so that nothing behind the first answer is run.
        found = next(_findings(case, faults, run, label, states), None)
    except HANGS:
        return None
    if found is None:
        return None
    return Damage(*found, *_where(case, states, schedule))


def _findings(
    case: Case, faults: Sequence[Fault], run: Run, label: Label | None, states: States | None
) -> Iterator[FoundDamage]:
    """The first is the answer: what is certain comes before what is likely."""
    outcome = run.outcome
    if gone := (*outcome.lost, *outcome.dropped):
        yield "lost by the settings", tuple(dict.fromkeys(gone))
    if label == "across keys":
        yield "depends on another key", ()
    if together := _together(case, run):
        yield "two executions of one key at once", together
    if not run.memory_kept and _holds_in_one_process(case, faults, run):
        yield "depends on the process's memory", _held_at_restart(case, run)
    if outcome.refused:
        yield "not applied", tuple(raised.event for raised in outcome.refused)
    if states is not None and (half := _changed_and_raised(case, run, states)):
        yield "half applied", half
    orders = list(_other_orders(case))
    if any(_keeps_keys(case, order) and _gives(case, run, order) for order in orders):
        yield "depends on another key", ()
    if states is not None and (idle := _without_effect(case, run, states)):
        yield "not applied", idle
    yield from _like_another_order(case, run, orders)
    if twice := _more_than_once(case, run):
        yield "applied twice", twice


def _together(case: Case, run: Run) -> tuple[EventId, ...]:
    """What one execution was at that had stopped, and what the others ran meanwhile under its key."""
    stopped = [number for number, death in run.deaths.items() if isinstance(death, Paused)]
    return tuple(dict.fromkeys(event for number in stopped for event in _beside(case, run, number)))


def _beside(case: Case, run: Run, number: int) -> Iterator[EventId]:
    events, (_, consumer, position, *_) = case.model.stream.events, run.steps[number]
    yield events[position].id
    for step in itertools.takewhile(lambda s: (s[0], s[1]) != (GO_ON, consumer), run.steps[number + 1 :]):
        if step[0] == DELIVER and events[step[2]].key == events[position].key:
            yield events[step[2]].id


def _holds_in_one_process(case: Case, faults: Sequence[Fault], run: Run) -> bool:
    """Whether the same delivery is right where no process ends: then it is what the ended one remembered."""
    # No process has ended, and it would be the same run once more; or one has in the middle of its work.
    if run.deaths or all(step[0] != RESTART for step in run.steps):
        return False
    undying = attrs.evolve(case.subject, one_process=True).on(case.model.stream)
    return bool(tried(lambda: not undying.violations(undying.run(faults))))


def _held_at_restart(case: Case, run: Run) -> tuple[EventId, ...]:
    """What had been handed to the consumers that ended."""
    ids, held, found = case.model.stream.ids, dict[int, dict[EventId, None]](), dict[EventId, None]()
    for step in run.steps:
        if what_of(step) == DELIVER:
            held.setdefault(step[1], {})[ids[step[2]]] = None
        elif step[0] == RESTART:
            found |= held.pop(step[1], {})
    return tuple(found)


def _changed_and_raised(case: Case, run: Run, states: States) -> tuple[EventId, ...]:
    """The events at whose delivery the handler changed the state before it raised."""
    # Before step n the state is number n, and after it n + 1.
    ids, befores = case.model.stream.ids, (states.initial, *states.observed)
    changed = [ids[run.steps[n][2]] for n in run.refusals if not _alike(befores[n], befores[n + 1])]
    return tuple(dict.fromkeys(changed))


def _without_effect(case: Case, run: Run, states: States) -> tuple[EventId, ...]:
    """The events none of whose deliveries changed the state, although they do in order."""
    ids, befores = case.model.stream.ids, (states.initial, *states.observed)
    meant = (states.initial, *states.in_order)
    had = {
        step[2] for number, step in enumerate(run.steps)
        if what_of(step) == DELIVER and not _alike(befores[number], befores[number + 1])
    }  # fmt: skip
    return tuple(
        id_ for place, id_ in enumerate(ids) if place not in had and not _alike(meant[place], meant[place + 1])
    )


def _other_orders(case: Case) -> Iterator[tuple[int, ...]]:
    """All that few events can have."""
    places = range(len(case.model.stream))
    if len(places) <= MOST_EVENTS:
        # The first is the produced order itself.
        yield from itertools.islice(itertools.permutations(places), 1, None)


def _keeps_keys(case: Case, order: Sequence[int]) -> bool:
    """Whether the events of each key stand in the order in which they were produced."""
    last: dict[Hashable, int] = {}
    for place in order:
        key = case.model.stream[place].key
        if last.get(key, -1) > place:
            return False
        last[key] = place
    return True


def _gives(case: Case, run: Run, order: Sequence[int]) -> bool:
    """Whether these events, each once and in this order, give what the run gave."""
    return bool(tried(lambda: explained_by_order(case, run, [order])))


def _like_another_order(case: Case, run: Run, orders: Sequence[Sequence[int]]) -> Iterator[FoundDamage]:
    """Whether each event once, in some other order, or some event not at all, gives this state."""
    ids, places = case.model.stream.ids, range(len(case.model.stream))
    for order in orders:
        if _gives(case, run, order):
            yield "applied in the wrong order", tuple(ids[a] for a, b in zip(order, places, strict=True) if a != b)
    for count in (1, 2) if len(ids) <= MOST_EVENTS else ():
        for gone in itertools.combinations(places, count):
            rest = [place for place in places if place not in gone]
            if _gives(case, run, rest) or _empty_without(case, run, rest):
                yield "not applied", tuple(ids[place] for place in gone)


def _empty_without(case: Case, run: Run, rest: Sequence[int]) -> bool:
    """Whether the state is that of these events alone but for entries that came to nothing, as where an effect was
    taken back."""
    alone = tried(lambda: case.in_order(rest, strict=False))
    if alone is None:
        return False
    try:
        found = list(differences(alone.outcome.state, run.outcome.state))
    except StaleState:  # parts that cannot be compared
        return False
    return all(each.expected is ABSENT and _is_nothing(each.observed) for each in found)


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, (int, float, Decimal, str, bytes, list, tuple, dict, set)) and not value)


def _more_than_once(case: Case, run: Run) -> tuple[EventId, ...]:
    delivered, ids = [step[2] for step in run.steps if what_of(step) == DELIVER], case.model.stream.ids
    return tuple(id_ for place, id_ in enumerate(ids) if delivered.count(place) > 1)


def _alike(one: object, two: object) -> bool:
    """Unknown states are taken for equal: nothing is concluded of them."""
    if one is None or two is None:
        return True
    try:
        return bool(same(one, two))
    except StaleState:  # parts that cannot be compared
        return True


def _where(case: Case, states: States | None, schedule: Schedule) -> tuple[int | None, str]:
    """The step after which the states first part, and the first field in which they do."""
    if states is None or states.first_difference is None:
        return None, ""
    number = states.first_difference
    # Differences are numbered as steps are reported, from 1.
    events = reached(schedule.steps, case.model.stream.ids)[number - 1].events
    in_order, observed = states.in_order[events - 1] if events else states.initial, states.observed[number - 1]
    if in_order is None or observed is None:
        return number, ""
    return number, next((each.path for each in parted(in_order, observed, 1)), "")
