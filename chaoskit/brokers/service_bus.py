"""Azure Service Bus: a queue or subscription, with or without sessions."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, one_of, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons, delivered_once
from chaoskit.brokers.serialization import Serialization, keys, unordered
from chaoskit.brokers.timing import GIVEN_BACK, timed
from chaoskit.brokers.wording import IDEMPOTENT, SENT_TOGETHER, SLOW, Wording, Words, passed_unless
from chaoskit.models.handover import Handover
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

_NOT_SENT_AGAIN = (
    "nobody who sends dead letters again, or a handler that holds back what is out of order (compare `seq`)"
)

PLAIN = Words(
    lane="receiver",
    worker="receiver",
    restarts="receiver {consumer} restarts",
    dead="to the dead-letter subqueue",
    put_back="sent",
    no_order="without sessions receivers compete: messages are handed out about in order, and finished in any order.",
    wordings={
        faults.Fail: passed_unless("sessions (sessions=True), in which an abandoned message comes again next"),
        faults.Duplicate: Wording(
            "{event} was abandoned, or its lock was lost, and it came again at once", f"no setting. {IDEMPOTENT}"
        ),
        faults.Redeliver: Wording(
            "the lock of {event} expired before it was completed: it came again near the front{after}",
            f"no setting: a longer lock duration, or its renewal, makes it rarer. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} exceeded MaxDeliveryCount before it had any effect and went to the dead-letter subqueue{back}",
            _NOT_SENT_AGAIN,
        ),
        faults.Overtake: Wording(
            SLOW,
            "sessions (sessions=True), with one session for what depends on each other",
        ),
        faults.BatchSwap: Wording(
            SENT_TOGETHER,
            "awaiting each send before the next (concurrent_sends=1), or a transaction",
        ),
        faults.Resend: Wording(
            "{at} was sent again{window}: a message with another SequenceNumber",
            f"duplicate detection (duplicate_detection=True), for what is sent again within its window. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the lock expired while receiver {old} still worked: {held} came to receiver {new}, and receiver {old} "
            "finished nevertheless; its complete was refused (lock lost)",
            "lock renewal while the handler works; a version compared in the same transaction as the effect",
        ),
        faults.Lose: Wording(
            "{event} was received in ReceiveAndDelete mode, and receiver {consumer} died",
            'receive_mode="peek_lock", which is the default',
        ),
    },
)
SESSIONS = PLAIN.but(
    {
        faults.Redeliver: Wording(
            "the session lock was lost before {event} was completed: {again} came again, in order",
            f"no setting: what a session had not completed comes again. {IDEMPOTENT}",
        ),
        faults.Overtake: Wording(
            "the session of {event} was accepted late: {over} of other sessions went first",
            "one session for events that depend on each other; nothing orders two sessions",
        ),
        faults.DeadLetter: Wording(
            "{event} exceeded MaxDeliveryCount before it had any effect and went to the dead-letter subqueue; its "
            "session went on{back}",
            _NOT_SENT_AGAIN,
        ),
    },
    lanes="key",
    lane="session",
    no_order="",
)


@attrs.frozen(kw_only=True)
class ServiceBus(Settings):
    """A Service Bus queue and its receivers. With sessions, the key of an event is its SessionId."""

    sessions: bool = boolean("one receiver holds a session, and gets its messages in order.")
    receivers: int = positive_int(2, "that compete.")
    prefetch: int = positive_int(10, "messages of a session that a receiver holds at once.")
    max_delivery_count: int = positive_int(10, "deliveries, after which a message is dead-lettered.")
    lock_duration: int = timed("lease", 60, "seconds.")
    receive_mode: Literal["peek_lock", "receive_and_delete"] = one_of(
        ("peek_lock", "receive_and_delete"), 'with "receive_and_delete" a crash loses what was received.'
    )
    duplicate_detection: bool = boolean(
        "what has a MessageId of the last `duplicate_detection_window` seconds is dropped."
    )
    duplicate_detection_window: int = positive_int(600, "seconds.")
    concurrent_sends: int = positive_int(1, "sends that are under way at once; 1 awaits each before the next.")
    queue: str = resource_name("events")

    usual_timing: ClassVar[Timing] = GIVEN_BACK
    guarantees: ClassVar[tuple[str, ...]] = (
        "Without sessions: about in order, without a promise; receivers compete.",
        "With sessions: one receiver holds a session and gets it in order; what it did not complete comes again.",
        "After MaxDeliveryCount a message goes to the dead-letter subqueue, and its successors go on.",
        "Duplicate detection, where it is on, drops what is sent again within its window.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        (
            "learn.microsoft.com/azure/service-bus-messaging: message-transfers-locks-settlement, message-sessions,"
            " duplicate-detection, service-bus-dead-letter-queues"
        ),
    )

    def rules(self) -> QueueRules:
        return QueueRules(
            broker="Service Bus",
            order="locked" if self.sessions else "none",
            unit="session" if self.sessions else "queue",
            # A broken connection drops its locks.
            loss="returns",
            settles="after_run" if self.receive_mode == "peek_lock" else "at_hand_over",
            settles_setting="receive_mode='receive_and_delete'",
            limit=self.max_delivery_count,
            limit_setting=f"max_delivery_count={self.max_delivery_count}",
            dead="limit",
            window=self.duplicate_detection_window if self.duplicate_detection else None,
            window_setting=f"duplicate_detection_window={self.duplicate_detection_window}",
            send_window=self.concurrent_sends,
            lease=self.lock_duration,
        )

    @property
    def words(self) -> Words:
        words = SESSIONS if self.sessions else PLAIN
        window = " when the duplicate detection window had passed" if self.duplicate_detection else ""
        resend = words.of(faults.Resend)
        # Not by `format`: the other places are filled when the sentence is made.
        return words.but({faults.Resend: Wording(resend.happened.replace("{window}", window), resend.ruled_out_by)})

    def impossible(self) -> Reasons:
        no = delivered_once(self.max_delivery_count, "max_delivery_count")
        no[faults.Rehash] = Impossible("a queue has no partitions that change, and a session stays whole")
        # With sessions one receiver takes several of them, in whatever order they are accepted.
        if self.receivers == 1 and not self.sessions:
            no[faults.Overtake] = Impossible("one receiver handles the messages in order", {"receivers": 2})
        if self.concurrent_sends == 1:
            no[faults.BatchSwap] = Impossible("each send is awaited before the next", {"concurrent_sends": 2})
        if self.receive_mode == "peek_lock":
            no[faults.Lose] = Impossible("what is not completed comes again", {"receive_mode": "receive_and_delete"})
        else:
            never = Impossible("what is received is deleted", {"receive_mode": "peek_lock"})
            no |= dict.fromkeys((faults.Duplicate, faults.Redeliver, faults.Zombie, faults.DeadLetter), never)
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("receive_mode",) if self.receive_mode == "receive_and_delete" else ()

    @property
    def serialization(self) -> Serialization:
        if self.sessions:
            return keys(
                "session",
                "one receiver holds a session, and gets its messages in order",
                "learn.microsoft.com/azure/service-bus-messaging: message-sessions",
            )
        return unordered(
            "message",
            "without sessions receivers compete, and the order is not promised",
            "learn.microsoft.com/azure/service-bus-messaging: message-sessions",
            sessions=True,
        )

    def stages(self) -> QueueSettings:
        deletes = self.receive_mode == "receive_and_delete"
        policy = LeasePolicy(
            self.receivers,
            lock="group" if self.sessions else "message",
            brings="lane" if self.sessions else "message",
            window=self.prefetch,
            refused="lost" if deletes else "again",
            settles_first=deletes,
            max_attempts=self.max_delivery_count,
            gives_up="dead",
            expires="lease",
        )
        producer = Producer(one_queue, 1, max_in_flight=self.concurrent_sends)
        window = self.duplicate_detection_window if self.duplicate_detection else 0
        own = verbs.at_hand_over('receive_mode="receive_and_delete"') if deletes else verbs.SERVICE_BUS
        fields = _in_session if self.sessions else _fields
        # A receiver has one session.
        handover = Handover(one_lane=True, failed="from the lowest") if self.sessions else None
        return QueueSettings(
            self.queue, producer, policy, fields, window=window, lease=self.lock_duration, verbs=own, handover=handover
        )


def _fields(event: Event, step: Raw) -> dict[str, Any]:
    """SequenceNumber and MessageId stay on a redelivery; DeliveryCount is 0 at first, and `attempt` counts from 1."""
    return {"sequence": step[4] + 1, "message_id": str(event.id), "attempt": step[5]}


def _in_session(event: Event, step: Raw) -> dict[str, Any]:
    return {**_fields(event, step), "group": None if event.key is None else str(event.key)}
