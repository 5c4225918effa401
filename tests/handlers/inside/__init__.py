"""Handlers that are wrong only where something happens inside them, each with its right twin.

One list. Each wrong one is found by the kinds that stand with it, with the least number of events and at the point
that stands there; its twin never is, by whatever its brokers can do.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from chaoskit import (
    Anything,
    Crash,
    DeadLetter,
    Fail,
    Kafka,
    Message,
    Overlap,
    RabbitMQ,
    Redeliver,
    Resend,
    SqsFifo,
    SqsStandard,
)
from chaoskit.invariants import effects_at_least_once, effects_exactly_once, final_state
from chaoskit.strategies import events
from chaoskit.values.faults import FaultKind
from chaoskit.values.timing import DAY
from handlers.inside import commits, halves, leases, leaving, rows
from inside.subjects import Test, both_at_once, buffered, mark_before_work, over, work_before_mark

LOG, FIFO, QUEUE, STANDARD = Kafka(partitions=1), SqsFifo(), RabbitMQ(consumers=2), SqsStandard()
EVERY = (LOG, FIFO, QUEUE, STANDARD, Anything())
THREE = (LOG, QUEUE, FIFO)
LETTERS = SqsStandard(max_receive_count=3)
ONCE = (final_state(), effects_exactly_once())
AT_LEAST_ONCE = (final_state(), effects_at_least_once())

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=6)
PAID = events(st.sampled_from(["webhook", "page"]), keys=st.sampled_from(["order-1", "order-2"]), max_size=6)


@attrs.frozen
class Pair:
    """`kinds`: those of what is found, over the least number of `events`; `point`: where in the handler that is, and
    None for kinds that come from outside. `brokers`: those on which the wrong one is wrong."""

    wrong: Test
    right: Test
    kinds: tuple[FaultKind, ...]
    point: int | None
    events: int = 1
    brokers: tuple[Any, ...] = THREE
    invariants: Any = None
    values: Any = PAYMENTS


def _halves(wrong: halves.Make, right: halves.Make, *found: Any, **more: Any) -> Pair:
    return Pair(halves.over_tables(wrong), halves.over_tables(right), *found, **more)


def _rows(wrong: Any, right: Any, *found: Any, **more: Any) -> Pair:
    return Pair(rows.on(wrong), rows.on(right), *found, **more)


def _of_key(message: Message) -> object:
    return message.key


def _of_id(message: Message) -> object:
    return message.id


CRASH, OVERLAP, FAIL = (Crash,), (Overlap,), (Fail,)

PAIRS = {
    "work, then mark": Pair(over(work_before_mark), over(both_at_once), CRASH, 2, brokers=EVERY),
    "mark, then work": Pair(over(mark_before_work), over(both_at_once), CRASH, 2, brokers=EVERY),
    "work, then mark, awaited": Pair(
        rows.awaited(together=False), rows.awaited(together=True), CRASH, 4, brokers=(LOG, QUEUE)
    ),
    # Where two consumers have a buffer each it is wrong in order, too.
    "acknowledged before it is stored": Pair(buffered(2), buffered(1), CRASH, 0, events=2, brokers=(LOG,)),
    "ids in the memory of the process": _rows(rows.ids_in_memory, rows.unique_key, (Redeliver,), None, brokers=(LOG,)),
    "lost update": _rows(rows.lost_update, rows.compared_version, OVERLAP, 1, events=2, brokers=(QUEUE,)),
    "update behind a mark": _rows(rows.update_behind_a_mark, rows.compared_version, CRASH, 2),
    "check, then insert": _rows(rows.check_then_insert, rows.unique_key, OVERLAP, 1, brokers=EVERY),
    "stale object saved over another's change": Pair(
        rows.over_documents(rows.saves_the_object), rows.over_documents(rows.saves_what_it_changed), OVERLAP, 1,
        events=2, brokers=(QUEUE,),
    ),
    "webhook and page": Pair(
        rows.over_documents(rows.webhook_and_page(changed_alone=False)),
        rows.over_documents(rows.webhook_and_page(changed_alone=True)), OVERLAP, 2,
        events=2, brokers=(QUEUE,), values=PAID,
    ),
    "inbox row outside the transaction": _halves(commits.inbox_row_outside, commits.inbox_row_inside, CRASH, 4),
    "swallowed commit": _halves(commits.swallows_the_commit, commits.looks_at_the_commit, FAIL, 4),
    "swallowed statement": _halves(halves.answers_all_the_same, halves.lets_it_out, FAIL, 1),
    "status row first": _halves(commits.status_row_first, commits.status_row_done, CRASH, 2),
    "status only from processing": _halves(halves.done_only_from_processing, halves.done_from_anything, FAIL, 2),
    "finally marks": _halves(halves.finally_marks, halves.marks_when_done, FAIL, 2),
    "outbox row outside the transaction": _halves(halves.outbox_apart, halves.outbox_in_one_transaction, CRASH, 2),
    "watermark before the work": _halves(halves.watermark_first, halves.watermark_with_the_work, CRASH, 1),
    "mark before the mail": _halves(
        halves.marks_before_the_mail, halves.marks_after_the_mail, CRASH, 2, invariants=AT_LEAST_ONCE
    ),
    "row before the mail": _halves(
        halves.saves_before_the_mail, halves.mails_from_the_outbox, CRASH, 2, invariants=AT_LEAST_ONCE
    ),
    "mail before save": Pair(
        leaving.mailing("mail before save"), leaving.through_an_outbox, CRASH, 2, invariants=ONCE
    ),
    "save before mail": Pair(
        leaving.mailing("save before mail"), leaving.through_an_outbox, CRASH, 2, invariants=ONCE
    ),
    "who saves it mails": Pair(
        leaving.mailing("who saves it mails"), leaving.through_an_outbox, CRASH, 1, invariants=ONCE
    ),
    "lock with a TTL and no fence": Pair(
        leases.locked(_of_key, fenced=False), leases.locked(_of_key, fenced=True), OVERLAP, 5, brokers=(LOG,)
    ),
    "lease without a fence": Pair(
        leases.locked(_of_id, fenced=False), leases.locked(_of_id, fenced=True), OVERLAP, 5, brokers=(LOG, FIFO)
    ),
    "lock of the dead believed": Pair(
        leases.locks(waits=False), leases.locks(waits=True), CRASH, 2,
        brokers=(LOG, RabbitMQ(), SqsFifo(visibility_timeout=10)),
    ),
    "remembers shorter than a dead letter": Pair(
        leases.remembers(DAY), leases.remembers(None), (DeadLetter, Resend), None, brokers=(LETTERS,)
    ),
}  # fmt: skip
