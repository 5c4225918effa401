"""Play a saved repro again and say what has become of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

import attrs

from chaoskit.codec import lenient
from chaoskit.execution.failures import ReferenceRefused
from chaoskit.execution.limit import Hung
from chaoskit.execution.script import Run
from chaoskit.repro.read import Repro, is_kind_of, refused_as_one_line, saved_with
from chaoskit.search.labels import label_of
from chaoskit.search.oracle import Case, CheckerFailed, Subject, with_state_copied
from chaoskit.search.verdicts import hung_verdict, violated
from chaoskit.values.errors import ChaosError, ReproError
from chaoskit.values.faults import FaultKind
from chaoskit.values.invariant import BODY, DIED, ENDED, HANG, SETTLED
from chaoskit.values.schedule import Schedule
from chaoskit.values.state import same
from chaoskit.values.texts import one_line
from chaoskit.values.verdict import Verdict

Became = Literal["FIXED", "STILL FAILS", "CHANGED", "NO LONGER POSSIBLE", "CANNOT REPLAY"]

EXIT_CODES: dict[Became, int] = {
    "FIXED": 0, "NO LONGER POSSIBLE": 0, "STILL FAILS": 1, "CHANGED": 1, "CANNOT REPLAY": 2
}  # fmt: skip


OURS = {"refused", SETTLED, BODY, HANG, DIED, ENDED}
"""What can be violated whatever the test asks for."""


LONGEST_REASON = 1_000
"""Characters: what pytest or a handler says may be in it, and what a file says."""


def _reason(given: str) -> str:
    return one_line(given, LONGEST_REASON)


@attrs.frozen(eq=False)
class Answer:
    """What has become of a repro, why where that needs saying, in one line, and the verdict where it was played."""

    became: Became
    path: Path
    test: str = ""
    reason: str = attrs.field(default="", converter=_reason)
    verdict: Verdict | None = None

    @property
    def failure(self) -> Verdict | None:
        """The verdict, if it fails."""
        return self.verdict if self.became in ("STILL FAILS", "CHANGED") else None

    @property
    def is_settled(self) -> bool:
        """Nobody has to play it any more."""
        return self.became in ("FIXED", "NO LONGER POSSIBLE")


def play(
    repro: Repro, subject: Subject, *, across_keys: str = "violation", faults: Collection[FaultKind] | None = None
) -> Answer:
    """Follow the steps of a repro with the present test, which asks for these kinds of `faults`; None: for all. Raises
    nothing, whatever the file makes it do: it may be a stranger's, and costs nobody more than its own answer.

    Where the test's broker has other settings now, the faults are played by that broker's own model: what it cannot
    make any more is no failure.
    """
    try:
        with refused_as_one_line():
            return _play(repro, subject, across_keys, faults)
    except ReproError as error:
        return Answer("CANNOT REPLAY", repro.path, repro.test, str(error))


def _play(repro: Repro, subject: Subject, across_keys: str, faults: Collection[FaultKind] | None) -> Answer:
    def answer(became: Became, reason: str = "", verdict: Verdict | None = None) -> Answer:
        return Answer(became, repro.path, repro.test, reason, verdict)

    subject = attrs.evolve(subject, loss=repro.loss, epoch=repro.epoch)
    try:
        # Before it is played: it would hold, and be called fixed.
        if reason := _unasked(repro, subject):
            return answer("CANNOT REPLAY", reason)
        if reason := _impossible(repro, subject, faults):
            return answer("NO LONGER POSSIBLE", reason)
        case = subject.on(repro.stream())
        # No fault is to blame then, and the saved failure cannot be distinguished from this one.
        if repro.faults and case.fails_in_order():
            verdict = attrs.evolve(violated(case, (), with_state_copied(case.run(())), None), test=repro.test)
            return answer("CHANGED", "it fails in order already, without any fault", verdict)
        run, literal = _run(repro, case)
        if run is None:
            return answer("NO LONGER POSSIBLE", "with the broker's present settings the faults change nothing")
        if not case.violations(run):
            left_out = subject.leaves_out({type(fault) for fault in repro.faults}) if run.outcome.lost else ""
            return answer("FIXED", left_out, _held(repro, case, run))
        # Only where it fails: a second run would double the cost of every saved file that holds.
        again, _ = _run(repro, case)
        if again is None or not same(run.outcome.state, again.outcome.state):
            return answer("CANNOT REPLAY", "two runs of it end in different states: a clock, uuid4, or an earlier run")
        label = label_of(case, run)
        if across_keys == "any" and label == "across keys":
            return answer("FIXED", 'across_keys="any" accepts it', _held(repro, case, run))
        verdict = attrs.evolve(violated(case, repro.faults, run, label, literal), test=repro.test)
    except Hung as hung:
        verdict = attrs.evolve(hung_verdict(subject, hung), test=repro.test)
    except ReferenceRefused as error:
        return _whole(repro, subject, error)
    except (CheckerFailed, ChaosError) as error:
        return answer("CANNOT REPLAY", str(error))
    alike = {v.invariant for v in verdict.violations} == {v["invariant"] for v in repro.violations}
    # As the file has it: a state need not be decodable.
    alike = alike and lenient(verdict.observed) == repro.observed
    return answer("STILL FAILS" if alike else "CHANGED", "" if alike else "it fails differently now", verdict)


def _whole(repro: Repro, subject: Subject, refused: ReferenceRefused) -> Answer:
    """The handler refuses the minimal stream in order. Where that is a part of another stream it need not be one that
    anybody sends: then the one that was found is played."""

    def answer(became: Became, reason: str, verdict: Verdict | None = None) -> Answer:
        return Answer(became, repro.path, repro.test, reason, verdict)

    if (lacks := refused.missing_field()) is not None:
        return answer(
            "CANNOT REPLAY",
            f"the value of event {refused.event!r} in the file lacks {lacks!r}, which the handler reads: it was saved "
            "before the handler asked for that. Delete the file, or add the field to its events",
        )
    if repro.found is None:
        return answer("CANNOT REPLAY", str(refused))
    try:
        case = subject.on(repro.found.stream())
        run = with_state_copied(case.run(repro.found.faults))
        if not case.violations(run):
            return answer("FIXED", f"{PART}: it holds", _held(repro, case, run))
        verdict = attrs.evolve(violated(case, repro.found.faults, run, label_of(case, run)), test=repro.test)
        return answer("CHANGED", f"{PART}: it still fails", verdict)
    except Hung as hung:
        return answer("CHANGED", f"{PART}: it hangs", attrs.evolve(hung_verdict(subject, hung), test=repro.test))
    except (CheckerFailed, ChaosError) as error:
        return answer("CANNOT REPLAY", str(error))


PART = "the handler refuses the minimal stream in order, so the one that was found was played"


def _unasked(repro: Repro, subject: Subject) -> str | None:
    broken = {violation["invariant"] for violation in repro.violations}
    if broken - OURS and broken.isdisjoint(i.name for i in subject.invariants):
        return f"it breaks {', '.join(sorted(broken))}, which is not asked for here"
    return None


def _impossible(repro: Repro, subject: Subject, faults: Collection[FaultKind] | None) -> str | None:
    if not is_kind_of(repro, subject.broker):
        return f"the test's broker is {type(subject.broker).__name__} now, not {type(repro.broker).__name__}"
    for kind in dict.fromkeys(type(fault) for fault in repro.faults):
        if reason := subject.broker.why_impossible(kind):
            return f"{kind.__name__}: {reason}"
        if faults is not None and kind not in faults:
            return f"{kind.__name__}: the test does not ask for it now"
    return None


def _run(repro: Repro, case: Case) -> tuple[Run | None, Schedule | None]:
    """The run, and the literal schedule if that is what was followed; no run where nothing would go wrong."""
    # The literal steps are those of other settings, which this broker might never make.
    if not saved_with(repro, case.subject.broker):
        steps = case.steps(repro.faults)
        return (
            None if repro.faults and steps == case.steps(()) else with_state_copied(case.run(repro.faults, steps))
        ), None
    steps, refusals = repro.raw_steps()
    if not refusals and (repro.breaks(HANG) or repro.breaks(ENDED)):
        whole = case.steps(repro.faults)  # the file ends with the step that did not; a repaired handler goes on
        steps = whole if whole[: len(steps)] == steps else steps
    if repro.breaks(BODY):  # the file ends where the test raised, perhaps in the middle; a repaired one goes on
        whole_run = with_state_copied(case.run(repro.faults))
        if list(whole_run.steps[: len(steps)]) == steps and len(whole_run.steps) > len(steps):
            return whole_run, None
    settled = repro.settled()
    run = case.follow(repro.faults, steps, refusals, settled)
    followed = list(run.steps) == steps and frozenset(run.refusals) == refusals and run.settled == settled
    return run, Schedule(repro.schedule) if followed else None


def _held(repro: Repro, case: Case, run: Run) -> Verdict:
    return Verdict("held", expected=case.reference().state, observed=run.outcome.state, test=repro.test)
