"""What an SQS queue can deliver, as `permits` judges it."""

from __future__ import annotations

import attrs

from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState, refuse
from chaoskit.traces.tokens import Batch


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
        check_batch=_keeps_groups_together,
        settled="final",
        late_ack="refused",
        window=300,
        window_setting="the deduplication interval of 5 minutes",
        send_window=1,
    )


def _keeps_groups_together(state: QueueState, word: Batch) -> None:
    """ReceiveMessage returns as many messages of one group as it can before it goes on to another."""
    units = [state.facts.units[state.facts.ids[each.label]] for each in word.members]
    changes = [unit for at, unit in enumerate(units) if at == 0 or unit != units[at - 1]]
    if len(changes) != len(set(changes)):
        refuse(f"one receive keeps the messages of a {state.rules.unit} together")
