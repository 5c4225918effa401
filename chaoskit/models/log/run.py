"""Stage 2 of a log: one consumer group reads it. Owners, positions, commits, restarts, held lanes and dead letters."""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain
from typing import Any

from chaoskit.models.events import StepMade
from chaoskit.models.faults import LOG_AFTER, LOG_BEFORE, crash, dead_letter, fail, overlap, zombie
from chaoskit.models.log.listeners import RETRIED, held_at
from chaoskit.models.log.settling import settle
from chaoskit.models.log.state import GroupState
from chaoskit.models.log.waiting import HeldPartition, ParkedRecord, PendingRestart, StoppedOwner, ZombieOwner
from chaoskit.models.refusals import Refusals
from chaoskit.models.turns import NEVER, NOTHING, Caused, Turn, step_as
from chaoskit.values.faults import INSIDE, Duplicate, Fail, Fault, Overlap, Redeliver
from chaoskit.values.scenario import Answer, Steps
from chaoskit.values.schedule import FAIL, GO_ON, PARK, SKIP, Raw, dying, failing
from chaoskit.values.settling import Settling

_INSIDE = frozenset(INSIDE)


class GroupRun(GroupState):
    """The run of the group, record by record."""

    def run(self) -> Steps:
        """The steps. Send True for a delivery that was refused."""
        # Locals, because looking up attributes costs at every delivery.
        todo, history, held, touched = self.todo, self.history, self.held, self.touched
        alarms, aside, started, told = self.alarms, self.aside, self.started, self.told
        while True:
            if not todo:
                caused = self._nothing_to_read()
                if caused is None:
                    return
                yield from self._make(caused)
                continue
            turn = todo.pop()
            lane = turn[1]
            if self.apart:
                if (at := held_at(self, turn)) is not None:
                    aside.setdefault(at, []).append(turn)
                    continue
            elif held and lane in held:
                aside.setdefault(lane, []).append(turn)
                continue
            # Turns name their first owner, which is wrong only after another consumer was started.
            if started:
                turn = self.for_its_owner(turn)
            step = turn[3]
            if step[2] in touched:
                yield from self._more_than_a_delivery(turn)
            else:
                refused = yield step
                history.append(turn)
                if told is not None:
                    told.append(StepMade(step, None, bool(refused)))
                    if not refused and not isinstance(refused, Settling):
                        self.tell_commit(told, step)
                if refused is not None and isinstance(refused, Settling):
                    settle(self, step, refused)
                if refused:
                    yield from self._make(fail.on_log(self, turn, None))
            if len(history) >= alarms.due and (caused := self._ring()):
                yield from self._make(caused)

    def _make(self, caused: Caused) -> Steps:
        """Where the handler raises at one of these steps, it is that of a zombie. What is set aside or skipped is
        done."""
        told = self.told
        for step, fault in caused:
            if step[0] == GO_ON and step[1] in self.stopped:
                yield from self._make((yield from overlap.ends_on_log(self, self.stopped.pop(step[1]))))
                continue
            refused = yield step
            if told is not None:
                told.append(StepMade(step, fault, bool(refused)))
            if refused is not None and isinstance(refused, Settling):
                settle(self, step, refused)
            if refused:
                self.passed_over = False  # what a zombie commits is refused
                zombie.stops(self, step[1])
            elif (step[0] == PARK or step[0] == SKIP) and (follows := self.processed(step)):
                yield from self._make(follows)

    def _more_than_a_delivery(self, turn: Turn) -> Steps:
        """The turn of a record at which something goes wrong, in whose delivery a call may fail, which may come again
        in place, or after which a hold begins or a commit may be due."""
        faults = self.anchored.get(turn[3][2])
        step, told = turn[3], self.told
        copy: Fault | None = None
        failed: Fail | None = None
        if faults:
            instead = self._instead(turn, faults)
            if instead is not None:
                yield from instead
                return
            first = faults[0]
            if isinstance(first, Fail):
                copy = failed = first
                del faults[0]
                step = (failing(first.point), *step[1:])
        while True:
            refused = yield step
            if told is not None:
                told.append(StepMade(step, copy, bool(refused)))
            self.history.append(turn)
            if refused is not None and isinstance(refused, Settling):
                settle(self, turn[3], refused, loses=type(faults[0] if faults else None) in (Duplicate, Redeliver))
            if refused or not faults or type(faults[0]) is not Duplicate:
                break
            copy, failed, step = faults.pop(0), None, turn[3]
        if refused:
            yield from self._make(fail.on_log(self, turn, failed))
            return
        # One for each delivery: the next Redeliver waits for the next one.
        after = LOG_AFTER.get(type(faults[0])) if faults else None
        caused = after(self, turn, faults.pop(0)) if faults and after is not None else self.processed(turn[3])
        if caused:
            yield from self._make(caused)

    def _instead(self, turn: Turn, faults: list[Any]) -> Steps | None:
        """What happens instead of a delivery that is whole; None where nothing does."""
        kind = type(faults[0])
        if (before := LOG_BEFORE.get(kind)) is not None:
            return self._make(before(self, turn, faults.pop(0)))
        if kind in _INSIDE or (kind is Fail and not faults[0].point):
            return self._not_whole(turn, faults.pop(0))
        return None

    def _not_whole(self, turn: Turn, fault: Any) -> Steps:
        """An attempt that fails before the handler is called, or in which something happens inside it."""
        if type(fault) is Fail:
            step = step_as(FAIL, turn)
            answer = yield step
            if self.told is not None:
                self.told.append(StepMade(step, fault, False))
            if answer is not None and isinstance(answer, Settling):
                settle(self, step, answer)
            self.history.append(turn)
            yield from self._make(fail.on_log(self, turn, fault))
        else:
            yield from self._make((yield from self._inside(turn, fault)))

    def _inside(self, turn: Turn, fault: Any) -> Generator[Raw, Answer, Caused]:
        """The process dies in the middle of the handler, or the execution stops there; and then what follows."""
        if type(fault) is Overlap:
            return (yield from overlap.on_log(self, turn, fault))
        step = (dying(fault.point), *turn[3][1:])
        refused = yield step
        if self.told is not None:
            self.told.append(StepMade(step, fault, bool(refused)))
        self.history.append(turn)
        if refused is not None and isinstance(refused, Settling):
            settle(self, turn[3], refused)
        # Void where the handler raised before it came so far.
        return fail.on_log(self, turn, None) if refused else crash.on_log(self, turn, fault)

    def _ring(self) -> Caused:
        """Held partitions go on, one consumer restarts, a zombie runs on, dead letters come back, in this order."""
        count, caused, fired = len(self.history), NOTHING, False
        for waiting in self.alarms.ring(count):
            if isinstance(waiting, HeldPartition):
                # An alarm of an earlier hold, which has ended by now, is void.
                if self.held.get(waiting.lane) is waiting:
                    self.release(waiting)
            elif isinstance(waiting, ParkedRecord):
                if waiting in self.parked:
                    caused = [*caused, dead_letter.comes_back(self, waiting)]
            elif isinstance(waiting, ZombieOwner):
                if waiting in self.zombies:
                    caused = [*caused, zombie.runs_on(self, waiting)]
            elif isinstance(waiting, StoppedOwner):
                if waiting in self.stopped.values():
                    caused = [*caused, (step_as(GO_ON, waiting.turn), waiting.fault)]
            elif waiting in self.pending:
                # One restart for each delivery: the others look again at the next one.
                if fired or not self._is_up(waiting):
                    # At least one delivery later, or it would ring on the spot.
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
        # Those without an end are blocked by what was refused, which has its chance last of all.
        held = [held for held in self.held.values() if held.until < NEVER] if self.held else []
        if held:
            self.release(min(held, key=lambda held: (held.appended, held.lane)))
            return NOTHING
        if self.apart and self.parked and RETRIED not in self.held:  # what the other listener could read
            return [dead_letter.comes_back(self, min(self.parked, key=lambda parked: parked.due))]
        for stopped in self.stopped.values():
            return [(step_as(GO_ON, stopped.turn), stopped.fault)]
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
