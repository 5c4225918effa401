"""What was tried and left out of the search: a corpus of what the handler's state did.

A schedule that made a sequence of states that nobody has seen is kept, and half of the streams that are put together
are then mutations of a kept one, half of whose plans are mutations of its faults, as coverage guides a fuzzer.
States are compared by their shape: numbers by their sign and size, texts and ids not at all, collections by what they
hold. The search itself is patched here, as the product has none of it: `python -m benchmarks.states`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any
from unittest.mock import patch

import attrs
from hypothesis import strategies as st

import chaoskit.search.investigate as stages
from benchmarks.measure import say
from benchmarks.subjects import of_the_tests
from chaoskit import Event, Kafka, SqsFifo, Stream, check
from chaoskit.brokers import Settings
from chaoskit.search.campaign import Campaign
from chaoskit.search.found import Found
from chaoskit.search.plans import Plan, Plans
from chaoskit.search.question import Question
from chaoskit.search.recombined import Recombined
from chaoskit.strategies import events

SEEDS = 50
SCHEDULES = 1000
MOST_KEPT = 64

Test = Callable[[Any], Any]


def shape(state: Any) -> object:
    """What of a state is compared."""
    if isinstance(state, dict):
        return tuple(sorted(map(repr, (shape(value) for value in state.values()))))
    if isinstance(state, (list, tuple, set, frozenset)):
        return len(state), *sorted({repr(shape(each)) for each in state})
    if isinstance(state, (int, float)):
        return (state > 0) - (state < 0), int(abs(state)).bit_length()
    return type(state).__name__


class _Enough(BaseException):
    """The failure is found: it need not be made smaller."""

    def __init__(self, schedules: int) -> None:
        super().__init__(schedules)
        self.schedules = schedules


class Watched:
    """`deliver`, and what the handler's closure held after each delivery."""

    def __init__(self, deliver: Any, seen: list[object]) -> None:
        self._deliver, self._seen = deliver, seen

    def __call__(self, handler: Callable[[Any], None]) -> None:
        cells = [cell.cell_contents for cell in handler.__closure__ or ()]

        def handle(message: Any) -> None:
            handler(message)
            self._seen.append(tuple(map(shape, cells)))

        self._deliver(handle)


@attrs.define
class Corpus:
    """What made new sequences of states, the oldest first."""

    chance: random.Random
    trail: list[object] = attrs.field(factory=list)
    kept: list[tuple[Stream, Plan]] = attrs.field(factory=list)
    mutated: dict[str, Plan] = attrs.field(factory=dict)
    _known: set[int] = attrs.field(factory=set)

    def watched(self, test: Test) -> Test:
        def body(deliver: Any) -> Any:
            self.trail.clear()
            return test(Watched(deliver, self.trail))

        return body

    def note(self, stream: Stream, plan: Plan) -> None:
        # As a sequence without repetitions, or every longer stream would be new.
        sequence = hash(tuple(dict.fromkeys(self.trail)))
        if sequence not in self._known:
            self._known.add(sequence)
            self.kept.append((stream, plan))
            del self.kept[:-MOST_KEPT]

    def mutation(self, values: list[Any], keys: list[Any], sizes: range) -> Stream:
        stream, plan = self.chance.choice(self.kept)
        pairs = [(event.key, event.value) for event in stream]
        for _ in range(self.chance.choice((1, 1, 2, 4))):
            place, what = self.chance.randrange(len(pairs)), self.chance.random()
            if what < 0.4:
                pairs[place] = (pairs[place][0], self.chance.choice(values))
            elif what < 0.6:
                pairs[place] = (self.chance.choice(keys), pairs[place][1])
            elif what < 0.8 and len(pairs) + 1 in sizes:
                pairs.insert(place, (self.chance.choice(keys), self.chance.choice(values)))
            elif len(pairs) - 1 in sizes:
                del pairs[place]
        found = Stream.of([Event(*pair) for pair in pairs])
        self.mutated[repr(found)] = plan  # values need not be hashable
        return found

    def plans(self, model_ids: tuple[Any, ...], plan: Plan, others: Iterator[Plan]) -> Iterator[Plan]:
        """The faults that were kept, each time with one more or one less, and other plans in between."""
        there = tuple(fault for fault in plan if fault.at in model_ids)
        for other in others:
            yield other
            more = self.chance.choice(other) if other else None
            fewer = tuple(fault for fault in there if self.chance.random() < 0.75)
            yield fewer if more is None else (*fewer, more)


def searched(test: Test, strategy: Any, broker: Settings, seed: int, *, with_corpus: bool) -> int:
    """How many schedules it took; all of them where nothing was found."""
    corpus = Corpus(random.Random(seed))
    another, mixtures, fails = Recombined._another, Plans.mixtures, Campaign.fails

    def mutated(self: Recombined, chance: random.Random) -> Stream:
        if not corpus.kept or corpus.chance.random() < 0.5:
            return another(self, chance)
        sizes = range(self.parts.min_size, self.parts.max_size + 1)
        return corpus.mutation(self.values, list(self.keys), sizes)

    def mixed(self: Plans) -> Iterator[Plan]:
        plan = corpus.mutated.get(repr(self._model.stream))
        return mixtures(self) if plan is None else corpus.plans(self._ids, plan, mixtures(self))

    def noted(self: Campaign, case: Any, plan: Plan, steps: Any) -> bool:
        failed = fails(self, case, plan, steps)
        corpus.note(case.model.stream, plan)
        return failed

    def settled(question: Question, campaign: Campaign, found: Found) -> Any:
        raise _Enough(campaign.evidence.schedules)

    with ExitStack() as patches:
        patches.enter_context(patch.object(stages, "_settle", settled))
        if with_corpus:
            for owner, name, by in (
                (Recombined, "_another", mutated),
                (Plans, "mixtures", mixed),
                (Campaign, "fails", noted),
            ):
                patches.enter_context(patch.object(owner, name, by))
        try:
            check(corpus.watched(test), strategy, broker, schedules=SCHEDULES, seed=seed)
        except _Enough as enough:
            return enough.schedules
    return SCHEDULES


# Two more bugs that wait for a value.


def sold_out(deliver: Any) -> dict[str, int]:
    """The stock of examples/warehouse in short: at exactly nothing the newest number is forgotten, too."""
    newest: dict[str, int] = {}
    missing: dict[str, set[int]] = {}
    pieces: dict[str, int] = {}

    def handle(message: Any) -> None:
        key, gone = message.key, missing.setdefault(message.key, set())
        if message.seq <= newest.get(key, 0):
            if message.seq not in gone:
                return
            gone.remove(message.seq)
        gone.update(range(newest.get(key, 0) + 1, message.seq))
        newest[key] = max(newest.get(key, 0), message.seq)
        pieces[key] = pieces.get(key, 0) + message.value
        if pieces[key] == 0 and not gone:
            del newest[key], pieces[key]

    deliver(handle)
    return pieces


def frozen_above(deliver: Any) -> dict[str, int]:
    """An account above 2,000 is frozen for good, which numbers that come late can do, too."""
    booked: dict[str, set[object]] = {}
    balance: dict[str, int] = {}
    frozen: set[str] = set()

    def handle(message: Any) -> None:
        seen = booked.setdefault(message.key, set())
        if message.id in seen or message.key in frozen:
            return
        seen.add(message.id)
        balance[message.key] = balance.get(message.key, 0) + message.value
        if balance[message.key] > 2000:
            frozen.add(message.key)

    deliver(handle)
    return balance


def main() -> None:
    articles = st.integers(1, 12).map("article {}".format)
    movements = events(st.integers(-999, 999).filter(bool), keys=articles, max_size=18)
    two_missing = of_the_tests("quality.test_power").two_missing
    buggy = of_the_tests("handlers.buggy")
    asked: dict[str, tuple[Test, Any, Settings]] = {
        "sold out": (sold_out, movements, SqsFifo(max_receive_count=5)),
        "frozen above 2,000": (frozen_above, movements, Kafka()),
        "two missing": (two_missing, movements, SqsFifo(max_receive_count=5)),
    }
    for each in (buggy.wallet_refuses_overdraft, buggy.orders_need_known_customer, buggy.profile_blind_overwrite):
        asked[each.__name__.rpartition(".")[2]] = (each.test, each.EVENTS, Kafka())
    print("| | median | with the corpus | found | with the corpus |\n|---|--:|--:|--:|--:|")
    for name, (test, strategy, broker) in asked.items():
        say(f"states: {name}")
        without, with_ = (
            [searched(test, strategy, broker, seed, with_corpus=corpus) for seed in range(SEEDS)]
            for corpus in (False, True)
        )
        found = [sum(each < SCHEDULES for each in side) for side in (without, with_)]
        print(f"| {name} | {median(without):g} | {median(with_):g} | {found[0]} | {found[1]} |", flush=True)


if __name__ == "__main__":
    main()
