"""A schedule that the test goes through step by step: `for delivery in deliver.steps(handler)`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

import attrs

from chaoskit.execution.processes import through
from chaoskit.values.event import EventId, Message


@attrs.frozen(eq=False)
class Delivery:
    """What was delivered just now. `number` counts the deliveries of this run from 1. `message` is what the handler
    got, as it left it. `error` is what it raised; None where it took the message."""

    number: int
    message: Message = attrs.field(repr=lambda message: str(message.id))  # pytest prints it with each assert
    error: Exception | None = None
    messages: tuple[Message, ...] = attrs.field(default=(), repr=False)
    """All that the handler got in this call, where it takes batches; `message` is the first of them."""

    @property
    def id(self) -> EventId:
        """That of the event, which stays the same on every delivery of it."""
        return self.message.id

    @property
    def raised(self) -> bool:
        """The handler refused the message: it is shown again, or given up, by the broker's rule."""
        return self.error is not None


class Deliveries:
    """Iterate over it once: `for` in a sync test, `async for` in an async one. `play` goes on up to the next delivery,
    None behind the last."""

    def __init__(
        self,
        play: Callable[[], Coroutine[Any, Any, Delivery | None]],
        is_async: bool,
        misused: Callable[[str], NoReturn],
    ) -> None:
        self._play = play
        self._is_async = is_async
        self._misused = misused

    def __iter__(self) -> Deliveries:
        if self._is_async:
            self._misused("in an async test write `async for delivery in deliver.steps(handler)`")
        return self

    def __next__(self) -> Delivery:
        delivery = through(self._play())
        if delivery is None:
            raise StopIteration
        return delivery

    def __aiter__(self) -> Deliveries:
        return self

    async def __anext__(self) -> Delivery:
        delivery = await self._play()
        if delivery is None:
            raise StopAsyncIteration
        return delivery
