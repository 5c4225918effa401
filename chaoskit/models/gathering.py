"""Deliveries that come in one call: which ones can, and what a run makes of a call that failed.

A run hands out one message at a time. A batch is a cut over consecutive deliveries of one consumer: the run goes on as
if all of them were taken, and where some were not it is made again with the true answers. What it does not show again
by itself, because it had never come so far, was shown in the call that failed, too (`_failed`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import attrs

from chaoskit.models.pacing import Gathered, Paced, sent
from chaoskit.models.stopped_calls import StoppedCall, stopped_below, stopped_call
from chaoskit.models.turns import Record
from chaoskit.values.event import EventId
from chaoskit.values.faults import Crash, Fault, Gather, Overlap, Redeliver
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import (
    BATCH,
    BEGIN,
    DELIVER,
    DIE,
    GO_ON,
    TAKE_OVER,
    Raw,
    beginning,
    dying,
    gathered,
    what_of,
)

Carried = Redeliver | Crash | Overlap
"""What meets one message and befalls its whole call."""
_CALLS = (DELIVER, DIE, BEGIN)


@attrs.frozen
class _Call:
    """The messages of one call, under the faults that keep it whole; `death` is what kills the process in it, `fault`
    what gathered them; and where it stops in the middle, `stops` is the run in which its consumer loses them then."""

    members: list[Raw]
    faults: list[Fault]
    windows: dict[int, int]
    death: Crash | None
    comes_again: bool
    fault: Gather | None
    play: Steps
    """Which has made these deliveries, all of them taken; or is at the first, where the process dies."""
    step: Raw | None
    stops: StoppedCall | None = None


class Gathering:
    """One run of a model for a handler that takes batches. `made` has each step with the number of the step of the
    inner run that it is, None for those that only a call has, and with what gathered a batch."""

    def __init__(self, model: Gathered, faults: Sequence[Fault]) -> None:
        self._model = model
        self.faults: list[Fault] = [fault for fault in faults if not isinstance(fault, Gather)]
        self._wanted: dict[EventId, list[Gather]] = {}
        for fault in sorted(fault for fault in faults if isinstance(fault, Gather)):
            self._wanted.setdefault(fault.at, []).append(fault)
        self.made: list[tuple[Raw, int | None, Fault | None]] = []
        self.origin: dict[Fault, Fault] = {}
        """Of what stands for a fault that met a message in the middle of a batch."""
        self.answers: list[bool] = []
        self.windows: dict[int, int] = {}
        self._again: list[list[Record]] = []
        self._shown: dict[Hashable, int] = {}
        self._seen: set[int] = set()
        self._taken_over = False
        self._stopped: list[StoppedCall] = []
        """The calls that have not gone on."""
        self._taken: dict[Hashable, tuple[int, bool]] = {}
        """What a call has shown before the run came so far: its place, and whether it failed."""
        self._play, self._step = self._advanced(self.faults, self.windows)

    def _advanced(self, faults: Sequence[Fault], windows: dict[int, int]) -> tuple[Steps, Raw | None]:
        play = Paced(self._model, faults, windows).run()
        step = sent(play, None)
        for answer in self.answers:
            step = sent(play, answer)
        return play, step

    def _take(self, answer: bool) -> None:
        self.answers.append(answer)
        self._step = sent(self._play, answer)

    def run(self) -> Steps:
        """The steps. Before the deliveries of a batch stands a step that says how many they are."""
        while (step := self._step) is not None:
            self._taken_over = self._taken_over or step[0] == TAKE_OVER
            if (stopped := next((each for each in self._stopped if step in each.late), None)) is not None:
                yield from self._goes_on(stopped, step)
                continue
            if step[0] == DELIVER and (taken := self._taken.pop(_message(step), None)) is not None:
                made = self.made[taken[0]]  # it is settled, and nobody is shown more than a copy of it again
                self.made[taken[0]] = made[0], len(self.answers), made[2]
                self._take(taken[1])
                continue
            call = self._call(step)
            if call is not None:
                yield from self._hand_over(call)
                continue
            number = len(self.answers)
            refused = bool((yield self._make(step, number)))
            self._seen.add(step[2])
            self._take(refused)

    def _make(self, step: Raw, number: int | None, fault: Fault | None = None) -> Raw:
        if self._shown and self._model.counts and step[0] != BATCH and len(step) > 5:
            more = self._shown.get(_message(step), 0)
            step = (*step[:5], step[5] + more, *step[6:])
        self.made.append((step, number, fault))
        return step

    # Which deliveries come in one call.

    def _call(self, step: Raw) -> _Call | None:
        if what_of(step) not in _CALLS:
            return None
        size, only, fault = self._asked(step)
        # What an owner that was taken for dead runs on it has fetched before.
        if size < 2 or self._taken_over:
            return None
        found, faults, carried, play, following = self._ahead(size, only)
        if len(found) < 2:
            return None
        if carried is None and not self._model.paced:  # what was played ahead is the run itself
            return _Call(found, faults, self.windows, None, False, fault, play, following)
        return self._kept_whole(found, faults, carried, fault)

    def _asked(self, step: Raw) -> tuple[int, list[Record] | None, Gather | None]:
        """How many are to come with this one: what failed together, or what a fault says."""
        record = step[3], step[4]
        for batch in self._again:
            if batch[0] == record:
                self._again.remove(batch)
                return len(batch), batch, None
        wanted = self._wanted.get(self._model.ids[step[2]])
        if not wanted:
            return 1, None, None
        fault = wanted.pop(0)
        return min(fault.more + 2, self._model.most_together), None, fault

    def _ahead(
        self, size: int, only: list[Record] | None
    ) -> tuple[list[Raw], list[Fault], tuple[int, Carried] | None, Steps, Raw | None]:
        """The deliveries that come next if all are taken. What brings one of them back befalls the call, and not the
        message, and is set aside: one such fault, with the place of its message."""
        faults, carried = list(self.faults), None
        while True:
            run = Paced(self._model, faults, self.windows, len(self.answers))
            play = run.run()
            step, members = sent(play, None), list[Raw]()
            for answer in self.answers:
                step = sent(play, answer)
            if step is not None:
                size = min(size, self._model.room(run.inner, step))
            met: Carried | None = None
            while step is not None and len(members) < size and self._joins(members, step, only):
                left = self._left(run, step, faults)
                if left:
                    met = left[0] if carried is None and len(left) == 1 and self._can_carry(left[0], step) else None
                    break
                members.append(step)
                step = sent(play, False)
            if met is None:
                return members, faults, carried, play, step
            carried = len(members), met
            faults.remove(met)

    def _left(self, run: Paced, step: Raw, faults: Sequence[Fault]) -> list[Any]:
        """What still goes wrong at this delivery."""
        if what_of(step) != DELIVER:
            kind = Crash if what_of(step) == DIE else Overlap
            return [fault for fault in faults if isinstance(fault, kind) and fault.at == self._model.ids[step[2]]]
        return list(run.anchored.get(step[2], ()))

    def _can_carry(self, fault: Any, step: Raw) -> bool:
        # A fault fires at the first delivery of its event, and so has to stand at one that was not delivered yet.
        stops = isinstance(fault, Overlap) and (not fault.others or self._model.counts)  # beside others: on no log
        return (isinstance(fault, (Redeliver, Crash)) or stops) and step[2] not in self._seen

    def _joins(self, members: Sequence[Raw], step: Raw, only: list[Record] | None) -> bool:
        record = step[3], step[4]
        if what_of(step) not in _CALLS or _message(step) in self._taken:
            return False
        if only is not None:
            return len(members) < len(only) and only[len(members)] == record
        if not members:
            return True
        first, lane_of = members[0], self._model.lane_of
        if step[1] != first[1] or (self._model.handover.one_lane and lane_of(step) != lane_of(first)):
            return False
        return all(record != (member[3], member[4]) for member in members)

    def _kept_whole(
        self,
        members: list[Raw],
        faults: list[Fault],
        carried: tuple[int, Carried] | None,
        cause: Gather | None,
    ) -> _Call | None:
        """The call, if the run makes these deliveries in a row under the faults that befall it."""
        number, lanes = len(self.answers), [self._model.lane_of(member) for member in members]
        windows = {**self.windows, **{number + i: lanes[i:].count(lane) for i, lane in enumerate(lanes)}}
        befalls = None if carried is None else carried[1]
        death = befalls if isinstance(befalls, Crash) else None
        if carried is not None:
            if members[0][2] in self._seen:
                return None
            faults = [*faults, *self._placed(members, lanes, *carried)]
        play, step = self._advanced(faults, windows)
        if death is not None:
            fits = step is not None and what_of(step) == DIE and step[1:] == members[0][1:]
        else:
            fits = True
            for member in members:
                fits = fits and step == member
                step = sent(play, False) if fits else None
        stops = self._lost(members, faults, befalls) if fits and isinstance(befalls, Overlap) else None
        if not fits or (stops is None and isinstance(befalls, Overlap)):
            return None
        returns = befalls is not None and stops is None
        return _Call(members, faults, windows, death, returns, cause, play, step, stops)

    def _lost(self, members: list[Raw], faults: Sequence[Fault], fault: Overlap) -> StoppedCall | None:
        """The run in which the consumer of this call loses all of it, or is slow with it; None where it cannot."""
        below = stopped_below(self._model, members, fault)
        self._standing_for(fault, below)
        return stopped_call(self._model, (self.windows, self.answers), members, fault, [*faults, below])

    def _placed(self, members: Sequence[Raw], lanes: Sequence[Hashable], place: int, fault: Carried) -> Iterator[Fault]:
        """What brings a whole call back, or what of it the broker brings back with the message at this place."""
        if isinstance(fault, Overlap):
            return
        ids, last = [self._model.ids[member[2]] for member in members], len(members) - 1
        until = max(fault.after + place, last)
        if isinstance(fault, Crash):
            yield self._standing_for(fault, attrs.evolve(fault, at=ids[0]))
        elif not self._model.counts:  # a log, whose commit stands before the call
            yield self._standing_for(fault, Redeliver(ids[0], until))
        elif self._model.handover.whole:
            for number, lane in enumerate(lanes):
                if lane is None or lane not in lanes[:number]:
                    yield self._standing_for(fault, Redeliver(ids[number], until - number))
        else:
            yield self._standing_for(fault, Redeliver(fault.at, until - place))

    def _standing_for(self, fault: Fault, other: Fault) -> Fault:
        if other != fault:
            self.origin[other] = self.origin.get(fault, fault)
        return other

    # The call, and what becomes of it.

    def _hand_over(self, call: _Call) -> Steps:
        members, number, place, stops = call.members, len(self.answers), len(self.made) + 1, call.stops
        first = members[0]
        yield self._make((gathered(len(members)), *first[1:5]), None, call.fault)
        flags = []
        for offset, member in enumerate(members):
            self._seen.add(member[2])
            step = member if call.death is None else (dying(call.death.point), *member[1:])
            inner = number + offset if call.death is None or not offset else None
            if stops is not None:
                step, inner = (beginning(stops.fault.point), *member[1:]), None
            flags.append(bool((yield self._make(step, inner, None if stops is None else stops.fault))))
        self.faults, self.windows = call.faults, call.windows
        self._play, self._step = call.play, call.step
        if any(flags):
            self._play, self._step = self._advanced(self.faults, self.windows)
            self._comes_again([member for member, failed in zip(members, flags, strict=True) if failed])
            yield from self._failed(members, flags, place)
        elif stops is not None:
            self.faults, self._play, self._step = stops.faults, stops.play, stops.step
            stops.begun = [step for step, _, _ in self.made[place:]]
            self._stopped.append(stops)
        elif call.death is not None:
            self._comes_again(members)
            self._take(False)
            self._was_shown(members[1:])
        else:
            if call.comes_again and self._model.handover.whole:
                self._comes_again(members)
            self.answers += [False] * len(members)

    def _goes_on(self, stopped: StoppedCall, step: Raw) -> Steps:
        """A call that has stopped is run to its end, with the first that its consumer runs of it."""
        begun = stopped.begun
        if begun:
            flags = []
            self.made.append(((gathered(len(begun)), *begun[0][1:5]), None, stopped.fault))
            yield self.made[-1][0]
            for offset, (each) in enumerate(begun):
                self.made.append(((GO_ON, *each[1:]), None if offset else len(self.answers), stopped.fault))
                flags.append(bool((yield self.made[-1][0])))
            stopped.begun = []
            self._comes_again(stopped.ends(flags))
        stopped.late.remove(step)
        self._take(bool(stopped.refused and stopped.refused.pop(0)))

    def _failed(self, members: Sequence[Raw], flags: Sequence[bool], place: int) -> Steps:
        """The run with the true answers. Where it shows what failed again before the rest of the call, it never came so
        far as to hand out the rest, which this call had shown nevertheless."""
        aside: list[tuple[Raw, int]] = []
        done = 0
        for done, failed in enumerate(flags, start=1):
            self._take(failed)
            if done == len(flags):
                break
            # What is parked or skipped at once is so when the call is over.
            while self._step is not None and what_of(self._step) not in (*_CALLS, GO_ON):
                aside.append((self._step, len(self.answers)))
                self._take(False)
            if self._step != members[done]:
                break
        for offset in range(done, len(members)):
            step, _, fault = self.made[place + offset]
            self.made[place + offset] = step, None, fault
        # Its numbers in the inner run, which has made other steps between.
        for offset, inner in enumerate(self._numbers(done, aside)):
            step, _, fault = self.made[place + offset]
            self.made[place + offset] = step, inner, fault
        for offset, member in enumerate(members[done:], start=done):
            if flags[offset] and not self._model.handover.anew:
                self._was_shown([member])
            else:
                self._taken[_message(member)] = place + offset, flags[offset]
        for step, inner in aside:
            yield self._make(step, inner)

    def _numbers(self, done: int, aside: Sequence[tuple[Raw, int]]) -> list[int]:
        """Those of the members that the inner run has made, which are the last but what was set aside."""
        gone = {inner for _, inner in aside}
        found = [number for number in range(len(self.answers)) if number not in gone]
        return found[-done:] if done else []

    def _was_shown(self, members: Sequence[Raw]) -> None:
        """In a call that counts, though the run hands them out for the first time only later."""
        for member in members:
            self._shown[_message(member)] = self._shown.get(_message(member), 0) + 1

    def _comes_again(self, members: Sequence[Raw]) -> None:
        records = [(member[3], member[4]) for member in members]
        again = self._model.handover.again
        half = len(records) // 2
        if again == "halves":
            self._again += [part for part in (records[:half], records[half:]) if part]
        elif again == "same":
            self._again.append(records)


def _message(step: Raw) -> Hashable:
    """The same for each delivery of one message, wherever it stands by then."""
    return step[2], step[6:]
