"""What a producer sends and what a handler receives."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import attrs

from chaoskit.values.errors import StreamError, UsageError
from chaoskit.values.settling import Settleable

EventId = str | int


@attrs.frozen
class Event:
    """One thing that happened, as its producer means it.

    `key` is what the broker partitions by: `str`, `bytes` or None (no affinity). `id` stays the same on every
    delivery of the event. `seq` counts 1, 2, 3… per key. Leave `id` and `seq` out and the stream stamps them. `topic`
    says of which stream it is, where there are several.
    """

    key: Any
    value: Any
    id: EventId = None  # type: ignore[assignment]
    seq: int = None  # type: ignore[assignment]
    topic: str | None = None

    def __repr__(self) -> str:
        of_topic = "" if self.topic is None else f", topic={self.topic!r}"
        return f"Event(key={self.key!r}, value={self.value!r}, id={self.id!r}, seq={self.seq!r}{of_topic})"


@attrs.frozen
class Stream:
    """Events in the order in which their producer sent them. Handling them in this order is the reference."""

    events: tuple[Event, ...]

    @classmethod
    def of(cls, events: Iterable[Event] | Stream) -> Stream:
        """Check `events` and stamp the ids (`e1`, `e2`, …) and `seq` that are missing.

        Raises StreamError where they are no stream: not Events, an id that repeats, a `seq` that does not count.
        """
        if isinstance(events, Stream):
            return events
        if isinstance(events, (str, bytes, dict)) or not isinstance(events, Iterable):
            raise StreamError(
                f"the events strategy gave {_short(events)} ({type(events).__name__}), not a list of Events. "
                "Build streams with chaoskit.strategies.events(values, keys) or a strategy of lists of Event"
            )
        return cls(tuple(_stamped(list(events))))

    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __getitem__(self, position: int) -> Event:
        return self.events[position]

    @property
    def ids(self) -> tuple[EventId, ...]:
        return tuple(event.id for event in self.events)

    def keep(self, positions: Iterable[int]) -> Stream:
        """The stream that its producer would have sent with only these events: ids stay, `seq` counts anew."""
        return Stream(_restamped(self.events[position] for position in positions))

    def without(self, position: int) -> Stream:
        return self.keep(i for i in range(len(self.events)) if i != position)

    def with_values(self, values: Iterable[Any]) -> Stream:
        return Stream(
            tuple(attrs.evolve(e, value=v) for e, v in zip(self.events, values, strict=True)),
        )


def _stamped(events: list[Event]) -> Iterator[Event]:
    counts: dict[tuple[str | None, Hashable], int] = {}
    seen: set[EventId] = set()
    given = {event.id for event in events if isinstance(event, Event) and isinstance(event.id, (str, int))}
    for number, event in enumerate(events, start=1):
        if not isinstance(event, Event):
            raise StreamError(
                f"item {number} of the stream is {_short(event)} ({type(event).__name__}), not an Event; "
                "write Event(key=…, value=…)"
            )
        place = event.topic, _hashable(event)
        seq = counts[place] = counts.get(place, 0) + 1
        if event.seq is not None and event.seq != seq:
            raise StreamError(
                f"event {event.id!r} has seq={event.seq!r} but is number {seq} of key {event.key!r}; "
                "leave seq out, the stream stamps it"
            )
        identity = _free(number, given) if event.id is None else event.id
        if isinstance(identity, bool) or not isinstance(identity, (str, int)) or identity == "":
            raise StreamError(f"event id {identity!r} must be a non-empty str or an int")
        if identity in seen:
            raise StreamError(f"event id {identity!r} occurs twice in the stream; ids are unique")
        seen.add(identity)
        stamped = event.id is not None and event.seq is not None
        yield event if stamped else Event(event.key, event.value, identity, seq, event.topic)


def _free(number: int, taken: set[EventId]) -> EventId:
    name = f"e{number}"
    while name in taken:
        name += "'"
    return name


def _restamped(events: Iterable[Event]) -> tuple[Event, ...]:
    counts: dict[tuple[str | None, Hashable], int] = {}
    restamped = []
    for event in events:
        place = event.topic, event.key
        seq = counts[place] = counts.get(place, 0) + 1
        restamped.append(event if event.seq == seq else Event(event.key, event.value, event.id, seq, event.topic))
    return tuple(restamped)


def _hashable(event: Event) -> Hashable:
    try:
        hash(event.key)
    except TypeError:
        raise StreamError(
            f"key {_short(event.key)} ({type(event.key).__name__}) is not hashable; a key is str, bytes or None, "
            "or hashable and turned into bytes by the broker's key_serializer"
        ) from None
    key: Hashable = event.key
    return key


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


REPORTED = "the handler reported it as failed"


class MessageFailed(Exception):
    """A message that a batch handler reported as failed, with the reason that it gave."""


class InCall(Settleable):
    """A message in the call of a handler that takes batches."""

    __slots__ = ("failing",)

    failing: tuple[dict[int, Exception], int]
    """Where this call notes what has failed, and the place of this message in it. Not set outside of such a call."""

    def comes_in(self, marked: dict[int, Exception], place: int) -> None:
        """It comes in a call of a handler that takes batches."""
        self.failing = marked, place

    def fail(self, reason: str | Exception | None = None) -> None:
        """This message of the batch has failed; the others are done. Raises UsageError outside of a batch handler.

        What comes again is the broker's rule. `reason` is shown where the message is refused to the end.
        """
        failing = getattr(self, "failing", None)
        if failing is None:
            raise UsageError(
                "message.fail() is for a handler that takes batches, deliver(handler, batch=True). One that takes "
                "single messages raises"
            )
        marked, place = failing
        marked[place] = reason if isinstance(reason, Exception) else MessageFailed(reason or REPORTED)


@attrs.define(eq=False)
class Message(InCall):
    """What the handler receives: the event, and what its broker says about this delivery.

    Each delivery has a message of its own, decoded anew; changing it harms nobody else. Fields that the broker
    does not carry are None: a Kafka consumer group has no delivery count (`attempt`), no mark on a redelivery
    (`redelivered`) and no `message_id`. `timestamp` is in seconds since the epoch: the time of sending; a
    copy has another one where the broker or the client stamps what is sent again. `headers` say what a framework or
    broker adds to what was set aside or retried, as the bytes or values that it writes. `sequence` is the
    broker's number of the message, `group` its message group, session or ordering key, `deduplication_id` what the
    broker compares to drop what was sent twice.

    Under `deliver(handler, settle="handler")` the handler settles it: `ack()`, `nack()`, `reject()`, `extend()`, on
    logs `commit()`. `raw` are the bytes of the value as its producer sends them.
    """

    key: Any
    value: Any
    id: EventId
    seq: int
    headers: dict[str, Any]
    timestamp: float
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    attempt: int | None = None
    redelivered: bool | None = None
    message_id: str | None = None
    sequence: int | None = None
    group: str | None = None
    deduplication_id: str | None = None
