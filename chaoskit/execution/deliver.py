"""The `deliver` of one run: a schedule against the user's handler. There is no chance and no clock here."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import Any, Literal

import attrs

from chaoskit.execution.batches import Singles, batches_of
from chaoskit.execution.deliveries import Deliveries
from chaoskit.execution.failures import EndedInOrder, NoThreads, what_dies
from chaoskit.execution.handlers import remembers, why_not_given
from chaoskit.execution.limit import Hung
from chaoskit.execution.loop_batches import batches_of_loop
from chaoskit.execution.loop_threads import LoopProcesses, is_loop, settle_of
from chaoskit.execution.loops import consumer
from chaoskit.execution.moved import moved
from chaoskit.execution.playing import Playing
from chaoskit.execution.processes import Processes, Spawn, through
from chaoskit.execution.script import Delivered, Handler, Move, Run, Script
from chaoskit.execution.sent import sent_by
from chaoskit.execution.settling import settlements_of
from chaoskit.execution.shared import IN_DJANGOS_TRANSACTION, is_in_djangos_transaction
from chaoskit.execution.stepping import name_point
from chaoskit.execution.tasks import running_loop
from chaoskit.execution.threads import ThreadedProcesses
from chaoskit.execution.told import Played, broken_at, outcome_of
from chaoskit.execution.topics import one_handler
from chaoskit.execution.watching import watched, watching_of
from chaoskit.values.errors import StaleState, UsageError
from chaoskit.values.outcome import Effect, Outcome
from chaoskit.values.raw import Serializer
from chaoskit.values.state import snapshot

Body = Callable[["Deliver"], Any]
"""The user's test, run once: from `deliver` to what it returns."""


class Deliver(Playing):
    """The `deliver` of one run. `await` it in an async test."""

    # Attributes of the class, as one `deliver` is made for each run and most of these are never set.
    returned: Any = None
    _memory_kept = False
    _given: Handler | None = None
    _spawn: Spawn | None = None
    _handler: Handler | None = None
    """What was given, with the move around it."""
    _unawaited: Coroutine[Any, Any, None] | None = None
    _fails_inside = False
    _most: int | None = None
    """Of a handler that takes batches: messages of one call."""

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
        self._states = []
        self._raised = []
        self._effects: list[Effect] = []
        self._failures = {}

    def __call__(
        self,
        handler: Handler | None = None,
        *,
        spawn: Spawn | None = None,
        state: Callable[[], Any] | None = None,
        batch: bool | int = False,
        settle: Literal["return", "handler"] = "return",
        serializer: Serializer | None = None,
    ) -> Any:
        """Play the schedule: `handler(message)` for each delivery.

        `spawn` makes a handler for each consumer process and again after each restart, so that what a process
        remembers is lost as it would be. It is a function that returns the handler, or a context manager (in an async
        test also an async one) that yields it: entered when a process starts, left when the run is over, before this
        returns, and left with `chaoskit.Died` where the process dies. `state()` is the state that invariants see after
        each delivery. Give a handler or `spawn`. `settle="handler"`: nothing is settled by returning, but by
        `message.ack()` and the like (docs/settling.md). `batch`: the handler takes the list of messages that one poll,
        receive or invocation gives, up to the broker's own setting, or so many (docs/batches.md). `serializer(value)`
        makes the bytes of `message.raw`, JSON by default. Raises UsageError for a second call in one run.
        """
        self._script = sent_by(self._script, serializer)
        self._begin(handler, spawn, state, settle, batch)
        # A coroutine that nobody awaits has run nothing: it is kept so that this can be told from a short schedule.
        if self._is_async:
            self._unawaited = self._played(self._calls(self._handler))
            return self._unawaited
        # Nearly all runs are such: no generator, no state and no refusals to keep make them about as cheap as the
        # handler.
        records = self._record_states and state is not None
        if self._handler is not None and not (
            records or self._script.refusals or self._settling or self._fails_inside or self._most
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
        serializer: Serializer | None = None,
    ) -> Deliveries:
        """Play the schedule step by step, for asserts between deliveries: `for delivery in deliver.steps(handler)`, in
        an async test `async for`. It stands in the place of `deliver(…)` and takes what that takes.

        Each delivery says which message it was, its number and what the handler raised. An assert that fails is a
        violation at this step. Go through all of them: a loop that is left in another way is a UsageError.
        """
        self._script = sent_by(self._script, serializer)
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
        if settle != "return" or spawn is not None:
            self._settling = settlements_of(settle_of(spawn, settle), self._script, self._misused)
        self._called = True
        self._memory_kept = spawn is None
        self._given, self._spawn = handler, spawn
        self._state = state
        self._fails_inside = self._script.fails_inside
        if batch is not False:
            both = settle != "return" or is_loop(spawn, self._is_async)
            self._most, self._batching = batches_of(
                batch, self._script, self._move, self._is_async, self._misused, settles=both
            )
        self._handler = None if handler is None else self._moved(handler)
        if spawn is not None:
            self._processes = self._processes_of(spawn)
        elif self._script.is_inside:
            self._misused(what_dies(map(type, self._script.faults or ())))

    def _processes_of(self, spawn: Spawn) -> Processes | ThreadedProcesses:
        script, is_async, moved_ = self._script, self._is_async, self._moved
        if is_in_djangos_transaction():
            self._misused(IN_DJANGOS_TRANSACTION)
        if is_loop(spawn, is_async) and (not is_async or running_loop() is not None):
            watching = watching_of(self)
            loops = LoopProcesses(spawn, is_async, moved_, self._misused, script.points, self._move, watching)
            self._batching = batches_of_loop(self, loops.exited)
            return loops
        if not script.is_inside:
            return Processes(spawn, is_async, moved_, self._misused)
        if is_async and running_loop() is None:
            self._misuse = NoThreads()
            raise self._misuse
        self._deaths = {}
        return ThreadedProcesses(spawn, is_async, moved_, self._misused, script.points)

    def _moved(self, handler: Handler) -> Handler:
        one = self._batching.around(handler) if self._most is not None else one_handler(handler)
        found = one if self._move is None else moved(one, self._move, is_async=self._is_async)
        return watched(found, self) if self._fails_inside else found

    def close(self) -> None:
        """The test is over. An async one has called `aclose`."""
        if not self._is_async and self._processes is not None:
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
        state, loses = returned, self._script.loses
        if returned is None and self._state is not None:
            state = self._state()
        played = Played(
            Delivered(self._script.mailbox.model.stream, self._steps), self._steps, self._raised, self._refusals,
            broken_at(self._deaths, self._failures, self._excused, self._steps), self._states, self._effects, loses,
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
        # No call of code that is not ours before `caught`: it would be interrupted, and nobody would catch that.
        if isinstance(coroutine, CoroutineType):
            # Before `caught`, which would stop the interruptions that this needs.
            hung.end(coroutine)
        hung.caught()
        hung.stream, hung.faults = self._script.mailbox.model.stream, self._script.faults
        hung.over = self._done
        played = len(self._steps) if self._done else self._at + 1
        hung.steps = self._steps[:played] if self._called else ()
        hung.refusals, hung.raised, hung.deaths = tuple(self._refusals), tuple(self._raised), self._deaths
        hung.waits_for_nobody = isinstance(self._processes, ThreadedProcesses) and self._processes.waits_for_nobody
        hung.settled = None if self._settling is None else self._settling.settles
