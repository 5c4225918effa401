"""The facts about one queue-shaped broker, under its settings, that decide what it can deliver."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from chaoskit.traces.tokens import Batch, Receive

if TYPE_CHECKING:
    from chaoskit.traces.queue.state import QueueState

Order: TypeAlias = Literal["none", "dispatch", "locked", "cascade"]
Returns: TypeAlias = Literal["place", "front", "head", "tail", "anywhere"]


@attrs.frozen(kw_only=True)
class QueueRules:
    """What decides whether a queue can make a delivery; counts are messages, times are seconds, None is no bound."""

    broker: str = "the broker"
    """Its name, as it stands in the sentences."""

    order: Order = "none"
    """`none`: any ready message. `dispatch`: handed out in order, runs finish in any order. `locked`: nothing of a
    unit is handed out while earlier ones of another receive are unsettled. `cascade`: a redelivery brings all later
    ones of the unit again."""

    delivers: Callable[[QueueState, Receive | Batch], None] | None = None
    """Another way of delivering than a queue's, which refuses a delivery or changes the state; settlements then say
    nothing."""

    sends_again: bool = True
    """The same payload can be sent more than once."""

    unit: str = "queue"
    """What the order is kept in: queue, message group, session, ordering key."""

    consumers: int | None = None
    """1: one consumer at a time, the next one takes over (single active consumer). None: those that the trace names."""

    moves_unseen: bool = False
    """That one consumer can be followed by another one without a word: it lost its connection for this unit alone."""

    receive: int | None = None
    """The most messages of one receive or batch."""

    check_batch: Callable[[QueueState, Batch], None] | None = None
    """What this broker alone demands of the order inside one receive: refuses it, or returns."""

    prefetch: int | None = None
    """The most messages that one consumer holds unsettled."""

    at_hand: int | None = None
    """The most messages that one consumer has been handed and has not run."""

    at_hand_setting: str = ""
    """What makes it so, for the sentences."""

    outstanding: int | None = None
    """The most messages that all consumers together hold unsettled; one that waits for its retry counts."""

    check_room: Callable[[QueueState, int], None] | None = None
    """A bound of this broker alone, before a message is handed out: refuses it, or returns."""

    buffered_at_return: Callable[[QueueState, int, str | None, bool], frozenset[int]] | None = None
    """The new messages that lie in buffers of clients when a message comes back, and so run before it; given the
    message, its holder, and whether that one is gone."""

    along: Callable[[QueueState, int], list[int]] | None = None
    """The other messages that were stored as one with this one, so that they come back with it, acknowledged or not."""

    resets: Callable[[QueueState, int], list[int]] | None = None
    """The messages that come again, acknowledged or not, where the position is set back to this one; None: there is
    none that could be set."""

    requested_at_nack: Callable[[QueueState, int], frozenset[int]] | None = None
    """The new messages that consumers have asked for when one is given back, and so get before it."""

    returns: Returns = "anywhere"
    """Where a message that comes back goes: to its `place`, to the `front` in the order of returns, to the `head` in
    any order, to the `tail`, or `anywhere` later. The first three are served before messages never delivered."""

    nacked: Returns | None = None
    """Where a message goes that its consumer gives back, if elsewhere than one that was lost with a consumer."""

    loss: Literal["returns", "lease"] = "lease"
    """What a killed consumer's unsettled messages do: come back with its connection, or wait for their timeout."""

    rereads: bool = False
    """A consumer that restarts first reads again what it holds (the history of a Redis stream)."""

    settled: Literal["final", "may_return"] = "final"
    """Whether an acknowledged message can come again."""

    settles: Literal["after_run", "at_hand_over"] = "after_run"
    """`at_hand_over`: no acknowledgement after the run (no-ack, receive-and-delete): it is lost or done."""

    settles_setting: str = "acknowledgement before the run"
    """The setting that makes it so, for the sentences."""

    late_ack: Literal["refused", "accepted", "maybe"] = "refused"
    """What an acknowledgement by a consumer that no longer holds the message does."""

    anybody_acks: bool = False
    """A consumer that was never handed a message can acknowledge it (XACK names an id, and no owner)."""

    covers: Callable[[QueueState, int], list[int]] | None = None
    """What is settled by the acknowledgement of this message, too (JetStream AckAll)."""

    failure_settles: bool = False
    """A failed run is acknowledged like a good one (Celery)."""

    comes_back: bool = True
    """Unsettled messages come back without being asked for; False where somebody has to claim them (Redis)."""

    zombies: bool = True
    """A consumer that lost a message can still run it; False where the loss ends the run (row locks)."""

    marks: bool = True
    """The broker tells a second delivery (a mark, a count), so that it must be written with `r`."""

    limit: int | None = None
    """The most deliveries of one message."""

    limit_setting: str = ""
    """That setting as written, such as `max_receive_count=2`."""

    limit_exact: bool = True
    """False where the broker counts roughly (Pub/Sub) or counts what was never shown (Lambda)."""

    dead: Literal["never", "limit", "any"] = "never"
    """When a message leaves for the dead letters: never, at the limit, or whenever the application decides."""

    dead_setting: str = ""
    """The setting that would allow dead letters, for the sentences."""

    loses: str | None = None
    """The setting or event by which messages disappear; None: nothing is ever lost."""

    gives_up: bool = False
    """A consumer can give up what it holds, which is gone then (+TERM, basic.reject)."""

    skips_failed: bool = False
    """The consumer goes on behind a failed message of the same receive and settles the later ones."""

    skips_setting: str = ""
    """The setting for that, for the sentences."""

    single_returns: bool = False
    """One message of a receive can come back alone (per-message visibility changes)."""

    batch_returns: Literal["each", "whole", "failed"] = "each"
    """After a batch with a failure: each message for itself, the whole batch, or what was not done comes back."""

    window: float | None = None
    """Seconds during which a second send of the same payload is swallowed."""

    window_setting: str = "the deduplication window"
    """Its name, for the sentences."""

    send_window: int | None = 1
    """Sends under way at once: an accepted message can be overtaken by so many minus one later ones."""

    lease: float | None = None
    """Seconds after which a message that is not settled comes back; None: not known."""

    one_at_a_time: bool = True
    """A consumer runs what it got one after another, in the order of hand-over."""
