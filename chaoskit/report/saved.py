"""A saved repro as a report. Nothing is run: a value that needs a class of the test is shown as it is written."""

from __future__ import annotations

import shlex
from typing import get_args

from rich.console import RenderableType

from chaoskit.invariant import Violation
from chaoskit.report.terminal import report
from chaoskit.repro import Repro, shown_value, with_shown_values
from chaoskit.scenario import Scenario
from chaoskit.schedule import Schedule
from chaoskit.state import differences
from chaoskit.verdict import Label, Verdict


def saved_report(repro: Repro) -> RenderableType:
    return report(saved_verdict(repro), replay=f"chaoskit replay {shlex.quote(str(repro.path))}")


def saved_verdict(repro: Repro) -> Verdict:
    """The verdict that was saved, with values decoded where their classes are imported."""
    expected, observed = shown_value(repro.expected), shown_value(repro.observed)
    found = tuple(differences(expected, observed))
    messages = [str(violation.get("message", violation["invariant"])) for violation in repro.violations]
    violations = [Violation(str(v["invariant"]), m) for v, m in zip(repro.violations, messages, strict=True)]
    if violations and found:
        violations[0] = Violation(violations[0].invariant, violations[0].message, found)
    return Verdict(
        "violated",
        violations=tuple(violations),
        scenario=Scenario(with_shown_values(repro), repro.broker, repro.faults),
        schedule=Schedule(repro.schedule),
        label=repro.label if repro.label in get_args(Label) else None,  # type: ignore[arg-type]
        test=repro.test,
    )
