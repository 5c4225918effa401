"""Settings with which real clients and brokers lose, repeat or reorder: what each breaks, and what survives it.

For each setting a handler that it breaks is found at its known minimum, and a correct twin, or the same handler without
the setting, is held. What the search makes is compared with the judge of traces in test_generated.py.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Message, Scenario, Stream, UsageError, check
from chaoskit.brokers import (
    Celery,
    Debezium,
    JetStream,
    Kafka,
    Outbox,
    PubSub,
    RabbitMQ,
    RedisStreams,
    Settings,
    SqsFifo,
)
from chaoskit.strategies import events
from chaoskit.values.faults import BatchSwap, Duplicate, FaultKind, Lose, Overtake, Redeliver, Rehash, Zombie
from chaoskit.values.schedule import DELIVER, LOSE
from chaoskit.values.verdict import Verdict
from handlers.small import counts, inbox, newest, sums

EV = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]), max_size=6)


def minimum(verdict: Verdict) -> tuple[int, list[FaultKind]]:
    """How many events, and which faults."""
    assert verdict.status == "violated", verdict.report()
    assert verdict.scenario is not None
    return len(verdict.scenario.events), [type(fault) for fault in verdict.scenario.faults]


def report_of(verdict: Verdict) -> str:
    return " ".join(verdict.report().split())


def loses(broker: Settings, **asked: Any) -> Verdict:
    return check(sums, EV, broker, schedules=1000, seed=1, loss="violation", **asked)


# Kafka: commits in the background.


def test_a_background_commit_loses_the_record_in_hand() -> None:
    verdict = loses(Kafka(auto_commit=True))
    assert minimum(verdict) == (1, [Lose])
    assert "the client committed it in the background (enable.auto.commit) before it was handled" in report_of(verdict)
    assert "auto_commit=False" in report_of(verdict)
    assert loses(Kafka()).status == "held"


def test_the_clients_that_commit_so_by_default_are_named() -> None:
    why = str(Kafka().why_impossible(Lose))
    assert "auto_commit=True makes it possible (the default of confluent-kafka and aiokafka" in why
    assert Kafka(auto_commit=True).loses == "auto_commit=True"


def test_the_rest_of_a_consume_is_lost_with_it() -> None:
    """One consume(4) hands over 1 to 4, which are committed at once; the process dies at 3."""
    assert Kafka(auto_commit=True).permits("1 2 3- 4- |c=5 ⚡ 5")
    assert not Kafka().permits("1 2 3- 4- |c=5 ⚡ 5")


@pytest.mark.parametrize("other", [{"commit_every": 2}, {"commit_ahead": True}])
def test_one_consumer_commits_in_one_way(other: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="has no effect with auto_commit=True"):
        Kafka(auto_commit=True, **other)


# Kafka: where a new partition is read from.


def test_the_first_records_of_a_new_partition_are_never_read() -> None:
    verdict = loses(Kafka(auto_offset_reset="latest"))
    events, kinds = minimum(verdict)
    assert events == 1
    assert sorted(kind.__name__ for kind in kinds) == ["Lose", "Rehash"]
    assert "the group learned of partition" in report_of(verdict)
    assert 'auto_offset_reset="earliest"' in report_of(verdict)
    assert loses(Kafka()).status == "held"


def test_a_pass_from_the_end_says_what_can_be_lost_and_is_no_unknown() -> None:
    verdict = check(sums, EV, Kafka(auto_offset_reset="latest"), schedules=1000, seed=1)
    assert verdict.status == "held", verdict.report()
    assert verdict.tally.left_out == ("Lose",)
    assert any('(auto_offset_reset="latest")' in note for note in verdict.notes)


def test_without_growth_nothing_begins_at_an_end() -> None:
    with pytest.raises(UsageError, match="auto_offset_reset has no effect with growth=False"):
        Kafka(auto_offset_reset="latest", growth=False)
    assert Rehash not in Kafka(growth=False).kinds()


FROM_LATEST = Kafka(partitions=2, auto_offset_reset="latest")
FROM_THE_END: dict[str, tuple[str, bool]] = {
    "the first of a new partition": ("|put p0/1 p0/1 |grow 3 |put p2/2 |put p2/3 p2/3 |end", True),
    "all of a new partition": ("|put p0/1 p0/1 |grow 3 |put p2/2 |end", True),
    "not in its middle": ("|put p0/1 p0/1 |grow 3 |put p2/2 |put p2/3 |put p2/4 p2/2 p2/4 |end", False),
    "not before what was committed": (
        "|grow 3 |put p2/1 |put p2/2 |put p2/3 |put p2/4 A:p2/2 A:|c=p2/3 A:⚡ A:p2/4 |end",
        False,
    ),
}


@pytest.mark.parametrize("case", FROM_THE_END)
def test_a_new_partition_is_read_from_wherever_its_end_was(case: str) -> None:
    trace, legal = FROM_THE_END[case]
    assert bool(FROM_LATEST.permits(trace)) == legal, FROM_LATEST.permits(trace)


# A table that somebody follows by a position.


def test_a_row_that_becomes_visible_late_is_lost_to_who_keeps_the_last_position() -> None:
    verdict = loses(Outbox(cursor="id"))
    assert minimum(verdict) == (1, [Lose])
    assert "committed after the cursor had passed its id: it was never published" in report_of(verdict)
    assert Outbox(cursor="id").permits("2 3")
    for safe in (Outbox(), Outbox(cursor="xid"), Outbox(cursor="id", open_transactions=1)):
        assert loses(safe).status == "held"
        assert Lose not in safe.kinds()


def test_a_pass_over_a_cursor_of_ids_says_so() -> None:
    verdict = check(sums, EV, Outbox(cursor="id"), schedules=200, seed=1)
    assert verdict.status == "held"
    assert any('these settings can lose messages (cursor="id")' in note for note in verdict.notes)


def test_a_cursor_over_transactions_keeps_the_order_of_transactions_and_not_that_of_rows() -> None:
    verdict = check(inbox, EV, Outbox(cursor="xid"), schedules=500, seed=1)
    assert minimum(verdict) == (2, [BatchSwap])
    assert "in transactions that had begun before: they went first" in report_of(verdict)
    assert check(newest, EV, Outbox(cursor="xid"), schedules=500, seed=1).status == "held"
    assert check(inbox, EV, Outbox(cursor="xid", open_transactions=1), schedules=500, seed=1).status == "held"


def test_what_a_position_publishes_again_is_as_it_was_and_by_a_flag_in_the_order_of_ids() -> None:
    xid, flag = Outbox(cursor="xid"), Outbox()
    assert xid.permits("2 1 3 ⚡ 2' 1' 3'")
    assert not xid.permits("2 1 3 ⚡ 1' 2' 3'")
    assert flag.permits("2 1 3 ⚡ 1' 2' 3'")
    assert not flag.permits("2 1 3 ⚡ 2' 1' 3'")


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_crash_publishes_no_more_than_a_batch_again(batch_size: int) -> None:
    stream = Stream.of([Event("a", number) for number in range(5)])
    model = Outbox(batch_size=batch_size).model(stream)
    (after,) = model.arguments(Redeliver, 0) or ((),)
    plays = [[step[0] for step in model.play([Redeliver("e1", number)])] for number in after]
    assert max(steps.count(DELIVER) for steps in plays) - len(stream) == min(batch_size, 5)
    assert minimum(check(counts, EV, Outbox(batch_size=batch_size), faults={Duplicate}, seed=1)) == (1, [Duplicate])


@pytest.mark.parametrize("broker", [Outbox(cursor="id"), Debezium(slot_lost=True, partitions=1)])
def test_a_relay_has_no_word_for_what_it_never_saw(broker: Settings) -> None:
    """What is lost on the way to a relay is missing from its trace, and no message of a queue that was dropped."""
    trace = Scenario([Event("a", number) for number in range(3)], broker, [Lose("e2")]).trace()
    assert re.sub(r"p\d/", "", trace) == "A:1 A:3"


# Celery: what carries it, and what waits.

AGAIN = {Duplicate, Redeliver, Zombie}


@pytest.mark.parametrize("transport", ["redis", "amqp"])
def test_early_acknowledgement_runs_nothing_twice_but_on_sqs(transport: Any) -> None:
    early = Celery(transport=transport)
    assert AGAIN.isdisjoint(early.kinds())
    assert AGAIN.issubset(Celery(transport=transport, acks_late=True).kinds())
    assert AGAIN.issubset(Celery(transport="sqs").kinds())
    assert check(counts, EV, early, without={Lose, *RESENDS}, schedules=200, seed=1).status == "held"
    assert minimum(check(counts, EV, Celery(transport="sqs"), faults={Duplicate}, seed=1)) == (1, [Duplicate])
    assert check(sums, EV, Celery(transport="sqs"), schedules=300, seed=1).status == "held"


RESENDS = {kind for kind in Celery().kinds() if kind.__name__ in ("Resend", "DeadLetter")}


def test_the_transports_speak_their_own_words() -> None:
    late: dict[str, Any] = {"acks_late": True}
    said = {
        transport: report_of(check(counts, EV, Celery(transport=transport, **late), faults={Redeliver}, seed=1))  # type: ignore[arg-type]
        for transport in ("redis", "amqp", "sqs")
    }
    assert "was restored to the queue" in said["redis"]
    assert "lost its connection before" in said["amqp"]
    assert "visibility_timeout" not in said["amqp"]
    assert "SQS delivered it again anyhow" in said["sqs"]


def test_a_standard_queue_hands_one_process_its_tasks_in_any_order() -> None:
    assert Overtake not in Celery(concurrency=1).kinds()
    one = Celery(transport="sqs", concurrency=1)
    assert minimum(check(inbox, EV, one, faults={Overtake}, schedules=300, seed=1)) == (2, [Overtake])


def test_a_lost_connection_brings_all_that_was_not_acknowledged_and_refuses_a_late_acknowledgement() -> None:
    amqp, redis = Celery(transport="amqp", acks_late=True), Celery(acks_late=True)
    trace = "A:1 A:⚡ B:1r |ack 1"
    assert amqp.permits(trace)
    assert not amqp.permits("A:1- |expire 1 B:1r A:1 |ack 1 |t=7200s B:1r")
    assert "its time run out" in str(redis.permits(trace))


def test_a_countdown_longer_than_the_visibility_timeout_runs_twice() -> None:
    verdict = check(counts, EV, Celery(countdown=7200), faults={Zombie}, schedules=200, seed=1)
    assert minimum(verdict) == (1, [Zombie])
    assert "waited in worker 0 for a countdown longer than visibility_timeout" in report_of(verdict)
    assert check(sums, EV, Celery(countdown=7200), schedules=300, seed=1).status == "held"
    assert "a countdown longer than visibility_timeout" in str(Celery().why_impossible(Zombie))
    assert Zombie not in Celery(countdown=3600).kinds()
    assert Celery(countdown=7200).permits("A:1- |expire 1 B:1r A:1")
    assert not Celery().permits("A:1- |expire 1 B:1r A:1")


@pytest.mark.parametrize("setting", [{"countdown": 7200}, {"visibility_timeout": 60}])
def test_rabbitmq_has_no_visibility_timeout(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match='has no effect with transport="amqp"'):
        Celery(transport="amqp", **setting)


# JetStream and RabbitMQ: limits of what is kept, and messages that are given up at once.

FIVE = Stream.of([Event("a", number) for number in range(5)])

LIMITS: dict[str, tuple[Settings, Settings, int, str]] = {
    "max_age": (JetStream(max_age=3600), JetStream(), 1, "the limits of the stream (max_age, max_msgs) removed"),
    "max_msgs": (JetStream(max_msgs=2), JetStream(), 3, "the limits of the stream (max_age, max_msgs) removed"),
    "message_ttl": (
        RabbitMQ(queue_type="classic", message_ttl=60_000),
        RabbitMQ(queue_type="classic", message_ttl=60_000, dead_letter_exchange=True),
        1,
        "waited longer than the message TTL",
    ),
    "max_length": (
        RabbitMQ(queue_type="classic", max_length=2),
        RabbitMQ(queue_type="classic"),
        3,
        "the queue was longer than its limit (drop-head)",
    ),
    "max_length of a quorum queue": (
        RabbitMQ(max_length=2),
        RabbitMQ(max_length=2, dead_letter_exchange=True),
        1,  # the delivery limit drops it as well
        "exceeded the delivery-limit, the message TTL or the length of the queue",
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_loses_what_it_removes(name: str) -> None:
    limited, stored, events, said = LIMITS[name]
    verdict = loses(limited)
    assert minimum(verdict) == (events, [Lose])
    assert said in report_of(verdict)
    assert Lose not in stored.kinds()
    assert loses(stored).status == "held"


@pytest.mark.parametrize("broker", [JetStream(max_msgs=2), RabbitMQ(queue_type="classic", max_length=2)])
def test_a_limit_of_messages_keeps_the_last_ones(broker: Settings) -> None:
    model = broker.model(FIVE)
    assert [model.arguments(Lose, position) is not None for position in range(5)] == [True, True, True, False, False]


@pytest.mark.parametrize("broker", [JetStream(max_age=60), RedisStreams(trims=True, consumers=1)])
def test_what_is_removed_takes_all_that_is_older_with_it(broker: Settings) -> None:
    """A message that waits for its redelivery is older than the next: either both are removed, or none."""
    model = broker.model(FIVE)
    assert LOSE in [step[0] for step in model.play([Lose("e2")])]
    assert LOSE not in [step[0] for step in model.play([Redeliver("e1", 3), Lose("e2")])]


def orders(deliver: Any) -> dict[str, int]:
    """The first event of a key opens it. What comes too early is refused, and taken later."""
    opened: dict[str, int] = {}
    taken: set[Any] = set()

    def handle(message: Message) -> None:
        if message.seq > 1 and message.key not in opened:
            raise LookupError(f"{message.key} is not open yet")
        opened.setdefault(message.key, 0)
        if message.id not in taken:
            taken.add(message.id)
            opened[message.key] += message.value

    deliver(handle)
    return opened


def test_what_is_terminated_is_never_taken_later() -> None:
    terms: dict[str, Any] = {"faults": {Overtake}, "schedules": 300, "seed": 1, "loss": "violation"}
    verdict = check(orders, EV, JetStream(on_error="term"), **terms)
    assert minimum(verdict) == (2, [Overtake])
    assert "the handler raised on" in report_of(verdict)
    assert check(orders, EV, JetStream(), **terms).status == "held"
    assert JetStream(on_error="term").permits("A:1! |drop 1 B:2 |ack 2 |end")
    assert not JetStream().permits("A:1! |drop 1 B:2 |ack 2 |end")


def test_without_acknowledgements_there_is_nothing_to_terminate() -> None:
    with pytest.raises(UsageError, match='on_error has no effect with ack_policy="none"'):
        JetStream(ack_policy="none", on_error="term")


@pytest.mark.parametrize(("most", "first"), [(1, "e1"), (2, "e2")])
def test_a_message_is_overtaken_where_another_one_may_be_out_with_it(most: int, first: str) -> None:
    """max_ack_pending is all that may be out: of two, one is slow and the other one goes first."""
    broker = JetStream(max_ack_pending=most, consumers=3)
    assert next(step[2] for step in broker.model(FIVE).play([Overtake("e1", 0)])) == FIVE.ids.index(first)


@pytest.mark.parametrize("broker", [JetStream(), RabbitMQ(), SqsFifo(), PubSub(ordering=True)])
def test_each_number_of_held_messages_is_another_delivery(broker: Settings) -> None:
    """A consumer that is taken for dead holds no more messages than there are, and may hold them all."""
    model = broker.model(FIVE)
    holds, _ = model.arguments(Zombie, 0) or ((), ())
    assert len({tuple(model.play([Zombie("e1", number, 2)])) for number in holds}) == len(holds) == len(FIVE)


# SQS FIFO: what is too old, and what is sent again too soon.

FIFO_LOSES: dict[str, tuple[Settings, int, str]] = {
    "retention": (SqsFifo(retention_exceeded=True), 1, "was not received within MessageRetentionPeriod"),
    "sent again": (
        SqsFifo(max_receive_count=3, redrive="send"),
        1,
        "somebody sent it again from the dead-letter queue within 5 minutes, with the same MessageDeduplicationId",
    ),
    "equal bodies": (
        SqsFifo(content_based_deduplication=True),
        2,
        "has the body of an earlier message, sent within 5 minutes",
    ),
}


@pytest.mark.parametrize("name", FIFO_LOSES)
def test_a_fifo_queue_loses_by_each_of_its_settings(name: str) -> None:
    broker, events, said = FIFO_LOSES[name]
    verdict = loses(broker)
    assert minimum(verdict) == (events, [Lose])
    assert said in report_of(verdict)


def test_what_only_a_move_task_brings_back_is_not_lost() -> None:
    moved = SqsFifo(max_receive_count=3)
    assert Lose not in moved.kinds()
    assert loses(moved).status == "held"
    assert 'redrive="send"' in str(moved.why_impossible(Lose))


def test_several_ways_to_lose_are_all_told() -> None:
    both = SqsFifo(max_receive_count=3, redrive="send", retention_exceeded=True)
    assert both.loses == 'redrive="send", retention_exceeded=True'
    report = report_of(loses(both))
    assert "StartMessageMoveTask" in report
    assert "a longer MessageRetentionPeriod" in report


def test_without_a_dead_letter_queue_nothing_is_sent_again() -> None:
    with pytest.raises(UsageError, match="redrive has no effect with max_receive_count=None"):
        SqsFifo(redrive="send")
