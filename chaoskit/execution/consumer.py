"""The consumer object of a run, in the place of a client's own: the user's loop asks it for messages.

Asking again says that what came before is handled. Where nothing is left, a loop is ended as its client ends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from chaoskit.execution.tasks import Stop, cancellations
from chaoskit.values.event import Message

if TYPE_CHECKING:
    import asyncio

ALL = 1 << 60
"""As many messages as the broker gives in one call."""
MaybeMessage = TypeVar("MaybeMessage", Message, Message | None)
IDLE = 3
"""So many times a loop that polls is told that there is nothing, before it is stopped."""


class Stopped(Stop, KeyboardInterrupt):
    """Raised by a poll when nothing is left and the loop goes on asking: whoever runs such a loop stops it so."""


class Source:
    """What a consumer object asks for messages. `serializer` and `headers` are for those that hand over bytes."""

    misused: Callable[[str], NoReturn]
    """Raise a UsageError that no handler can swallow: the consumer is used in a way that it does not model."""
    effect: Callable[..., None]
    """`deliver.effect`."""
    settles_by_hand = False
    """Messages are settled by their verbs, and not by asking for the next one."""
    is_over = False
    """Nothing is left, and the loop is to end."""
    _idle = 0
    stopped: asyncio.Task[Any] | None = None
    """The task that was cancelled as nothing is left, or as a callback has failed."""
    callback: Any = None
    """What is called with each message, where that does not happen below the user's own loop."""
    failed: BaseException | None = None
    """What a callback has raised."""

    def __init__(
        self, serializer: Callable[[Any], bytes | str] | None, headers: Callable[[Message], Mapping[str, Any]] | None
    ) -> None:
        self.serializer = serializer
        self._headers = headers

    def take(self) -> Message | None:
        """The next message, when the one before is handled; None when nothing is left, each time from then on."""
        raise NotImplementedError

    def more(self, most: int) -> list[Message]:
        """Up to so many more messages that came in one call with what was taken last. It asks nothing."""
        raise NotImplementedError

    def take_several(self, most: int) -> list[Message]:
        """The next messages that come in one call, up to so many of them; none when nothing is left."""
        message = self.take()
        return [] if message is None else [message, *(self.more(most - 1) if most > 1 else ())]

    def poll(self) -> Message | None:
        """As `take`, for a loop that asks for ever."""
        message = self.take()
        if message is None:
            self.idle()
        return message

    def idle(self, stop: type[BaseException] = Stopped) -> None:
        """Nothing is left, and a loop that asks for ever hears of it: a few times, and then it is stopped."""
        self._idle += 1
        if self._idle > IDLE:
            raise stop

    async def wait(self) -> Message:
        """The same for a task that waits for a message: its task is cancelled when nothing is left."""
        from chaoskit.execution.stopped_task import StoppedTask

        message = self.take()
        if message is None:
            raise StoppedTask
        return message

    def call_in_a_task(self, call_one: Callable[[Message], Awaitable[Any]], callback: Any) -> None:
        """Call `call_one`, which calls the user's callback, with each message, in a task beside the one that calls
        this, which waits for something else. At the end that task is cancelled, as by whoever stops it; what is raised
        here is raised there by `ended`."""
        import asyncio

        waiting, self.callback = asyncio.current_task(), callback
        assert waiting is not None

        async def call() -> None:
            try:
                while (message := self.take()) is not None:
                    await call_one(message)
            except BaseException as error:  # noqa: BLE001 - raised again where the consumer is left
                self.failed = error
            self.stopped = waiting
            waiting.cancel()

        self._task = asyncio.create_task(call())

    def ended(self, error: BaseException | None) -> BaseException | None:
        """What the loop has ended by, without the cancellation that comes from here."""
        stopped, failed = self.stopped, self.failed
        self.stopped = self.failed = None
        if stopped is not None:
            stopped.uncancel()
        return failed if failed is not None and isinstance(error, (*cancellations(), type(None))) else error

    def refused(self, error: Exception) -> None:
        """A callback has raised, and its client goes on with the next message."""
        raise NotImplementedError

    def refused_some(self, error: Exception, places: Sequence[int], call: Sequence[Message]) -> None:
        """The loop has given back those messages of a call that have these places in it."""
        raise NotImplementedError

    def comes_again(self, message: Message) -> bool:
        """Whether it was handed out before, to whichever process; of a consumer that leaves settling to the loop."""
        raise NotImplementedError

    def leaves(self, message: Message) -> None:
        """Nobody asks for this message, and it stays with a consumer that is dead."""
        raise NotImplementedError

    def headers(self, message: Message) -> Mapping[str, Any]:
        """Those of the broker, and those that the producer has set."""
        return {**(self._headers(message) if self._headers is not None else {}), **message.headers}

    def assigned(self) -> tuple[int, ...]:
        """The partitions of which messages come to this consumer, in order."""
        raise NotImplementedError


class ConsumerKind(Protocol):
    """What makes a client's consumer: its class, called with the source and with the client's own arguments."""

    def __call__(self, source: Source, /, *args: Any, **config: Any) -> Any: ...


class Plain:
    """A consumer of no library: it gives the messages as a handler gets them, by iteration or by `poll()`."""

    def __init__(self, source: Source, settle: str = "return") -> None:
        self._source = source

    @staticmethod
    def settles_by_hand(settle: str = "return") -> bool:
        return settle == "handler"

    def poll(self, timeout: float | None = None) -> Message | None:
        """The next message; None when nothing is left, a few times, and then the loop is stopped."""
        return self._sent(self._source.poll())

    async def get(self) -> Message:
        """The next message; when nothing is left, the task is cancelled."""
        return self._sent(await self._source.wait())

    def __iter__(self) -> Plain:
        return self

    def __next__(self) -> Message:
        message = self._source.take()
        if message is None:
            raise StopIteration
        return self._sent(message)

    def __aiter__(self) -> Plain:
        return self

    async def __anext__(self) -> Message:
        message = self._source.take()
        if message is None:
            raise StopAsyncIteration
        return self._sent(message)

    def _sent(self, message: MaybeMessage) -> MaybeMessage:
        if message is not None and self._source.serializer is not None:
            message.sent_by(self._source.serializer)
        return message

    def close(self) -> None:
        """It has nothing open."""
