"""What a consumer of each system settles with, where its handler does that itself."""

from __future__ import annotations

from chaoskit.values.settling import Verbs

# DeleteMessage with an old receipt handle succeeds on a standard queue, and the message may survive it; on a FIFO queue
# it deletes nothing, which DeleteMessageBatch tells in a list (SQSDeveloperGuide).
SQS = Verbs(("ack", "nack", "extend"))
SQS_FIFO = Verbs(("ack", "nack", "extend"), bound="the {} of one receive")
# An unknown delivery tag closes the channel: PRECONDITION_FAILED (rabbitmq.com/docs: confirms).
RABBITMQ = Verbs(("ack", "nack", "reject"), once=True, bound="prefetch {}")
# XACK looks the entry up in the list of the group, whoever has claimed it (redis t_stream.c: xackCommand).
REDIS_STREAM = Verbs(("ack",), late_counts=True)
# LREM removes the element, whoever has put it back.
REDIS_LIST = Verbs(("ack",), late_counts=True)
# Also a late acknowledgement is one (docs.nats.io: jetstream/consumers); a second one is MsgAlreadyAckdError in
# nats-py.
JETSTREAM = Verbs(("ack", "nack", "reject", "extend"), late_counts=True, once=True, bound="max_ack_pending {}")
# Behind the deadline it may succeed, and the message may come again (cloud.google.com/pubsub: docs).
PUBSUB = Verbs(("ack", "nack", "extend"), bound="the {} of an ordering key that its client hands over")
# MessageAlreadySettled (learn.microsoft.com: message-transfers-locks-settlement).
SERVICE_BUS = Verbs(("ack", "nack", "reject", "extend"), once=True, bound="prefetch {}")
PULSAR = Verbs(("ack", "nack"), bound="the {} of its receiver queue")
# An acknowledgement behind its lock fails, and is an entry of what acknowledge() answers (KIP-932).
SHARE_GROUP = Verbs(("ack", "nack", "reject"), bound="max_record_locks {}")
POSTGRES = Verbs(("ack", "nack"))

PARALLEL = Verbs((), "the Parallel Consumer commits what its handler has returned from")
INVOKED = Verbs((), "Lambda settles by what the function returns or raises")
ANSWERED = Verbs((), "a webhook is settled by the answer to its request, which is that the handler returns")
TASKS = Verbs((), "Celery acknowledges a task by itself (acks_late)")
BY_ITSELF = Verbs((), "its own consumer settles: what is modelled here is the relay")
ONCE = Verbs((), "each message comes once here, whatever is settled")


def at_hand_over(setting: str) -> Verbs:
    """Where messages are settled before they are handled."""
    return Verbs((), f"with {setting} a message is settled before it is handled")


def by_itself(setting: str) -> Verbs:
    """Where the client commits by itself."""
    return Verbs((), f"with {setting} the client commits by itself: take that out where the handler does it")
