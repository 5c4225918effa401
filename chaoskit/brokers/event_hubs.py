"""Azure Event Hubs: partitions, and checkpoints that the client owns."""

from __future__ import annotations

from typing import ClassVar

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, routing
from chaoskit.brokers.fields import boolean, opt_in, optional_int, positive_int, resource_name
from chaoskit.brokers.impossible import OR_MORE, WHERE_THE_APPLICATION_DOES, Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, partitions
from chaoskit.brokers.timing import timed
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, SENT_TOGETHER, Wording, Words
from chaoskit.models.handover import Handover
from chaoskit.models.log.model import LogSettings
from chaoskit.models.log.policy import Reading
from chaoskit.models.partitioners import by_lookup3
from chaoskit.models.producer import Producer
from chaoskit.traces.log.cursor import CursorMachine
from chaoskit.traces.log.producer import slots
from chaoskit.traces.log.rules import LogRules
from chaoskit.values import faults
from chaoskit.values.settling import COMMITS

WORDS = Words(
    lane="partition",
    lanes="partition",
    worker="processor",
    unit="partition",
    topic="event hub",
    routed_by="partition key",
    place="partition {partition}, sequence number {offset}",
    restarts="processor {consumer} restarts",
    wordings={
        faults.Duplicate: Wording(
            "the event handler retried {record} itself", f"a handler that does not retry. {IDEMPOTENT}"
        ),
        faults.Redeliver: Wording(
            "processor {consumer} restarted before the checkpoint behind {event}: {again} came again",
            f"no setting: what was not checkpointed comes again; checkpoint_every=1 makes it one event. {IDEMPOTENT}",
        ),
        faults.DeadLetter: DEFAULT[faults.DeadLetter].unless(
            "a handler that stops at an event it cannot handle (dead_letters=False)"
        ),
        faults.Rehash: DEFAULT[faults.Rehash].unless("a partition count that never changes (partitions_added=False)"),
        faults.BatchSwap: Wording(SENT_TOGETHER, "awaiting each send before the next of the key (outstanding_sends=1)"),
        faults.Resend: Wording(
            "the producer got no answer for {at} and sent it again: {record} is another event in the hub",
            f"no setting: Event Hubs does not deduplicate. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "processor {new} claimed the ownership of processor {old} and read from the checkpoint, while processor "
            "{old} still dispatched {held}, which it had read",
            "no setting: whenever processors join or leave. Compare a version in the transaction of the effect",
        ),
        faults.Rewind: Wording(
            "the checkpoint was set back to {first} when {at} was done, by an operator or because the checkpoint store "
            "was lost: {again} came again",
            f"nobody who deletes or edits checkpoints while the effects of the handler are still there. {IDEMPOTENT}",
        ),
        faults.Lose: Wording(
            "the checkpoint was lost and the reader started at the latest event: {record} was passed over",
            "a default starting position at the earliest event (start_at_latest=False)",
        ),
    },
)


PARTITION = Handover(one_lane=True, failed="from the lowest")
"""What comes in one call is of one partition."""


@attrs.frozen(kw_only=True)
class EventHubs(Settings):
    """An event hub and the event processors that read it."""

    partitions: int = positive_int(4, "of the hub, at first.")
    processors: int = positive_int(1, "partition p belongs to processor p % processors.")
    ownership_expiration: int = timed(
        "silence",
        120,
        "seconds (PartitionOwnershipExpirationInterval), after which the partitions of a silent processor are claimed.",
    )
    checkpoint_every: int | None = optional_int(
        "the processor checkpoints after each k-th event; None: after every event, and now and then a checkpoint is "
        "late."
    )
    outstanding_sends: int = positive_int(5, "sends that are under way at once; 1 awaits each before the next.")
    partitions_added: bool = boolean(
        "the hub may grow (premium and dedicated tiers). That adding partitions moves keys is not verified, so it is "
        "off."
    )
    start_at_latest: bool = boolean(
        "a lost checkpoint starts at the latest event, so that earlier ones are passed over."
    )
    checkpoint_resets: bool = opt_in(
        faults.Rewind,
        "checkpoints may be set back: their store is edited, or lost and reading starts at the earliest event.",
    )
    dead_letters: bool = boolean("the application sets failed events aside and puts them back later.")
    event_hub: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = (
        "The events of one partition are read in order; between partitions there is no order.",
        "At least once: after a restart everything since the checkpoint comes again, in order.",
        "Whenever processors join or leave, an old owner may still dispatch what it had read.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "learn.microsoft.com/azure/event-hubs: event-hubs-features, event-processor-balance-partition-load",
        "github.com/Azure/azure-sdk-for-net: sdk/eventhub; azure-eventhub 5.15.1 _partition_resolver.py",
    )

    @property
    def words(self) -> Words:
        return WORDS

    def impossible(self) -> Reasons:
        no: Reasons = {}
        if self.outstanding_sends == 1:
            no[faults.BatchSwap] = Impossible("each send is awaited before the next", {"outstanding_sends": 5})
        if not self.partitions_added:
            no[faults.Rehash] = Impossible("the partition count is fixed", {"partitions_added": True})
        if self.partitions == 1:
            no[faults.Overtake] = Impossible("a single partition is read in order", {"partitions": 2}, OR_MORE)
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "Event Hubs sets nothing aside", {"dead_letters": True}, WHERE_THE_APPLICATION_DOES
            )
        if not self.start_at_latest:
            no[faults.Lose] = Impossible(
                "a reader without a checkpoint starts at the earliest event", {"start_at_latest": True}
            )
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("start_at_latest",) if self.start_at_latest else ()

    def rules(self) -> LogRules:
        return LogRules(
            commit_word="checkpoint",
            writes=slots(self.outstanding_sends),
            order_hint=f"a higher outstanding_sends than {self.outstanding_sends}",
            reads=CursorMachine,
            max_attempts=10 if self.dead_letters else None,
            commit_every=self.checkpoint_every,
            max_poll_records=300,  # what the SDKs prefetch of a partition by default
            poll_word="what it had read",
            start_at_latest=self.start_at_latest,
            resets_back=self.checkpoint_resets,
            reset_hint="checkpoint_resets=True",
            dead_letters=self.dead_letters,
            dead_hint="dead_letters=True",
            units=self.partitions,
            grows="up" if self.partitions_added else "never",
        )

    @property
    def serialization(self) -> Serialization:
        return partitions(
            "partition",
            "a partition is owned by one processor at a time, which gets its events in order",
            "learn.microsoft.com/azure/event-hubs: event-processor-balance-partition-load",
        )

    def stages(self) -> LogSettings:
        home, growth = routing(
            lambda key: key_bytes(self, key), by_lookup3, self.partitions, grows=self.partitions_added
        )
        producer = Producer(home, self.partitions, max_in_flight=self.outstanding_sends)
        # `resets`: the only loss is that of a checkpoint.
        reading = Reading(self.processors, self.checkpoint_every, "retry", 10, not self.dead_letters, resets=True)
        own = COMMITS if self.checkpoint_every is None else verbs.by_itself("checkpoint_every")
        return LogSettings(self.event_hub, producer, reading, 300, growth, numbered=True, verbs=own, handover=PARTITION)
