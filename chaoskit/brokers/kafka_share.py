"""What a Kafka share group (KIP-932) can deliver, as `permits` judges it: a queue, not a log."""

from __future__ import annotations

from functools import partial

from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState, refuse
from chaoskit.traces.tokens import Batch, natural_key


def share_rules(delivery_count_limit: int, max_record_locks: int) -> QueueRules:
    """No order between batches; a record that was never accepted comes back until its deliveries are used up."""
    return QueueRules(
        broker="a share group",
        order="none",
        unit="partition",
        check_batch=_check_ascending,
        check_room=partial(_check_record_locks, most=max_record_locks),
        limit=delivery_count_limit,
        limit_setting=f"delivery_count_limit={delivery_count_limit}",
        dead_setting="a share group has no dead letters: what is used up or rejected is dropped",
        send_window=None,
    )


def _check_ascending(state: QueueState, word: Batch) -> None:
    """One batch is in the order of the log, though the group keeps none."""
    numbers = [natural_key(each.label.name) for each in word.members]
    if numbers != sorted(numbers):
        refuse("the messages of one batch are in the order of the log")


def _check_record_locks(state: QueueState, at: int, *, most: int) -> None:
    """From the oldest record in flight on, only so many are handed out."""
    for earlier in state.before(at):
        its = state.messages[earlier]
        if its.phase not in {"new", "back"} and not (its.phase == "out" and its.ran != "ok"):
            continue
        if _distance(state, earlier, at) >= most:
            refuse(
                f"{state.name(at)} is {most} or more messages behind {state.name(earlier)}, "
                f"which is not settled: max_record_locks={most} (group.share.partition.max.record.locks)"
            )
        return


def _distance(state: QueueState, first: int, at: int) -> int:
    """How many messages of their unit stand from the first one on before the other."""
    if not state.facts.lists_puts:
        return state.facts.number(at) - state.facts.number(first)
    return sum(state.place(other) >= state.place(first) for other in state.before(at))
