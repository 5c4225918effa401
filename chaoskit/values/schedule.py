"""The literal steps of one run, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Literal

import attrs

from chaoskit.values.event import EventId
from chaoskit.values.faults import Fault

Action = Literal[
    "deliver", "restart", "park", "put back", "skip", "refuse", "lose", "take over", "wait", "fail", "die", "begin",
    "go on", "batch",
]  # fmt: skip


class Do(IntEnum):
    """What a raw step does. The values are the order of `ACTIONS`."""

    DELIVER = 0
    RESTART = 1
    PARK = 2
    PUT_BACK = 3
    SKIP = 4
    REFUSE = 5
    LOSE = 6
    TAKE_OVER = 7
    WAIT = 8
    FAIL = 9
    DIE = 10
    BEGIN = 11
    GO_ON = 12
    BATCH = 13


DELIVER, RESTART, PARK, PUT_BACK, SKIP, REFUSE, LOSE, TAKE_OVER, WAIT, FAIL, DIE = (int(do) for do in list(Do)[:11])
BEGIN, GO_ON, BATCH = (int(do) for do in list(Do)[11:])
"""The same as plain numbers: the models make and compare thousands of steps a second."""

ACTIONS: tuple[Action, ...] = (
    "deliver",
    "restart",
    "park",
    "put back",
    "skip",
    "refuse",
    "lose",
    "take over",
    "wait",
    "fail",
    "die",
    "begin",
    "go on",
    "batch",
)
assert len(ACTIONS) == len(Do)

INSIDE_STEPS = frozenset({DIE, BEGIN, GO_ON})
"""What happens inside the handler, as numbers."""

WITH_POINT = frozenset({"die", "begin"})
"""Actions that take place after so many effects of the handler."""

DELIVER_LIKE = frozenset(ACTIONS) - {"restart"}
"""Actions on a record: these have an event, a partition and an offset."""


Raw = tuple[int, ...]
"""A step as the models make it, small and hashable: what (`Do`), the consumer, the position of the event in the
stream, the partition and the offset; -1 for none. Where the broker counts deliveries, the count is the sixth.

A copy, which was sent or put back anew, has ten: the sixth is 0 where nothing is counted; then follow the position of
the event after which it was sent, how many retries it is, and the partition and the offset of the message of which it
is one, -1 for none."""


_POINT = 4
"""The bits of what a step does. Above them, of `die` and `begin`, stands how many effects had happened; of a delivery,
which call of the handler fails; and of `batch`, how many deliveries come in one call."""


_WHAT = (1 << _POINT) - 1
assert DELIVER == 0


def dying(point: int) -> int:
    """What a raw step does in which the process dies after so many effects."""
    return DIE | point << _POINT


def failing(point: int) -> int:
    """What a raw step does in which the handler is called, and the call of this number that it makes fails."""
    return DELIVER | point << _POINT


def beginning(point: int) -> int:
    """What a raw step does in which an execution stops after so many effects, and goes on later."""
    return BEGIN | point << _POINT


def is_handed(step: Raw) -> bool:
    """Whether the handler gets the message, whatever happens inside it."""
    return step[0] == DELIVER or what_of(step) in (DELIVER, DIE, BEGIN)


def deliveries(steps: Sequence[Raw]) -> int:
    """How many of these steps are deliveries. It is asked of each schedule of a search."""
    return [step[0] & _WHAT for step in steps].count(DELIVER)


def gathered(size: int) -> int:
    """What a raw step does before so many deliveries that come in one call."""
    return BATCH | size << _POINT


def size_of(step: Raw) -> int:
    """Of a step before a batch: how many deliveries it has."""
    return step[0] >> _POINT


def what_of(step: Raw) -> int:
    """What it does, as a `Do`."""
    return step[0] & _WHAT


def point_of(step: Raw) -> int:
    """Of a step in which the process dies, or an execution stops: after how many effects. Of a delivery: which call
    fails, 0 for none."""
    return step[0] >> _POINT


@attrs.frozen
class Copy:
    """A message that was sent anew, `after` this event. Of one that was set aside and put back, `partition` and
    `offset` say where it was first, and `retries` how often it was published for another try; 0 where somebody put it
    back by hand."""

    after: EventId
    retries: int = 0
    partition: int | None = None
    offset: int | None = None


@attrs.frozen
class DiedAt:
    """Where a process died inside the handler: the `place` (a file and a line), what was to come next there (`before`),
    both empty where all was done; and what had happened by then, in its order. `source` is the line, in which `before`
    begins at `column`."""

    place: str = ""
    before: str = ""
    happened: tuple[str, ...] = ()
    source: str = ""
    column: int = 0


@attrs.frozen
class FailedAt:
    """Where a call failed inside the handler: the `place` (a file and a line), the `expression` there, and the `error`
    that it raised. `source` is the line, in which the expression begins at `column`."""

    place: str = ""
    expression: str = ""
    error: str = ""
    source: str = ""
    column: int = 0


@attrs.frozen
class StoppedAt(DiedAt):
    """Where an execution stopped inside the handler, as `DiedAt` says of a death; and what took place from there until
    it was done: the event, or "" for the one that had stopped, and the expression."""

    beside: tuple[tuple[str, str], ...] = ()


@attrs.frozen
class Step:
    """One thing that happens to a consumer.

    `deliver`: the message at `partition`/`offset` goes to the handler; `raised` says that it was refused.
    With a `point` the call of this number that the handler makes fails, and `failed` says where that was, as
    information.
    `restart`: the consumer process dies and starts again from its commit.
    `park`: the message leaves for the dead-letter topic, unseen or refused; `put back`: it is appended anew.
    `skip`: refused, and the consumer goes on without it. `refuse`: refused to the end. `lose`: gone for good, unseen.
    `fail`: an attempt that failed before it had any effect; the handler was not called.
    `die`: the message goes to the handler, and the process dies after `point` of its effects, or after all of them;
    `raised` says that the handler refused it before that, and nothing died. `died` says where that was, as information:
    reports show it, and a replay follows the number.
    `begin`: the message goes to the handler, and this execution stops after `point` of its effects, or has run whole
    where there are fewer; `stopped` says where. `go on`: it runs to its end.
    `wait`: it stands behind what was refused to the end, and is never delivered.
    `batch`: the next `size` deliveries come in one call of a handler that takes batches, the message being the first of
    them; other deliveries are calls of their own.
    `take over`: this consumer goes on from what was settled, because the broker takes the owner of the message for
    dead.
    `partition` and `offset` are the broker's place for the message: on a queue the queue or group, and the number of
    the message in order of arrival. `attempt` is its delivery count, where the broker has one; `copy` is there for a
    message that is one. `fault` is the fault that caused the step, if one did. `error` is what the handler raised, as
    text, where that is known: reports show it, and nothing compares it. `settled` is there where the handler settles by
    itself: what it settled then, such as "ack 2", which is the message of the second step. `given_up_by` is the
    framework that has made an end of the message at this failure, as information.
    """

    action: Action
    consumer: int
    event: EventId | None = None
    partition: int | None = None
    offset: int | None = None
    fault: Fault | None = None
    raised: bool = False
    attempt: int | None = None
    copy: Copy | None = None
    error: str | None = attrs.field(default=None, eq=False)
    point: int | None = None
    died: DiedAt | None = attrs.field(default=None, eq=False)
    failed: FailedAt | None = attrs.field(default=None, eq=False)
    size: int | None = None
    stopped: StoppedAt | None = attrs.field(default=None, eq=False)
    settled: tuple[str, ...] | None = None
    given_up_by: str | None = attrs.field(default=None, eq=False)


def to_raw(step: Step, positions: Mapping[EventId, int]) -> Raw:
    """The step as the models make it. `positions` are those of the events in the stream."""

    def number(given: int | None) -> int:
        return -1 if given is None else given

    position = -1 if step.event is None else positions[step.event]
    # 0 for all but those that reach inside the handler, and those before a batch.
    do = ACTIONS.index(step.action) | (step.point or step.size or 0) << _POINT
    raw = (do, step.consumer, position, number(step.partition), number(step.offset))
    if step.copy is None:
        return raw if step.attempt is None else (*raw, step.attempt)
    copy = step.copy
    place = number(copy.partition), number(copy.offset)
    return (*raw, step.attempt or 0, positions[copy.after], copy.retries, *place)


def from_raw(raw: Raw, ids: Sequence[EventId], fault: Fault | None, raised: bool) -> Step:
    """The step that a model made, as it is saved. `ids` are those of the stream."""

    def number(given: int) -> int | None:
        return None if given < 0 else given

    consumer, position, partition, offset = raw[1:5]
    action = ACTIONS[what_of(raw)]
    point = point_of(raw) if action in WITH_POINT else point_of(raw) or None if action == "deliver" else None
    size = size_of(raw) if action == "batch" else None
    attempt = raw[5] if len(raw) > 5 and position >= 0 else 0
    copy = Copy(ids[raw[6]], raw[7], number(raw[8]), number(raw[9])) if len(raw) > 6 else None
    event = None if position < 0 else ids[position]
    place = number(partition), number(offset)
    return Step(action, consumer, event, *place, fault, raised, attempt or None, copy, point=point, size=size)


@attrs.frozen
class Schedule:
    """What was handed to whom, in order. A replay follows these steps, whatever made them."""

    steps: tuple[Step, ...]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def delivered(self) -> tuple[EventId, ...]:
        """The ids in the order in which the handler saw them."""
        return tuple(s.event for s in self.steps if s.action in ("deliver", "go on") and s.event is not None)


@attrs.frozen
class Reached:
    """How far a run has come: the number of `events` of the stream up to the furthest that was handled, and the ids of
    those among them that are `missing` so far and come later."""

    events: int
    missing: tuple[EventId, ...] = ()


def reached(steps: Sequence[Step], ids: Sequence[EventId]) -> list[Reached]:
    """How far it has come after each step. What is never handled, because it is lost or refused, is not missed: the
    in-order run that this one is compared with leaves it out, too."""
    ever = {step.event for step in steps if _handles(step)}
    now: set[EventId | None] = set()
    found = []
    for step in steps:
        if _handles(step):
            now.add(step.event)
        furthest = max((place for place, id_ in enumerate(ids, start=1) if id_ in now), default=0)
        found.append(Reached(furthest, tuple(id_ for id_ in ids[:furthest] if id_ in ever and id_ not in now)))
    return found


def _handles(step: Step) -> bool:
    return step.action in ("deliver", "go on") and not step.raised
