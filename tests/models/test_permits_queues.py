"""What queue-shaped brokers can and cannot deliver: the traces of the fact sheet, near misses, and real runs.

Each broker is asked through `permits`. The ids of the fact sheet stand in the test ids; "written" means with the
acknowledgements, expiries and times that its text names.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from chaoskit.brokers.bounds import Anything, InOrder
from chaoskit.brokers.celery import Celery
from chaoskit.brokers.jetstream import JetStream
from chaoskit.brokers.kafka_share import share_rules
from chaoskit.brokers.lambda_sqs import LambdaSqs
from chaoskit.brokers.postgres import PostgresQueue
from chaoskit.brokers.pubsub import PubSub
from chaoskit.brokers.pulsar import Pulsar
from chaoskit.brokers.rabbitmq import RabbitMQ
from chaoskit.brokers.redis import RedisList, RedisStreams
from chaoskit.brokers.service_bus import ServiceBus
from chaoskit.brokers.sns_sqs import SnsSqs
from chaoskit.brokers.sqs_fifo import SqsFifo
from chaoskit.brokers.sqs_standard import SqsStandard
from chaoskit.brokers.webhook import Webhook
from chaoskit.traces import Permitted, parse
from chaoskit.traces.notation import spell_trace
from chaoskit.traces.queue.judge import judge_queue
from chaoskit.traces.queue.rules import QueueRules
from models.calls import Broker, calls_to_judge


@attrs.frozen
class Ruled:
    """Rules that no settings class stands for."""

    rules: QueueRules

    def permits(self, trace: str) -> Permitted:
        return judge_queue(self.rules, parse(trace))


STANDARD = SqsStandard()
SHARE = Ruled(share_rules(5, 200))
VISIBILITY = Ruled(attrs.evolve(SqsFifo().rules(), single_returns=True))
LAMBDA = LambdaSqs()
POSTGRES = PostgresQueue()
CELERY_LATE = Celery(acks_late=True)
CELERY_EARLY = Celery()
WEBHOOK = Webhook()
LIST_TAIL = RedisList()
LIST_HEAD = RedisList(recover_to="head")

CLASSIC: Any = {"queue_type": "classic"}
ALONE: Any = {"consumers": 1}
SAC: Any = {"single_active_consumer": True}
UNLIMITED: Any = {"delivery_limit": None}
SESSIONS = ServiceBus(sessions=True)

AGAIN_10 = "1! " + "1r! " * 9
REJECTED_21 = "1! " + "1r! " * 20

LEGAL = {
    "S-1 permutation": (STANDARD, "3 1 2"),
    "S-1 again": (STANDARD, "1 2 3 1r 1r"),
    "S-1 after a delete": (STANDARD, "1 2 |ack 1 3 1r"),
    "S-1 at once": (STANDARD, "A:1- |expire 1 B:1r A:1"),
    "S-1 resend": (STANDARD, "1 2 1' 1r"),
    "S-1 complete": (STANDARD, "2 1 3 1r |end"),
    "F-1": (SqsFifo(), "1 2 3 2r 3r 4"),
    "F-1 written": (SqsFifo(), "[1 2 3] |ack 1 ⚡ |expire 2 |expire 3 2r 3r |ack 2 |ack 3 4"),
    "F-1 one receive after": (SqsFifo(), "[1 2 3] |ack 1 ⚡ |expire 2 [2r 3r 4]"),
    "F-2 after the delete": (SqsFifo(), "A:[1 2 3] |ack 1 |ack 2 |ack 3 B:4"),
    "F-2 sent before the receive": (SqsFifo(), "|t=0s |put 1 |put 2 A:1- |t=10s A:2-"),
    "F-2 sent later, deleted before": (SqsFifo(), "|put 1 A:1 |ack 1 |put 2 A:2-"),
    "B-6 sent while the session is held": (SESSIONS, "|put 1 A:1- |put 2 A:2-"),
    "acknowledged by who has it again": (STANDARD, "A:1 A:⚡ A: |expire 1 A:1r |ack 1 2"),
    "acknowledged late by who had it": (JetStream(), "A:1- |expire 1 B:1r A:1 A: |ack 1"),
    "XACK of another": (RedisStreams(), "A:1 A:⚡ B: |ack 1 2 |end"),
    "S a late delete counts": (STANDARD, "A:1- |expire 1 B:1r- A:1 |ack 1 |end"),
    "S a late delete does not count": (STANDARD, "A:1- |expire 1 B:1r- A:1 |ack 1 |expire 1 B:1r |ack 1 |end"),
    "G a late ack does not count": (PubSub(), "A:1- |expire 1 B:1r- A:1 |ack 1 |expire 1 B:1r |ack 1 |end"),
    "F-3 slow handler": (SqsFifo(), "A:1- |expire 1 B:1r A:1"),
    "F-4 skipped": (SqsFifo(skips_failed=True), "1! 2 3 1r 4"),
    "F-4 visibility": (VISIBILITY, "A:[1- 2-] |nack 1 B:1r A:2"),
    "F-5": (SqsFifo(max_receive_count=2), "1! 1r! 2 3"),
    "F-5 dead": (SqsFifo(max_receive_count=2), "1! 1r! |dead 1 2 3 |put 1' 1'"),
    "F-5 written": (SqsFifo(max_receive_count=2), "1! |nack 1 1r! |dead 1 2 |ack 2 3 |put 1' |ack 3 1'"),
    "F-5 unseen attempts": (SqsFifo(max_receive_count=2), "|dead 1 2 3 |put 1' 1' |end"),
    "F-6 outside": (SqsFifo(), "|put 1 1 |t=301s |put 1' 1'"),
    "F-6 swallowed": (SqsFifo(), "|put 1 1 |t=299s |put 1' |end"),
    "F-6 redrive inside": (SqsFifo(max_receive_count=2), "1! 1r! |dead 1 |t=10s |put 1' 1'"),
    "F-7": (SqsFifo(), "[a1 a2 b1]"),
    "F-7 other": (SqsFifo(), "[b1 a1 a2]"),
    "F-7 other group runs on": (SqsFifo(), "a1! b1 a1r a2"),
    "F swap at send": (SqsFifo(send_batch=10), "log: 1 3 2 ; 1 3 2"),
    "L-1": (LAMBDA, "1 2! 1r 2r 3r"),
    "L-1 written": (LAMBDA, "[1 2! 3-] [1r 2r 3r] |end"),
    "L-2 other batches": (LAMBDA, "[1 2! 3-] [3r 1r] [2r]"),
    "L-4 FIFO, whole": (LambdaSqs(fifo=True), "[1 2! 3-] [1r 2r 3r] 4"),
    "L-4 FIFO, partial": (LambdaSqs(fifo=True, report_batch_item_failures=True), "[1 2! 3-] [2r 3r 4]"),
    "L-4 FIFO, goes on": (LambdaSqs(fifo=True, report_batch_item_failures=True), "[1! 2 3] [1r] 4"),
    "G-1": (PubSub(ordering=True), "1! 2 3 1r 2r 3r 4"),
    "G-1 written": (PubSub(ordering=True), "1! 2 |ack 2 3 |ack 3 |nack 1 1r 2r 3r 4"),
    "G-2 client releases": (PubSub(ordering=True), "1! |nack 1 2 1r 2r 3"),
    "G-3": (PubSub(), "2 1 3 1r"),
    "G-4 republished": (PubSub(exactly_once=True), "1 |ack 1 2 1'"),
    "G-5 expiry": (PubSub(exactly_once=True), "1 2 1r"),
    "R-6": (SHARE, "1! 1r! 1r! 1r! 1r!"),
    "R-6 then the next": (SHARE, "1! 1r! 1r! 1r! 1r! 2 |end"),
    "Q-1 classic": (RabbitMQ(**CLASSIC, **ALONE, prefetch=3), "1 2 3 ⚡ 2r 3r 4r 5"),
    "Q-1 quorum": (RabbitMQ(**ALONE, prefetch=3), "1 2 3 ⚡ 2r 3r 4r 5"),
    "Q-1 written": (RabbitMQ(**ALONE, prefetch=3), "1 |ack 1 2 |ack 2 3- ⚡ 3r 4r 5r 6"),
    "Q-1 written as told": (RabbitMQ(**ALONE, prefetch=3), "1 2 3 |ack 1 ⚡ 2r 3r 4r 5"),
    "Q-3": (RabbitMQ(**CLASSIC, **ALONE, prefetch=3), "1! 2! 3 |ack 3 |nack 2 |nack 1 1r 2r 4"),
    "Q-4 quorum order of returns": (RabbitMQ(**ALONE, prefetch=3), "1! 2! 3 |ack 3 |nack 2 |nack 1 2r 1r 4"),
    "Q-5": (RabbitMQ(), REJECTED_21),
    "Q-5 then the next": (RabbitMQ(**ALONE), REJECTED_21 + "2 |end"),
    "Q-4 no limit, to the back": (RabbitMQ(**UNLIMITED, **ALONE, prefetch=1), "1! |nack 1 2 3 1r"),
    "Q-4 no limit, single active": (RabbitMQ(**UNLIMITED, **SAC, prefetch=1), "1! |nack 1 2 3 1r"),
    "Q-4 no limit, free": (RabbitMQ(**UNLIMITED, **ALONE, prefetch=1), "1! 2 3 1r"),
    "Q-4 no limit, before what is put since": (
        RabbitMQ(**UNLIMITED, **ALONE, prefetch=1),
        "|put 1 |put 2 1! |nack 1 |put 3 2 |ack 2 1r |ack 1 3",
    ),
    "Q-4 no limit, lost with its channel": (RabbitMQ(**UNLIMITED, **ALONE, prefetch=3), "1! 2 3 ⚡ 1r 2r 3r 4"),
    "Q-4 no limit, two given back": (RabbitMQ(**UNLIMITED, **ALONE, prefetch=3), "1! 2! |nack 2 |nack 1 3 2r 1r"),
    "Q-5 no limit, any number": (RabbitMQ(**UNLIMITED), REJECTED_21 + "1r! 1r"),
    "Q-13 the window has room": (RabbitMQ(**ALONE, prefetch=3), "1! 2! |nack 2 |nack 1 3 2r 1r 4"),
    "Q-13 returns take the room": (RabbitMQ(**ALONE, prefetch=3), "1! |nack 1 2 |ack 2 3! |nack 3 1r 4 3r"),
    "Q-9 what the living one has": (RabbitMQ(prefetch=3), "A:1 A:2 A:3 B:4 |ack 4 A:⚡ B:5 B:6 B:1r"),
    "Q-6": (RabbitMQ(), "1 2 1'"),
    "Q-8": (RabbitMQ(auto_ack=True), "1 2 ⚡ 4"),
    "Q-8 complete": (RabbitMQ(auto_ack=True), "1 2- 3- ⚡ 4 |end"),
    "Q-9 loss noticed late": (RabbitMQ(), "A:1 A:2 A:3 |ack 1 A:⚡ B:4 B:5 B:6 B:2r B:3r"),
    "P reset to what was not handed out yet": (Pulsar(cursor_resets=True), "1 2 |reset 3"),
    "Q-10 overtaken": (RabbitMQ(), "A:1- B:2 B:3 B:4 A:1"),
    "Q-10 unseen": (RabbitMQ(), "B:2 A:1"),
    "Q-11 zombie": (RabbitMQ(), "A:1- |evict A>B B:1r A:1"),
    "Q-12 SAC takes over": (RabbitMQ(**SAC), "A:1 A:2 A:3 A:⚡ B:2r B:3r B:4"),
    "Q-12 SAC cancelled": (RabbitMQ(**SAC), "A:1 A:2 A:3- |ack 1 |ack 2 |move A>B B:4 B:5 A: |nack 3 B:3r"),
    "Q-13 buffered": (RabbitMQ(**ALONE, prefetch=3), "1! |nack 1 2 3 1r"),
    "X-1": (RedisStreams(), "1 2 3 |ack 2 ⚡ 1r 3r 4"),
    "X-1 claimed": (RedisStreams(), "1 2 |ack 2 3 ⚡ |expire 1 |expire 3 1r 3r 4"),
    "X-1 free": (RedisStreams(), "1 2 3 ⚡ 1r 3r 4"),
    "X-2": (RedisStreams(), "1 2 |ack 2 3 ⚡ 4 5 6"),
    "X-2 complete": (RedisStreams(), "1 2 3! ⚡ 4 5 6 |end"),
    "X-3 claimed late": (RedisStreams(), "A:1 A:2 A:3 A:⚡ B:4 B:5 B:6 B:1r B:3r"),
    "X-4 late XACK counts": (RedisStreams(), "A:1- |expire 1 B:1r A:1 A: |ack 1 |end"),
    "X list tail": (LIST_TAIL, "1! 2 3 1r"),
    "X list head": (LIST_HEAD, "1! 1r 2 3"),
    "J-1": (JetStream(), "1 2 3 4 5 1r 6"),
    "J-1 written": (JetStream(), "1 2 |ack 2 3 |ack 3 4 |ack 4 5 |ack 5 |t=31s |expire 1 1r 6"),
    "J-1 another takes it": (JetStream(), "A:1- B:2 |ack 2 |expire 1 A:3 B:1r"),
    "J-2 late ack": (JetStream(), "A:1- |expire 1 B:1r- A:1 A: |ack 1 A:2"),
    "J given up by who holds it": (JetStream(), "A:1 |ack 1 B:2! |term 2 A:3 |ack 3 |end"),
    "J-1 nak, asked for before": (JetStream(), "1 2 3! |nack 3 4 3r 5"),
    "J-5 each partition": (JetStream(max_ack_pending=1, partitions=2), "A:q0/1- B:q1/2 A:q0/1"),
    "Q single active, each queue": (RabbitMQ(**SAC, queues=2), "A:q0/1 B:q1/2 A:q0/3"),
    "Q swap at send, unwritten": (RabbitMQ(outstanding_confirms=3, **ALONE), "1 3 2"),
    "F swap at send, unwritten": (SqsFifo(send_batch=10), "1 3 2"),
    "J-3": (JetStream(max_deliver=3), "1! 1r! 1r! 2"),
    "J-3 one at a time": (JetStream(max_deliver=3, max_ack_pending=1), "1! 1r! 1r! 2 |end"),
    "J-4 after the window": (JetStream(), "|put 1 1 |t=121s |put 1' 1'"),
    "J-4 one stored": (JetStream(), "|put 1 |t=119s |put 1' 1 |end"),
    "J-5 one at a time": (JetStream(max_ack_pending=1), "1! 1r 2 3"),
    "J-6 without ids": (JetStream(msg_ids=False), "|put 1 |t=1s |put 1' 1 1'"),
    "B-2": (ServiceBus(), "1 2 3 1r 4"),
    "B-2 written": (ServiceBus(), "1 2 |ack 2 3 |ack 3 |expire 1 1r 4"),
    "B-3": (SESSIONS, AGAIN_10 + "2 |put 1' 1'"),
    "B-3 dead": (SESSIONS, AGAIN_10 + "|dead 1 2 3 |put 1' 1'"),
    "B-4 session lost": (SESSIONS, "A:1 A:2 A:3 A:⚡ B:2r B:3r B:4"),
    "B-5 abandoned": (SESSIONS, "1! |nack 1 1r 2"),
    "D-1": (POSTGRES, "B:2 A:1"),
    "D-1 three workers": (POSTGRES, "B:3 A:1 C:2"),
    "D-1 one row after the other": (POSTGRES, "|put 1 |put 2 |put 3 A:1- B:2 |ack 2 B:3 |ack 3 A:1 |ack 1"),
    "D-1 not marked, and on": (POSTGRES, "A:1 A:2 |ack 2 |expire 1 B:1r"),
    "Q-10 two in one window": (RabbitMQ(prefetch=2), "B:3 A:1 A:2"),
    "J two pending": (JetStream(max_ack_pending=2, consumers=3), "B:2 A:1 A:3"),
    "D-2 rolled back": (POSTGRES, "A:1- ⚡ A:1r 2"),
    "D-3 after the next": (POSTGRES, "A:1! 2 1r"),
    "C-1": (CELERY_LATE, "A:1- |expire 1 B:1r A:1"),
    "C-2": (CELERY_EARLY, "1- 2 ⚡ 3 |end"),
    "C-3 retry": (CELERY_EARLY, "1! 2 3 1'"),
    "W-1": (WEBHOOK, "2 1 3"),
    "W-1 again": (WEBHOOK, "1 1r"),
    "W-1 two ids": (WEBHOOK, "1 1' 2"),
    "N-9 SNS standard": (SnsSqs(), "2 1 2r 1'"),
    "N-9 SNS filter": (SnsSqs(fifo=True, filter_policy=True), "1 3 |end"),
    "F-8 retention": (SqsStandard(retention_exceeded=True), "1 |drop 2 3 |end"),
    "F-8 equal bodies": (SqsFifo(content_based_deduplication=True), "1 3 |end"),
    "F-9 two groups": (SqsFifo(), "g1/1! g2/1 g1/1r g1/2 |end"),
    "D-4 lease": (PostgresQueue(style="lease"), "A:1- |expire 1 B:1r A:1"),
    "W-2 given up": (Webhook(gives_up=True), "1 3 |end"),
    "X-7 trimmed": (RedisStreams(trims=True), "1 3"),
    "X list popped": (RedisList(reliable=False), "1- ⚡ 2 |end"),
    "Q swap at send": (RabbitMQ(outstanding_confirms=5), "log: 1 3 2' ; 1 3 2'"),
    "in order": (InOrder(), "1 2 3! 4"),
    "anything": (Anything(), "3 1 1' 3r 3r"),
}

ILLEGAL = {
    "S-1 unmarked": (STANDARD, "1 2 1", "1", "tells a second delivery"),
    "S-1 never sent": (STANDARD, "2 1' |put 1'", "1'", "not put before"),
    "F-1 later first": (SqsFifo(), "[1 2 3] |ack 1 ⚡ |expire 2 |expire 3 4 2r 3r", "4", "2 is before 4"),
    "F-1 later first, free": (SqsFifo(), "1 2 3 2r 4", "4", "3 is before 4"),
    "F-1 deleted": (SqsFifo(), "[1 2 3] |ack 1 ⚡ |expire 2 |expire 3 1r", "1r", "settled"),
    "F-1 hole": (SqsFifo(), "1! 2 3 1r", "2", "skips_failed=True"),
    "F-1 unmarked": (SqsFifo(), "[1 2 3] |ack 1 ⚡ |expire 2 2", "2", "write `2r`"),
    "F-2": (SqsFifo(), "A:[1 2 3] B:4 A: |ack 1 |ack 2 |ack 3", "B:4", "not settled"),
    "F-2 part deleted": (SqsFifo(), "A:[1 2 3] |ack 1 |ack 2 B:4", "B:4", "3 blocks 4"),
    "F-2 in flight": (SqsFifo(), "A:1- B:2", "B:2", "1 blocks 2"),
    "F first out of order": (SqsFifo(), "1 3 2", "3", "2 is before 3"),
    "F receive of 10": (SqsFifo(), "1 2 3 4 5 6 7 8 9 10 11 1r", "1r", "settled"),
    "F receive of 1": (SqsFifo(max_number_of_messages=1), "1 2 1r", "1r", "settled"),
    "F late delete": (SqsFifo(), "A:1- |expire 1 B:1r A:1 A: |ack 1", "A: |ack 1", "late"),
    "F-2 sent after the receive": (SqsFifo(), "|t=0s |put 1 A:1- |t=10s |put 2 A:2-", "A:2-", "1 blocks 2"),
    "F-2 sent after the receive, Lambda": (LambdaSqs(fifo=True), "|put 1 A:1- |put 2 A:2-", "A:2-", "1 blocks 2"),
    "F-2 sent after the receive, SNS": (SnsSqs(fifo=True), "|put 1 A:1- |put 2 A:2-", "A:2-", "1 blocks 2"),
    "D-1 two rows": (POSTGRES, "|put 1 |put 2 |put 3 B:3 |ack 3 A:1 |ack 1 A:2 |ack 2", "A:2", "claims one row"),
    "D-1 two rows, free": (POSTGRES, "B:3 A:1 A:2", "A:2", "claims one row"),
    "D-1 two rows, leases": (PostgresQueue(style="lease"), "A:1- A:2", "A:2", "A has not run 1 yet"),
    "Q-10 two in a window of one": (RabbitMQ(prefetch=1), "B:3 A:1 A:2", "A:2", "prefetch=1"),
    "Q-10 not acknowledged before": (RabbitMQ(prefetch=1), "A:1 B:3 |ack 3 A: |ack 1 A:2", "A:2", "prefetch=1"),
    "J three pending": (JetStream(max_ack_pending=2, consumers=3), "C:3 A:1 B:2", "C:3", "max_ack_pending=2"),
    "Q-12 no consumer can have held it": (
        RabbitMQ(**SAC),
        "|put 1 A:1 |ack 1 A:⚡ |put 2 B:2r",
        "B:2r",
        "no consumer can have held it",
    ),
    "F-5 more": (SqsFifo(max_receive_count=2), "1! 1r! 1r!", "1r!", "max_receive_count=2"),
    "F-5 no dead letters": (SqsFifo(), "1! |dead 1 2", "|dead 1", "max_receive_count=None"),
    "F-5 before queued": (SqsFifo(max_receive_count=2), "1! 1r! |dead 1 2 |put 1' 1' 3", "1'", "3 is before 1'"),
    "F-5 before queued, log": (SqsFifo(max_receive_count=2), "log: 1 2 3 1' ; 1! 1r! 1' 2 3", "1'", "2 is before 1'"),
    "F-6": (SqsFifo(), "|put 1 1 |t=299s |put 1' 1'", "1'", "5 minutes"),
    "F-6 send not shown": (SqsFifo(), "1 |t=299s 1'", "1'", "5 minutes"),
    "F-7": (SqsFifo(), "[a2 a1 b1]", "[a2 a1 b1]", "in order"),
    "F-7 interleaved": (SqsFifo(), "[a1 b1 a2]", "[a1 b1 a2]", "together"),
    "F size": (SqsFifo(max_number_of_messages=2), "[1 2 3]", "[1 2 3]", "at most 2"),
    "F swap at send": (SqsFifo(), "log: 1 3 2", "2", "2 was sent before 3"),
    "F swap too far": (SqsFifo(send_batch=2), "log: 2 3 1", "1", "at most 2"),
    "F end": (SqsFifo(), "1 2! |end", "|end", "come again"),
    "L-1 FIFO, part": (LambdaSqs(fifo=True), "[1 2! 3-] [2r 3r]", "[2r 3r]", "1 is before 2"),
    "L-1 end": (LAMBDA, "[1 2! 3-] [2r 3r] |end", "|end", "1 is not settled"),
    "L-2 FIFO, later": (LambdaSqs(fifo=True), "[1 2! 3-] [4]", "[4]", "in order"),
    "G-1": (PubSub(ordering=True), "1! 2 3 1r 4", "4", "2 is before 4"),
    "G-1 gap": (PubSub(ordering=True), "1! 2 3 1r 3r", "3r", "2 is before 3"),
    "G first out of order": (PubSub(ordering=True), "1 3 2", "3", "2 is before 3"),
    "G-4": (PubSub(exactly_once=True), "1 |ack 1 2 1r", "1r", "settled"),
    "R-6": (SHARE, "1! 1r! 1r! 1r! 1r! 1r!", "1r!", "limit=5"),
    "R-6 span": (SHARE, "1! 201", "201", "locks=200"),
    "R-6 batch": (SHARE, "[2 1]", "[2 1]", "order"),
    "R-6 acknowledged": (SHARE, "1 |ack 1 1r", "1r", "settled"),
    "Q-1": (RabbitMQ(**ALONE, prefetch=3), "1 2 3 |ack 1 ⚡ 5 2r 3r 4r", "5", "before"),
    "Q-1 unmarked": (RabbitMQ(**ALONE, prefetch=3), "1 2 3 |ack 1 ⚡ 2", "2", "write `2r`"),
    "Q-1 beyond the prefetch": (RabbitMQ(**ALONE, prefetch=3), "1 2 3 |ack 1 ⚡ 2r 3r 4r 5r", "5r", "prefetch=3"),
    "Q-1 free beyond": (RabbitMQ(**ALONE, prefetch=3), "1 2 3 ⚡ 1r 2r 3r 4r", "4r", "prefetch=3"),
    "Q-2": (RabbitMQ(**CLASSIC, **ALONE, prefetch=3), "1 2! 3 |nack 2 4 2r", "4", "2 is due before 4"),
    "Q-3": (RabbitMQ(**CLASSIC, **ALONE, prefetch=3), "1! 2! 3 |ack 3 |nack 2 |nack 1 2r 1r", "2r", "1 is before 2"),
    "Q-4": (RabbitMQ(**ALONE, prefetch=3), "1! 2! 3 |ack 3 |nack 2 |nack 1 1r 2r", "1r", "2 is before 1"),
    "Q-5": (RabbitMQ(), REJECTED_21 + "1r", "1r", "delivery_limit=20"),
    "Q-4 a limit keeps its place": (RabbitMQ(**ALONE, prefetch=1), "1! |nack 1 2 3 1r", "2", "1 is due before 2"),
    "Q-4 a limit, free": (RabbitMQ(**ALONE, prefetch=1), "1! 2 3 1r", "2", "prefetch=1"),
    "Q-4 classic": (RabbitMQ(**CLASSIC, **UNLIMITED, **ALONE, prefetch=1), "1! |nack 1 2 1r", "2", "1 is due before"),
    "Q-4 no limit, not before": (
        RabbitMQ(**UNLIMITED, **ALONE, prefetch=1),
        "|put 1 |put 2 1! |nack 1 1r 2",
        "1r",
        "goes back to the tail of the queue: 2 is before 1",
    ),
    "Q-4 no limit, behind what is put since": (
        RabbitMQ(**UNLIMITED, **ALONE, prefetch=1),
        "|put 1 1! |nack 1 |put 2 2 1r",
        "2",
        "1 is due before 2",
    ),
    "Q-4 no limit, lost with its channel": (RabbitMQ(**UNLIMITED, **ALONE, prefetch=1), "1- ⚡ 2 1r", "2", "1 is due"),
    "Q-4 no limit, two given back": (
        RabbitMQ(**UNLIMITED, **ALONE, prefetch=3),
        "1! 2! |nack 2 |nack 1 3 1r 2r",
        "1r",
        "2 is before 1",
    ),
    "Q-13 a full window": (RabbitMQ(**ALONE, prefetch=3), "1! 2! 3! |nack 2 |nack 1 4 2r 1r", "4", "is due before 4"),
    "Q-13 full of returns": (RabbitMQ(**ALONE, prefetch=3), "1! |nack 1 2 |ack 2 3! |nack 3 1r 4 5", "5", "3 is due"),
    "Q-6 never marked": (RabbitMQ(), "1r 2", "1r", "before"),
    "Q-8": (RabbitMQ(auto_ack=True), "1 2 ⚡ 2r", "2r", "auto_ack=True"),
    "Q-8 not shown": (RabbitMQ(auto_ack=True), "1 2 ⚡ 3r", "3r", "auto_ack=True"),
    "Q-9 all of a lost consumer": (
        RabbitMQ(consumers=3, prefetch=3),
        "|put 1 |put 2 |put 3 A:1- A:2- A:3- A:⚡ B:2r- C:3r- |put 4 A:4",
        "A:4",
        "1 is due before 4",
    ),
    "Q each queue has its own numbers": (RabbitMQ(**SAC, queues=2), "q0/1 q0/2 q0/3 q1/2 q1/4", "q1/4", "q1/3 comes"),
    "Q-10": (RabbitMQ(**ALONE), "1 3 2", "3", "2 comes before 3"),
    "Q-10 both at A": (RabbitMQ(), "A:1 A:3 A:2 B:4", "A:2", "in the order of hand-over"),
    "Q-12 two active": (RabbitMQ(**SAC), "A:1 B:2 A:⚡", "B:2", "one active consumer"),
    "Q-12 SAC order": (RabbitMQ(**SAC), "A:1 A:2 A:3 A:⚡ B:3r B:2r", "B:2r", "settled"),
    "Q-14 late ack": (RabbitMQ(), "A:1- |evict A>B B:1r A:1 |ack 1", "|ack 1", "late"),
    "Q-14 dead": (RabbitMQ(), "1! |dead 1", "|dead 1", "no dead letters"),
    "X-1": (RedisStreams(), "1 2 3 |ack 2 ⚡ 1r 2r", "2r", "settled"),
    "X-1 claimed": (RedisStreams(), "1 2 |ack 2 3 ⚡ |expire 1 |expire 3 1r 2r", "2r", "settled"),
    "X-1 somebody else's history": (RedisStreams(), "A:1 2 3 |ack 2 A:⚡ B:1r", "B:1r", "still held"),
    "X-4": (RedisStreams(), "A:1- |expire 1 B:1r A:1 A: |ack 1 B:1r", "B:1r", "settled"),
    "J a late ack counts": (JetStream(), "A:1- |expire 1 B:1r- A:1 |ack 1 |expire 1 B:1r", "|expire 1", "not held"),
    "X-5 skipped": (RedisStreams(), "1 3", "3", "2 comes before 3"),
    "X-6 NOACK": (RedisStreams(noack=True), "1 2 ⚡ 2r", "2r", "settled"),
    "X list tail": (LIST_TAIL, "1! |put 4 1r 2 3 4", "1r", "tail"),
    "X list head": (LIST_HEAD, "1! |expire 1 2 1r", "2", "1 is due before 2"),
    "J-1": (JetStream(), "1 2 3 4 5 |expire 1 6 1r", "6", "1 is due before 6"),
    "J given up late": (JetStream(), "1! |expire 1 |term 1", "|term 1", "A does not hold 1, so it cannot give it up"),
    "J given up by another": (JetStream(), "A:1! B: |term 1", "B: |term 1", "B does not hold 1"),
    "J given up, and again": (JetStream(), "1! |term 1 1r", "1r", "its consumer gave it up"),
    "F nothing gives up": (SqsFifo(), "1! |term 1", "|term 1", "gives a message up for good"),
    "J none": (JetStream(ack_policy="none"), "1 |expire 1", "|expire 1", "not held"),
    "J-1 written": (JetStream(), "1 2 |ack 2 3 |ack 3 4 |ack 4 5 |ack 5 |t=31s |expire 1 6 1r", "6", "1 is due"),
    "J-5 nak": (JetStream(max_ack_pending=2, **ALONE), "1 |ack 1 2! |nack 2 3 |ack 3 4 2r", "4", "2 is due before 4"),
    "Q swap at send, too far": (RabbitMQ(outstanding_confirms=3, **ALONE), "log: 1 5 2 3 4", "5", "at most 3 sends"),
    "J-1 too soon": (JetStream(), "1 |t=10s |expire 1 1r", "|expire 1", "30 s"),
    "J-1 out of order": (JetStream(), "1 3 2", "3", "2 comes before 3"),
    "J-3": (JetStream(max_deliver=3), "1! 1r! 1r! 1r", "1r", "max_deliver=3"),
    "J-4": (JetStream(), "|put 1 1 |t=119s |put 1' 1'", "1'", "duplicate_window=120"),
    "J-5 one at a time": (JetStream(max_ack_pending=1), "1! 2 1r", "2", "max_ack_pending=1"),
    "J-5 settled": (JetStream(max_ack_pending=1), "1 2 1r", "1r", "settled"),
    "J-7 none": (JetStream(ack_policy="none"), "1 1r", "1r", "settled"),
    "B-1 completed": (ServiceBus(), "1 |ack 1 2 1r", "1r", "settled"),
    "B-3": (SESSIONS, AGAIN_10 + "1r!", "1r!", "max_delivery_count=10"),
    "B-3 too soon": (SESSIONS, "1! 1r! 2", "2", "1 is not done"),
    "B-4 order": (SESSIONS, "A:1 A:2 A:3 A:⚡ B:2r B:4", "B:4", "3 is before 4"),
    "B-4 what failed": (SESSIONS, "1! ⚡ 2", "2", "1 is before 2"),
    "B-6 locked": (SESSIONS, "A:1- B:2", "B:2", "1 blocks 2"),
    "B-7 delete": (ServiceBus(receive_mode="receive_and_delete"), "1 1r", "1r", "settled"),
    "D-1 one worker": (POSTGRES, "1 3 2", "3", "2 comes before 3"),
    "D-2 both run": (POSTGRES, "A:1- B:1r A:1", "A:1", "write `1r`"),
    "C-2": (CELERY_EARLY, "1- 2 ⚡ 1r", "1r", "acks_late=False"),
    "N-9 SNS FIFO": (SnsSqs(fifo=True), "1 3 2", "3", "2 is before 3"),
    "N-9 SNS deduplicates": (SnsSqs(fifo=True), "|put 1 1 |t=60s |put 1' 1'", "1'", "5 minutes"),
    "F-8 nothing is lost": (STANDARD, "1 |drop 2", "|drop 2", "loses no message"),
    "F-8 a gap": (SqsFifo(), "1 3 |end", "3", "2 is before 3"),
    "F-9 the group": (SqsFifo(), "g1/1! g2/1 g1/2", "g1/2", "g1/1 is not done"),
    "F not in the log": (SqsFifo(), "log: 1 3 ; 1 2", "2", "not in the log"),
    "F log copy": (SqsFifo(), "log: 1 1' 2 ; 1 2", "2", "1' is before 2"),
    "L-4 reported as done": (
        LambdaSqs(fifo=True, report_batch_item_failures=True),
        "[1 2! 3-] [1r]",
        "[1r]",
        "not among the failed ones",
    ),
    "B-8 duplicate detection": (ServiceBus(duplicate_detection=True), "|put 1 1 |t=60s |put 1' 1'", "1'", "600 s"),
    "Q-12 SAC, prefetch 1": (RabbitMQ(**SAC, **CLASSIC, prefetch=1), "1! 2", "2", "prefetch=1"),
    "Q swap at send": (RabbitMQ(), "log: 1 3 2", "2", "one send"),
    "W-2 kept": (WEBHOOK, "1 3 |end", "|end", "loses no message"),
    "in order": (InOrder(), "1 3", "3", "2 is before 3"),
    "in order once": (InOrder(), "1 1r", "1r", "once"),
    "anything": (Anything(), "1 2r", "2r", "marked"),
    "offsets": (STANDARD, "1 |c=2", "|c=2", "no offsets"),
}

SEEN = {
    "(i) NATS fetch 5": (JetStream(), "A:[e1 e2 e3- e4- e5-] A:⚡ B:e1r B:e2r B:e3r B:e4r B:e5r"),
    "(i) NATS fetch 5, unwritten": (JetStream(), "A:e1 A:e2 A:⚡ B:e2r B:e3r B:e4r B:e5r"),
    "(i) NATS new before old": (JetStream(), "A:e1 A:e2 A:⚡ B:e4 B:e5 B:e2r B:e3r"),
    "(i) Redis": (RedisStreams(), "A:e1 A:e2 A:⚡ B:e4 B:e5 B:e2 B:e3"),
    "(i) Redis own history": (RedisStreams(), "A:e1 A:e2 A:⚡ A:e2r A:e3r A:e4 A:e5"),
    "(i) SQS": (STANDARD, "e1 e2 ⚡ e1r e2r e3r e4r e5r"),
    "(i) SQS new first": (STANDARD, "e1 e2 ⚡ e4 e5 e2r e3r"),
    "(i) FIFO": (SqsFifo(), "[e1 e2 e3- e4- e5-] ⚡ e1r e2r e3r e4r e5r"),
    "(i) FIFO, unwritten": (SqsFifo(), "e1 e2 ⚡ e2r e3r e4 e5"),
    "(i) RabbitMQ": (RabbitMQ(prefetch=5), "A:e1 A:e2 A:⚡ B:e1r B:e2r B:e3r B:e4r B:e5r"),
    "(i) RabbitMQ from 2": (RabbitMQ(**CLASSIC, prefetch=5), "A:e1 A:e2 A:⚡ B:e2r B:e3r B:e4r B:e5r"),
    "(i) RabbitMQ beside": (RabbitMQ(prefetch=2), "A:e1 B:e3 B:e4 A:⚡ B:e5 B:e1r B:e2r"),
    "(i) Postgres": (POSTGRES, "A:e1 A:e2- A:⚡ B:e2r B:e3 B:e4 B:e5"),
    "(i) share group": (SHARE, "A:e1 A:e2 A:⚡ B:e1r B:e2r B:e3r B:e4r B:e5r"),
    "(ii) share release": (SHARE, "e1 e2 e3! e4 e5 e3r"),
    "(ii) NATS pull 1": (JetStream(), "e1 e2 e3! e4 e3r e5"),
    "(ii) NATS pull 5": (JetStream(), "e1 e2 e3! e4 e5 e3r"),
    "(ii) NATS pull 5, written": (JetStream(), "[e1 e2 e3! e4 e5] |nack e3 e3r"),
    "(ii) NATS one at a time": (JetStream(max_ack_pending=1), "e1 e2 e3! e3r e4 e5"),
    "(ii) Redis": (RedisStreams(), "e1 e2 e3! e4 e5 e3"),
    "(ii) SQS": (STANDARD, "e1 e2 e3! e4 e5 e3r"),
    "(ii) SQS at once": (STANDARD, "e1 e2 e3! e3r e4 e5"),
    "(ii) FIFO receive 1": (SqsFifo(max_number_of_messages=1), "e1 e2 e3! e3r e4 e5"),
    "(ii) FIFO receive 10": (SqsFifo(skips_failed=True), "[e1 e2 e3! e4 e5] e3r"),
    "(ii) RabbitMQ classic, prefetch 1": (RabbitMQ(**CLASSIC, prefetch=1), "e1 e2 e3! e3r e4 e5"),
    "(ii) RabbitMQ classic, prefetch 5": (RabbitMQ(**CLASSIC, prefetch=5), "e1 e2 e3! e4 e5 e3r"),
    "(ii) RabbitMQ quorum, prefetch 1": (RabbitMQ(delivery_limit=None, prefetch=1), "e1 e2 e3! e4 e5 e3r"),
    "(ii) RabbitMQ quorum, limit 2": (RabbitMQ(delivery_limit=2), "e1 e2 e3! e3r! e3r! e4 e5"),
    "(ii) RabbitMQ late nack": (RabbitMQ(), "B:e1 B:e2 B:e4 B:e5 A:e3! B:e6 B:e7 B:e3r"),
    "(ii) Postgres": (POSTGRES, "e1 e2 e3! e4 e5 e3r"),
    "(iii) competing": (JetStream(), "B:e2 B:e3 B:e4 A:e1 B:e5"),
    "(iii) competing RabbitMQ": (RabbitMQ(), "B:e2 B:e3 B:e4 A:e1 B:e5"),
    "(iii) competing Redis": (RedisStreams(), "B:e2 B:e3 B:e4 A:e1 B:e5"),
    "(iii) slow": (JetStream(), "A:e1- B:e1r A:e1"),
    "(iv) RabbitMQ": (RabbitMQ(dead_letter_exchange=True), "e1 e2 e3! e4 e5 e3'"),
    "(iv) NATS": (JetStream(max_deliver=2), "e1 e2 e3! e4 e3r! e5 e3'"),
    "(iv) SQS": (STANDARD, "e1 e2 e3! e4 e5 e3r! e3'"),
    "(iv) FIFO": (SqsFifo(max_receive_count=2), "e1 e2 e3! e3r! e4 e5 e3'"),
    "(iv) FIFO replay swallowed": (SqsFifo(max_receive_count=2), "e1 e2 e3! e3r! e4 e5 |t=60s |end"),
    "JetStream stored again": (JetStream(duplicate_window=1), "|put 1 |t=0.2s |put 1' |t=1.7s |put 1'' 1 1'' |end"),
}

MOTO = ["e1 e2 ⚡ e5r e1r e2r e3r e4r", "e1 e2 ⚡ e3r e2r e4 e5"]


@pytest.mark.parametrize(("broker", "trace"), LEGAL.values(), ids=LEGAL.keys())
def test_what_the_fact_sheet_calls_legal_is_permitted(broker: Broker, trace: str) -> None:
    """Each legal trace of the fact sheet, and each that follows from its text, can be made."""
    assert str(broker.permits(trace)) == "legal"


@pytest.mark.parametrize(("broker", "trace", "word", "why"), ILLEGAL.values(), ids=ILLEGAL.keys())
def test_what_the_fact_sheet_calls_illegal_is_refused_at_its_word(
    broker: Broker, trace: str, word: str, why: str
) -> None:
    """Each illegal trace is refused at the first word that cannot be, with a rule that says why."""
    answer = broker.permits(trace)
    assert (answer.allowed, answer.word) == (False, word), str(answer)
    assert why in str(answer)


@pytest.mark.parametrize(("broker", "trace"), SEEN.values(), ids=SEEN.keys())
def test_what_a_real_server_was_seen_to_do_is_permitted(broker: Broker, trace: str) -> None:
    """Each sequence that a real broker produced can be made."""
    assert str(broker.permits(trace)) == "legal"


@pytest.mark.parametrize(("broker", "trace"), [*LEGAL.values(), *SEEN.values()], ids=[*LEGAL.keys(), *SEEN.keys()])
def test_a_trace_may_stop_anywhere(broker: Broker, trace: str) -> None:
    """What begins a legal trace is legal: the judge looks at no later word."""
    whole = parse(trace)
    for end in range(1, len(whole.words)):
        beginning = spell_trace(attrs.evolve(whole, words=whole.words[:end]))
        assert str(broker.permits(beginning)) == "legal", beginning


FORGETFUL = {
    **{type(each).__name__: each for each in (STANDARD, SqsFifo(), SnsSqs(), LAMBDA, PubSub(), JetStream())},
    **{type(each).__name__: each for each in (RedisStreams(), LIST_TAIL, ServiceBus(), RabbitMQ(), POSTGRES)},
    "Celery": CELERY_LATE,
    "Webhook": WEBHOOK,
    "share group": SHARE,
    "leases": PostgresQueue(style="lease"),
    "ordering keys": PubSub(ordering=True),
    "exactly once": PubSub(exactly_once=True),
    "sessions": SESSIONS,
}


@pytest.mark.parametrize("broker", FORGETFUL.values(), ids=FORGETFUL.keys())
def test_a_killed_consumer_acknowledges_nothing(broker: Broker) -> None:
    """Its process is gone, and the next one of that name was handed nothing."""
    answer = broker.permits("1 ⚡ |ack 1 2 |end")
    assert (answer.allowed, answer.word) == (False, "|ack 1"), str(answer)
    assert "A was killed and holds nothing of before: it cannot acknowledge 1" in str(answer)
    assert broker.permits("1 |ack 1 ⚡ 2 |ack 2 |end")


@pytest.mark.parametrize("name", FORGETFUL)
def test_only_xack_lets_somebody_else_acknowledge(name: str) -> None:
    """XACK names an entry, and no consumer."""
    answer = FORGETFUL[name].permits("A:1 A:⚡ B: |ack 1")
    assert answer.allowed is (name == "RedisStreams"), str(answer)


@pytest.mark.parametrize("trace", MOTO)
def test_the_wrong_order_of_an_emulator_is_refused(trace: str) -> None:
    """An emulator that returns the last message of a FIFO group first is no FIFO queue."""
    assert not SqsFifo().permits(trace)


LONG = {
    "none": (STANDARD, True),
    "group lock": (SqsFifo(), False),
    "dispatch": (RabbitMQ(prefetch=100), True),
    "pending": (JetStream(), True),
    "cascade": (PubSub(ordering=True), True),
}


@pytest.mark.parametrize(("broker", "legal"), LONG.values(), ids=LONG.keys())
def test_sixty_words_over_twelve_messages_are_judged_with_few_calls(broker: Broker, legal: bool) -> None:
    """Less than a hundredth of a second."""
    once = " ".join(map(str, range(1, 13)))
    again = " ".join(f"{number}r" for number in range(2, 13))
    trace = " ".join([once, *[again] * 5])
    assert broker.permits(trace).allowed is legal
    assert calls_to_judge(broker, trace) < 100_000
