"""How one run is played: the steps of its schedule, as calls of the user's handler. There is no chance and no clock
here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence, Set
from functools import partial
from operator import length_hint
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from chaoskit.execution.asked import Asked
from chaoskit.execution.batches import Batching, Singles, delivered
from chaoskit.execution.course import Course
from chaoskit.execution.deliveries import Delivery
from chaoskit.execution.failures import EndedInOrder, ProcessEnded, ReferenceRefused, ending
from chaoskit.execution.handlers import PLAIN, why_not_done
from chaoskit.execution.limit import Hung
from chaoskit.execution.processes import Processes, through
from chaoskit.execution.retried import Final, gives_up_of
from chaoskit.execution.script import PASS_THROUGH, Calls, Change, Handler
from chaoskit.execution.settling import Nacked, Settlements
from chaoskit.execution.stepping import Death, Failure
from chaoskit.execution.tasks import cancellations, current_task, is_cancelled_from_outside
from chaoskit.execution.threads import ThreadedProcesses
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message
from chaoskit.values.outcome import Raised
from chaoskit.values.schedule import BEGIN, DELIVER, FAIL, GO_ON, RESTART, Raw, is_handed, what_of
from chaoskit.values.state import snapshot

if TYPE_CHECKING:
    import asyncio


def _ends() -> tuple[type[BaseException], ...]:
    """What ends a consumer that does not catch it: its process, or its task."""
    return (SystemExit, *cancellations())


class Playing(Asked):
    """The part of `deliver` that plays."""

    # Attributes of the class, as one `deliver` is made for each run and most of these are never set.
    _is_async: bool
    _record_states: bool
    _one_process: bool
    _called = False
    _done = False
    _misuse: UsageError | None = None
    _ended: ProcessEnded | None = None
    _task: asyncio.Task[Any] | None = None
    _state: Callable[[], Any] | None = None
    _processes: Processes | ThreadedProcesses | None = None
    _batching: Singles | Batching
    _settling: Settlements | None = None
    _states: list[Any]
    _raised: list[Raised]
    _failures: dict[int, Failure]
    _deaths: Mapping[int, Death] = MappingProxyType({})
    _refusals: Sequence[int] = ()
    _gone: Set[int] = frozenset()
    """Those of them whose failure was final, at the first attempt."""
    _calls_left: Calls | None = None
    """Of a run that the test goes through step by step."""
    _number = 0
    """Of the delivery in such a run."""
    _paused = False
    """The test has the word between two deliveries."""
    _at = 0
    _walk: Iterator[Raw] | None = None
    """The steps that are left, where the short way is taken: `_at` stands still there."""

    def _present(self) -> int:
        """The number of the present step, from 0."""
        return self._at if self._walk is None else len(self._steps) - length_hint(self._walk) - 1

    def _misused(self, message: str) -> NoReturn:
        # Kept, as a handler or a body that catches everything would swallow it: `outcome` raises it again.
        self._misuse = UsageError(message)
        raise self._misuse

    @property
    def _excused(self) -> Set[int]:
        """The refusals of which the handler's framework has not made an end by itself, at the first attempt."""
        return {*self._refusals} - self._gone

    def _straight(self, handler: Handler) -> None:
        """The short way, for a handler that refuses nothing. At the first refusal the long way takes over."""
        if gives_up_of(handler) is not None:  # which has a say in attempts that fail, too
            through(self._played(self._calls(handler)))
            return
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
        except _ends() as end:
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
        settling, processes, batching = self._settling, self._processes, self._batching
        message = self._script.mailbox.message if settling is None else settling.mail(self._present)
        course = Course(self._script, settling, batching)
        self._refusals, self._gone = course.refused, course.gone_at_once
        while number < len(course.steps):
            step = course.steps[number]
            self._at, self._steps = number, course.steps
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
                    course.refused.append(number_of)
                    course.may_be_gone(number_of, why)
                # After a refusal, too: it may have had effects.
                if self._record_states and self._state is not None and what_of(step) != BEGIN:
                    self._states.append(snapshot(self._state()))
                if self._calls_left is not None:
                    yield None
            elif step[0] == FAIL and course.can_be_gone:
                course.attempt_failed(number, (yield from self._final(step, handler, processes)))
            elif step[0] == RESTART and processes is not None and not self._one_process:
                yield partial(processes.die, step[1])
                # At once, and not with its next message: there may be none, and it may have left work behind.
                yield partial(processes.begin, step[1])
            course.passed(number, refused=error is not None)
            number, error = number + 1, None
        self._steps, self._refusals = course.steps, tuple(course.refused)
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

    def _final(
        self, step: Raw, handler: Handler | None, processes: Processes | ThreadedProcesses | None
    ) -> Generator[Change, Any, Final | None]:
        """How this attempt, of which the handler is not called, is final for its framework."""
        found = handler if processes is None else processes.any_handler()
        if found is None and processes is not None:  # whose framework nobody knows yet
            yield partial(processes.begin, 0 if self._one_process else step[1])
            found = processes.any_handler()
        asked = gives_up_of(found)
        return None if asked is None else asked(self._script.mailbox.message((DELIVER, *step[1:])))

    def _died(self, death: Death) -> None:
        self._deaths = {**self._deaths, **dict.fromkeys(self._batching.numbers, death)}

    def _refuse(self, position: int, error: Exception) -> None:
        event = self._script.mailbox.model.stream[position]
        if self._script.faults is None and not isinstance(error, (Nacked, *self._script.poison)):
            raise ReferenceRefused(event, error) from error
        by_fault = not self._failures.keys().isdisjoint(self._batching.numbers)
        self._raised.append(Raised(event.id, error, by_fault))

    async def _played(self, calls: Calls) -> None:
        """All of it. In a sync test nothing is awaited here."""
        try:
            await self._play(self._in_turns(calls))
        finally:
            await self.aclose()

    def _in_turns(self, calls: Calls) -> Calls:
        """A process takes what follows by itself, unless the test's own thread is asked for the state in between."""
        records = self._record_states and self._state is not None
        return self._processes.turns.of(calls) if type(self._processes) is ThreadedProcesses and not records else calls

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
            except _ends() as end:
                self._end_unless_cancelled(end)
            except Exception as refusal:  # noqa: BLE001 - a handler may refuse with anything
                error = refusal

    async def _change(self, change: Change) -> None:
        self._moves()
        try:
            await change()
        except _ends() as end:
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
