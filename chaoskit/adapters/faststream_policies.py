"""What becomes of a message whose subscriber failed: FastStream's `ack_policy`, and what its broker makes of that.

Sources: faststream.ag (getting-started/acknowledgement); faststream 0.6.0 and 0.7.8: middlewares/acknowledgement,
*/message.py, */subscriber/config.py and factory.py; nats-py js/client.py (the callback that acknowledges by itself).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import Any

from chaoskit.execution.retried import Final

ACKED, NACKED, REJECTED = "ACKED", "NACKED", "REJECTED"
_ON_FAILURE = {"ACK": ACKED, "ACK_FIRST": ACKED, "REJECT_ON_ERROR": REJECTED, "NACK_ON_ERROR": NACKED}


def comes_again(kind: str, found: Any, status: str | None) -> bool:
    """Whether a message of this status is shown again; None: nothing has acknowledged it."""
    if kind == "redis" and status == REJECTED:
        return True  # Redis gets no answer: the entry stays pending
    if status is not None:
        return status == NACKED
    if kind == "kafka":
        # The position goes on, and the next commit is beyond it.
        return False
    if kind == "redis":
        stream = getattr(found, "stream_sub", None)
        return stream is not None and bool(stream.group) and not stream.no_ack
    if kind == "rabbit":
        return not _has_no_acks(found)
    # NATS acknowledges in JetStream only, and the callback of a push consumer by itself with ACK_FIRST.
    return getattr(found, "stream", None) is not None and found.extra_options.get("manual_ack", True)


def _has_no_acks(found: Any) -> bool:
    # The policy alone does not tell it: FastStream 0.6 has MANUAL for ACK_FIRST there.
    return bool(getattr(found, "_RabbitSubscriber__no_ack", found.ack_policy.name == "ACK_FIRST"))


def final(kind: str, found: Any, status: str | None, attempt: int | None) -> Final | None:
    """How a failure of this status is final; None where its message comes again, and where it is gone by itself, as
    what is taken off a list."""
    if comes_again(kind, found, status) or getattr(found, "list_sub", None) is not None:
        return None
    by = "faststream.kafka" if kind == "kafka" else f"faststream.{kind}" if status == REJECTED else "faststream"
    return Final(by, used_up=(attempt or 1) > 1, rejected=kind == "rabbit" and status == REJECTED)


def status_of_a_failure(found: Any) -> str | None:
    """What its policy makes of any error."""
    policy = found.ack_policy.name
    return None if policy == "ACK" and not acks_what_failed() else _ON_FAILURE.get(policy)


@cache
def acks_what_failed() -> bool:
    """Whether ACK acknowledges a message that failed. Before FastStream 0.6.4 it said nothing of one to the broker."""
    return [int(number) for number in re.findall(r"\d+", version("faststream"))[:3]] >= [0, 6, 4]
