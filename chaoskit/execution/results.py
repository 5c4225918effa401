"""What a run did, read off its steps: what was taken, refused, lost, left unseen, and done by half."""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from typing import Any

import attrs

from chaoskit.execution.script import Delivered
from chaoskit.values.event import EventId
from chaoskit.values.outcome import Effect, Outcome, Raised
from chaoskit.values.schedule import BATCH, DELIVER, GO_ON, LOSE, REFUSE, SKIP, WAIT, Raw, size_of, what_of


@attrs.frozen(eq=False, slots=False)
class Played:
    """The steps of a run, the numbers of those that were refused, and of those at which a process died or a call failed
    and the handler refused, and what was recorded on the way. `loses`: a fault of it may lose a message."""

    delivered: Delivered
    steps: Sequence[Raw]
    raised: Sequence[Raised]
    refusals: Sequence[int]
    broken: Collection[int]
    states: Sequence[Any]
    effects: Sequence[Effect]
    loses: bool


def outcome_of(played: Played, state: Any, failure: Exception | None, failed_at: int | None) -> Outcome:
    outcome = _outcome_of(played, state, failure)
    if failed_at is None:
        return outcome
    # Of the step, and not of what was delivered last: a process may have died at it.
    event = played.delivered.stream.events[played.steps[failed_at - 1][2]]
    return attrs.evolve(outcome, failed_at=failed_at, failed_event=event.id)


def _outcome_of(played: Played, state: Any, failure: Exception | None) -> Outcome:
    delivered = played.delivered
    states, effects, half_done = tuple(played.states), tuple(played.effects), _half_done(played)
    # Without refusals what was lost needs no bookkeeping, and nearly all runs are such.
    if not played.raised:
        # What a process died at was shown, whatever became of it.
        lost = _never_taken(delivered, half_done) if played.loses else ()
        return Outcome(
            state, delivered, states, lost=lost, failure=failure, effects=effects, half_done=half_done,
        )  # fmt: skip
    last = {raised.event: raised for raised in played.raised}
    refused = tuple(last[id_] for id_ in delivered.of(REFUSE) if id_ in last)
    events, refusals = delivered.stream.events, set(played.refusals)
    done = (DELIVER, GO_ON)
    taken = {events[s[2]].id for i, s in enumerate(played.steps) if what_of(s) in done and i not in refusals}
    given_up = {raised.event for raised in refused}
    skipped = set(delivered.of(SKIP))
    gone = _lost(delivered, taken | given_up | set(half_done))
    dropped = tuple(id_ for id_ in gone if id_ in last and id_ in skipped)
    lost = _lost(delivered, taken | given_up | {*dropped, *half_done})
    unseen = _unseen(delivered, lost)
    return Outcome(
        state, delivered, states, tuple(played.raised), refused, lost, unseen, dropped, failure, effects=effects,
        half_done=half_done,
    )  # fmt: skip


_NONE: frozenset[int] = frozenset()


def broken_at(
    deaths: Collection[int], failures: Collection[int], refusals: Collection[int], steps: Sequence[Raw]
) -> frozenset[int]:
    """The numbers of the steps at which a process died, or at which a failed call made the handler refuse: of a batch
    all that it had refused with it."""
    if not deaths and not failures:
        return _NONE
    together = (other for number in failures for other in _in_one_call(steps, number))
    return frozenset(deaths) | frozenset(together).intersection(refusals)


def _in_one_call(steps: Sequence[Raw], number: int) -> range:
    """The numbers of the deliveries that came in one call with this one."""
    first = number
    while first and what_of(steps[first - 1]) == DELIVER:
        first -= 1
    if first and what_of(steps[first - 1]) == BATCH and first + size_of(steps[first - 1]) > number:
        return range(first, first + size_of(steps[first - 1]))
    return range(number, number + 1)


def _half_done(played: Played) -> tuple[EventId, ...]:
    """What a process died at, or a call failed in, and nobody took after it."""
    if not played.broken:
        return ()
    events, steps, refused = played.delivered.stream.events, played.steps, set(played.refusals)
    taken = [-1 if n in refused or what_of(step) not in (DELIVER, GO_ON) else step[2] for n, step in enumerate(steps)]
    last = {steps[number][2]: number for number in sorted(played.broken)}
    return tuple(events[position].id for position, number in last.items() if position not in taken[number:])


def _unseen(delivered: Delivered, lost: Collection[EventId]) -> tuple[EventId, ...]:
    """What was never delivered, as it waits behind what was refused."""
    shown: Container[EventId] = {*delivered, *lost}
    return tuple(id_ for id_ in dict.fromkeys(delivered.of(WAIT)) if id_ not in shown)


def _never_taken(delivered: Delivered, half_done: Sequence[EventId]) -> tuple[EventId, ...]:
    """What was skipped or lost, and of which no copy was delivered."""
    if not any(step[0] == SKIP or step[0] == LOSE for step in delivered.steps):
        return ()
    return _lost(delivered, {*delivered, *half_done})


def _lost(delivered: Delivered, taken: Collection[EventId]) -> tuple[EventId, ...]:
    """What was skipped or lost, and of which no copy was taken, or refused to its end, otherwise."""
    gone = [*delivered.of(SKIP), *delivered.of(LOSE)]
    return tuple(id_ for id_ in dict.fromkeys(gone) if id_ not in taken)
