"""Celery over Redis, RabbitMQ or SQS: tasks, acknowledged before they run (the default) or after."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import at_least, boolean, one_of, positive_int, resource_name, setting, without_effect
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, unordered
from chaoskit.brokers.timing import timed
from chaoskit.brokers.wording import IDEMPOTENT, PUBLISHED_AGAIN, Wording, Words, passed_unless
from chaoskit.models.handover import Handover
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.turns import retries_of
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.faults import FaultKind
from chaoskit.values.schedule import Raw
from chaoskit.values.timing import Timing

_ACKS_EARLY = f"acks_late=False acknowledges before the task runs (and loses it in a crash). {IDEMPOTENT}"

WORDS = Words(
    lane="worker",
    worker="worker",
    restarts="worker {consumer} restarts",
    dead="back into the queue by retry()",
    set_aside="it went {dead}",
    put_back="published",
    no_order="Celery promises no order: workers prefetch tasks and finish them in any order.",
    wordings={
        faults.Fail: passed_unless(""),
        faults.Duplicate: Wording(
            "{event} was not acknowledged when its visibility_timeout passed, or when its worker shut down: it was "
            "restored to the head of the queue and ran again",
            f"no setting. {IDEMPOTENT}",
        ),
        faults.Redeliver: Wording(
            "{event} was not acknowledged within visibility_timeout and was restored to the queue: it ran again{after}",
            _ACKS_EARLY,
        ),
        faults.DeadLetter: Wording(
            "{event} failed before it had any effect and called retry(countdown=…); its successors went on{back}",
            "a task without retry (retries=False), or one that waits for its turn (compare `seq`)",
        ),
        faults.Overtake: Wording(
            "worker process {consumer} was slow with {event}: others finished {over} first",
            "one worker with concurrency 1 (concurrency=1), where only a failed attempt is overtaken, or "
            "a queue and a worker for what depends on each other",
        ),
        faults.BatchSwap: Wording(PUBLISHED_AGAIN, "a single publisher that waits"),
        faults.Resend: Wording(
            "publishing {at} was retried although it had arrived: a second message with the same task id",
            f"no setting: apply_async(retry=True) is the default. {IDEMPOTENT}",
        ),
        faults.Zombie: Wording(
            "visibility_timeout passed while worker {old} still worked: {held} came to worker {new}, too, with "
            "redelivered=True",
            "a visibility_timeout that is longer than any task; acks_late=False",
        ),
        faults.Lose: Wording(
            "{event} was acknowledged before it ran, and worker {consumer} was killed: it never ran",
            "acks_late=True with reject_on_worker_lost=True, and an idempotent task",
        ),
    },
)

LATE = Wording(
    "process {consumer} was killed with {event} before it had any effect, and the worker acknowledged it all the same: "
    "it never ran",
    "reject_on_worker_lost=True, with an idempotent task",
)
"""A loss where tasks are acknowledged after they ran."""

WAITS = Wording(
    "{held} waited in worker {old} for a countdown longer than visibility_timeout, was restored to the queue meanwhile "
    "and came to worker {new}, too: both ran it",
    f"a visibility_timeout that is longer than any countdown or ETA (countdown=0). {IDEMPOTENT}",
)

AMQP: dict[FaultKind, Wording] = {
    faults.Duplicate: Wording(
        "the worker lost its connection before {event} was acknowledged: it was requeued and ran again before anything "
        "newer",
        f"no setting. {IDEMPOTENT}",
    ),
    faults.Redeliver: Wording(
        "worker {consumer} lost its connection before {event} was acknowledged: {again} came again{after}",
        _ACKS_EARLY,
    ),
    faults.Zombie: Wording(
        "worker {old} lost its connection, or held a task longer than RabbitMQ's consumer_timeout (30 minutes), and "
        "worked on: {held} came to worker {new}, too",
        "tasks that are shorter than consumer_timeout; worker_cancel_long_running_tasks_on_connection_loss; "
        "acks_late=False",
    ),
}
"""What differs on RabbitMQ."""

SQS: dict[FaultKind, Wording] = {
    faults.Duplicate: Wording("SQS delivered {event} twice in a row", f"no setting of a standard queue. {IDEMPOTENT}"),
    faults.Redeliver: Wording(
        "{event} was not deleted within visibility_timeout, or SQS delivered it again anyhow: it ran again{after}",
        f"no setting of a standard queue, which delivers at least once, also with acks_late=False. {IDEMPOTENT}",
    ),
    faults.Overtake: Wording(
        "{event} was handed out, or finished, later: {over} went first", "no setting: a standard queue has no order"
    ),
    faults.Zombie: Wording(
        "SQS delivered what worker {old} still worked on: {held} came to worker {new}, too",
        "a visibility_timeout that is longer than any task makes it rarer; a version compared in the transaction",
    ),
}
"""What differs on a standard queue of SQS."""

_BY_TRANSPORT: dict[str, dict[FaultKind, Wording]] = {"redis": {}, "amqp": AMQP, "sqs": SQS}
_LATE_ACK: dict[str, Literal["accepted", "refused", "maybe"]] = {"redis": "accepted", "amqp": "refused", "sqs": "maybe"}


@attrs.frozen(kw_only=True)
class Celery(Settings):
    """A Celery queue and its worker processes."""

    transport: Literal["redis", "amqp", "sqs"] = one_of(
        ("redis", "amqp", "sqs"), 'what carries it: "redis", "amqp" (RabbitMQ), or "sqs" (a standard queue).'
    )
    acks_late: bool = boolean("acknowledge after the task instead of before.")
    reject_on_worker_lost: bool = boolean(
        "with `acks_late`, a task whose process was killed goes back to the queue; by default it is acknowledged, and "
        "lost."
    )
    concurrency: int = positive_int(2, "worker processes.")
    visibility_timeout: int = timed(
        "lease",
        3600,
        "seconds, after which Redis or SQS hands out again what was not acknowledged; 3600 on Redis, 1800 on SQS; "
        "RabbitMQ has none, and waits for the connection.",
    )
    retry_delay: int = timed("retries", 180, "seconds before a task that failed is sent again (`default_retry_delay`).")
    countdown: int = setting(
        0,
        "seconds of the longest countdown or ETA: a task waits for it unacknowledged in its worker, so that with more "
        "than `visibility_timeout` it is handed out again meanwhile and runs twice, whatever `acks_late` says.",
        "int",
        at_least(0),
    )
    retries: bool = boolean("tasks call retry(), which publishes them again later.", default=True)
    queue: str = resource_name("celery")

    def __attrs_post_init__(self) -> None:
        if not self.acks_late:
            without_effect(self, ["reject_on_worker_lost"], "acks_late=False")
        if self.transport == "amqp":
            without_effect(self, ["visibility_timeout", "countdown"], 'transport="amqp"')

    guarantees: ClassVar[tuple[str, ...]] = (
        "No order.",
        "By default a task is acknowledged before it runs: a crash loses it, and nothing runs twice.",
        (
            "With acks_late a task that is not acknowledged runs again: when visibility_timeout has passed (Redis, "
            "SQS), or when the connection is lost (RabbitMQ)."
        ),
        "A countdown or ETA longer than visibility_timeout runs a task again, also when it is acknowledged early.",
        "A task whose process was killed is acknowledged all the same, unless reject_on_worker_lost is set.",
        "retry() publishes a new message with the same task id.",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "docs.celeryq.dev: backends-and-brokers/redis and sqs (caveats), userguide/tasks, userguide/calling (ETA)",
        "kombu 5.7 transport/redis.py (restore_visible); celery 5.7 app/task.py, app/defaults.py",
        "github.com/celery: kombu#337, celery#2599, celery#3270, celery#4766 (ETA beyond visibility_timeout)",
        "rabbitmq.com/docs: consumers (acknowledgement timeout); SQS standard queues (at-least-once delivery)",
    )

    @property
    def words(self) -> Words:
        words = WORDS.but(_BY_TRANSPORT[self.transport])
        if self.acks_late:
            return words.but({faults.Lose: LATE})
        # SQS has words of its own for it, and RabbitMQ no visibility timeout.
        return words.but({faults.Zombie: WAITS}) if self._waits_long and self.transport == "redis" else words

    @property
    def _waits_long(self) -> bool:
        return self.countdown > self.visibility_timeout

    @property
    def _early(self) -> bool:
        """Nothing runs twice: SQS delivers again also what was deleted."""
        return not self.acks_late and self.transport != "sqs"

    def drops(self) -> tuple[str, ...]:
        return () if self.retries else ("retries",)

    def lossy(self) -> tuple[str, ...]:
        """What loses a task when its process is killed."""
        if not self.acks_late:
            return ("acks_late",)
        return () if self.reject_on_worker_lost else ("reject_on_worker_lost",)

    @property
    def timing(self) -> Timing:
        # RabbitMQ waits for the connection, and closes one that it does not hear for a minute.
        return attrs.evolve(super().timing, lease=0.0, silence=60.0) if self.transport == "amqp" else super().timing

    def rules(self) -> QueueRules:
        return QueueRules(
            broker="Celery",
            order="none",
            loss="returns" if self.transport == "amqp" else "lease",
            settled="may_return" if self.transport == "sqs" else "final",
            settles="at_hand_over" if self._early and not self._waits_long else "after_run",
            settles_setting="acks_late=False",
            # acks_on_failure_or_timeout is set by default.
            failure_settles=True,
            late_ack=_LATE_ACK[self.transport],
            dead="any" if self.retries else "never",
            dead_setting="retries=False",
            loses=self.loses or None,
            send_window=None,
            lease=None if self.transport == "amqp" else self.visibility_timeout,
            # A worker prefetches for all its processes, and hands a task to whichever is free.
            one_at_a_time=False,
        )

    def impossible(self) -> Reasons:
        no: Reasons = {faults.Rehash: Impossible("a queue has no partitions")}
        if self.concurrency == 1 and self.transport != "sqs":
            no[faults.Overtake] = Impossible("one worker process runs the tasks in order", {"concurrency": 2})
        if not self.retries:
            no[faults.DeadLetter] = Impossible("no task calls retry()", {"retries": True})
        if not self.loses:
            no[faults.Lose] = Impossible(
                "a task whose process is killed goes back to the queue",
                {"reject_on_worker_lost": False, "acks_late": False},
                "{reject_on_worker_lost} or {acks_late} makes it possible",
            )
        if self._early:
            waits = " (and with a countdown longer than visibility_timeout two workers run it)"
            hint = "{} makes it possible" + (waits if self.transport == "redis" else "")
            never = Impossible("a task is acknowledged before it runs", {"acks_late": True}, hint)
            no |= dict.fromkeys((faults.Duplicate, faults.Redeliver, faults.Zombie), never)
        # The task is unacknowledged while it waits, whatever acks_late says.
        if self._waits_long:
            no.pop(faults.Zombie, None)
        return no

    @property
    def serialization(self) -> Serialization:
        return unordered(
            "task",
            "Celery promises no order",
            "docs.celeryq.dev: userguide/tasks",
            "a queue for each hash of the key, with one worker process each, comes near it where nothing is retried",
        )

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(
            self.concurrency,
            # A list of Redis and a queue of RabbitMQ hand out in order, a standard queue of SQS does not.
            in_order=self.transport != "sqs",
            refused="renewed" if self.retries else "lost",
            settles_first=self._early,
            twice=not self._early or self._waits_long,
            max_attempts=4,  # max_retries is 3
            gives_up="dead" if self.retries else "lost",
        )
        fields = _from_sqs if self.transport == "sqs" else _task
        return QueueSettings(
            self.queue,
            Producer(one_queue, 1, max_in_flight=10),
            policy,
            fields,
            "application",
            verbs=verbs.TASKS,
            handover=Handover(1),
        )


def _task(event: Event, step: Raw) -> dict[str, Any]:
    """The task id stays, on a redelivery and on a retry; delivery_info.redelivered marks what was restored, and the
    header `retries` counts what retry() has published."""
    return {"message_id": str(event.id), "redelivered": step[5] > 1, "headers": {"retries": retries_of(step)}}


def _from_sqs(event: Event, step: Raw) -> dict[str, Any]:
    """On SQS nothing tells the task that it was delivered before."""
    return {**_task(event, step), "redelivered": None}
