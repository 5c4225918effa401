"""What waits for deliveries in a run of a consumer group, and the alarms at which it may happen."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from chaoskit.models.events import Happened
from chaoskit.models.producer import Hold
from chaoskit.models.turns import NEVER, Turn
from chaoskit.values.faults import Crash, DeadLetter, Fail, Fault, Overlap, Redeliver, Zombie
from chaoskit.values.schedule import Raw


class HeldPartition:
    """A partition that is not read before the holds of its head have ended.

    It delivers nothing, so that every delivery since the hold began was another partition's. Several holds of one
    record begin together. `waiting` are those that count from an event on, `until` is when the others end.
    """

    __slots__ = ("appended", "fault", "lane", "until", "waiting")

    def __init__(self, lane: int, appended: float, holds: Sequence[Hold], deliveries: int) -> None:
        self.lane, self.appended = lane, appended
        self.fault: Fault | None = holds[0].fault if holds else None
        self.until = deliveries
        self.waiting: list[Hold] = []
        for hold in holds:
            if hold.awaits is None:
                self.until = max(self.until, deliveries + hold.release)
            else:
                self.waiting.append(hold)

    def see(self, position: int, deliveries: int) -> None:
        """An event was delivered: holds that await it count from here on."""
        for hold in [hold for hold in self.waiting if hold.awaits == position]:
            self.waiting.remove(hold)
            self.until = max(self.until, deliveries + hold.release)


class PendingRestart:
    """A Redeliver whose message was delivered: it fires after `after` further deliveries of its consumer."""

    __slots__ = ("consumer", "fault", "since")

    def __init__(self, fault: Redeliver | Crash, consumer: int, since: int) -> None:
        self.fault, self.consumer, self.since = fault, consumer, since

    def left(self, history: Sequence[Turn], consumers: int) -> int:
        """How many deliveries of its consumer are missing."""
        # All deliveries are its own then, and need not be looked at.
        if consumers == 1:
            return self.fault.after - len(history) + self.since
        return self.fault.after - sum(step[1] == self.consumer for _, _, _, step in history[self.since :])


class ParkedRecord:
    """A dead letter, or a record in a retry topic, that waits to be put back."""

    __slots__ = ("due", "fault", "step")

    def __init__(self, step: Raw, fault: DeadLetter | Fail | None, due: int) -> None:
        self.step, self.fault, self.due = step, fault, due


class ZombieOwner:
    """What an owner that was taken for dead has fetched and still runs, the next first."""

    __slots__ = ("fault", "turns")

    def __init__(self, fault: Zombie | Overlap, turns: list[Turn]) -> None:
        self.fault, self.turns = fault, turns


class StoppedOwner:
    """An owner that has stopped in the middle of a record. Its `lanes` are not read before it goes on; then what it has
    `said` of the record is recorded, as it was run by then."""

    __slots__ = ("fault", "lanes", "said", "turn")

    def __init__(self, fault: Overlap, turn: Turn, lanes: list[int]) -> None:
        self.fault, self.turn, self.lanes = fault, turn, lanes
        self.said: list[Happened] = []


InGroup = HeldPartition | PendingRestart | ParkedRecord | ZombieOwner | StoppedOwner
_PLACE: dict[type[InGroup], int] = {
    kind: place for place, kind in enumerate((HeldPartition, PendingRestart, ZombieOwner, StoppedOwner, ParkedRecord))
}
"""Of what is due at once: what is held is read first, and what was set aside goes behind everything."""
Alarm = tuple[int, int, int, InGroup]
"""When it rings; the place of its kind among those that ring at once; and a number, so that the older one is first."""


class Alarms:
    """What waits, by the number of deliveries at which it may happen. `due` is the next of these, so that a delivery
    at which nothing happens costs one comparison. An alarm whose cause is gone by then is void."""

    __slots__ = ("_alarms", "_number", "due")

    def __init__(self) -> None:
        self._alarms: list[Alarm] = []
        self._number = 0
        self.due = NEVER

    def set(self, until: int, waiting: InGroup) -> None:
        self._number += 1
        heappush(self._alarms, (until, _PLACE[type(waiting)], self._number, waiting))
        if until < self.due:
            self.due = until

    def ring(self, deliveries: int) -> list[InGroup]:
        """What may happen after so many deliveries, in its order."""
        rung = []
        while self._alarms and self._alarms[0][0] <= deliveries:
            rung.append(heappop(self._alarms))
        if len(rung) > 1:
            rung.sort(key=_kind_first)
        self.due = self._alarms[0][0] if self._alarms else NEVER
        return [alarm[3] for alarm in rung]


def _kind_first(alarm: Alarm) -> tuple[int, int, int]:
    return alarm[1], alarm[0], alarm[2]
