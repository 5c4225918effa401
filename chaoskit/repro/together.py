"""The brokers of several streams in a repro file, each as it is written: whoever only reads the file is answered in the
words of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chaoskit.brokers import Settings
from chaoskit.brokers.together import Together
from chaoskit.repro import bounds
from chaoskit.repro.own_broker import is_of_own, stand_in
from chaoskit.repro.values import decode_broker
from chaoskit.values.errors import ReproError
from chaoskit.values.faults import Fault

MOST_STREAMS = 20
"""A model is made for each, in which the faults are looked up."""


def together_of(data: Mapping[str, Any], faults: Iterable[Fault]) -> Together | None:
    """None where these are no such brokers, or some that this version does not know: any broker stands in then."""
    if data["kind"] != Together.__name__:
        return None
    topics, brokers = _listed(data.get("topics")), _listed(data.get("brokers"))
    if not 2 <= len(brokers) == len(topics) <= MOST_STREAMS or not all(isinstance(topic, str) for topic in topics):
        return None
    try:
        for topic in topics:
            bounds.check_settings({"topic": topic})
        each = tuple(_broker(broker) for broker in brokers)
    except ReproError:
        return None
    broker = Together(topics=tuple(topics), brokers=each)
    return broker if all(broker.why_impossible(type(fault)) is None for fault in faults) else None


def _listed(data: Any) -> list[Any]:
    items = data.get("$tuple") if isinstance(data, dict) else None
    return items if isinstance(items, list) else []


def _broker(data: Any) -> Settings:
    """Raises ReproError."""
    if is_of_own(data):
        return stand_in(data, ())
    if isinstance(data, dict) and isinstance(name := data.get("$object"), str):
        module, _, kind = name.partition(":")
        fields = data.get("fields")
        if not module.startswith("chaoskit.brokers.") or not isinstance(fields, dict):
            raise ReproError(f"{name} is no broker of chaoskit's")
        data = {"kind": kind, **fields}
    broker = decode_broker(data)
    assert isinstance(broker, Settings)
    return broker
