"""A failing scenario as the search met it, and whether it fails again."""

from __future__ import annotations

import attrs

from chaoskit.execution.script import Run
from chaoskit.search.oracle import Case, differing_step, with_state_copied
from chaoskit.search.plans import Plan
from chaoskit.values.errors import NotDeterministic
from chaoskit.values.state import differences, same


@attrs.frozen(eq=False)
class Found:
    """A failing scenario; without faults it fails in order."""

    case: Case
    faults: Plan
    run: Run


def confirm(found: Found) -> Run:
    """Run a failing scenario twice more. Raises NotDeterministic where the answers differ."""
    case = found.case
    # Twice, as a handler that flips a coin agrees with the first answer half of the time.
    one, two = with_state_copied(case.run(found.faults)), with_state_copied(case.run(found.faults))
    for run in (one, two):
        step = differing_step(found.run, run)
        if step is not None:
            raise NotDeterministic(
                f"the handler is not deterministic: the same schedule went another way at step {step}"
            )
        if not same(found.run.outcome.state, run.outcome.state) or not case.violations(run):
            difference = next(differences(found.run.outcome.state, run.outcome.state), None)
            where = f" at {difference.path}" if difference else ""
            raise NotDeterministic(f"the handler is not deterministic: the same schedule gave two states{where}")
    return two
