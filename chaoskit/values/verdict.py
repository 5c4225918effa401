"""The answer: held, violated or unknown, and everything that a report needs to say why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import attrs

from chaoskit.values.boundary import Boundary
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import CUTS, Fault
from chaoskit.values.invariant import Violation
from chaoskit.values.outcome import Effect, Outcome
from chaoskit.values.planted import SelfCheck
from chaoskit.values.repair import Clash, Later, Repair
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Schedule
from chaoskit.values.texts import for_log
from chaoskit.values.tolerance import Tolerance

Status = Literal["held", "violated", "unknown"]
Label = Literal["within", "across keys", "not decided"]
Loss = Literal["left out", "violation"]
"""What becomes of a message that the settings lose without a refusal: it is left out of what is compared with, or its
missing effect is a violation."""


@attrs.frozen
class Bound:
    """A bug that needs so many given `faults` at once, each of a kind at a message, was met with at least this
    `probability`, in streams of up to so many `events`."""

    faults: int
    events: int
    probability: float


@attrs.frozen
class Tally:
    """What a search tried.

    `schedules`: distinct schedules run, references not counted. `effective`: the kinds of fault that, alone in a
    schedule, changed the order or the number of times in which some key's events were seen; `not_tried`: the others.
    `left_out`: those that came about, of which nothing is reported: the comparison was made without what they lost.
    `all_singles`: every schedule with a single fault was run, for every stream. `saturated`: the search ended since it
    saw nothing new any more. `singles_up_to`: the length of the longest stream for which every single fault was run.
    `by_kind`: in how many of the schedules a kind was. `bounds`: what the mixtures promise.
    """

    streams: int = 0
    schedules: int = 0
    deliveries: int = 0
    effective: tuple[str, ...] = ()
    not_tried: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    all_singles: bool = False
    saturated: bool = False
    singles_up_to: int = 0
    by_kind: Mapping[str, int] = attrs.field(factory=dict)
    bounds: tuple[Bound, ...] = ()


@attrs.frozen(eq=False)
class States:
    """The state along the way: after each event of the stream `in_order`, and after each step of the schedule as
    `observed`. None where there is none: the test raised there, or returned nothing.

    `first_difference` is the number of the first step, counted from 1, after which something that must hold does not;
    final states are compared only where both runs have handled the same events. `initial` is the state before any step.
    """

    in_order: tuple[Any, ...]
    observed: tuple[Any, ...]
    first_difference: int | None = None
    initial: Any = None


@attrs.frozen
class Exhausted:
    """Every schedule of `streams` of up to so many `events` under up to so many `faults`: how many distinct
    `schedules` there are, equal ones counted once, and how many `runs` of the test that took. With `independent_keys`
    of those that show each key the same only one was run; that this is right was seen in so many that were `compared`.
    """

    events: int
    faults: int
    schedules: int
    runs: int
    streams: int
    independent_keys: bool = False
    compared: int = 0


DamageKind = Literal[
    "applied twice",
    "not applied",
    "applied in the wrong order",
    "applied to a stale state",
    "half applied",
    "two executions of one key at once",
    "depends on another key",
    "depends on the process's memory",
    "lost by the settings",
]


@attrs.frozen
class Damage:
    """What became of the `events`, as runs have shown: other deliveries that give the same state, or mend it.

    `step` is the number of the delivery, counted from 1, after which the states first part, and `place` the first field
    in which they do; None and empty where the states along the way are not known."""

    kind: DamageKind
    events: tuple[EventId, ...] = ()
    step: int | None = None
    place: str = ""


@attrs.frozen(eq=False)
class Verdict:
    """The result of `check`, `run` and `replay`.

    `status` is "held", "violated" (`violations`, and the minimal `scenario` with its `schedule`, `expected` and
    `observed` states) or "unknown" (`reasons`). `label` says which order the failure breaks: "within" a partition
    or key, which the broker promises; "across keys", which it never fixed; or "not decided".
    `also` names other kinds of fault that fail alike on the minimal stream. `found` and `found_faults` are the scenario
    as the search met it, before shrinking, where the stream is not one of `events(…)`; `is_part`: the minimal stream is
    a part of it that nobody may send by itself. `fewer`: the stream is one that its strategy drew whole, of which it is
    not known what may be left out, and so many events of the one that was met fail by themselves; else 0. `states` are
    there for a violated verdict whose schedule is not too long. `versions` are those that a saved verdict was found
    with; None: those of now. `loss` is what was asked of messages that are lost. `memory_kept`: what the handler held
    in memory survived restarts; None where that is not known. `read`: the fields of a message's value in the order in
    which the handler read them first. `damage`: what became of which events, where runs could tell. `exhausted`: what
    was tried, where every schedule was. `boundary`: what has to stay in order, `tolerance`: which kinds of fault it
    survives, and `self_check`: the known bugs that the test would have noticed; None where nobody has asked. `advice`
    is found when `repairs` or `clashes` are asked for, which runs the test again. `expected_effects` and
    `observed_effects` are those that `deliver.effect(…)` recorded in the two runs.
    """

    status: Status
    violations: tuple[Violation, ...] = ()
    reasons: tuple[str, ...] = ()
    scenario: Scenario | None = None
    schedule: Schedule | None = None
    label: Label | None = None
    expected: Any = None
    observed: Any = None
    expected_effects: tuple[Effect, ...] = ()
    observed_effects: tuple[Effect, ...] = ()
    reference: Outcome | None = None
    outcome: Outcome | None = None
    found: tuple[Event, ...] | None = None
    found_faults: tuple[Fault, ...] = ()
    is_part: bool = False
    fewer: int = 0
    also: tuple[str, ...] = ()
    tally: Tally = Tally()
    notes: tuple[str, ...] = ()
    seed: int | None = None
    test: str | None = None
    states: States | None = None
    versions: Mapping[str, str] | None = None
    loss: Loss = "left out"
    memory_kept: bool | None = None
    read: tuple[str, ...] = ()
    damage: Damage | None = None
    exhausted: Exhausted | None = None
    boundary: Boundary | None = None
    tolerance: Tolerance | None = None
    self_check: SelfCheck | None = None
    advice: Later = attrs.field(factory=Later, repr=False)

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The moves of the field, cheapest first, each put around the handler of a violated verdict and searched again.
        The first with the status "held" is the one to make. Empty for what fails in order, for a handler that takes
        batches, and for a verdict that was read from a file. The first look takes up to four times as long as the
        search."""
        return self.advice.ask().repairs

    @property
    def is_cut_alone(self) -> bool:
        """Nothing makes the difference but where a batch ends."""
        faults = () if self.scenario is None else self.scenario.faults
        return bool(faults) and all(type(fault) in CUTS for fault in faults)

    @property
    def needed_order(self) -> Boundary | None:
        """What has to stay in order, where that is known by now: it was asked for, or no move within a key holds."""
        if self.boundary is not None or self.advice.known is None:
            return self.boundary
        return self.advice.known.boundary

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """The events of the minimal scenario that do not commute, two at a time."""
        return self.advice.ask().clashes

    def save(self, directory: str | Path = ".chaoskit") -> Path:
        """Write the repro file into `directory` (made if it is not there) and give its path.

        Raises ReproError where there is nothing to save (the verdict is not violated), CodecError where an
        event's value has no encoding; it says where what can be saved without it is.
        """
        from chaoskit.repro.write import save

        return save(self, Path(directory))

    def report(self, width: int | None = None) -> str:
        """All that there is to say, as text: the headline, what differs, the delivery and why. `width` is in columns;
        None: that of the terminal, and 120 in a log."""
        from chaoskit.report.terminal import as_text, headline

        return f"{for_log(headline(self))}\n{as_text(self, width=width)}"


class ChaosFailure(AssertionError):
    """A chaos test failed: its verdict is violated or unknown. The text is the whole report."""

    def __init__(self, report: str, verdict: Verdict) -> None:
        super().__init__(for_log(report))
        self.verdict = verdict
