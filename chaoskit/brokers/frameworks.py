"""What frameworks do with a message whose failure is final, in their own terms: nothing brings it back.

Sources: docs.celeryq.dev (userguide/tasks); dramatiq.io (guide: message retries, dead letters); huey.readthedocs.io
(guide: retrying tasks); python-rq.org/docs (exceptions); arq-docs.helpmanual.io; faststream.ag
(getting-started/acknowledgement).
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

_ONE_TRANSACTION = (
    "And put all that is changed into one transaction, together with the mark that it is done, so that an attempt "
    "which fails leaves nothing behind"
)


@attrs.frozen
class GivesUp:
    """`happened` says why, and what becomes of the message, a template of the {error}; `set_aside` the same where the
    broker keeps it, of what it calls {dead}. `mark` in a table; `ruled_out_by`: what helps."""

    happened: str
    mark: str
    ruled_out_by: str
    set_aside: str = ""

    def fate(self, action: str, error: str, dead: str) -> str:
        words = self.set_aside if action == "park" and self.set_aside else self.happened
        return words.format(error=error, dead=dead)


FRAMEWORKS: Mapping[str, GivesUp] = {
    "celery": GivesUp(
        "the task gave up, as nothing asks for another attempt ({error} is not in autoretry_for, and self.retry() was "
        "not called, or max_retries is used up). Celery acknowledges a final failure, and its message is dropped",
        "acknowledged as failed",
        "no setting: any call can fail. Name what it raises in autoretry_for, or call self.retry(), so that the task "
        "is published again: acks_late brings back what a killed worker had, and nothing that failed. And put all that "
        "the task changes into one transaction, together with the mark that it is done",
    ),
    "dramatiq": GivesUp(
        "the actor gave up, as its max_retries are used up (20 unless something else is said), retry_when refuses, or "
        "{error} is in throws. Dramatiq moves the message to its dead-letter queue, from which nothing takes it",
        "to the dead-letter queue",
        "no setting: any call can fail. Let max_retries and retry_when allow another attempt, and leave what it raises "
        f"out of throws. {_ONE_TRANSACTION}",
    ),
    "huey": GivesUp(
        "the task gave up, as it has no retries left (0 unless something else is said). Huey logs the failure, and "
        "does not queue the task again",
        "failed for good",
        f"no setting: any call can fail. Say task(retries=3, retry_delay=10), or raise RetryTask. {_ONE_TRANSACTION}",
    ),
    "rq": GivesUp(
        "the job gave up, as it has no Retry left (none unless it is enqueued with one). RQ puts it into the "
        "FailedJobRegistry, from which nothing takes it by itself",
        "to the FailedJobRegistry",
        f"no setting: any call can fail. Enqueue with retry=Retry(max=3, interval=[10, 30, 60]). {_ONE_TRANSACTION}",
    ),
    "arq": GivesUp(
        "the job gave up, as only Retry asks for another attempt, and max_tries (5 unless something else is said) "
        "limits these. arq keeps the failure as the result, and does not run the job again",
        "failed for good",
        "no setting: any call can fail. Raise Retry where it does, `except OperationalError: raise Retry(defer=5)`. "
        f"{_ONE_TRANSACTION}",
    ),
    "faststream.rabbit": GivesUp(
        "FastStream rejected it, which ack_policy=REJECT_ON_ERROR does with what fails, its default for RabbitMQ. "
        "There is no dead-letter exchange: RabbitMQ dropped it",
        "rejected, and dropped",
        "ack_policy=AckPolicy.NACK_ON_ERROR, which queues again what failed; or a dead-letter exchange "
        "(dead_letter_exchange=True), from which somebody publishes it again",
        "FastStream rejected it, which ack_policy=REJECT_ON_ERROR does with what fails, its default for RabbitMQ, and "
        "it went {dead}",
    ),
    "faststream.nats": GivesUp(
        "FastStream terminated it (+TERM), which ack_policy=REJECT_ON_ERROR does with what fails, its default for "
        "JetStream: it is never shown again",
        "terminated",
        "ack_policy=AckPolicy.NACK_ON_ERROR, so that it is shown again",
    ),
    "faststream.kafka": GivesUp(
        "FastStream went on behind it: of its policies for Kafka only NACK_ON_ERROR goes back to what failed "
        "(ACK_FIRST is the default)",
        "passed over",
        "ack_policy=AckPolicy.NACK_ON_ERROR, which seeks back to what failed",
    ),
    "faststream": GivesUp(
        "FastStream had acknowledged it, though it failed (ack_policy=ACK or ACK_FIRST, or the subscriber did it by "
        "hand): it is not shown again",
        "acknowledged as failed",
        "ack_policy=AckPolicy.NACK_ON_ERROR, so that it is shown again",
    ),
    "webhook.no_retry": GivesUp(
        "the endpoint failed, and its answer had X-Slack-No-Retry: Slack does not send it again",
        "failed, and not to come again",
        "no X-Slack-No-Retry in the answer to what was not handled",
    ),
    "webhook": GivesUp(
        "it failed behind an answer of 2xx: the provider takes it for handled, and does not send it again",
        "failed behind the answer",
        "an answer of 2xx only when all is done, or when what is left to do was stored in the same transaction "
        "(an outbox, a queue of tasks) from which it is tried again",
    ),
}
"""By the name that an adapter gives."""
