"""Whether anything that goes wrong could show: does the state notice an event, does a fault change what is seen."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.execution.limit import Hung
from chaoskit.execution.script import PASS_THROUGH
from chaoskit.search.evidence import Evidence
from chaoskit.search.oracle import Case, key_sequences
from chaoskit.search.plans import Plan
from chaoskit.search.shape import has_two_values, with_siblings
from chaoskit.values.errors import ChaosError
from chaoskit.values.event import Stream
from chaoskit.values.faults import Crash, Fail, FaultKind, Gather, Lose, Overlap, Overtake
from chaoskit.values.outcome import Outcome
from chaoskit.values.schedule import BATCH, LOSE, Raw, what_of
from chaoskit.values.state import same

MOST_LEFT_OUT = 24
"""Events of a stream that are left out one by one: each costs a run."""


def note_stream(shown: Evidence, case: Case) -> None:
    """What the stream itself has, and whether the state moves over it."""
    reference = case.reference()
    if not shown.two_values:
        shown.siblings = shown.siblings or bool(with_siblings(case.model.stream))
        shown.two_values = has_two_values(case.model.stream)
    shown.effects_seen = shown.effects_seen or bool(reference.effects)
    states = reference.states
    if states and not shown.state_moved:
        shown.states_given = True
        shown.state_moved = any(not same(states[0], state) for state in states)
    elif case.subject.looks_at_states and not shown.state_moved:
        shown.state_moved = _moves_the_end(case, reference)
    if case.subject.needs_state and not shown.sibling_matters:
        shown.note_state(reference.state)
        leave_out(shown, case)


def _moves_the_end(case: Case, whole: Outcome) -> bool:
    """Whether leaving out some event gives another final state, whatever is concluded of it."""
    stream = case.model.stream
    without = (_in_order(case, stream.without(position)) for position in _spread(len(stream)))
    return any(less is not None and not same(whole.state, less.state) for less in without)


def leave_out(shown: Evidence, case: Case) -> None:
    """Ask what leaving out one event does, until one of those that share their key was seen to matter."""
    stream, whole = case.model.stream, case.reference()
    shared, asked = with_siblings(stream), False
    for position in _spread(len(stream)):
        # That an event without siblings matters is known once it was seen, and each costs a run.
        if position not in shared and shown.event_matters:
            continue
        matters = _matters(case, position, whole)
        shown.event_matters = shown.event_matters or matters is not False
        # Where the test needs the event nothing was answered.
        if position in shared and matters is not None:
            asked = True
            shown.sibling_matters = matters
        if shown.sibling_matters:
            break
    shown.siblings_asked += asked


def _matters(case: Case, position: int, whole: Outcome) -> bool | None:
    """Whether what is compared is another one without this event. None where the test needs the event: that it
    fails shows nothing of its state."""
    less = _in_order(case, case.model.stream.without(position))
    if less is None or _refuses_more(whole, less):
        return None
    return bool(case.subject.judge(whole, less))


def _refuses_more(whole: Outcome, less: Outcome) -> bool:
    poison = {each.event for each in whole.refused}  # refused in any company
    return any(each.event not in poison for each in less.refused)


def value_matters(case: Case) -> bool:
    """Whether what is compared is another one where an event has the value of another event of its key."""
    values, whole = [event.value for event in case.model.stream], case.reference()
    for position in sorted(with_siblings(case.model.stream)):
        key = case.model.stream[position].key
        others = (event.value for event in case.model.stream if event.key == key)
        other = next((value for value in others if not same(value, values[position])), None)
        changed = case.model.stream.with_values([*values[:position], other, *values[position + 1 :]])
        other_run = None if other is None else _in_order(case, changed)
        if other_run is not None and not _refuses_more(whole, other_run) and case.subject.judge(whole, other_run):
            return True
    return False


def _in_order(case: Case, stream: Stream) -> Outcome | None:
    """What comes of a stream that is almost that of the case. None where the test does not take it."""
    try:
        less = case.subject.on(stream).in_order(strict=False).outcome
    except (ChaosError, *PASS_THROUGH):
        raise
    except (Exception, Hung):  # noqa: BLE001 - the body needs that event
        return None
    return None if less.failure is not None else less


def _spread(size: int) -> list[int]:
    """Positions from the last to the first, spread out where there are many."""
    return list(range(size - 1, -1, -max(1, -(-size // MOST_LEFT_OUT))))


def note_effect(shown: Evidence, kinds: Sequence[FaultKind], case: Case, plan: Plan, steps: Sequence[Raw]) -> None:
    """A kind has shown something once it alone changed what some key's events were seen as.

    A stall of a lane never does: it changes the order between lanes. Nor does a failed attempt where the broker
    keeps the order: that nothing overtook is what it shows. Nor does a death of what was settled before it was run. Nor
    does a batch: that it was one call is what it shows.
    """
    if shown.effective.issuperset(kinds):
        return
    tried = {type(fault) for fault in plan}
    if Lose in tried and any(step[0] == LOSE for step in steps):  # which may take another fault, such as growth
        shown.differed = shown.changed = True
        shown.effective.add(Lose)
    if Gather in tried and any(what_of(step) == BATCH for step in steps):
        shown.differed = shown.changed = True
        shown.effective.add(Gather)
    kind = tried.pop() if len(tried) == 1 else None
    if kind in shown.effective or (kind is None and shown.changed):
        return
    calm = case.steps(())
    if steps == calm:
        return
    shown.differed = True
    keys = [event.key for event in case.model.stream.events]
    # By key, since what happens between keys is no effect of most kinds: it would count any stall.
    if kind in (Overtake, Fail, Crash, Overlap) or key_sequences(steps, keys) != key_sequences(calm, keys):
        shown.changed = True
        shown.effective |= {kind} if kind is not None else set()
