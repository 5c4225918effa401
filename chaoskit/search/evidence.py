"""What a search has shown so far, and why that may be nothing."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from chaoskit.faults import FaultKind
from chaoskit.search.distinct import Distinct
from chaoskit.search.subject import Subject
from chaoskit.verdict import Tally

MEMORY = 1 << 15
"""Schedules that are remembered so as to run none twice; then the memory starts anew and stays flat."""


@attrs.define
class Evidence:
    """Grows with each schedule that is run. A later search of the same test can go on with it.

    `effective`: the kinds that, alone in a schedule, changed what some key's events were seen as; `possible`: those
    that found something to act on. `streams` does not count those in which an overwrite cannot go wrong. `distinct`
    counts schedules across searches, where somebody wants to know. `restarted`: some schedule had a process restart.
    """

    streams: int = 0
    streams_seen: int = 0
    schedules: int = 0
    deliveries: int = 0
    effective: set[FaultKind] = attrs.field(factory=set)
    possible: set[FaultKind] = attrs.field(factory=set)
    changed: bool = False
    state_moved: bool = False
    two_values: bool = False
    event_matters: bool = False
    all_singles: bool = True
    seen: set[int] = attrs.field(factory=set)
    distinct: Distinct | None = None
    restarted: bool = False

    def remember(self, schedule: int) -> None:
        """The hash of a schedule that is run now."""
        if len(self.seen) >= MEMORY:
            self.seen.clear()
        self.seen.add(schedule)
        if self.distinct is not None:
            self.distinct.add(schedule)

    def unknown(self, kinds: Sequence[FaultKind], subject: Subject) -> list[str]:
        """Why nothing was shown of these kinds, or less than was asked for; empty if it was."""
        if not kinds:
            return ["this broker makes no fault under these settings: there is nothing to try"]
        if not self.schedules:
            return ["no schedule was run"]
        reasons = []
        if not self.effective and not self.changed:
            reasons.append("no fault changed any schedule")
        idle = [kind.__name__ for kind in kinds if kind not in self.effective and not self._idle_by_nature(kind, kinds)]
        if idle and not reasons:
            reasons.append(
                f"{', '.join(idle)} never changed the order or the number of times in which a key's events were "
                "seen: allow more events of one key (max_size, fewer keys), or narrow `faults`"
            )
        if not self.two_values:
            reasons.append(
                "no stream had two different values under one key: an overwrite in the wrong order is unseen"
            )
        if subject.needs_state and not self.event_matters:
            reasons.append("leaving out any single event never changed the state: does the test return what changes?")
        if subject.needs_states and not self.state_moved:
            reasons.append("the state was the same after every delivery: does state= give what changes?")
        return reasons

    def _idle_by_nature(self, kind: FaultKind, kinds: Sequence[FaultKind]) -> bool:
        """No stream had anything on which it could act (a second lane to stall, a body that repeats), and it was not
        all that was asked."""
        return kind not in self.possible and len(kinds) > 1

    def tally(self, kinds: Sequence[FaultKind]) -> Tally:
        return Tally(
            streams=self.streams or self.streams_seen,
            schedules=self.schedules,
            deliveries=self.deliveries,
            effective=tuple(kind.__name__ for kind in kinds if kind in self.effective),
            not_tried=tuple(kind.__name__ for kind in kinds if kind not in self.effective),
            all_singles=self.all_singles and self.schedules > 0,
        )
