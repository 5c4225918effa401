"""What a Kafka share group (KIP-932) can deliver, as `permits` judges it: a queue, not a log."""

from __future__ import annotations

from chaoskit.traces.queue.rules import QueueRules


def share_rules(delivery_count_limit: int, max_record_locks: int) -> QueueRules:
    """No order between batches; a record that was never accepted comes back until its deliveries are used up."""
    return QueueRules(
        broker="a share group",
        order="none",
        unit="partition",
        ascending=True,
        span=max_record_locks,
        limit=delivery_count_limit,
        limit_setting=f"delivery_count_limit={delivery_count_limit}",
        dead_setting="a share group has no dead letters: what is used up or rejected is dropped",
        send_window=None,
    )
