"""Batches that are run together, and come back together: which are open, and which come again in halves."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.queue.waiting import Lane
from chaoskit.models.turns import Record, Turn, attempt_of, consumer_of, record_of


class Batches:
    """The batch that each lane has open, and the sizes of those that it will open next where one was halved. The lane
    is None where single messages are locked: a batch takes them all."""

    def __init__(self, policy: LeasePolicy) -> None:
        self._policy = policy
        self.open: dict[Lane, list[Turn]] = {}
        self._halves: dict[Lane, list[int]] = {}
        self._halved: dict[Record, int] = {}
        self.alone: Record | None = None
        """What was all of its batch, and comes again at once."""

    def join(self, lane: Lane, turn: Turn, *, alone: bool) -> None:
        """The message is run in the batch that is open, or in the next one. `alone`: it is all of its batch, which is
        closed."""
        members = self.open.get(lane, [])
        # One invocation is one consumer's.
        if len(members) >= self.size(lane) or (members and consumer_of(members[-1]) != consumer_of(turn)):
            members = []
            self._halves[lane] = self._halves.get(lane, [])[1:]
        self.open[lane] = [] if alone else [*members, turn]
        self.alone = record_of(turn) if alone else None

    def size(self, lane: Lane) -> int:
        """The most that the open batch of this lane takes: a batch that failed may come again in halves."""
        halves = self._halves.get(lane)
        return halves[0] if halves else self._policy.window

    def has_halves(self, lane: Lane) -> bool:
        return bool(self._halves.get(lane))

    def halve(self, lane: Lane, size: int) -> None:
        """A batch of this size failed, and comes again in two, before the halves that are left of earlier ones."""
        if (split := self._policy.split) is not None:
            self._halves[lane] = [*split(size), *self._halves.get(lane, [])[1:]]

    def gave_up(self, lane: Lane) -> None:
        """The batch that is open ends with a message that is given up, and where it was a half the next one begins."""
        if lane in self._halves:
            self._halves[lane] = self._halves[lane][1:]

    def came_back(self, turns: list[Turn]) -> None:
        # A batch of one is not halved, and its delivery counts.
        if self._policy.split is not None and len(turns) > 1:
            for record in map(record_of, turns):
                self._halved[record] = self._halved.get(record, 0) + 1

    def tries(self, turn: Turn) -> int:
        """How often it was delivered, without those in a batch that was halved."""
        return attempt_of(turn) - self._halved.get(record_of(turn), 0) if self._halved else attempt_of(turn)

    def close_others(self, consumer: int, lane: Lane) -> None:
        """What this consumer runs of other lanes than this one is done."""
        for other in [at for at, turns in self.open.items() if at != lane and turns]:
            if consumer_of(self.open[other][-1]) == consumer:
                del self.open[other]

    def is_of_another(self, consumer: int, lane: Lane) -> bool:
        """Whether this consumer runs a batch of another lane than this one."""
        others: Iterable[list[Turn]] = (turns for at, turns in self.open.items() if at != lane)
        return any(consumer_of(turn) == consumer for turns in others for turn in turns)
