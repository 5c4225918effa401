"""Stage 2 of a queue: messages are handed out on lease, run, settled, and come back where they were not settled."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import chain
from typing import Any

from chaoskit.models.events import HandedBack, StepMade
from chaoskit.models.faults import QUEUE_AFTER, QUEUE_BEFORE, crash, duplicate, fail, overlap
from chaoskit.models.queue import relay
from chaoskit.models.queue.accepting import accept_again
from chaoskit.models.queue.policy import UNBOUNDED
from chaoskit.models.queue.returns import coming_with, count, end_lease, end_wait, gives_back_first, runs_late
from chaoskit.models.queue.room import first_of, room, unsettled
from chaoskit.models.queue.running_out import never_settled, run_out
from chaoskit.models.queue.settling import keeps_out, notes, settle, settle_others, stuck, used_up, with_its_receive
from chaoskit.models.queue.state import LeasedQueue
from chaoskit.models.queue.waiting import SecondRelay, Waiting
from chaoskit.models.turns import NOTHING, Caused, Turn, consumer_of, next_attempt, record_of, step_as
from chaoskit.values.faults import Crash, DeadLetter, Duplicate, Fail, Overlap, Redeliver, Zombie
from chaoskit.values.scenario import Answer, Steps
from chaoskit.values.schedule import DELIVER, FAIL, Raw, dying, failing
from chaoskit.values.settling import Settling

_ENDS_LEASES = (DeadLetter, Zombie)
"""What does not befall a message that is about to come back with another one: this comes first."""


class QueueRun(LeasedQueue):
    """The run of the consumers, message by message."""

    def run(self) -> Steps:
        """The steps. Send True for a delivery that was refused."""
        waiting, consumers, told = self.waiting, self.consumers, self.told
        # Locals, because looking up attributes costs at every delivery.
        todo, history, anchored, held_lanes = self.todo, self.history, self.anchored, self.held_lanes
        held_by, open_, in_batches = consumers.held_by, self.open, self.policy.brings == "batch"
        # Asked once: most queues have no such bounds.
        bounded = min(self.policy.outstanding, self.policy.span) < UNBOUNDED
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
            if consumers.moved or open_ or (bounded and waiting.all):
                turn, instead = self._taken(turn, bounded)
                if instead is not None:
                    yield from instead
                    continue
            if faults := anchored.get(turn[3][2]):
                yield from self._goes_wrong(turn, faults)
                continue
            if held_by:
                held_by.pop(turn[1:3], None)  # turn[1:3] is record_of without its call
            answer = yield turn[3]
            if told is not None:
                told.append(StepMade(turn[3], None, bool(answer)))
            # Where nothing waits, nothing follows from a delivery.
            if answer is None and not waiting.all and not in_batches:
                history.append(turn)
                waiting.count += 1
            elif (caused := self._was_run(turn, answer)) or self.used_up:
                yield from self._make(caused)

    def _taken(self, turn: Turn, bounded: bool) -> tuple[Turn, Steps | None]:
        """The message for the consumer that takes it, and what happens instead of its delivery, if anything does."""
        # Only a first delivery takes up room: to the broker, what comes back has never been settled.
        if bounded and self.waiting.all and turn[3][5] == 1 and (late := self._to_make_room(turn)) is not None:
            return turn, self._ends_before(late, turn)
        if self.consumers.moved:
            turn = self.consumers.taker(turn, self.lane)
            if turn[3][0] != DELIVER:
                return turn, self._goes_on(turn)
            if self.waiting.given_back and (kept := gives_back_first(self, turn)) is not None:
                return turn, self._ends_before(kept, turn)
            if self.overlaps and (stopped := overlap.stopped_at(self, consumer_of(turn))) is not None:
                return turn, self._ends_before(stopped, turn)
        if self.open:
            if self.policy.lock == "group":
                turn = with_its_receive(self, turn)
            if keeps_out(self, turn):
                self.stalled.append(turn)
                return turn, self._make(NOTHING)
        return turn, None

    def _ends_before(self, waiting: Waiting, turn: Turn) -> Steps:
        """This wait ends before the message is handed out."""
        self.todo.append(turn)
        return self._make(end_wait(self, waiting))

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

    def _goes_wrong(self, turn: Turn, faults: list[Any]) -> Steps:
        """The turn of a message at which something goes wrong, before its delivery, or at it, or after it."""
        first = faults[0]
        if (before := QUEUE_BEFORE.get(type(first))) is not None:
            return self._make(self._instead(turn, before))
        return self._overlaps(turn) if type(first) is Overlap else self._attempted(turn, faults)

    def _attempted(self, turn: Turn, faults: list[Any]) -> Steps:
        """The message is handed out: its attempt fails, or its process dies, or copies of it come at once."""
        self.consumers.held_by.pop(record_of(turn), None)
        failed: Fail | None = faults.pop(0) if type(faults[0]) is Fail else None
        died = self._death(turn) if failed is None else None
        if failed is not None and not failed.point:
            turn = (*turn[:3], step_as(FAIL, turn))
        step = _at_its_point(turn[3], failed or died)
        answer = yield step
        if self.told is not None:
            # Of an attempt that failed before the handler was called it has refused nothing.
            self.told.append(StepMade(step, failed or died, bool(answer) and step[0] != FAIL))
        refused = bool(answer) or (failed is not None and not failed.point)
        self.history.append(turn)
        if answer is not None and isinstance(answer, Settling):
            duplicate.drop_covered(self, turn, faults)
            settle(self, turn, answer, returns=died is None and _comes_again(faults), dies=died is not None)
        self.waiting.count += 1
        copied = not refused and died is None and self._comes_at_once(turn)
        if self.policy.brings == "batch":
            self.batches.join(self.batch_lane(turn), turn, alone=copied)
        caused = NOTHING
        if copied and self.policy.renewed:
            # A relay hands nothing out twice: it publishes again, as new messages.
            caused = relay.publish_again(self, SecondRelay(turn, faults.pop(0)))
        elif copied:
            turn, refused = yield from self._copies(turn, faults)
        # What was copied has had an effect: of a failed attempt nothing is left to be said.
        failed, died = None if copied else failed, None if refused else died
        yield from self._make([*caused, *self._delivered(turn, refused, failed, died)])

    def _copies(self, turn: Turn, faults: list[Any]) -> Generator[Raw, Answer, tuple[Turn, bool]]:
        """The message comes again at once, for each `Duplicate` that is next: the last time, and whether that was
        refused."""
        while True:
            copy = faults.pop(0)
            self.tell(HandedBack, [turn])
            turn = next_attempt(turn)
            answer = yield turn[3]
            if self.told is not None:
                self.told.append(StepMade(turn[3], copy, bool(answer)))
            self.history.append(turn)
            if answer is not None and isinstance(answer, Settling):
                settle(self, turn, answer, returns=_comes_again(faults))
            if answer or not self._comes_at_once(turn):
                return turn, bool(answer)

    def _overlaps(self, turn: Turn) -> Steps:
        """The execution of this message stops in the middle."""
        caused, answer = yield from overlap.on_queue(self, turn)
        if answer is not None:  # it raised before it could stop
            self.consumers.held_by.pop(record_of(turn), None)
            caused = self._was_run(turn, answer)
        yield from self._make(caused)

    def _goes_on(self, turn: Turn) -> Steps:
        """The execution of this message has begun before."""
        answer = yield turn[3]
        if self.told is not None:
            self.told.append(StepMade(turn[3], None, bool(answer)))
        self.consumers.held_by.pop(record_of(turn), None)
        yield from self._make(self._was_run((*turn[:3], step_as(DELIVER, turn)), answer))

    def _was_run(self, turn: Turn, answer: Answer) -> Caused:
        """What follows from this execution."""
        self.history.append(turn)
        if answer is not None and isinstance(answer, Settling):
            settle(self, turn, answer)
        self.waiting.count += 1
        if self.policy.brings == "batch":
            self.batches.join(self.batch_lane(turn), turn, alone=False)
        return NOTHING if not answer and self._is_quiet(turn) else self._delivered(turn, bool(answer), None)

    def _is_quiet(self, turn: Turn) -> bool:
        """Whether nothing follows from this delivery, as mostly while something waits: all that is asked then."""
        waiting, policy = self.waiting, self.policy
        if waiting.count >= waiting.next_due or self.anchored.get(turn[3][2]):
            return False
        if waiting.pending:
            if policy.lock != "message":
                lane = self.lane(turn)
                for pending in waiting.pending:
                    if pending.lane == lane:
                        return False
            if policy.brings == "consumer" and self.consumers.is_full(turn[3][1]):
                return False
        self.ended = None
        if self.came_back:
            self.came_back.clear()
        if waiting.all:
            self.arming = -1
        return True

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
            if taken_over and (late := runs_late(self, turn)) is not None:
                self.todo.append(turn)
                return end_wait(self, late)
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
            stays = self.policy.keeps_receive if refused else bool(faults)
            self.arming = turn[3][1] if stays else -1
            caused = count(self, turn)
            done = not refused and died is None
            if (done and self._has_ended(turn)) or (self.came_back and self.is_back(turn)):
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
        if room(self, turn) > 0:
            return None
        waiting = [each for each in unsettled(self, turn[1]) if each in self.waiting.all]
        return min(waiting, key=first_of) if waiting else None

    def _nothing_to_hand_out(self) -> Caused | None:
        """A stall ends, a lease ends, a zombie runs on, a dead letter comes back, a refused message is tried again;
        None: that was all."""
        if (waiting := self.waiting.first()) is not None:
            return end_wait(self, waiting)
        # A receive that is full has no count of its own to wait for.
        for held in self.held_lanes.values():
            if not held.blocked:
                self.release(held)
                return NOTHING
        caused = run_out(self) if self.open else None
        if caused is None and self.refusals.waits:
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
            return [accept_again(self, step, 0, None)]
        held = self.held_lanes[lane]
        self.given_up -= {record_of(turn) for turn in held.turns}
        self.unblock(held)
        return NOTHING


def _at_its_point(step: Raw, fault: Fail | Crash | None) -> Raw:
    """This delivery, in which a call fails or the process dies at a point of the handler."""
    if isinstance(fault, Crash):
        return (dying(fault.point), *step[1:])
    return (failing(fault.point), *step[1:]) if fault is not None and fault.point else step


def _comes_again(faults: list[Any]) -> bool:
    return bool(faults) and type(faults[0]) in (Duplicate, Redeliver)
