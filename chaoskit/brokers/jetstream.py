"""NATS JetStream: a stream and one consumer, whose subscribers compete."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, one_queue, routing
from chaoskit.brokers.fields import boolean, one_of, optional_int, positive_int, resource_name, setting, without_effect
from chaoskit.brokers.impossible import OR_MORE, Impossible, Reasons, delivered_once
from chaoskit.brokers.serialization import Serialization, competing, partitions
from chaoskit.brokers.timing import GIVEN_BACK, timed
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, SLOW, Wording, Words, passed_unless
from chaoskit.models.partitioners import by_fnv1a_plain
from chaoskit.models.producer import Home, Producer
from chaoskit.models.queue.model import QueueSettings, beyond
from chaoskit.models.queue.policy import UNBOUNDED, LeasePolicy
from chaoskit.models.stored import Growth
from chaoskit.traces.queue.capacity import EVERYBODY, unsettled_at
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState
from chaoskit.values import faults
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event
from chaoskit.values.faults import FaultKind
from chaoskit.values.schedule import Raw
from chaoskit.values.settling import Verbs
from chaoskit.values.timing import Timing

WORDS = Words(
    unit="partition",
    lane="subscriber",
    worker="subscriber",
    restarts="subscriber {consumer} restarts",
    dead="to the dead letters",
    put_back="published",
    no_order="the subscribers of one consumer compete: messages are handed out in order, and finished in any order.",
    wordings={
        faults.Fail: passed_unless("max_ack_pending=1"),
        faults.Duplicate: Wording(
            "{event} was nak'ed or not acknowledged, and came again before anything new", f"no setting. {IDEMPOTENT}"
        ),
        faults.Redeliver: Wording(
            "the ack wait of {event} ran out: it came again{after}",
            f"no setting: what is not acknowledged within ack_wait comes again; max_ack_pending=1 keeps the order. "
            f"{IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} reached max_deliver before it had any effect, and the application kept it{back}",
            "nobody who publishes it again (dead_letters=False): JetStream itself only sends an advisory",
        ),
        faults.Rehash: Wording(
            "the partition() transform grew from {count} to {to}: {event} of key {key} went to partition "
            "{home}{backlog}",
            "a subject mapping that never changes while there is a backlog",
        ),
        faults.Overtake: Wording(
            SLOW,
            "max_ack_pending=1; or consumers=1, where only a failed attempt is overtaken",
        ),
        faults.BatchSwap: Wording(
            "the publish ack of {at} did not come and it was published again behind {over}",
            "waiting for each publish ack (publish_async_max_pending=1), or Nats-Expected-Last-Sequence",
        ),
        faults.Resend: Wording(
            "{at} was published again outside of the duplicate window: another message in the stream",
            f"retries within the duplicate window, with the same Nats-Msg-Id. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the ack wait ran out while subscriber {old} still worked: {held} came to subscriber {new}, and a late ack "
            "of subscriber {old} is accepted",
            "in-progress acks (+WPI) while the handler works; a version compared in the transaction",
        ),
        faults.Lose: Wording(
            "{event} reached max_deliver before it had any effect and was dropped from the consumer: only an "
            "advisory tells",
            "max_deliver=-1, which is the default",
        ),
    },
)
SERIAL = WORDS.but({faults.Overtake: DEFAULT[faults.Overtake]}, no_order="")
UNNAMED = Wording(
    "{at} was published again without a Nats-Msg-Id: another message in the stream",
    f"a Nats-Msg-Id for each message, and retries within the duplicate window (msg_ids=True). {IDEMPOTENT}",
)
LIMITS = Wording(
    "the limits of the stream (max_age, max_msgs) removed {event} before it was delivered",
    'limits that are larger than any backlog, or discard="new", which refuses the publisher instead '
    "(max_age=None, max_msgs=None)",
)
LIMITS_OR_MAX_DELIVER = Wording(
    "{event} reached max_deliver before it had any effect, or the limits of the stream (max_age, max_msgs) removed it",
    "max_deliver=-1, and limits that are larger than any backlog (max_age=None, max_msgs=None)",
)
UNACKED = Wording(
    "{event} needed no acknowledgement, and subscriber {consumer} died: it is gone",
    'ack_policy="explicit", which is the default',
)


@attrs.frozen(kw_only=True)
class JetStream(Settings):
    """A JetStream stream and one consumer with several subscribers."""

    consumers: int = positive_int(2, "subscribers of the consumer, which compete.")
    max_ack_pending: int = positive_int(1000, "unacknowledged messages of the consumer; 1 means one at a time.")
    ack_wait: int = timed("lease", 30, "seconds.")
    max_deliver: int = setting(-1, "deliveries of a message; -1 is endless.", "int")
    ack_policy: Literal["explicit", "all", "none"] = one_of(
        ("explicit", "all", "none"), 'with "all" an ack settles all earlier messages, with "none" nothing needs one.'
    )
    msg_ids: bool = boolean(
        "messages have a Nats-Msg-Id, and what is published again within `duplicate_window` is dropped.", default=True
    )
    duplicate_window: int = positive_int(120, "seconds.")
    publish_async_max_pending: int = positive_int(1, "publishes without an ack; 1 waits for each.")
    partitions: int = positive_int(1, "of a subject mapping with partition(), each with a consumer like this.")
    growth: bool = boolean("that transform may get more of them.", default=True)
    dead_letters: bool = boolean("the application keeps what reached max_deliver and publishes it again.")
    max_age: int | None = optional_int("seconds that the stream keeps a message, delivered or not; None: for ever.")
    max_msgs: int | None = optional_int(
        'messages that the stream keeps; of more the oldest are removed, delivered or not (discard="old", the '
        "default); None: all."
    )
    on_error: Literal["nak", "term"] = one_of(
        ("nak", "term"),
        'what a subscriber answers when the handler raises: "nak" (it is shown again) or "term" (+TERM: it is never '
        "delivered again).",
    )
    stream: str = resource_name("events")

    usual_timing: ClassVar[Timing] = GIVEN_BACK
    guarantees: ClassVar[tuple[str, ...]] = (
        "A consumer hands out new messages in the order of the stream; its subscribers finish them in any order.",
        "What is due again is served before new messages; with max_ack_pending=1 the order is kept.",
        "At least once; a late ack of a message that was redelivered is accepted.",
        "What is published again with the same Nats-Msg-Id within the duplicate window is dropped.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "docs.nats.io: jetstream/consumers, model_deep_dive, subject_mapping, jetstream/headers",
        "docs.nats.io: jetstream/streams (limits, discard policy), jetstream/consumers (acknowledgement: AckTerm)",
        "github.com/nats-io/nats-server: server/consumer.go (getNextMsg, checkPending)",
    )

    def __attrs_post_init__(self) -> None:
        if type(self.max_deliver) is not int or self.max_deliver == 0 or self.max_deliver < -1:
            raise UsageError(f"JetStream(max_deliver={self.max_deliver!r}): -1 (endless), or 1 or more, is needed")
        if self.ack_policy == "none":
            without_effect(self, ["on_error"], 'ack_policy="none"')
        if self.dead_letters and self.max_deliver < 0:
            raise UsageError(
                "JetStream(dead_letters=True, max_deliver=-1): nothing is given up; max_deliver=5 gives up"
            )

    @property
    def words(self) -> Words:
        own: dict[FaultKind, Wording] = {} if self.msg_ids else {faults.Resend: UNNAMED}
        if self.ack_policy == "none":
            own[faults.Lose] = UNACKED
        elif self._limited:
            own[faults.Lose] = LIMITS_OR_MAX_DELIVER if self._drops else LIMITS
        return (SERIAL if self._serial else WORDS).but(own)

    @property
    def _limited(self) -> bool:
        """The stream removes messages, whoever has not read them."""
        return self.max_age is not None or self.max_msgs is not None

    @property
    def _drops(self) -> bool:
        """What reached max_deliver is gone."""
        return self.max_deliver > 0 and not self.dead_letters

    @property
    def _serial(self) -> bool:
        return self.max_ack_pending == 1 or self.consumers == 1 or self.ack_policy == "all"

    @property
    def _removes(self) -> list[str]:
        """The settings that take a message away before it was handled."""
        # For the sentences of the judge, which name what may have taken a message.
        limits = [self.loses] if self._limited and self.loses else []
        return [*limits, 'on_error="term"'] if self.on_error == "term" else limits

    def rules(self) -> QueueRules:
        limited = self.max_deliver > 0
        return QueueRules(
            broker="JetStream",
            order="dispatch",
            consumers=1 if self.consumers == 1 else None,
            # Without acks nothing is pending.
            outstanding=None if self.ack_policy == "none" else self.max_ack_pending,
            returns="front",
            requested_at_nack=_requested,
            settles="at_hand_over" if self.ack_policy == "none" else "after_run",
            settles_setting="ack_policy='none'",
            late_ack="accepted",
            covers=_all_before if self.ack_policy == "all" else None,
            limit=self.max_deliver if limited else None,
            limit_setting=f"max_deliver={self.max_deliver}",
            dead="limit" if limited and self.dead_letters else "never",
            dead_setting=f"max_deliver={self.max_deliver}, dead_letters={self.dead_letters}",
            window=self.duplicate_window if self.msg_ids else None,
            window_setting=f"duplicate_window={self.duplicate_window}",
            send_window=self.publish_async_max_pending,
            lease=self.ack_wait,
            failure_settles=self.on_error == "term",
            gives_up=self.ack_policy != "none",
            loses=", ".join(self._removes) or None,
        )

    def impossible(self) -> Reasons:
        no = delivered_once(self.max_deliver, "max_deliver")
        if self.partitions == 1:
            no[faults.Rehash] = Impossible("one consumer takes every subject", {"partitions": 2}, OR_MORE)
        elif not self.growth:
            no[faults.Rehash] = Impossible("the partition() transform never changes (growth=False)", {"growth": True})
        if self._serial and self.partitions == 1:
            no[faults.Overtake] = Impossible(
                "one message at a time is handled in order",
                {"consumers": 2, "max_ack_pending": 1000, "ack_policy": "explicit"},
            )
        if self.publish_async_max_pending == 1:
            no[faults.BatchSwap] = Impossible(
                "each publish ack is awaited before the next", {"publish_async_max_pending": 2}
            )
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "JetStream has no dead letters",
                {"dead_letters": True, "max_deliver": 5},
                "{dead_letters} with {max_deliver}, where the application keeps them, makes it possible",
            )
        if self.ack_policy == "none":
            never = Impossible("without acks nothing comes again", {"ack_policy": "explicit"})
            no |= dict.fromkeys((faults.Duplicate, faults.Redeliver, faults.Zombie), never)
            no[faults.DeadLetter] = Impossible(
                "without acks nothing is given up", {"ack_policy": "explicit", "max_deliver": 5, "dead_letters": True}
            )
        elif not self._drops and not self._limited:
            no[faults.Lose] = Impossible(
                "what is not acknowledged comes again",
                {"max_deliver": 5, "ack_policy": "none", "max_age": 3600, "max_msgs": 1000},
                "{max_deliver} without dead_letters, or {ack_policy}, makes it possible, and so do {max_age} and "
                "{max_msgs}",
            )
        return no

    def drops(self) -> tuple[str, ...]:
        return ("on_error",) if self.on_error == "term" else super().drops()

    def lossy(self) -> tuple[str, ...]:
        if self.ack_policy == "none":
            return ("ack_policy",)
        limits = [name for name in ("max_age", "max_msgs") if getattr(self, name) is not None]
        return (*(["max_deliver"] if self._drops else []), *limits)

    @property
    def serialization(self) -> Serialization:
        if self.partitions > 1 and self.max_ack_pending == 1:
            return partitions(
                "partition",
                "partition() keeps a key in one subject, whose consumer has one message unacknowledged at a time",
                "docs.nats.io: subject_mapping, jetstream/consumers (MaxAckPending)",
                owned=False,
                competes=True,
            )
        return competing(
            "stream",
            "the subscribers of a consumer compete, and finish in any order",
            "docs.nats.io: jetstream/consumers",
            partitions=6,
            max_ack_pending=1,
        )

    @property
    def _verbs(self) -> Verbs:
        if self.ack_policy == "none":
            return verbs.at_hand_over('ack_policy="none"')
        return attrs.evolve(verbs.JETSTREAM, up_to=self.ack_policy == "all")

    def stages(self) -> QueueSettings:
        home: Home = one_queue
        growth: Growth | None = None
        if self.partitions > 1:
            home, growth = routing(lambda key: key_bytes(self, key), by_fnv1a_plain, self.partitions, grows=self.growth)
        # An ack for all before it makes sense only where one consumer has them in order.
        together = self.max_ack_pending == 1 or self.ack_policy == "all"
        policy = LeasePolicy(
            self.consumers,
            lock="queue" if together else "message",
            brings="lane" if together else "message",
            returns="front",
            window=self.max_ack_pending,
            outstanding=self.max_ack_pending if not together and self.ack_policy == "explicit" else UNBOUNDED,
            refused="lost" if self.ack_policy == "none" or self.on_error == "term" else "again",
            # Where nothing is given up, so many stand for as long as anybody waits.
            max_attempts=10 if self.max_deliver < 0 else self.max_deliver,
            gives_up="never" if self.max_deliver < 0 else "dead" if self.dead_letters else "lost",
            counts=self.on_error == "term",
            settles_first=self.ack_policy == "none",
            up_to=self.ack_policy == "all",
            late_counts=True,
            expires="lease",
            # Limits remove the oldest first; what max_deliver drops may be any.
            trims=self._limited and self.ack_policy != "none" and not self._drops,
        )
        producer = Producer(home, self.partitions, max_in_flight=self.publish_async_max_pending)
        window = self.duplicate_window if self.msg_ids else 0
        fields = partial(_identified if self.msg_ids else _fields, self.partitions)
        only_more = self.max_msgs is not None and self.max_age is None and not self._drops
        return QueueSettings(
            self.stream, producer, policy, fields, growth=growth, window=window, lease=self.ack_wait,
            loses=beyond(self.max_msgs) if only_more and self.max_msgs else None,
            verbs=self._verbs,
        )  # fmt: skip


def _fields(partitions: int, event: Event, step: Raw) -> dict[str, Any]:
    """The stream sequence stays on a redelivery, num_delivered counts. All partitions are subjects of one stream."""
    # Sequences of a stream grow over all its subjects, as if these were written in turns.
    return {"sequence": partitions * step[4] + step[3] + 1, "attempt": step[5]}


def _identified(partitions: int, event: Event, step: Raw) -> dict[str, Any]:
    return {**_fields(partitions, event, step), "deduplication_id": str(event.id)}


def _all_before(state: QueueState, at: int) -> list[int]:
    return [other for other in state.before(at) if state.messages[other].phase == "out"]


def _requested(state: QueueState, at: int) -> frozenset[int]:
    """What is given back is due a moment later. Until then the new messages go out for which there is room."""
    waiting = [other for other in state.after(at) if state.messages[other].phase == "new"]
    if state.rules.outstanding is None:
        return frozenset(waiting)
    return frozenset(waiting[: max(0, state.rules.outstanding - len(unsettled_at(state, at, EVERYBODY)))])
