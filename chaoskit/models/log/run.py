"""Stage 2 of a log: one consumer group reads it. Owners, positions, commits, restarts, held lanes and dead letters."""

from __future__ import annotations

from itertools import chain
from typing import Any

from chaoskit.models.faults import LOG_AFTER, LOG_BEFORE, crash, dead_letter, fail, zombie
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import HeldPartition, ParkedRecord, PendingRestart, ZombieOwner
from chaoskit.models.refusals import Refusals
from chaoskit.models.turns import NEVER, NOTHING, Caused, Turn
from chaoskit.values.faults import Crash, Duplicate, Fail, Fault
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import FAIL, Raw, dying


class GroupRun(GroupState):
    """The run of the group, record by record. `cause` is the fault behind the step that was just made."""

    cause: Fault | None = None

    def run(self) -> Steps:
        """The steps. Send True for a delivery that was refused."""
        todo, history, held, touched = self.todo, self.history, self.held, self.touched
        alarms, aside, replaced = self.alarms, self.aside, self.replaced
        while True:
            if not todo:
                caused = self._nothing_to_read()
                if caused is None:
                    return
                yield from self._make(caused)
                continue
            turn = todo.pop()
            lane = turn[1]
            if held and lane in held:
                aside.setdefault(lane, []).append(turn)
                continue
            if replaced:
                turn = self.for_its_owner(turn)
            step = turn[3]
            if step[2] in touched:
                yield from self._more_than_a_delivery(turn)
            else:
                refused = yield step
                history.append(turn)
                if refused:
                    yield from self._make(fail.on_log(self, turn, None))
            if len(history) >= alarms.due:
                yield from self._make(self._ring())

    def _make(self, caused: Caused) -> Steps:
        """Where the handler raises at one of these steps, it is that of a zombie."""
        for step, self.cause in caused:
            if (yield step):
                zombie.stops(self, step[1])

    def _more_than_a_delivery(self, turn: Turn) -> Steps:
        """The turn of a record at which something goes wrong, or after which a hold begins or a commit may be due."""
        step, faults = turn[3], self.anchored.get(turn[3][2])
        first: Any = faults[0] if faults else None
        if faults and type(first) in LOG_BEFORE:
            yield from self._make(LOG_BEFORE[type(first)](self, turn, faults.pop(0)))
            return
        if faults and type(first) is Fail:
            self.cause = faults.pop(0)
            yield (FAIL, *step[1:])
            self.history.append(turn)
            yield from self._make(fail.on_log(self, turn, first))
            return
        if faults and type(first) is Crash:
            self.cause = faults.pop(0)
            refused = yield (dying(first.point), *step[1:])
            self.history.append(turn)
            # Void where the handler raised before it came so far.
            yield from self._make(fail.on_log(self, turn, None) if refused else crash.on_log(self, turn, first))
            return
        refused = yield step
        self.history.append(turn)
        while faults and not refused and type(faults[0]) is Duplicate:
            self.cause = faults.pop(0)
            refused = yield step
            self.history.append(turn)
        if refused:
            yield from self._make(fail.on_log(self, turn, None))
            return
        after = LOG_AFTER.get(type(faults[0])) if faults else None
        caused = after(self, turn, faults.pop(0)) if faults and after is not None else self.processed(step)
        yield from self._make(caused)

    def _ring(self) -> Caused:
        """Held partitions go on, one consumer restarts, a zombie runs on, dead letters come back, in this order."""
        count, caused, fired = len(self.history), NOTHING, False
        for waiting in self.alarms.ring(count):
            if isinstance(waiting, HeldPartition):
                if self.held.get(waiting.lane) is waiting:
                    self.release(waiting)
            elif isinstance(waiting, ParkedRecord):
                if waiting in self.parked:
                    caused = [*caused, dead_letter.comes_back(self, waiting)]
            elif isinstance(waiting, ZombieOwner):
                if waiting in self.zombies:
                    caused = [*caused, zombie.runs_on(self, waiting)]
            elif waiting in self.pending:
                if fired or not self._is_up(waiting):
                    self.alarms.set(count + max(1, self.left(waiting)), waiting)
                else:
                    fired = True
                    caused = [*caused, self.fire([waiting])]
        return caused

    def _is_up(self, pending: PendingRestart) -> bool:
        """Whether it fires now: at a delivery of its own consumer."""
        return self.left(pending) <= 0 and self.history[-1][3][1] == pending.consumer

    def _nothing_to_read(self) -> Caused | None:
        """What happens when no lane can be read: a hold ends, a consumer restarts, a dead letter comes back; None: that
        was all."""
        held = [held for held in self.held.values() if held.until < NEVER] if self.held else []
        if held:
            self.release(min(held, key=lambda held: (held.appended, held.lane)))
            return NOTHING
        if self.pending:
            return [self.fire(self.pending)]
        if self.zombies:
            return [zombie.runs_on(self, self.zombies[0])]
        if self.parked:
            return [dead_letter.comes_back(self, min(self.parked, key=lambda parked: parked.due))]
        return self._try_again(self.refusals) if self.refusals else None

    def _try_again(self, refusals: Refusals) -> Caused | None:
        """A record that was given up, which may have waited for others; or the end of all that are left."""
        chance = refusals.next_chance()
        if chance is None:
            return refusals.end(self.history, map(self.for_its_owner, chain.from_iterable(self.aside.values())))
        step: Raw = chance[1]
        if not self.reading.blocks:
            return [self.put_back(step, 0, None)]
        self.release(self.held[step[3]])
        return NOTHING
