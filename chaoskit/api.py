"""chaoskit without pytest: `check` and `run`."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from chaoskit.brokers import Kafka
from chaoskit.errors import UsageError
from chaoskit.execute import Deliver
from chaoskit.faults import FaultKind
from chaoskit.invariant import Invariant
from chaoskit.investigate import default_invariants, investigate, question, run_one
from chaoskit.loop import own_loop
from chaoskit.naming import name_of
from chaoskit.scenario import Broker, Scenario
from chaoskit.search.subject import CheckerFailed, Subject
from chaoskit.verdict import Verdict

Test = Callable[[Deliver], Any]


def check(
    test: Test,
    events: Any,
    broker: Broker | None = None,
    *,
    faults: Iterable[FaultKind] | None = None,
    invariants: Iterable[Invariant] | None = None,
    schedules: int = 1000,
    seed: int | None = None,
    across_keys: str = "violation",
) -> Verdict:
    """Search for a delivery of `events` that `broker` can make and that `test` does not survive.

    `test` is a function (or coroutine function) of `deliver` that returns the final state. `events` is a strategy,
    such as chaoskit.strategies.events(…), or one literal list of Events. `faults` narrows the kinds.
    `schedules` is how many distinct schedules are run, references not counted. The same `seed` gives the same
    verdict everywhere; without one it is drawn and stands in the verdict. `across_keys="any"` accepts results that
    some order without any fault gives, too.

    Raises UsageError for what cannot mean what it says, StaleState where runs are not independent,
    NotDeterministic where a schedule has two results.
    """
    if seed is None:
        seed = secrets.randbits(32)
    broker = Kafka() if broker is None else broker
    with own_loop(test) as body:
        subject = Subject(body, broker, default_invariants(invariants), _is_async(test))
        verdict = investigate(
            question(subject, events, faults=faults, schedules=schedules, seed=seed, across_keys=across_keys)
        )
    return attrs.evolve(verdict, test=name_of(test))


def run(test: Test, scenario: Scenario, *, invariants: Iterable[Invariant] | None = None) -> Verdict:
    """Run `test` under one scenario and compare it with in-order delivery of the same events."""
    if not isinstance(scenario, Scenario):
        raise UsageError(f"run(scenario={scenario!r}): a Scenario(events, broker, faults) is needed")
    with own_loop(test) as body:
        subject = Subject(body, scenario.broker, default_invariants(invariants), _is_async(test))
        try:
            return attrs.evolve(run_one(subject, scenario.events, scenario.faults), test=name_of(test))
        except CheckerFailed as failed:
            return Verdict("unknown", reasons=(str(failed),), scenario=scenario)


def _is_async(test: object) -> bool:
    return inspect.iscoroutinefunction(test)
