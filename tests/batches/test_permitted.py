"""Whatever goes wrong and wherever a batch ends: below the batches lies a run that the broker's own judge permits."""

from __future__ import annotations

import random
from typing import Any

import pytest

from chaoskit import Event
from chaoskit.search.batched import in_batches
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.event import Stream
from chaoskit.values.scenario import Model, all_kinds
from chaoskit.values.schedule import BATCH, BEGIN, DELIVER, DIE, GO_ON, Raw, size_of, what_of
from models.systems import SYSTEMS

STREAMS, PLANS, MOST = 8, 6, 150


class Refusing:
    """A consumer that refuses some calls, or some messages of them, and goes on with the model as `deliver` does."""

    def __init__(self, model: Model, plan: Plan, chance: random.Random) -> None:
        self.model, self.plan, self.chance = model, plan, chance
        self.steps: list[Raw] = []
        self.refused: list[int] = []
        self.batches: list[list[Raw]] = []

    def run(self) -> None:
        play, answer = self.model.play(self.plan), None
        while len(self.steps) < MOST:
            try:
                self.steps.append(play.send(answer))
            except StopIteration:
                return
            answer = None
            do, call = what_of(self.steps[-1]), self.steps[-1:]
            if do == BATCH:
                call = [play.send(None) for _ in range(size_of(self.steps[-1]))]
                self.steps += call
                self.batches.append(call)
            if do in (BATCH, BEGIN, DELIVER, DIE, GO_ON) and self._refuse(len(call)):
                play, answer = self._again()

    def _refuse(self, size: int) -> bool:
        if self.chance.random() < 0.8:
            return False
        failed = self.model.handover.failed
        lowest = 0 if failed is None else self.chance.randrange(size)
        first = len(self.steps) - size
        self.refused += [first + lowest] if failed == "listed" else range(first + lowest, first + size)
        return True

    def _again(self) -> Any:
        play, answer = self.model.play(self.plan), None
        for number, step in enumerate(self.steps):
            assert play.send(answer) == step
            answer = number in self.refused
        return play, answer


@pytest.mark.parametrize(
    "name",
    [
        "Kafka, two consumers", "SqsFifo", "LambdaSqs", "LambdaSqs, FIFO", "Kinesis, Lambda",
        "Kinesis, Lambda, bisects", "PubSub, ordered", "Pulsar, Shared, retry letters", "JetStream, AckAll",
        "ServiceBus, sessions", "RabbitMQ, classic",
    ],
)  # fmt: skip
def test_what_comes_in_batches_is_permitted(name: str) -> None:
    broker, chance, batches = SYSTEMS[name], random.Random(name), 0
    for salt in range(STREAMS):
        size = chance.randint(2, 8)
        model = broker.model(Stream.of([Event(chance.choice("ab"), n) for n in range(size)]))
        model.in_batches(chance.choice([3, 100]))
        plans = Plans(model, all_kinds(broker), salt, dict.fromkeys(range(size), (0, 1)))
        for plan, _ in zip(in_batches(plans.mixtures(), plans, salt), range(PLANS), strict=False):
            consumer = Refusing(model, plan, chance)
            consumer.run()
            for batch in consumer.batches:
                batches += 1
                assert 2 <= len(batch) <= model.most_together
                assert len({step[1] for step in batch}) == 1
                assert len({step[3:5] for step in batch}) == len(batch)
            schedule = model.schedule(plan, consumer.steps, consumer.refused)
            assert [step.raised for step in schedule] == [n in consumer.refused for n in range(len(schedule))]
            permitted = len(consumer.steps) >= MOST or broker.permits(
                model.trace(plan, consumer.steps, consumer.refused)
            )
            assert permitted, (plan, consumer.refused, str(permitted))
    assert batches >= 6
