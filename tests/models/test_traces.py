"""What Kafka can and cannot deliver, trace by trace, and each rule of its model on an example by hand.

Events are numbered 1, 2, 3… in the order of the stream. `2@0:1` is event 2 delivered from partition 0 at
offset 1, `2!@0:1` the same and refused; `R0` is a restart of consumer 0; `park(2@0:1)`, `back(2@0:4)`,
`skip(2@0:1)` and `refuse(2@0:4)` are the steps of that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations_with_replacement, pairwise
from typing import Any

import pytest

from chaoskit.brokers import Kafka
from chaoskit.values.errors import ImpossibleFault
from chaoskit.values.event import Event
from chaoskit.values.faults import BatchSwap, DeadLetter, Duplicate, Fault, Overtake, Redeliver, Rehash, Resend
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Do, Raw, Step

KEYS = {"X": "key-1", "Y": "key-0", "M": "key-4", "N": "order-1001"}
"""By murmur2: X is always in partition 0, Y in partition 1 of two or more, M in 0 of three and in 3 of six,
N in 0 of three and of six and in 6 of twelve."""

NAMES = {"park": "park", "put back": "back", "skip": "skip", "refuse": "refuse", "wait": "wait"}


def events(keys: str) -> list[Event]:
    return [Event(KEYS[key], number, id=number) for number, key in enumerate(keys, start=1)]


def kafka(**settings: Any) -> Kafka:
    return Kafka(**{"partitions": 1, "idempotent_producer": False, **settings})


def spell(step: Step) -> str:
    if step.action == "restart":
        return f"R{step.consumer}"
    record = f"{step.event}{'!' if step.raised else ''}@{step.partition}:{step.offset}"
    return record if step.action == "deliver" else f"{NAMES[step.action]}({record})"


def steps(keys: str, *faults: Fault, **settings: Any) -> str:
    """The steps for a handler that refuses nothing."""
    return " ".join(map(spell, Scenario(events(keys), kafka(**settings), faults).schedule()))


def steps_refusing(times: dict[int, int], keys: str, *faults: Fault, **settings: Any) -> str:
    """The steps for a handler that refuses each of these events so many times."""
    left = dict(times)

    def refuses(event: int) -> bool:
        left[event] = left.get(event, 0) - 1
        return left[event] >= 0

    return steps_of(refuses, keys, *faults, **settings)


def steps_of(refuses: Callable[[int], bool], keys: str, *faults: Fault, **settings: Any) -> str:
    """The steps for a handler that refuses what it is asked about by its number."""
    scenario = Scenario(events(keys), kafka(**settings), faults)
    model = scenario.broker.model(scenario.stream)
    play = model.play(faults)
    taken: list[Raw] = []
    refused: list[int] = []
    answer: bool | None = None
    for _ in range(100):
        try:
            step = play.send(answer)
        except StopIteration:
            return " ".join(map(spell, model.schedule(faults, taken, refused)))
        answer = step[0] == Do.DELIVER and refuses(step[2] + 1)
        if answer:
            refused.append(len(taken))
        taken.append(step)
    raise AssertionError("the run does not end")


def ids(keys: str, *faults: Fault, **settings: Any) -> str:
    """The events alone, in the order in which the handler sees them."""
    return " ".join(map(str, Scenario(events(keys), kafka(**settings), faults).schedule().delivered))


# Traces of the consumer side. Offsets are counted from 1 here, as the fact sheet numbers them.


def faults_of(count: int, *, swaps: bool, growth: bool) -> list[Fault]:
    """Every single fault with small arguments over this many events."""
    found: list[Fault] = []
    for at in range(1, count + 1):
        found.append(Duplicate(at))
        found += [Redeliver(at, after) for after in range(3)]
        found += [DeadLetter(at, after) for after in range(2)]
        if swaps:
            found += [BatchSwap(at, over, lost) for over in range(3) for lost in range(2)]
        if growth:
            found += [Overtake(at, by) for by in range(2)]
            found += [Rehash(at, 6, backlog, by) for backlog in range(2) for by in range(2)]
    return found


def plans(faults: Sequence[Fault]) -> Iterator[tuple[Fault, ...]]:
    """No fault, each one alone, and every two of them."""
    yield ()
    for size in (1, 2):
        yield from combinations_with_replacement(faults, size)


def offsets(schedule: Iterable[Step]) -> tuple[int | str, ...]:
    """What one consumer of one partition sees: offsets, counted from 1, and `R` for its death."""
    return tuple(
        "R" if step.action == "restart" else (step.offset or 0) + 1
        for step in schedule
        if step.action in ("deliver", "restart")
    )


def contains(trace: Sequence[object], part: Sequence[object]) -> bool:
    return any(tuple(trace[n : n + len(part)]) == tuple(part) for n in range(len(trace) - len(part) + 1))


@pytest.fixture(scope="module")
def commits_at_five() -> set[tuple[int | str, ...]]:
    """Every trace of seven records, the first four committed together, under up to two faults."""
    broker = kafka(commit_every=4)
    stream = events("XXXXXXX")
    every = plans(faults_of(7, swaps=True, growth=False))
    return {offsets(Scenario(stream, broker, plan).schedule()) for plan in every}


Traces = set[tuple[int | str, ...]]


def test_k1_a_replay_is_the_suffix_from_the_commit(commits_at_five: Traces) -> None:
    """K-1, legal: 5 and 6 delivered, a crash, and both again from the commit at 5."""
    schedule = Scenario(events("XXXXXXX"), kafka(commit_every=4), [Redeliver(5, 1)]).schedule()
    assert offsets(schedule) == (1, 2, 3, 4, 5, 6, "R", 5, 6, 7)
    assert offsets(schedule) in commits_at_five


def test_k2_no_replay_starts_behind_the_commit(commits_at_five: Traces) -> None:
    """K-2, illegal: after a crash behind 5 and 6 the replay never starts at 6."""
    assert any(contains(trace, (5, 6, "R", 5, 6, 7)) for trace in commits_at_five)
    assert not any(contains(trace, (5, 6, "R", 6)) for trace in commits_at_five)


def test_k4_no_replay_starts_below_the_commit(commits_at_five: Traces) -> None:
    """K-4, illegal: once 5 was delivered, with 1 to 4 committed, none of these comes back."""
    assert any("R" in trace[trace.index(5) :] for trace in commits_at_five if 5 in trace)
    for trace in commits_at_five:
        later = trace[trace.index(5) :] if 5 in trace else ()
        assert not {1, 2, 3, 4} & set(later), trace


def test_k5_a_replay_is_in_order(commits_at_five: Traces) -> None:
    """K-5, illegal: 6 before 5 after the crash; without a crash no trace ever goes back at all."""
    for trace in commits_at_five:
        for earlier, later in pairwise(trace):
            if isinstance(earlier, int) and isinstance(later, int):
                assert later >= earlier, trace


@pytest.fixture(scope="module")
def two_partitions() -> set[str]:
    """Every order of the records 1 and 2 of one partition and a and b of another under up to two faults."""
    names = {(0, 0): "1", (0, 1): "2", (1, 0): "a", (1, 1): "b"}
    scenarios = (
        Scenario(events("XYXY"), kafka(partitions=2), plan) for plan in plans(faults_of(4, swaps=True, growth=True))
    )
    return {
        " ".join(names.get((step.partition or 0, step.offset or 0), "?") for step in scenario.schedule() if step.event)
        for scenario in scenarios
    }


def test_k12_partitions_interleave_and_each_keeps_its_order(two_partitions: set[str]) -> None:
    """K-12: `1 a 2 b` and `a 1 2 b` are legal, `2 1 a b` is not, nor any other order with 2 before 1."""
    assert ids("XYXY", partitions=2) == "1 2 3 4"
    assert ids("XYXY", Overtake(1, 0), partitions=2) == "2 1 3 4"
    assert {"1 a 2 b", "a 1 2 b"} <= two_partitions
    assert "2 1 a b" not in two_partitions
    for trace in two_partitions:
        assert "2" not in trace or trace.index("1") < trace.index("2"), trace
        assert "b" not in trace or trace.index("a") < trace.index("b"), trace


# Traces of the producer side: the log of one partition, one batch for each event.


def log(keys: str, *faults: Fault, **settings: Any) -> str:
    """The records of partition 0 in the order of their offsets, read from what was delivered."""
    seen = {
        step.offset or 0: step.event
        for step in Scenario(events(keys), kafka(**settings), faults).schedule()
        if step.event is not None and step.partition == 0
    }
    return " ".join(str(seen[offset]) for offset in sorted(seen))


def every_log(keys: str, faults: Sequence[Fault], **settings: Any) -> set[str]:
    return {log(keys, *plan, **settings) for plan in plans(faults)}


def test_p1_an_idempotent_producer_keeps_its_order() -> None:
    """P-1: with idempotence the log is `B1 B2 B3` and a BatchSwap is refused."""
    settings = {"idempotent_producer": True}
    harmless = [f for f in faults_of(3, swaps=False, growth=False) if type(f) is not DeadLetter]
    assert every_log("XXX", harmless, **settings) == {"1 2 3"}
    with pytest.raises(ImpossibleFault, match="idempotent_producer=False"):
        log("XXX", BatchSwap(1), **settings)


def test_p2_a_batch_that_fails_once_lands_behind_those_in_flight() -> None:
    """P-2: B1 fails once; `B2 B3 B1` is legal, `B3 B1 B2` never happens while B2 and B3 succeed."""
    assert log("XXX", BatchSwap(1, 1)) == "2 3 1"
    others = [f for f in faults_of(3, swaps=False, growth=False) if type(f) is not DeadLetter]
    logs = {log("XXX", BatchSwap(1, over), *plan) for over in range(4) for plan in plans(others)}
    assert logs == {"2 1 3", "2 3 1"}


def test_p4_a_broken_connection_reverses_the_batches_of_java_and_none_of_librdkafka() -> None:
    """P-4: nothing in flight was written; Java sends `B3 B2 B1`, librdkafka `B1 B2 B3`."""
    assert log("XXX", BatchSwap(1, 1, 1)) == "3 2 1"
    assert log("XXX", BatchSwap(1, 1, 1), retry_order="sequence") == "1 2 3"


def test_p5_with_one_batch_in_flight_nothing_overtakes() -> None:
    """P-5: `B1 B2 B1'` is illegal with one request in flight; a BatchSwap is refused there."""
    harmless = [f for f in faults_of(3, swaps=False, growth=False) if type(f) is not DeadLetter]
    assert every_log("XXX", harmless, max_in_flight=1) == {"1 2 3"}
    with pytest.raises(ImpossibleFault, match="max_in_flight=2"):
        log("XXX", BatchSwap(1), max_in_flight=1)


@pytest.mark.parametrize("retry_order", ["newest_first", "sequence"])
def test_p5_a_batch_swap_never_writes_a_batch_twice(retry_order: str) -> None:
    """Under any two failures the log is a permutation of what was sent, and not always the same one."""
    swaps = [f for f in faults_of(4, swaps=True, growth=False) if type(f) is BatchSwap]
    logs = every_log("XXXX", swaps, retry_order=retry_order)
    assert {"1 2 3 4", "2 3 1 4", "2 1 4 3"} <= logs
    assert all(sorted(found.split()) == list("1234") for found in logs)


@pytest.mark.parametrize("retry_order", ["newest_first", "sequence"])
def test_p7_records_keep_their_order_inside_a_batch(retry_order: str) -> None:
    """P-7: batches of two change places under any two failures, their records never do."""
    swaps = [f for f in faults_of(5, swaps=True, growth=False) if type(f) is BatchSwap]
    logs = every_log("XXXXX", swaps, records_per_batch=2, retry_order=retry_order)
    assert {"1 2 3 4 5", "3 4 1 2 5", "3 4 5 1 2"} <= logs
    for found in logs:
        assert "1 2" in found, found
        assert "3 4" in found, found


# Rule 1: routing.


def test_without_faults_the_delivery_is_the_produce_order() -> None:
    """Partitions and consumers change nothing while nothing goes wrong."""
    calm = "1@0:0 2@1:0 3@1:1 4@0:1"
    assert steps("XYYX", partitions=3) == calm
    assert steps("XYYX", partitions=3, consumers=2, commit_every=2, records_per_batch=2) == calm


def test_rule_1_from_its_event_on_the_topic_has_more_partitions() -> None:
    """Earlier events of the key lie in the old partition, the fault's event and later ones in the new one."""
    assert steps("MMM", Rehash(2, 6), partitions=3) == "2@3:0 1@0:0 3@3:1"


def test_rule_1_the_trace_says_from_where_on_the_topic_has_more_partitions() -> None:
    """Before the first record that was sent by the new count, and once."""
    trace = Scenario(events("MMM"), kafka(partitions=3), [Rehash(2, 6)]).trace()
    assert trace.startswith("|grow 6 |put p3/2 A:p3/2 ")
    assert trace.count("|grow") == 1


def test_rule_1_producers_with_old_metadata_go_on_for_lag_events_of_the_key() -> None:
    """With lag=2 the next two events of the key, and only of that key, still go to the old partition."""
    assert (
        steps("MMXMMM", Rehash(2, 6, lag=2), partitions=3) == "2@3:0 1@0:0 3@0:1 4@0:2 5@0:3 6@3:1"
    )  # X stays in 0 anyway; it uses up none of the lag


def test_rule_1_a_topic_never_shrinks() -> None:
    """A Rehash to fewer partitions finds nothing to act on."""
    assert steps("MMM", Rehash(2, 2), partitions=3) == "1@0:0 2@0:1 3@0:2"


def test_rule_1_a_void_growth_does_not_end_the_lag_of_an_earlier_one() -> None:
    """The second Rehash changes no count, so event 3 is still sent by a producer with old metadata."""
    alone = "2@3:0 1@0:0 3@0:1 4@3:1"
    assert steps("MMMM", Rehash(2, 6, lag=1), partitions=3) == alone
    assert steps("MMMM", Rehash(2, 6, lag=1), Rehash(3, 6), partitions=3) == alone


# Rule 2: sending.


def test_rule_2_a_failed_batch_returns_to_the_head_of_the_queue() -> None:
    """over=0: one batch goes first; over=1: two; the rest of the queue stays behind."""
    assert log("XXXX", BatchSwap(1)) == "2 1 3 4"
    assert log("XXXX", BatchSwap(1, 1)) == "2 3 1 4"
    assert log("XXXX", BatchSwap(2, 1)) == "1 3 4 2"


def test_rule_2_the_window_is_never_wider_than_max_in_flight() -> None:
    """With two requests in flight one batch overtakes, with three two, whatever `over` asks for."""
    assert log("XXXXXX", BatchSwap(1, 9), max_in_flight=2) == "2 1 3 4 5 6"
    assert log("XXXXXX", BatchSwap(1, 9), max_in_flight=3) == "2 3 1 4 5 6"
    assert log("XXXXXX", BatchSwap(1, 9)) == "2 3 4 5 1 6"


def test_rule_2_the_kth_swap_of_a_batch_fails_its_kth_attempt() -> None:
    """1 fails over 2; sent again, it fails over 3 and 4: swaps act in the order of their arguments."""
    assert log("XXXX", BatchSwap(1, 1), BatchSwap(1, 0)) == "2 3 4 1"


def test_rule_2_retries_go_newest_first_or_by_sequence() -> None:
    """1 fails with 2 and 3 in flight, then 2 with 3: Java sends 2 before 1 again, librdkafka 1 before 2."""
    swaps = (BatchSwap(1, 1), BatchSwap(2, 0))
    assert log("XXXX", *swaps) == "3 2 1 4"
    assert log("XXXX", *swaps, retry_order="sequence") == "3 1 2 4"


def test_rule_2_a_lost_connection_returns_all_that_was_in_flight() -> None:
    """1, 2 and 3 were in flight: newest first they become 3 2 1, by sequence nothing changes; 4 waited."""
    assert log("XXXX", BatchSwap(1, 1, 1)) == "3 2 1 4"
    assert log("XXXX", BatchSwap(1, 1, 1), retry_order="sequence") == "1 2 3 4"


def test_rule_2_batches_of_two_move_as_one() -> None:
    """Five records make the batches (1 2) (3 4) (5), cut in the partition's own order."""
    assert log("XXXXX", BatchSwap(1), records_per_batch=2) == "3 4 1 2 5"
    assert log("XXXXX", BatchSwap(2, 1), records_per_batch=2) == "3 4 5 1 2"
    assert (
        steps("XYXXX", BatchSwap(3), partitions=2, records_per_batch=2) == "2@1:0 4@0:0 5@0:1 1@0:2 3@0:3"
    )  # partition 0 has the batches (1 3) (4 5)


def test_rule_2_the_last_batch_finds_nothing_to_be_overtaken_by() -> None:
    """A BatchSwap on the last batch is void."""
    assert steps("XX", BatchSwap(2, 1)) == "1@0:0 2@0:1"


# Rules 3 and 4: append times, and which head is next.


def test_rule_3_a_record_behind_a_later_one_was_appended_after_it() -> None:
    """The log of partition 0 is 2 4 1; 4 and 1 were appended after 3, so that 3 of partition 1 goes first."""
    assert steps("XXYX", BatchSwap(1, 1), partitions=2) == "2@0:0 3@1:0 4@0:1 1@0:2"


def test_rule_4_where_all_are_held_the_least_is_released() -> None:
    """Both partitions stall: 1 is released, and its delivery lets 2 go."""
    assert steps("XY", Overtake(1), Overtake(2), partitions=2) == "1@0:0 2@1:0"
    assert steps("XYX", Overtake(1, 9), partitions=2) == "2@1:0 1@0:0 3@0:1"


# Rule 5: holds.


def test_rule_5_overtake_holds_until_one_more_than_by_others() -> None:
    """With by=1 a head waits for two deliveries of others, with by=0 for one, from when it became head."""
    assert steps("XYYY", Overtake(1, 1), partitions=2) == "2@1:0 3@1:1 1@0:0 4@1:2"
    assert steps("XYXYY", Overtake(3, 0), partitions=2) == "1@0:0 2@1:0 3@0:1 4@1:1 5@1:2"
    assert steps("XXYYY", Overtake(2, 0), partitions=2) == "1@0:0 3@1:0 2@0:1 4@1:1 5@1:2"


def test_rule_5_the_records_behind_a_held_one_wait_too() -> None:
    """A stall holds a lane, not a record: 2 stays behind 1."""
    assert steps("XXYYX", Overtake(1, 1), partitions=2) == "3@1:0 4@1:1 1@0:0 2@0:1 5@0:2"


def test_rule_5_a_copy_counts_as_a_delivery() -> None:
    """With by=1 the delivery of 2 and its Duplicate release 1."""
    assert steps("XYY", Overtake(1, 1), Duplicate(2), partitions=2) == "2@1:0 2@1:0 1@0:0 3@1:1"


def test_rule_5_rehash_holds_the_backlog_until_its_event_and_by_more() -> None:
    """Old partition: 1 2 3. The last two wait for 4, in the new partition, and one more of any other."""
    expected = "1@0:0 4@3:0 5@1:0 2@0:1 3@0:2 6@1:1 7@3:1"
    assert steps("MXMMYYM", Rehash(4, 6, backlog=1, by=1), partitions=3) == expected


def test_rule_5_backlog_counts_one_more_record_than_it_says_and_is_clamped() -> None:
    """backlog=0 holds the last record before the event, a backlog beyond the log holds it all."""
    assert ids("MXMMYYM", Rehash(4, 6), partitions=3) == "1 2 4 3 5 6 7"
    assert ids("MXMMYYM", Rehash(4, 6, backlog=9), partitions=3) == "4 1 2 3 5 6 7"


def test_rule_5_a_copy_sent_again_to_the_old_partition_is_no_backlog() -> None:
    """2 has moved to partition 1; what the application sends again when the topic has grown once more is back in
    partition 0. Still 1 is the last record that lay there before 2, and waits for it."""
    grown = (Rehash(2, 2), Rehash(3, 3), Resend(2, 1))
    settings = {"partitions": 1, "idempotent_producer": True, "application_resends": True}
    assert steps("XMY", *grown, **settings) == "2@1:0 1@0:0 3@1:1 2@0:1"


def test_rule_5_a_rehash_is_void_where_the_key_stays() -> None:
    """X is in partition 0 of three and of six: nothing moves and nothing waits."""
    assert steps("XXXX", Rehash(2, 6, 1, 1, 1), partitions=3) == "1@0:0 2@0:1 3@0:2 4@0:3"


def test_rule_5_a_rehash_of_the_first_event_of_its_partition_holds_nothing() -> None:
    """Nothing lies in the old partition: the key is in the new one from the start."""
    assert steps("MM", Rehash(1, 6), partitions=3) == "1@3:0 2@3:1"


def test_rule_5_two_holds_on_one_head_both_have_to_end() -> None:
    """1 waits for 2, by the Rehash, and for two deliveries of others, by the Overtake, at the same time."""
    assert ids("MMYY", Rehash(2, 6), partitions=3) == "2 1 3 4"
    assert ids("MMYY", Overtake(1, 1), partitions=3) == "3 4 1 2"
    assert ids("MMYY", Rehash(2, 6), Overtake(1, 1), partitions=3) == "2 3 1 4"


def test_rule_5_two_growths_can_hold_the_same_backlog() -> None:
    """2 is the last record of partition 0 before 3 and before 4, which both move away: it waits for both."""
    assert steps("NMMNY", Rehash(3, 6), partitions=3) == "1@0:0 3@3:0 2@0:1 4@0:2 5@1:0"
    expected = "1@0:0 3@3:0 4@6:0 2@0:1 5@1:0"
    assert steps("NMMNY", Rehash(3, 6), Rehash(4, 12), partitions=3) == expected


def test_rule_5_of_two_overtakes_the_second_waits_for_the_replay() -> None:
    """One for each delivery, in the order of arguments: by=0 before the first 1, by=1 before the second."""
    faults = (Overtake(1, 1), Overtake(1, 0), Redeliver(1))
    assert steps("XYYYY", *faults, partitions=2) == "2@1:0 1@0:0 R0 3@1:1 4@1:2 1@0:0 5@1:3"


# Rule 6: dead letters.


def test_rule_6_a_dead_letter_comes_back_one_delivery_more_than_after_later() -> None:
    """1 is not shown; after 2 and 3 it is appended behind 3, and 4 moves up by one offset."""
    expected = "park(1@0:0) 2@0:1 3@0:2 back(1@0:3) 1@0:3 4@0:4"
    assert steps("XXXX", DeadLetter(1, 1)) == expected
    assert ids("XXXX", DeadLetter(1, 0)) == "2 1 3 4"


def test_rule_6_a_dead_letter_comes_back_when_nothing_is_left() -> None:
    """`after` is clamped to what there is to deliver."""
    assert steps("XX", DeadLetter(1, 9)) == "park(1@0:0) 2@0:1 back(1@0:2) 1@0:2"
    assert steps("X", DeadLetter(1)) == "park(1@0:0) back(1@0:1) 1@0:1"


def test_rule_6_deliveries_of_any_partition_count() -> None:
    """2 is in another partition; 3 was appended later and so lies behind what is put back."""
    expected = "park(1@0:0) 2@1:0 back(1@0:1) 1@0:1 3@0:2"
    assert steps("XYX", DeadLetter(1), partitions=2) == expected


def test_rule_6_it_is_put_back_by_the_count_of_now() -> None:
    """The topic has grown meanwhile: the copy goes to the new partition of its key."""
    expected = "2@3:0 park(1@0:0) back(1@3:1) 1@3:1"
    assert steps("MM", DeadLetter(1), Rehash(2, 6), partitions=3) == expected


def test_rule_6_several_that_come_back_at_once_are_read_in_the_order_of_their_offsets() -> None:
    """1 and 2 are both put back after 3, at offsets 3 and 4, and 4 is behind them."""
    expected = "park(1@0:0) park(2@0:1) 3@0:2 back(1@0:3) back(2@0:4) 1@0:3 2@0:4 4@0:5"
    assert steps("XXXX", DeadLetter(1), DeadLetter(2)) == expected


def test_rule_6_a_dead_letter_counts_as_processed() -> None:
    """The commit after every second record is behind 2, although 1 was never shown."""
    expected = "park(1@0:0) 2@0:1 back(1@0:2) 1@0:2 R0 1@0:2 3@0:3"
    assert steps("XXX", DeadLetter(1), Redeliver(1), commit_every=2) == expected


# Rules 7 and 8: copies and redeliveries.


def test_rule_7_each_duplicate_is_one_copy_in_place() -> None:
    """Two Duplicates show 1 three times at one offset, and no process dies."""
    assert steps("XX", Duplicate(1), Duplicate(1)) == "1@0:0 1@0:0 1@0:0 2@0:1"


def test_rule_7_copies_of_a_dead_letter_wait_for_the_delivery_that_is_seen() -> None:
    """1 is parked first; its copy comes at its new offset."""
    expected = "park(1@0:0) 2@0:1 back(1@0:2) 1@0:2 1@0:2"
    assert steps("XX", DeadLetter(1), Duplicate(1)) == expected


def test_rule_8_a_redelivery_fires_after_so_many_further_deliveries() -> None:
    """after=0: at once; after=1: behind one more; beyond the end: when nothing is left."""
    assert steps("XXX", Redeliver(1, 0)) == "1@0:0 R0 1@0:0 2@0:1 3@0:2"
    assert steps("XXX", Redeliver(1, 1)) == "1@0:0 2@0:1 R0 1@0:0 2@0:1 3@0:2"
    assert steps("XXX", Redeliver(2, 9)) == "1@0:0 2@0:1 3@0:2 R0 2@0:1 3@0:2"


def test_rule_8_each_delivery_arms_one_redelivery() -> None:
    """Two Redelivers of 1: the second is armed by the replay that the first brought."""
    assert steps("XX", Redeliver(1), Redeliver(1)) == "1@0:0 R0 1@0:0 R0 1@0:0 2@0:1"
    expected = "1@0:0 R0 1@0:0 2@0:1 R0 1@0:0 2@0:1"
    assert steps("XX", Redeliver(1, 1), Redeliver(1, 0)) == expected


def test_rule_8_duplicates_come_before_the_redelivery() -> None:
    """Order at one head: delivery, copies, then what the delivery armed."""
    assert steps("XX", Redeliver(1), Duplicate(1)) == "1@0:0 1@0:0 R0 1@0:0 2@0:1"


def test_rule_8_only_deliveries_of_the_same_consumer_count() -> None:
    """2 goes to the other consumer; 3 is the one further delivery, and 2 does not come back."""
    expected = "1@0:0 2@1:0 3@0:1 R0 1@0:0 3@0:1 4@1:1"
    assert steps("XYXY", Redeliver(1, 1), partitions=2, consumers=2) == expected


def test_a_partition_belongs_to_one_consumer() -> None:
    """Partition p is read by consumer p % consumers, so that the one of partition 1 restarts alone."""
    schedule = Scenario(events("XYXY"), kafka(partitions=2, consumers=2), [Redeliver(2, 1)]).schedule()
    assert " ".join(map(spell, schedule)) == "1@0:0 2@1:0 3@0:1 4@1:1 R1 2@1:0 4@1:1"
    assert all(step.consumer == step.partition for step in schedule if step.partition is not None)


# Rules 9 and 10: commits and restarts.


def test_rule_9_an_armed_redelivery_keeps_the_commit_before_its_delivery() -> None:
    """1 was committed, 2 and 3 were not; the partition of 3 goes back with that of 2."""
    expected = "1@0:0 2@1:0 3@0:1 R0 2@1:0 3@0:1"
    assert steps("XYX", Redeliver(2, 1), partitions=2) == expected


def test_rule_9_an_armed_redelivery_fires_just_before_the_commit() -> None:
    """commit_every=2: after=9 comes to nothing, it fires behind 2, before the commit."""
    assert steps("XXXX", Redeliver(1, 9), commit_every=2) == "1@0:0 2@0:1 R0 1@0:0 2@0:1 3@0:2 4@0:3"


def test_rule_9_a_replay_starts_at_the_last_kth_record() -> None:
    """commit_every=3: nothing is committed behind 2; behind 3 all three are."""
    assert ids("XXXXX", Redeliver(2), commit_every=3) == "1 2 1 2 3 4 5"
    assert ids("XXXXX", Redeliver(5), commit_every=3) == "1 2 3 4 5 4 5"


def test_rule_9_records_are_counted_since_the_process_started() -> None:
    """commit_every=2: 1, a restart, then 1 and 2 are committed together; a crash behind 3 repeats 3 alone."""
    expected = "1@0:0 R0 1@0:0 2@0:1 3@0:2 R0 3@0:2 4@0:3"
    assert steps("XXXX", Redeliver(1), Redeliver(3), commit_every=2) == expected


def test_rule_10_a_redelivery_that_is_still_armed_pins_the_commit() -> None:
    """2 brings a replay from 1; three further deliveries behind the first 1 comes another, again from 1."""
    expected = "1@0:0 2@0:1 R0 1@0:0 2@0:1 R0 1@0:0 2@0:1 3@0:2"
    assert steps("XXX", Redeliver(1, 3), Redeliver(2, 0)) == expected


def test_rule_10_a_replay_never_reaches_below_an_earlier_one() -> None:
    """The first replay shows that 1 was committed, the second that 2 was."""
    assert ids("XXX", Redeliver(2), Redeliver(3)) == "1 2 2 3 3"


def test_a_rewind_over_a_dead_letter_shows_it_and_its_copy() -> None:
    """Died between publish and commit: 2 is shown at its old offset, and its copy comes too.

    Two further deliveries behind its parking, 3 and 1 again, the copy is appended behind 3.
    """
    expected = "1@0:0 park(2@0:1) 3@0:2 R0 1@0:0 back(2@0:3) 2@0:1 3@0:2 2@0:3"
    assert steps("XXX", DeadLetter(2, 1), Redeliver(1, 1)) == expected


# Rule 11: handlers that raise.


def test_rule_11_a_refused_record_comes_again_behind_one_delivery_of_another_partition() -> None:
    """3 is the one that goes first; 2 stays behind 1."""
    expected = "1!@0:0 3@1:0 1@0:0 2@0:1 4@1:1"
    assert steps_refusing({1: 1}, "XXYY", partitions=2) == expected


def test_rule_11_a_refused_record_comes_again_at_once_where_it_is_alone() -> None:
    """There is no other partition to read: the successor waits."""
    assert steps_refusing({1: 2}, "XX") == "1!@0:0 1!@0:0 1@0:0 2@0:1"


def test_rule_11_after_max_attempts_a_record_is_parked_until_the_end_and_put_back_once() -> None:
    """Two attempts, then the others, then the copy at the end of the log, which is accepted."""
    expected = "1!@0:0 1!@0:0 park(1@0:0) 2@0:1 3@0:2 back(1@0:3) 1@0:3"
    assert steps_refusing({1: 2}, "XXX", max_attempts=2) == expected


def test_rule_11_a_record_that_is_refused_again_is_refused_to_the_end() -> None:
    """One attempt, parked, put back, one more attempt, parked for good."""
    expected = "1!@0:0 park(1@0:0) 2@0:1 back(1@0:2) 1!@0:2 park(1@0:2) refuse(1@0:2)"
    assert steps_refusing({1: 99}, "XX", max_attempts=1) == expected


def test_rule_11_what_is_parked_is_put_back_for_as_long_as_that_helps() -> None:
    """1 waits for 2, and 2 for 3: the first round brings 2 on, the second 1."""
    taken: set[int] = set()

    def refuses(event: int) -> bool:
        if event < 3 and event + 1 not in taken:
            return True
        taken.add(event)
        return False

    expected = (
        "1!@0:0 park(1@0:0) 2!@0:1 park(2@0:1) 3@0:2 back(1@0:3) 1!@0:3 park(1@0:3) back(2@0:4) 2@0:4 back(1@0:5) 1@0:5"
    )
    assert steps_of(refuses, "XXX", max_attempts=1) == expected


def test_rule_11_stop_waits_for_the_record_it_refuses() -> None:
    """1 and with it its partition is tried again when nothing else is left; 2 is never read."""
    expected = "1!@0:0 R0 3@1:0 1!@0:0 R0 refuse(1@0:0) wait(2@0:1)"
    assert steps_refusing({1: 99}, "XXY", partitions=2, on_error="stop", max_attempts=1) == expected


def test_rule_11_stop_dies_and_goes_back_to_the_commit() -> None:
    """With a commit after each record the refused one alone comes again, with every third also 1."""
    assert steps_refusing({2: 1}, "XXX", on_error="stop") == "1@0:0 2!@0:1 R0 2@0:1 3@0:2"
    expected = "1@0:0 2!@0:1 R0 1@0:0 2@0:1 3@0:2"
    assert steps_refusing({2: 1}, "XXX", on_error="stop", commit_every=3) == expected


def test_rule_11_skip_goes_on_without_the_record() -> None:
    """1 is refused once and never shown again."""
    assert steps_refusing({1: 99}, "XX", on_error="skip") == "1!@0:0 skip(1@0:0) 2@0:1"


def test_rule_11_a_refused_delivery_is_a_delivery_of_its_consumer() -> None:
    """Redeliver(1, 1) fires behind the first showing of 2, although that was refused."""
    expected = "1@0:0 2!@0:1 R0 1@0:0 2@0:1"
    assert steps_refusing({2: 1}, "XX", Redeliver(1, 1)) == expected


def test_rule_11_a_refused_delivery_counts_for_a_dead_letter() -> None:
    """1 is put back behind the one further delivery that it waits for, the refused one of 2."""
    expected = "park(1@0:0) 2!@0:1 back(1@0:2) 2@0:1 1@0:2 3@0:3"
    assert steps_refusing({2: 1}, "XXX", DeadLetter(1)) == expected
