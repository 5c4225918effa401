"""Whatever faults and refusals come together, the steps are ones that a real Kafka can make."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from chaoskit.brokers import Kafka
from chaoskit.values.event import Event
from chaoskit.values.faults import BatchSwap, DeadLetter, Duplicate, Fault, FaultKind, Overtake, Redeliver, Rehash
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Do, Raw
from models.legality import Illegal, check_legal

PLANS = 100_000
SEEDS = range(20)
TOO_LONG = 5_000
CHECKED: tuple[FaultKind, ...] = (Duplicate, Redeliver, DeadLetter, Rehash, BatchSwap, Overtake)
"""What the checker reads. What it does not (zombies, resends, losses) is judged by `permits`, in test_generated."""

Refuses = Callable[[int], bool]
"""Whether the handler refuses this delivery of the event at this position."""


def random_broker(random: Random) -> Kafka:
    return Kafka(
        partitions=random.randint(1, 6),
        consumers=random.randint(1, 3),
        idempotent_producer=False,
        max_in_flight=random.randint(2, 5),
        records_per_batch=random.choice((1, 1, 2, 3)),
        retry_order=random.choice(("newest_first", "sequence")),
        commit_every=random.choice((None, 1, 2, 3)),
        on_error=random.choice(("retry", "stop", "skip")),
        max_attempts=random.randint(1, 3),
    )


def random_events(random: Random) -> list[Event]:
    keys: list[str | None] = [*"abc"[: random.randint(1, 3)]]
    if random.random() < 0.3:
        keys.append(None)
    return [Event(random.choice(keys), n) for n in range(random.randint(1, 10))]


def random_fault(random: Random, at: str, kinds: tuple[FaultKind, ...]) -> Fault:
    kind = random.choice(kinds)
    small = random.randrange
    arguments: dict[FaultKind, tuple[int, ...]] = {
        Duplicate: (),
        Redeliver: (small(4),),
        DeadLetter: (small(4),),
        Rehash: (small(13), small(3), small(3), small(3)),
        BatchSwap: (small(4), small(2)),
        Overtake: (small(4),),
    }
    build: Any = kind
    return build(at, *arguments[kind])  # type: ignore[no-any-return]


def random_scenario(random: Random) -> Scenario:
    broker = random_broker(random)
    events = random_events(random)
    size = len(events)
    kinds = tuple(kind for kind in broker.kinds() if kind in CHECKED)
    faults = [random_fault(random, f"e{random.randint(1, size)}", kinds) for _ in range(random.randint(0, 6))]
    return Scenario(events, broker, faults)


def random_refusals(random: Random, size: int) -> Refuses | None:
    """A third of the handlers refuse: some events once or twice, some for ever, some now and then."""
    way = random.randrange(9)
    if way > 2:
        return None
    chosen = {random.randrange(size): random.choice((1, 2, 9)) for _ in range(random.randint(1, 3))}
    if way == 2:
        return lambda position: random.random() < 0.3

    def refuses(position: int) -> bool:
        left = chosen.get(position, 0)
        if 0 < left < 9:
            chosen[position] = left - 1
        return left > 0

    return refuses


def play(scenario: Scenario, refuses: Refuses | None) -> tuple[list[Raw], set[int]]:
    """The raw steps, and the numbers of those that were refused."""
    run = scenario.broker.model(scenario.stream).play(scenario.faults)
    if refuses is None:
        return list(run), set()
    steps: list[Raw] = []
    refused: set[int] = set()
    answer: bool | None = None
    while len(steps) < TOO_LONG:
        try:
            steps.append(run.send(answer))
        except StopIteration:
            return steps, refused
        answer = steps[-1][0] == Do.DELIVER and refuses(steps[-1][2])
        if answer:
            refused.add(len(steps) - 1)
    raise Illegal("the run does not end")


def objection(scenario: Scenario, steps: list[Raw], refused: set[int]) -> str | None:
    try:
        check_legal(scenario, steps, refused)
    except Illegal as illegal:
        return str(illegal)
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_every_composition_of_faults_is_a_legal_delivery(seed: int) -> None:
    """Random faults over random streams and settings, with random refusals, never break a rule of Kafka."""
    random = Random(f"composition {seed}")
    for _ in range(PLANS // len(SEEDS)):
        scenario = random_scenario(random)
        steps, refused = play(scenario, random_refusals(random, len(scenario.events)))
        reason = objection(scenario, steps, refused)
        assert reason is None, f"{reason}\n{scenario}\nrefused {sorted(refused)}\n{steps}"


# The checker can fail: every corruption of a legal run is seen.

D, R, P, B = Do.DELIVER, Do.RESTART, Do.PARK, Do.PUT_BACK
GROUP = Kafka(partitions=3, consumers=2)
"""Key `a` is in partition 1, of consumer 1; key `b` in partition 2, of consumer 0."""

REPLAY = Scenario([Event(key, 0) for key in "ababa"], GROUP, [Redeliver("e3", 1)])
REPLAY_STEPS: list[Raw] = [
    (D, 1, 0, 1, 0),
    (D, 0, 1, 2, 0),
    (D, 1, 2, 1, 1),
    (D, 0, 3, 2, 1),
    (D, 1, 4, 1, 2),
    (R, 1, -1, -1, -1),
    (D, 1, 2, 1, 1),
    (D, 1, 4, 1, 2),
]

TWICE = Scenario([Event("a", n) for n in range(3)], Kafka(partitions=1), [Redeliver("e2", 0), Redeliver("e3", 0)])
TWICE_STEPS: list[Raw] = [
    (D, 0, 0, 0, 0),
    (D, 0, 1, 0, 1),
    (R, 0, -1, -1, -1),
    (D, 0, 1, 0, 1),
    (D, 0, 2, 0, 2),
    (R, 0, -1, -1, -1),
    (D, 0, 2, 0, 2),
]

EVERY = Scenario([Event("a", n) for n in range(4)], Kafka(partitions=1, commit_every=2), [Redeliver("e4", 0)])
EVERY_STEPS: list[Raw] = [
    *((D, 0, n, 0, n) for n in range(4)),
    (R, 0, -1, -1, -1),
    *((D, 0, n, 0, n) for n in (2, 3)),
]

DEAD = Scenario([Event("a", n) for n in range(3)], Kafka(partitions=1), [DeadLetter("e1", 0)])
DEAD_STEPS: list[Raw] = [
    (P, 0, 0, 0, 0),
    (D, 0, 1, 0, 1),
    (B, 0, 0, 0, 2, 0, 1, 0, 0, 0),
    (D, 0, 0, 0, 2, 0, 1, 0, 0, 0),
    (D, 0, 2, 0, 3),
]


def swapped(steps: list[Raw], one: int, other: int) -> list[Raw]:
    steps = steps[:]
    steps[one], steps[other] = steps[other], steps[one]
    return steps


def replaced(steps: list[Raw], at: int, *instead: Raw) -> list[Raw]:
    return [*steps[:at], *instead, *steps[at + 1 :]]


@pytest.mark.parametrize(
    ("scenario", "steps"),
    [(REPLAY, REPLAY_STEPS), (TWICE, TWICE_STEPS), (EVERY, EVERY_STEPS), (DEAD, DEAD_STEPS)],
    ids=["replay", "two replays", "commit every 2", "dead letter"],
)
def test_the_checker_accepts_what_is_legal(scenario: Scenario, steps: list[Raw]) -> None:
    """The runs that are corrupted below are legal before, and the model makes just these."""
    assert objection(scenario, steps, set()) is None
    assert [tuple(step) for step in play(scenario, None)[0]] == steps


@pytest.mark.parametrize(
    ("scenario", "steps", "reason"),
    [
        pytest.param(REPLAY, swapped(REPLAY_STEPS, 0, 2), "not the next offset", id="swap in one partition"),
        pytest.param(REPLAY, replaced(REPLAY_STEPS, 2), "not the next offset", id="drop"),
        pytest.param(REPLAY, replaced(REPLAY_STEPS, 3), "neither delivered nor given up", id="drop the last"),
        pytest.param(REPLAY, REPLAY_STEPS[:-1], "was not read to its end", id="replay torn off"),
        pytest.param(REPLAY, replaced(REPLAY_STEPS, 1, (D, 1, 1, 2, 0)), "another consumer", id="wrong consumer"),
        pytest.param(
            REPLAY,
            replaced(REPLAY_STEPS, 5, (R, 1, -1, -1, -1), (D, 1, 0, 1, 0)),
            "below the commit",
            id="replay below the commit",
        ),
        pytest.param(REPLAY, replaced(REPLAY_STEPS, 6), "skips what was not committed", id="replay that skips"),
        pytest.param(REPLAY, swapped(REPLAY_STEPS, 6, 7), "skips what was not committed", id="replay out of order"),
        pytest.param(
            REPLAY,
            replaced(REPLAY_STEPS, 5, (R, 0, -1, -1, -1)),
            "without a Redeliver",
            id="wrong process",
        ),
        pytest.param(
            REPLAY,
            [*REPLAY_STEPS, (R, 0, -1, -1, -1), (D, 0, 3, 2, 1)],
            "a replay below the commit",
            id="replay without a fault",
        ),
        pytest.param(
            REPLAY, replaced(REPLAY_STEPS, 0, *REPLAY_STEPS[:1] * 2), "without a Duplicate", id="unasked copy"
        ),
        pytest.param(REPLAY, replaced(REPLAY_STEPS, 6, (D, 1, 0, 1, 1)), "record at an offset", id="other record"),
        pytest.param(
            TWICE,
            replaced(TWICE_STEPS, 5, (R, 0, -1, -1, -1), (D, 0, 1, 0, 1)),
            "below the commit",
            id="replay between two commits",
        ),
        pytest.param(
            TWICE,
            replaced(TWICE_STEPS, 5, (R, 0, -1, -1, -1), (D, 0, 0, 0, 0), (D, 0, 1, 0, 1)),
            "below the commit of an earlier one",
            id="replay below an earlier one",
        ),
        pytest.param(
            EVERY,
            replaced(EVERY_STEPS, 4, (R, 0, -1, -1, -1), (D, 0, 1, 0, 1)),
            "below the commit",
            id="replay of committed records",
        ),
        pytest.param(EVERY, replaced(EVERY_STEPS, 5), "skips what was not committed", id="replay of the last only"),
        pytest.param(DEAD, replaced(DEAD_STEPS, 3), "not the next offset", id="dead letter never shown"),
        pytest.param(DEAD, replaced(DEAD_STEPS, 2), "parked and never put back", id="never put back"),
        pytest.param(DEAD, replaced(DEAD_STEPS, 2, (B, 0, 0, 0, 1)), "taken", id="put back at an old offset"),
        pytest.param(DEAD, replaced(DEAD_STEPS, 2, *DEAD_STEPS[2:3] * 2), "never parked", id="put back twice"),
        pytest.param(DEAD, replaced(DEAD_STEPS, 0), "not the next offset", id="skipped without parking"),
    ],
)
def test_the_checker_objects_to_a_corrupted_run(scenario: Scenario, steps: list[Raw], reason: str) -> None:
    """One step swapped, dropped, added or sent elsewhere makes the run illegal, for the reason that fits."""
    with pytest.raises(Illegal, match=reason):
        check_legal(scenario, steps)


def test_the_checker_objects_to_a_fault_that_is_not_there() -> None:
    """The same legal steps are illegal where the scenario has no fault that brings them about."""
    for scenario, steps in ((REPLAY, REPLAY_STEPS), (DEAD, DEAD_STEPS)):
        calm = Scenario(scenario.events, scenario.broker)
        assert objection(calm, steps, set()) is not None


def test_the_checker_objects_to_a_fault_that_never_acted() -> None:
    """In order is illegal where a Duplicate asks for a copy."""
    scenario = Scenario([Event("a", 0)], Kafka(partitions=1), [Duplicate("e1")])
    with pytest.raises(Illegal, match="a fault that could act did not"):
        check_legal(scenario, [(D, 0, 0, 0, 0)])


def written(order: list[int], **settings: Any) -> tuple[Scenario, list[Raw]]:
    """The first batch of a partition fails once, and the log is in this order."""
    broker = Kafka(partitions=1, idempotent_producer=False, **settings)
    scenario = Scenario([Event("a", n) for n in sorted(set(order))], broker, [BatchSwap("e1", 9)])
    return scenario, [(D, 0, position, 0, offset) for offset, position in enumerate(order)]


@pytest.mark.parametrize(
    ("order", "settings", "reason"),
    [
        pytest.param([1, 2, 0, 3], {}, None, id="retry behind two"),
        pytest.param([0, 2, 1, 3], {}, "more than the window", id="a batch that did not fail"),
        pytest.param([1, 0, 2], {"max_in_flight": 2}, None, id="retry behind the window"),
        pytest.param([1, 2, 0], {"max_in_flight": 2}, "more than the window", id="retry behind more"),
        pytest.param([2, 3, 0, 1], {"records_per_batch": 2}, None, id="whole batches"),
        pytest.param([2, 3, 1, 0], {"records_per_batch": 2}, "torn or reordered", id="a reordered batch"),
        pytest.param([1, 2, 3, 0], {"records_per_batch": 2}, "torn or reordered", id="a torn batch"),
        pytest.param([0, 0, 1], {}, "lost or doubled", id="a batch written twice"),
    ],
)
def test_the_checker_knows_which_logs_a_producer_can_write(
    order: list[int], settings: dict[str, Any], reason: str | None
) -> None:
    """Only whole batches move, only those that failed, and no further than the window of requests."""
    found = objection(*written(order, **settings), set())
    assert found == reason if reason is None else reason in (found or "")


@pytest.mark.parametrize("corruption", ["swap", "drop", "wrong consumer"])
def test_no_random_corruption_of_a_random_run_is_accepted(corruption: str) -> None:
    """Two thousand random runs, each corrupted at a random place, are all found illegal."""
    random = Random(f"corruption {corruption}")
    corrupted = 0
    while corrupted < 2_000:
        scenario = random_scenario(random)
        scenario = Scenario(
            scenario.events,
            scenario.broker,
            [fault for fault in scenario.faults if type(fault) in (Redeliver, BatchSwap, Overtake)],
        )
        steps, _ = play(scenario, None)
        bad = corrupt(random, corruption, scenario, steps)
        if bad is not None:
            corrupted += 1
            assert objection(scenario, bad, set()) is not None, f"{scenario}\n{steps}\n{bad}"


def corrupt(random: Random, corruption: str, scenario: Scenario, steps: list[Raw]) -> list[Raw] | None:
    """None where this run has no place for it."""
    assert isinstance(scenario.broker, Kafka)
    numbers = [number for number, step in enumerate(steps) if step[0] == D]
    if corruption == "wrong consumer":
        if scenario.broker.consumers == 1:
            return None
        at = random.choice(numbers)
        return replaced(steps, at, (D, steps[at][1] + 1, *steps[at][2:]))
    if corruption == "drop":
        once = [n for n in numbers if sum(steps[n][2] == steps[other][2] for other in numbers) == 1]
        return replaced(steps, random.choice(once)) if once else None
    pairs = [(n, n + 1) for n in numbers if n + 1 in numbers and steps[n][3] == steps[n + 1][3]]
    return swapped(steps, *random.choice(pairs)) if pairs else None
