"""A Kafka share group (KIP-932): its words, what it cannot make, and how it hands out. It is a queue, not a log."""

from __future__ import annotations

from functools import partial
from typing import Any

from chaoskit.brokers import verbs
from chaoskit.brokers.impossible import OR_MORE, Impossible, Reasons, delivered_once
from chaoskit.brokers.kafka_group import WORDS
from chaoskit.brokers.serialization import unordered
from chaoskit.brokers.wording import Wording, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.stored import Growth
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState, refuse
from chaoskit.traces.tokens import Batch, natural_key
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw

SHARED = unordered(
    "record",
    "any member of a share group may acquire any available record of a partition",
    "KIP-932; Kafka's SharePartition",
    group="consumer",
)

SHARE = WORDS.but(
    {
        faults.Fail: passed_unless(
            'a consumer group (group="consumer"), which reads a failed record again before the next'
        ),
        faults.Duplicate: Wording(
            "{record} was released and acquired again at once", WORDS.of(faults.Duplicate).ruled_out_by
        ),
        faults.Redeliver: Wording(
            "the acquisition lock of {event} ran out (group.share.record.lock.duration.ms): it was acquired again"
            "{after}",
            "no setting: a record that is not acknowledged in time is acquired again. Make the handler idempotent and "
            'independent of order, or use a consumer group (group="consumer")',
        ),
        faults.Overtake: Wording(
            "a slow member held {event} while {over} went first",
            'a consumer group (group="consumer"), which keeps the order of a partition; or consumers=1, where only a '
            "failed attempt is overtaken",
        ),
        faults.Zombie: Wording(
            "the acquisition lock of {record} ran out while member {old} still ran it: member {new} acquired it, and "
            "member {old} ran {held} nevertheless",
            "renewed acknowledgements before the lock runs out; else fence the old member in the transaction",
        ),
        faults.Lose: Wording(
            "{record} reached group.share.delivery.count.limit before it had any effect and was archived: it is never "
            "delivered again",
            "a higher group.share.delivery.count.limit (delivery_count_limit); there is no dead-letter queue",
        ),
    },
    lanes="consumer",
    lane="member",
    worker="member",
    restarts="member {consumer} restarts",
    no_order="a share group promises no order, not even within a key.",
)


def impossible_in_share_group(consumers: int, delivery_count_limit: int) -> Reasons:
    no = delivered_once(delivery_count_limit, "delivery_count_limit") | {
        faults.DeadLetter: Impossible("a share group has no dead-letter queue: it archives", {"group": "consumer"}),
        faults.Rehash: Impossible("a share group keeps no order that growth could break", {"group": "consumer"}),
    }
    if consumers == 1:
        no[faults.Overtake] = Impossible("a single member handles what it acquired in order", {"consumers": 2}, OR_MORE)
    return no


def share_stages(
    topic: str, producer: Producer, growth: Growth | None, consumers: int, delivery_count_limit: int, most: int
) -> QueueSettings:
    """A share group as the models run it, with at most so many records locked."""
    policy = LeasePolicy(consumers, span=most, max_attempts=delivery_count_limit, gives_up="lost", expires="lease")
    return QueueSettings(topic, producer, policy, _shared, "sender", growth, longest=most, verbs=verbs.SHARE_GROUP)


def _shared(event: Event, step: Raw) -> dict[str, Any]:
    """A share consumer's record carries its delivery count."""
    return {"partition": step[3], "offset": step[4], "attempt": step[5]}


def share_rules(delivery_count_limit: int, max_record_locks: int) -> QueueRules:
    """No order between batches; a record that was never accepted comes back until its deliveries are used up."""
    return QueueRules(
        broker="a share group",
        # Only within a batch, since any member may acquire what is available.
        order="none",
        unit="partition",
        check_batch=_check_ascending,
        check_room=partial(_check_record_locks, most=max_record_locks),
        limit=delivery_count_limit,
        limit_setting=f"delivery_count_limit={delivery_count_limit}",
        gives_up=True,
        dead_setting="a share group has no dead letters: what is used up or rejected is dropped",
        # Where nothing is in order, the order of the sends binds nothing.
        send_window=None,
    )


def _check_ascending(state: QueueState, word: Batch) -> None:
    """One batch is in the order of the log, though the group keeps none."""
    numbers = [natural_key(each.label.name) for each in word.members]
    if numbers != sorted(numbers):
        refuse("the messages of one batch are in the order of the log")


def _check_record_locks(state: QueueState, at: int, *, most: int) -> None:
    """From the oldest record in flight on, only so many are handed out."""
    for earlier in state.before(at):
        its = state.messages[earlier]
        # What was run may have been accepted: that it holds the window is not certain.
        if its.phase not in {"new", "back"} and not (its.phase == "out" and its.ran != "ok"):
            continue
        if _distance(state, earlier, at) >= most:
            refuse(
                f"{state.name(at)} is {most} or more messages behind {state.name(earlier)}, "
                f"which is not settled: max_record_locks={most} (group.share.partition.max.record.locks)"
            )
        return


def _distance(state: QueueState, first: int, at: int) -> int:
    """How many messages of their unit stand from the first one on before the other."""
    # Offsets are not shown: without puts the numbers of the payloads stand for them.
    if not state.facts.lists_puts:
        return state.facts.number(at) - state.facts.number(first)
    return sum(state.place(other) >= state.place(first) for other in state.before(at))
