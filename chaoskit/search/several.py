"""Several streams with a broker each, as one stream and one broker."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import attrs
from hypothesis.strategies import SearchStrategy

from chaoskit.brokers import base_of
from chaoskit.brokers.together import Together
from chaoskit.strategies.together import together
from chaoskit.values.errors import UsageError
from chaoskit.values.scenario import Broker


def several(events: Any, broker: Broker | None) -> tuple[Any, Broker | None]:
    """Of `{orders: Kafka(), payments: Webhook()}` the strategy of all events and the broker of all brokers; anything
    else as it is. A stream is named as where the user calls. Raises UsageError."""
    if not isinstance(events, Mapping):
        return events, broker
    if broker is not None:
        raise UsageError(
            "broker= is for one stream: of several each has its own, {orders: Kafka(), payments: Webhook()}"
        )
    if len(events) < 2:
        raise UsageError(f"{len(events)} streams: of one write chaos(orders, broker=Kafka())")
    named: dict[str, SearchStrategy[Any]] = {}
    for number, (stream, of) in enumerate(events.items(), start=1):
        if not isinstance(stream, SearchStrategy):
            raise UsageError(f"{{{stream!r}: …}}: a strategy of events with its broker is needed")
        base_of(of)  # which raises for what is no broker
        topic = _topic(of) or _name_of(stream) or f"stream {number}"
        if topic in named:
            raise UsageError(f"two streams have the topic {topic!r}: give one broker another, such as Kafka(topic=…)")
        stream.chaos_topic = topic  # type: ignore[attr-defined]
        named[topic] = stream
    return together(named), Together(topics=tuple(named), brokers=tuple(events.values()))


def on_all_streams(own: Broker, asked: Any) -> Broker:
    """What `asked` is for the streams of the test whose broker is `own`. Of several streams one broker carries all, and
    a mapping says which carries which, by the streams or by their names. Of one stream a broker is itself.

    Raises UsageError for a mapping that does not name the streams.
    """
    if not isinstance(own, Together):
        if isinstance(asked, Mapping):
            raise UsageError("brokers: a dict is for several streams, and this test has one: name one broker for it")
        return asked  # type: ignore[no-any-return]
    if isinstance(asked, Together):
        return asked
    if not isinstance(asked, Mapping):
        base_of(asked)
        return attrs.evolve(own, brokers=tuple(asked for _ in own.topics))
    named = {str(getattr(stream, "chaos_topic", stream)): of for stream, of in asked.items()}
    if set(named) != set(own.topics):
        raise UsageError(f"brokers: the streams are {', '.join(own.topics)}, and this names {', '.join(named)}")
    for of in named.values():
        base_of(of)
    return attrs.evolve(own, brokers=tuple(named[topic] for topic in own.topics))


def _topic(broker: Any) -> str | None:
    """The one that was set."""
    field = attrs.fields_dict(type(broker)).get("topic")
    topic = getattr(broker, "topic", None)
    return topic if field is not None and isinstance(topic, str) and topic != field.default else None


def _name_of(stream: Any) -> str | None:
    """That of the variable which holds it where one of chaoskit's functions was called."""
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).split(".")[0] == "chaoskit":
        frame = frame.f_back
    for names in (frame.f_locals, frame.f_globals):
        found = next((name for name, value in names.items() if value is stream), None)
        if found is not None:
            return found
    return None
