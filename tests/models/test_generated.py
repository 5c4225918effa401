"""Whatever the search generates for a broker is permitted by it: two readings of one system agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from random import Random

import pytest

from cases import cases
from chaoskit import Event, Scenario, Stream
from chaoskit.brokers import JetStream, Kinesis, PubSub, RabbitMQ, Settings, SqsFifo, SqsStandard
from chaoskit.search.plans import Plans
from chaoskit.values.faults import Fail, Fault, Overtake, Resend, Zombie
from chaoskit.values.schedule import Do, Raw
from models.systems import SYSTEMS

pytestmark = pytest.mark.many

SCENARIOS = cases(150)
"""For each system."""
NOT_CALM = cases(100, most=200)
MOST_FAULTS = 4
"""Of one scenario: mixtures of more take the judge long and say no more."""


def streams(random: Random) -> Iterator[Stream]:
    """Streams of one to eight events of up to three keys."""
    while True:
        keys = "abc"[: random.randint(1, 3)]
        yield Stream.of([Event(random.choice(keys), random.choice("xyz")) for _ in range(random.randint(1, 8))])


def scenarios(broker: Settings, random: Random) -> Iterator[tuple[Stream, tuple[Fault, ...]]]:
    for stream in streams(random):
        plans = Plans(broker.model(stream), broker.kinds(), random.getrandbits(32))
        if not any(plans.choices(position) for position in range(len(stream))):
            yield stream, ()
            continue
        for plan, _ in zip(plans.mixtures(), range(5), strict=False):
            yield stream, plan[: random.randint(1, MOST_FAULTS)]


def played(broker: Settings, stream: Stream, faults: tuple[Fault, ...]) -> str:
    model = broker.model(stream)
    return model.trace(faults, list(model.play(faults)), ())


def assert_permitted(broker: Settings, traces: Iterable[tuple[tuple[Fault, ...], str]]) -> None:
    """A trace that was judged before, made by other faults or of other values, is not judged again."""
    judged = set()
    for faults, trace in traces:
        if trace not in judged:
            judged.add(trace)
            answer = broker.permits(trace) if trace else True
            assert answer, f"{faults}\n{trace}\n{answer}"


def refusing(
    broker: Settings, stream: Stream, faults: tuple[Fault, ...], refuses: Callable[[int], bool]
) -> tuple[list[Raw], set[int]]:
    """The steps for a handler that refuses deliveries of the events at these positions."""
    play = broker.model(stream).play(faults)
    steps: list[Raw] = []
    refused: set[int] = set()
    answer: bool | None = None
    while True:
        try:
            steps.append(play.send(answer))
        except StopIteration:
            return steps, refused
        answer = steps[-1][0] == Do.DELIVER and refuses(steps[-1][2])
        if answer:
            refused.add(len(steps) - 1)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_generated_is_permitted(name: str) -> None:
    """Each trace, with all its commits and settlements, is one that the broker's judge can make."""
    broker, random = SYSTEMS[name], Random(f"generated {name}")
    drawn = itertools.islice(scenarios(broker, random), SCENARIOS)
    assert_permitted(broker, ((faults, played(broker, stream, faults)) for stream, faults in drawn))


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "InOrder"])
def test_what_is_generated_is_not_calm(name: str) -> None:
    """The claim above is about deliveries that differ from in-order ones."""
    broker, random = SYSTEMS[name], Random(f"generated {name}")
    reported = 0
    for (stream, faults), _ in zip(scenarios(broker, random), range(NOT_CALM), strict=False):
        reported += played(broker, stream, faults) != played(broker, stream, ())
    assert reported > 0.3 * NOT_CALM


@pytest.mark.parametrize("name", ["Kafka, one partition", "SqsFifo", "JetStream, one at a time", "Kinesis", "InOrder"])
def test_corrupted_traces_of_ordered_brokers_are_refused(name: str) -> None:
    """The judge can say no: two first deliveries of one unit swapped, or a settled message once more, is refused."""
    broker, random = SYSTEMS[name], Random(f"corrupted {name}")
    tried = 0
    while tried < 100:
        stream = Stream.of([Event("a", number) for number in range(random.randint(2, 6))])
        words = played(broker, stream, ()).split(" ")
        places = [at for at, word in enumerate(words) if word.startswith("A:") and word != "A:"]
        at = random.randrange(len(places) - 1)
        one, other = places[at], places[at + 1]
        words[one], words[other] = words[other], words[one]
        tried += 1
        assert not broker.permits(" ".join(word for word in words if not word.startswith("|ack")))


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_generated_for_a_handler_that_refuses_is_permitted(name: str) -> None:
    """A refused message is shown again, given up or lost as that broker does it."""
    broker, random = SYSTEMS[name], Random(f"refusing {name}")
    for (stream, faults), _ in zip(scenarios(broker, random), range(SCENARIOS // 5), strict=False):
        steps, refused = refusing(broker, stream, faults, lambda position: random.random() < 0.1)
        trace = broker.model(stream).trace(faults, steps, sorted(refused))
        answer = broker.permits(trace) if trace else True
        assert answer, f"{faults}\n{trace}\n{answer}"


def test_lambda_halves_a_batch_that_fails() -> None:
    """N-2 of the fact sheet as the model runs it, `[1 2 3 4!] [1r 2r] [3r 4r!] [3r] [4r!]`, and then `[4r]`:
    halving uses no retry, so that one is left."""
    broker = Kinesis(
        shards=1, consumer="lambda", batch_size=4, bisect_batch_on_function_error=True, maximum_retry_attempts=1
    )
    stream = Stream.of([Event("a", number) for number in range(4)])
    shown: list[int] = []

    def refuses(position: int) -> bool:
        shown.append(position + 1)
        return position == 3 and shown.count(4) <= 3

    refusing(broker, stream, (), refuses)
    assert shown == [1, 2, 3, 4, 1, 2, 3, 4, 3, 4, 4]


@pytest.mark.parametrize("broker", [SqsStandard(), SqsFifo(), PubSub(), JetStream(), RabbitMQ(delivery_limit=None)])
def test_what_no_limit_gives_up_waits_after_ten_attempts_and_has_ten_more_at_the_end(broker: Settings) -> None:
    """A search has to end: what is refused so often is what the broker would show until somebody comes."""
    steps, refused = refusing(broker, Stream.of([Event("a", 1), Event("b", 2)]), (), {0}.__contains__)
    attempts = [step[2] for step in steps if step[0] == Do.DELIVER]
    assert attempts.count(0) == len(refused) == 20
    assert set(attempts[-10:]) == {0}


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_is_generated_for_a_handler_that_refuses_for_ever_is_permitted(name: str) -> None:
    """Whatever becomes of a message that is never taken: it is given up, or it keeps its place or its lane."""
    broker, random = SYSTEMS[name], Random(f"stubborn {name}")
    for (stream, faults), _ in zip(scenarios(broker, random), range(SCENARIOS // 15), strict=False):
        never = {random.randrange(len(stream)) for _ in range(random.randint(1, 2))}
        steps, refused = refusing(broker, stream, faults[:2], never.__contains__)
        trace = broker.model(stream).trace(faults[:2], steps, sorted(refused))
        answer = broker.permits(trace) if trace else True
        assert answer, f"{faults[:2]}\n{trace}\n{answer}"


@pytest.mark.parametrize(
    ("system", "faults", "never"),
    [
        ("RabbitMQ, no delivery limit", (Fail("e6", 2), Zombie("e3", 0, 4)), {0, 3}),
        ("RabbitMQ, classic", (Zombie("e1", 0, 1), Resend("e1", 0)), {0, 2}),
    ],
)
def test_a_consumer_that_holds_a_prefetch_of_refused_messages_is_handed_no_more(
    system: str, faults: tuple[Fault, ...], never: set[int]
) -> None:
    """What it keeps and what it has not given back yet count together. Random scenarios seldom fill it."""
    broker, stream = SYSTEMS[system], Stream.of([Event("a", number) for number in range(8)])
    steps, refused = refusing(broker, stream, faults, never.__contains__)
    answer = broker.permits(broker.model(stream).trace(faults, steps, sorted(refused)))
    assert answer, answer


def test_what_a_consumer_runs_that_it_has_lost_is_not_what_is_acknowledged() -> None:
    """B is taken for dead with 4 and 8, is handed 8 once more behind others, and runs it before what it has lost."""
    faults = [Overtake("e4", 0), Overtake("e8", 4), Overtake("e5", 0), Zombie("e4", 1, 4), Overtake("e6", 0)]
    scenario = Scenario([Event("a", number) for number in range(8)], RabbitMQ(), faults)
    *_, held, _, lost = scenario.schedule()
    assert scenario.trace().endswith("B:8r- B:5 |ack 5 B:6 |ack 6 B:8 |ack 8 B:4 B:8")
    assert (held.fault, lost.fault) == (Overtake("e8", 4), Zombie("e4", 1, 4))
