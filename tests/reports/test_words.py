"""What a failing report says, and how wide: values, raised exceptions, batches, restarts, and how long it took."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

import chaoskit
import chaoskit.invariants
from chaoskit import (
    BatchSwap,
    DeadLetter,
    Duplicate,
    Event,
    Fail,
    Kafka,
    Kinesis,
    LambdaSqs,
    Overtake,
    RabbitMQ,
    Redeliver,
    Scenario,
    SqsStandard,
    Verdict,
    Webhook,
)
from chaoskit.execution.deliver import Deliver
from chaoskit.report.shortened import shortened
from chaoskit.strategies import events
from handlers.small import inbox
from plugin.projects import HEAD, PARALLEL, Project
from reports.cases import DEAD_LETTER, log, show, shown, verdict_on, wallet

Handler = Callable[[Any], None]

# Values in the room that there is.


def order(status: str, name: str = "Jane Doe-Smith") -> dict[str, Any]:
    lines = [{"sku": "chair-0001", "quantity": 1}, {"sku": "table-0007", "quantity": 2}]
    return {"order_id": "ord-000001", "customer": name, "lines": lines, "status": status, "currency": "EUR"}


def last_status(deliver: Deliver) -> dict[str, str]:
    found: dict[str, str] = {}
    deliver(lambda message: found.update({message.value["order_id"]: message.value["status"]}))
    return found


OVERWRITTEN = Scenario([Event("a", order("placed")), Event("a", order("paid"))], SqsStandard(), [Overtake("e1")])


@pytest.mark.parametrize("width", [80, 120, 140, 200, 240])
def test_a_report_is_as_wide_as_it_may_be_and_shows_the_field_that_differs(width: int) -> None:
    """At any width the field that makes the difference stands beside its step, and the whole value somewhere."""
    text = verdict_on(last_status, OVERWRITTEN).report(width)
    assert max(map(len, text.splitlines()[1:])) <= width
    steps = [line for line in text.splitlines() if line.lstrip().startswith(("1  ", "2  "))]
    assert ["'status': 'paid'" in steps[0], "'status': 'placed'" in steps[1]] == [True, True]
    assert "".join(text.split()).count("'currency':'EUR'") >= 2
    assert ("…" in steps[0]) == (width < 240)


def test_a_value_that_stands_whole_beside_its_step_is_not_repeated_below() -> None:
    wide, narrow = (verdict_on(last_status, OVERWRITTEN).report(width) for width in (240, 80))
    assert wide.count("chair-0001") == 2
    assert narrow.count("chair-0001") == 2


def test_of_values_that_are_alike_the_field_that_is_read_first_is_shown() -> None:
    """One event that comes twice has nothing that differs: what the handler looks up says more than what is first."""

    def amounts(deliver: Deliver) -> list[str]:
        found: list[str] = []
        deliver(lambda message: found.append(message.value["currency"]))
        return found

    verdict = verdict_on(amounts, Scenario([Event("a", order("placed"))], Kafka(), [Duplicate("e1")]))
    assert verdict.read == ("currency",)
    assert "again ← 1  'a' {'currency': 'EUR', …}\n" in verdict.report(72)


def test_a_file_knows_the_fields_that_were_read(tmp_path: Path) -> None:
    """So that `show` says the same as the run."""
    verdict = verdict_on(last_status, OVERWRITTEN)
    assert verdict.read == ("order_id", "status")
    printed = show(verdict.save(tmp_path)).output
    assert "'status': 'paid'" in printed
    assert printed.partition("Replay")[0].strip() in verdict.report()


@attrs.frozen
class Money:
    amount: int
    note: str


@pytest.mark.parametrize(
    ("value", "others", "room", "listed"),
    [
        ({"a": 1, "b": 2}, [], 16, "{'a': 1, 'b': 2}"),
        ({"a": 1, "b": 2}, [{"a": 1, "b": 3}], 12, "{'b': 2, …}"),
        ({"a": 1, "b": 2}, [{"a": 1}], 12, "{'b': 2, …}"),
        ({"x": "y" * 90, "b": {"c": 1, "d": "z" * 90}}, [{"x": "y" * 90, "b": {"c": 2, "d": "z" * 90}}], 30,
         "{'b': {'c': 1, …}, …}"),
        (Money(1, "n" * 90), [Money(2, "n" * 90)], 24, "Money(amount=1, …)"),
        ("long " * 30, [], 10, "'long lon…"),
        ({}, [], 1, "…"),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_is_shortened_to_what_differs(value: Any, others: list[Any], room: int, listed: str) -> None:
    assert shortened(value, others, (), room) == listed


def test_more_lanes_than_fit_are_named_in_a_column() -> None:
    """Five partitions in 80 columns: no line is wider, and each step says where it is."""
    stream = [Event(key, number) for number, key in enumerate("abcdefgh")]
    text = verdict_on(log, Scenario(stream, Kafka(), [Redeliver("e3", after=1)])).report(80)
    assert max(map(len, text.splitlines()[1:])) <= 80
    assert "      where        what                            value\n" in text
    assert "   3  partition 4  1: e3                           'c' 2\n" in text


def test_pytest_reports_in_the_width_of_its_terminal_also_from_xdists_workers(tmp_path: Path) -> None:
    """COLUMNS stands for the terminal here; a log has 120 columns."""
    source = f"""
def order(status):
    return {order("")!r} | {{"status": status}}

@chaos([Event("a", order("placed")), Event("a", order("paid"))], broker=SqsStandard(), faults={{Overtake}})
def test_orders(deliver):
    found = {{}}
    deliver(lambda message: found.update({{message.value["order_id"]: message.value["status"]}}))
    return found
"""
    project = Project.at(tmp_path, test_orders=HEAD + source)
    widths = {}
    for name, columns, options in (("log", {}, ()), ("wide", {"COLUMNS": "170"}, PARALLEL)):
        ran = project.pytest("--chaos-seed=1", *options, env=columns)
        assert ran.code == 1, ran.text
        widths[name] = max(len(line) for line in ran.out.splitlines() if "'status': 'paid'" in line)
    assert 100 < widths["log"] <= 120 < widths["wide"] <= 170


def test_long_lists_are_told_from_where_they_differ() -> None:
    """What two lists have in common at their beginning is counted."""
    scenario = Scenario([Event("a", n * 1000) for n in range(1, 31)], Kafka(), [Duplicate("e30")])

    def values(deliver: Deliver) -> list[int]:
        found: list[int] = []
        deliver(lambda message: found.append(message.value))
        return found

    assert "  state   [… 30 alike]   [… 30 alike, 30000]\n" in verdict_on(values, scenario).report()


# What the handler raised.


def customers(deliver: Deliver) -> dict[str, int]:
    """Refuses an order whose customer it does not know, and counts a second attempt wrongly."""
    found: dict[str, int] = {}

    def handle(message: Any) -> None:
        if message.value == "order" and message.key not in found:
            raise LookupError(f"no customer {message.key}")
        found[message.key] = found.get(message.key, 0) + (message.attempt or 1)

    deliver(handle)
    return found


REFUSED = Scenario([Event("c1", "customer"), Event("c1", "order")], SqsStandard(), [Overtake("e1")])


def test_an_exception_and_that_it_changed_nothing_are_told(tmp_path: Path) -> None:
    """In the sentence, and beside the step; the delivery that comes again leads there, too. Also from a file."""
    verdict = verdict_on(customers, REFUSED)
    for text in (verdict.report(), show(verdict.save(tmp_path)).output):
        assert "e2 raised   state unchanged ← 1" in text
        assert "again, attempt 2 ← 1" in text
        assert "1. the handler raised on e2 (LookupError: no customer c1): it was shown again." in text
        assert "before the handler raised" not in text
    steps = [json.loads(line) for line in shown("jsonl", verdict.save(tmp_path)).splitlines()]
    assert [step["error"] for step in steps if step.get("raised")] == ["LookupError: no customer c1"]


def test_an_attempt_that_changed_the_state_before_it_raised_is_told() -> None:
    def rows(deliver: Deliver) -> list[str]:
        found: list[str] = []

        def handle(message: Any) -> None:
            found.append(message.value)
            if message.value == "order" and "customer" not in found:
                raise LookupError("too late")

        deliver(handle)
        return found

    text = verdict_on(rows, REFUSED).report()
    assert "e2 raised   changed the state ← 1" in text
    assert "Step 1 changed the state before the handler raised, and raising does not take that back." in text


def sums_after_b(deliver: Deliver) -> dict[str, int]:
    """Needs to know of b before it takes the 3 of a, and counts what comes again."""
    found: dict[str, int] = {}

    def handle(message: Any) -> None:
        if message.value == 3 and "b" not in found:
            raise LookupError("b is unknown")
        found[message.key] = found.get(message.key, 0) + message.value

    deliver(handle)
    return found


BATCH = [Event("b", 5), Event("a", 1), Event("a", 2), Event("a", 3)]


@pytest.mark.parametrize(
    ("broker", "name"),
    [
        (LambdaSqs(fifo=True), "report_batch_item_failures=True (ReportBatchItemFailures)"),
        (Kinesis(consumer="lambda", shards=2), "report_batch_item_failures=True (ReportBatchItemFailures)"),
    ],
    ids=["LambdaSqs", "Kinesis"],
)
def test_a_batch_that_comes_again_is_told_with_the_setting_that_repairs_it(broker: Any, name: str) -> None:
    """What had succeeded has an arrow to the refusal that brings it back."""
    text = verdict_on(sums_after_b, Scenario(BATCH, broker, [Overtake("e1", by=2)])).report(200)
    assert text.count("again, attempt 2 ← 1") == 3
    flat = " ".join(text.split())
    assert "LookupError: b is unknown): it was shown again, with the rest of its batch: e2 and e3, which had" in flat
    assert f"A batch that fails: {name}" in flat


def test_a_batch_that_comes_again_for_a_failed_attempt_is_told_alike() -> None:
    """The handler raised nowhere, and what it had taken comes again all the same."""

    def sums(deliver: Deliver) -> dict[str, int]:
        found: dict[str, int] = {}
        deliver(lambda message: found.update({message.key: found.get(message.key, 0) + message.value}))
        return found

    stream = [Event("a", number) for number in (1, 2, 3)]
    flat = " ".join(verdict_on(sums, Scenario(stream, LambdaSqs(fifo=True), [Fail("e3")])).report(200).split())
    assert "with the rest of its batch: e1 and e2, which had succeeded." in flat
    assert "A batch that fails: report_batch_item_failures=True" in flat


def test_where_only_what_failed_comes_again_no_batch_is_told() -> None:
    """The same handler under partial responses is right, and a failure of another kind names no batch."""
    partial = LambdaSqs(report_batch_item_failures=True)
    assert chaoskit.run(sums_after_b, Scenario(BATCH, partial, [Overtake("e1", by=2)])).status == "held"
    text = verdict_on(customers, REFUSED).report()
    assert "batch" not in text


# What a restart destroyed, and what the state has.


def buffering(size: int) -> Callable[[list[int]], Handler]:
    """A handler that writes its messages out when it has so many."""

    def spawned(rows: list[int]) -> Handler:
        buffer: list[int] = []

        def handle(message: Any) -> None:
            buffer.append(message.value)
            if len(buffer) == size:
                rows.extend(buffer)
                buffer.clear()

        return handle

    return spawned


def remembering(rows: list[int]) -> Handler:
    """A handler that knows in memory only what it has taken."""
    seen: set[str] = set()

    def handle(message: Any) -> None:
        if message.id not in seen:
            seen.add(message.id)
            rows.append(message.value)

    return handle


def latest(rows: list[int]) -> Handler:
    """Keeps the last value, and remembers nothing."""

    def handle(message: Any) -> None:
        rows[:] = [message.value]

    return handle


def spawning(make: Callable[[list[int]], Handler], state: Callable[[list[int]], Any]) -> Callable[[Deliver], Any]:
    def test(deliver: Deliver) -> Any:
        rows: list[int] = []
        deliver(spawn=lambda: make(rows))
        return state(rows)

    return test


FOUR = [Event("a", number) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("make", "state", "fault", "lost", "has", "advice"),
    [
        (remembering, sum, Redeliver("e4"), "of e1, e2, e3 and e4; e1, e2 and e3 did not come", "twice",
         "e4 took effect twice. Remember the ids of events where the effect is"),
        (remembering, sorted, Redeliver("e4"), "of e1, e2, e3 and e4; e1, e2 and e3 did not come", "twice",
         "e4 took effect twice."),
        (buffering(3), sum, Redeliver("e2"), "of e1 and e2; e1 did not come again", "missing",
         "what came of e1 is missing: it was in memory only when the process ended. Write it out before the message"),
        (buffering(3), lambda rows: set(rows), Redeliver("e2"), "of e1 and e2; e1 did not come again", "missing",
         "what came of e1 is missing"),
        (latest, lambda rows: rows[0] if rows else 0, Redeliver("e3", after=1), "of e1, e2, e3 and e4", None, ""),
    ],
    ids=["twice", "twice in a list", "missing", "missing in a set", "in order again"],
)  # fmt: skip
def test_the_advice_after_a_restart_follows_what_the_state_has(
    make: Any, state: Any, fault: Any, lost: str, has: str | None, advice: str
) -> None:
    """That a handler be idempotent is said only where something is there twice."""
    stream = FOUR[:4] if make is not buffering(3) else FOUR
    verdict = chaoskit.run(spawning(make, state), Scenario(stream, Kafka(partitions=1), [fault]))
    if has is None:
        assert verdict.status == "held"
        return
    assert verdict.status == "violated", verdict
    flat = " ".join(verdict.report().split())
    assert "took with it what the handler kept in memory" in flat
    assert f"took with it what the handler kept in memory {lost}" in flat
    assert f"In the handler: {advice}" in flat
    assert "Make the handler idempotent" not in flat


def test_an_older_value_that_comes_again_asks_for_a_comparison() -> None:
    """A redelivery behind newer messages: nothing is there twice, and ids alone do not help a handler that restarts."""
    verdict = chaoskit.run(
        spawning(latest, lambda rows: rows[0] if rows else 0),
        Scenario(FOUR[:2], SqsStandard(consumers=1), [Redeliver("e1", after=1)]),
    )
    flat = " ".join(verdict.report().split())
    assert "In the handler: e1 came late and took the place of something newer. Compare `seq`" in flat
    assert "Make the handler idempotent" not in flat


def test_a_handler_that_is_not_made_anew_has_lost_nothing() -> None:
    """Without `spawn` a restart takes nothing, and the broker's own remedy stands as it is."""
    flat = " ".join(verdict_on(log, Scenario(FOUR, Kafka(), [Redeliver("e2")])).report().split())
    assert "took with it" not in flat
    assert "Make the handler idempotent: remember event ids in the same transaction as the effect" in flat


def test_a_file_tells_what_a_restart_destroyed(tmp_path: Path) -> None:
    verdict = verdict_on(spawning(remembering, sum), Scenario(FOUR[:1], Kafka(), [Redeliver("e1")]))
    assert "took with it what the handler kept in memory of e1" in show(verdict.save(tmp_path)).output
    lines = [json.loads(line) for line in shown("jsonl", verdict.save(tmp_path)).splitlines()]
    assert [line["state"] for line in lines if line["type"] == "advice"] == ["twice"]


def test_a_file_of_before_is_shown_without_what_it_does_not_have(tmp_path: Path) -> None:
    """And one in which that was changed by hand."""
    path = verdict_on(customers, REFUSED).save(tmp_path)
    data = json.loads(path.read_text())
    for listed in (
        None,
        [],
        {"errors": [1], "read": {}, "memory_kept": "no"},
        {"errors": {"x": "y", "1": 2}, "read": [1]},
    ):
        path.write_text(json.dumps(data | {"told": listed}))
        result = show(path)
        assert result.exit_code == 0, result.output
        assert "1. the handler raised on e2: it was shown again." in result.output


# How long it took, and what else is said once.


def test_a_failing_report_says_how_many_schedules_it_took() -> None:
    """With the seed that finds it again; one scenario that is run alone took none."""
    verdict = chaoskit.check(log, events(st.integers(), st.sampled_from("ab")), Kafka(), seed=1, schedules=200)
    took = verdict.tally.schedules
    noun = "schedule" if took == 1 else "schedules"
    assert f"\nFound with seed=1\nIt took {took} {noun} of {verdict.tally.streams} stream" in verdict.report()
    alone = verdict_on(wallet, DEAD_LETTER).report()
    assert "Found" not in alone
    assert "It took" not in alone


def forgetful(deliver: Deliver) -> list[int]:
    seen: set[str] = set()
    rows: list[int] = []

    def handle(message: Any) -> None:
        if message.id not in seen:
            seen.add(message.id)
            rows.append(message.value)

    deliver(handle)
    return sorted(rows)


STORE: list[Any] = []


def into_the_store(message: Any) -> None:
    if message.id not in [id_ for id_, _ in STORE]:
        STORE.append((message.id, message.value))


def stored(deliver: Deliver) -> list[int]:
    STORE.clear()
    deliver(into_the_store)
    return sorted(value for _, value in STORE)


class Box:
    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def handle(self, message: Any) -> None:
        self.rows[message.id] = message.value


def boxed(deliver: Deliver) -> list[int]:
    box = Box()
    deliver(box.handle)
    return sorted(box.rows.values())


@pytest.mark.parametrize(
    ("test", "faults", "reported"),
    [
        (forgetful, {Redeliver}, True),
        (boxed, {Redeliver}, True),
        (stored, {Redeliver}, False),
        (forgetful, {Duplicate}, False),
    ],
    ids=["closure", "bound method", "plain function", "no restart"],
)
def test_that_memory_survived_is_said_where_there_is_one_and_a_restart(test: Any, faults: Any, reported: bool) -> None:
    stream = events(st.integers(1, 9), st.just("a"))
    verdict: Verdict = chaoskit.check(test, stream, Kafka(), faults=faults, seed=1, schedules=60)
    assert verdict.status == "held", verdict.report()
    assert any("survived restarts" in note for note in verdict.notes) == reported


def test_of_many_tests_it_is_said_once(tmp_path: Path) -> None:
    """In a line of its own, whichever worker ran them."""
    source = "".join(
        f"""
@chaos(PAYMENTS, faults={faults}, schedules=40)
def test_{name}(deliver):
    rows = {{}}
    deliver(lambda message: rows.update({{message.id: message.value}}))
    return rows
"""
        for name, faults in (("one", "{Redeliver}"), ("two", "{Redeliver}"), ("three", "{Duplicate}"))
    )
    project = Project.at(tmp_path, test_many=HEAD + source)
    ran = project.pytest("--chaos-seed=1", *PARALLEL)
    assert ran.code == 0, ran.text
    assert ran.out.count("survived restarts") == 1
    assert ran.out.count("held: 40 schedules") == 3
    assert "\nwhat the handler keeps in memory survived restarts: deliver(spawn=make_handler) would" in ran.out
    assert "as a restart does (test_many.py::test_one, test_many.py::test_two)\n" in ran.out


def test_a_remedy_of_a_dead_letter_stays_as_it_is() -> None:
    """No habit is in it that could be the wrong one."""
    text = " ".join(verdict_on(wallet, DEAD_LETTER).report().split())
    assert f"DeadLetter: {Kafka().ruled_out_by(DeadLetter)}." in text
    assert "In the handler" not in text


# One delivery, one kind.


def test_what_arrives_later_on_a_webhook_is_one_kind_in_the_providers_words() -> None:
    """There are no batches, and nothing restarts for a slow answer."""
    stream = events(st.integers(1, 9), st.just("a"), max_size=6)
    verdict = chaoskit.check(inbox, stream, Webhook(), faults={Overtake}, seed=1, schedules=200)
    assert verdict.scenario is not None
    assert (len(verdict.scenario.events), [type(fault) for fault in verdict.scenario.faults]) == (2, [Overtake])
    flat = " ".join(verdict.report().split())
    assert "arrived after" in flat
    assert "the provider keeps no order between its requests" in flat
    assert BatchSwap not in Webhook().kinds()
    assert "there are no batches" in str(Webhook().why_impossible(BatchSwap))
    slow = verdict_on(log, Scenario([Event("a", 1)], Webhook(), [Redeliver("e1")])).report()
    assert "no answer from handler " in slow
    assert "restarts" not in slow


def test_a_handler_that_compares_versions_is_right_on_a_webhook() -> None:
    def newest(deliver: Deliver) -> dict[str, tuple[int, int]]:
        state: dict[str, tuple[int, int]] = {}
        deliver(lambda m: state.update({m.key: max(state.get(m.key, (0, 0)), (m.seq, m.value))}))
        return state

    stream = events(st.integers(1, 9), st.just("a"), max_size=6)
    assert chaoskit.check(newest, stream, Webhook(), seed=1, schedules=200).status == "held"


def test_a_state_that_never_changes_shows_nothing_of_an_attempt_that_raised() -> None:
    """It is not said that the attempt changed nothing, only that the state could not show it."""

    def test(deliver: Deliver) -> int:
        seen: set[Any] = set()

        def handle(message: Any) -> None:
            if message.id == "e1" and "e2" in seen:
                raise LookupError("too late")
            seen.add(message.id)

        deliver(handle)
        return 1

    events = [Event("c1", 1), Event("c1", 2)]
    scenario = Scenario(events, RabbitMQ(consumers=2), [Overtake("e1")])
    verdict = chaoskit.run(
        test, scenario, invariants=[chaoskit.invariants.final_state(), chaoskit.invariants.no_error()]
    )
    text = " ".join(verdict.report().split())
    assert "raised" in text
    assert "state unchanged" not in text
    assert "No step changes the state that the test gives, so it does not show whether an attempt" in text
