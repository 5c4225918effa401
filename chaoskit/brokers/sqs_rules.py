"""What an SQS queue can deliver, as `permits` judges it."""

from __future__ import annotations

import attrs

from chaoskit.traces.queue.rules import QueueRules


def standard_rules(name: str, max_receive_count: int | None, visibility_timeout: int, lost: str | None) -> QueueRules:
    """A standard queue as `permits` judges it: no order, and anything may come again."""
    return QueueRules(
        broker=name,
        order="none",
        receive=10,
        settled="may_return",
        late_ack="maybe",
        limit=max_receive_count,
        limit_setting=f"max_receive_count={max_receive_count}",
        dead="never" if max_receive_count is None else "limit",
        dead_setting="max_receive_count=None",
        loses=lost,
        send_window=None,
        lease=visibility_timeout,
    )


def fifo_rules(name: str, max_receive_count: int | None, visibility_timeout: int, lost: str | None) -> QueueRules:
    """A FIFO queue as `permits` judges it: a group is locked while a receive of it is in flight."""
    return attrs.evolve(
        standard_rules(name, max_receive_count, visibility_timeout, lost),
        order="locked",
        unit="message group",
        grouped=True,
        settled="final",
        late_ack="refused",
        window=300,
        window_setting="the deduplication interval of 5 minutes",
        send_window=1,
    )
