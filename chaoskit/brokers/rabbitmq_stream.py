"""RabbitMQ streams and super streams: append-only logs with an offset that the server stores."""

from __future__ import annotations

from typing import ClassVar

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, routing
from chaoskit.brokers.fields import boolean, opt_in, optional_int, positive_int, resource_name
from chaoskit.brokers.impossible import NO_GROWTH, OR_MORE, WHERE_THE_APPLICATION_DOES, Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, partitions
from chaoskit.brokers.timing import timed
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, Wording, Words
from chaoskit.models.handover import Handover
from chaoskit.models.log.model import LogSettings
from chaoskit.models.log.policy import Reading
from chaoskit.models.partitioners import by_murmur3
from chaoskit.models.producer import Producer
from chaoskit.traces.log.cursor import CursorMachine
from chaoskit.traces.log.producer import exact, slots
from chaoskit.traces.log.rules import LogRules
from chaoskit.values import faults
from chaoskit.values.settling import COMMITS

WORDS = Words(
    lane="partition",
    lanes="partition",
    unit="partition",
    topic="super stream",
    routed_by="routing key",
    place="partition {partition}, offset {offset}",
    wordings={
        faults.Duplicate: Wording(
            "the consumer ran its handler again for {record}", f"a handler that does not retry. {IDEMPOTENT}"
        ),
        faults.Redeliver: Wording(
            "consumer {consumer} restarted before it had stored the offset of {event}: {again} came again",
            f"no setting: what is behind the stored offset comes again; store_offset_every=1 makes it one message. "
            f"{IDEMPOTENT}",
        ),
        faults.Rehash: DEFAULT[faults.Rehash].unless("a number of partitions that never changes"),
        faults.BatchSwap: Wording(
            "the message of {at} was not confirmed and was published again behind {over}",
            "a named producer with publishing ids (named_producer=True), or waiting for each confirm",
        ),
        faults.Resend: Wording(
            "the confirm for {at} was lost and it was published again: {record} is another message",
            "a named producer with publishing ids (named_producer=True): the broker drops what it has",
        ),
        faults.Zombie: Wording(
            "the connection of consumer {old} was lost: consumer {new} became active and read from the stored offset, "
            "while consumer {old} still ran {held}",
            "no setting. Compare a version in the transaction of the effect",
        ),
        faults.Rewind: Wording(
            "the stored offset was set back to {first} when {at} was done, by an operator or because it was lost: "
            "{again} came again",
            "nobody who stores an earlier offset or starts under another name while the effects of the handler are "
            f"still there. {IDEMPOTENT}",
        ),
        faults.Lose: Wording(
            "the stored offset was lost and the consumer started at `next`: {record} was passed over",
            "an offset specification of `first` where none is stored (start_at_latest=False)",
        ),
    },
)


PARTITION = Handover(one_lane=True, failed="from the lowest")
"""What comes in one call is of one partition."""


@attrs.frozen(kw_only=True)
class RabbitMQStream(Settings):
    """A RabbitMQ super stream, with a single active consumer on each partition."""

    partitions: int = positive_int(3, "streams of the super stream; 1 is a plain stream, which never has more.")
    growth: bool = boolean("partitions may be added.", default=True)
    consumers: int = positive_int(1, "partition p belongs to consumer p % consumers.")
    heartbeat: int = timed("silence", 60, "seconds, after which a connection that is not heard is closed.")
    store_offset_every: int | None = optional_int(
        "the consumer stores its offset after each k-th message; None: after every message, and now and then one is "
        "stored late."
    )
    named_producer: bool = boolean("publishing ids, so that the broker drops what it has.")
    outstanding_confirms: int = positive_int(
        10_000, "messages that the publisher sends before it has the confirm of the first; 10,000 in the Java client."
    )
    start_at_latest: bool = boolean("a lost offset starts at `next`, so that earlier messages are passed over.")
    offset_resets: bool = opt_in(
        faults.Rewind,
        "the stored offset may be set back, or lost with its consumer's name, so that reading starts at `first`.",
    )
    dead_letters: bool = boolean("the application sets failed messages aside and puts them back later.")
    stream: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = (
        "The messages of one stream are read in the order of their offsets; between partitions there is no order.",
        "At least once: after a restart everything since the stored offset comes again, in order.",
        "A named producer's publishing ids let the broker drop what it has; without a name there is no deduplication.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "rabbitmq.com/docs: streams, stream-effectively-once-processing",
        "github.com/rabbitmq/rabbitmq-stream-java-client: HashUtils",
    )

    @property
    def words(self) -> Words:
        return WORDS

    def impossible(self) -> Reasons:
        no: Reasons = {}
        if self.named_producer:
            no[faults.BatchSwap] = Impossible("publishing ids only increase", {"named_producer": False})
            no[faults.Resend] = Impossible("the broker drops a publishing id that it has", {"named_producer": False})
        # With a name it is the publishing id that decides, however many are outstanding.
        elif self.outstanding_confirms == 1:
            no[faults.BatchSwap] = Impossible(
                "each confirm is awaited before the next message", {"outstanding_confirms": 2}
            )
        if self.partitions == 1:
            no[faults.Rehash] = Impossible(
                "a plain stream stays one", {"partitions": 2}, "{partitions} or more, a super stream, makes it possible"
            )
        elif not self.growth:
            no[faults.Rehash] = NO_GROWTH
        if self.partitions == 1:
            no[faults.Overtake] = Impossible("a single stream is read in order", {"partitions": 2}, OR_MORE)
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "a stream sets nothing aside", {"dead_letters": True}, WHERE_THE_APPLICATION_DOES
            )
        if not self.start_at_latest:
            no[faults.Lose] = Impossible("a consumer without an offset starts at `first`", {"start_at_latest": True})
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("start_at_latest",) if self.start_at_latest else ()

    def rules(self) -> LogRules:
        return LogRules(
            commit_word="stored offset",
            # A publishing id must increase, so that nothing lands out of order or twice.
            writes=exact() if self.named_producer else slots(self.outstanding_confirms),
            order_hint="named_producer=False" if self.named_producer else "more outstanding_confirms",
            copy_hint="named_producer=False",
            reads=CursorMachine,
            max_attempts=10 if self.dead_letters else None,
            commit_every=self.store_offset_every,
            max_poll_records=10_000,
            poll_word="the credit of the consumer",
            start_at_latest=self.start_at_latest,
            resets_back=self.offset_resets,
            reset_hint="offset_resets=True",
            dead_letters=self.dead_letters,
            dead_hint="dead_letters=True",
            units=self.partitions,
            grows="up" if self.growth and self.partitions > 1 else "never",  # a plain stream is no super stream
        )

    @property
    def serialization(self) -> Serialization:
        return partitions(
            "partition", "each partition of a super stream has a single active consumer", "rabbitmq.com/docs: streams"
        )

    def stages(self) -> LogSettings:
        home, growth = routing(lambda key: key_bytes(self, key), by_murmur3, self.partitions, grows=self.growth)
        producer = Producer(home, self.partitions, max_in_flight=self.outstanding_confirms)
        reading = Reading(self.consumers, self.store_offset_every, "retry", 10, not self.dead_letters, resets=True)
        own = COMMITS if self.store_offset_every is None else verbs.by_itself("store_offset_every")
        return LogSettings(self.stream, producer, reading, 10_000, growth, verbs=own, handover=PARTITION)
