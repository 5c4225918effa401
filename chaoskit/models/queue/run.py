"""Stage 2 of a queue: messages are handed out on lease, run, settled, and come back where they were not settled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from chaoskit.models.events import HandedBack, StepMade
from chaoskit.models.faults import QUEUE_AFTER, QUEUE_BEFORE, crash, duplicate, fail, overlap
from chaoskit.models.queue import relay
from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.returns import coming_with, count, end_lease, end_wait, gives_back_first
from chaoskit.models.queue.running_out import never_settled, run_out
from chaoskit.models.queue.settling import keeps_out, notes, settle, settle_others, stuck, used_up, with_its_receive
from chaoskit.models.queue.state import LeasedQueue, first_of
from chaoskit.models.queue.waiting import SecondRelay, Waiting
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, next_attempt, record_of, step_as
from chaoskit.values.faults import Crash, DeadLetter, Duplicate, Fail, Overlap, Redeliver, Zombie
from chaoskit.values.scenario import Answer, Steps
from chaoskit.values.schedule import DELIVER, FAIL, dying, failing
from chaoskit.values.settling import Settling

_ENDS_LEASES = (DeadLetter, Zombie)
"""What does not befall a message that is about to come back with another one: this comes first."""


class QueueRun(LeasedQueue):
    """The run of the consumers, message by message."""

    def run(self) -> Steps:
        """The steps. Send True for a delivery that was refused."""
        policy, waiting, consumers, told = self.policy, self.waiting, self.consumers, self.told
        # Locals, because looking up attributes costs at every delivery.
        todo, history, anchored, held_lanes, held_by = (
            self.todo, self.history, self.anchored, self.held_lanes, consumers.held_by
        )  # fmt: skip
        open_ = self.open
        in_batches, lane = policy.brings == "batch", self.lane
        # Asked once: most queues have no such bounds.
        bounded = min(policy.outstanding, policy.span) < UNBOUNDED
        while True:
            if not todo:
                caused = self._nothing_to_hand_out()
                if caused is None:
                    return
                yield from self._make(caused)
                continue
            turn = todo.pop()
            if held_lanes and (held := self.held(turn)) is not None:
                held.turns.append(turn)
                continue
            # Only a first delivery takes up room: to the broker, what comes back has never been settled.
            if bounded and waiting.all and turn[3][5] == 1 and (late := self._to_make_room(turn)) is not None:
                todo.append(turn)
                yield from self._make(end_wait(self, late))
                continue
            if consumers.moved:
                turn = consumers.taker(turn, lane(turn))
                if turn[3][0] != DELIVER:
                    yield from self._goes_on(turn)
                    continue
                if waiting.all and (kept := gives_back_first(self, turn)) is not None:
                    todo.append(turn)
                    yield from self._make(end_wait(self, kept))
                    continue
                if self.overlaps and (stopped := overlap.stopped_at(self, consumer_of(turn))) is not None:
                    todo.append(turn)
                    yield from self._make(end_wait(self, stopped))
                    continue
            if open_:
                if policy.lock == "group":
                    turn = with_its_receive(self, turn)
                if keeps_out(self, turn):
                    self.stalled.append(turn)
                    continue
            if anchored.get(turn[3][2]):
                yield from self._goes_wrong(turn)
                continue
            if held_by:
                held_by.pop(turn[1:3], None)  # turn[1:3] is record_of without its call
            refused = yield turn[3]
            history.append(turn)
            if told is not None:
                told.append(StepMade(turn[3], None, bool(refused)))
            if refused is not None and isinstance(refused, Settling):
                settle(self, turn, refused)
            waiting.count += 1
            if in_batches:
                self.batches.join(self.batch_lane(turn), turn, alone=False)
            # Where nothing waits, nothing follows from a delivery.
            if refused or waiting.all:
                caused = self._delivered(turn, bool(refused), None)
                if caused or self.used_up:
                    yield from self._make(caused)

    def _make(self, caused: Caused) -> Steps:
        told = self.told
        if self.used_up:
            caused = [*used_up(self), *caused]
        for step, fault in caused:
            refused = yield step
            if told is not None:
                told.append(StepMade(step, fault, bool(refused)))
            if refused is not None and isinstance(refused, Settling):
                notes(self, refused, len(self.history))
                settle_others(self, step, refused)

    def _goes_wrong(self, turn: Turn) -> Steps:
        """The turn of a message at which something goes wrong, before its delivery, or at it, or after it."""
        faults: list[Any] = self.anchored[turn[3][2]]
        first, told = faults[0], self.told
        if (before := QUEUE_BEFORE.get(type(first))) is not None:
            yield from self._make(self._instead(turn, before))
            return
        if type(first) is Overlap:
            yield from self._overlaps(turn)
            return
        self.consumers.held_by.pop(record_of(turn), None)
        failed: Fail | None = None
        if type(first) is Fail:
            failed = faults.pop(0)
            turn = turn if failed.point else (*turn[:3], step_as(FAIL, turn))
        died = self._death(turn) if failed is None else None
        step = turn[3] if died is None else (dying(died.point), *turn[3][1:])
        if failed is not None and failed.point:
            step = (failing(failed.point), *turn[3][1:])
        answer = yield step
        if told is not None:
            # Of an attempt that failed before the handler was called it has refused nothing.
            told.append(StepMade(step, failed or died, bool(answer) and step[0] != FAIL))
        refused = bool(answer) or (failed is not None and not failed.point)
        self.history.append(turn)
        if answer is not None and isinstance(answer, Settling):
            returns = type(faults[0] if faults else None) in (Duplicate, Redeliver)
            settle(self, turn, answer, returns=returns, dies=died is not None)
        self.waiting.count += 1
        caused = NOTHING
        copied = not refused and died is None and self._comes_at_once(turn)
        if self.policy.brings == "batch":
            self.batches.join(self.batch_lane(turn), turn, alone=copied)
        while copied:
            copy = faults.pop(0)
            # A relay hands nothing out twice: it publishes again, as new messages.
            if self.policy.renewed:
                caused = relay.publish_again(self, SecondRelay(turn, copy))
                break
            self.tell(HandedBack, [turn])
            turn, failed = next_attempt(turn), None
            answer = yield turn[3]
            refused = bool(answer)
            if told is not None:
                told.append(StepMade(turn[3], copy, refused))
            self.history.append(turn)
            if answer is not None and isinstance(answer, Settling):
                settle(self, turn, answer, returns=type(faults[0] if faults else None) in (Duplicate, Redeliver))
            copied = not refused and self._comes_at_once(turn)
        yield from self._make([*caused, *self._delivered(turn, refused, failed, None if refused else died)])

    def _overlaps(self, turn: Turn) -> Steps:
        """The execution of this message stops in the middle."""
        caused, answer = yield from overlap.on_queue(self, turn)
        yield from self._make(caused if answer is None else self._was_run(turn, answer))

    def _goes_on(self, turn: Turn) -> Steps:
        """The execution of this message has begun before."""
        answer = yield turn[3]
        if self.told is not None:
            self.told.append(StepMade(turn[3], None, bool(answer)))
        yield from self._make(self._was_run((*turn[:3], step_as(DELIVER, turn)), answer))

    def _was_run(self, turn: Turn, answer: Answer) -> Caused:
        """What follows from an execution that went on, or that raised before it could stop."""
        self.consumers.held_by.pop(record_of(turn), None)
        self.history.append(turn)
        if answer is not None and isinstance(answer, Settling):
            settle(self, turn, answer)
        self.waiting.count += 1
        if self.policy.brings == "batch":
            self.batches.join(self.batch_lane(turn), turn, alone=False)
        return self._delivered(turn, bool(answer), None)

    def _death(self, turn: Turn) -> Crash | None:
        """What kills the consumer inside the handler. Void where the broker could not show the message again."""
        faults = self.anchored[turn[3][2]]
        if not faults or not isinstance(faults[0], Crash):
            return None
        died = faults[0]
        del faults[0]
        return died if crash.can_die(self, turn) else None

    def _instead(self, turn: Turn, before: Callable[[LeasedQueue, Turn, Any], Caused]) -> Caused:
        """What happens instead of this delivery."""
        faults = self.anchored[turn[3][2]]
        fault = faults[0]
        if isinstance(fault, _ENDS_LEASES):
            taken_over = isinstance(fault, Zombie)
            if (pending := coming_with(self, turn, taken_over=taken_over)) is not None:
                self.todo.append(turn)
                return end_lease(self, pending)
        # Only now: what came first left the fault for the next turn of this message.
        del faults[0]
        return before(self, turn, fault)

    def _comes_at_once(self, turn: Turn) -> bool:
        """Whether a copy of this message, which was just run, comes at once."""
        faults = self.anchored[turn[3][2]]
        return bool(faults) and isinstance(faults[0], Duplicate) and duplicate.at_once_on_queue(self, turn)

    def _delivered(self, turn: Turn, refused: bool, failed: Fail | None, died: Crash | None = None) -> Caused:
        """What follows from a delivery: what else is due, and then what becomes of the message."""
        faults, caused = self.anchored.get(turn[3][2]), NOTHING
        self.ended = None
        if self.came_back:
            self.came_back.clear()
        if self.waiting.all:
            self.arming = turn[3][1] if faults and not refused else -1
            caused = count(self, turn)
            done = not refused and died is None
            if (done and self._has_ended(turn)) or self.is_back(turn):
                # Its receive has just ended with another one, or it came back with another one.
                return [*caused, *crash.on_queue(self, turn, died)] if died is not None and self.own else caused
        if died is not None:
            return [*crash.on_queue(self, turn, died), *caused]
        if refused:
            return [*caused, *fail.on_queue(self, turn, failed)]
        after = QUEUE_AFTER.get(type(faults[0])) if faults else None
        if not faults or after is None or self.tries(turn) >= self.policy.most_deliveries:
            return caused
        return caused if self.has_last_chances(turn) else [*caused, *after(self, turn, faults.pop(0))]

    def _has_ended(self, turn: Turn) -> bool:
        """Whether the receive of this message has just ended."""
        # By itself: where `ended` was set to None a compiler takes it for that, whatever a call has made of it.
        return self.ended is not None and self.ended == self.lane(turn)

    def _to_make_room(self, turn: Turn) -> Waiting | None:
        """What has to end first, where this new message cannot be handed out before."""
        if self.room(turn) > 0:
            return None
        unsettled = [each for each in self.unsettled(turn[1]) if each in self.waiting.all]
        return min(unsettled, key=first_of) if unsettled else None

    def _nothing_to_hand_out(self) -> Caused | None:
        """A stall ends, a lease ends, a zombie runs on, a dead letter comes back, a refused message is tried again;
        None: that was all."""
        if (waiting := self.waiting.first()) is not None:
            return end_wait(self, waiting)
        # A receive that is full has no count of its own to wait for.
        held = next((held for held in self.held_lanes.values() if not held.blocked), None)
        if held is not None:
            self.release(held)
            return NOTHING
        caused = run_out(self) if self.open else None
        if caused is None:
            caused = self._try_again()
        if caused is None and self.open:
            caused = never_settled(self)
        return stuck(self) if caused is None else caused

    def _try_again(self) -> Caused | None:
        """A message that was given up, which may have waited for others; or the end of all that are left."""
        chance = self.refusals.next_chance()
        if chance is None:
            return self.refusals.end(self.history, chain.from_iterable(h.turns for h in self.held_lanes.values()))
        lane, step = chance
        self.batches.open.clear()  # a batch does not wait for what comes so late
        if lane is None:
            return [self.put_back(step, 0, None)]
        held = self.held_lanes[lane]
        self.given_up -= {record_of(turn) for turn in held.turns}
        self.unblock(held)
        return NOTHING
