"""Where calls inside the handler are counted, or one of them fails: in a call of the handler, or in what a loop does
between two questions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import attrs

from chaoskit.execution.awaited import replaced
from chaoskit.execution.batches import Singles
from chaoskit.execution.failing import Watch
from chaoskit.execution.points import Territory, territory_of
from chaoskit.execution.retried import what_is_retried
from chaoskit.execution.script import Handler, Script
from chaoskit.execution.stepping import Failure
from chaoskit.values.event import Message
from chaoskit.values.schedule import DELIVER, Raw, point_of, what_of


class Calling(Protocol):
    """A run that is in the middle of a call."""

    _script: Script
    _batching: Singles
    _steps: Sequence[Raw]
    _failures: dict[int, Failure]
    _is_async: bool


def watched(handler: Handler, run: Calling) -> Handler:
    """The handler, with what counts its calls or lets one fail, where this run has such a step."""
    watching = watching_of(run)
    return handler if watching is None else watching.around(handler)


def watching_of(run: Calling) -> Watching | None:
    return Watching(run) if run._script.fails_inside else None


@attrs.frozen(eq=False)
class Watching:
    """What is put around the handler of a run. Failures are noted in it, by the number of the step."""

    run: Calling

    def around(self, handler: Handler) -> Handler:
        territory = territory_of(handler, self.run._script.points)
        handle = self._awaiting(handler, territory) if self.run._is_async else self._calling(handler, territory)
        handle.__wrapped__ = handler  # type: ignore[attr-defined]  # whose code it is
        return handle

    def _calling(self, handler: Handler, territory: Territory) -> Handler:
        def handle(message: Message) -> Any:
            with self.within(territory):
                return handler(message)

        return handle

    def _awaiting(self, handler: Handler, territory: Territory) -> Handler:
        async def handle(message: Message) -> Any:
            with self.within(territory):
                result = handler(message)
                return (await result) if inspect.isawaitable(result) else result

        return handle

    @contextmanager
    def within(self, territory: Territory) -> Iterator[None]:
        """What is called in it is of the present step."""
        number, step = self._present()
        script, point = self.run._script, point_of(step) if what_of(step) == DELIVER else 0
        if script.calls is None and not point:
            yield
            return
        watch = Watch(territory, point, script.fails_with or what_is_retried)
        try:
            with replaced() if self.run._is_async else nullcontext(), watch:
                yield
        finally:
            if script.calls is not None:
                script.calls.setdefault(step[2], []).extend(watch.passed)
            if watch.failure is not None:
                self.run._failures[number] = watch.failure

    def _present(self) -> tuple[int, Raw]:
        """Of the steps of the present call the one at which something fails in it, with its number; or the last."""
        numbers, steps = self.run._batching.numbers, self.run._steps
        number = next((number for number in numbers if point_of(steps[number])), numbers[-1])
        return number, steps[number]
