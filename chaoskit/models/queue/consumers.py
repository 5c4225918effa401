"""Who takes a message: owners of lanes, who is busy or full, who came in whose place, and what each one holds."""

from __future__ import annotations

from collections.abc import Callable

from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.queue.waiting import HeldLane, Lane, PendingRedelivery, WaitList, ZombieRun
from chaoskit.models.turns import NEVER, Record, Turn, consumer_of, handed_to, record_of


class Consumers:
    """The consumers of one run. `held_by` has who was handed a message and has not run it yet, -1 for one that was
    taken for dead; `open` what a handler that settles by itself has not settled, with its place in the history.
    `moved`: a message is no longer for the consumer that its turn names."""

    def __init__(self, policy: LeasePolicy, waiting: WaitList, held_lanes: dict[Lane, HeldLane], history: list[Turn]):
        self._policy, self._waiting, self._lanes, self._history = policy, waiting, held_lanes, history
        self.held_by: dict[Record, int] = {}
        self.open: dict[Record, tuple[int, Turn]] = {}
        self.owner: dict[Lane, int] = {}
        self.moved = False
        self.fresh = policy.consumers
        """The number of the next consumer that is started in another's place."""
        self._replaced: dict[int, int] = {}
        self._fills = policy.brings == "consumer" and policy.lock == "message"
        self._has_receives = policy.lock == "group" and policy.brings != "consumer"
        self._one_each = policy.window == 1 and policy.lock == "message"
        self._busy: set[int] = set()
        # No version and no count, so that the first question finds nothing to reuse.
        self._busy_at = self._filled_at = -1
        self._counted: dict[int, tuple[int, int, int]] = {}

    def taker(self, turn: Turn, lane_of: Callable[[Turn], Lane]) -> Turn:
        """The message for the consumer that can take it: not one that is dead, busy or full."""
        lock, owner, consumer = self._policy.lock, self.owner, turn[3][1]
        if self.held_by and self.held_by.get(record_of(turn)) == consumer:
            return turn
        busy = self.busy()
        if not (owner or self._replaced or consumer in busy):
            if self._has_receives and self._waiting.pending:
                return self._of_its_receive(turn, lane_of(turn))
            if not (busy or self.held_by or self._waiting.all or self._lanes):
                self.moved = False  # all is as in the beginning, until something waits again
            return turn
        lane = lane_of(turn)
        consumer = self.free(owner.get(lane, consumer))
        if lock == "queue" or (lock == "group" and self._policy.brings == "consumer"):
            # While nobody has taken over, turns name the owner themselves, and `owner` stays empty.
            if consumer != turn[3][1] or lane in owner:
                owner[lane] = consumer
        elif self._has_receives:
            return self._of_its_receive(handed_to(consumer, turn), lane)
        return handed_to(consumer, turn)

    def _of_its_receive(self, turn: Turn, lane: Lane) -> Turn:
        """What is in the same receive is run by the same consumer."""
        for pending in self._waiting.pending:
            if pending.lane == lane:
                return handed_to(pending.turn[3][1], turn)
        return turn

    def free(self, consumer: int) -> int:
        """This consumer, or who is there in its place; or the next one, where it can take nothing."""
        busy, count = self.busy(), self._policy.consumers
        mine = self.present(consumer) if self._replaced else consumer
        if mine not in busy:
            return mine
        # One that came in another's place has a number beyond theirs: where a prefetch can be full all are asked.
        others = (self.present((consumer + n) % count) for n in range(1, count + self._fills))
        # Where nobody is free it stays with its own.
        return next((other for other in others if other not in busy), mine)

    def present(self, consumer: int) -> int:
        """Who is there in place of this one."""
        while consumer in self._replaced:
            consumer = self._replaced[consumer]
        return consumer

    def busy(self) -> set[int]:
        """Consumers that cannot take a message now: dead or busy, or full."""
        # How full a prefetch is changes with each delivery, but only while something in it is not settled.
        fills = self._fills and self._waiting.pending and self._can_be_full()
        now = len(self._history) if fills else -1
        # With one message each, `held_by` decides, too, and that changes without a new version.
        if self._one_each or self._busy_at != self._waiting.version or self._filled_at != now:
            self._busy, self._busy_at, self._filled_at = self._all_busy(), self._waiting.version, now
        return self._busy

    def _all_busy(self) -> set[int]:
        busy = {
            w.consumer for w in self._waiting.all if isinstance(w, (HeldLane, ZombieRun)) and w.consumer is not None
        }
        if self._fills and self._can_be_full():
            for pending in self._waiting.pending:
                if (consumer := consumer_of(pending.turn)) not in busy and self.is_full(consumer):
                    busy.add(consumer)
            # What was refused and kept, or is not given back yet, takes up its prefetch like any other message.
            held = [consumer_of(lane.kept) for lane in self._lanes.values() if lane.kept is not None]
            held += [consumer_of(each.turn) for each in self._waiting.given_back]
            busy.update(consumer for consumer in held if held.count(consumer) >= self._policy.window)
            if self.open:
                busy.update(c for c in {consumer_of(turn) for _, turn in self.open.values()} if self.is_full(c))
        if self._one_each:  # it takes nothing else before it has run that
            busy.update(consumer for consumer in self.held_by.values() if consumer >= 0)
        return busy

    @property
    def all_busy(self) -> bool:
        return len(self.busy()) >= self._policy.consumers

    def _can_be_full(self) -> bool:
        """Whether all consumers together hold as many messages as one of them may: mostly they do not, and then none
        of them has to be asked."""
        pending, handed = self._waiting.pending, 0
        kept, window = len(self._waiting.all) + len(self._lanes) + len(self.open), self._policy.window
        if kept + len(self._history) < window:  # whatever was handed out since
            return False
        if pending:
            handed = len(self._history) - min([each.since for each in pending])
        return handed + kept >= window

    def is_full(self, consumer: int) -> bool:
        """Whether it holds as many messages as it may."""
        return self._can_be_full() and self.unsettled_of(consumer) >= self._policy.window

    def unsettled_of(self, consumer: int) -> int:
        """How many messages this consumer was shown and has not settled: all that it was handed since the first of
        these, and what it has not given back yet."""
        held, since = self.given_back_of(consumer), NEVER
        for pending in self._waiting.pending:  # the first that waits is the oldest
            if consumer_of(pending.turn) == consumer:
                since = pending.since
                held += self._handed_since(since, consumer)
                break
        if self.open:
            held += sum(index < since and turn[3][1] == consumer for index, turn in self.open.values())
        return held

    def _handed_since(self, since: int, consumer: int) -> int:
        # Counted on from the last question, which comes with every delivery.
        start, end, handed = self._counted.get(consumer, (-1, 0, 0))
        if start != since:
            end, handed = since, 0
        history = self._history
        for number in range(end, len(history)):
            handed += history[number][3][1] == consumer
        self._counted[consumer] = since, len(history), handed
        return handed

    def given_back_of(self, consumer: int) -> int:
        """How many messages this consumer has not given back yet whose attempts failed."""
        held = 0
        for waiting in self._waiting.given_back:
            if waiting.consumer == consumer:
                held += 1
        return held

    def refused_or_unrun_of(self, consumer: int, but: Record) -> int:
        """How many messages this consumer has besides this one that it has not run, not given back yet, or keeps as
        they were refused to the end."""
        kept = sum(lane.kept is not None and consumer_of(lane.kept) == consumer for lane in self._lanes.values())
        handed = sum(holder == consumer and record != but for record, holder in self.held_by.items())
        return kept + handed + self.given_back_of(consumer)

    def successor(self, old: int, lane: Lane) -> int:
        """Who is handed what `old` is thought to have dropped: another consumer, or a new one where there is none."""
        new = self.free(old)
        if new in self.busy():
            new, self.fresh = self.fresh, self.fresh + 1
            self._replaced[old] = new
        if self._policy.lock != "message":
            self.owner[lane] = new
        return new

    def owns(self, lane: Lane, consumer: int) -> None:
        """This consumer takes what is next in the lane, whoever else is free."""
        self.owner[lane], self.moved = consumer, True

    def fails_over(self, pending: PendingRedelivery) -> None:
        """A single active consumer that died is followed by the next one."""
        if self._policy.lock == "queue" and self._policy.consumers > 1:
            self.owns(pending.lane, self.present((consumer_of(pending.turn) + 1) % self._policy.consumers))
