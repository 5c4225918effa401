"""`deliver.consumer(…)`: the user's own loop, in the test itself or as what `spawn` calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, NoReturn

from chaoskit.execution.consumer import ConsumerKind, Plain, Source, Stopped
from chaoskit.execution.failures import ProcessEnded, ReferenceRefused
from chaoskit.execution.limit import Hung
from chaoskit.execution.loop_batches import asks_for, batches_of_loop, given, some_refused
from chaoskit.execution.loop_threads import LoopThread, found_loop, settles_by_hand, this_thread
from chaoskit.execution.script import PASS_THROUGH
from chaoskit.execution.tasks import cancellations, is_cancelled_from_outside
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message
from chaoskit.values.schedule import DELIVER, what_of

LEFT = (
    "the loop ended before all messages were delivered, behind {event}. A consumer goes on until it is stopped; where "
    "its process ends and is started anew, give deliver(spawn=process), a process being one run of the loop"
)


def consumer(
    self: Any,
    kind: ConsumerKind | None = None,
    /,
    *args: Any,
    serializer: Callable[[Any], bytes | str] | None = None,
    headers: Callable[[Message], Mapping[str, Any]] | None = None,
    state: Callable[[], Any] | None = None,
    **config: Any,
) -> Consuming:
    """The consumer object for a loop of the user's own: `with deliver.consumer(Consumer, {…}) as consumer:
    run(consumer)`, in an async test `async with`.

    `kind` is the consumer of one of `chaoskit.adapters`, such as `chaoskit.adapters.confluent_kafka.Consumer`, and
    takes the arguments of the client's own; without one it is a plain consumer with `poll()` and iteration. Where it
    hands over bytes, `serializer(value)` makes them of the event's value (JSON by default), and `headers(message)` are
    those that the producer sets.

    In the test itself it stands in the place of `deliver(…)`, plays the whole schedule, and takes `state` as that does.
    In what is given as `deliver(spawn=process)`, each process is one run of the loop, in a thread of its own.

    When nothing is left, iteration ends; a loop that polls for ever is told a few times that there is nothing, and is
    then stopped by an exception that this block swallows.
    """
    return Consuming(self, kind or Plain, args, config, (serializer, headers), state)


class Consuming:
    """Gives the consumer, and ends the loop."""

    def __init__(
        self,
        deliver: Any,
        kind: ConsumerKind,
        args: tuple[Any, ...],
        config: Mapping[str, Any],
        sends: tuple[Any, Any],
        state: Callable[[], Any] | None,
    ) -> None:
        self._deliver, self._state = deliver, state
        self._kind, self._args, self._config, self._sends = kind, args, config, sends
        self._source: Source | None = None

    def __enter__(self) -> Any:
        deliver, thread = self._deliver, this_thread()
        by_hand = self._settles_by_hand(thread)
        if thread is not None:
            if self._state is not None:
                deliver._misused("deliver.consumer(state=…) in what spawn calls: give it to deliver(spawn=…, state=…)")
            self._source = ThreadSource(deliver, thread, *self._sends)
        elif deliver._processes is not None and not deliver._done:
            found_loop(deliver._spawn, by_hand)
        else:
            self._source = InlineSource(deliver, by_hand, self._state, *self._sends)
        self._source.settles_by_hand = by_hand
        return self._kind(self._source, *self._args, **self._config)

    def _settles_by_hand(self, thread: LoopThread | None) -> bool:
        """As its consumer says; of one that leaves it open, as the test says."""
        deliver, says = self._deliver, getattr(self._kind, "settles_by_hand", None)
        asked = deliver._settling is not None
        if says is None:
            return asked
        by_hand = says(*self._args, **self._config) and bool(deliver._script.mailbox.model.verbs.names)
        if thread is not None and by_hand != asked:
            if asked and not settles_by_hand(deliver._spawn):
                deliver._misused(
                    'deliver(settle="handler"), and the consumer settles by itself: leave it out, or configure the '
                    "consumer to leave that to the loop"
                )
            found_loop(deliver._spawn, by_hand)
        return bool(by_hand)

    async def __aenter__(self) -> Any:
        return self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        source, caught = self._source, error
        if source is not None:
            error = source.ended(error)
            if source.is_over and _is_the_end(error):
                error = None
            if isinstance(source, InlineSource):
                source.ends(error)
        if error is not None and error is not caught:
            raise error
        return error is None

    async def __aexit__(self, *details: Any) -> bool:
        return self.__exit__(*details)


def _is_the_end(error: BaseException | None) -> bool:
    """How a loop ends that is stopped."""
    if isinstance(error, cancellations()):
        return not is_cancelled_from_outside(error)
    return error is None or isinstance(error, (Stopped, SystemExit))


class _RunSource(Source):
    """Of one run."""

    def __init__(self, deliver: Any, number: int | None, *args: Any) -> None:
        super().__init__(*args)
        self._deliver, self._number = deliver, number
        self.misused: Callable[[str], NoReturn] = deliver._misused
        self.effect: Callable[..., None] = deliver.effect

    def assigned(self) -> tuple[int, ...]:
        steps = (step for step in self._deliver._script.steps if self._number in (None, step[1]))
        return tuple(sorted({step[3] for step in steps if what_of(step) == DELIVER}))

    def more(self, most: int) -> list[Message]:
        asks_for(self._deliver, most + 1)
        return self._more(most)

    def _more(self, most: int) -> list[Message]:
        raise NotImplementedError

    def comes_again(self, message: Message) -> bool:
        settling = self._deliver._settling
        return settling is not None and settling.comes_again(message)

    def leaves(self, message: Message) -> None:
        self._deliver._settling.leaves(message)

    def refused_some(self, error: Exception, places: Sequence[int], call: Sequence[Message]) -> None:
        refusal = some_refused(self._deliver, error, places, call)
        if refusal is not None:
            self.refused(refusal)


class ThreadSource(_RunSource):
    """Asks in the thread of a process."""

    def __init__(self, deliver: Any, thread: LoopThread, *args: Any) -> None:
        super().__init__(deliver, thread.number, *args)
        self._thread = thread

    def refused(self, error: Exception) -> None:
        self._thread.refusal = error

    def take(self) -> Message | None:
        self._thread.callback = self.callback
        message = self._thread.ask()
        self.is_over = message is None
        return message

    def _more(self, most: int) -> list[Message]:
        return self._thread.more(most)


class InlineSource(_RunSource):
    """Plays the schedule of a run in which the loop of the test is the handler: its memory survives the restarts."""

    def __init__(self, deliver: Any, by_hand: bool, state: Callable[[], Any] | None, *args: Any) -> None:
        super().__init__(deliver, None, *args)
        self._refusal: Exception | None = None
        deliver._begin(self._remembers, None, state, "handler" if by_hand else "return")
        deliver._batching = batches_of_loop(deliver)
        self._calls = self._made()
        self._call: Iterator[Message] = iter(())

    def refused(self, error: Exception) -> None:
        self._refusal = error

    def _remembers(self, message: Message) -> None:
        """Stands for the loop, whose variables may remember anything."""

    def _made(self) -> Iterator[Iterator[Message]]:
        """What the loop is given by each call."""
        deliver, error = self._deliver, None
        calls = deliver._calls(self._remembers)
        with contextlib.suppress(StopIteration):
            while True:
                call = calls.send(error)
                yield given(call[1], deliver._move)
                error, self._refusal = self._refusal, None

    def take(self) -> Message | None:
        message = next(self._call, None)
        while message is None and (call := next(self._calls, None)) is not None:
            self._call = call
            message = next(call, None)
        self.is_over = message is None
        return message

    def _more(self, most: int) -> list[Message]:
        return [] if self._deliver._move is not None else list(islice(self._call, most))

    def ends(self, error: BaseException | None) -> None:
        """The loop has ended, by this error or without one. What it raised while messages are left is raised."""
        deliver = self._deliver
        at = deliver._at
        # A loop may know by itself that it has handled the last one.
        if error is None and not deliver._done:
            self.take()
        if deliver._done or isinstance(error, (UsageError, Hung, *PASS_THROUGH)) or deliver._misuse is not None:
            return
        event = deliver._script.mailbox.model.stream[deliver._steps[at][2]]
        if error is None and deliver._script.faults is None:
            deliver._misused(LEFT.format(event=event.id))
        if error is None:
            deliver._ended = ProcessEnded(f"the loop ended: step {at + 1}, the delivery of {event.id}")
            raise deliver._ended
        if isinstance(error, (SystemExit, *cancellations())):
            deliver._end_unless_cancelled(error)
        if isinstance(error, Exception) and deliver._script.faults is None:
            raise ReferenceRefused(event, error) from error
        # As of a test that goes through its deliveries step by step: behind this one nothing was played.
        deliver._paused = True
