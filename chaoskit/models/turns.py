"""What is still to be handed out: turns, their raw steps by name, and the order that they wait in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chaoskit.values.faults import Fault
from chaoskit.values.schedule import DELIVER, Raw

Turn = tuple[float, int, int, Raw]
"""When a record is read: by its append time, and then by partition and offset; and its delivery."""

Record = tuple[int, int]
"""The partition (or queue) and the offset (or number) of a record in it."""

Caused = list[tuple[Raw, Fault | None]]
"""Steps, each with the fault that caused it."""

NOTHING: Caused = []
"""No steps. It is shared, and nobody adds to it."""

NEVER = 1 << 60
"""More deliveries than any run has."""

_FEW = 64
"""Up to so many turns a sort is faster than a search for each place."""


# The hot loops read turns by index, which costs a third of a call. Everywhere else these names are used.


def record_of(turn: Turn) -> Record:
    return turn[1], turn[2]


def consumer_of(turn: Turn) -> int:
    return turn[3][1]


def position_of(turn: Turn) -> int:
    """The position in the stream of the event that this record carries."""
    return turn[3][2]


def attempt_of(turn: Turn) -> int:
    """How often the message was handed out with this turn. Logs do not count."""
    return turn[3][5]


def step_as(do: int, turn: Turn) -> Raw:
    """The raw step of this turn, as another kind of step."""
    step: Any = turn[3]
    return (do, *step[1:])


def handed_to(consumer: int, turn: Turn) -> Turn:
    step: Any = turn[3]
    return turn if step[1] == consumer else (turn[0], turn[1], turn[2], (DELIVER, consumer, *step[2:]))


def next_attempt(turn: Turn) -> Turn:
    step: Any = turn[3]
    return (turn[0], turn[1], turn[2], (DELIVER, *step[1:5], step[5] + 1, *step[6:]))


def put_back(todo: list[Turn], turns: Iterable[Turn]) -> None:
    """Put turns among those that are still to be handed out, the next of which is at the end."""
    turns = list(turns)
    # Python's sort is quick with a list that is almost sorted, so many at once are left to it.
    if len(todo) < _FEW or len(turns) > 8:
        todo += turns
        todo.sort(reverse=True)
        return
    for turn in turns:
        # By hand, because `bisect` knows ascending lists only.
        low, high = 0, len(todo)
        while low < high:
            middle = (low + high) >> 1
            if todo[middle] > turn:
                low = middle + 1
            else:
                high = middle
        todo.insert(low, turn)


class Latest:
    """The latest time in a history that grows: each turn is looked at once."""

    __slots__ = ("_number", "_time")

    def __init__(self) -> None:
        self._number, self._time = 0, 0.0

    def of(self, history: list[Turn]) -> float:
        if self._number < len(history):
            # Turns begin with their time.
            self._time = max(self._time, max(history[self._number :])[0])
            self._number = len(history)
        return self._time


def moved_up(turns: list[Turn], lane: int, offset: int) -> None:
    """A record was inserted: those at and behind its offset move up by one."""
    for i, (time, at, place, step) in enumerate(turns):
        if at == lane and place >= offset:
            # The raw step names the offset, too.
            turns[i] = time, at, place + 1, (*step[:4], place + 1, *step[5:])


# What the raw step of a copy has more than others: whether it was published for another try, when, and where it was
# first.


def sent_anew(time: float) -> tuple[int, ...]:
    """What a raw step of a copy has more than others: sent again by its producer, and not counted yet."""
    # The event after which it was sent: times of copies are half an event later.
    return 0, int(time), 0, -1, -1


def put_back_of(step: Raw, now: int, retries: int) -> tuple[int, ...]:
    """What a raw step has more whose message was set aside and is put back now. Where it was first stays with it."""
    first = step[8:10] if len(step) > 6 and step[8] >= 0 else step[3:5]
    return 0, now, retries, *first


def retries_of(step: Raw) -> int:
    """How often the message of this raw step was published for another try."""
    return step[7] if len(step) > 6 else 0
