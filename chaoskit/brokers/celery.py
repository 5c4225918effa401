"""Celery with the Redis transport: tasks, acknowledged before they run (the default) or after."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from chaoskit.brokers.base import Settings, flag, named, one_queue, whole, without_effect
from chaoskit.brokers.leases import Leasing
from chaoskit.brokers.producer import Producer, retries_of
from chaoskit.brokers.queue import QueueSettings
from chaoskit.brokers.words import IDEMPOTENT, Told, Words, passed_unless
from chaoskit.event import Event
from chaoskit.faults import (
    BatchSwap,
    DeadLetter,
    Duplicate,
    Fail,
    FaultKind,
    Lose,
    Overtake,
    Redeliver,
    Rehash,
    Resend,
    Zombie,
)
from chaoskit.schedule import Raw
from chaoskit.traces.queue_rules import QueueRules

WORDS = Words(
    lane="worker",
    restarts="worker {consumer} restarts",
    dead="back into the queue by retry()",
    set_aside="it went {dead}",
    put_back="published",
    no_order="Celery promises no order: workers prefetch tasks and finish them in any order.",
    told={
        Fail: passed_unless(""),
        Duplicate: Told("{event} was restored to the head of the queue and ran again", f"no setting. {IDEMPOTENT}"),
        Redeliver: Told(
            "{event} was not acknowledged within visibility_timeout and was restored to the queue: it ran again{after}",
            f"acks_late=False acknowledges before the task runs (and loses it in a crash). {IDEMPOTENT}",
        ),
        DeadLetter: Told(
            "{event} failed before it had any effect and called retry(countdown=…); its successors went on{back}",
            "a task without retry (retries=False), or one that waits for its turn (compare `seq`)",
        ),
        Overtake: Told(
            "worker process {consumer} was slow with {event}: others finished {over} first",
            "one worker with concurrency 1 (concurrency=1), where only a failed attempt is overtaken, or "
            "a queue and a worker for what depends on each other",
        ),
        BatchSwap: Told(
            "publishing {at} failed at first, and the retry arrived after {over}", "a single publisher that waits"
        ),
        Resend: Told(
            "publishing {at} was retried although it had arrived: a second message with the same task id",
            f"no setting: apply_async(retry=True) is the default. {IDEMPOTENT}",
        ),
        Zombie: Told(
            "visibility_timeout passed while worker {old} still worked: {held} came to worker {new}, too, with "
            "redelivered=True",
            "a visibility_timeout that is longer than any task; acks_late=False",
        ),
        Lose: Told(
            "{event} was acknowledged before it ran, and worker {consumer} was killed: it never ran",
            "acks_late=True with reject_on_worker_lost=True, and an idempotent task",
        ),
    },
)

LATE = attrs.evolve(
    WORDS,
    told={
        **WORDS.told,
        Lose: Told(
            "process {consumer} was killed with {event} before it had any effect, and the worker acknowledged it all "
            "the same: it never ran",
            "reject_on_worker_lost=True, with an idempotent task",
        ),
    },
)
"""Its words where tasks are acknowledged after they ran."""


@attrs.frozen(kw_only=True)
class Celery(Settings):
    """A Celery queue on Redis and its worker processes.

    `acks_late`: acknowledge after the task instead of before. `reject_on_worker_lost`: with `acks_late`, a task whose
    process was killed goes back to the queue; by default it is acknowledged, and lost. `concurrency`: worker
    processes. `visibility_timeout`: seconds, after which Redis hands out again what was not acknowledged. `retries`:
    tasks call retry(), which publishes them again later. `queue`: its name, as messages carry it.
    """

    acks_late: bool = flag()
    reject_on_worker_lost: bool = flag()
    concurrency: int = whole(2)
    visibility_timeout: int = whole(3600)
    retries: bool = flag(True)
    queue: str = named("celery")

    def __attrs_post_init__(self) -> None:
        if not self.acks_late:
            without_effect(self, ["reject_on_worker_lost"], "acks_late=False")

    guarantees: ClassVar[tuple[str, ...]] = (
        "No order.",
        "By default a task is acknowledged before it runs: a crash loses it, and nothing runs twice.",
        "With acks_late a task that was not acknowledged within visibility_timeout runs again.",
        "A task whose process was killed is acknowledged all the same, unless reject_on_worker_lost is set.",
        "retry() publishes a new message with the same task id.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "docs.celeryq.dev: backends-and-brokers/redis (caveats), userguide/tasks",
        "kombu 5.7 transport/redis.py (restore_visible); celery 5.7 app/task.py, app/defaults.py",
    )

    @property
    def words(self) -> Words:  # type: ignore[override]
        return LATE if self.acks_late else WORDS

    def lossy(self) -> tuple[str, ...]:
        """What loses a task when its process is killed."""
        if not self.acks_late:
            return ("acks_late",)
        return () if self.reject_on_worker_lost else ("reject_on_worker_lost",)

    def rules(self) -> QueueRules:
        return QueueRules(
            broker="Celery",
            order="none",
            settles="after_run" if self.acks_late else "at_hand_over",
            settles_setting="acks_late=False",
            failure_settles=True,
            late_ack="accepted",
            dead="any" if self.retries else "never",
            dead_setting="retries=False",
            loses=self.loses or None,
            send_window=None,
            lease=self.visibility_timeout,
            one_at_a_time=False,
        )

    def impossible(self) -> dict[FaultKind, str]:
        no: dict[FaultKind, str] = {Rehash: "a queue has no partitions; no setting makes it possible"}
        if self.concurrency == 1:
            no[Overtake] = "one worker process runs the tasks in order; concurrency=2 makes it possible"
        if not self.retries:
            no[DeadLetter] = "no task calls retry(); retries=True makes it possible"
        if not self.loses:
            no[Lose] = (
                "a task whose process is killed goes back to the queue; reject_on_worker_lost=False or acks_late=False "
                "makes it possible"
            )
        if not self.acks_late:
            never = "a task is acknowledged before it runs; acks_late=True makes it possible"
            no |= dict.fromkeys((Duplicate, Redeliver, Zombie), never)
        return no

    def stages(self) -> QueueSettings:
        lends = Leasing(
            self.concurrency,
            refused="renewed" if self.retries else "lost",
            max_attempts=4,
            gives_up="dead" if self.retries else "lost",
        )
        return QueueSettings(self.queue, Producer(one_queue, 1, max_in_flight=10), lends, _task, "application")


def _task(event: Event, step: Raw) -> dict[str, Any]:
    """The task id stays, on a redelivery and on a retry; delivery_info.redelivered marks what was restored, and the
    header `retries` counts what retry() has published."""
    return {"message_id": str(event.id), "redelivered": step[5] > 1, "headers": {"retries": retries_of(step)}}
