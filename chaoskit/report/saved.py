"""A saved repro as a report. Nothing is run: a value that needs a class of the test is shown as it is written."""

from __future__ import annotations

import shlex
from typing import Any

import attrs
from rich.console import RenderableType

from chaoskit.codec import decode
from chaoskit.errors import CodecError
from chaoskit.invariant import Violation
from chaoskit.report.terminal import report
from chaoskit.repro import Repro
from chaoskit.scenario import Scenario
from chaoskit.schedule import Schedule
from chaoskit.state import differences
from chaoskit.verdict import Verdict


def saved_report(repro: Repro) -> RenderableType:
    return report(saved_verdict(repro), replay=f"chaoskit replay {shlex.quote(str(repro.path))}")


def saved_verdict(repro: Repro) -> Verdict:
    """The verdict that was saved, with values decoded where their classes are imported."""
    expected, observed = _shown(repro.expected), _shown(repro.observed)
    found = tuple(differences(expected, observed))
    messages = [str(violation.get("message", violation["invariant"])) for violation in repro.violations]
    violations = [Violation(str(v["invariant"]), m) for v, m in zip(repro.violations, messages, strict=True)]
    if violations and found:
        violations[0] = Violation(violations[0].invariant, violations[0].message, found)
    return Verdict(
        "violated",
        violations=tuple(violations),
        scenario=Scenario([attrs.evolve(e, value=_shown(e.value)) for e in repro.events], repro.broker, repro.faults),
        schedule=Schedule(repro.schedule),
        label=repro.label if repro.label in ("within", "across keys") else "not decided",  # type: ignore[arg-type]
        test=repro.test,
    )


def _shown(encoded: Any) -> Any:
    try:
        return decode(encoded)
    except CodecError:
        return encoded
