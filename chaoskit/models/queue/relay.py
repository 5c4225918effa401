"""A relay publishes, and then marks what it has published: a crash in between publishes again, as new messages."""

from __future__ import annotations

from chaoskit.models.log.consumer_group import Caused
from chaoskit.models.producer import Hold, Turn, sent_anew
from chaoskit.models.queue.policy import NOTHING, Armed, Second, Waiting
from chaoskit.models.queue.run import Lender
from chaoskit.values.faults import DeadLetter, Duplicate, Fault, Zombie
from chaoskit.values.schedule import RESTART, TAKE_OVER, Raw


class Relay(Lender):
    """One run of a relay over a source that is published in order: its consumer is who publishes.

    `_marked` is the place of the first event that may be published again: marks never go back.
    """

    _marked = 0

    def _anew(self, turn: Turn, copied: Duplicate) -> Caused | None:
        return self._published_again(Second(0, turn, copied))

    def _take_over(self, turn: Turn, fault: Zombie) -> Caused:
        """A second relay is started beside the first one, after `holds` and `after` more."""
        self._waiting.append(Second(fault.holds + fault.after + 1, turn, fault))
        self._todo.append(turn)
        return NOTHING

    def _unsettled_with(self, turn: Turn, fault: Fault | Hold | None = None) -> Armed | None:
        return super()._unsettled_with(turn, None if isinstance(fault, Zombie) else fault)

    def _due(self, waiting: Waiting) -> Caused:
        return self._published_again(waiting) if isinstance(waiting, Second) else super()._due(waiting)

    def _end_lease(self, armed: Armed) -> Caused:
        return self._published_again(armed)

    def _published_again(self, waiting: Armed | Second) -> Caused:
        """A relay crashed, or a second one runs: from the first that is not marked on, in the order of the source, and
        a second one only what it held. Void while what was published again before has not come yet."""
        others = [other for other in self._waiting if isinstance(other, (Armed, Second)) and other is not waiting]
        self._waiting[:] = [other for other in self._waiting if not isinstance(other, (Armed, Second))]
        published = self._published()
        first = min(
            (published.index(each.turn[3][2]) for each in (waiting, *others) if each.turn[3][2] in published),
            default=-1,
        )
        if first < 0 or self._awaits_copies():
            return NOTHING
        again = sorted(published[first:], key=self._place)
        if self._place(again[0]) < self._marked:
            return NOTHING
        self._marked = self._place(again[0])
        fault, turn = waiting.fault, waiting.turn
        if not isinstance(fault, Zombie):
            caused: Caused = [((RESTART, turn[3][1], -1, -1, -1), fault)]
        else:
            if not others:  # then the second one is stopped
                again = again[: max(again.index(turn[3][2]), fault.holds) + 1]
            caused = [((TAKE_OVER, self._fresh, *turn[3][2:]), fault)]
            self._fresh += 1
        return caused + [(self._publish(position), fault) for position in again]

    def _published(self) -> list[int]:
        """The events that were published, in the order of the last time: several partitions may be read in another."""
        if len(self.logs.partitions) == 1:
            published = [turn[3][2] for turn in self._history]
            for before, turn, fault in reversed(self._gone):
                if isinstance(fault, DeadLetter):  # it was published, and its consumer set it aside
                    published.insert(before, turn[3][2])
            return list(dict.fromkeys(reversed(published)))[::-1]
        return list(range(self._now() + 1))

    def _place(self, position: int) -> int:
        """Where an event stands in the order in which a relay publishes again."""
        return position if self.leasing.by_id else self.logs.partitions[0].index(position)

    def _awaits_copies(self) -> bool:
        published = set(self._published())
        waiting = [*self._todo, *(turn for stall in self._stalled.values() for turn in stall.turns)]
        single = len(self.logs.partitions) == 1
        return any(turn[3][2] in published and (single or turn[0] % 1) for turn in waiting)

    def _publish(self, position: int) -> Raw:
        """Right behind what was published, before rows that have become visible since."""
        if len(self.logs.partitions) > 1:
            return self._append(position, sent_anew(self._now()))
        published = set(self._published())
        copies = [turn[2] for turn in self._todo if turn[3][2] in published or turn[0] % 1]
        number = 1 + max([*copies, *(turn[2] for _, turn, _ in self._gone), *(turn[2] for turn in self._history)])
        return self._accept(position, 0, number, self.logs.appended[0][number - 1], sent_anew(self._now()))
