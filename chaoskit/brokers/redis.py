"""Redis as a queue: a stream with a consumer group, and a list."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import boolean, one_of, positive_int, resource_name
from chaoskit.brokers.impossible import WHERE_THE_APPLICATION_DOES, Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, competing
from chaoskit.brokers.timing import INVISIBLE, timed
from chaoskit.brokers.wording import IDEMPOTENT, SLOW, Wording, Words, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

STREAM = Words(
    dead="to the dead-letter stream",
    put_back="added",
    no_order="the consumers of a group compete: entries are handed out in order, and finished in any order.",
    wordings={
        faults.Fail: passed_unless("a consumer that tries its own pending entries again before it reads new ones"),
        faults.Duplicate: Wording(
            "consumer {consumer} read {event} again from its pending entries (XREADGROUP … 0)",
            f"no setting: what was not acknowledged (XACK) stays pending. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "{event} was not acknowledged and stayed pending: it was claimed (XAUTOCLAIM) and came again{after}",
            f"no setting: nobody but the application decides when it claims. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} used up its attempts before it had any effect; the application moved it to a dead-letter "
            "stream{back}",
            "nobody who adds dead letters again (dead_letters=False)",
        ),
        faults.Overtake: Wording(
            SLOW,
            "consumers=1 in the group, where only a failed attempt is overtaken",
        ),
        faults.BatchSwap: Wording(
            "XADD of {at} failed at first, and the retry was added behind {over}",
            "waiting for each XADD before the next (pipelined_adds=1)",
        ),
        faults.Resend: Wording(
            "the answer to XADD of {at} was lost and it was added again: an entry with another ID",
            f"explicit IDs: Redis refuses one that it has. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "consumer {new} claimed {held} while consumer {old} still worked; a late XACK is not refused",
            "a min-idle-time that is longer than any run of the handler; a version compared in the transaction",
        ),
        faults.Lose: Wording(
            "{event} was trimmed (MAXLEN, XTRIM) before it was read, or read with NOACK by a consumer that died",
            "no trimming below what is pending (trims=False), and XACK after the handler (noack=False)",
        ),
    },
)

LIST = Words(
    lane="worker",
    worker="worker",
    restarts="worker {consumer} restarts",
    dead="to the dead-letter list",
    put_back="pushed",
    no_order="the workers of a list compete: elements are popped in order, and finished in any order.",
    wordings={
        faults.Fail: passed_unless("a worker that tries again before it pops the next"),
        faults.Duplicate: Wording(
            "{event} was moved back from the processing list and popped again",
            f"no setting: what is in the processing list is pushed back. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "worker {consumer} died before LREM: {event} was moved back from the processing list and popped "
            "again{after}",
            f"no setting of the reliable pattern. {IDEMPOTENT}",
        ),
        faults.DeadLetter: Wording(
            "{event} used up its attempts before it had any effect; the application moved it to another list{back}",
            "nobody who pushes dead letters again (dead_letters=False)",
        ),
        faults.Overtake: Wording(
            SLOW,
            "workers=1, where only a failed attempt is overtaken",
        ),
        faults.BatchSwap: Wording(
            "LPUSH of {at} failed at first, and the retry was pushed behind {over}",
            "waiting for each LPUSH before the next (pipelined_pushes=1)",
        ),
        faults.Resend: Wording(
            "the answer to LPUSH of {at} was lost and it was pushed again",
            f"no setting: a list has no ids. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "the recovery moved {held} back from the processing list while worker {old} still worked: worker {new} "
            "popped the same",
            "a recovery that waits longer than any run of the handler; a version compared in the transaction",
        ),
        faults.Lose: Wording(
            "worker {consumer} popped {event} and died: without a processing list it is gone",
            "the reliable pattern, LMOVE to a processing list (reliable=True)",
        ),
    },
)


@attrs.frozen(kw_only=True)
class RedisStreams(Settings):
    """A Redis stream and the consumers of one group."""

    consumers: int = positive_int(2, "of the group; an entry goes to whoever asks next.")
    min_idle_time: int = timed(
        "lease", 60, "seconds of XAUTOCLAIM, the application's choice: what is claimed by others."
    )
    noack: bool = boolean("XREADGROUP NOACK, so that a crash loses what was handed over.")
    trims: bool = boolean("MAXLEN or XTRIM may remove entries that were not read.")
    pipelined_adds: int = positive_int(1, "XADDs that the producer sends before it has the answer to the first.")
    dead_letters: bool = boolean("the application moves failed entries to another stream and adds them again later.")
    stream: str = resource_name("events")

    usual_timing: ClassVar[Timing] = INVISIBLE
    guarantees: ClassVar[tuple[str, ...]] = (
        "A stream is ordered by ID; each new entry goes to one consumer of the group, in order.",
        (
            "Nothing is redelivered by itself: an entry stays pending until its consumer reads it again or another "
            "claims it."
        ),
        "XACK is not fenced: a late one settles what somebody else has claimed.",
        "No deduplication, unless IDs are explicit.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "redis.io/docs/latest/commands: xreadgroup, xclaim, xautoclaim, xadd, xtrim",
        "github.com/redis/redis: t_stream.c (xackCommand)",
    )

    @property
    def words(self) -> Words:
        return STREAM

    def rules(self) -> QueueRules:
        return QueueRules(
            broker="Redis",
            order="dispatch",
            consumers=1 if self.consumers == 1 else None,
            returns="anywhere",
            settles="at_hand_over" if self.noack else "after_run",
            settles_setting="noack=True",
            late_ack="accepted",
            # XACK looks into the pending entries of the group, whoever has them.
            anybody_acks=True,
            comes_back=False,
            # A consumer that begins reads its own history first (ID 0).
            rereads=True,
            marks=False,
            dead="any" if self.dead_letters else "never",
            dead_setting="dead_letters=False",
            loses="trims=True" if self.trims else None,
            send_window=self.pipelined_adds,
        )

    def impossible(self) -> Reasons:
        no: Reasons = {faults.Rehash: Impossible("a stream lives in one slot")}
        if self.consumers == 1:
            no[faults.Overtake] = Impossible("one consumer handles the entries in order", {"consumers": 2})
        if self.pipelined_adds == 1:
            no[faults.BatchSwap] = Impossible("each XADD is awaited before the next", {"pipelined_adds": 2})
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "Redis has no dead letters", {"dead_letters": True}, WHERE_THE_APPLICATION_DOES
            )
        if not self.trims and not self.noack:
            no[faults.Lose] = Impossible(
                "entries stay until they are acknowledged",
                {"trims": True, "noack": True},
                "{trims} or {noack} makes it possible",
            )
        if self.noack:
            never = Impossible("with NOACK an entry is never pending", {"noack": False})
            no |= dict.fromkeys((faults.Duplicate, faults.Redeliver, faults.Zombie), never)
            no[faults.DeadLetter] = Impossible(
                "with NOACK an entry is gone once it was handed over", {"noack": False, "dead_letters": True}
            )
        return no

    def lossy(self) -> tuple[str, ...]:
        return tuple(name for name in ("trims", "noack") if getattr(self, name))

    @property
    def serialization(self) -> Serialization:
        return competing(
            "stream",
            "an entry goes to whoever of the group asks next, and consumers finish in any order",
            "redis.io/docs/latest/commands: xreadgroup",
        )

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            self.consumers,
            returns="anywhere",
            refused="lost" if self.noack else "again",
            settles_first=self.noack,
            gives_up="dead" if self.dead_letters else "never",
            # XTRIM removes the oldest; what NOACK loses is whatever a dead consumer had.
            trims=self.trims and not self.noack,
            late_counts=True,
            # Whoever claims what is idle for so long.
            expires="lease",
        )
        own = verbs.at_hand_over("noack=True") if self.noack else verbs.REDIS_STREAM
        return QueueSettings(
            self.stream, Producer(one_queue, 1, max_in_flight=self.pipelined_adds), policy, _entry, verbs=own
        )


def _entry(event: Event, step: Raw) -> dict[str, Any]:
    """The entry's ID stays on a redelivery and is new when it is added again; the count is not delivered."""
    # Milliseconds, as XADD makes them: one entry in each.
    return {"message_id": f"{1_700_000_000_000 + step[4]}-0"}


@attrs.frozen(kw_only=True)
class RedisList(Settings):
    """A Redis list and the workers that pop from it."""

    workers: int = positive_int(2, "that compete.")
    recovers_after: int = timed("lease", 60, "seconds, the application's choice: what is recovered from a worker.")
    reliable: bool = boolean(
        "LMOVE to a processing list and LREM when done; else BRPOP, and a crash loses what was popped.", default=True
    )
    recover_to: Literal["tail", "head"] = one_of(
        ("tail", "head"),
        'the end to which stale elements of the processing list are pushed: "tail" (behind what waits) or "head" (the '
        "next to be popped); there is no such list without `reliable`.",
    )
    pipelined_pushes: int = positive_int(1, "LPUSHes that the producer sends before it has the answer to the first.")
    dead_letters: bool = boolean("the application moves failed elements aside and pushes them again later.")
    list: str = resource_name("events")

    usual_timing: ClassVar[Timing] = INVISIBLE
    guarantees: ClassVar[tuple[str, ...]] = (
        "Elements are popped in the order in which they were pushed; with several workers they finish in any order.",
        "At most once with BRPOP; at least once with a processing list and a recovery that pushes back.",
        "An element has no id and no count: it is its payload.",
    )
    sources: ClassVar[tuple[str, ...]] = ("redis.io/docs/latest/commands: lmove (pattern: reliable queue), rpoplpush",)

    @property
    def words(self) -> Words:
        return LIST

    def rules(self) -> QueueRules:
        return QueueRules(
            broker="the list",
            order="dispatch",
            consumers=1 if self.workers == 1 else None,
            # Where the recovery pushes is the application's choice; nothing in Redis decides it.
            returns=self.recover_to,
            settles="after_run" if self.reliable else "at_hand_over",
            settles_setting="reliable=False",
            late_ack="accepted",
            comes_back=False,
            marks=False,
            dead="any" if self.dead_letters else "never",
            dead_setting="dead_letters=False",
            send_window=self.pipelined_pushes,
        )

    def impossible(self) -> Reasons:
        no: Reasons = {faults.Rehash: Impossible("a list lives in one slot")}
        if self.workers == 1:
            no[faults.Overtake] = Impossible("one worker handles the elements in order", {"workers": 2})
        if self.pipelined_pushes == 1:
            no[faults.BatchSwap] = Impossible("each LPUSH is awaited before the next", {"pipelined_pushes": 2})
        if not self.dead_letters:
            no[faults.DeadLetter] = Impossible(
                "Redis has no dead letters", {"dead_letters": True}, WHERE_THE_APPLICATION_DOES
            )
        if self.reliable:
            no[faults.Lose] = Impossible("what is popped stays in the processing list", {"reliable": False})
        else:
            never = Impossible("without a processing list what is popped is gone", {"reliable": True})
            no |= dict.fromkeys((faults.Duplicate, faults.Redeliver, faults.Zombie), never)
            no[faults.DeadLetter] = Impossible(
                "without a processing list what is popped is gone", {"reliable": True, "dead_letters": True}
            )
        return no

    def lossy(self) -> tuple[str, ...]:
        return () if self.reliable else ("reliable",)

    @property
    def serialization(self) -> Serialization:
        return competing(
            "list", "workers pop in order, and finish in any order", "redis.io/docs/latest/commands: lmove"
        )

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            self.workers,
            # Behind all that waits; and before what is pushed when it is popped.
            returns="front" if self.recover_to == "tail" else "place",
            # BRPOP has removed the element already.
            refused="again" if self.reliable else "lost",
            settles_first=not self.reliable,
            late_counts=True,
            gives_up="dead" if self.dead_letters else "never",
            expires="lease",
        )
        return QueueSettings(
            self.list,
            Producer(one_queue, 1, max_in_flight=self.pipelined_pushes),
            policy,
            _element,
            "application",
            verbs=verbs.REDIS_LIST if self.reliable else verbs.at_hand_over("reliable=False"),
        )


def _element(event: Event, step: Raw) -> dict[str, Any]:
    return {}
