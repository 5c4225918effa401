"""Streams whose events depend on each other, drawn and recorded: nothing is in them that no producer would send."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from chaoskit import Event, Kafka, Redeliver, SqsStandard, UsageError, check
from chaoskit.search.recombined import Recombined
from chaoskit.strategies import events_from, lifecycle
from chaoskit.strategies.dependent import by_key, dependent_of
from chaoskit.values.event import Stream

FEW = settings(max_examples=30, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
Life = Sequence[dict[str, Any]]

created = st.fixed_dictionaries({"kind": st.just("created"), "id": st.sampled_from("abc"), "total": st.integers(1, 99)})


def changed(life: Life) -> st.SearchStrategy[dict[str, Any]]:
    """It carries on from the one before: what it looks at it looks at late."""
    return st.integers(1, 99).map(lambda more: {"kind": "changed", "total": life[-1]["total"] + more})


def paid(life: Life) -> dict[str, Any]:
    return {"kind": "paid", "total": life[-1]["total"]}


cancelled = st.just({"kind": "cancelled"})

THEN = {created: [changed, paid, cancelled], changed: [changed, paid, cancelled], paid: [cancelled]}
ORDERS = lifecycle(created, THEN, keys="id")


def is_possible(stream: Sequence[Event]) -> bool:
    """By the words of the values alone."""
    for life in by_key(Stream(tuple(stream))).values():
        total, before = 0, ""
        for event in life:
            value = event.value
            follows = {"": ["created"], "paid": ["cancelled"], "cancelled": []}
            if value["kind"] not in follows.get(before, ["changed", "paid", "cancelled"]) or value["id"] != event.key:
                return False
            if value["kind"] == "changed" and not 1 <= value["total"] - total <= 99:
                return False
            if value["kind"] == "paid" and value["total"] != total:
                return False
            total, before = value.get("total", total), value["kind"]
    return True


def test_every_stream_is_one_that_could_be_sent() -> None:
    """Those that are drawn, those that are put together of them, and each part of one that may be tried."""
    recombined, dependent = Recombined.made_of(ORDERS), dependent_of(ORDERS)
    assert recombined is not None
    assert dependent is not None
    found: list[Stream] = []

    @given(ORDERS, st.integers(0, 2**64))
    @FEW
    def collect(stream: list[Event], salt: int) -> None:
        found.extend(each for each, _ in recombined.of(Stream.of(stream), salt))

    collect()
    assert len(found) > 2 * recombined.drawn
    assert all(is_possible(stream.events) for stream in found)
    assert max(len({event.key for event in stream}) for stream in found) == 3
    allowed = 0
    for number, stream in enumerate(found):
        chance = Random(number)
        for _ in range(10):
            part = stream.keep(position for position in range(len(stream)) if chance.random() < 0.7)
            allowed += dependent.allows(part)
            assert not dependent.allows(part) or is_possible(part.events)
    assert allowed > 50


def last_kind(deliver: Any) -> dict[str, str]:
    state: dict[str, str] = {}
    deliver(lambda message: state.update({message.key: message.value["kind"]}))
    return state


def books(deliver: Any) -> dict[str, int]:
    """Right as long as each event comes once: it counts the changes, and forgets what was cancelled."""
    changes: dict[str, int] = {}

    def handle(message: Any) -> None:
        value = message.value
        if value["kind"] == "created":
            changes[message.key] = 0
        elif value["kind"] == "changed":
            assert message.key in changes, "a change of what was never created"
            changes[message.key] += 1

    deliver(handle)
    return changes


@pytest.mark.parametrize(("test", "kinds"), [(last_kind, 2), (books, 2)])
def test_a_failure_shrinks_to_a_life(test: Any, kinds: int) -> None:
    """The least events that fail and could be sent, with the simplest values; no part of a stream is shown."""
    verdict = check(test, ORDERS, SqsStandard(), schedules=300, seed=1)
    assert verdict.scenario is not None, verdict.report()
    shown = verdict.scenario.events
    assert is_possible(shown)
    assert len(shown) == kinds
    assert shown[0].value == {"kind": "created", "id": "a", "total": 1}
    assert verdict.found is None
    assert not verdict.is_part


def test_what_needs_three_events_keeps_them() -> None:
    """A handler that is wrong only after a payment: nothing between is left out that a later event needs."""

    def test(deliver: Any) -> list[str]:
        refunds: list[str] = []
        paid: set[str] = set()

        def handle(message: Any) -> None:
            if message.value["kind"] == "paid":
                paid.add(message.key)
            elif message.value["kind"] == "cancelled" and message.key in paid:
                refunds.append(message.key)

        deliver(handle)
        return sorted(refunds)

    verdict = check(test, ORDERS, Kafka(), faults={Redeliver}, schedules=300, seed=1)
    assert verdict.scenario is not None
    assert [event.value["kind"] for event in verdict.scenario.events] == ["created", "paid", "cancelled"]


def test_a_handler_that_relies_on_the_order_of_a_life_holds() -> None:
    """No false alarm: in every stream that is tried, in order, what needs an event comes after it."""

    def test(deliver: Any) -> dict[str, int]:
        totals: dict[str, int] = {}
        seen: set[Any] = set()

        def handle(message: Any) -> None:
            if message.id in seen:
                return
            seen.add(message.id)
            value = message.value
            assert value["kind"] == "created" or message.key in totals
            assert value["kind"] != "paid" or value["total"] == totals[message.key]
            totals[message.key] = value.get("total", totals.get(message.key, 0))

        deliver(handle)
        return totals

    verdict = check(test, ORDERS, Kafka(), faults={Redeliver}, schedules=300, seed=1)
    assert verdict.status == "held", verdict.report()


class Opened(BaseModel):
    account: int
    owner: str


class Closed(BaseModel):
    account: int


def test_the_same_seed_gives_the_same() -> None:
    """And classes are kinds of events, too; a list is one after the other."""
    accounts = lifecycle(Opened, [st.builds(Closed, account=st.just(0)), Opened], keys="account", max_size=5)

    def test(deliver: Any) -> dict[str, str]:
        state: dict[str, str] = {}
        deliver(lambda message: state.update({message.key: type(message.value).__name__}))
        return state

    one, two = (check(test, accounts, Kafka(), schedules=100, seed=7).scenario for _ in range(2))
    assert one is not None
    assert one == two
    assert [event.value.account for event in one.events] == [0, 0]
    assert isinstance(one.events[1].value, Closed)


def test_what_comes_from_a_file_is_cut_at_its_ends_only() -> None:
    """How its values came about is not known, but that each beginning of a life was sent."""
    dependent = dependent_of(ORDERS)
    assert dependent is not None
    kinds = ("created", "changed", "paid", "cancelled")
    stream = Stream.of([Event("a", {"kind": kind, "id": "a", "total": 2}) for kind in kinds])
    assert not dependent.allows(stream)
    dependent.learn(stream)
    assert [size for size in range(1, 5) if dependent.allows(stream.keep(range(size)))] == [1, 2, 3, 4]
    assert not dependent.allows(stream.without(1))
    assert not dependent.allows(stream.without(0))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"then": {created: [paid], cancelled: [paid]}}, "follows nothing, so it never comes"),
        ({"then": 3}, "lifecycle(then=3): a list, or for each kind of event"),
        ({"then": [lambda: 1]}, "is to take one argument, the values of its entity so far"),
        ({"then": [3]}, "lifecycle(a kind of event=3): a Hypothesis strategy is needed"),
        ({"lives": 0}, "lifecycle(lives=0)"),
        ({"max_size": 0}, "lifecycle(min_size=1, max_size=0)"),
        ({"keys": 3}, "lifecycle(keys=3)"),
    ],
)
def test_what_is_no_lifecycle_is_an_error(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        lifecycle(**{"start": created, "then": [paid]} | arguments)
    assert says in str(caught.value)


def test_an_event_with_the_key_of_another_entity_is_an_error() -> None:
    """Where the key is a function of the value nothing can be put there."""
    strays = lifecycle(created, [st.just({"id": "z"})], keys=lambda value: value["id"])
    with pytest.raises(UsageError, match="which has another one and cannot have this"):
        check(last_kind, strays, Kafka(), schedules=50, seed=1)


# Recorded events.

LINES = [
    {"order": {"id": id_, "kind": kind}}
    for id_, kind in [
        (1, "created"),
        (2, "created"),
        (1, "paid"),
        (3, "created"),
        (1, "sent"),
        (2, "paid"),
        (3, "gone"),
    ]
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, LINES)) + "\n\n", encoding="utf-8")
    return tmp_path / "events.jsonl"


def test_a_function_takes_the_key_of_a_line_that_is_an_array(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('["a", 1]\n["b", 2]\n', encoding="utf-8")
    strategy = events_from(tmp_path / "rows.jsonl", key=lambda row: row[0])

    @given(strategy)
    @FEW
    def holds(stream: list[Event]) -> None:
        assert {(event.key, *event.value) for event in stream} <= {("a", "a", 1), ("b", "b", 2)}

    holds()


def test_recorded_streams_are_beginnings_of_what_each_key_had(file: Path) -> None:
    """Mixed in more ways than the file; with `independent`, with gaps and with values that come once more."""
    whole: dict[str, list[Any]] = {}
    for line in LINES:
        whole.setdefault(str(line["order"]["id"]), []).append(line["order"])
    found: dict[bool, list[Stream]] = {False: [], True: []}
    for independent, streams in found.items():
        strategy = events_from(file, "order.id", "order", independent=independent)
        recombined = Recombined.made_of(strategy)
        assert recombined is not None

        @given(strategy, st.integers(0, 2**64))
        @FEW
        def collect(stream: list[Event], salt: int) -> None:
            streams.extend(each for each, _ in recombined.of(Stream.of(stream), salt))  # noqa: B023 - called below

        collect()
        dependent = dependent_of(strategy)
        assert dependent is not None
        assert all(dependent.allows(stream) for stream in streams)
    for stream in found[False]:
        assert all([e.value for e in life] == whole[key][: len(life)] for key, life in by_key(stream).items())
    mixed = {tuple(event.key for event in stream) for stream in found[False]}
    assert len(mixed) > 10
    lives = [(key, [event.value for event in life]) for stream in found[True] for key, life in by_key(stream).items()]
    assert any(values[0] != whole[key][0] for key, values in lives), "no first event was left out"
    assert any(values.count(value) > 1 for _, values in lives for value in values), "no value came again"


def test_a_recorded_stream_shrinks_to_its_first_events(file: Path) -> None:
    """What is minimal was sent."""
    verdict = check(last_kind, events_from(file, "order.id", "order"), SqsStandard(), schedules=200, seed=1)
    assert verdict.scenario is not None
    assert [event.value["kind"] for event in verdict.scenario.events][:1] == ["created"]
    assert len(verdict.scenario.events) == 2
    assert not verdict.is_part


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        ('{"id": 1}\n{"id": \n', {"key": "id"}, "bad.jsonl, line 2: this is no JSON"),
        ('{"id": 1}\n\n{"ID": 1}\n', {"key": "id"}, "bad.jsonl, line 3: the value {'ID': 1} has no field 'id'"),
        ('{"account": "x", "owner": "me"}\n', {"key": "account", "value": Opened}, "bad.jsonl, line 1: 1 validation"),
        ("\n", {"key": "id"}, "it has no events"),
        ('[{"id": 1}]\n', {"key": "id"}, "line 1: an array; JSON lines are needed"),
        ('{\n  "id": 1\n}\n', {"key": "id"}, "column 2; JSON lines are needed, one event on each"),
        ('{"id": {"a": 1}}\n', {"key": "id"}, "line 1: a dict is no key: {'a': 1}"),
        ('{"id": 1}\n', {"key": lambda line: line["ID"]}, "line 1: KeyError: 'ID'"),
        ('{"id": 1}\n', {"key": "id", "min_size": 2}, "it has fewer events than min_size=2"),
        (None, {"key": "id"}, "the file cannot be read"),
    ],
)
def test_a_bad_file_is_an_error_with_its_line(
    text: str | None, arguments: dict[str, Any], says: str, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "bad.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        events_from(tmp_path / "bad.jsonl", **arguments)
    assert says in str(caught.value)


def test_a_relative_path_begins_at_the_file_that_calls() -> None:
    """Wherever pytest is run."""
    with pytest.raises(UsageError) as caught:
        events_from("no-such.jsonl", key="id")
    assert str(Path(__file__).parent / "no-such.jsonl") in str(caught.value)
