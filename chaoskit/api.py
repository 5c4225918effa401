"""chaoskit without pytest: `check` and `run`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import attrs

from chaoskit.brokers import Kafka
from chaoskit.decorated import Given, called_with_deliver
from chaoskit.execution.execute import Deliver
from chaoskit.execution.limit import LIMIT, Limit, limited
from chaoskit.runner import fresh_seed
from chaoskit.search.investigate import default_invariants, investigate, question, run_one
from chaoskit.search.oracle import CheckerFailed, Subject, poisons
from chaoskit.values.epoch import checked_epoch, epoch_of
from chaoskit.values.errors import UsageError
from chaoskit.values.faults import FaultKind
from chaoskit.values.invariant import Invariant
from chaoskit.values.scenario import Broker, Scenario
from chaoskit.values.verdict import Loss, Verdict

Test = Callable[[Deliver], Any]


def check(
    test: Test,
    events: Any,
    broker: Broker | None = None,
    *,
    faults: Iterable[FaultKind] | None = None,
    without: Iterable[FaultKind] | None = None,
    invariants: Iterable[Invariant] | None = None,
    schedules: int = 1000,
    seed: int | None = None,
    across_keys: str | None = None,
    loss: Loss | None = None,
    poison: Iterable[type[Exception]] | None = None,
    limit: float | None = LIMIT,
    epoch: float | None = None,
) -> Verdict:
    """Search for a delivery of `events` that `broker` can make and that `test` does not survive.

    `test` is a function (or coroutine function) of `deliver` that returns the final state. `events` is a strategy,
    such as chaoskit.strategies.events(…), or one literal list of Events. `faults` narrows the kinds, or all are taken
    `without` some. `schedules` is how many distinct schedules are run, references not counted. The same `seed` gives
    the same verdict everywhere; without one it is drawn and stands in the verdict. `across_keys="any"` accepts results
    that some order without any fault gives, too. `loss="violation"` makes a failure of what the broker's settings
    lose, which is else left out of the comparison. `poison` are the exceptions that mean "this message can never be
    handled". `epoch` is when the producer begins to send, in seconds since 1970: left out, the hour in which the seed
    was drawn, and 14 November 2023 for a seed that somebody chose. A run that takes more than `limit` seconds hangs,
    which is a failure; None: no limit, and there is none outside of the main thread.

    A test that `@chaos` decorates is taken, too, with its fixtures in a functools.partial: what is left out here is
    then as the decorator says, but for `schedules` and `seed`.

    Raises UsageError for what cannot mean what it says, StaleState where runs are not independent,
    NotDeterministic where a schedule has two results.
    """
    if seed is None:
        seed = fresh_seed()
    with called_with_deliver(test) as given, limited(_seconds(limit)) as armed:
        if given.terms is not None:
            if faults is None and without is None:
                faults, without = _kinds(given.terms, broker)
            broker = given.terms.broker if broker is None else broker
        subject = _subject(given, Kafka() if broker is None else broker, invariants, loss, poison, armed)
        subject = attrs.evolve(subject, epoch=_epoch(given, epoch, seed))
        across_keys = _across_keys(given, across_keys)
        verdict = investigate(
            question(
                subject, events, faults=faults, without=without, schedules=schedules, seed=seed, across_keys=across_keys
            )
        )
    return attrs.evolve(verdict, test=given.name)


def run(
    test: Test,
    scenario: Scenario,
    *,
    invariants: Iterable[Invariant] | None = None,
    across_keys: str | None = None,
    loss: Loss | None = None,
    poison: Iterable[type[Exception]] | None = None,
    limit: float | None = LIMIT,
) -> Verdict:
    """Run `test` under one scenario and compare it with in-order delivery of the same events.

    `test` is what `check` takes. The broker is the scenario's; the others are as `check` takes them, and as a test
    says that `@chaos` decorates, unless they are given here. The verdict is "unknown" where no fault changes the
    schedule.

    Raises UsageError for what cannot mean what it says, NotDeterministic where the scenario has two results.
    """
    if not isinstance(scenario, Scenario):
        raise UsageError(f"run(scenario={scenario!r}): a Scenario(events, broker, faults) is needed")
    with called_with_deliver(test) as given, limited(_seconds(limit)) as armed:
        subject = _subject(given, scenario.broker, invariants, loss, poison, armed)
        subject = attrs.evolve(subject, epoch=scenario.epoch)
        across_keys = _across_keys(given, across_keys)
        try:
            verdict = run_one(subject, scenario.events, scenario.faults)
        except CheckerFailed as failed:
            verdict = Verdict("unknown", reasons=(str(failed),), scenario=scenario)
    if across_keys == "any" and verdict.label == "across keys":
        note = 'across_keys="any" accepts that it depends on the order between keys'
        verdict = attrs.evolve(verdict, status="held", violations=(), label=None, notes=(note,))
    return attrs.evolve(verdict, test=given.name)


def _kinds(terms: Any, broker: Broker | None) -> tuple[Any, Any]:
    """`faults` and `without` of a decorated test. Without some means all but these of another broker, too."""
    return (terms.faults, None) if broker is None or terms.without is None else (None, terms.without)


def _epoch(given: Given, asked: float | None, seed: int) -> float:
    """What is asked, else what the decorator says, else what the seed knows."""
    epoch = checked_epoch(asked)
    if epoch is None and given.terms is not None:
        epoch = given.terms.epoch
    return epoch_of(seed) if epoch is None else epoch


def _seconds(limit: Any) -> float | None:
    if limit is None or (isinstance(limit, (int, float)) and not isinstance(limit, bool) and limit > 0):
        return limit
    raise UsageError(f"limit={limit!r}: a number of seconds, or None for no limit, is needed")


def _subject(
    given: Given,
    broker: Broker,
    invariants: Iterable[Invariant] | None,
    loss: Loss | None,
    poison: Iterable[type[Exception]] | None,
    limit: Limit | None,
) -> Subject:
    terms = given.terms
    if invariants is None and terms is not None:
        invariants = terms.invariants
    if loss is None:
        loss = "left out" if terms is None else terms.loss
    if poison is None:
        poison = () if terms is None else terms.poison
    checked = default_invariants(invariants)
    return Subject(given.body, broker, checked, given.is_async, limit, loss=loss, poison=poisons(poison))


def _across_keys(given: Given, asked: str | None) -> str:
    if asked is None:
        return "violation" if given.terms is None else str(given.terms.across_keys)
    if asked not in ("violation", "any"):
        raise UsageError(f"across_keys={asked!r}: 'violation' or 'any' is needed")
    return asked
