"""FastStream subscribers as its pages write them, with pydantic and Depends."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pydantic
import pytest

from chaoskit import Event, Fail, JetStream, Kafka, Message, Overtake, RabbitMQ, RedisStreams, UsageError, check
from chaoskit.adapters import faststream as adapter
from chaoskit.adapters.faststream_policies import acks_what_failed
from chaoskit.adapters.refusing import NotHandled

faststream = pytest.importorskip("faststream", reason="faststream is missing")

ORDERS = [Event("ann", {"order": "o1", "amount": 5}), Event("ann", {"order": "o2", "amount": 3})]
ACCOUNTS = [Event("ann", {"kind": "opened"}), Event("ann", {"kind": "paid", "amount": 5})]


class Order(pydantic.BaseModel):
    order: str
    amount: pydantic.PositiveInt


class Step(pydantic.BaseModel):
    kind: str
    amount: int = 0


def subscribed(kind: str, function: Any, **options: Any) -> Any:
    """A broker of this kind with one subscriber."""
    module = pytest.importorskip(f"faststream.{kind}", reason=f"faststream[{kind}] is missing")
    broker = getattr(module, {"rabbit": "RabbitBroker"}.get(kind, f"{kind.capitalize()}Broker"))()
    if kind == "redis":
        broker.subscriber(stream=module.StreamSub("events", group="shop", consumer="a"), **options)(function)
    elif kind == "nats":
        broker.subscriber("events", stream=module.JStream("events"), **options)(function)
    else:
        broker.subscriber("events", **options)(function)
    return broker


def ordering(kind: str, *, once: bool) -> Any:
    total: dict[str, int] = {}
    seen: set[str] = set()

    def database() -> dict[str, int]:
        return total

    async def on_order(order: Order, db: Any = faststream.Depends(database)) -> None:  # noqa: B008 - as it is written
        if not once or order.order not in seen:
            db["sum"] = db.get("sum", 0) + order.amount
        seen.add(order.order)

    broker = subscribed(kind, on_order)

    async def test(deliver: Any) -> dict[str, int]:
        total.clear()
        seen.clear()
        async with adapter.subscriber(broker) as handler:
            await deliver(handler)
        return dict(total)

    return test


@pytest.mark.parametrize(
    ("kind", "broker"),
    [("kafka", Kafka()), ("rabbit", RabbitMQ()), ("nats", JetStream()), ("redis", RedisStreams())],
)
def test_a_subscriber_that_counts_counts_twice(kind: str, broker: Any) -> None:
    """With each of its brokers; the id of the order holds."""
    assert check(ordering(kind, once=False), ORDERS, broker, schedules=12, seed=1).status == "violated"
    held = check(ordering(kind, once=True), ORDERS, broker, schedules=12, seed=1)
    assert held.status == "held", held.report()


def opening(policy: str | None) -> Callable[[Any], Any]:
    accounts: dict[str, int] = {}

    async def on_step(step: Step) -> None:
        if step.kind == "opened":
            accounts.setdefault("ann", 0)
        else:
            accounts["ann"] = max(accounts["ann"], step.amount)

    options = {} if policy is None else {"ack_policy": faststream.AckPolicy[policy]}
    broker = subscribed("rabbit", on_step, **options)

    async def test(deliver: Any) -> dict[str, int]:
        accounts.clear()
        await deliver(spawn=lambda: adapter.subscriber(broker, on_step))
        return dict(accounts)

    return test


def test_what_fails_once_is_rejected_by_default() -> None:
    """A payment that comes before its account is lost; NACK_ON_ERROR brings it back."""
    queue = RabbitMQ(delivery_limit=None)
    found = check(opening(None), ACCOUNTS, queue, faults={Overtake}, schedules=12, seed=1)
    assert found.status == "violated"
    assert found.observed == {"ann": 0}
    held = check(opening("NACK_ON_ERROR"), ACCOUNTS, queue, faults={Overtake}, schedules=12, seed=1)
    assert held.status == "held", held.report()


KINDS = {"kafka": Kafka(partitions=1), "rabbit": RabbitMQ(), "nats": JetStream(), "redis": RedisStreams()}


def writing(kind: str, query: str, policy: str | None) -> Callable[[Any], Any]:
    """A subscriber with one statement, of which any attempt may be repeated."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)

    async def on_order(order: Order) -> None:
        db.execute(query, (order.order, order.amount))

    options = {} if policy is None else {"ack_policy": faststream.AckPolicy[policy]}
    broker = subscribed(kind, on_order, **options)

    async def test(deliver: Any) -> Any:
        db.executescript("drop table if exists t; create table t (id primary key, amount)")
        await deliver(spawn=lambda: adapter.subscriber(broker))
        return db.execute("select amount from t order by id").fetchall()

    return test


ONCE = "insert or ignore into t values (?, ?)"
TOLD = {
    "kafka": ("passed over", "went on behind e1"),
    "rabbit": ("rejected, and dropped", "its default for RabbitMQ"),
    "nats": ("terminated", "+TERM"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_policy_gives_up_is_gone(kind: str) -> None:
    """By default that is any failure, and one message shows it; NACK_ON_ERROR brings it back. To Redis nothing is said
    of a failure, so that it is claimed again."""
    asked = {"faults": {Fail}, "schedules": 12, "seed": 1}
    found = check(writing(kind, ONCE, None), ORDERS[:1], KINDS[kind], **asked)
    if kind in TOLD:
        assert found.status == "violated", found.report()
        assert found.schedule is not None
        assert [step.action for step in found.schedule] == ["deliver", "skip"]
        report = " ".join(found.report().split())
        assert all(words in report for words in (*TOLD[kind], "AckPolicy.NACK_ON_ERROR")), report
    else:
        assert found.status == "held", found.report()
    held = check(writing(kind, ONCE, "NACK_ON_ERROR"), ORDERS[:1], KINDS[kind], **asked)
    assert held.status == "held", held.report()


@pytest.mark.filterwarnings("ignore:AckPolicy.REJECT_ON_ERROR has the same effect")
@pytest.mark.parametrize("kind", ["kafka", "nats", "redis"])
def test_each_policy_of_each_broker_is_searched(kind: str) -> None:
    """A statement that fails once is missing, unless the policy says nothing to the broker."""
    for policy in ("ACK", "ACK_FIRST", "REJECT_ON_ERROR"):
        verdict = check(writing(kind, ONCE, policy), ORDERS[:1], KINDS[kind], faults={Fail}, schedules=4, seed=1)
        says_nothing = policy == "ACK" and kind != "kafka" and not acks_what_failed()  # an older FastStream
        comes_again = says_nothing or (kind == "redis" and policy == "REJECT_ON_ERROR")
        assert verdict.status == ("held" if comes_again else "violated"), f"{policy}: {verdict.report()}"


def test_a_pass_says_what_its_framework_gave_up() -> None:
    """The attempt fails before the subscriber is called: nothing of it is half done, and it is left out."""

    def latest(policy: str) -> Any:
        amounts: dict[str, int] = {}

        async def on_order(order: Order) -> None:
            amounts[order.order] = order.amount

        broker = subscribed("kafka", on_order, ack_policy=faststream.AckPolicy[policy])

        async def test(deliver: Any) -> dict[str, int]:
            amounts.clear()
            async with adapter.subscriber(broker) as handler:
                await deliver(handler)
            return dict(amounts)

        return test

    asked = {"faults": {Fail}, "schedules": 8, "seed": 1}
    gave_up = check(latest("ACK_FIRST"), ORDERS, Kafka(), **asked)
    assert gave_up.status == "held", gave_up.report()
    assert "given up whose attempts had failed before they had any effect" in " ".join(gave_up.report().split())
    assert "given up" not in check(latest("NACK_ON_ERROR"), ORDERS, Kafka(), **asked).report()
    assert check(latest("ACK_FIRST"), ORDERS, Kafka(), loss="violation", **asked).status == "violated"


def test_an_attempt_that_fails_is_rejected_too() -> None:
    """With one consumer a message that failed comes back behind another one, unless it is rejected."""

    def latest(**options: Any) -> Any:
        amounts: dict[str, int] = {}

        async def on_order(order: Order) -> None:
            amounts["ann"] = order.amount

        broker = subscribed("rabbit", on_order, **options)

        async def test(deliver: Any) -> dict[str, int]:
            amounts.clear()
            await deliver(spawn=lambda: adapter.subscriber(broker))
            return dict(amounts)

        return test

    queue = RabbitMQ(consumers=1, queue_type="classic")
    asked = {"faults": {Fail}, "schedules": 12, "seed": 1}
    found = check(latest(ack_policy=faststream.AckPolicy.NACK_ON_ERROR), ORDERS, queue, **asked)
    assert found.status == "violated", found.report()
    assert found.schedule is not None
    assert [step.action for step in found.schedule] == ["fail", "deliver", "deliver"]
    rejected = check(latest(), ORDERS, queue, **asked)
    assert rejected.status == "held", rejected.report()


def test_what_is_rejected_goes_to_the_dead_letters() -> None:
    """And is published again: only where nothing takes them it is lost."""
    queue = RabbitMQ(dead_letter_exchange=True)
    asked = {"faults": {Fail}, "schedules": 12, "seed": 1}
    held = check(writing("rabbit", ONCE, None), ORDERS[:1], queue, **asked)
    assert held.status == "held", held.report()
    acknowledged = check(writing("rabbit", ONCE, "ACK_FIRST"), ORDERS[:1], queue, **asked)
    assert acknowledged.status == "violated"


MESSAGE = Message("ann", {"order": "o1", "amount": 5}, "e1", 1, {}, 1_700_000_000.5, "events", 2, 7,
                  attempt=3, redelivered=True, message_id="m1", sequence=9)  # fmt: skip


@pytest.mark.parametrize("kind", ["kafka", "rabbit", "nats", "redis"])
@pytest.mark.asyncio
async def test_a_subscriber_gets_the_message_of_its_client(kind: str) -> None:
    """With what the broker stamps; and a policy decides what comes again."""
    seen: list[Any] = []
    answers: list[Any] = []

    async def on_order(order: Order, message: Any = faststream.Context("message")) -> None:  # noqa: B008
        seen.append(message.raw_message)
        if answers:
            raise answers.pop()

    broker = subscribed(kind, on_order, ack_policy=faststream.AckPolicy.NACK_ON_ERROR)
    before = len(broker.config.broker_config.broker_middlewares)
    async with adapter.subscriber(broker, headers=lambda message: {"trace": "t"}) as handler:
        await handler(MESSAGE)
        raw = seen[0]
        if kind == "kafka":
            assert (raw.topic, raw.partition, raw.offset, raw.key) == ("events", 2, 7, b"ann")
            assert (raw.timestamp, raw.value) == (1_700_000_000_500, b'{"order": "o1", "amount": 5}')
            assert ("trace", b"t") in raw.headers
        elif kind == "rabbit":
            assert (raw.redelivered, raw.message_id, raw.routing_key) == (True, "m1", "events")
            assert raw.headers == {"trace": "t"}
        elif kind == "nats":
            assert (raw.metadata.num_delivered, raw.metadata.sequence.stream) == (3, 9)
        else:
            assert raw["message_ids"] == [b"m1"]
        for _ in range(2):  # it comes again, and is called again
            answers.append(LookupError("customer"))
            with pytest.raises(LookupError):
                await handler(MESSAGE)
        answers[:] = [faststream.exceptions.NackMessage()]
        with pytest.raises(NotHandled, match="nacked"):
            await handler(MESSAGE)
    assert len(broker.config.broker_config.broker_middlewares) == before


@pytest.mark.asyncio
async def test_who_acknowledges_nothing_is_told() -> None:
    """And a function that is no subscriber of the broker is a mistake."""

    async def on_order(order: Order) -> None:
        pass

    broker = subscribed("rabbit", on_order, ack_policy=faststream.AckPolicy.MANUAL)
    async with adapter.subscriber(broker) as handler:
        with pytest.raises(NotHandled, match="nothing has acknowledged it"):
            await handler(MESSAGE)
    with pytest.raises(UsageError, match="has 0 subscribers"):
        async with adapter.subscriber(broker, print):
            pass
