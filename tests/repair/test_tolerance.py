"""What a handler tolerates, for handlers of which it is known, on several brokers."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import (
    Crash,
    DeadLetter,
    Duplicate,
    Event,
    Fail,
    InOrder,
    Kafka,
    Lose,
    Message,
    Overlap,
    Overtake,
    RabbitMQ,
    Redeliver,
    Rehash,
    Scenario,
    SqsFifo,
    UsageError,
    Zombie,
    chaos,
    run,
)
from chaoskit.invariants import always
from chaoskit.report.broker_facts import as_written
from chaoskit.strategies import events
from chaoskit.values.faults import ALL_KINDS, FaultKind
from chaoskit.values.tolerance import MIXTURES, Column, Trial, changes
from handlers import name
from handlers.buggy import BUGGY, ledger_forgets_on_older_seq, ledger_offset_guard
from handlers.small import counts, newest, sums
from quality.table import PAGE

ON_TRUTH = Kafka(partitions=1, consumers=1, idempotent_producer=False)
"""What the TRUTH of a handler is about."""
OTHERS = (SqsFifo(), RabbitMQ())

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name(handler)) for handler in BUGGY])
def test_the_table_of_a_handler_is_true(handler: ModuleType) -> None:
    """One test, since its table is made once."""
    schedules = 160 if handler in (ledger_forgets_on_older_seq, ledger_offset_guard) else 60
    table = chaoskit.tolerance(handler.test, handler.EVENTS, [ON_TRUTH, *OTHERS], schedules=schedules, seed=1)
    kafka, *others = table.columns
    assert_known(handler, kafka)
    for column in others:
        assert_agrees_with_the_search(handler, column)
    for column in table.columns:
        assert_founded(handler, column)


def size(trial: Trial) -> tuple[int, int]:
    assert trial.scenario is not None
    return len(trial.scenario.events), len(trial.scenario.faults)


def assert_known(handler: ModuleType, column: Column) -> None:
    """Each kind alone, and of mixtures one of those that are known, with its least size."""
    alone = {kind: least for kind, least in handler.TRUTH.items() if not isinstance(kind, tuple)}
    # A death behind all effects of a handler is a restart, and an execution that stops before all is a zombie, where
    # something says what belongs to a process.
    for inside, outside in ((Crash, Redeliver), (Overlap, Zombie)):
        if outside in alone and column.of(inside).answer != "not exercised":
            alone[inside] = alone[outside]
    assert {trial.kind: size(trial) for trial in column.trials[:-1] if trial.answer == "breaks"} == {
        kind.__name__: least for kind, least in alone.items()
    }
    pairs = {frozenset(kinds): least for kinds, least in handler.TRUTH.items() if isinstance(kinds, tuple)}
    mixtures = column.of(MIXTURES)
    assert (mixtures.answer == "breaks") is bool(pairs)
    if mixtures.scenario is not None:
        assert size(mixtures) == pairs[frozenset(map(type, mixtures.scenario.faults))]


def pinned(handler: ModuleType, broker: Any) -> str:
    """The cell of every_broker.md."""
    rows = [line.strip("| \n").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines()]
    found = next(row for row in rows if row[0] == f"`{as_written(broker)}`")
    return dict(zip(map(name, BUGGY), found[1:], strict=False)).get(name(handler), "").strip(" |")


def assert_agrees_with_the_search(handler: ModuleType, column: Column) -> None:
    """What a search with all kinds has found, and shrunk, is what this kind does alone, or these together."""
    cell = pinned(handler, column.broker)
    if not cell:
        assert "it reads message.offset, which" in column.why
        assert not column.breaks
        return
    assert not column.why
    if cell == "-":
        assert not column.breaks
        return
    least, *kinds = cell.removesuffix(" ×").split()
    trial = column.of(MIXTURES if len(kinds) > 1 else kinds[0])
    assert trial.answer == "breaks"
    assert "{}/{}".format(*size(trial)) == least
    assert (trial.label == "across keys") is cell.endswith("×")


def assert_founded(handler: ModuleType, column: Column) -> None:
    """A break its delivery, which breaks it when it is run by itself; what cannot happen its reason."""
    assert [trial.kind for trial in column.trials] == [*(kind.__name__ for kind in ALL_KINDS), MIXTURES]
    for kind, trial in zip([*ALL_KINDS, None], column.trials, strict=True):
        if trial.answer == "breaks":
            assert trial.scenario is not None
            assert run(handler.test, trial.scenario).status == "violated"
            broke = {type(fault).__name__ for fault in trial.scenario.faults}
            assert broke == set(trial.ruled_out_by)
            assert kind is None or broke == {kind.__name__}
            assert kind is not None or len(broke) > 1
            assert trial.repair is None or trial.repair.status == "held"
        else:
            assert trial.scenario is None
        if kind is not None:
            assert (trial.answer == "cannot happen") is (column.broker.why_impossible(kind) is not None)
            assert trial.answer != "cannot happen" or trial.why == column.broker.why_impossible(kind)
        assert bool(trial.schedules) or trial.answer != "survives"
        assert bool(trial.why) or trial.answer in ("survives", "breaks")


def one(test: Any, broker: Any = None, stream: Any = PAYMENTS, **more: Any) -> Column:
    return chaoskit.tolerance(test, stream, broker, **({"schedules": 60, "seed": 1} | more)).columns[0]


def test_the_move_that_repairs_it_is_the_cheapest() -> None:
    repair = one(counts).of(Duplicate).repair
    assert repair is not None
    assert repair.move == "ids"
    assert one(newest).breaks == ()


def test_what_was_lost_is_left_out_and_so_not_exercised() -> None:
    """Unless a loss is a violation; then it breaks a handler that is right otherwise."""
    left_out = one(sums, RabbitMQ()).of(Lose)
    assert left_out.answer == "not exercised"
    assert "compared without what was lost" in left_out.why
    assert one(sums, RabbitMQ(), loss="violation").of(Lose).answer == "breaks"


def test_kinds_that_were_not_asked_about_are_not_exercised() -> None:
    """A kind that only the other broker can make is no error."""
    only = chaoskit.tolerance(counts, PAYMENTS, [Kafka(), RabbitMQ()], faults={Rehash, Fail}, schedules=20, seed=1)
    kafka, rabbit = only.columns
    assert kafka.of(Rehash).answer == "survives"
    assert rabbit.of(Rehash).answer == "cannot happen"
    assert kafka.of("Duplicate").answer == "not exercised"
    assert one(counts, without={Duplicate, Redeliver}, schedules=20).breaks == ("Zombie",)
    with pytest.raises(UsageError, match="did you mean 'Duplicate'"):
        one(counts, faults={"Duplicat"})
    with pytest.raises(UsageError, match="not both"):
        one(counts, faults={Fail}, without={Fail})


def test_a_shape_that_shows_nothing_is_not_exercised() -> None:
    """With one message a key no order of a key can be wrong; where there is one event alone nothing overtakes it."""
    stream = [Event("alice", 1)]
    column = one(counts, RabbitMQ(), stream)
    assert column.of(Overtake).answer == "not exercised"
    assert column.of(Duplicate).answer == "breaks"


def test_nothing_can_happen_in_order() -> None:
    column = one(counts, InOrder())
    assert {trial.answer for trial in column.trials} == {"cannot happen"}
    assert "message.offset" in one(ledger_offset_guard.test, InOrder(), ledger_offset_guard.EVENTS).why


def test_what_fails_in_order_is_said_as_that() -> None:
    def raises(deliver: Any) -> int:
        def handle(message: Message) -> None:
            raise KeyError(message.value)

        deliver(handle)
        return 0

    column = one(raises, RabbitMQ())
    assert column.why.startswith("it raises KeyError")
    assert column.of(Duplicate).answer == "not exercised"
    assert column.of(DeadLetter).answer == "cannot happen"

    def body_raises(deliver: Any) -> int:
        offsets: list[int | None] = []
        deliver(lambda message: offsets.append(message.offset))
        return sum(offset + 1 for offset in offsets if offset != 0)  # type: ignore[operator]

    assert one(body_raises, RabbitMQ()).why.endswith("it reads message.offset, which RabbitMQ does not carry")

    def never_right(deliver: Any) -> int:
        total = [0]

        def handle(message: Message) -> None:
            total[0] += 1

        deliver(handle, state=lambda: total[0])
        return total[0]

    assert "fails in order already" in one(never_right, invariants=[always(lambda n: n < 1, "none")]).why


def test_memory_that_is_split_over_consumers_is_said_as_that() -> None:
    """Whoever moves to two consumers learns it here, and the other brokers are asked all the same."""

    def test(deliver: Any) -> dict[str, int]:
        state: dict[str, int] = {}

        def spawn() -> Any:
            mine: dict[str, int] = {}

            def handle(message: Message) -> None:
                mine[message.key] = mine.get(message.key, 0) + message.value
                state[message.key] = mine[message.key]

            return handle

        deliver(spawn=spawn)
        return state

    alone, two = chaoskit.tolerance(test, PAYMENTS, [Kafka(), RabbitMQ()], schedules=20, seed=1).columns
    assert not alone.why
    assert "split over 2 consumers" in two.why


async def waits(deliver: Any) -> dict[str, int]:
    balances: dict[str, int] = {}

    async def handle(message: Message) -> None:
        balances[message.key] = balances.get(message.key, 0) + message.value

    await deliver(handle)
    return balances


def test_an_async_handler_has_a_table_too() -> None:
    assert one(waits, schedules=20).breaks == ("Duplicate", "Redeliver", "Zombie")


@chaos(PAYMENTS, SqsFifo(), without={Duplicate})
def decorated(deliver: Any, start: int) -> dict[str, int]:
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        balances[message.key] = balances.get(message.key, start) + message.value

    deliver(handle)
    return balances


def test_a_decorated_test_is_asked_as_it_says() -> None:
    test = functools.partial(decorated, start=0)
    own = chaoskit.tolerance(test, PAYMENTS, schedules=20, seed=1)
    assert own.columns[0].broker == SqsFifo()
    assert own.columns[0].of(Duplicate).answer == "not exercised"
    assert own.columns[0].of(Redeliver).answer == "breaks"
    assert own.test is not None
    assert own.test.endswith("::decorated")
    assert own.seed == 1


def test_brokers_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="brokers is empty"):
        chaoskit.tolerance(counts, PAYMENTS, [])
    with pytest.raises(UsageError, match="the settings of a broker are needed"):
        chaoskit.tolerance(counts, PAYMENTS, [Kafka(), RabbitMQ])  # type: ignore[list-item]


def test_the_same_seed_gives_the_same_table() -> None:
    def output_of(found: Column) -> list[Any]:
        return [attrs.astuple(trial, recurse=False) for trial in found.trials]

    assert output_of(one(counts, RabbitMQ())) == output_of(one(counts, RabbitMQ()))


# From one broker to another.


def column(**answers: Any) -> Column:
    scenario = Scenario([Event("alice", 1)], RabbitMQ(), [Duplicate("e1")])
    made = []
    for kind, answer in answers.items():
        label = "across keys" if answer == "breaks across" else "within"
        broken = {"scenario": scenario, "label": label} if answer.startswith("breaks") else {}
        made.append(Trial(kind, answer.removesuffix(" across"), **broken))
    return Column(RabbitMQ(), tuple(made))


@pytest.mark.parametrize(
    ("before", "after", "became"),
    [
        ("survives", "breaks", "new"),
        ("cannot happen", "breaks", "new"),
        ("not exercised", "breaks", "new"),
        ("breaks across", "breaks", "new"),
        ("survives", "breaks across", "new"),
        ("breaks", "survives", "gone"),
        ("breaks", "cannot happen", "gone"),
        ("breaks", "breaks across", "gone"),
        ("not exercised", "cannot happen", "gone"),
        ("breaks", "breaks", "same"),
        ("breaks across", "breaks across", "same"),
        ("survives", "cannot happen", "same"),
        ("cannot happen", "survives", "same"),
        ("breaks", "not exercised", "not known"),
        ("survives", "not exercised", "not known"),
        ("not exercised", "survives", "not known"),
    ],
)
def test_what_changes_from_one_broker_to_another(before: str, after: str, became: str) -> None:
    (change,) = changes(column(Duplicate=before), column(Duplicate=after))
    assert change.became == became


def test_a_kind_is_asked_for_by_its_class_or_its_name() -> None:
    kinds: list[FaultKind | str] = [Duplicate, "Duplicate"]
    assert len({id(column(Duplicate="survives").of(kind).answer) for kind in kinds}) == 1
    with pytest.raises(KeyError):
        column(Duplicate="survives").of("Duplicat")
