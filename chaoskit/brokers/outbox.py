"""What publishes and then marks, so that a crash between the two publishes again: Debezium, and a polling outbox.

What a consumer of the target topic does is not part of these; here it is what the relay makes of the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, key_bytes, one_queue, routing
from chaoskit.brokers.fields import boolean, one_of, positive_int, resource_name
from chaoskit.brokers.impossible import NO_GROWTH, OR_MORE, Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, competing, partitions
from chaoskit.brokers.wording import DEFAULT, IDEMPOTENT, Wording, Words
from chaoskit.models.partitioners import by_murmur2
from chaoskit.models.producer import Logs, Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy, as_written
from chaoskit.traces.log.cursor import CursorMachine
from chaoskit.traces.log.relay import capture, relay_by_id, relay_by_visibility, relays_at_once
from chaoskit.traces.log.rules import LogRules, Writes
from chaoskit.traces.tokens import natural_key
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw

DEBEZIUM = Words(
    lane="partition",
    lanes="partition",
    unit="partition",
    place="partition {partition}, offset {offset}",
    put_back="sent",
    restarts="connector restarts",
    wordings={
        faults.Redeliver: Wording(
            "the connector restarted before its offset was flushed (offset.flush.interval.ms): it published {again} "
            "again",
            f"no setting: a shorter offset.flush.interval.ms makes it shorter. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{record} failed in the sink and went to the dead-letter queue of Kafka Connect{back}",
            "errors.tolerance=none (dead_letter_queue=False), which is the default",
        ),
        faults.Overtake: DEFAULT[faults.Overtake].unless(
            "one key for changes that depend on each other; Kafka orders nothing between partitions"
        ),
        faults.Zombie: Wording(
            "a rebalance of Kafka Connect started a second task: both published {held}",
            "exactly.once.source.support=enabled, where the connector supports it; else an idempotent handler",
        ),
        faults.Lose: Wording(
            "the replication slot was dropped, or its WAL removed: the change of {event} was never published",
            "max_slot_wal_keep_size that is large enough, and a new snapshot after a lost slot (slot_lost=False)",
        ),
    },
)

OUTBOX = Words(
    lane="queue",
    lanes="partition",
    put_back="published",
    restarts="relay {consumer} restarts",
    wordings={
        faults.Duplicate: Wording(
            "the relay published {event}, crashed before it marked it, and published it again",
            f"no setting of a relay. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "the relay crashed after it had published {event} and before it marked its batch: it published {again} "
            "again",
            f"no setting of a relay; a batch of one (batch_size=1) makes it one message. {IDEMPOTENT}",
        ),
        faults.DeadLetter: DEFAULT[faults.DeadLetter].unless(
            "a consumer that stops at a message it cannot handle (dead_letters=False)"
        ),
        faults.BatchSwap: Wording(
            "the transaction that wrote {at} committed late: {over} went first, with a higher id",
            "writers of one aggregate that wait for each other (a row lock), or ordering by transaction "
            "(xid < pg_snapshot_xmin)",
        ),
        faults.Overtake: Wording(
            "a second relay published {over} while the first one was busy with {event}",
            "one relay at a time (relays=1): an advisory lock",
        ),
        faults.Resend: Wording(
            "{at} was written to the outbox twice", f"a unique key in the outbox table. {IDEMPOTENT}"
        ),
        faults.Zombie: Wording(
            "two relays ran at once and both published {held}", "mutual exclusion of relays, with fencing"
        ),
        faults.Lose: Wording(
            "the transaction that wrote {event} committed after the cursor had passed its id: it was never published",
            'a published flag instead of a cursor (cursor="flag"), or a cursor over transactions that are all finished '
            '(cursor="xid")',
        ),
    },
)


BY_XID = OUTBOX.but(
    {
        faults.BatchSwap: Wording(
            "the transaction that wrote {at} had a higher id than those of {over}, which were written later and in "
            "transactions that had begun before: they went first",
            "writers of one aggregate that write nothing before they hold its lock; or versions that the consumer "
            "compares",
        )
    }
)
"""Its words with a cursor over transactions."""


@attrs.frozen(kw_only=True)
class Debezium(Settings):
    """A Debezium source connector that writes the changes of a table to a Kafka topic."""

    partitions: int = positive_int(6, "of the topic, whose key is the primary key.")
    growth: bool = boolean("partitions may be added to it later.", default=True)
    dead_letter_queue: bool = boolean(
        "Kafka Connect's errors.tolerance=all with a dead-letter topic, from which somebody puts records back."
    )
    slot_lost: bool = boolean("the replication slot may be lost.")
    topic: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = (
        "Changes are published in the order of commits; those of one row in one partition.",
        (
            "At least once: a connector that restarts publishes everything since its last flushed offset again, as new "
            "records, in order."
        ),
    )
    sources: ClassVar[tuple[str, ...]] = (
        "postgresql.org/docs/current: logicaldecoding-explanation",
        "debezium.io/documentation: connectors/postgresql (When things go wrong)",
    )

    @property
    def words(self) -> Words:
        return DEBEZIUM

    def impossible(self) -> Reasons:
        no: Reasons = {
            faults.Duplicate: Impossible("a connector sends again what follows its offset, in order"),
            # The log of Postgres has them so, whoever began first.
            faults.BatchSwap: Impossible("changes are published in the order of commits"),
            faults.Resend: Impossible(
                "one change alone is never published again, only all that follow the last flush (Redeliver)"
            ),
        }
        if not self.growth:
            no[faults.Rehash] = NO_GROWTH
        if self.partitions == 1:
            no[faults.Overtake] = Impossible("a single partition is read in order", {"partitions": 2}, OR_MORE)
        if not self.dead_letter_queue:
            no[faults.DeadLetter] = Impossible("the connector stops at what fails", {"dead_letter_queue": True})
        if not self.slot_lost:
            no[faults.Lose] = Impossible("the replication slot keeps what was not read", {"slot_lost": True})
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("slot_lost",) if self.slot_lost else ()

    def rules(self) -> LogRules:
        return LogRules(
            # With a slot that is made anew any changes may be missing, and nothing tells which.
            writes=capture((lambda row, before: True) if self.slot_lost else None),
            order_hint="slot_lost=True",
            reads=CursorMachine,
            repeats_in_place=False,
            redelivers=False,
            dead_letters=self.dead_letter_queue,
            dead_hint="dead_letter_queue=True",
            max_attempts=10 if self.dead_letter_queue else None,
            units=self.partitions,
            grows="up" if self.growth else "never",
        )

    @property
    def serialization(self) -> Serialization:
        return partitions(
            "partition",
            "changes of one row go to one partition of the topic, which one member of the group reads in order",
            "debezium.io/documentation: connectors/postgresql; kafka.apache.org/documentation: intro_consumers",
        )

    def stages(self) -> QueueSettings:
        home, growth = routing(lambda key: key_bytes(self, key), by_murmur2, self.partitions, grows=self.growth)
        gives_up: Literal["dead", "never"] = "dead" if self.dead_letter_queue else "never"
        # `renewed`: a connector writes new records, which Kafka cannot tell from the first ones.
        policy = LeasePolicy(lock="queue", brings="consumer", renewed=True, gives_up=gives_up)
        return QueueSettings(
            self.topic,
            Producer(home, self.partitions),
            policy,
            _placed,
            "sender",
            growth,
            style="relay",
            verbs=verbs.BY_ITSELF,
        )


def _placed(event: Event, step: Raw) -> dict[str, Any]:
    return {"partition": step[3], "offset": step[4]}


@attrs.frozen(kw_only=True)
class Outbox(Settings):
    """A table of events that a relay polls and publishes in order."""

    cursor: Literal["flag", "id", "xid"] = one_of(
        ("flag", "id", "xid"),
        'how the relay, or whoever subscribes to the table, finds what is new: "flag" selects what is not published '
        'yet, by id; "id" selects what is above the last position, and so loses a row whose commit becomes visible '
        'later than that of a row with a higher position; "xid" selects what is above the last (xid, id) and was '
        "written by a transaction below pg_snapshot_xmin(pg_current_snapshot()), which loses nothing.",
    )
    batch_size: int = positive_int(
        100, "rows that are published before they are marked, so that a crash publishes so many again."
    )
    relays: int = positive_int(1, "that poll without mutual exclusion.")
    open_transactions: int = positive_int(
        10, "that write at the same time, so that ids are not in the order of commits."
    )
    dead_letters: bool = boolean("the consumer sets failed messages aside and puts them back later.")
    queue: str = resource_name("outbox", "to which the relay publishes, as messages carry it.")

    guarantees: ClassVar[tuple[str, ...]] = (
        "Events are published in the order in which their transactions became visible, which is not that of their ids.",
        "At least once: a relay that crashes between publishing and marking publishes the batch again.",
        "With a cursor over ids, what becomes visible late is never published.",
        "With a cursor over transactions that are all finished nothing is passed over, and nothing changes its place.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "event-driven.io/en/ordering_in_postgres_outbox",
        "postgresql.org/docs/current: sql-select (SKIP LOCKED), functions-sequence, functions-info (pg_snapshot_xmin)",
    )

    @property
    def words(self) -> Words:
        return BY_XID if self.cursor == "xid" else OUTBOX

    def impossible(self) -> Reasons:
        no: Reasons = {
            faults.Rehash: Impossible("an outbox has no partitions"),
            faults.Resend: Impossible(
                "a relay publishes again all that it has not marked (Redeliver), not one event alone"
            ),
        }
        no[faults.Fail] = Impossible(
            "its messages are handled behind the relay, and what fails there is tried again in place"
        )
        if self.open_transactions == 1:
            no[faults.BatchSwap] = Impossible(
                "one transaction at a time commits in the order of ids", {"open_transactions": 2}
            )
        if self.cursor == "id":
            no[faults.BatchSwap] = Impossible("a cursor passes over what becomes visible late", {"cursor": "flag"})
        if self.relays == 1:
            no[faults.Overtake] = Impossible("one relay publishes in order", {"relays": 2})
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "an outbox sets nothing aside",
                {"dead_letters": True},
                "{dead_letters}, where a consumer does, makes it possible",
            )
        # One transaction at a time becomes visible in the order of ids.
        if self.cursor != "id" or self.open_transactions == 1:
            more = {"open_transactions": 2} if self.open_transactions == 1 else {}
            no[faults.Lose] = Impossible(
                "what is unpublished is found when it becomes visible", {"cursor": "id", **more}
            )
        return no

    def lossy(self) -> tuple[str, ...]:
        return ("cursor",) if self.cursor == "id" and self.open_transactions > 1 else ()

    def _writes(self) -> Writes:
        skips = _became_visible_late if self.cursor == "id" and self.open_transactions > 1 else None
        # Two that do not exclude each other publish the same rows, in any interleaving.
        if self.relays > 1:
            return relays_at_once(skips)
        if self.cursor == "id":
            return relay_by_id(skips)
        return relay_by_visibility(self.open_transactions, again_by_id=self.cursor != "xid")

    def rules(self) -> LogRules:
        return LogRules(
            unit_word="queue",
            writes=self._writes(),
            order_hint="open_transactions=2" if self.cursor == "id" else "cursor='id' with open_transactions=2",
            reads=CursorMachine,
            repeats_in_place=False,
            redelivers=False,
            dead_letters=self.dead_letters,
            dead_hint="dead_letters=True",
            max_attempts=10 if self.dead_letters else None,
            grows="never",
        )

    @property
    def serialization(self) -> Serialization:
        return competing("outbox", "a relay publishes row after row, and consumers behind it compete", self.sources[0])

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            self.relays,
            lock="queue" if self.relays == 1 else "message",
            brings="consumer",
            renewed=True,
            # The consumer behind them tries again in place.
            returns="front",
            gives_up="dead" if self.dead_letters else "never",
            published_at=_by_xid if self.cursor == "xid" else as_written,
        )
        producer = Producer(one_queue, 1, max_in_flight=self.open_transactions)
        return QueueSettings(
            self.queue,
            producer,
            policy,
            _published,
            "application",
            longest=self.batch_size,
            style="relay",
            verbs=verbs.BY_ITSELF,
        )


def _became_visible_late(row: str, before: Iterable[str]) -> bool:
    """A row behind one with a higher id is below the cursor already: `WHERE id > :last` passes it over."""
    return any(natural_key(other) > natural_key(row) for other in before)


def _by_xid(logs: Logs, position: int) -> int:
    """SELECT … ORDER BY xid, id, which is how they were published; else ORDER BY id."""
    return logs.partitions[0].index(position)


def _published(event: Event, step: Raw) -> dict[str, Any]:
    """The application's id stays; the broker's message is new each time it is published."""
    return {"message_id": f"message-{step[4]}"}
