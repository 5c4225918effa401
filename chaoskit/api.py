"""What is called from Python: `check`, `repairs`, `self_check`, `boundary`, `tolerance`, `run` and `replay`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from chaoskit.decorator import BoundTest, ChaosOptions, bound
from chaoskit.execution.deliver import Deliver
from chaoskit.execution.limit import LIMIT, limited
from chaoskit.execution.script import FailsWith
from chaoskit.order.boundary import boundary_of
from chaoskit.planted.check import self_check_of, why_not
from chaoskit.repair.recipes import storage_of
from chaoskit.repair.repairs import advice_on
from chaoskit.repair.tolerance import kinds_asked, tolerance_of
from chaoskit.repro.location import outside
from chaoskit.repro.own_broker import SEVERAL, is_of_several
from chaoskit.repro.read import Repro, read
from chaoskit.repro.replay import Answer, play
from chaoskit.runner import fresh_seed
from chaoskit.search.investigate import investigate
from chaoskit.search.oracle import CheckerFailed
from chaoskit.search.question import UNLIMITED, Question, SearchSettings, question
from chaoskit.search.several import several
from chaoskit.search.verdicts import run_one
from chaoskit.values.boundary import Boundary
from chaoskit.values.epoch import checked_epoch, epoch_of
from chaoskit.values.errors import ReproError, UsageError
from chaoskit.values.faults import FaultKind
from chaoskit.values.invariant import Invariant
from chaoskit.values.planted import SelfCheck
from chaoskit.values.repair import Advice, Later, Repair
from chaoskit.values.scenario import Broker, Scenario
from chaoskit.values.tolerance import Tolerance
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
    exhaustive: int | None = None,
    exhaustive_events: int = 4,
    points: Iterable[str] | str | None = None,
    fails_with: FailsWith | None = None,
    freeze_time: bool | None = None,
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
    which is a failure; None: no limit, and there is none outside of the main thread. `exhaustive`: every schedule of up
    to so many faults is run, over streams of up to `exhaustive_events` events, and `schedules` does not count.
    `points` are the packages in which a process can die inside the handler, beside the user's own code; "named": only
    at `deliver.point(…)`. `fails_with` makes what a call raises that a `Fail` lets fail inside the handler, by itself
    chaoskit.Unavailable. With `freeze_time=True` the clocks of Python say what `deliver.now()` says while the test runs
    (needs `chaoskit[time]`).

    A test that `@chaos` decorates is taken, too, with its fixtures in a functools.partial: what is left out here is
    then as the decorator says, but for `schedules` and `seed`.

    Raises UsageError for what cannot mean what it says, StaleState where runs are not independent,
    NotDeterministic where a schedule has two results.
    """
    events, broker = several(events, broker)
    if seed is None:
        seed = fresh_seed()
    with bound(test) as given, limited(_seconds(limit)) as armed:
        if faults is None and without is None:
            faults, without = _kinds(given.options, broker)
        subject = given.subject(
            broker=broker, invariants=invariants, loss=loss, poison=poison, points=points,
            fails_with=fails_with, limit=armed, freeze_time=freeze_time,
        )  # fmt: skip
        subject = attrs.evolve(subject, epoch=_epoch(given, epoch, seed))
        settings = SearchSettings(
            schedules=schedules if exhaustive is None else UNLIMITED, seed=seed,
            across_keys=_across_keys(given, across_keys),
            exhaustive=None if exhaustive is None else (exhaustive, exhaustive_events),
        )  # fmt: skip
        asked = question(subject, events, settings, faults=faults, without=without)
        verdict = attrs.evolve(investigate(asked), test=given.name)
    if verdict.status != "violated":
        return verdict
    return attrs.evolve(verdict, advice=Later(partial(_advice, test, asked, verdict, limit)))


def _advice(test: Test, asked: Question, verdict: Verdict, limit: float | None) -> Advice:
    """Bound again: what runs the coroutines of a test ended with the search."""
    with bound(test) as given, limited(_seconds(limit)) as armed:
        subject = attrs.evolve(asked.subject, body=given.body, limit=armed)
        return advice_on(attrs.evolve(asked, subject=subject), verdict, storage_of(test))


def repairs(
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
    points: Iterable[str] | str | None = None,
    fails_with: FailsWith | None = None,
    freeze_time: bool | None = None,
) -> tuple[Repair, ...]:
    """Which move repairs `test`: each is put around its handler, and what breaks it is searched again.

    The arguments are those of `check`, which is asked first. Each move runs on the minimal scenario, and where that
    passes up to `schedules` (at most 1,000) schedules are searched with it. The moves come cheapest first; the first
    whose status is "held" is the one to make. Empty where the test is not violated, fails in order already, or has
    a handler that takes batches, around which no move can stand.

    Raises what `check` raises.
    """
    return check(
        test, events, broker, faults=faults, without=without, invariants=invariants, schedules=schedules, seed=seed,
        across_keys=across_keys, loss=loss, poison=poison, limit=limit, epoch=epoch, points=points,
        fails_with=fails_with, freeze_time=freeze_time,
    ).repairs  # fmt: skip


def self_check(
    test: Test,
    events: Any,
    broker: Broker | None = None,
    *,
    faults: Iterable[FaultKind] | None = None,
    without: Iterable[FaultKind] | None = None,
    invariants: Iterable[Invariant] | None = None,
    schedules: int = 400,
    seed: int | None = None,
    across_keys: str | None = None,
    loss: Loss | None = None,
    poison: Iterable[type[Exception]] | None = None,
    limit: float | None = LIMIT,
    epoch: float | None = None,
    freeze_time: bool | None = None,
) -> SelfCheck:
    """Which known bugs `test` would notice: each is planted around its handler, or in the state that it gives, and what
    breaks it is searched.

    The arguments are those of `check`; up to `schedules` (at most 400) schedules are searched for each bug. Nothing is
    planted in a test that fails by itself, and `reason` says so. `asserts_nothing` where the test would notice none.

    Raises what `check` raises for the test as it is.
    """
    events, broker = several(events, broker)
    if seed is None:
        seed = fresh_seed()
    with bound(test) as given, limited(_seconds(limit)) as armed:
        if faults is None and without is None:
            faults, without = _kinds(given.options, broker)
        subject = given.subject(
            broker=broker, invariants=invariants, loss=loss, poison=poison, limit=armed, freeze_time=freeze_time
        )
        subject = attrs.evolve(subject, epoch=_epoch(given, epoch, seed))
        settings = SearchSettings(schedules=schedules, seed=seed, across_keys=_across_keys(given, across_keys))
        asked = question(subject, events, settings, faults=faults, without=without)
        reason = why_not(asked)
        return SelfCheck(reason=reason) if reason else self_check_of(asked)


def boundary(
    test: Test,
    events: Any,
    broker: Broker | None = None,
    *,
    invariants: Iterable[Invariant] | None = None,
    schedules: int = 1000,
    seed: int | None = None,
    poison: Iterable[type[Exception]] | None = None,
    limit: float | None = LIMIT,
    epoch: float | None = None,
) -> Boundary:
    """What has to stay in order for `test`: the finest key by which its messages can be partitioned.

    Tried are the key of the events as it is, each field of their values, nested ones with a path such as
    "value.account", pairs of these, one key for all, and no order. With each, up to `schedules` orders of the drawn
    streams are handled that keep the order within a key and no other; every message comes once, and what `broker` can
    do besides is no part of this question. The other arguments are as `check` takes them.

    Raises UsageError where the test fails in order already, or no stream has two events.
    """
    events, broker = several(events, broker)
    if seed is None:
        seed = fresh_seed()
    with bound(test) as given, limited(_seconds(limit)) as armed:
        subject = given.subject(broker=broker, invariants=invariants, poison=poison, limit=armed)
        subject = attrs.evolve(subject, epoch=_epoch(given, epoch, seed))
        found = boundary_of(question(subject, events, SearchSettings(schedules=schedules, seed=seed)))
    return attrs.evolve(found, test=given.name)


def tolerance(
    test: Test,
    events: Any,
    brokers: Iterable[Any] | Broker | None = None,
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
) -> Tolerance:
    """Which kinds of fault `test` survives, on each of these brokers: it survives, it breaks, the broker cannot make
    it, or it was not exercised, which says nothing.

    Each kind that a broker can make is searched alone, and then together those that do not break it, with up to
    `schedules` (at most 1,000) distinct schedules each. What breaks it comes with the least delivery, with what rules
    it out, and with the cheapest move that repairs it. `brokers` may be one; left out, it is that of a test that
    `@chaos` decorates, or Kafka(). Of several streams, `events={orders: Kafka(), payments: Webhook()}`, those of
    `events` are asked where it is left out; one that is named carries all streams, and a dict like `events` says which
    carries which. `faults` and `without` narrow the kinds for all of them: one that a broker cannot
    make is no error here. The other arguments are as `check` takes them.

    Where the test fails in order on a broker, as it reads what that one does not carry, its column says so. Raises
    UsageError for what cannot mean what it says.
    """
    events, broker = several(events, None)
    if seed is None:
        seed = fresh_seed()
    with bound(test) as given, limited(_seconds(limit)) as armed:
        if faults is None and without is None:
            faults, without = given.options.narrowed
        subject = given.subject(broker=broker, invariants=invariants, loss=loss, poison=poison, limit=armed)
        asked = subject.broker if brokers is None else brokers
        on: list[Any] = list(asked) if isinstance(asked, Iterable) and not isinstance(asked, Mapping) else [asked]
        subject = attrs.evolve(subject, epoch=_epoch(given, epoch, seed))
        settings = SearchSettings(schedules=schedules, seed=seed, across_keys=_across_keys(given, across_keys))
        question_ = question(subject, events, settings)
        found = tolerance_of(question_, on, kinds_asked(faults, without), storage_of(test))
    return attrs.evolve(found, test=given.name)


def run(
    test: Test,
    scenario: Scenario,
    *,
    invariants: Iterable[Invariant] | None = None,
    across_keys: str | None = None,
    loss: Loss | None = None,
    poison: Iterable[type[Exception]] | None = None,
    limit: float | None = LIMIT,
    points: Iterable[str] | str | None = None,
    fails_with: FailsWith | None = None,
    freeze_time: bool | None = None,
) -> Verdict:
    """Run `test` under one scenario and compare it with in-order delivery of the same events.

    `test` is what `check` takes. The broker is the scenario's; the others are as `check` takes them, and as a test
    says that `@chaos` decorates, unless they are given here. The verdict is "unknown" where no fault changes the
    schedule.

    Raises UsageError for what cannot mean what it says, NotDeterministic where the scenario has two results.
    """
    if not isinstance(scenario, Scenario):
        raise UsageError(f"run(scenario={scenario!r}): a Scenario(events, broker, faults) is needed")
    with bound(test) as given, limited(_seconds(limit)) as armed:
        subject = given.subject(
            broker=scenario.broker, invariants=invariants, loss=loss, poison=poison, points=points,
            fails_with=fails_with, limit=armed, freeze_time=freeze_time,
        )  # fmt: skip
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


def _kinds(options: ChaosOptions, broker: Broker | None) -> tuple[Any, Any]:
    """`faults` and `without` of a decorated test. Without some means all but these of another broker, too."""
    return options.narrowed


def _epoch(test: BoundTest, asked: float | None, seed: int) -> float:
    """What is asked, else what the decorator says, else what the seed knows."""
    epoch = checked_epoch(asked)
    if epoch is None:
        epoch = test.options.epoch
    return epoch_of(seed) if epoch is None else epoch


def _seconds(limit: Any) -> float | None:
    if limit is None or (isinstance(limit, (int, float)) and not isinstance(limit, bool) and limit > 0):
        return limit
    raise UsageError(f"limit={limit!r}: a number of seconds, or None for no limit, is needed")


def _across_keys(test: BoundTest, asked: str | None) -> str:
    if asked is None:
        return test.options.across_keys
    if asked not in ("violation", "any"):
        raise UsageError(f"across_keys={asked!r}: 'violation' or 'any' is needed")
    return asked


def replay(path: str | Path) -> Verdict:
    """Play a repro file against the test that it names: "held" if it is fixed or no longer possible, else "violated".

    A test whose module is imported and that needs no fixtures is called directly; any other is run by pytest, from
    the current directory. Raises ReproError where the file cannot be read or replayed.
    """
    repro = read(Path(path))
    answer = _played_here(repro) or _played_by_pytest(repro)
    if answer.became == "CANNOT REPLAY":
        raise ReproError(f"{path}: {answer.reason}")
    if answer.verdict is None:
        return Verdict("held", notes=(f"no longer possible: {answer.reason}",), test=repro.test)
    return answer.verdict


def _played_here(repro: Repro) -> Answer | None:
    found = _imported(repro.test)
    if found is None:
        return None
    broker = None
    if not hasattr(found, "chaos_options"):
        if repro.own_broker is not None:
            name = repro.own_broker["kind"]
            why = f"its broker is {name}, a class of your own, which only a test can name: @chaos(…, {name}())"
            why = SEVERAL if is_of_several(repro.own_broker) else why
            return Answer("CANNOT REPLAY", repro.path, repro.test, why)
        broker = repro.broker
    elif inspect.signature(found).parameters:
        return None
    with bound(found, {}) as test, limited() as limit:
        subject = test.subject(broker=broker, limit=limit)
        return play(repro, subject, across_keys=test.options.across_keys, faults=test.options.faults)


def _imported(test: str) -> Any:
    """The chaos test, or the function of `deliver`, of this name in a module below the current directory that is
    imported already; nothing is imported for it. Any other function is not for a file to call."""
    file, _, name = test.partition("::")
    if not name or "::" in name or "[" in name:
        return None
    if outside(test, Path.cwd()):
        return None
    wanted = Path(file).resolve()
    for module in list(sys.modules.values()):
        origin = getattr(module, "__file__", None)
        if origin and Path(origin).resolve() == wanted:
            found = vars(module).get(name)
            return found if inspect.isfunction(found) and _is_chaos_test(found) else None
    return None


def _is_chaos_test(found: Any) -> bool:
    return hasattr(found, "chaos_options") or list(inspect.signature(found).parameters) == ["deliver"]


def _played_by_pytest(repro: Repro) -> Answer:
    from chaoskit.pytest.replay import replay_with_pytest

    return replay_with_pytest([repro], Path.cwd())[0]
