"""What one run did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from chaoskit.values.event import EventId


@attrs.frozen
class Raised:
    """A delivery that the handler refused by raising. `by_fault`: a fault had let one of its calls fail."""

    event: EventId
    error: Exception
    by_fault: bool = False


@attrs.frozen(eq=False)
class Effect:
    """What `deliver.effect(…)` recorded: that something left, which no rollback takes back.

    `value` is a copy. `key` says of what it is, such as an order; None where it was not given. `event` is the event
    that was delivered then, and `step` the number of that step, counted from 1; None for both outside of a delivery, as
    in the clean stop.
    """

    name: str
    value: Any = None
    key: Any = None
    event: EventId | None = None
    step: int | None = None


# One for each run: without slots a frozen one is made in two thirds of the time.
@attrs.frozen(eq=False, slots=False)
class Outcome:
    """The result of one run of the test under one schedule.

    `state`: what the test returned, or the last `state()` where it returned nothing. `states`: the state after
    each delivery, recorded where an invariant asks for it and `deliver(…, state=…)` was given.
    `delivered`: the event ids in the order in which the handler saw them. `raised`: deliveries that were refused,
    `refused`: the last error of each event that was refused to the end, `lost`: ids of which the handler saw
    nothing, `unseen`: ids that were never delivered, because they wait behind what was refused, `dropped`: ids that the
    handler refused and the broker then gave up.
    `failure`: what the test's own body raised after the deliveries, or between two of them: then `failed_at` is the
    number of the last step that was played, counted from 1, and `failed_event` the event of that step, at which its
    process may have died. `effects`: what `deliver.effect(…)` recorded, in the order in which it was called.
    `half_done`: ids whose process died while it handled them, and that never came again.
    Of a handler that settles by itself: `unsettled` are ids that it forgot, which come again for ever, `used_up` those
    that it forgot until their deliveries were used up, `stuck` those
    that were never delivered because of what it `holds`, in words; `left` those that stay with a dead consumer.
    """

    state: Any
    delivered: Sequence[EventId] = ()
    states: tuple[Any, ...] = ()
    raised: tuple[Raised, ...] = ()
    refused: tuple[Raised, ...] = ()
    lost: tuple[EventId, ...] = ()
    unseen: tuple[EventId, ...] = ()
    dropped: tuple[EventId, ...] = ()
    failure: Exception | None = None
    failed_at: int | None = None
    failed_event: EventId | None = None
    effects: tuple[Effect, ...] = ()
    half_done: tuple[EventId, ...] = ()
    unsettled: tuple[EventId, ...] = ()
    used_up: tuple[EventId, ...] = ()
    stuck: tuple[EventId, ...] = ()
    holds: str = ""
    left: tuple[EventId, ...] = ()

    @property
    def forgets(self) -> bool:
        """Something was never settled."""
        return bool(self.unsettled or self.used_up or self.stuck or self.left)
