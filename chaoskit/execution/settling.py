"""What the handler of one run settles by itself, delivery by delivery: `deliver(handler, settle="handler")`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

import attrs

from chaoskit.execution.left_open import given_up, shown_again
from chaoskit.execution.script import Script
from chaoskit.values.answers import answer_of
from chaoskit.values.errors import NotSettled, UsageError, did_you_mean
from chaoskit.values.event import EventId, Message
from chaoskit.values.outcome import Outcome
from chaoskit.values.scenario import Answer
from chaoskit.values.schedule import (
    BEGIN,
    DELIVER,
    DIE,
    FAIL,
    GO_ON,
    LOSE,
    PARK,
    REFUSE,
    RESTART,
    SKIP,
    WAIT,
    Raw,
    what_of,
)
from chaoskit.values.settling import Passing, Settles, Settling, Verb, Verbs

SETTLES = ("return", "handler")


class Nacked(Exception):
    """The handler gave the message back, or gave it up, without raising."""


_this = threading.local()


@contextmanager
def unheard() -> Iterator[None]:
    """A process dies: what its context manager settles on the way reaches no broker."""
    _this.unheard = True
    try:
        yield
    finally:
        _this.unheard = False


def settlements_of(settle: object, script: Script, misused: Callable[[str], NoReturn]) -> Settlements | None:
    """None where returning settles. Raises UsageError, through `misused`, where nothing can be settled."""
    if settle == "return":
        return None
    if settle != "handler":
        misused(f"deliver(settle={settle!r}): 'return' or 'handler' is needed{did_you_mean(str(settle), SETTLES)}")
    verbs = script.mailbox.model.verbs
    if not verbs.names:
        misused(f'deliver(handler, settle="handler"): {verbs.otherwise}')
    return Settlements(script, verbs, misused)


def answers(
    settling: Settlements | None,
    steps: Sequence[Raw],
    number: int,
    refused: Container[int],
    first: int = 0,
    gone: Mapping[int, Settling] | None = None,
) -> list[Answer]:
    """What the model learns of the steps up to this number, from the first one on."""
    if settling is None:
        return [(gone or {}).get(at, at in refused) for at in range(first, number)]
    return [settling.answer(steps, at, refused=at in refused) for at in range(first, number)]


class Settlements:
    """`settles` is what was settled in each delivery, by the number of its step."""

    def __init__(self, script: Script, verbs: Verbs, misused: Callable[[str], NoReturn]) -> None:
        self._script, self._verbs, self._misused = script, verbs, misused
        self.settles: dict[int, Settles] = {}
        self.is_over = False
        self._now: list[tuple[Verb, int]] = []
        self._done: set[int] = set()
        self._again: set[int] = set()
        self._left: dict[EventId, None] = {}
        self._begun: dict[int, int] = {}
        """The step at which an execution began, by its consumer."""
        self._born: dict[int, int] = {}
        """The step at which a consumer process began anew."""
        self._given: dict[int, list[int]] = {}
        """The deliveries of each consumer process."""
        self.has_exited: Callable[[], bool] = lambda: False
        """Whether the process of the last delivery has ended by itself: a loop that was left."""

    @property
    def is_live(self) -> bool:
        """Whether the model goes along from the first step on, as no answers were recorded."""
        return self._script.settled is None and self._script.faults is not None and self._script.retries is None

    @property
    def has_settled(self) -> bool:
        return bool(self._done)

    def mail(self, present: Callable[[], int]) -> Callable[[Raw], Message]:
        """From a delivery to a message that its handler can settle. `present` is the number of the step."""
        message = self._script.mailbox.message

        def letter(step: Raw) -> Message:
            made = message(step)
            made.settles_by(partial(self._settle, present(), step[1]))
            self._given.setdefault(step[1], []).append(present())
            if len(step) > 5 and step[5] > 1:
                self._again.add(present())
            return made

        return letter

    def _settle(self, number: int, consumer: int, verb: Verb | Passing) -> None:
        # A handler without `spawn` has what a dead process had, and nobody else would.
        if self.is_over or getattr(_this, "unheard", False) or number < self._born.get(consumer, 0):
            return
        if verb == "pass":
            if number not in self._done:
                self._now.append((self._verbs.names[0], number))
            return
        if verb not in self._verbs.names:
            self._misused(f"message.{verb}(): this broker has no such verb; {self._verbs.why_not(verb)}")
        if verb == "commit" or verb == "extend":
            self._now.append((verb, number))
            self._done.update((number,) if verb == "commit" else ())
            return
        if number in self._done and self._verbs.once:
            raise NotSettled(verb, "it is settled already")
        if number not in self._done:
            self._done.add(number)
            self._now.append((verb, number))

    def holds(self, number: int) -> None:
        """What comes in one call with this message is still to come."""
        self.settles[number] = ()

    def goes_back_to(self, message: Message) -> None:
        """The loop has set its position back to this message, and it is read again."""
        if (settlement := getattr(message, "_settlement", None)) is not None:
            self._now.append(("nack", settlement.args[0]))

    def comes_again(self, message: Message) -> bool:
        """Whether its broker had handed it out before this delivery."""
        settlement = getattr(message, "_settlement", None)
        return settlement is not None and settlement.args[0] in self._again

    def leaves(self, message: Message) -> None:
        """Nobody asks for this message, which stays with a consumer that is dead."""
        self._left[message.id] = None

    def took(self, number: int, step: Raw, error: Exception | None) -> Exception | None:
        """The delivery is over, and this was raised. What refuses its message, if anything does."""
        if self._script.faults is not None and self.has_exited():
            self._gives_back(number, step[1], raised=error is not None)
        self.settles[number] = tuple(self._now)
        self._now.clear()
        if what_of(step) == BEGIN:
            self._begun[step[1]] = number
            if error is None:  # what was settled by then is reported when it is done
                return None
        own = self._begun[step[1]] if step[0] == GO_ON else number
        mine = {verb for each in range(own, number + 1) for verb, at in self.settles.get(each, ()) if at == own}
        if error is not None:
            # In order nothing may raise; else a message that is settled is gone, whatever follows.
            return error if self._script.faults is None or mine.isdisjoint(("ack", "commit")) else None
        if "nack" in mine and self._script.faults is None:
            event = self._script.mailbox.model.stream[step[2]]
            self._misused(
                f"the handler called message.nack() on event {event.id!r} ({event.value!r}) although everything came "
                "once and in order: given back, it would come again at once, and so for ever"
            )
        given = next((verb for verb in ("nack", "reject") if verb in mine), None)
        return None if given is None else Nacked(f"the handler called message.{given}()")

    def _gives_back(self, number: int, consumer: int, *, raised: bool) -> None:
        """Its process has ended: what it had in hand comes again, of a log from the commit on."""
        given = self._given.pop(consumer, [])
        held = [at for at in given if at >= self._born.get(consumer, 0) and at not in self._done]
        if "commit" in self._verbs.names:
            held = [number] if any(at != number for at in held) else []
        elif raised:  # what it raised at is refused
            held = [at for at in held if at != number]
        self._now += [("nack", at) for at in held]

    def passed(self, steps: Sequence[Raw], number: int) -> None:
        """This step is over."""
        step = steps[number]
        if step[0] == RESTART or what_of(step) == DIE:
            self._born[step[1]] = number + 1

    def is_as_recorded(self, number: int) -> bool:
        return self.settles.get(number) == (self._script.settled or {}).get(number)

    def answer(self, steps: Sequence[Raw], number: int, *, refused: bool) -> Answer:
        settles = self.settles.get(number)
        return refused if settles is None else answer_of(steps, number, self.settles, refused=refused)

    # What came of the run.

    def judged(self, outcome: Outcome, steps: Sequence[Raw], refusals: Sequence[int]) -> Outcome:
        """The outcome with what was never settled, and what was never delivered because of that. What the handler had
        settled and then lost is missed, as nobody chose that; what its broker gave up may be there or not."""
        events = self._script.mailbox.model.stream.events
        refused = set(refusals)
        opened = self._open(steps, refused)
        held = len(opened)
        self._close(opened, steps, tuple(self._now))  # in the clean stop
        seen = {step[2] for step in steps if what_of(step) in (DELIVER, GO_ON)}
        stuck = tuple(dict.fromkeys(events[s[2]].id for s in steps if s[0] == WAIT and s[2] not in seen))
        holds = f"{held} unacknowledged of {self._verbs.bound.format(held)}" if stuck and held else ""
        if holds and self._script.faults == ():
            raise UsageError(
                f"the handler holds {holds}: nothing more is delivered, and {', '.join(map(str, stuck))} never came. "
                "Settle before so many are held, or raise that setting"
            )
        outcome = self._with_what_is_left(outcome, opened, steps, refused)
        if holds and outcome.lost:  # which what it holds may wait for
            return attrs.evolve(outcome, unseen=tuple(dict.fromkeys((*outcome.unseen, *stuck))))
        return attrs.evolve(outcome, stuck=stuck, holds=holds) if holds else outcome

    def _with_what_is_left(
        self, outcome: Outcome, opened: Mapping[tuple[int, int], int], steps: Sequence[Raw], refused: set[int]
    ) -> Outcome:
        """With what was never settled. Where leases run out that has shown by now; where they do not, what stays open
        may wait for more to come. Of a run that others are compared with: all that is open."""
        events, verbs = self._script.mailbox.model.stream.events, self._verbs
        settled = {events[position].id for position in self._settled(steps)}
        half_done = [id_ for id_ in outcome.half_done if id_ not in settled]
        stopped = {steps[at][2] for verb, at in self._now if verb != "extend"}  # what a clean stop settled had waited
        given = given_up(steps, refused, self.settles, verbs.shows) if verbs.shows else ()
        gone = [step for step in given if step[2] not in stopped]
        used_up = dict.fromkeys(events[step[2]].id for step in gone if verbs.gives_up or step[0] != REFUSE)
        never = dict.fromkeys(events[step[2]].id for step in gone if events[step[2]].id not in used_up)
        self._must_be_settled(never)
        # Nobody can say whether the handler had done something before it returned.
        skipped = (events[step[2]].id for step in steps if step[0] == SKIP)
        half_done += [id_ for id_ in skipped if id_ not in settled and id_ not in used_up and id_ in outcome.delivered]
        if self._script.faults is None or self._script.retries is not None:
            never.update(dict.fromkeys(events[steps[at][2]].id for at in opened.values()))
        elif not verbs.shows:
            never.update(dict.fromkeys(self._forgotten(opened, steps)))
        if "commit" in verbs.names:
            never.clear()
        left = tuple(id_ for id_ in self._left if id_ not in settled)
        half_done = list(dict.fromkeys(half_done))
        return attrs.evolve(
            outcome, half_done=tuple(half_done), unsettled=tuple(never), used_up=tuple(used_up), left=left
        )

    def _must_be_settled(self, never: Collection[EventId]) -> None:
        if self._script.faults is None:
            for id_ in never:
                raise UsageError(
                    f"the handler returned from event {id_!r} again and again and never settled it, although "
                    "everything came once and in order: it comes again for ever. Settle it on every way out of the "
                    "handler"
                )

    def shown_again(self, steps: Sequence[Raw], refused: Collection[int]) -> list[Raw]:
        """What comes again where all these steps are over, and no model says it."""
        opened = self._open(steps, set(refused))
        return shown_again(opened.values(), steps, self.settles, self._verbs)

    def _settled(self, steps: Sequence[Raw]) -> Iterator[int]:
        """The positions of the events of which the handler has settled a message."""
        for settles in self.settles.values():
            for verb, at in settles:
                _, _, position, lane, offset, *_ = steps[at]
                if verb != "extend":
                    yield position
                if verb == "commit" or self._verbs.up_to:
                    before = (step for step in steps[:at] if step[2] >= 0)
                    yield from (step[2] for step in before if step[3] == lane and step[4] <= offset)

    def _open(self, steps: Sequence[Raw], refused: set[int]) -> dict[tuple[int, int], int]:
        """The last delivery of each message that was not settled."""
        opened: dict[tuple[int, int], int] = {}
        attempts: dict[tuple[int, int], int] = {}
        for number, step in enumerate(steps):
            record, do = (step[3], step[4]), what_of(step)
            attempt = step[5] if len(step) > 5 else 0
            if do in (DELIVER, DIE, BEGIN) and attempt >= attempts.get(record, 0):
                attempts[record] = attempt
                opened[record] = number
            if number in refused or do in (PARK, SKIP, REFUSE, LOSE, FAIL):
                opened.pop(record, None)
            self._close(opened, steps, self.settles.get(number, ()))
        return opened

    def _close(self, opened: dict[tuple[int, int], int], steps: Sequence[Raw], settles: Settles) -> None:
        for verb, at in settles:
            lane, offset = steps[at][3], steps[at][4]
            if verb == "extend" or (opened.get((lane, offset)) != at and not self._verbs.late_counts):
                continue
            opened.pop((lane, offset), None)
            if verb == "commit" or self._verbs.up_to:  # and all before it
                for record in [record for record in opened if record[0] == lane and record[1] < offset]:
                    del opened[record]

    def _forgotten(self, opened: Mapping[tuple[int, int], int], steps: Sequence[Raw]) -> tuple[EventId, ...]:
        """What its consumer did not settle though it settled what came later under the same key. What is open at the
        end may wait for more to come."""
        events, last = self._script.mailbox.model.stream.events, dict[tuple[int, object], int]()
        for settles in (*self.settles.values(), tuple(self._now)):
            for verb, at in settles:
                if verb != "extend":
                    place = steps[at][1], events[steps[at][2]].key
                    last[place] = max(at, last.get(place, -1))
        return tuple(
            events[steps[at][2]].id
            for at in sorted(opened.values())
            if last.get((steps[at][1], events[steps[at][2]].key), -1) > at
        )
