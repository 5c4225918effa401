"""What a queue promises about leases: how it hands out, takes back and gives up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import attrs

from chaoskit.models.producer import Logs

UNBOUNDED = 1 << 60


def as_written(logs: Logs, position: int) -> int:
    return position


@attrs.frozen
class LeasePolicy:
    """How a queue hands out, takes back and gives up.

    `consumers` compete, unless each is `assigned` its queues. `lock`: what is kept in order: a message alone (nothing),
    its group, its queue.
    `brings`: what comes back with a message that was not settled: itself; what its consumer was handed since; what
    was handed out of its lane since; its batch. `window`: how many unsettled messages a consumer, a receive of a
    lane, or a batch may have; `outstanding`: how many of a queue all consumers together may have; `span`: how
    many are handed out from the first unsettled one of a queue on. `in_order`: messages
    are handed out in order, so that one overtakes another only while a consumer is busy with it. `returns`: what comes
    back goes to its place, or to the front in the order of returns, before anything new; or, where it is claimed or
    retried after a while, anywhere. `renewed`: what comes back is a new broker message. `split`: from the size of a
    batch that failed to those of the parts in which it comes back, which is no retry; None: it comes back whole.
    `goes_on`: after a failed attempt the consumer goes on with what else it holds of the lane; else nothing more of the
    lane is handed out before it was shown again. `to_the_back`: what is given back goes
    behind all that waits in the queue; `behind_buffers`: it is served before anything that
    no consumer holds.
    `refused`: what happens to a message whose attempt failed: shown "again", sent again as a new message ("renewed"),
    or "lost". `max_attempts`: then it is given up: "dead" (parked, put back at the end), "lost", or "never"
    (kept until nothing else is left).
    `published_at`: from a relay's logs and an event to its place in the order in which they are published again.
    `trims`: what is lost is removed with all that is older, so that nothing older can come again behind it.
    `along`: from a queue and a number in it to the numbers of all that was stored as one with it, and comes back with
    it, settled or not.
    `notices`: the broker sees that a consumer is gone, and hands out at once what it held.
    `settles_first`: a message is settled before it is run, so that what a consumer dies with is gone.
    `twice`: another consumer may be handed a message whose lease ended while the first one still runs it.
    Of a handler that settles by itself: `most_open` is how many messages of a lane it may leave open, where its client
    hands over less than a window; `up_to`: an acknowledgement is one of all that is older, too; `late_counts`: it
    counts also where the message was handed to somebody else by then.
    `counts`: `max_attempts` bounds deliveries, too, where what was refused does not come again.
    `expires`: what becomes of a message that a handler leaves open while its consumer lives: nothing, until the
    consumer is gone; its "lease" runs out, and it comes again; or the broker closes the "channel" of its consumer.
    """

    consumers: int = 1
    lock: Literal["message", "group", "queue"] = "message"
    brings: Literal["message", "consumer", "lane", "batch"] = "message"
    window: int = UNBOUNDED
    outstanding: int = UNBOUNDED
    span: int = UNBOUNDED
    in_order: bool = True
    returns: Literal["place", "front", "anywhere"] = "place"
    renewed: bool = False
    split: Callable[[int], list[int]] | None = None
    assigned: bool = False
    goes_on: bool = False
    behind_buffers: bool = False
    to_the_back: bool = False
    refused: Literal["again", "renewed", "lost"] = "again"
    max_attempts: int = 10
    gives_up: Literal["dead", "lost", "never"] = "never"
    published_at: Callable[[Logs, int], int] = as_written
    trims: bool = False
    along: Callable[[Logs, int, int], range] | None = None
    counts: bool = False
    notices: bool = False
    settles_first: bool = False
    twice: bool | None = None
    most_open: int = UNBOUNDED
    up_to: bool = False
    late_counts: bool = False
    expires: Literal["never", "lease", "channel"] = "never"

    @property
    def lends_twice(self) -> bool:
        """Whether a message can come to another consumer while the first one still runs it: where that is not said,
        unless it was settled before."""
        return not self.settles_first if self.twice is None else self.twice

    @property
    def taken_by(self) -> Literal["message", "group", "queue"]:
        """What of a message decides which consumer takes it."""
        return "queue" if self.assigned else self.lock

    @property
    def keeps_lane(self) -> bool:
        """Whether a failed attempt keeps what is in order with it from being handed out."""
        return self.lock != "message" and not self.goes_on

    @property
    def keeps_receive(self) -> bool:
        """Whether a consumer goes on with its receive of a group behind a failed message, which alone comes back: then
        it has not died at that one."""
        return self.goes_on and self.lock == "group" and self.brings == "message"

    @property
    def most_behind(self) -> int:
        """How many deliveries may go before a message that was given back, where the others go on."""
        if self.renewed:  # the handler is that of a consumer behind the relay, which tries again in place
            return 0
        if self.to_the_back:
            return UNBOUNDED
        if self.behind_buffers:
            # All buffers are full of others by then, but for the place that was its own.
            return self.window * (1 if self.lock == "queue" else self.consumers) - 1
        # It counts itself among those that are out.
        return (self.window if self.lock != "message" else min(self.outstanding, self.span)) - 1

    @property
    def one_at_a_time(self) -> bool:
        """Whether a message that is not settled keeps all others from being handed out."""
        return self.window == 1 and (self.consumers == 1 or self.lock == "queue")

    @property
    def drops_failed(self) -> bool:
        """What failed is lost: nothing brings it back."""
        return self.refused == "lost"

    @property
    def passes_failed(self) -> bool:
        """Whether others may go before a message whose attempt failed that were behind it in its own order."""
        return self.refused == "renewed" or (not self.keeps_lane and self.most_behind > 0)

    @property
    def counts_leases(self) -> bool:
        """Whether a message is given up whose lease has run out too often. RabbitMQ does not count its timeouts."""
        return self.expires == "lease" and self.most_deliveries < UNBOUNDED

    @property
    def most_deliveries(self) -> int:
        """Of one message, before the broker gives it up."""
        if self.gives_up == "never" or (self.refused != "again" and not self.counts):
            return UNBOUNDED
        return self.max_attempts
