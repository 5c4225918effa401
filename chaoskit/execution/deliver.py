"""The `deliver` of one run: a schedule against the user's handler. There is no chance and no clock here."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from functools import partial
from operator import length_hint
from types import MappingProxyType
from typing import Any, Literal, NoReturn

import attrs

from chaoskit.execution.asked import Asked
from chaoskit.execution.batches import Batching, Singles, batches_of, delivered
from chaoskit.execution.deliveries import Deliveries, Delivery
from chaoskit.execution.failing import watched
from chaoskit.execution.failures import EndedInOrder, NoThreads, ProcessEnded, ReferenceRefused, ending, what_dies
from chaoskit.execution.handlers import PLAIN, remembers, why_not_done, why_not_given
from chaoskit.execution.limit import Hung
from chaoskit.execution.loop_batches import batches_of_loop
from chaoskit.execution.loop_threads import LoopProcesses, is_loop, settle_of
from chaoskit.execution.loops import consumer
from chaoskit.execution.moved import moved
from chaoskit.execution.processes import Processes, Spawn, through
from chaoskit.execution.rounds import rounds_of
from chaoskit.execution.script import PASS_THROUGH, Calls, Change, Delivered, Handler, Move, Run, Script, next_step
from chaoskit.execution.settling import Nacked, Settlements, answers, settlements_of
from chaoskit.execution.stepping import Death, Failure, name_point
from chaoskit.execution.tasks import current_task, has_asyncio, is_cancelled_from_outside
from chaoskit.execution.threads import ThreadedProcesses
from chaoskit.execution.told import Played, broken_at, outcome_of
from chaoskit.execution.topics import one_handler
from chaoskit.values.errors import StaleState, UsageError
from chaoskit.values.event import Message
from chaoskit.values.outcome import Effect, Outcome, Raised
from chaoskit.values.scenario import Steps
from chaoskit.values.schedule import BEGIN, DELIVER, GO_ON, RESTART, Raw, is_handed, what_of
from chaoskit.values.state import snapshot

Body = Callable[["Deliver"], Any]
"""The user's test, run once: from `deliver` to what it returns."""

ENDS = (SystemExit, asyncio.CancelledError)
"""What ends a consumer that does not catch it: its process, or its task."""


class Deliver(Asked):
    """The `deliver` of one run. `await` it in an async test."""

    # Attributes of the class, as one `deliver` is made for each run and most of these are never set.
    returned: Any = None
    _called = False
    _done = False
    _misuse: UsageError | None = None
    _ended: ProcessEnded | None = None
    _task: asyncio.Task[Any] | None = None
    _memory_kept = False
    _given: Handler | None = None
    _spawn: Spawn | None = None
    _handler: Handler | None = None
    """What was given, with the move around it."""
    _state: Callable[[], Any] | None = None
    _unawaited: Coroutine[Any, Any, None] | None = None
    _processes: Processes | ThreadedProcesses | None = None
    _most: int | None = None
    """Of a handler that takes batches: messages of one call."""
    _batching: Singles | Batching
    _settling: Settlements | None = None
    _deaths: Mapping[int, Death] = MappingProxyType({})
    _refusals: Sequence[int] = ()
    _calls_left: Calls | None = None
    """Of a run that the test goes through step by step."""
    _number = 0
    """Of the delivery in such a run."""
    _paused = False
    """The test has the word between two deliveries."""
    _at = 0
    _walk: Iterator[Raw] | None = None
    """The steps that are left, where the short way is taken: `_at` stands still there."""

    def __init__(
        self,
        script: Script,
        is_async: bool,
        record_states: bool,
        move: Move | None = None,
        one_process: bool = False,
    ) -> None:
        self._script = script
        self._move = move
        self._one_process = one_process
        self._is_async = is_async
        self._record_states = record_states
        self._steps = script.steps
        self._batching = Singles()
        self._states: list[Any] = []
        self._raised: list[Raised] = []
        self._effects: list[Effect] = []
        self._failures: dict[int, Failure] = {}

    def __call__(
        self,
        handler: Handler | None = None,
        *,
        spawn: Spawn | None = None,
        state: Callable[[], Any] | None = None,
        batch: bool | int = False,
        settle: Literal["return", "handler"] = "return",
    ) -> Any:
        """Play the schedule: `handler(message)` for each delivery.

        `spawn` makes a handler for each consumer process and again after each restart, so that what a process
        remembers is lost as it would be. It is a function that returns the handler, or a context manager (in an async
        test also an async one) that yields it: entered when a process starts, left when the run is over, before this
        returns, and left with `chaoskit.Died` where the process dies. `state()` is the state that invariants see after
        each delivery. Give a handler or `spawn`. `settle="handler"`: nothing is settled by returning, but by
        `message.ack()` and the like (docs/settling.md). `batch`: the handler takes the list of messages that one poll,
        receive or invocation gives, up to the broker's own setting, or so many (docs/batches.md). Raises UsageError for
        a second call in one run.
        """
        self._begin(handler, spawn, state, settle, batch)
        # A coroutine that nobody awaits has run nothing: it is kept so that this can be told from a short schedule.
        if self._is_async:
            self._unawaited = self._played(self._calls(self._handler))
            return self._unawaited
        # Nearly all runs are such: no generator, no state and no refusals to keep make them about as cheap as the
        # handler.
        records = self._record_states and state is not None
        inside = self._script.fails_inside
        if self._handler is not None and not (
            records or self._script.refusals or self._settling or inside or self._most
        ):
            return self._straight(self._handler)
        return through(self._played(self._calls(self._handler)))

    def steps(
        self,
        handler: Handler | None = None,
        *,
        spawn: Spawn | None = None,
        state: Callable[[], Any] | None = None,
        batch: bool | int = False,
        settle: Literal["return", "handler"] = "return",
    ) -> Deliveries:
        """Play the schedule step by step, for asserts between deliveries: `for delivery in deliver.steps(handler)`, in
        an async test `async for`. It stands in the place of `deliver(…)` and takes what that takes.

        Each delivery says which message it was, its number and what the handler raised. An assert that fails is a
        violation at this step. Go through all of them: a loop that is left in another way is a UsageError.
        """
        self._begin(handler, spawn, state, settle, batch)
        self._calls_left = self._calls(self._handler)
        return Deliveries(self._next_delivery, self._is_async, self._misused)

    consumer = consumer

    def effect(self, name: str, value: Any = None, key: Any = None) -> None:
        """Record what leaves and no rollback takes back: a mail, a charge, a published message. Call it where that
        happens, such as in the double of a mail client.

        `effects_exactly_once()` and `effects_at_least_once()` compare names, keys and values with those of in-order
        delivery. `key` says of what it is, such as an order. Raises UsageError for a name that is none, and for a value
        that cannot be copied.
        """
        if not isinstance(name, str) or not name:
            self._misused(f"deliver.effect({name!r}): the first argument is what happens, such as 'mail'")
        try:
            value, key = snapshot(value), snapshot(key)
        except StaleState as error:
            self._misused(f"deliver.effect({name!r}, …): {error}")
        at, playing = self._present(), self._called and not self._done and bool(self._steps)
        step = self._steps[at] if playing else None
        event = self._script.mailbox.model.stream[step[2]].id if step is not None and step[2] >= 0 else None
        self._effects.append(Effect(name, value, key, event, None if event is None else at + 1))

    def point(self, name: str) -> None:
        """A point at which the process can die: `deliver.point("charged")` in code that chaoskit does not step into."""
        name_point(name)

    def _present(self) -> int:
        """The number of the present step, from 0."""
        return self._at if self._walk is None else len(self._steps) - length_hint(self._walk) - 1

    def _begin(
        self,
        handler: Handler | None,
        spawn: Spawn | None,
        state: Callable[[], Any] | None,
        settle: str,
        batch: bool | int = False,
    ) -> None:
        if self._called:
            self._misused(
                "deliver was called a second time in one run of the test. Call it once: it plays the whole schedule"
            )
        if (why := why_not_given(handler, spawn, state)) is not None:
            self._misused(why)
        self._settling = settlements_of(settle_of(spawn, settle), self._script, self._misused)
        self._called = True
        self._memory_kept = spawn is None
        self._given, self._spawn = handler, spawn
        self._state = state
        if batch is not False:
            both = settle != "return" or is_loop(spawn, self._is_async)
            self._most, self._batching = batches_of(
                batch, self._script, self._move, self._is_async, self._misused, settles=both
            )
        self._handler = None if handler is None else self._moved(handler)
        if is_loop(spawn, self._is_async) and (not self._is_async or has_asyncio()):
            assert spawn is not None
            self._processes = LoopProcesses(
                spawn, self._is_async, self._moved, self._misused, self._script.points, self._move
            )
            self._batching = batches_of_loop(self, self._processes.exited)
        elif self._script.is_inside:
            if spawn is None:
                self._misused(what_dies(map(type, self._script.faults or ())))
            if self._is_async and not has_asyncio():
                self._misuse = NoThreads()
                raise self._misuse
            self._deaths = {}
            self._processes = ThreadedProcesses(spawn, self._is_async, self._moved, self._misused, self._script.points)
        elif spawn is not None:
            self._processes = Processes(spawn, self._is_async, self._moved, self._misused)

    def _moved(self, handler: Handler) -> Handler:
        if self._most is not None:
            return self._batching.around(handler)
        handler = one_handler(handler)
        found = handler if self._move is None else moved(handler, self._move, is_async=self._is_async)
        return watched(found, self._script, lambda: (self._at, self._steps[self._at]), self._failures, self._is_async)

    def _misused(self, message: str) -> NoReturn:
        # Kept, as a handler or a body that catches everything would swallow it: `outcome` raises it again.
        self._misuse = UsageError(message)
        raise self._misuse

    def _straight(self, handler: Handler) -> None:
        """The short way, for a handler that refuses nothing. At the first refusal the long way takes over."""
        message = self._script.mailbox.message
        self._walk = walk = iter(self._steps)
        try:
            for step in walk:
                if step[0] == DELIVER:
                    result = handler(message(step))
                    if result is not None:
                        self._must_be_done(result)
        except (UsageError, *PASS_THROUGH):
            raise
        except Hung:
            self._stand()
            raise
        except ENDS as end:
            self._stand()
            self._end(end)
        except Exception as refusal:  # noqa: BLE001 - a handler may refuse with anything
            self._stand()
            # Nothing is played twice: the call that was refused is handed on as it is.
            through(self._play(self._calls(handler, self._at, refusal)))
        self._done = True

    def _stand(self) -> None:
        """The short way ends at this step."""
        self._at, self._walk = self._present(), None

    def _must_be_done(self, result: Any) -> None:
        # The set first: a handler mostly returns nothing or something plain, and the rest costs a dozen checks.
        if type(result) not in PLAIN and (why := why_not_done(result)):
            self._misused(why)

    def _end(self, end: BaseException) -> NoReturn:
        """The handler ended its consumer. The run ends here, too."""
        self._steps = self._steps[: self._at + 1]
        last = self._steps[-1]
        event = self._script.mailbox.model.stream[last[2]]
        if self._script.faults is None:
            # A body may catch SystemExit, too, and return as if all had been delivered.
            self._misuse = EndedInOrder(event, end)
            raise self._misuse from end
        step = f"the delivery of {event.id}" if what_of(last) == DELIVER else "the start of a process"
        step = "the clean stop" if self._done else f"step {len(self._steps)}, {step}"
        self._ended = ProcessEnded(f"the handler ended its {ending(end)}: {step}")
        raise self._ended from end

    def _calls(self, handler: Handler | None, number: int = 0, error: Exception | None = None) -> Calls:
        """The calls that the schedule asks for, from step `number` on, which was refused already if `error` is given.
        Where a refusal is new, or one that was recorded does not come, the model itself goes on."""
        script, settling, one = self._script, self._settling, self._one_process
        message = script.mailbox.message if settling is None else settling.mail(self._present)
        steps, expected = script.steps, script.refusals
        processes = self._processes
        refused: list[int] = []
        live: Steps | None = None
        taken: list[Raw] = []
        rounds, batching = rounds_of(script, rejects=settling is not None), self._batching
        self._refusals = refused
        if settling is not None and settling.is_live:
            live = script.after(0, ())
            steps = taken = next_step(live, None)
        while number < len(steps):
            step = steps[number]
            self._at, self._steps = number, steps
            if batching.waits(number, step):
                pass
            elif is_handed(step) or step[0] == GO_ON:
                if error is None:
                    called = handler if processes is None else (yield from self._begun(step, processes))
                    assert called is not None
                    error = yield called, batching.parcel(message)
                    error = error if settling is None else settling.took(number, step, error)
                for number_of, failed, why in () if error is None else batching.failed(error):
                    self._refuse(failed[2], why)
                    refused.append(number_of)
                # After a refusal, too: it may have had effects.
                if self._record_states and self._state is not None and what_of(step) != BEGIN:
                    self._states.append(snapshot(self._state()))
                if self._calls_left is not None:
                    yield None
            elif step[0] == RESTART and processes is not None and not one:
                yield partial(processes.die, step[1])
                # At once, and not with its next message: there may be none, and it may have left work behind.
                yield partial(processes.begin, step[1])
            if settling is not None:
                settling.passed(steps, number)
            if rounds is not None:
                steps = rounds.after(steps, number, error is not None)
            # Up to here the recorded steps were right; behind another answer only the model knows what follows.
            elif batching.is_other(number, refused, expected if live is None else None) or (
                live is None and settling is not None and not settling.is_as_recorded(number)
            ):
                live = script.after(number + 1, answers(settling, steps, number + 1, refused), steps)
                taken = steps = list(steps[: number + 1])  # one list: the loop goes on with what the model adds
            number += 1
            if live is not None:
                taken += next_step(live, answers(settling, steps, number, refused, number - 1)[0])
            error = None
        self._steps, self._refusals = steps, tuple(refused)
        self._done = True
        if processes is not None:
            yield processes.stop

    def _begun(self, step: Raw, processes: Processes | ThreadedProcesses) -> Generator[Change, Any, Handler]:
        """The handler of the process that takes this step, or what calls it where more happens than that. The process
        begins with its first message."""
        number = 0 if self._one_process else step[1]
        if number not in processes.handlers:
            yield partial(processes.begin, number)
        if isinstance(processes, ThreadedProcesses):
            return processes.takes(number, step, self._script.counted, self._died)
        return processes.handlers[number]

    def _died(self, death: Death) -> None:
        self._deaths = {**self._deaths, **dict.fromkeys(self._batching.numbers, death)}

    def _refuse(self, position: int, error: Exception) -> None:
        event = self._script.mailbox.model.stream[position]
        if self._script.faults is None and not isinstance(error, (Nacked, *self._script.poison)):
            raise ReferenceRefused(event, error) from error
        self._raised.append(Raised(event.id, error, self._at in self._failures))

    async def _played(self, calls: Calls) -> None:
        """All of it. In a sync test nothing is awaited here."""
        try:
            await self._play(calls)
        finally:
            await self.aclose()

    async def _play(self, calls: Calls) -> Delivery | None:
        """Up to the next pause, and what was delivered then; None at the end."""
        if self._is_async:
            self._task = current_task()
        error: Exception | None = None
        message: Message | None = None
        while True:
            try:
                call = calls.send(error)
            except StopIteration:
                return None
            if call is None:
                assert message is not None
                self._number += 1
                return delivered(self._number, message, error)
            error = None
            if not isinstance(call, tuple):
                await self._change(call)
                continue
            handler, message = call
            try:
                result = handler(message)
                if result is not None:
                    if self._is_async and inspect.isawaitable(result):
                        result = await result
                    self._must_be_done(result)
            except (UsageError, *PASS_THROUGH):
                raise
            except ENDS as end:
                self._end_unless_cancelled(end)
            except Exception as refusal:  # noqa: BLE001 - a handler may refuse with anything
                error = refusal

    async def _change(self, change: Change) -> None:
        self._moves()
        try:
            await change()
        except ENDS as end:
            self._end_unless_cancelled(end)

    def _end_unless_cancelled(self, end: BaseException) -> NoReturn:
        # Not the handler's doing: whoever cancels the test's task waits for it to end.
        if self._is_async and is_cancelled_from_outside(end):
            raise end
        self._end(end)

    async def _next_delivery(self) -> Delivery | None:
        assert self._calls_left is not None
        self._paused = False
        try:
            delivery = await self._play(self._calls_left)
        except BaseException:
            await self.aclose()
            raise
        self._paused = delivery is not None
        return delivery

    async def aclose(self) -> None:
        """Leave no process open, where the run is over before its time."""
        if self._processes is not None:
            await self._processes.abandon()

    def close(self) -> None:
        """The test is over. An async one has called `aclose`."""
        if not self._is_async:
            through(self.aclose())

    def sweep(self) -> bool:
        """Nothing of this run is asked any more. Whether nothing of it is left."""
        if self._settling is not None:
            self._settling.is_over = True
        return not isinstance(self._processes, ThreadedProcesses) or self._processes.sweep()

    # Read by `execute`.

    def outcome(self, returned: Any, failure: Exception | None) -> Outcome:
        # Before all else: whatever came of such a run says nothing of the handler.
        if self._misuse is not None:
            raise self._misuse
        if self._ended is not None and self._ended.__cause__ is not None:
            # Even if the body has swallowed it; and with the place in the handler, not ours.
            failure = self._ended.with_traceback(self._ended.__cause__.__traceback__)
        if not self._done and failure is None:
            self._not_done()
        failed_at = None
        if self._paused and failure is not None:
            # What the test has not come to was not played.
            self._steps, failed_at = self._steps[: self._at + 1], self._at + 1
        state = returned
        if returned is None and self._state is not None:
            state = self._state()
        played = Played(
            Delivered(self._script.mailbox.model.stream, self._steps), self._steps, self._raised, self._refusals,
            broken_at(self._deaths, self._failures, self._refusals), self._states, self._effects, self._script.loses,
        )  # fmt: skip
        outcome = outcome_of(played, state, failure, failed_at)
        return outcome if self._settling is None else self._settling.judged(outcome, self._steps, self._refusals)

    def _not_done(self) -> None:
        if self._unawaited is not None:
            self._unawaited.close()  # else Python warns of it at some later time, beside another test
            raise UsageError("deliver was not awaited: in an async test write `await deliver(handler)`")
        if self._calls_left is not None:
            raise UsageError(
                "the test returned before it had gone through all of deliver.steps(…): write "
                f"`{'async for' if self._is_async else 'for'} delivery in deliver.steps(handler)`, without break"
            )
        raise UsageError(
            "the test returned without calling deliver, so no message was delivered. "
            "Call deliver(handler) once in its body"
        )

    def run(self, outcome: Outcome) -> Run:
        remembering = self._memory_kept and remembers(self._given)
        if self._deaths or isinstance(self._processes, LoopProcesses):  # before the frames of the dead are unwound
            outcome = attrs.evolve(outcome, state=snapshot(outcome.state))
        settling = self._settling
        settled, has_settled = (None, True) if settling is None else (settling.settles, settling.has_settled)
        return Run(
            outcome, self._steps, tuple(self._refusals), self._memory_kept, self._state is not None, remembering,
            self._deaths, settled, has_settled, self._failures, isinstance(self._processes, LoopProcesses),
            most_together=self._most,
        )  # fmt: skip

    @property
    def is_ended(self) -> bool:
        """The handler ended its consumer."""
        return self._ended is not None or isinstance(self._misuse, EndedInOrder)

    def describe(self, hung: Hung) -> None:
        """Write into `hung` how far this run came."""
        coroutine = None if self._task is None else self._task.get_coro()
        if inspect.iscoroutine(coroutine):
            # Before `caught`, which would stop the interruptions that this needs.
            hung.end(coroutine)
        hung.caught()
        hung.stream, hung.faults = self._script.mailbox.model.stream, self._script.faults
        hung.over = self._done
        played = len(self._steps) if self._done else self._at + 1
        hung.steps = self._steps[:played] if self._called else ()
        hung.refusals = tuple(self._refusals)
        hung.waits_for_nobody = isinstance(self._processes, ThreadedProcesses) and self._processes.waits_for_nobody
        hung.settled = None if self._settling is None else self._settling.settles
