"""What becomes of a message whose process dies: on a log and on a queue, and as the judge of traces reads it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from cases import cases
from chaoskit import (
    Anything,
    Crash,
    Event,
    InOrder,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    PostgresQueue,
    RabbitMQ,
    Redeliver,
    Scenario,
    ServiceBus,
    SqsFifo,
    SqsStandard,
    Stream,
)
from chaoskit.brokers.base import Settings
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.faults import KINDS
from chaoskit.values.schedule import Do, Raw, what_of
from models.systems import SYSTEMS

THREE = [Event("a", i) for i in range(3)]
STREAM = Stream.of([Event("abc"[(7 * i) % 3], i) for i in range(7)])
PLANS = cases(20, most=40)
"""For each system."""
DIES = [name for name, broker in SYSTEMS.items() if broker.why_impossible(Crash) is None]


def test_it_is_none_of_the_kinds_of_a_broker_as_it_takes_spawn() -> None:
    assert Crash not in KINDS
    assert all(Crash not in broker.kinds() for broker in SYSTEMS.values())


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_is_possible_wherever_a_message_comes_again_or_is_settled_first(name: str) -> None:
    broker = SYSTEMS[name]
    if name not in FIRST:  # none of these delivers a message once
        assert broker.why_impossible(Crash) == broker.why_impossible(Redeliver)
    else:
        assert (broker.why_impossible(Crash), bool(broker.why_impossible(Redeliver))) == (None, True)


FIRST = [
    "RabbitMQ, auto-ack", "RedisStreams, NOACK", "RedisList, BRPOP", "JetStream, no acks",
    "ServiceBus, receive and delete", "Celery", "Celery, RabbitMQ, acks early", "Celery, long countdown",
    "Webhook, GitHub",
]  # fmt: skip
"""What is settled before it is run is gone with its process."""
AHEAD = [name for name, broker in SYSTEMS.items() if {"commit_ahead", "auto_commit"} & set(broker.lossy())]
"""What may be settled before it is run comes again, or does not."""


def test_in_a_system_in_which_nothing_goes_wrong_nothing_dies() -> None:
    assert "once, in order" in str(InOrder().why_impossible(Crash))


@pytest.mark.parametrize("name", FIRST)
def test_what_was_settled_first_is_gone(name: str) -> None:
    model = SYSTEMS[name].model(STREAM)
    steps = list(model.play([Crash("e2", 1)]))
    assert [step[2] for step in steps if what_of(step) == Do.DIE] == [1]
    assert 1 not in [step[2] for step in steps if what_of(step) == Do.DELIVER]


@pytest.mark.parametrize(
    ("broker", "fault", "said"),
    [
        (Kafka(partitions=1), Crash("e2", 1), "deliver e1, die e2, restart, deliver e2, deliver e3"),
        (
            Kafka(partitions=1, commit_every=2), Crash("e2", 1),
            "deliver e1, die e2, restart, deliver e1, deliver e2, deliver e3",
        ),
        (SqsStandard(), Crash("e1", 0, 1), "die e1, restart, deliver e2, deliver e1, deliver e3"),
        (SqsFifo(), Crash("e1", 0, 5), "die e1, restart, deliver e1, deliver e2, deliver e3"),
        (RabbitMQ(consumers=1), Crash("e1", 3, 7), "die e1, restart, deliver e1, deliver e2, deliver e3"),
        (PostgresQueue(workers=1), Crash("e1", 3, 7), "die e1, restart, deliver e1, deliver e2, deliver e3"),
        (Anything(consumers=1), Crash("e3", 2), "deliver e1, deliver e2, die e3, restart, deliver e3"),
    ],
)  # fmt: skip
def test_it_comes_back_by_the_rule_of_its_broker(broker: Settings, fault: Crash, said: str) -> None:
    steps = Scenario(THREE, broker, [fault]).schedule()
    assert ", ".join(f"{step.action} {step.event or ''}".strip() for step in steps) == said
    dies = next(step for step in steps if step.action == "die")
    assert (dies.point, dies.fault) == (fault.point, fault)


@pytest.mark.parametrize(
    "name", [name for name in DIES if name not in FIRST and not name.startswith(("Outbox", "Debezium"))]
)
def test_when_all_was_done_it_is_a_redelivery(name: str) -> None:
    """The same messages come, in the same order, wherever the process can die. Of a relay it is the consumer that dies,
    and a `Redeliver` is the relay's."""
    model, died = SYSTEMS[name].model(STREAM), 0
    for id_ in STREAM.ids:
        steps = list(model.play([Crash(id_)]))
        if any(what_of(step) == Do.DIE for step in steps):
            died += 1
            assert shown(steps) == shown(list(model.play([Redeliver(id_)]))), (name, id_)
    assert died


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        (SqsStandard(max_receive_count=2), "park e2, deliver e3, put back e2, deliver e2"),
        (SqsFifo(max_receive_count=2), "park e2, deliver e3, put back e2, deliver e2"),
        (RabbitMQ(consumers=1, delivery_limit=1), "skip e2, deliver e3"),
        (JetStream(max_deliver=2), "skip e2, deliver e3"),
    ],
)
def test_at_the_last_delivery_it_is_a_dead_letter_or_gone(broker: Settings, said: str) -> None:
    steps = Scenario(THREE, broker, [Crash("e2", 1), Crash("e2", 1)]).schedule()
    twice = "die e2, restart, die e2, restart"
    assert ", ".join(f"{step.action} {step.event or ''}".strip() for step in steps) == f"deliver e1, {twice}, {said}"


ONCE = {
    "SqsStandard": SqsStandard(max_receive_count=1),
    "SqsFifo": SqsFifo(max_receive_count=1),
    "LambdaSqs": LambdaSqs(max_receive_count=1),
    "LambdaSqs, FIFO": LambdaSqs(fifo=True, max_receive_count=1),
    "ServiceBus": ServiceBus(max_delivery_count=1),
    "JetStream": JetStream(max_deliver=1),
    "Kafka, share group": Kafka(group="share", delivery_count_limit=1),
    "Kinesis, Lambda": Kinesis(consumer="lambda", maximum_retry_attempts=0),
}
"""What its process dies at had its only delivery."""


@pytest.mark.many
@pytest.mark.parametrize("name", ONCE)
def test_at_the_only_delivery_it_is_a_dead_letter_or_gone(name: str) -> None:
    """It can happen where nothing comes again, and the judge permits it in mixtures, too."""
    model, broker = ONCE[name].model(STREAM), ONCE[name]
    assert broker.why_impossible(Crash) is None
    for position, id_ in enumerate(STREAM.ids):
        steps = list(model.play([Crash(id_, 1)]))
        fates = [what_of(step) for step in steps if step[2] == position]
        assert fates in ([Do.DIE, Do.PARK, Do.PUT_BACK, Do.DELIVER], [Do.DIE, Do.SKIP]), fates
    for _, (without, plan) in zip(range(PLANS), mixtures(broker, 1), strict=False):
        if broker.permits(model.trace(without, list(model.play(without)), ())):
            permitted = broker.permits(model.trace(plan, list(model.play(plan)), ()))
            assert permitted, f"{plan}\n{permitted}"


@pytest.mark.parametrize("name", DIES)
def test_alone_it_is_void_nowhere(name: str) -> None:
    """Whatever else its consumer has: of other groups, of a buffer, of a batch."""
    model = SYSTEMS[name].model(STREAM)
    assert all(any(what_of(step) == Do.DIE for step in model.play([Crash(id_)])) for id_ in STREAM.ids)


def test_what_was_committed_ahead_comes_again_or_is_gone() -> None:
    broker = Kafka(partitions=1, commit_ahead=True)
    for after, said in ((0, "die e2, restart, deliver e2, deliver e3"), (1, "die e2, restart, deliver e3")):
        steps = Scenario(THREE, broker, [Crash("e2", 1, after)]).schedule()
        assert ", ".join(f"{step.action} {step.event or ''}".strip() for step in steps) == f"deliver e1, {said}"


def shown(steps: list[Raw]) -> list[int]:
    return [step[2] for step in steps if what_of(step) in (Do.DELIVER, Do.DIE)]


def mixtures(broker: Settings, salt: int) -> Iterator[tuple[Plan, Plan]]:
    """Plans of other kinds, and the same with a death or two."""
    chance, model = random.Random(salt), broker.model(STREAM)
    for plan in Plans(model, broker.kinds(), salt).mixtures():
        deaths = []
        for _ in range(chance.choice((1, 1, 2))):
            position = chance.randrange(len(STREAM))
            arguments = model.arguments(Crash, position)
            assert arguments is not None
            deaths.append(Crash(STREAM.ids[position], chance.randrange(4), chance.choice(arguments[1])))
        yield plan[:5], (*plan[:5], *deaths)


@pytest.mark.many
@pytest.mark.parametrize("name", DIES)
def test_the_judge_permits_every_death_and_what_died_comes_again(name: str) -> None:
    broker = SYSTEMS[name]
    model, died = broker.model(STREAM), 0
    for _, (without, plan) in zip(range(PLANS), mixtures(broker, 1), strict=False):
        steps = list(model.play(plan))
        died += sum(what_of(step) == Do.DIE for step in steps)
        last = {step[2]: what_of(step) for step in steps if what_of(step) in (Do.DELIVER, Do.DIE)}
        died_last = {position for position, do in last.items() if do == Do.DIE}
        skipped = {step[2] for step in steps if step[0] == Do.SKIP}
        ahead = {STREAM.ids.index(fault.at) for fault in plan if isinstance(fault, Crash) and fault.after}
        assert name in FIRST or died_last <= skipped | (ahead if name in AHEAD else set()), plan
        # What the two readings disagree about without any death is none of its.
        if broker.permits(model.trace(without, list(model.play(without)), ())):
            permitted = broker.permits(model.trace(plan, steps, ()))
            assert permitted, f"{plan}\n{permitted}"
    assert died >= PLANS // 2
