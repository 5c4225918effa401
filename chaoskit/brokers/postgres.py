"""A table in Postgres as a queue: workers that claim rows with FOR UPDATE SKIP LOCKED."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, one_of, positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, keys
from chaoskit.brokers.timing import timed
from chaoskit.brokers.wording import IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

WORDS = Words(
    lane="worker",
    worker="worker",
    restarts="worker {consumer} restarts",
    dead="to the table of failed jobs",
    put_back="inserted",
    no_order="workers compete: rows are claimed in order, and finished in any order.",
    wordings={
        faults.Fail: passed_unless("a rule that skips rows with an earlier unfinished row of the same key"),
        faults.Duplicate: Wording(
            "the transaction of worker {consumer} was rolled back, and the row of {event} was claimed again",
            f"effects in the same database transaction as the row. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "the transaction of worker {consumer} was rolled back when the handler had done its work: the row of "
            "{event} was claimed again{after}",
            f"effects in the same database transaction as the row. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "the row of {event} used up its attempts before it had any effect and was set aside{back}",
            "nobody who inserts failed rows again (dead_letters=False)",
        ),
        faults.Overtake: Wording(
            "worker {consumer} was slow with the row of {event}: others finished {over} first",
            "workers=1, or a rule that skips rows with an earlier unfinished row of the same key",
        ),
        faults.BatchSwap: Wording(
            "the insert of {at} committed late: {over} went first",
            "writers of one key that wait for each other (a row lock)",
        ),
        faults.Resend: Wording("{at} was inserted twice: another row", f"a unique key of the event's id. {IDEMPOTENT}"),
        faults.Zombie: Wording(
            "the lease of worker {old} (locked_until) ran out while it still worked: worker {new} claimed the row of "
            "{held}, and worker {old} finished nevertheless",
            'the row lock held until the work is done (style="lock"), or a lease token that the update compares',
        ),
    },
)


LEASE = WORDS.but(
    {
        faults.Redeliver: Wording(
            "the lease of worker {consumer} (locked_until) ran out before the row of {event} was marked as done: it "
            "was claimed again{after}",
            f"effects in the same database transaction as the mark. {IDEMPOTENT}",
        )
    }
)
"""Its words with `style="lease"`."""


@attrs.frozen(kw_only=True)
class PostgresQueue(Settings):
    """A queue table and its workers."""

    workers: int = positive_int(2, "that compete; each claims one row at a time (LIMIT 1).")
    style: Literal["lock", "lease"] = one_of(
        ("lock", "lease"),
        '"lock" claims and deletes the row in one transaction with the work; "lease" marks it with locked_until, so '
        "that a slow worker may be overtaken by another one on the same row.",
    )
    lease_duration: int = timed(
        "lease", 30, 'seconds of `locked_until`, the application\'s choice, with style="lease".'
    )
    dead_letters: bool = boolean("failed rows are set aside and inserted again later.")
    table: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = (
        "Rows are claimed one by one, in the order asked for among those not locked; workers finish in any order.",
        "Two workers never hold the same row lock; with leases a slow worker may work beside the next one.",
        "A rollback makes the row available again at once, or after its back-off (run_at).",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "postgresql.org/docs/current: sql-select (FOR UPDATE SKIP LOCKED)",
        "procrastinate: procrastinate_fetch_job_v2; graphile-worker: get_job (both LIMIT 1)",
    )

    @property
    def words(self) -> Words:
        return LEASE if self.style == "lease" else WORDS

    @property
    def timing(self) -> Timing:
        # A lock goes with its connection.
        return attrs.evolve(super().timing, lease=0.0) if self.style == "lock" else super().timing

    def rules(self) -> QueueRules:
        lock = self.style == "lock"
        return QueueRules(
            broker="the queue table",
            order="dispatch",
            consumers=1 if self.workers == 1 else None,
            at_hand=1,
            at_hand_setting="a worker claims one row (LIMIT 1)",
            returns="anywhere",
            loss="returns" if lock else "lease",
            # Who loses the connection loses the transaction, and so the effects in it.
            zombies=not lock,
            # The lock ends with the transaction; an UPDATE by id asks nobody whose lease it is.
            late_ack="refused" if lock else "accepted",
            dead="any" if self.dead_letters else "never",
            dead_setting="dead_letters=False",
            send_window=None,
        )

    def impossible(self) -> Reasons:
        no: Reasons = {
            faults.Rehash: Impossible("a table has no partitions to move between"),
            faults.Lose: Impossible("a row stays until it is deleted"),
        }
        if self.workers == 1:
            no[faults.Overtake] = Impossible("one worker handles the rows in order", {"workers": 2})
        if self.style == "lock":
            no[faults.Zombie] = Impossible("nobody else can claim a row while its lock is held", {"style": "lease"})
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible("failed rows stay in the table", {"dead_letters": True})
        return no

    @property
    def serialization(self) -> Serialization:
        return keys(
            "row lock",
            "a row is locked while a worker has it (SKIP LOCKED), which by itself orders nothing between two rows",
            "postgresql.org/docs/current: sql-select; procrastinate: lock; graphile-worker: queue_name",
            takes="a claim that passes over a key of which an earlier row is not finished (procrastinate's lock, "
            "graphile-worker's queue_name)",
        )

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            # Claimed one by one; what failed waits for its back-off, behind whatever is there by then.
            self.workers,
            window=1,
            returns="anywhere",
            # The row lock is gone with the connection.
            notices=self.style == "lock",
            twice=self.style == "lease",
            gives_up="dead" if self.dead_letters else "never",
            # A transaction that nobody ends keeps its lock.
            expires="never" if self.style == "lock" else "lease",
        )
        return QueueSettings(self.table, Producer(one_queue, 1, max_in_flight=10), policy, _row, verbs=verbs.POSTGRES)


def _row(event: Event, step: Raw) -> dict[str, Any]:
    """The row's id stays when it is claimed again; the attempts column counts."""
    return {"message_id": f"{step[4] + 1}", "sequence": step[4] + 1, "attempt": step[5]}
