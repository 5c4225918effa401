"""How much order a handler needs: the keys that were tried as what its messages are partitioned by."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from chaoskit.values.event import Event, EventId

Fields = tuple[str, ...]
"""Paths of what a key is made of: `("key",)` the key as it is, `("value.account",)`, `("value.from", "value.to")`, and
`()` one key for all."""


@attrs.frozen(eq=False)
class Candidate:
    """One way to partition. `fields` is None for no order at all, each message by itself.

    `status`: "held" in `orders` different orders of the drawn streams that keep each key's own; "violated", then
    `events` and the `order` of their ids are the least that break it, with the `expected` and the `observed` state; or
    "unknown", where no drawn stream had two of these keys, so that it is one key for all. 0 `orders`: that follows from
    another candidate. `keys`: how many different ones a stream had on average.
    """

    fields: Fields | None
    status: Literal["held", "violated", "unknown"]
    keys: float
    orders: int = 0
    events: tuple[Event, ...] = ()
    order: tuple[EventId, ...] = ()
    expected: Any = None
    observed: Any = None


@attrs.frozen(eq=False)
class Boundary:
    """The consistency boundary of a handler: what has to stay in order.

    `finest`: the fields of the finest key under which the handler keeps its in-order result in every order that was
    tried and that keeps each key's own; None where it `needs_order` nowhere. `candidates`: all that were tried, the
    finest first. `streams`: how many were drawn.
    """

    finest: Fields | None
    needs_order: bool
    candidates: tuple[Candidate, ...]
    streams: int
    test: str | None = None

    @property
    def next_finer(self) -> Candidate | None:
        """What breaks where the key is a little finer: of the candidates that have its fields and one more, or else of
        all that are finer, the one with the fewest keys. None where nothing is finer."""
        at = next(place for place, each in enumerate(self.candidates) if each.fields == self.finest)
        finer = [each for each in reversed(self.candidates[:at]) if each.status == "violated"]
        wanted = set(self.finest or ())
        return next((each for each in finer if each.fields and wanted < set(each.fields)), next(iter(finer), None))
