"""Whatever faults and refusals come together, the steps are ones that a real Kafka can make and that were asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import attrs
import pytest

from cases import cases
from chaoskit.brokers import Kafka
from chaoskit.values.event import Event
from chaoskit.values.faults import BatchSwap, DeadLetter, Duplicate, Fault, FaultKind, Overtake, Redeliver, Rehash
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Do, Raw

pytestmark = pytest.mark.many

PLANS = cases(10_000)
CORRUPTED = cases(1_000)
SEEDS = range(20)
TOO_LONG = 5_000
COMPOSED: tuple[FaultKind, ...] = (Duplicate, Redeliver, DeadLetter, Rehash, BatchSwap, Overtake)
"""None of these sends an event twice or loses one. The others are judged in test_generated."""

HASH = {"a": 584102524, "b": 294391796, "c": 270014794}
"""murmur2 & 0x7fffffff, as in `partitions.csv`."""

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
    kinds = tuple(kind for kind in broker.kinds() if kind in COMPOSED)
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
    raise AssertionError("the run does not end")


def waits(steps: Sequence[Raw]) -> bool:
    """Whether a partition waits for ever for what its consumer refuses, so that nobody reads its log to the end."""
    return any(step[0] in (Do.WAIT, Do.REFUSE) for step in steps)


def written(steps: Sequence[Raw]) -> dict[int, list[int]]:
    """The positions in each partition as the producer wrote them, without what came from the dead letters."""
    put_back = {(step[3], step[4]) for step in steps if step[0] == Do.PUT_BACK}
    records: dict[tuple[int, int], int] = {}
    for do, _, position, partition, offset, *_ in steps:
        if do in (Do.DELIVER, Do.FAIL, Do.PARK, Do.SKIP) and (partition, offset) not in put_back:
            records[partition, offset] = position
    found: dict[int, list[int]] = {}
    for (partition, _), position in sorted(records.items()):
        found.setdefault(partition, []).append(position)
    return found


def spelled_log(scenario: Scenario, steps: Sequence[Raw]) -> str:
    """What the producer wrote, and the attempts to send that failed, of a batch or of all; empty if none did."""
    broker = scenario.broker
    assert isinstance(broker, Kafka)
    at = {event.id: position for position, event in enumerate(scenario.events)}
    swaps = [fault for fault in scenario.faults if type(fault) is BatchSwap]
    log, failed = [], []
    for partition, positions in written(steps).items():
        log += [f"p{partition}/{position + 1}" for position in positions]
        order = sorted(positions)
        batch = {position: number // broker.records_per_batch for number, position in enumerate(order)}
        for fault in swaps:
            if at[fault.at] in batch:
                fails = [other for other in order if fault.lost or batch[other] == batch[at[fault.at]]]
                failed += [f"|fail p{partition}/{position + 1}" for position in fails]
    return f"log: {' '.join(log)} ; {' '.join(failed)}" if failed else ""


def unasked(scenario: Scenario, steps: Sequence[Raw], refused: Collection[int]) -> str | None:
    """What Kafka could do, and nothing in the scenario makes it do: a repetition, or disorder without any fault."""
    refused = {*refused, *(number for number, step in enumerate(steps) if step[0] == Do.FAIL)}
    assert isinstance(scenario.broker, Kafka)
    stops = scenario.broker.on_error == "stop"
    asked = Counter(type(fault) for fault in scenario.faults)
    done: Counter[FaultKind] = Counter()
    records: dict[int, set[tuple[int, int]]] = {}
    for number, step in enumerate(steps):
        before = steps[number - 1] if number else None
        again = number - 1 in refused and before is not None and before[1:] == step[1:]
        died = number - 1 in refused and before is not None and before[1] == step[1]
        done[Duplicate] += step[0] == Do.DELIVER and step == before and not again
        done[Redeliver] += step[0] == Do.RESTART and not (died and stops)
        done[DeadLetter] += step[0] == Do.PARK and not again
        if step[0] in (Do.DELIVER, Do.FAIL):
            records.setdefault(step[2], set()).add((step[3], step[4]))
    for kind in (Duplicate, Redeliver, DeadLetter):
        if done[kind] > asked[kind] or (done[kind] < asked[kind] and not refused):
            return f"{kind.__name__} {done[kind]} times, and {asked[kind]} times were asked for"
    back = Counter(step[2] for step in steps if step[0] == Do.PUT_BACK)
    doubled = next((position for position, found in records.items() if len(found) > 1 + back[position]), None)
    if doubled is not None:
        return f"event {doubled} was sent once, and is in the log more than once"
    if BatchSwap not in asked and any(positions != sorted(positions) for positions in written(steps).values()):
        return "no send failed, and the log is out of order"
    if not scenario.faults and not refused and [step[2] for step in steps] != list(range(len(scenario.events))):
        return "calm, but out of order"
    return None


def homes(scenario: Scenario, position: int) -> Collection[int]:
    """Where the producer can send this event: by the count of now, or by that before a growth it missed."""
    assert isinstance(scenario.broker, Kafka)
    key, count = scenario.events[position].key, scenario.broker.partitions
    missed: set[int] = set()
    at = {event.id: number for number, event in enumerate(scenario.events)}
    for start, fault in sorted((at[fault.at], fault) for fault in scenario.faults if type(fault) is Rehash):
        if start <= position:
            since = [event for event in scenario.events[start + 1 : position + 1] if event.key == key]
            if start < position and scenario.events[start].key == key and len(since) <= fault.lag:
                missed.add(count)
            count = max(count, fault.to)
    return range(count) if key is None else {HASH[key] % each for each in {count, *missed}}


def strayed(scenario: Scenario, steps: Sequence[Raw]) -> str | None:
    """A record in a partition where the producer does not send its key."""
    for partition, positions in written(steps).items():
        for position in positions:
            if partition not in homes(scenario, position):
                return f"event {position} is in a partition of other keys"
    return None


def refusal(scenario: Scenario, steps: Sequence[Raw], refused: Collection[int]) -> str | None:
    """What the judge of traces says against the run, or against the log that its producer wrote."""
    trace = scenario.broker.model(scenario.stream).trace(scenario.faults, steps, sorted(refused))
    whole = not waits(steps)
    for each in (f"{trace} |end" if whole else trace, spelled_log(scenario, steps) if whole else ""):
        answer = scenario.broker.permits(each) if each else True
        if not answer:
            return f"{each}: {answer}"
    return None


@pytest.mark.parametrize("seed", SEEDS)
def test_every_composition_of_faults_is_a_legal_delivery(seed: int) -> None:
    """Random faults over random streams and settings, with random refusals, never break a rule of Kafka."""
    random = Random(f"composition {seed}")
    for _ in range(PLANS // len(SEEDS)):
        scenario = random_scenario(random)
        steps, refused = play(scenario, random_refusals(random, len(scenario.events)))
        reason = unasked(scenario, steps, refused) or strayed(scenario, steps) or refusal(scenario, steps, refused)
        assert reason is None, f"{reason}\n{scenario}\nrefused {sorted(refused)}\n{steps}"


# The claims can fail: every corruption of a legal run is seen.

GROUP = Kafka(partitions=3, consumers=2)
REPLAY = "B:p1/1 B:|c=p1/3 A:p2/2 A:|c=p2/4 B:p1/3 A:p2/4 A:|c=p2/end B:p1/5 B:⚡ B:p1/3r B:p1/5r B:|c=p1/end |end"
"""Key `a` is in partition 1, of consumer B; key `b` in partition 2, of consumer A."""
TWICE = "1 |c=2 2 ⚡ 2r |c=3 3 ⚡ 3r |c=4 |end"
EVERY = "1 2 |c=3 3 4 ⚡ 3r 4r |c=5 |end"
DEAD = "|put 1 |dead 1 |c=2 |put 2 2 |c=1' |put 1' 1' |c=3 |put 3 3 |c=end |end"

BACKWARDS = "B:p1/3r B:p1/5r", "B:p1/5r B:p1/3r"


def replaced(trace: str, old: str, new: str) -> str:
    """The trace with one word, or a few in a row, replaced."""
    assert f" {trace} ".count(f" {old} ") == 1
    return " ".join(f" {trace} ".replace(f" {old} ", f" {new} ").split())


SWAPPED = replaced(REPLAY, "B:p1/1 B:|c=p1/3", "")


@pytest.mark.parametrize("trace", [REPLAY, TWICE, EVERY, DEAD])
def test_the_judge_accepts_what_is_legal(trace: str) -> None:
    """The runs that are corrupted below are legal before."""
    assert str(GROUP.permits(trace)) == "legal"


@pytest.mark.parametrize(
    ("trace", "word", "reason"),
    [
        pytest.param(replaced(SWAPPED, "B:p1/3", "B:p1/3 B:p1/1"), "B:p1/1", "1 comes before 3", id="swap"),
        pytest.param(replaced(EVERY, "1 2", "1"), "|c=3", "2 was not run yet", id="drop"),
        pytest.param(replaced(DEAD, "3 |c=end", ""), "|end", "3 must still be run", id="drop the last"),
        pytest.param(replaced(REPLAY, "B:p1/5r B:|c=p1/end", ""), "|end", "5 must still be run", id="replay torn off"),
        pytest.param(replaced(REPLAY, "B:p1/5", "A:p1/5"), "A:p1/5", "A does not own", id="wrong consumer"),
        pytest.param(replaced(REPLAY, "B:⚡", "B:⚡ B:p1/1r"), "B:p1/1r", "which is 3", id="replay below the commit"),
        pytest.param(replaced(REPLAY, "B:p1/3r", ""), "B:p1/5r", "which is 3", id="replay that skips"),
        pytest.param(replaced(REPLAY, *BACKWARDS), "B:p1/5r", "which is 3", id="replay out of order"),
        pytest.param(replaced(REPLAY, "B:⚡", "A:⚡"), "B:p1/3r", "goes back only by a restart", id="wrong process"),
        pytest.param(replaced(REPLAY, "|end", "A:⚡ A:p2/4r"), "A:p2/4r", "which is what follows 4", id="no fault"),
        pytest.param(replaced(REPLAY, "B:p1/3r", "B:p1/6r"), "B:p1/6r", "which is 3", id="other record"),
        pytest.param(replaced(TWICE, "3r", "2r"), "2r", "which is 3", id="replay between two commits"),
        pytest.param(replaced(TWICE, "3r", "1r 2r"), "1r", "which is 3", id="replay below an earlier one"),
        pytest.param(replaced(EVERY, "⚡ 3r", "⚡ 2r 3r"), "2r", "which is 3", id="replay of committed records"),
        pytest.param(replaced(EVERY, "3r 4r", "4r"), "4r", "which is 3", id="replay of the last only"),
        pytest.param(replaced(DEAD, "1' |c=3 |put 3 3", "|put 3 3"), "3", "1' comes before 3", id="never shown"),
        pytest.param(replaced(DEAD, "|put 1' 1'", "1'"), "1'", "1 was accepted already", id="never put back"),
        pytest.param(replaced(DEAD, "|put 1'", "|put 1' |put 1'"), "|put 1'", "already", id="put back twice"),
        pytest.param(replaced(DEAD, "|dead 1 |c=2", ""), "|put 1'", "not written twice", id="never set aside"),
        pytest.param(replaced(EVERY, "2 |c=3", "|c=3 2"), "|c=3", "2 was not run yet", id="committed before it ran"),
    ],
)
def test_the_judge_objects_to_a_corrupted_run(trace: str, word: str, reason: str) -> None:
    """One word swapped, dropped, added or put elsewhere makes the run illegal, for the reason that fits."""
    answer = GROUP.permits(trace)
    assert not answer
    assert answer.word == word, str(answer)
    assert reason in "; ".join(answer.rules), str(answer)


D, R, P, B = Do.DELIVER, Do.RESTART, Do.PARK, Do.PUT_BACK
ONE = Kafka(partitions=1)


@pytest.mark.parametrize(
    ("keys", "faults", "steps", "reason"),
    [
        ("a", [Duplicate("e1")], [(D, 0, 0, 0, 0)], "Duplicate 0 times, and 1 times"),
        ("a", [], [(D, 0, 0, 0, 0), (D, 0, 0, 0, 0)], "Duplicate 1 times, and 0 times"),
        ("a", [], [(D, 0, 0, 0, 0), (R, 0, -1, -1, -1), (D, 0, 0, 0, 0)], "Redeliver 1 times, and 0 times"),
        ("a", [], [(P, 0, 0, 0, 0), (B, 0, 0, 0, 1), (D, 0, 0, 0, 1)], "DeadLetter 1 times, and 0 times"),
        ("a", [], [(D, 0, 0, 0, 0), (D, 0, 0, 0, 1)], "event 0 was sent once"),
        ("aa", [], [(D, 0, 1, 0, 0), (D, 0, 0, 0, 1)], "the log is out of order"),
        ("aa", [], [(D, 0, 1, 0, 1), (D, 0, 0, 0, 0)], "calm, but out of order"),
    ],
)
def test_what_no_fault_asks_for_is_seen(keys: str, faults: list[Fault], steps: list[Raw], reason: str) -> None:
    """Legal for Kafka, each of them, and not what the scenario says."""
    scenario = Scenario([Event(key, n) for n, key in enumerate(keys)], ONE, faults)
    assert reason in (unasked(scenario, steps, set()) or "")


def test_a_record_among_other_keys_is_seen() -> None:
    """Key `a` of three partitions is in 1; of five, in 4."""
    calm = Scenario([Event("a", 0)], GROUP)
    assert strayed(calm, [(D, 0, 0, 2, 0)]) is not None
    assert strayed(calm, [(D, 1, 0, 1, 0)]) is None
    grown = Scenario([Event("a", 0)], GROUP, [Rehash("e1", 5)])
    assert strayed(grown, [(D, 0, 0, 4, 0)]) is None


@pytest.mark.parametrize(
    ("order", "settings", "reason"),
    [
        pytest.param("2 3 1 4", {}, None, id="retry behind two"),
        pytest.param("1 3 2 4", {}, "2 did not fail", id="a batch that did not fail"),
        pytest.param("2 1 3", {"max_in_flight": 2}, None, id="retry behind the window"),
        pytest.param("2 3 1", {"max_in_flight": 2}, "by 1 at most", id="retry behind more"),
        pytest.param("3 4 1 2", {"records_per_batch": 2}, None, id="whole batches"),
        pytest.param("3 4 2 1", {"records_per_batch": 2}, "written whole and in its own order", id="reordered"),
        pytest.param("2 3 4 1", {"records_per_batch": 2}, "written whole and in its own order", id="torn"),
        pytest.param("1 1' 2", {"idempotent_producer": True}, "1 was accepted already", id="written twice"),
    ],
)
def test_the_judge_knows_which_logs_a_producer_can_write(
    order: str, settings: dict[str, Any], reason: str | None
) -> None:
    """Only whole batches move, only those that failed, and no further than the window of requests."""
    broker = Kafka(**{"partitions": 1, "idempotent_producer": False, **settings})
    size = broker.records_per_batch
    answer = broker.permits(f"log: {order} ; {' '.join(f'|fail {number}' for number in range(1, size + 1))}")
    assert bool(answer) == (reason is None), str(answer)
    assert (reason or "") in "; ".join(answer.rules), str(answer)


@pytest.mark.parametrize("corruption", ["swap", "drop", "wrong consumer"])
def test_no_random_corruption_of_a_random_run_is_accepted(corruption: str) -> None:
    """A thousand random runs, each corrupted at a random place, are all found illegal."""
    random = Random(f"corruption {corruption}")
    corrupted = 0
    while corrupted < CORRUPTED:
        scenario = random_scenario(random)
        # Where nothing overtakes in the log and all hand-overs are listed, what is corrupted has no other explanation.
        broker = attrs.evolve(scenario.broker, idempotent_producer=True)
        faults = [fault for fault in scenario.faults if type(fault) in (Redeliver, Overtake)]
        scenario = Scenario(scenario.events, broker, faults)
        steps, refused = play(scenario, None)
        trace = scenario.broker.model(scenario.stream).trace(scenario.faults, steps, sorted(refused))
        bad = corrupt(random, corruption, trace.split(" "))
        if bad is not None:
            corrupted += 1
            assert not broker.permits(bad), f"{scenario}\n{trace}\n{bad}"


def corrupt(random: Random, corruption: str, words: list[str]) -> str | None:
    """None where this run has no place for it."""
    shown = [at for at, word in enumerate(words) if re.fullmatch(r"[A-Z]:p\d+/\d+", word)]
    unit = {at: words[at][2:].partition("/")[0] for at in shown}
    if corruption == "wrong consumer":
        restart = next((at for at, word in enumerate(words) if "⚡" in word), 0)
        owned = [at for at in shown if at < restart and unit[at] in {unit[other] for other in shown if other < at}]
        if not owned:
            return None
        at = random.choice(owned)
        return " ".join([*words[:at], f"Z{words[at][1:]}", *words[at + 1 :]])
    if corruption == "drop":
        at = random.choice(shown)
        replayed = any(words[at][2:] in word for word in words[at + 1 :])
        return None if replayed else " ".join([*words[:at], *words[at + 1 :], "|end"])
    pairs = [(one, other) for one, other in pairwise(shown) if unit[one] == unit[other]]
    if not pairs:
        return None
    one, other = random.choice(pairs)
    return " ".join([*words[:one], words[other], *words[one + 1 : other], words[one], *words[other + 1 :]])
