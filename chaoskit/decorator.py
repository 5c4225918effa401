"""`@chaos`: a test with a `deliver` parameter becomes a search."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn, TypeVar

import attrs
import hypothesis

from chaoskit.brokers import Kafka
from chaoskit.execution.deliver import Body, Deliver
from chaoskit.execution.event_loop import leaves_no_task, own_loop
from chaoskit.execution.failing import checked_fails_with
from chaoskit.execution.frozen import checked_freeze
from chaoskit.execution.limit import Limit
from chaoskit.execution.output import quiet
from chaoskit.execution.points import Points, checked_points
from chaoskit.execution.script import FailsWith, RunObserver
from chaoskit.order.boundary import boundary_of
from chaoskit.planted.check import checked
from chaoskit.repair.recipes import storage_of
from chaoskit.repair.repairs import advice_on
from chaoskit.repair.tolerance import kinds_asked, tolerance_of
from chaoskit.report.repairs import SAYS
from chaoskit.runner import Runner, SearchOptions, current
from chaoskit.search.evidence import Evidence
from chaoskit.search.investigate import investigate
from chaoskit.search.oracle import Subject, poisons
from chaoskit.search.question import UNLIMITED, Question, SearchSettings, default_invariants, derive, question
from chaoskit.search.several import several
from chaoskit.values.epoch import checked_epoch, epoch_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Stream
from chaoskit.values.faults import FaultKind
from chaoskit.values.invariant import DIED, ENDED, HANG, Invariant
from chaoskit.values.names import name_of
from chaoskit.values.repair import Later, MoveName
from chaoskit.values.scenario import Broker, allowed_kinds
from chaoskit.values.tolerance import Tolerance
from chaoskit.values.verdict import ChaosFailure, Loss, Verdict

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@attrs.frozen(kw_only=True, eq=False)
class ChaosOptions:
    """What `@chaos` was given. A plain function has what stands here."""

    events: Any = None
    broker: Broker = attrs.field(factory=Kafka)
    faults: frozenset[FaultKind] | None = None
    without: frozenset[FaultKind] | None = None
    invariants: tuple[Invariant, ...] = attrs.field(factory=lambda: default_invariants(None))
    schedules: int | None = None
    allow_unknown: str | None = None
    across_keys: str = "violation"
    loss: Loss = "left out"
    poison: tuple[type[Exception], ...] = ()
    epoch: float | None = None
    points: Points = None
    fails_with: FailsWith | None = None
    freeze_time: bool = False

    @property
    def narrowed(self) -> tuple[frozenset[FaultKind] | None, frozenset[FaultKind] | None]:
        """`faults` and `without` as they were given: of another broker without some means all but these, too."""
        return (self.faults, None) if self.without is None else (None, self.without)


@attrs.frozen(eq=False)
class BoundTest:
    """A test that lacks nothing but `deliver`: its fixtures are given."""

    body: Body
    is_async: bool
    name: str
    options: ChaosOptions

    def subject(
        self,
        *,
        broker: Broker | None = None,
        invariants: Iterable[Invariant] | None = None,
        loss: Loss | None = None,
        poison: Iterable[type[Exception]] | None = None,
        points: Iterable[str] | str | None = None,
        fails_with: FailsWith | None = None,
        freeze_time: bool | None = None,
        limit: Limit | None = None,
        observer: RunObserver | None = None,
    ) -> Subject:
        """The test as it is searched: with its own options where others are not given here. Raises UsageError."""
        options = self.options
        return Subject(
            self.body,
            options.broker if broker is None else broker,
            options.invariants if invariants is None else default_invariants(invariants),
            self.is_async,
            limit,
            observer,
            options.loss if loss is None else loss,
            options.poison if poison is None else poisons(poison),
            points=options.points if points is None else checked_points(points),
            fails_with=options.fails_with if fails_with is None else fails_with,
            freeze_time=options.freeze_time if freeze_time is None else checked_freeze(freeze_time),
        )


@attrs.define(eq=False)
class Handle:
    """Where async plugins find the user's function and put a synchronous one in its place.

    pytest-asyncio and anyio look for it under the name `hypothesis`.
    """

    inner_test: Callable[..., Any]


def chaos(
    events: Any,
    broker: Broker | None = None,
    *,
    faults: Iterable[FaultKind] | None = None,
    without: Iterable[FaultKind] | None = None,
    invariants: Iterable[Invariant] | None = None,
    schedules: int | None = None,
    allow_unknown: str | None = None,
    across_keys: str = "violation",
    loss: Loss = "left out",
    poison: Iterable[type[Exception]] = (),
    epoch: float | None = None,
    points: Iterable[str] | str | None = None,
    fails_with: FailsWith | None = None,
    freeze_time: bool = False,
) -> Callable[[Decorated], Decorated]:
    """Run the decorated test under every kind of delivery that `broker` can make.

    The test has a parameter `deliver`, calls it once with its handler and returns the final state, which is
    compared with that of in-order delivery. Its body runs once per schedule, its fixtures once. `faults` narrows
    the kinds, or takes all `without` some; `schedules` is how many distinct schedules are run (default: 1,000, or
    those of the streams that are begun within a minute), `allow_unknown="why"`
    turns a run that has shown nothing into a visible skip, `across_keys="any"` accepts what depends on the order
    between partitions. What the broker's settings lose is left out of the comparison, and a pass says so;
    `loss="violation"` makes it a failure. `poison` are the exceptions with which the handler says that a message can
    never be handled: it refuses it in order, too, the broker gives it up by its rule, and its effect is expected
    nowhere. `epoch` is when the producer begins to send, in seconds since 1970, as `message.timestamp` says: left out,
    the hour in which the seed was drawn, and 14 November 2023 for a seed that somebody chose. A repro file has it.
    `points` are the packages in which a process can die inside the handler, beside the user's own code:
    `points=("shop",)`; with `points="named"` only at `deliver.point(…)`.
    `fails_with` is what a call raises that a `Fail` lets fail inside the handler, a class or what makes an exception;
    left out, chaoskit.Unavailable, and calls fail only where `deliver(spawn=…)` is given. With `freeze_time=True` the
    clocks of Python say what `deliver.now()` says while the test runs: `time.time()`, `time.monotonic()`,
    `datetime.now()` (needs `chaoskit[time]`).

    `max_examples` and `deadline` of a Hypothesis profile change nothing here: they are meant for examples, and one run
    of a chaos test is a schedule. `schedules`, --chaos-schedules and --chaos-time say how much is tried;
    `@settings(max_examples=…)` on the test itself says over how many streams that is spread, about one for each fifty
    schedules by itself.

    Raises UsageError, at import, for arguments that cannot mean what they say.
    """
    events, broker = several(events, broker)
    broker = Kafka() if broker is None else broker
    if inspect.isfunction(events):
        name = events.__name__
        raise UsageError(
            f"{name} is a function, not a strategy of events: call it, @chaos({name}()); or if it is your test, "
            "not a bare @chaos but @chaos(events, broker=…)"
        )
    kinds = None if faults is None and without is None else frozenset(allowed_kinds(broker, faults, without))
    left_out = None if without is None else frozenset(allowed_kinds(broker, None)) - (kinds or frozenset())
    if allow_unknown is not None and (not isinstance(allow_unknown, str) or not allow_unknown.strip()):
        raise UsageError(f"allow_unknown={allow_unknown!r}: say in words why nothing can be shown")
    options = ChaosOptions(
        events=events, broker=broker, faults=kinds, without=left_out, invariants=default_invariants(invariants),
        schedules=schedules, allow_unknown=allow_unknown, across_keys=across_keys, loss=loss, poison=poisons(poison),
        epoch=checked_epoch(epoch), points=checked_points(points), freeze_time=checked_freeze(freeze_time),
        fails_with=checked_fails_with(fails_with),
    )  # fmt: skip
    _check(options)

    def decorate(test: Decorated) -> Decorated:
        return _wrapped(test, options)  # type: ignore[return-value]

    return decorate


def _check(options: ChaosOptions) -> None:
    """Raise UsageError at import, and not when the test runs."""
    subject = BoundTest(lambda deliver: None, False, "", options).subject()
    number = SCHEDULES if options.schedules is None else options.schedules
    settings = SearchSettings(schedules=number, seed=0, across_keys=options.across_keys)
    faults, without = options.narrowed
    question(subject, options.events, settings, faults=faults, without=without)


SELF_CHECK, TOLERATES = "which known bugs it would notice", "what it tolerates"

SCHEDULES = 1000
"""Distinct schedules of a test where nobody says how many."""


def _wrapped(test: Callable[..., Any], options: ChaosOptions) -> Callable[..., None]:
    signature = inspect.signature(test)
    if "deliver" not in signature.parameters:
        raise UsageError(f"{test.__name__} has no parameter `deliver`: write def {test.__name__}(deliver): …")
    names = list(signature.parameters)
    is_async = inspect.iscoroutinefunction(test)

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        __tracebackhide__ = True
        fixtures = dict(zip([name for name in names if name != "deliver"], args, strict=False)) | kwargs
        verdict = conduct(wrapper, fixtures)
        _pronounce(verdict, options)

    wrapper.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[p for name, p in signature.parameters.items() if name != "deliver"],
        return_annotation=inspect.Signature.empty,
    )
    wrapper.is_hypothesis_test = True  # type: ignore[attr-defined]
    wrapper.hypothesis = Handle(_reporting(leaves_no_task(test)) if is_async else test)  # type: ignore[attr-defined]
    wrapper.chaos_options = options  # type: ignore[attr-defined]
    wrapper.chaos_async = is_async  # type: ignore[attr-defined]
    for name in ("_hypothesis_internal_use_seed", "_hypothesis_internal_use_settings"):
        if not hasattr(wrapper, name):
            setattr(wrapper, name, None if name.endswith("seed") else hypothesis.settings())
    return wrapper


def _reporting(test: Callable[..., Any]) -> Callable[..., Any]:
    """An async test that leaves what it returns at `deliver`: the plugins that run it drop it."""

    @functools.wraps(test)
    async def inner(*args: Any, deliver: Deliver, **kwargs: Any) -> Any:
        deliver.returned = await test(*args, deliver=deliver, **kwargs)
        return deliver.returned

    return inner


@contextmanager
def bound(test: Any, fixtures: Mapping[str, Any] | None = None) -> Iterator[BoundTest]:
    """`test` as something that takes `deliver` alone, its coroutine run to the end.

    A decorated test has its `fixtures` by name; without them it may be wrapped in functools.partial, which gives it
    them, and may be a method of an instance. Raises UsageError where it needs more than it is given.
    """
    function, positional, named = _unpacked(test)
    if not hasattr(function, "chaos_options"):
        if not callable(test):
            raise UsageError(f"test={test!r}: a function of `deliver` is needed, got {type(test).__name__}")
        with own_loop(leaves_no_task(test)) as run:
            is_async = inspect.iscoroutinefunction(test)
            yield BoundTest(lambda deliver: run(deliver), is_async, name_of(function), ChaosOptions())
        return
    given = _arguments(function, positional, named) if fixtures is None else fixtures
    with own_loop(function.hypothesis.inner_test) as run:

        def body(deliver: Deliver) -> Any:
            returned = run(**given, deliver=deliver)
            # The plugins that run async tests drop what these return: it was left at `deliver`.
            return deliver.returned if function.chaos_async else returned

        yield BoundTest(body, function.chaos_async, name_of(inspect.unwrap(function)), function.chaos_options)


def _unpacked(test: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The function below partials and bound methods, and what these give it."""
    positional: tuple[Any, ...] = ()
    named: dict[str, Any] = {}
    while True:
        if isinstance(test, functools.partial):
            positional, named = test.args + positional, test.keywords | named
            test = test.func
        elif inspect.ismethod(test):
            positional = (test.__self__, *positional)
            test = test.__func__
        else:
            return test, positional, named


def _arguments(function: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """By name: `deliver` may stand anywhere among them."""
    signature = inspect.signature(function)
    try:
        return dict(signature.bind(*positional, **named).arguments)
    except TypeError as error:
        parameters = signature.parameters
        lacking = [name for name in list(parameters)[len(positional) :] if name not in named]
        name = getattr(function, "__name__", "test")
        if "self" in lacking:
            hint = f"give the method of an instance, {function.__qualname__.rpartition('.')[0]}().{name}"
        else:
            hint = f"give what it takes: functools.partial({name}, {', '.join(f'{p}={p}' for p in lacking)})"
        raise UsageError(f"{name} cannot be called: {error}; {hint if lacking else f'it takes {signature}'}") from None


def conduct(wrapper: Any, fixtures: Mapping[str, Any]) -> Verdict:
    """Saved repros first, then the search. The verdict knows the test and its seed."""
    runner = current()
    with bound(wrapper, fixtures) as test:
        subject = test.subject(limit=runner.limit, observer=runner.observer)
        with quiet(), runner.limited():
            begun = runner.before_search(subject)
            if isinstance(begun, Verdict):
                verdict, search = begun, runner.wants
            else:
                verdict, search = None, begun
            asked, seed = _question(wrapper, subject, fixtures, runner, search)
            if verdict is None:
                verdict = attrs.evolve(investigate(asked), seed=seed)
                verdict = checked(asked, verdict, partial(runner.asks, SELF_CHECK)) if runner.checks_itself else verdict
            advice = advice_on(asked, verdict, storage_of(wrapper), _tried_move) if runner.advises else None
            verdict = attrs.evolve(verdict, advice=Later(_too_late, advice))
            if runner.bounds:
                verdict = _with_boundary(asked, verdict)
            if runner.tolerates is not None:
                verdict = attrs.evolve(verdict, tolerance=_tolerance(wrapper, asked, seed, runner.tolerates))
        if verdict.status == "violated":
            _show_output(subject, verdict)
    return attrs.evolve(verdict, test=runner.test or name_of(wrapper))


def _tried_move(move: MoveName) -> None:
    current().asks("which move repairs it", SAYS[move])


def _with_boundary(asked: Question, verdict: Verdict) -> Verdict:
    """The verdict, and what has to stay in order, or why that is unknown."""
    if verdict.status == "violated" and verdict.scenario is not None and not verdict.scenario.faults:
        return verdict  # it fails in order, so that no order is right
    current().asks("what has to stay in order", "")
    try:
        return attrs.evolve(verdict, boundary=boundary_of(asked))
    except UsageError as error:
        return attrs.evolve(verdict, notes=(*verdict.notes, f"what has to stay in order is not known: {error}"))


def _tolerance(wrapper: Any, asked: Question, seed: int, brokers: Sequence[Broker]) -> Tolerance:
    options: ChaosOptions = wrapper.chaos_options
    runner = current()
    wanted = kinds_asked(*options.narrowed)
    found = tolerance_of(
        asked, brokers or (options.broker,), wanted, storage_of(wrapper), partial(runner.asks, TOLERATES)
    )
    return attrs.evolve(found, test=runner.test or name_of(wrapper), seed=seed)


def _too_late() -> NoReturn:
    raise UsageError(
        "which move repairs this was not asked while the test ran, and its fixtures are gone: run pytest with "
        "--chaos-repair, or call chaoskit.repairs(test, events, broker)"
    )


def _question(
    wrapper: Any, subject: Subject, fixtures: Iterable[str], runner: Runner, search: SearchOptions
) -> tuple[Question, int]:
    """What is searched, and the seed that finds it again."""
    options: ChaosOptions = wrapper.chaos_options
    name = runner.test or name_of(wrapper)
    seed, chosen = runner.seed(wrapper._hypothesis_internal_use_seed)
    begins = next(epoch for epoch in (options.epoch, search.epoch, epoch_of(seed)) if epoch is not None)
    examples = tuple(map(_literal, getattr(wrapper, "hypothesis_explicit_examples", ())))
    settings = SearchSettings(
        schedules=_schedules(options, search),
        exhaustive=search.exhaustive,
        budget=search.budget,
        patience=None if search.schedules or options.schedules or search.exhaustive else search.patience,
        seed=derive(seed, name),  # tests of one run have one seed, and are not to meet the same streams
        streams=_explicit_streams(wrapper),
        across_keys=options.across_keys,
        digest=None if chosen else name.encode(),  # what the database remembers would change what a seed gives
        examples=examples,
        fixtures=tuple(fixture for fixture in fixtures if fixture != "self"),
        evidence=search.evidence or Evidence(),
        known=tuple(search.known),
        on_failure=runner.on_failure,
        resume_from=tuple(search.resume_from),
    )
    subject = attrs.evolve(subject, epoch=begins)
    faults, without = options.narrowed
    return question(subject, options.events, settings, faults=faults, without=without), seed


def _schedules(options: ChaosOptions, search: SearchOptions) -> int:
    if search.exhaustive is not None:
        return UNLIMITED
    return search.schedules or (UNLIMITED if search.budget is not None else options.schedules or SCHEDULES)


def _literal(example: Any) -> Stream:
    if len(example.args) != 1 or example.kwargs:
        raise UsageError("@example takes one literal list of Events: @example([Event(key=…, value=…), …])")
    return Stream.of(example.args[0])


def _explicit_streams(wrapper: Any) -> int | None:
    """`max_examples` of a @settings on the test itself, where it is not just the profile's."""
    if not getattr(wrapper, "_hypothesis_internal_settings_applied", False):
        return None
    profile: Any = hypothesis.settings.default
    streams: int = wrapper._hypothesis_internal_use_settings.max_examples
    return None if streams == profile.max_examples else streams


def _show_output(subject: Subject, verdict: Verdict) -> None:
    """Run the minimal scenario once more, this time with its output and log records; but not where it does
    not end."""
    assert verdict.scenario is not None
    if any(violation.invariant in (HANG, DIED, ENDED) for violation in verdict.violations):
        return
    subject = attrs.evolve(subject, epoch=verdict.scenario.epoch)
    subject.on(verdict.scenario.stream).run(verdict.scenario.faults)


def _pronounce(verdict: Verdict, options: ChaosOptions) -> None:
    """Pass, skip or fail, with everything that is to be reported."""
    __tracebackhide__ = True
    runner = current()
    if verdict.status == "held":
        runner.passed(verdict)
        return
    if verdict.status == "unknown" and options.allow_unknown is not None:
        runner.skip(f"chaoskit: {options.allow_unknown} ({'; '.join(verdict.reasons)})", verdict)
    runner.failed(verdict)
    raise ChaosFailure(runner.text(verdict), verdict)
