"""What the final state has that it should not have: something twice, something missing, or something older."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import Any, Literal

import attrs

from chaoskit.brokers.inside import names_of
from chaoskit.values.errors import StaleState
from chaoskit.values.event import EventId
from chaoskit.values.faults import reaches_in
from chaoskit.values.repair import MoveName
from chaoskit.values.schedule import Step
from chaoskit.values.state import ABSENT, Difference, differences, parted
from chaoskit.values.verdict import States, Verdict

Has = Literal["twice", "missing", "older"]


@attrs.frozen
class Symptom:
    """`events` are those that did it, or did nothing; none where that does not show."""

    has: Has
    events: tuple[EventId, ...] = ()


def symptom(verdict: Verdict) -> Symptom | None:
    """None where it is not known, or is another one from place to place."""
    if verdict.schedule is None or verdict.scenario is None:
        return None
    ids, steps = verdict.scenario.stream.ids, verdict.schedule.steps
    found = []
    for difference in (d for violation in verdict.violations for d in violation.differences):
        found.append(_of_place(difference, verdict.states, ids, steps))
    kinds = {one.has for one in found if one is not None}
    # Advice that is right for one place and wrong for another is worse than none.
    if len(kinds) != 1 or None in found:
        return None
    events = dict.fromkeys(event for one in found if one is not None for event in one.events)
    return Symptom(kinds.pop(), tuple(events))


def _of_place(
    place: Difference, states: States | None, ids: tuple[EventId, ...], steps: tuple[Step, ...]
) -> Symptom | None:
    in_order, observed = _writers(place.path, states, ids, steps)
    more_than_once = tuple(event for event, times in Counter(observed).items() if times > 1)
    never = tuple(event for event in dict.fromkeys(in_order) if event not in observed)
    # First: what a collection shows needs no states along the way.
    shape = _shape(place.expected, place.observed)
    if shape is not None:
        return Symptom(shape, {"twice": more_than_once, "missing": never}.get(shape, ()))
    if states is None or not in_order or not observed:
        return None
    if never:
        return Symptom("missing", never)
    if observed[-1] != in_order[-1] and _was_there_before(place, states):
        return Symptom("older", (observed[-1],))
    return Symptom("twice", more_than_once) if more_than_once else None


def _shape(expected: Any, observed: Any) -> Has | None:
    """What collections show by themselves."""
    if expected is ABSENT or observed is ABSENT:
        return "twice" if expected is ABSENT else "missing"
    if isinstance(expected, Mapping) or isinstance(observed, Mapping):
        return None
    if isinstance(expected, (list, tuple, Set)) and isinstance(observed, (list, tuple, Set)):
        # By their text, as items need not be hashable.
        left, right = Counter(map(repr, expected)), Counter(map(repr, observed))
        fewer, more = left - right, right - left
        if more and not fewer:
            # Something new is not something twice.
            return "twice" if set(more) <= set(left) else None
        return "missing" if fewer and not more else None if fewer else "older"
    return None


def _writers(
    path: str, states: States | None, ids: tuple[EventId, ...], steps: tuple[Step, ...]
) -> tuple[list[EventId], list[EventId]]:
    """The events that changed this place: in order, and as observed, each as often as it did."""
    if states is None:
        return [], []
    in_order = [ids[n] for n in _changes(path, states.initial, states.in_order)]
    observed: list[tuple[EventId, int]] = []
    for step in (steps[n] for n in _changes(path, states.initial, states.observed)):
        if step.event is not None:
            observed.append((step.event, step.consumer))
        else:  # a restart: what its process had only in memory, and would have written in its clean stop, is gone
            observed = [(event, consumer) for event, consumer in observed if consumer != step.consumer]
    return in_order, [event for event, _ in observed]


def _changes(path: str, before: Any, states: tuple[Any, ...]) -> list[int]:
    found = []
    for number, state in enumerate(states):
        if _touches(path, before, state):
            found.append(number)
        before = state
    return found


def _touches(path: str, before: Any, after: Any) -> bool:
    changed = _compared(before, after)
    return any(each == path or _below(each, path) or _below(path, each) for each in changed)


def _below(place: str, above: str) -> bool:
    return place.startswith(above) and place[len(above)] in "[."


def _compared(before: Any, after: Any) -> list[str]:
    return [each.path for each in parted(before, after)]


def _was_there_before(place: Difference, states: States) -> bool:
    """Whether the state had this value here in order, before its last event."""
    last = states.in_order[-1]
    return any(_same_there(place, state, last) for state in states.in_order[:-1])


def _same_there(place: Difference, earlier: Any, last: Any) -> bool:
    """Whether `earlier` differs from the last state here just as what was observed does."""
    there = {each.path: each.observed for each in parted(last, earlier)}
    return place.path in there and _equal(there[place.path], place.observed)


def _equal(one: Any, two: Any) -> bool:
    try:
        return next(differences(one, two), None) is None
    except StaleState:
        return False


MOVE: Mapping[Has, MoveName] = {"twice": "ids", "older": "version"}
"""What the advice asks for, among the moves that can be tried."""


def fits(shows: Symptom, verdict: Verdict, remedies: Sequence[str], *, habit: bool) -> bool:
    """Whether the handler's move is named beside the settings of the broker. `habit`: these `remedies` ask
    for a handler that is idempotent already."""
    assert verdict.scenario is not None
    tried = verdict.advice.known.repairs if verdict.advice.known is not None else ()
    # What was tried and does not repair it is no advice.
    if any(each.move == MOVE.get(shows.has) and each.status == "violated" for each in tried):
        return False
    # Some brokers can say nothing else.
    if shows.has == "older" and not habit and any("version" in text or "`seq`" in text for text in remedies):
        return verdict.label == "across keys"
    # Of what is missing it does not show why; and what reaches inside the handler has moves of its own.
    if shows.has == "missing" or any(map(reaches_in, verdict.scenario.faults)):
        return habit and shows.has != "twice"
    return bool(verdict.scenario.faults) and not verdict.is_cut_alone and not (habit and shows.has == "twice")


def advice_on(shows: Symptom, gone: Sequence[EventId], *, across: bool = False) -> str:
    """What helps in the handler. `gone`: events that nobody remembers since a process ended, and that do not come
    again. `across`: it is the order between keys that differs, which `seq` does not count."""
    if shows.has == "twice":
        return (
            f"{_who(shows.events)} took effect twice. Remember the ids of events where the effect is, in the same "
            "transaction: what a process remembers ends with it"
        )
    if shows.has == "older" and across:
        return (
            f"{_who(shows.events, 'something older')} came late and took the place of something newer. Let the last "
            "write win: compare a version of the object, or the time at which the producer sent the event, in the same "
            "transaction as the effect. `seq` counts each key by itself and does not help here"
        )
    if shows.has == "older":
        return (
            f"{_who(shows.events, 'something older')} came late and took the place of something newer. Compare `seq`, "
            "or a version of the object, in the same transaction as the effect, and drop what is older"
        )
    if gone:
        return (
            f"what came of {names_of(gone)} is missing: it was in memory only when the process ended. Write it out "
            "before the message is acknowledged, or acknowledge only what is written out"
        )
    return (
        f"what came of {_who(shows.events)} is missing: the handler left it out when it came late or again, and "
        "nothing brings it once more"
    )


def _who(events: Sequence[EventId], unnamed: str = "something") -> str:
    return names_of(events) if events else unnamed
