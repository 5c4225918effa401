"""What a search has shown so far, and why that may be nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import attrs

from chaoskit.execution.overlap import Paused
from chaoskit.execution.script import Run
from chaoskit.execution.stepping import Passed
from chaoskit.search.bounds import bounds_of
from chaoskit.search.distinct import Distinct
from chaoskit.search.oracle import Subject
from chaoskit.values.faults import FaultKind, Overlap
from chaoskit.values.state import same, snapshot
from chaoskit.values.texts import one_line, printed
from chaoskit.values.verdict import Tally

ENOUGH_ASKED = 8
"""Streams with siblings that must have been asked before a pass states that none of these matters: in one of them they
may be equal by chance. A strategy that hardly ever repeats a key gives fewer."""

ENOUGH_MONOTONOUS = 50
"""Streams without two values under one key, after which no other is waited for."""

SAME_AFTER_EACH = "the state was the same after every delivery: does state= give what changes?"
SAME_AT_THE_END = "leaving out any single event never changed the final state: does the test return what changes?"

MOST_OF_A_STATE = 80
"""Characters of a state in a reason."""

MEMORY = 1 << 15
"""Schedules that are remembered so as to run none twice; then the memory starts anew and stays flat."""


@attrs.define
class Evidence:
    """Grows with each schedule that is run. A later search of the same test can go on with it.

    `effective`: the kinds that, alone in a schedule, changed what some key's events were seen as; `changed`: some
    schedule did, `differed`: some was another one than that without faults. `streams` does not count those in which an
    overwrite cannot go wrong, of which there were `monotonous` while no other was met. `siblings`: some stream had two
    events under one key, `two_values`: with two values. `siblings_asked`: in so many streams they were left out one by
    one, `sibling_matters`: this changed what is compared; `event_matters`: leaving out any event did. `only_state`: the
    state in order of the first stream, `state_varied`: another one had another. `distinct` counts
    schedules across searches, where somebody wants to know. `singles_up_to`: the length of the longest stream of which
    every single fault was run; `by_kind`: how many schedules had one of a kind; `mixtures`: how many were run of
    streams of so many events, each of which can have so many kinds. `states_given`:
    there is a state after each delivery, and `state_moved`: it changed, or where there is none the final one did
    without an event. `restarted`: some schedule had a process restart. `points` are those of
    the handler, at those `reached` a process died, and at those `stopped` an execution did; `left_threads`: of
    some of these the thread could not be ended; `started_at`: where the handler starts threads or processes of its own.
    `calls` are those of the handler that can fail, and `failed` those that did.
    `never_settled`: what to say where no run has settled anything, though the handler is to do it.
    `gave_up`: an attempt failed before it had any effect, and that was the end of its message.
    `effects_seen`: in order `deliver.effect(…)` was called.
    """

    streams: int = 0
    streams_seen: int = 0
    schedules: int = 0
    deliveries: int = 0
    effective: set[FaultKind] = attrs.field(factory=set)
    changed: bool = False
    differed: bool = False
    states_given: bool = False
    state_moved: bool = False
    siblings: bool = False
    two_values: bool = False
    monotonous: int = 0
    siblings_asked: int = 0
    sibling_matters: bool = False
    event_matters: bool = False
    only_state: Any = None
    state_varied: bool = False
    all_singles: bool = True
    singles_up_to: int = 0
    by_kind: Counter[FaultKind] = attrs.field(factory=Counter)
    mixtures: Counter[tuple[int, int]] = attrs.field(factory=Counter)
    seen: set[int] = attrs.field(factory=set)
    distinct: Distinct | None = None
    restarted: bool = False
    points: set[Passed] = attrs.field(factory=set)
    started_at: set[str] = attrs.field(factory=set)
    reached: set[Passed] = attrs.field(factory=set)
    calls: set[Passed] = attrs.field(factory=set)
    failed: set[Passed] = attrs.field(factory=set)
    stopped: set[Passed] = attrs.field(factory=set)
    left_threads: bool = False
    effects_seen: bool = False
    gave_up: bool = False
    never_settled: str = ""

    def remember(self, schedule: int) -> None:
        """The hash of a schedule that is run now."""
        if len(self.seen) >= MEMORY:
            # All at once: which hashes are the oldest would be one more thing to remember. At worst a schedule is run
            # twice.
            self.seen.clear()
        self.seen.add(schedule)
        if self.distinct is not None:
            self.distinct.add(schedule)

    def note_state(self, state: Any) -> None:
        """The state after a stream in order."""
        if self.only_state is None:
            self.only_state = snapshot(state)
        elif not self.state_varied:
            self.state_varied = not same(self.only_state, state)

    def note_inside(self, run: Run) -> None:
        """Where processes died inside the handler, executions stopped and calls failed."""
        for death in run.deaths.values():
            if death.before is not None:
                (self.stopped if isinstance(death, Paused) else self.reached).add(death.before)
        self.failed.update(failure.at for failure in run.failures.values())

    @property
    def is_monotonous(self) -> bool:
        """So many streams had no two values under one key that the strategy seems to make no others."""
        return not self.two_values and self.monotonous >= ENOUGH_MONOTONOUS

    def unknown(self, kinds: Sequence[FaultKind], subject: Subject, *, literal: bool = False) -> list[str]:
        """Why nothing was shown of these kinds; empty if something was. `literal`: there are no other streams."""
        if not kinds:
            return ["this broker makes no fault under these settings: there is nothing to try"]
        if not self.schedules:
            return ["no schedule was run"]
        reasons = [self.never_settled] if self.never_settled else []
        if not self.changed:
            reasons.append(self._no_effect(kinds))
        if set(kinds) <= {Overlap} and not self.stopped:
            reasons.append("no execution came to the point at which it was to stop")
        if subject.needs_state:
            reasons += self._state_shows_nothing(1 if literal else ENOUGH_ASKED)
        if subject.looks_at_states and not self.state_moved:
            reasons.append(SAME_AFTER_EACH if self.states_given else SAME_AT_THE_END)
        if subject.needs_effects and not self.effects_seen:
            reasons.append("in order no effect was recorded: call deliver.effect(name, value) where something leaves")
        return reasons

    def _no_effect(self, kinds: Sequence[FaultKind]) -> str:
        if not self.differed:
            return "no fault changed any schedule"
        return (
            f"{', '.join(kind.__name__ for kind in kinds)} never changed the order or the number of times in which a "
            "key's events were seen: allow more events of one key (max_size, fewer keys), or other kinds in `faults`"
        )

    def _state_shows_nothing(self, enough: int) -> Iterator[str]:
        """An event that is alone under its key matters even to a state that shows only which keys there are. So the
        others are asked, where there are any."""
        # It is enough that the state showed it once.
        if self.sibling_matters:
            return
        if self.only_state is not None and not self.state_varied and not self.event_matters:
            state = one_line(printed(self.only_state), MOST_OF_A_STATE)
            yield (
                f"the state was {state} after every run, whatever was delivered: does the handler do "
                "anything with these events (their type, their key), and does the test return what changes?"
            )
        elif self.siblings_asked >= enough:
            equal = "" if self.two_values else ". All values under one key were equal, too: draw different ones"
            yield (
                "of the events that share their key with others, leaving one out never changed the state: return what "
                "each message changes, such as balances or rows, and not only which keys there are, or how many"
                f"{equal}"
            )
        elif not self.event_matters:
            yield "leaving out any single event never changed the state: does the test return what changes?"

    def not_exercised(self) -> list[str]:
        """What the shape of the streams has left out, in a passing search."""
        if not self.siblings:
            return ["no stream had two events under one key: what depends on the order of a key could not go wrong"]
        if not self.two_values:
            return ["no stream had two values under one key: an overwrite in the wrong order could not be seen"]
        return []

    def tally(self, kinds: Sequence[FaultKind], lose: Collection[FaultKind] = ()) -> Tally:
        """What was shown. Of the kinds that `lose` messages nothing was, where what was lost is left out."""
        left_out = self.effective.intersection(lose)
        return Tally(
            # Where all of them were monotonous, none was counted, and 0 would say that nothing was run.
            streams=self.streams or self.streams_seen,
            schedules=self.schedules,
            deliveries=self.deliveries,
            effective=tuple(kind.__name__ for kind in kinds if kind in self.effective - left_out),
            not_tried=tuple(kind.__name__ for kind in kinds if kind not in self.effective),
            left_out=tuple(kind.__name__ for kind in kinds if kind in left_out),
            all_singles=self.all_singles and self.schedules > 0,
            singles_up_to=self.singles_up_to,
            by_kind={kind.__name__: self.by_kind[kind] for kind in kinds if self.by_kind[kind]},
            bounds=tuple(bounds_of(self.mixtures)),
        )
