"""The broker of a test with each key in a lane of its own, as it would be with enough partitions."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import attrs

from chaoskit.order.keys import lanes_of
from chaoskit.search.rekeyed import rekeyed
from chaoskit.values.boundary import Fields
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.scenario import Broker, Model

FOR_EACH_KEY = 4
"""Partitions, so that keys can be found that do not share one."""


def in_own_lanes(fields: Fields | None, broker: Any, stream: Stream) -> Model:
    """The stream partitioned by these fields, no two keys of it together."""
    lanes = lanes_of(stream, fields)
    # Rounded up to a power of two, so that streams of about the same size share what is remembered.
    wide, labels = _separated(broker, max(2, 1 << (len(lanes) - 1).bit_length()))
    keys = [""] * len(stream)
    # There are more labels than lanes, mostly.
    for label, lane in zip(labels, lanes, strict=False):
        for position in lane:
            keys[position] = label
    return rekeyed(wide, stream, keys)


@lru_cache(maxsize=64)
def _separated(broker: Any, count: int) -> tuple[Broker, list[str]]:
    """The broker, with more partitions where it has any, and so many keys that it puts into different lanes; or into as
    many as it has."""
    wide, labels, taken = _wider(broker, count * FOR_EACH_KEY), list[str](), list[str]()
    number = 0
    # A broker with one lane for all would be asked for ever.
    while len(labels) < count and number < 100 * count:
        label = f"k{number}"
        number += 1
        together = wide.model(Stream.of([Event(each, 0) for each in [*labels, label]])).lanes()
        if len(together) > len(labels):
            labels.append(label)
        else:
            taken.append(label)
    return wide, labels + taken[: count - len(labels)]


def _wider(broker: Any, partitions: int) -> Broker:
    names = attrs.fields_dict(type(broker)) if attrs.has(type(broker)) else {}
    # The labels are text, which the user's own serializer may not take.
    wanted = {"partitions": partitions, "key_serializer": None}
    try:
        found: Broker = attrs.evolve(broker, **{name: value for name, value in wanted.items() if name in names})
    except UsageError:  # settings with which there is but one partition
        return broker  # type: ignore[no-any-return]
    return found
