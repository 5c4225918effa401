"""Our own values in a repro file, as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from typing import Any

import attrs
import hypothesis

from chaoskit.brokers import BROKERS, Settings, is_own
from chaoskit.brokers.together import Together
from chaoskit.codec import Shown, decode_plain, encode, lenient
from chaoskit.repro import bounds
from chaoskit.repro.own_broker import own_settings
from chaoskit.values.errors import CodecError, ReproError, UsageError, did_you_mean
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import KIND_BY_NAME, Fault
from chaoskit.values.scenario import Broker
from chaoskit.values.schedule import DELIVER_LIKE, WITH_POINT, Step
from chaoskit.values.settling import as_read
from chaoskit.version import __version__

FORMAT = 1


def versions() -> dict[str, str]:
    """Of what made the file."""
    python = platform.python_version()
    return {"chaoskit": __version__, "hypothesis": str(hypothesis.__version__), "python": python}


def encode_event(event: Event) -> dict[str, Any]:
    """An event as it is written. Raises CodecError, which names the event."""
    return {
        "id": event.id,
        "key": encode(event.key, f"the key of event {event.id}"),
        "seq": event.seq,
        "value": encode(event.value, f"the value of event {event.id}"),
        **_topic(event),
    }


def _topic(event: Event) -> dict[str, Any]:
    """Only where there are several streams."""
    return {} if event.topic is None else {"topic": event.topic}


def event_as_text(event: Event) -> dict[str, Any]:
    """An event in which whatever has no encoding is written as its text."""
    return {"id": event.id, "key": lenient(event.key), "seq": event.seq, "value": lenient(event.value), **_topic(event)}


def encode_broker(broker: Broker) -> dict[str, Any]:
    """Kind and settings. A function among them is written as its name, and read as None."""
    own = is_own(broker)
    settings = {field.name: getattr(broker, field.name) for field in attrs.fields(type(broker))}  # type: ignore[arg-type]
    plain = {k: getattr(v, "__qualname__", repr(v)) if callable(v) else v for k, v in settings.items()}
    if own:
        several = {"brokers": _each(broker.brokers)} if isinstance(broker, Together) else {}
        return own_settings(broker, plain) | several
    return {"kind": type(broker).__name__, **plain}


def _each(brokers: Sequence[Settings]) -> dict[str, Any]:
    """Those of several streams, as values. One that has no encoding, as its class is the user's own or a setting is a
    function, is written as it is where it is the only one."""
    encoded = [(broker, lenient(broker)) for broker in brokers]
    return {
        "$tuple": [encode_broker(broker) if is_own(broker) or "$repr" in value else value for broker, value in encoded]
    }


def decode_broker(data: Any) -> Broker:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise ReproError('"broker" must be an object with a "kind"')
    kind = BROKERS.get(data["kind"])
    if kind is None:
        raise ReproError(f"unknown broker {data['kind']!r}{did_you_mean(data['kind'], BROKERS)}")
    known = {field.name for field in attrs.fields(kind)}
    # A function is not made of its name: that would run whatever a stranger's file names.
    settings = {name: value for name, value in data.items() if name not in ("kind", "key_serializer")}
    for name in settings:
        if name not in known:
            raise ReproError(f"{data['kind']} has no setting {name!r}{did_you_mean(name, known)}")
    # Before a model is made of them, which looks at each partition.
    bounds.check_settings(settings)
    try:
        return kind(**settings)
    except UsageError as error:
        raise ReproError(f'"broker": {error}') from error


def same_settings(one: Broker, two: Broker) -> bool:
    """Equal but for functions, which a file cannot hold."""
    left, right = encode_broker(one), encode_broker(two)
    for settings in (left, right):
        settings.pop("key_serializer", None)
    return left == right


def encode_step(step: Step, faults: Sequence[Fault]) -> dict[str, Any]:
    """A step as it is written; its fault as a number among these."""
    data: dict[str, Any] = {"action": step.action, "consumer": step.consumer}
    for name in ("event", "partition", "offset", "attempt", "point", "size", "given_up_by"):
        if getattr(step, name) is not None:
            data[name] = getattr(step, name)
    if step.fault is not None:
        data["fault"] = faults.index(step.fault)
    if step.raised:
        data["raised"] = True
    if step.settled is not None:
        data["settled"] = list(step.settled)
    for name, at in (("died", step.died), ("stopped", step.stopped), ("failed", step.failed)):
        if at is not None:
            data[name] = {field: value for field, value in attrs.asdict(at).items() if value}
    if step.copy is not None:
        data["copy"] = attrs.asdict(step.copy, filter=lambda _, value: value is not None)
    return data


def structured(data: Any, kind: Any, name: str) -> Any:
    """Raises ReproError."""
    from chaoskit.repro import converter

    return converter.structured(data, kind, name)


def listed(data: Any, name: str) -> list[Any]:
    if not isinstance(data, list):
        raise ReproError(f'"{name}" must be a list')
    return data


def read_fault(data: Any, ids: set[EventId]) -> Fault:
    kind = data.get("fault") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in KIND_BY_NAME:
        raise ReproError(f"unknown fault {kind!r}{did_you_mean(str(kind), KIND_BY_NAME)}")
    fault: Fault = structured(data, Fault, "faults")
    if fault.at not in ids:
        raise ReproError(f"{kind} names the event {fault.at!r}, which does not exist")
    return fault


def read_step(data: Any, ids: set[EventId], faults: Sequence[Fault]) -> Step:
    if not isinstance(data, dict):
        raise ReproError('"schedule" must be a list of objects')
    number = data.get("fault")
    if number is not None and (type(number) is not int or not 0 <= number < len(faults)):
        raise ReproError(f"a step names fault number {number!r}, which does not exist")
    plain = {key: value for key, value in data.items() if key != "fault"}
    step: Step = structured(plain, Step, "schedule")
    if step.event is not None and step.event not in ids:
        raise ReproError(f"a step names the event {step.event!r}, which does not exist")
    if step.copy is not None and step.copy.after not in ids:
        raise ReproError(f"a step is a copy that was sent after the event {step.copy.after!r}, which does not exist")
    if step.action in DELIVER_LIKE and (step.event is None or step.partition is None or step.offset is None):
        raise ReproError(f"a step {step.action!r} needs an event, a partition and an offset")
    if step.consumer < 0 or (step.offset or 0) < 0 or (step.partition or 0) < 0 or (step.point or 0) < 0:
        raise ReproError("a step has a negative consumer, partition, offset or point")
    if (step.point is None) if step.action in WITH_POINT else (step.point is not None and step.action != "deliver"):
        raise ReproError(
            "a step has a point where a process dies, an execution stops or a call fails inside the handler, and only "
            "there"
        )
    if (step.size is None) == (step.action == "batch") or (step.size or 2) < 2:
        raise ReproError("a step has a size, 2 or more, before the deliveries of a batch, and only there")
    try:
        as_read(step.settled or (), bounds.MOST_STEPS)
    except ValueError as error:
        raise ReproError(f'"settled": {error}') from None
    return attrs.evolve(step, fault=None if number is None else faults[number])


def key_of(encoded: Any) -> Any:
    """The key, or its text where it needs a class, of which others are imported when it is played."""
    try:
        return decode_plain(encoded)
    except CodecError:
        return Shown(json.dumps(encoded, sort_keys=True))


def shown_value(encoded: Any) -> Any:
    """The value, or its encoding where it needs a class."""
    try:
        return decode_plain(encoded)
    except CodecError:
        return encoded


def stored_as_text(encoded: Any) -> str:
    """The first value of which only the text is there."""
    if isinstance(encoded, dict):
        if isinstance(text := encoded.get("$repr"), str):
            return text
        encoded = list(encoded.values())
    return next(filter(None, map(stored_as_text, encoded)), "") if isinstance(encoded, list) else ""
