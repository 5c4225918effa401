"""A broker of the user's own, `class OurKafka(Kafka)`, in a repro file: its name, its settings and the broker that it
extends. The class is never looked for: the test that is replayed names it, and whoever only reads the file sees the
words of the broker that it extends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from chaoskit.brokers import BROKERS, Anything, Settings, base_of
from chaoskit.brokers.together import Together
from chaoskit.codec import lenient
from chaoskit.repro import bounds
from chaoskit.values.errors import ReproError, UsageError, did_you_mean
from chaoskit.values.faults import Fault
from chaoskit.values.scenario import Broker

BASE = "extends"
"""Where a file names the broker of chaoskit's that the user's own extends; other files have none."""


def own_settings(broker: Broker, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the file has of a broker of the user's own, with settings that may be of any type."""
    plain = {name: lenient(value) for name, value in settings.items()}
    return {"kind": type(broker).__name__, BASE: base_of(broker).__name__, **plain}


def is_of_own(data: Any) -> bool:
    """Whether a file says that its broker is one of the user's own."""
    return isinstance(data, dict) and BASE in data and isinstance(data.get("kind"), str)


SEVERAL = "it is of several streams with a broker each, which only a test can name: @chaos({orders: Kafka(), …})"


def is_of_several(own: Mapping[str, Any]) -> bool:
    """Whether it stands for the brokers of several streams."""
    return bool(own["kind"] == Together.__name__ and own[BASE] == Anything.__name__)


def same_own(saved: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Equal as they stand in a file, but for functions."""
    left, right = dict(saved), json.loads(json.dumps(now))
    for settings in (left, right):
        settings.pop("key_serializer", None)
    return bool(left == right)


def stand_in(data: Mapping[str, Any], faults: Iterable[Fault]) -> Settings:
    """A broker that can explain a delivery of this one: the one that it extends, under the name of its own. Where that
    could not make these faults, or not under these settings, any broker. Raises ReproError."""
    name, base = data["kind"], data[BASE]
    if not isinstance(base, str) or base not in BROKERS:
        raise ReproError(f"{name} extends the unknown broker {base!r}{did_you_mean(str(base), BROKERS)}")
    if not name.isidentifier() or len(name) > 100:
        raise ReproError('"broker" has a "kind" that is no name of a class')
    kind = BROKERS[base]
    known = {field.name for field in attrs.fields(kind)} - {"key_serializer"}
    settings = {key: value for key, value in data.items() if key in known}
    bounds.check_settings(settings)
    try:
        broker = _named(name, kind)(**settings)
    except UsageError:  # the user's own may take other values
        broker = _named(name, kind)()
    can = all(broker.why_impossible(type(fault)) is None for fault in faults)
    return broker if can else _named(name, Anything)()


def _named(name: str, kind: type[Settings]) -> type[Settings]:
    return type(name, (kind,), {})
