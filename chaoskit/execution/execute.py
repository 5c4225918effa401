"""A schedule against the user's test: `deliver` and what it records. There is no chance and no clock here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import functools
import inspect
import types
from collections.abc import Callable, Collection, Coroutine, Generator, Sequence
from typing import Any, NoReturn, Protocol
from unittest import SkipTest

import attrs
from hypothesis.errors import UnsatisfiedAssumption

from chaoskit.execution import forks
from chaoskit.execution.limit import Hung
from chaoskit.values.errors import ChaosError, StreamError, UsageError
from chaoskit.values.event import Event, EventId, Message, Stream
from chaoskit.values.faults import Fail, Fault, Lose
from chaoskit.values.outcome import Outcome, Raised
from chaoskit.values.scenario import Model, Steps
from chaoskit.values.schedule import DELIVER, LOSE, REFUSE, RESTART, SKIP, WAIT, Raw
from chaoskit.values.state import snapshot

Handler = Callable[[Message], Any]
Body = Callable[["Deliver"], Any]
"""The user's test, run once: from `deliver` to what it returns."""

Calls = Generator[tuple[Handler, Message], Exception | None, None]
"""The calls of a run: send the exception that a handler raised, or None."""

PASS_THROUGH = (UnsatisfiedAssumption, SkipTest)
"""Exceptions that are addressed to the test runner. pytest.skip, fail and xfail are no Exceptions anyway."""

ENDS = (SystemExit, asyncio.CancelledError)
"""What ends a consumer that does not catch it: its process, or its task."""


@attrs.frozen(eq=False)
class Script:
    """What a run plays: the steps for a handler that refuses nothing, and the model to ask when it does.

    `refusals` are the numbers of the steps that were refused when the steps were recorded. `faults` is None for
    the in-order run, in which a refusal is the user's error.
    """

    mailbox: Mailbox
    steps: Sequence[Raw]
    faults: tuple[Fault, ...] | None = None
    refusals: frozenset[int] = frozenset()
    retries: bool | None = None
    """For orders that no model makes: whether what was refused is shown again at the end, for as long as that brings
    anything on; None: ask the model."""
    poison: tuple[type[Exception], ...] = ()
    """In the in-order run, with what the handler may refuse a message: to the end, and at once."""

    @property
    def loses(self) -> bool:
        """Whether a fault may lose a message."""
        return self.faults is not None and any(type(fault) in (Lose, Fail) for fault in self.faults)

    def after(self, number: int, refused: Sequence[bool]) -> Steps:
        """The model's own run, advanced past the first `number` steps, whose last one was refused or was not."""
        assert self.faults is not None
        play = self.mailbox.model.play(self.faults)
        answer: bool | None = None
        for i in range(number):
            made = play.send(answer)
            if tuple(made) != tuple(self.steps[i]):
                raise UsageError(
                    f"step {i + 1} of the schedule is not what this version of the broker's model makes, and the "
                    "handler now refuses other messages than it did: the run cannot go on"
                )
            answer = refused[i]
        return play


class RunObserver(Protocol):
    """Sees each run before it begins and after it has ended."""

    def begins(self, script: Script) -> None: ...

    def ends(self) -> None: ...


@attrs.frozen(eq=False)
class Run:
    """What happened: the outcome, the steps that were really taken and the numbers of those that were refused."""

    outcome: Outcome
    steps: Sequence[Raw]
    refusals: tuple[int, ...]
    memory_kept: bool
    """One handler served every process: what it remembers survived the restarts."""
    has_state: bool
    """`deliver(…, state=…)` was given."""
    remembers: bool = False
    """The handler is one that may have a memory of its own."""


class Mailbox:
    """Makes the messages of one stream, each decoded anew. Values that cannot change are shared."""

    def __init__(self, model: Model, epoch: float) -> None:
        self.model = model
        self.epoch = epoch
        self.message = model.mail([_copier_of(event) for event in model.stream.events], epoch)


_ATOMS = frozenset({int, str, bytes, float, bool, type(None), complex})


def _copier_of(event: Event) -> Callable[[Any], Any] | None:
    try:
        return copier(event.value)
    except (TypeError, RecursionError, copy.Error) as error:
        raise StreamError(f"the value of event {event.id!r} cannot be copied for a delivery: {error}") from error


def copier(value: Any) -> Callable[[Any], Any] | None:
    """How to copy this value for a delivery; None where it is built of immutable types only and can be shared."""
    kind = type(value)
    if kind in _ATOMS:
        return None
    if kind is tuple or kind is frozenset:
        return None if all(copier(item) is None for item in value) else copy.deepcopy
    if kind is dict and all(copier(item) is None for item in value.values()):
        return dict.copy
    if kind is list and all(copier(item) is None for item in value):
        return list.copy
    return None if copy.deepcopy(value) is value else copy.deepcopy


class Deliver:
    """The `deliver` of one run. `await` it in an async test."""

    returned: Any = None
    _called = False
    _done = False
    _misuse: UsageError | None = None
    _ended: ProcessEnded | None = None
    _task: asyncio.Task[Any] | None = None
    _memory_kept = False
    _handler: Handler | None = None
    _state: Callable[[], Any] | None = None
    _unawaited: Coroutine[Any, Any, None] | None = None
    _refusals: Sequence[int] = ()
    _at = 0

    def __init__(self, script: Script, is_async: bool, record_states: bool) -> None:
        self._script = script
        self._is_async = is_async
        self._record_states = record_states
        self._steps = script.steps
        self._states: list[Any] = []
        self._raised: list[Raised] = []

    def __call__(
        self,
        handler: Handler | None = None,
        *,
        spawn: Callable[[], Handler] | None = None,
        state: Callable[[], Any] | None = None,
    ) -> Any:
        """Play the schedule: `handler(message)` for each delivery.

        `spawn` makes a handler for each consumer process and again after each restart, so that what a process
        remembers is lost as it would be. `state()` is the state that invariants see after each delivery.
        Give a handler or `spawn`. Raises UsageError for a second call in one run.
        """
        self._check(handler, spawn, state)
        self._called = True
        self._memory_kept = spawn is None
        self._handler = handler
        self._state = state
        if self._is_async:
            self._unawaited = self._drive_async(self._calls(handler, spawn))
            return self._unawaited
        if handler is not None and not self._record_states and not self._script.refusals:
            return self._straight(handler)
        return self._drive(self._calls(handler, spawn))

    def _check(self, handler: object, spawn: object, state: object) -> None:
        if self._called:
            self._misused(
                "deliver was called a second time in one run of the test. Call it once: it plays the whole schedule"
            )
        if spawn is None and state is None and callable(handler):
            return
        if (handler is None) == (spawn is None):
            self._misused("give deliver either a handler, deliver(handler), or a way to make one, deliver(spawn=…)")
        for name, value in (("handler", handler), ("spawn", spawn), ("state", state)):
            if value is not None and not callable(value):
                self._misused(
                    f"deliver({name}={value!r}): a function is needed, got {type(value).__name__}; "
                    "of an object give the method, deliver(wallet.handle)"
                )
        if spawn is not None and not _takes_nothing(spawn):
            self._misused(
                "spawn takes a function without arguments that returns a handler: deliver(spawn=make_handler)"
            )

    def _misused(self, message: str) -> None:
        self._misuse = UsageError(message)
        raise self._misuse

    def _straight(self, handler: Handler) -> None:
        """The short way, for a handler that refuses nothing. At the first refusal the long way takes over."""
        message = self._script.mailbox.message
        number = 0
        try:
            for number, step in enumerate(self._steps):  # noqa: B007 - used where a refusal ends the loop
                if step[0] == DELIVER:
                    result = handler(message(step))
                    if result is not None:
                        self._must_be_done(result)
        except (UsageError, *PASS_THROUGH):
            raise
        except Hung:
            self._at = number
            raise
        except ENDS as end:
            self._at = number
            self._end(end)
        except Exception as refusal:  # noqa: BLE001 - a handler may refuse with anything
            self._drive(self._calls(handler, None, number, refusal))
        self._done = True

    def _must_be_done(self, result: Any) -> None:
        if type(result) not in _PLAIN and (why := _why_not_done(result)):
            self._misused(why)

    def _end(self, end: BaseException) -> NoReturn:
        """The handler ended its consumer. The run ends here, too."""
        self._steps = self._steps[: self._at + 1]
        event = self._script.mailbox.model.stream[self._steps[-1][2]]
        if self._script.faults is None:
            self._misuse = EndedInOrder(event, end)
            raise self._misuse from end
        step = f"step {len(self._steps)}, the delivery of {event.id}"
        self._ended = ProcessEnded(f"the handler ended its {_ending(end)}: {step}")
        raise self._ended from end

    def _calls(
        self,
        handler: Handler | None,
        spawn: Callable[[], Handler] | None,
        number: int = 0,
        error: Exception | None = None,
    ) -> Calls:
        """The calls that the schedule asks for, from step `number` on, which was refused already if `error` is given.

        Where a refusal is new, or one that was recorded does not come, the model itself goes on.
        """
        script, message = self._script, self._script.mailbox.message
        steps, expected = script.steps, script.refusals
        handlers: dict[int, Handler] = {}
        refused: list[int] = []
        live: Steps | None = None
        taken: list[Raw] = []
        later = None
        if script.retries is not None or script.poison:
            later = _Later(script.retries, at_once=bool(script.poison))
        self._refusals = refused
        while number < len(steps):
            step = steps[number]
            self._at, self._steps = number, steps
            if step[0] == DELIVER:
                if error is None:
                    called = handlers.get(step[1]) or handler
                    if called is None:
                        called = handlers[step[1]] = self._spawned(spawn)
                    error = yield called, message(step)
                if error is not None:
                    self._refuse(step[2], error)
                    refused.append(number)
                if self._record_states and self._state is not None:
                    self._states.append(snapshot(self._state()))
            elif step[0] == RESTART:
                handlers.pop(step[1], None)
            if later is not None:
                steps = later.after(steps, number, error is not None)
            elif live is None and (error is not None) != (number in expected):
                live = script.after(number + 1, [i in refused for i in range(number + 1)])
                taken = steps = list(steps[: number + 1])
            number += 1
            if live is not None:
                taken += _next_step(live, error is not None)
            error = None
        self._steps, self._refusals = steps, tuple(refused)
        self._done = True

    def _spawned(self, spawn: Callable[[], Handler] | None) -> Handler:
        made: Any = spawn() if spawn is not None else None
        if not callable(made):
            self._misused(f"spawn gave {made!r}, not a handler")
        return made  # type: ignore[no-any-return]

    def _refuse(self, position: int, error: Exception) -> None:
        event = self._script.mailbox.model.stream[position]
        if self._script.faults is None and not isinstance(error, self._script.poison):
            raise ReferenceRefused(event, error) from error
        self._raised.append(Raised(event.id, error))

    def _drive(self, calls: Calls) -> None:
        error: Exception | None = None
        while True:
            try:
                handler, message = calls.send(error)
            except StopIteration:
                return
            error = None
            try:
                result = handler(message)
                if result is not None:
                    self._must_be_done(result)
            except (UsageError, *PASS_THROUGH):
                raise
            except ENDS as end:
                self._end(end)
            except Exception as refusal:  # noqa: BLE001 - a handler may refuse with anything
                error = refusal

    async def _drive_async(self, calls: Calls) -> None:
        self._task = _current_task()
        error: Exception | None = None
        while True:
            try:
                handler, message = calls.send(error)
            except StopIteration:
                return
            error = None
            try:
                result = handler(message)
                if inspect.isawaitable(result):
                    result = await result
                if result is not None:
                    self._must_be_done(result)
            except (UsageError, *PASS_THROUGH):
                raise
            except ENDS as end:
                if _is_cancelled_from_outside(end):
                    raise
                self._end(end)
            except Exception as refusal:  # noqa: BLE001 - a handler may refuse with anything
                error = refusal

    # Read by `execute`.

    def outcome(self, returned: Any, failure: Exception | None) -> Outcome:
        if self._misuse is not None:
            raise self._misuse
        if self._ended is not None and self._ended.__cause__ is not None:
            failure = self._ended.with_traceback(self._ended.__cause__.__traceback__)
        if not self._done and failure is None:
            self._not_done()
        state = returned
        if returned is None and self._state is not None:
            state = self._state()
        delivered = Delivered(self._script.mailbox.model.stream, self._steps)
        if not self._raised:
            lost = self._lost(set(delivered)) if self._script.loses else ()
            return Outcome(state, delivered, tuple(self._states), lost=lost, failure=failure)
        last = {raised.event: raised for raised in self._raised}
        refused = tuple(last[id_] for id_ in Delivered(delivered.stream, self._steps, REFUSE))
        events, refusals = delivered.stream.events, set(self._refusals)
        taken = {events[s[2]].id for i, s in enumerate(self._steps) if s[0] == DELIVER and i not in refusals}
        given_up = {raised.event for raised in refused}
        skipped = set(Delivered(delivered.stream, self._steps, SKIP))
        dropped = tuple(id_ for id_ in self._lost(taken | given_up) if id_ in last and id_ in skipped)
        lost = self._lost(taken | given_up | set(dropped))
        unseen = self._unseen(lost)
        return Outcome(
            state, delivered, tuple(self._states), tuple(self._raised), refused, lost, unseen, dropped, failure
        )

    def _unseen(self, lost: Collection[EventId]) -> tuple[EventId, ...]:
        """What was never delivered, as it waits behind what was refused."""
        stream = self._script.mailbox.model.stream
        shown = {*Delivered(stream, self._steps), *lost}
        return tuple(id_ for id_ in dict.fromkeys(Delivered(stream, self._steps, WAIT)) if id_ not in shown)

    def _lost(self, taken: Collection[EventId]) -> tuple[EventId, ...]:
        """What was skipped or lost, and of which no copy was taken, or refused to its end, otherwise."""
        stream = self._script.mailbox.model.stream
        gone = [*Delivered(stream, self._steps, SKIP), *Delivered(stream, self._steps, LOSE)]
        return tuple(id_ for id_ in dict.fromkeys(gone) if id_ not in taken)

    def _not_done(self) -> None:
        if self._unawaited is not None:
            self._unawaited.close()
            raise UsageError("deliver was not awaited: in an async test write `await deliver(handler)`")
        raise UsageError(
            "the test returned without calling deliver, so no message was delivered. "
            "Call deliver(handler) once in its body"
        )

    def run(self, outcome: Outcome) -> Run:
        remembering = self._memory_kept and remembers(self._handler)
        return Run(outcome, self._steps, tuple(self._refusals), self._memory_kept, self._state is not None, remembering)

    @property
    def is_ended(self) -> bool:
        """The handler ended its consumer."""
        return self._ended is not None or isinstance(self._misuse, EndedInOrder)

    def tell(self, hung: Hung) -> None:
        """How far this run came."""
        coroutine = None if self._task is None else self._task.get_coro()
        if inspect.iscoroutine(coroutine):
            hung.end(coroutine)
        hung.caught()
        hung.stream, hung.faults = self._script.mailbox.model.stream, self._script.faults
        hung.over = self._done
        played = len(self._steps) if self._done else self._at + 1
        hung.steps = self._steps[:played] if self._called else ()
        hung.refusals = tuple(self._refusals)


def remembers(handler: Any) -> bool:
    """Whether it carries something from call to call that a new process would not have: a bound method, a closure, an
    object that can be called. A plain function has only what lies outside of the test's reach."""
    handler = inspect.unwrap(handler)
    if isinstance(handler, functools.partial):
        return True
    if inspect.isfunction(handler):
        return bool(handler.__closure__)
    if inspect.isbuiltin(handler) or inspect.ismethod(handler):
        return not isinstance(handler.__self__, (type, types.ModuleType, type(None)))
    return not isinstance(handler, type)


_PLAIN = frozenset({bool, int, float, str, bytes, dict, list, tuple, set})


def _why_not_done(result: Any) -> str | None:
    """Why a handler that returned this has not done its work yet; None where it may have."""
    if inspect.iscoroutine(result):
        result.close()
        return "the handler is async: make the test `async def` and write `await deliver(handler)`"
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        name = getattr(result, "__qualname__", "the handler")
        return (
            f"the handler returned {_a(result)}, {name}, and nothing in it has run: it handles no message. "
            "A `yield` makes a function one: take it out, or call what runs it"
        )
    if isinstance(result, concurrent.futures.Future) or inspect.isawaitable(result):
        return (
            f"the handler returned {_a(result)}, whose work may not be done yet, and the message counts as handled: "
            "give deliver a handler that waits for it (`await` in an async test, or `.result()`)"
        )
    return None


def _a(result: Any) -> str:
    name = "async generator" if inspect.isasyncgen(result) else type(result).__name__
    return f"{'an' if name.lstrip('_')[0].lower() in 'aeiou' else 'a'} {name}"


def _is_cancelled_from_outside(end: BaseException) -> bool:
    """Somebody wants the test itself to end, such as a timeout around it."""
    if not isinstance(end, asyncio.CancelledError):
        return False
    task = _current_task()
    return task is None or task.cancelling() > 0


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # another library's loop
        return None


def _ending(end: BaseException) -> str:
    what = "process" if isinstance(end, SystemExit) else "task"
    return f"{what} ({type(end).__name__}: {end})" if str(end) else f"{what} ({type(end).__name__})"


def _takes_nothing(function: Any) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


class Delivered(Sequence[EventId]):
    """The ids of the events of all steps of one kind, made when somebody looks."""

    __slots__ = ("_do", "_ids", "_steps", "stream")

    def __init__(self, stream: Stream, steps: Sequence[Raw], do: int = DELIVER) -> None:
        self.stream, self._steps, self._do = stream, steps, do
        self._ids: tuple[EventId, ...] | None = None

    def _made(self) -> tuple[EventId, ...]:
        if self._ids is None:
            events = self.stream.events
            self._ids = tuple(events[step[2]].id for step in self._steps if step[0] == self._do)
        return self._ids

    def __len__(self) -> int:
        return len(self._made())

    def __getitem__(self, place: Any) -> Any:
        return self._made()[place]

    def __repr__(self) -> str:
        return repr(self._made())


IN_ORDER_NOTHING_RAISES = """\
What the handler is given in order has to be possible, and it has to take it:
- A stream that no producer sends, such as one subscription that is created twice. Leave it out:
    events(values, keys, valid=lambda stream: sum(event.value["kind"] == "created" for event in stream) <= 1)
  or make only what is possible. Any strategy of lists of Event will do, also one whose events depend on each other:
    st.lists(st.integers(1, 100)).map(
        lambda amounts: [Event("sub-1", "created"), *(Event("sub-1", amount) for amount in amounts)]
    )
- What the handler rejects rightly, such as an overdraft: catch it in the handler, so that the message is done with.
- A message that can never be handled: chaos(…, poison=({error},)) lets the broker's rule for it apply in order, too.
- A failure of what the handler calls, such as a lost connection or a timeout, is none of the stream's. In order nothing
  may fail; the fault `Fail` lets single attempts fail, as they do in production.
See "The streams" in the README."""
"""The ways out of a refusal in order, each with the line that does it."""


class ReferenceRefused(UsageError):
    """The handler raised although every message came once and in order."""

    def __init__(self, event: Event, error: Exception) -> None:
        kind = type(error).__name__
        super().__init__(
            f"the handler raised {kind} on event {event.id!r} ({event.value!r}) although everything "
            f"came once and in order: {error}. {(_ELSEWHERE if _fails_elsewhere(error) else _REJECTED).format(kind)}"
        )
        self.add_note(IN_ORDER_NOTHING_RAISES.format(error=kind))
        self.event = event.id


_REJECTED = (
    "Leave streams that no producer sends out of the strategy, events(…, valid=…), and catch in the handler what it "
    "rejects rightly; where {0} means that this message can never be handled, say so: poison=({0},)"
)
_ELSEWHERE = (
    "That is a failure of what the handler calls: the kind of fault `Fail`, which chaoskit makes itself. Keep what "
    "stands in for the database or the service working; here it has to answer, each time"
)
_FAILURES = ("Connection", "Timeout", "Operational", "Interface", "Unavailable", "Network", "Disconnect")


def _fails_elsewhere(error: Exception) -> bool:
    """By its class, or by the name that clients give such an error."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(word in name for name in names for word in _FAILURES)


class ProcessEnded(Exception):
    """The handler ended its consumer in the middle of a run."""


class EndedInOrder(UsageError):
    """The handler ended its process although every message came once and in order."""

    def __init__(self, event: Event, end: BaseException) -> None:
        super().__init__(
            f"the handler ended its {_ending(end)} on event {event.id!r} ({event.value!r}) although "
            "everything came once and in order. A consumer that ends handles nothing any more: raise an exception for "
            "a message that is to come again, and return for one that is done"
        )


class HungInOrder(UsageError):
    """The test did not end although every message came once and in order."""

    def __init__(self, hung: Hung) -> None:
        super().__init__(
            f"{where_it_hung(hung)}, although everything came once and in order. Where it may take so long: "
            "--chaos-limit, or limit= of check, gives each run more time"
        )


def where_it_hung(hung: Hung) -> str:
    """What did not end, and for how long it was waited for."""
    if hung.steps and not hung.over and hung.steps[-1][0] == DELIVER:
        event = hung.stream[hung.steps[-1][2]].id
        return f"the handler did not return within {hung.seconds:g} s: step {len(hung.steps)}, the delivery of {event}"
    where = "after the deliveries" if hung.over else f"at step {len(hung.steps)}" if hung.steps else "before `deliver`"
    return f"the test did not end within {hung.seconds:g} s: {where}"


class _Later:
    """What was refused in an order that no model makes: refused to the end `at_once`, or lost, or shown again at the
    end, round after round, for as long as a round brings anything on."""

    def __init__(self, retries: bool | None, *, at_once: bool = False) -> None:
        self._retries = retries
        self._at_once = at_once
        self._refused: list[Raw] = []
        self._more = True

    def after(self, steps: Sequence[Raw], number: int, refused: bool) -> Sequence[Raw]:
        """The steps with what follows from the one of this number."""
        step = steps[number]
        if refused and self._at_once:
            return [*steps[: number + 1], (REFUSE, *step[1:]), *steps[number + 1 :]]
        if refused and not self._retries:
            return [*steps[: number + 1], (SKIP, *step[1:]), *steps[number + 1 :]]
        if refused:
            self._refused.append(step)
        elif step[0] == DELIVER:
            self._more = True
        if number + 1 < len(steps) or not self._refused:
            return steps
        again = self._refused if self._more else [(REFUSE, *each[1:]) for each in self._refused]
        self._refused, self._more = [], False
        return [*steps, *again]


def _next_step(play: Steps, refused: bool) -> list[Raw]:
    try:
        return [play.send(refused)]
    except StopIteration:
        return []


def execute(
    body: Body, script: Script, *, forked_before: int, is_async: bool = False, record_states: bool = False
) -> Run:
    """Run the test once. What its body raises after the deliveries is part of the outcome, except in order.

    `forked_before`: how many children this process had made (`forks.made()`) before the first run of this test.
    """
    deliver, generation = Deliver(script, is_async, record_states), forks.generation()
    try:
        run = _executed(body, script, deliver)
    except Hung as hung:
        deliver.tell(hung)
        if script.faults is None:
            raise HungInOrder(hung) from None
        raise
    finally:
        if forks.generation() != generation:
            forks.leave(on_purpose=deliver.is_ended)
    if forks.some_came_back(forked_before):
        raise UsageError(
            "the handler forked, and the child came back from it: two processes would go on with the same messages. "
            "End the child where its work is done, with os._exit(0), or start it with subprocess"
        )
    return run


def _executed(body: Body, script: Script, deliver: Deliver) -> Run:
    returned, failure = None, None
    try:
        returned = body(deliver)
    except (ChaosError, *PASS_THROUGH):
        raise
    except Exception as error:
        if script.faults is None:
            raise
        failure = error
    return deliver.run(deliver.outcome(returned, failure))
