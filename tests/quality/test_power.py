"""How the search spends its schedules: few on the first streams, on streams put together of what was drawn, in
bursts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit import DeadLetter, Duplicate, Event, Kafka, Stream, check
from chaoskit.search.draw import draw_streams, some_values
from chaoskit.search.found import Found
from chaoskit.search.investigate import investigate
from chaoskit.search.minimal import least
from chaoskit.search.oracle import Subject, with_state_copied
from chaoskit.search.plans import Plans
from chaoskit.search.question import SearchSettings, default_invariants, question
from chaoskit.search.recombined import Recombined
from chaoskit.strategies import events
from chaoskit.strategies.streams import parts_of
from handlers.buggy import wallet_refuses_overdraft
from quality.searches import ONE

NUMBERS = events(st.integers(1, 1000), keys=st.sampled_from("abcdef"), min_size=3, max_size=9)


def put_together(strategy: SearchStrategy[Any], drawn: int = 9, seed: int = 1) -> list[list[Stream]]:
    """For each stream that Hypothesis draws what is tried of it: the stream itself, then the others."""
    parts = parts_of(strategy)
    assert parts is not None
    recombined, found = Recombined(parts), []

    def take(stream: Stream, salt: int) -> bool:
        found.append([each for each, _ in recombined.of(stream, salt)])
        return False

    draw_streams(strategy, take, streams=drawn, seed=seed, digest=None)
    return found


def streams_tried(strategy: Any, **asked: Any) -> Counter[tuple[tuple[Any, Any], ...]]:
    """How many schedules were run on each stream, by its keys and values; the runs in order beside them do not
    count."""
    tried: Counter[tuple[tuple[Any, Any], ...]] = Counter()

    class Spy(Subject):
        def on(self, stream: Stream) -> Any:
            case = super().on(stream)
            run = case.run

            def counted(faults: Any, steps: Any = None) -> Any:
                tried[tuple((event.key, event.value) for event in stream)] += bool(faults)
                return run(faults, steps)

            case.run = counted  # type: ignore[method-assign]
            return case

    def test(deliver: Any) -> dict[Any, Any]:
        """Right under every delivery."""
        rows: dict[Any, Any] = {}
        deliver(lambda message: rows.update({message.id: message.value}))
        return rows

    subject = Spy(test, Kafka(), default_invariants(None))
    settings = SearchSettings(**{"schedules": 1000, "seed": 1, **asked})
    verdict = investigate(question(subject, strategy, settings))
    assert verdict.status == "held", verdict.reasons
    assert sum(tried.values()) == verdict.tally.schedules
    return +tried


# What is put together.


def test_what_is_put_together_is_what_the_strategy_could_have_drawn() -> None:
    """Keys and values that it drew, as many events as it allows, and only streams that are valid."""

    def ascending(stream: list[Event]) -> bool:
        return stream[0].value <= stream[-1].value

    strategy = events(st.integers(1, 1000), keys=st.sampled_from("abcdef"), min_size=3, max_size=9, valid=ascending)
    keys: set[str] = set()
    values: Counter[int] = Counter()
    sizes = set()
    for drawn, *others in put_together(strategy)[1:]:
        keys |= {event.key for event in drawn}
        values.update(event.value for event in drawn)
        for stream in others:
            assert {event.key for event in stream} <= keys
            assert Counter(event.value for event in stream) <= values
            assert ascending(list(stream.events))
            assert Stream.of([Event(event.key, event.value) for event in stream]) == stream
            sizes.add(len(stream))
    assert sizes <= set(range(3, 10))
    assert len(sizes) > 4


def test_several_streams_are_put_together_of_each_but_the_simplest() -> None:
    """In which all values are alike. No stream is given twice."""
    counts = [len(each) for each in put_together(NUMBERS)]
    assert counts == [1] + [4] * 8
    given = [stream for each in put_together(events(st.booleans(), st.just("a"), max_size=3)) for stream in each[1:]]
    assert len(given) == len(set(given)) < 14


def test_a_value_is_given_as_often_as_it_was_drawn_and_a_key_repeats_only_where_keys_do() -> None:
    """A handler may rely on ids in its messages that are unique, and on one message for each key."""
    numbers = st.integers(1, 10**12)
    others = [each for _, *more in put_together(events(numbers, keys=st.sampled_from("ab"))) for each in more]
    assert others
    assert all(len({event.value for event in stream}) == len(stream) for stream in others)
    alone = put_together(events(numbers, keys=st.integers(1, 10**12).map(str)))
    assert {len(each) for each in alone} == {1}


@pytest.mark.parametrize(
    "values",
    [st.tuples(st.integers(1, 1000), st.shared(st.sampled_from(["EUR", "USD"]))), st.uuids()],
    ids=["one currency", "uuids"],
)
def test_nothing_is_put_together_where_keys_and_values_hang_together(values: SearchStrategy[Any]) -> None:
    """`st.shared` gives one stream one currency, so that no stream has two; and of uuids a stream has none twice."""
    assert {len(each) for each in put_together(events(values, keys=st.sampled_from("ab")))} == {1}


@st.composite
def counted(draw: st.DrawFn) -> list[Event]:
    return [Event("a", (number, draw(st.integers(1, 9)))) for number in range(draw(st.integers(2, 6)))]


@pytest.mark.parametrize(
    "strategy",
    [
        counted(),
        NUMBERS.map(lambda stream: sorted(stream, key=lambda event: event.value)).map(
            lambda stream: [Event(event.key, (number, event.value)) for number, event in enumerate(stream)]
        ),
    ],
    ids=["composite", "mapped"],
)
def test_of_a_strategy_that_is_not_events_only_what_it_draws_is_tried(strategy: SearchStrategy[Any]) -> None:
    """Nobody knows what its parts are."""
    for stream in streams_tried(strategy, schedules=300):
        assert [value[0] for _, value in stream] == list(range(len(stream)))


def test_where_the_number_of_streams_was_asked_for_they_are_hypothesis_own() -> None:
    """`max_examples` counts what it draws."""
    drawn: list[int] = []
    strategy = events(
        st.integers(1, 10**9).map(lambda value: drawn.append(value) or value), keys=st.just("a"), min_size=6
    )
    tried = streams_tried(strategy, streams=8, schedules=200)
    assert len(tried) == 9
    assert {value for stream in tried for _, value in stream} <= set(drawn)
    assert len({stream[:2] for stream in tried}) == 9


def test_a_guard_that_few_streams_pass_takes_no_schedule_away() -> None:
    """What cannot be put together is drawn."""
    strategy = events(
        st.integers(0, 20), keys=st.sampled_from("ab"), max_size=6, valid=lambda s: sum(e.value for e in s) % 7 == 0
    )
    assert sum(streams_tried(strategy).values()) == 1000


# How many schedules a stream gets.


def test_the_first_ten_streams_have_few_schedules_and_the_later_ones_the_rest() -> None:
    """Of those that can go wrong at all; the very first, the simplest, is beside them."""
    shares = list(streams_tried(NUMBERS).values())
    assert shares[:11] == [10] * 11
    assert len(shares) > 25
    assert max(shares) < 60


@pytest.mark.parametrize("schedules", [7, 50, 99, 100, 250])
def test_small_numbers_of_schedules_are_spread_and_used_up(schedules: int) -> None:
    shares = list(streams_tried(NUMBERS, schedules=schedules).values())
    assert sum(shares) == schedules
    assert schedules < 200 or max(shares) <= schedules // 4


@pytest.mark.parametrize("streams", [1, 2, 5, 30])
def test_all_schedules_are_run_on_as_many_streams_as_were_asked_for(streams: int) -> None:
    strategy = events(st.integers(1, 10**9), keys=st.just("a"), min_size=6)
    shares = list(streams_tried(strategy, streams=streams).values())
    assert sum(shares) == 1000
    assert len(shares) in (streams, streams + 1)


def test_every_single_fault_is_tried_where_they_are_few() -> None:
    """Also on a stream that comes early: what the verdict says of single faults holds for all streams."""
    strategy = events(
        st.integers(1, 1000), keys=st.just("a"), min_size=8, valid=lambda stream: stream[0].value < stream[-1].value
    )
    verdict = check(inbox_by_seq, strategy, Kafka(), faults={Duplicate}, seed=1)
    assert verdict.tally.all_singles


def inbox_by_seq(deliver: Any) -> dict[str, Any]:
    newest: dict[str, tuple[int, Any]] = {}
    deliver(lambda m: newest.update({m.key: max(newest.get(m.key, (0, None)), (m.seq, m.value))}))
    return newest


# Bursts.


def test_some_mixtures_are_one_kind_at_several_events_of_one_key() -> None:
    """What a handler keeps of a key has a limit, which more of the same meets."""
    stream = Stream.of([Event("ab"[number % 2], number) for number in range(12)])
    mixtures = Plans(Kafka().model(stream), Kafka().kinds(), 1).mixtures()
    keys = {event.id: event.key for event in stream}
    bursts = Counter(len(plan) for plan in (next(mixtures) for _ in range(1000)) if is_burst(plan, keys))
    assert set(bursts) >= {2, 3, 4, 5}
    assert 150 < sum(bursts.values()) < 350


def is_burst(plan: Any, keys: dict[Any, str]) -> bool:
    """At least two events, one key, one kind, no event twice."""
    places = [fault.at for fault in plan]
    return (
        len(set(places)) == len(places) > 1
        and len({type(fault) for fault in plan}) == 1
        and len({keys[place] for place in places}) == 1
    )


def two_missing(deliver: Any) -> dict[str, int]:
    """Two numbers of a key may be missing; of three the oldest is given up, and counts as booked."""
    newest: dict[str, int] = {}
    missing: dict[str, list[int]] = {}
    total: dict[str, int] = {}

    def handle(message: Any) -> None:
        key, gone = message.key, missing.setdefault(message.key, [])
        if message.seq <= newest.get(key, 0):
            if message.seq not in gone:
                return
            gone.remove(message.seq)
        gone += range(newest.get(key, 0) + 1, message.seq)
        del gone[:-2]
        newest[key] = max(newest.get(key, 0), message.seq)
        total[key] = total.get(key, 0) + message.value

    deliver(handle)
    return total


def test_what_three_faults_at_one_of_twelve_keys_break_is_found_in_a_default_run() -> None:
    """Three dead letters of one key, and a fourth message behind them before any of the three is put back."""
    strategy = events(st.integers(-50, 50), keys=st.integers(1, 12).map(str), max_size=18)
    found = [check(two_missing, strategy, Kafka(), faults={DeadLetter}, seed=seed) for seed in range(10)]
    assert [verdict.status for verdict in found].count("violated") >= 8
    for verdict in found:
        if verdict.scenario is not None:
            assert [type(fault) for fault in verdict.scenario.faults] == [DeadLetter] * 3
            assert len(verdict.scenario.events) == 4


# Less, with values that no stream had.


def test_where_the_values_that_were_met_need_three_events_others_are_drawn() -> None:
    """A debit that only both credits cover; of what the strategy draws there is one that a single credit covers."""
    subject = Subject(wallet_refuses_overdraft.test, ONE, default_invariants(None))
    payments = [("credit", 57), ("credit", 80), ("debit", 93)]
    stream = Stream.of([Event("bob", {"kind": kind, "amount": amount}) for kind, amount in payments])
    case, faults = subject.on(stream), (DeadLetter("e2"),)
    found = Found(case, faults, with_state_copied(case.run(faults)))
    assert case.violations(found.run)
    for seed in range(10):
        assert len(least(subject, wallet_refuses_overdraft.EVENTS, (DeadLetter,), found, seed).stream) == 2


def test_values_that_are_hard_to_draw_are_not_drawn_for_that() -> None:
    parts = parts_of(events(st.integers(1, 10**6).filter(lambda value: value % 9973 == 0), keys=st.just("a")))
    assert parts is not None
    assert some_values(parts, 1) == []


# The end, and the same again.


def test_hypothesis_draws_nothing_after_what_was_looked_for() -> None:
    """Not even the same stream again, as it does where a test fails."""
    drawn: list[int] = []
    strategy = st.integers(1, 9).map(lambda value: drawn.append(value) or [Event("a", value)])
    taken: list[Stream] = []

    def take(stream: Stream, salt: int) -> bool:
        taken.append(stream)
        return len(taken) == 3

    draw_streams(strategy, take, streams=20, seed=1, digest=None)
    assert len(drawn) == len(taken) == 3


def by_hash_seed() -> Iterator[str]:
    """What a search says in processes whose sets have other orders."""
    program = (
        "from hypothesis import strategies as st\n"
        "from chaoskit import Kafka, check\n"
        "from chaoskit.strategies import events\n"
        "from handlers.small import inbox\n"
        "values = st.frozensets(st.sampled_from(['red', 'green', 'blue', 'black']))\n"
        "verdict = check(inbox, events(values, keys=st.sampled_from('ab')), Kafka(), seed=3)\n"
        "print(verdict.tally, verdict.scenario.faults, [sorted(e.value) for e in verdict.scenario.events])\n"
    )
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        yield subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        ).stdout


def test_the_same_seed_finds_the_same_whatever_the_order_of_sets() -> None:
    assert len(set(by_hash_seed())) == 1
