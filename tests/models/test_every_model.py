"""Every model under any faults and any refusals: it ends, loses nothing by itself, and can be told and saved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import attrs
import pytest

from cases import cases
from chaoskit.brokers import (
    BROKERS,
    Celery,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    Outbox,
    PubSub,
    RabbitMQ,
    RedisList,
    RedisStreams,
    ServiceBus,
    Settings,
    SqsFifo,
)
from chaoskit.models.log.model import LogModel
from chaoskit.models.queue.model import QueueSettings
from chaoskit.repro.read import Repro, read
from chaoskit.repro.write import document
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import Fault, FaultKind
from chaoskit.values.invariant import Violation
from chaoskit.values.scenario import Model, Scenario
from chaoskit.values.schedule import Do, Raw, Schedule, what_of
from chaoskit.values.verdict import Verdict
from models.systems import SYSTEMS
from models.test_composition import Refuses, random_refusals

LIMITED: dict[str, Settings] = {
    "Kafka, skips": Kafka(partitions=2, on_error="skip"),
    "Kafka, share group, one delivery": Kafka(group="share", consumers=2, delivery_count_limit=1),
    "Kinesis, Lambda, two retries": Kinesis(consumer="lambda", batch_size=3, maximum_retry_attempts=2),
    "Kinesis, Lambda, parallel": Kinesis(
        consumer="lambda", batch_size=2, parallelization_factor=3, bisect_batch_on_function_error=True
    ),
    "Outbox, dead letters": Outbox(relays=2, dead_letters=True),
    "LambdaSqs, dead letters": LambdaSqs(batch_size=3, max_receive_count=2, retention_exceeded=True),
    "LambdaSqs, FIFO, dead letters": LambdaSqs(fifo=True, batch_size=3, max_receive_count=2),
    "SqsFifo, one delivery": SqsFifo(max_receive_count=1, content_based_deduplication=True),
    "PubSub, filtered": PubSub(max_delivery_attempts=5, exactly_once=True, filtered=True),
    "RabbitMQ, one redelivery": RabbitMQ(delivery_limit=1, prefetch=2),
    "RabbitMQ, single active, dead letters": RabbitMQ(
        single_active_consumer=True, delivery_limit=2, dead_letter_exchange=True
    ),
    "RedisStreams, trims": RedisStreams(trims=True, pipelined_adds=3),
    "RedisList, dead letters": RedisList(dead_letters=True, pipelined_pushes=3),
    "JetStream, AckAll": JetStream(ack_policy="all", max_ack_pending=3),
    "JetStream, one at a time, dead letters": JetStream(max_ack_pending=1, max_deliver=2, dead_letters=True),
    "ServiceBus, sessions, two deliveries": ServiceBus(sessions=True, max_delivery_count=2, prefetch=2),
    "Celery, no retries": Celery(acks_late=True, retries=False),
    "Celery, one process": Celery(concurrency=1),
}
"""The least limits, and what loses messages or sets them aside: where most can go wrong."""

EVERY = SYSTEMS | LIMITED

pytestmark = pytest.mark.many

SCENARIOS = cases(80)
"""For each system."""

SAVED = 5
"""One scenario in so many is written to a file and read again, which is what takes long."""

TOO_LONG = 2_000
"""Steps. The longest that ends takes some hundred: twelve events, twelve faults, ten attempts each."""

ARBITRARY = 0.2
"""How often an argument is any small number, and not one that a search would draw."""


class Wrong(AssertionError):
    """No model may do this."""


def require(condition: object, claim: str) -> None:
    if not condition:
        raise Wrong(claim)


def random_stream(random: Random) -> Stream:
    """One to twelve events of up to three keys, some without a key."""
    keys: list[str | None] = [*"abc"[: random.randint(1, 3)]]
    if random.random() < 0.3:
        keys.append(None)
    return Stream.of([Event(random.choice(keys), random.choice("xyz")) for _ in range(random.randint(1, 12))])


def random_faults(random: Random, model: Model, kinds: Sequence[FaultKind]) -> tuple[Fault, ...]:
    """Up to twelve, half of them at one event."""
    size = len(model.stream)
    focus = random.randrange(size)
    faults: list[Fault] = []
    for _ in range(random.choice((0, 1, 1, 2, 2, 3, 4, 6, 12)) if kinds else 0):
        position = focus if random.random() < 0.5 else random.randrange(size)
        kind = random.choice(kinds)
        arguments = random_arguments(random, model, kind, position)
        if arguments is not None:
            make: Any = kind
            faults.append(make(model.stream[position].id, *arguments))
    return tuple(faults)


def random_arguments(random: Random, model: Model, kind: FaultKind, position: int) -> list[int] | None:
    """What a search draws; or any small numbers, also where a search would draw nothing, as a user may write them.

    A loss stays where the settings can lose the event: nothing but its content decides that.
    """
    fields = attrs.fields(kind)[1:]
    if fields and random.random() < ARBITRARY:
        return [random.randrange(2) if field.name == "lost" else random.randrange(14) for field in fields]
    ranges = model.arguments(kind, position)
    if ranges is None or not all(ranges):
        return None
    return [options[int(len(options) * random.random() ** 2)] for options in ranges]


def played(model: Model, faults: Sequence[Fault], refuses: Refuses | None) -> tuple[list[Raw], list[int]]:
    """The raw steps, and the numbers of those that were refused."""
    play = model.play(faults)
    steps: list[Raw] = []
    refused: list[int] = []
    answer: bool | None = None
    while len(steps) < TOO_LONG:
        try:
            steps.append(tuple(play.send(answer)))
        except StopIteration:
            return steps, refused
        answer = (what_of(steps[-1]) == Do.DELIVER and refuses is not None and refuses(steps[-1][2])) or None
        if answer:
            refused.append(len(steps) - 1)
    raise Wrong("the run does not end")


# What must hold of every run.


def blocks(model: Model) -> bool:
    """What is refused to the end may keep others from being handed out."""
    settings = model._settings  # type: ignore[attr-defined]
    if isinstance(model, LogModel):
        return settings.reading.blocks  # type: ignore[no-any-return]
    leasing = settings.leasing
    keeps = leasing.lock != "message" or leasing.returns == "front" or (leasing.in_order and leasing.returns == "place")
    return leasing.gives_up == "never" and keeps  # type: ignore[no-any-return]


def nothing_is_lost_by_itself(model: Model, steps: Sequence[Raw], refused: Sequence[int]) -> None:
    taken = {step[2] for number, step in enumerate(steps) if what_of(step) == Do.DELIVER and number not in refused}
    gone = {step[2] for step in steps if step[0] in (Do.LOSE, Do.SKIP, Do.REFUSE)}
    missing = sorted(set(range(len(model.stream))) - taken - gone)
    given_up = {step[2] for step in steps if step[0] == Do.REFUSE}
    require(not missing or (given_up and blocks(model)), f"events {missing} were neither delivered nor lost")
    require(given_up <= {steps[number][2] for number in refused}, "an event was given up that nobody refused")
    done = {what_of(step) for step in steps}
    require(refused or Do.FAIL in done or Do.SKIP not in done, "a record was skipped at which no attempt failed")


def losses_have_a_fault(model: Model, faults: Sequence[Fault], steps: Sequence[Raw]) -> None:
    asked = {fault.at for fault in faults if type(fault).__name__ == "Lose"}
    lost = {model.stream[step[2]].id for step in steps if step[0] == Do.LOSE}
    require(lost <= asked, f"{sorted(map(str, lost - asked))} lost without a Lose")


def each_place_holds_one_event(steps: Sequence[Raw]) -> None:
    content: dict[tuple[int, int], int] = {}
    for do, consumer, position, partition, offset, *_ in steps:
        require(consumer >= 0, "no such consumer")
        if do == Do.RESTART:
            require((position, partition, offset) == (-1, -1, -1), "a restart of an event")
            continue
        require(partition >= 0 and offset >= 0, "no such place")
        same = content.setdefault((partition, offset), position) == position
        require(same, f"place {partition}/{offset} changed its event")


def deliveries_are_counted(broker: Settings, steps: Sequence[Raw]) -> None:
    """Where there is a count, no two deliveries of a message have the same one, nor one above the broker's limit.

    They need not ascend: a zombie's comes late."""
    counts: set[tuple[int, int, int]] = set()
    stages = broker.stages()
    most = stages.leasing.most_deliveries if isinstance(stages, QueueSettings) else TOO_LONG
    if isinstance(stages, QueueSettings) and stages.leasing.split is not None:
        most += stages.leasing.window.bit_length()  # a batch that is halved uses no retry
    for step in steps:
        if what_of(step) == Do.DELIVER and isinstance(stages, QueueSettings):
            require(step[5] > 0 and step[3:6] not in counts, f"delivery {step[5]} of {step[3]}/{step[4]} came twice")
            require(step[5] <= most, f"delivery {step[5]} of {step[3]}/{step[4]}, and the limit is {most}")
            counts.add(step[3:6])


def messages_can_be_made(model: Model, steps: Sequence[Raw]) -> None:
    message = model.mail([None] * len(model.stream))
    for step in steps:
        if what_of(step) == Do.DELIVER:
            made, event = message(step), model.stream[step[2]]
            require((made.id, made.key, made.value, made.seq) == (event.id, event.key, event.value, event.seq), "mail")


def can_be_told(broker: Settings, schedule: Schedule, stream: Stream, faults: Sequence[Fault]) -> None:
    for step in schedule:
        require(step.fault is None or step.fault in faults, f"{step.fault} is no fault of the scenario")
        key = None if step.event is None else next(event.key for event in stream if event.id == step.event)
        require("{" not in f"{broker.lane(step, key)}{broker.mark(step)}", f"unfilled: {broker.mark(step)}")
    for _, sentence in broker.explain(schedule, stream.events):
        require(sentence.strip() and "{" not in sentence and "}" not in sentence, f"unfilled: {sentence!r}")


def can_be_saved(scenario: Scenario, schedule: Schedule, raw: Sequence[Raw], refused: Sequence[int], to: Path) -> None:
    broken = (Violation("final_state", "it differs"),)
    verdict = Verdict("violated", broken, scenario=scenario, schedule=schedule, expected=0, observed=1)
    to.write_text(json.dumps(document(verdict)), encoding="utf-8")
    repro: Repro = read(to)
    steps, refusals = repro.raw_steps()
    require(steps == list(raw), "a file keeps other steps")
    require(refusals == frozenset(refused), "a file keeps other refusals")
    require((repro.broker, repro.faults) == (scenario.broker, scenario.faults), "a file keeps another scenario")


def check(
    broker: Settings, stream: Stream, faults: tuple[Fault, ...], refuses: Refuses | None, to: Path | None
) -> None:
    """Raise Wrong, or whatever the model raises, where this scenario goes wrong."""
    model = broker.model(stream)
    steps, refused = played(model, faults, refuses)
    nothing_is_lost_by_itself(model, steps, refused)
    losses_have_a_fault(model, faults, steps)
    each_place_holds_one_event(steps)
    deliveries_are_counted(broker, steps)
    messages_can_be_made(model, steps)
    schedule = model.schedule(faults, steps, refused)
    can_be_told(broker, schedule, stream, faults)
    if to is not None:
        can_be_saved(Scenario(stream.events, broker, faults), schedule, steps, refused, to)


def scenarios(broker: Settings, random: Random) -> Iterator[tuple[Stream, tuple[Fault, ...]]]:
    while True:
        stream = random_stream(random)
        model = broker.model(stream)
        for _ in range(4):
            yield stream, random_faults(random, model, broker.kinds())


@pytest.mark.parametrize("refusing", [False, True], ids=["calm handler", "refusing handler"])
@pytest.mark.parametrize("name", EVERY)
def test_a_model_runs_to_its_end_whatever_goes_wrong(name: str, refusing: bool, tmp_path: Path) -> None:
    """Random faults, with and without refusals: it ends, delivers what is not lost, and can be told, saved and read."""
    broker, random = EVERY[name], Random(f"every model {name} {refusing}")
    for number, (stream, faults) in zip(range(SCENARIOS // 2), scenarios(broker, random), strict=False):
        seed = random.getrandbits(32)
        refuses = refusals(Random(seed), len(stream)) if refusing else None
        try:
            check(broker, stream, faults, refuses, tmp_path / "repro.json" if number % SAVED == 0 else None)
        except Exception as error:
            raise AssertionError(f"{error!r}\n{broker}\n{stream.events}\n{faults}\nrefusals {seed}") from error


def refusals(random: Random, size: int) -> Refuses:
    """Of a handler that refuses something."""
    return next(filter(None, iter(partial(random_refusals, random, size), 0)))


def test_every_broker_is_among_the_systems() -> None:
    """Whoever adds a broker adds it to the systems."""
    assert {type(broker) for broker in EVERY.values()} == set(BROKERS.values())
