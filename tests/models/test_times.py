"""The time of a run: it never goes back, agrees with the timestamps, and has what a broker's timers ask for in it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from cases import cases
from chaoskit import (
    Crash,
    DeadLetter,
    Duplicate,
    Event,
    Fail,
    Fault,
    Message,
    Redeliver,
    Resend,
    Rewind,
    Stream,
    Zombie,
)
from chaoskit.brokers import (
    Celery,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    RabbitMQ,
    RedisStreams,
    ServiceBus,
    Settings,
    SqsFifo,
    SqsStandard,
    Webhook,
)
from chaoskit.brokers.together import Together
from chaoskit.execution import forks
from chaoskit.execution.execute import execute
from chaoskit.execution.script import Mailbox, Script
from chaoskit.values.timing import DAY, STEP
from models.systems import SYSTEMS
from models.test_same_steps import plans

EPOCH = 1_700_000_000.0
PLANS = cases(6)
"""For each system."""
STREAM = Stream.of([Event("abc"[(7 * i) % 3], i) for i in range(6)])
Refuses = Callable[[int, Message], bool]


@attrs.frozen
class Seen:
    """One delivery: of which event, at what time, with which timestamp, in seconds from the beginning."""

    id: Any
    now: float
    sent: float


def played(
    broker: Settings,
    faults: tuple[Fault, ...],
    stream: Stream = STREAM,
    refuses: Refuses = lambda number, message: False,
    asks: Callable[[int], bool] = lambda number: True,
) -> list[Seen]:
    """What a handler sees that asks for the time at these deliveries."""
    model = broker.model(stream)
    seen: list[Seen] = []
    numbers = itertools.count()

    def body(deliver: Any) -> int:
        def process() -> Callable[[Message], None]:
            def handle(message: Message) -> None:
                number = next(numbers)
                if asks(number):
                    seen.append(Seen(message.id, deliver.now() - EPOCH, message.timestamp - EPOCH))
                if refuses(number, message):
                    raise ValueError("not now")

            return handle

        deliver(spawn=process)
        return 1

    script = Script(Mailbox(model, EPOCH), list(model.play(faults)), faults)
    execute(body, script, forked_before=forks.made())
    return seen


@pytest.mark.parametrize("system", SYSTEMS)
def test_time_goes_on_and_no_message_is_from_the_future(system: str) -> None:
    """Under any faults and refusals; and whoever asks late hears the same. In order each comes as it is sent."""
    broker = SYSTEMS[system]
    calm = played(broker, ())
    assert [each.sent for each in calm] == list(range(len(STREAM)))
    assert [each.now - each.sent for each in calm] == pytest.approx([STEP] * len(STREAM), abs=1e-5)
    for number, faults in enumerate(itertools.islice(plans(broker.model(STREAM), broker, 7), 40, 40 + PLANS)):
        refuses: Refuses = lambda at, message, n=number: n % 3 == 0 and (at + n) % 4 == 0  # noqa: E731
        seen = played(broker, faults, refuses=refuses)
        times = [each.now for each in seen]
        assert times == sorted(times), faults
        assert all(each.sent <= each.now for each in seen), faults
        if number % 3 == 0:
            assert played(broker, faults, refuses=refuses, asks=lambda at: at % 3 == 2) == seen[2::3], faults


ONE = Stream.of([Event("a", 1)])
LEASED: dict[str, tuple[Settings, float]] = {
    "SQS": (SqsStandard(visibility_timeout=40), 40),
    "SQS FIFO": (SqsFifo(), 30),
    "Lambda": (LambdaSqs(), 30),
    "JetStream": (JetStream(ack_wait=7), 7),
    "Service Bus": (ServiceBus(), 60),
    "Redis Streams": (RedisStreams(), 60),
    "Celery on Redis": (Celery(acks_late=True), 3600),
    "a share group": (Kafka(group="share", record_lock_duration=15), 15),
}


@pytest.mark.parametrize("name", LEASED)
@pytest.mark.parametrize("fault", [Duplicate("e1"), Redeliver("e1"), Zombie("e1"), Crash("e1", 99)], ids=repr)
def test_a_lease_that_ran_out_has_taken_its_time(name: str, fault: Fault) -> None:
    """Since the message was handed out; a process that died takes some seconds more to begin again."""
    broker, lease = LEASED[name]
    if broker.why_impossible(type(fault)):
        pytest.skip("impossible")
    first, again = played(broker, (fault,), ONE)
    since = STEP if isinstance(fault, Zombie) else first.now  # what it holds was handed out before it is run
    assert lease <= again.now - since + 2 * STEP <= lease + 6


def waits(broker: Settings, *faults: Fault, stream: Stream = ONE, refused: int = 0) -> list[float]:
    """The seconds between deliveries, whole ones, where the first are refused."""
    seen = played(broker, faults, stream, lambda number, message: number < refused)
    return [round(later.now - each.now) for each, later in itertools.pairwise(seen)]


def test_what_is_refused_waits_for_its_back_off() -> None:
    """Behind the second that an attempt takes; at once where it is given back, and for the lease where nothing is."""
    assert waits(Webhook(), refused=4) == [6, 301, 1801, 7201]
    assert waits(Webhook(provider="slack"), refused=3) == [1, 61, 301]
    assert waits(Webhook(provider="github", redelivers=True), refused=2) == [21_601, 21_601]
    shopify = waits(Webhook(provider="shopify"), refused=8)
    assert len(shopify) == 8
    assert 3.5 * 3600 < sum(shopify) <= 4 * 3600
    assert waits(Kafka(on_error="retry_topic", retry_delay=10), refused=2) == [11, 11]
    assert waits(Celery(), refused=1) == [181]
    assert waits(RabbitMQ(), refused=2) == [1, 1]
    assert waits(SqsStandard(), refused=2) == [30, 30]
    # What blocks its partition has a last try much later, by which a lock of its own has run out.
    assert max(waits(Kafka(on_error="stop", max_attempts=3), refused=3)) >= 3600


def test_a_silent_consumer_is_taken_for_dead_after_a_while() -> None:
    for broker, silence in ((Kafka(session_timeout=20), 20), (Kinesis(), 10), (RabbitMQ(heartbeat=30), 30)):
        first = played(broker, (Zombie("e1"),), ONE)[0]
        assert round(first.now) == silence


def test_what_people_do_takes_days_where_all_else_is_handled() -> None:
    """A dead letter that is put back before the next event is sent was put back within the second."""
    letters = SqsStandard(max_receive_count=3)
    end = played(letters, (DeadLetter("e6"),))[-1]
    assert end.id == "e6"
    assert end.now == pytest.approx(end.sent + STEP)
    assert end.sent >= 2 * DAY
    middle = [each for each in played(letters, (DeadLetter("e1"),)) if each.id == "e1"]
    assert [each.sent for each in middle] == [1.5]
    assert middle[0].now < 2
    assert waits(Kafka(offset_resets=True), Rewind("e1"))[0] >= 2 * DAY


def test_what_is_about_to_come_does_not_wait_for_people() -> None:
    """Neither a message that is tried again nor an earlier letter that was put back is days late."""
    two = Stream.of([Event("a", 1), Event("a", 2)])
    for faults in ((DeadLetter("e1"), Fail("e2")), (DeadLetter("e1"), DeadLetter("e2", 1), Fail("e1", 1))):
        for each in played(SqsStandard(max_receive_count=5), faults, two):
            assert each.now - each.sent < 120, faults


def test_what_a_window_lets_through_was_sent_behind_it() -> None:
    """The broker would have dropped it else: five minutes of a FIFO queue."""
    assert waits(SqsFifo(), Resend("e1")) == [301]


def test_steps_that_no_model_makes_have_a_time() -> None:
    """Those of a file of another version are played as they are."""
    model = Kafka(partitions=1).model(STREAM)
    steps = list(model.play(()))
    backwards = [steps[0], *steps[:0:-1]]
    clock = model.times((), EPOCH)
    times = [clock.at(number, backwards, ()) - EPOCH for number in range(len(steps))]
    assert times[0] == pytest.approx(STEP)
    assert times[1:] == sorted(times[1:])
    assert times[1] >= 5


def test_several_streams_have_one_clock() -> None:
    """Each with the waits of its own broker."""
    stream = Stream.of([Event("a", i, topic="ab"[i % 2]) for i in range(6)])
    broker = Together(topics=("a", "b"), brokers=(SqsStandard(max_receive_count=3), Kafka(partitions=1)))
    for faults in itertools.islice(plans(broker.model(stream), broker, 7), 40, 100):
        seen = played(broker, faults, stream, lambda at, message: at % 7 == 3)
        times = [each.now for each in seen]
        assert times == sorted(times), faults
        assert all(each.sent <= each.now for each in seen), faults
    first, again = (each.now for each in played(broker, (Duplicate("e5"),), stream) if each.id == "e5")
    assert again - first >= 30
    letter = played(broker, (DeadLetter("e6"),), stream)[-1]
    assert letter.sent >= 2 * DAY
