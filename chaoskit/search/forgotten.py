"""What a handler that settles by itself forgot to settle, and what came of that."""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.execution.script import Run
from chaoskit.values.invariant import SETTLED, Violation
from chaoskit.values.outcome import Outcome
from chaoskit.values.settling import Verb

NEVER: dict[Verb, str] = {
    "ack": "never acknowledged: no run called message.ack(), so that everything comes again for ever",
    "commit": "never committed: no run called message.commit(), so that everything comes again after each restart",
}
"""Of a handler that settles nothing at all, by the verb that it should have called."""


def settling_violations(reference: Outcome, outcome: Outcome) -> Iterator[Violation]:
    """What is never settled, and is in order; and what nobody could take because of what is held."""
    in_order = {*reference.unsettled, *reference.used_up}
    for id_ in outcome.unsettled:
        if id_ not in in_order:
            yield Violation(
                SETTLED,
                f"{id_} was handled and never acknowledged: it comes again for ever. Settle it on every way out of the "
                "handler",
            )
    for id_ in outcome.used_up:
        if id_ not in in_order:
            yield Violation(
                SETTLED,
                f"{id_} was handled and never acknowledged: it came again until its deliveries were used up. Settle it "
                "on every way out of the handler",
            )
    for id_ in outcome.left:
        yield Violation(
            SETTLED,
            f"{id_} stays pending for ever: its consumer has not acknowledged it, and none claims it (XAUTOCLAIM) or "
            "reads what is its own (id 0). Claim in the loop; where another process claims, deliver.consumer(…, "
            "claimed_by_others=True)",
        )
    if outcome.stuck:
        ids = ", ".join(map(str, outcome.stuck))
        yield Violation(SETTLED, f"the handler holds {outcome.holds}: nothing more is delivered, and {ids} never came")


def why_never(run: Run, verbs: tuple[Verb, ...]) -> str:
    """What to say of a handler that is to settle by itself and did not in this run; empty where it did."""
    return "" if run.has_settled else next(NEVER[verb] for verb in ("commit", "ack") if verb in verbs)
