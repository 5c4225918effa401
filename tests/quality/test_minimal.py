"""What is shown of a failure: the mildest faults that do it, and a stream that somebody may send."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from cases import cases
from chaoskit import (
    Duplicate,
    Event,
    Kafka,
    Overtake,
    RabbitMQ,
    Redeliver,
    Resend,
    SqsStandard,
    Stream,
    Verdict,
    Webhook,
    check,
)
from chaoskit.brokers import Settings
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Case, Subject
from chaoskit.search.question import default_invariants
from chaoskit.search.shrink import Shrinker
from chaoskit.strategies import events
from chaoskit.values.errors import ReproError
from chaoskit.values.faults import KINDS
from handlers.buggy import orders_need_known_customer
from handlers.small import inbox

Test = Callable[[Any], Any]


def faults_of(verdict: Verdict) -> list[str]:
    assert verdict.scenario is not None, verdict.reasons
    return sorted(type(fault).__name__ for fault in verdict.scenario.faults)


def values_of(verdict: Verdict) -> list[Any]:
    assert verdict.scenario is not None, verdict.reasons
    return [event.value for event in verdict.scenario.events]


# The mildest of the faults that do the same.


def closed(deliver: Any) -> dict[str, Any]:
    """What is closed stays closed, also against what was sent before and comes after."""
    state: dict[str, Any] = {}
    seen: set[str] = set()

    def handle(message: Any) -> None:
        if message.id not in seen and state.get(message.key) != "closed":
            state[message.key] = "closed" if message.value == "close" else message.value
        seen.add(message.id)

    deliver(handle)
    return state


def counts(deliver: Any) -> dict[str, int]:
    state: dict[str, int] = {}

    def handle(message: Any) -> None:
        state[message.key] = state.get(message.key, 0) + 1

    deliver(handle)
    return state


IN_THREES = cases(3, most=6)
"""Seeds."""
NUMBERS = events(st.integers(1, 5), keys=st.sampled_from("ab"))
STATES = events(st.sampled_from(["open", "edit", "close"]), keys=st.sampled_from("ab"))


@pytest.mark.parametrize(("test", "stream"), [(inbox, NUMBERS), (closed, STATES)], ids=["overwrite", "closed"])
def test_a_bug_of_order_is_shown_as_one_of_order(test: Test, stream: Any) -> None:
    """Two events that change places, without a copy or a restart, whatever was met first; and what else can make them
    change places is named, since another remedy rules that out."""
    shown = []
    for seed in range(1, 13):
        verdict = check(test, stream, Webhook(), seed=seed)
        assert verdict.schedule is not None
        assert len(verdict.schedule.delivered) == len(values_of(verdict)) == 2
        shown.append((faults_of(verdict), verdict.also))
    assert shown == [(["Overtake"], ("Fail",))] * 12
    assert "It fails alike under: Fail." in " ".join(verdict.report().split())


def test_a_second_delivery_is_shown_without_restart_or_copy() -> None:
    """The same one event under three kinds: the mildest is shown, and the others are named in their order."""
    verdict = check(counts, NUMBERS, Kafka(idempotent_producer=False), seed=4)
    assert faults_of(verdict) == ["Duplicate"]
    assert verdict.also == ("Redeliver", "Resend", "Zombie")
    assert "It fails alike under: Redeliver, Resend, Zombie." in verdict.report()


def test_a_kind_that_is_not_asked_for_is_not_named() -> None:
    """Only what was searched; where nothing else fails there is no such line."""
    verdict = check(counts, NUMBERS, SqsStandard(), faults={Resend, Redeliver}, seed=1)
    assert (faults_of(verdict), verdict.also) == (["Redeliver"], ("Resend",))
    alone = check(inbox, NUMBERS, Webhook(), faults={Overtake}, seed=1)
    assert (faults_of(alone), alone.also) == (["Overtake"], ())
    assert "fails alike" not in alone.report()


def test_copies_and_restarts_are_no_milder_than_what_does_without() -> None:
    """The order of the kinds decides last: a redelivery stands before a resend in it, and restarts."""
    assert KINDS.index(Redeliver) < KINDS.index(Resend)
    assert faults_of(check(counts, NUMBERS, Kafka(idempotent_producer=False), faults={Redeliver, Resend}, seed=2)) == [
        "Redeliver"
    ]


def test_a_lost_event_does_not_hide_that_an_order_gives_the_same() -> None:
    """What was lost has no place in the order that is asked first: the failure is across keys with it, and so is made
    as small as without it."""
    for seed in range(1, 7):
        verdict = check(orders_need_known_customer.test, orders_need_known_customer.EVENTS, RabbitMQ(), seed=seed)
        assert (len(values_of(verdict)), faults_of(verdict), verdict.label) == (2, ["Overtake"], "across keys")


# Fewer events, also where only several at once can go.


def flushes_by_threes(deliver: Any) -> dict[str, int]:
    """A buffer of three that a clean stop flushes, and a death loses. A duplicate in it moves the commits, so that they
    fall into the middle."""
    store: dict[str, int] = {}
    buffers: list[list[Any]] = []

    def flush(buffer: list[Any]) -> None:
        for message in buffer:
            store[message.id] = message.value
        buffer.clear()

    def spawn() -> Callable[[Any], None]:
        buffer: list[Any] = []
        buffers.append(buffer)

        def handle(message: Any) -> None:
            buffer.append(message)
            if len(buffer) == 3:
                flush(buffer)

        return handle

    deliver(spawn=spawn)
    flush(buffers[-1])
    return store


def flushes_three_different(deliver: Any) -> dict[str, int]:
    """A buffer of three different ones, of which nobody flushes the rest."""
    store: dict[str, int] = {}

    def spawn() -> Callable[[Any], None]:
        buffer: dict[str, int] = {}

        def handle(message: Any) -> None:
            buffer[message.id] = message.value
            if len(buffer) == 3:
                store.update(buffer)
                buffer.clear()

        return handle

    deliver(spawn=spawn)
    return store


@pytest.mark.many
@pytest.mark.parametrize(("test", "least"), [(flushes_by_threes, 4), (flushes_three_different, 5)])
def test_what_works_in_threes_is_shrunk_by_threes(test: Test, least: int) -> None:
    """Fewer than three events less change what fails; a full search of all smaller streams says what is least."""
    broker = Kafka(partitions=1, commit_every=3)
    stream = events(st.integers(1, 9), keys=st.sampled_from("ab"))
    found = [check(test, stream, broker, faults={Redeliver, Duplicate}, seed=seed) for seed in range(IN_THREES)]
    assert [len(values_of(verdict)) for verdict in found] == [least] * IN_THREES


def test_a_handler_that_keeps_its_buffer_is_not_flagged() -> None:
    """What docs/kafka.md says of a consumer that commits when it flushes: given as it is, its buffer survives."""

    def test(deliver: Any) -> dict[str, int]:
        store: dict[str, int] = {}
        buffer: list[Any] = []

        def flush() -> None:
            store.update({message.id: message.value for message in buffer})
            buffer.clear()

        def handle(message: Any) -> None:
            buffer.append(message)
            if len(buffer) == 3:
                flush()

        deliver(handle)
        flush()
        return store

    verdict = check(test, NUMBERS, Kafka(partitions=1, commit_every=3), seed=1)
    assert verdict.status == "held"
    assert "Redeliver" in verdict.tally.effective


# A stream that the strategy can make, or one that is said to be a part.


@st.composite
def grants(draw: st.DrawFn) -> list[Event]:
    """A grant of ten, and what can be spent of it."""
    left, stream = 10, [Event("alice", ("grant", 10))]
    while left and draw(st.booleans()):
        amount = draw(st.integers(1, left))
        left -= amount
        stream.append(Event("alice", ("spend", amount)))
    return stream


MAPPED = st.lists(st.integers(1, 4), max_size=2).map(
    lambda amounts: [Event("alice", ("grant", 10)), *(Event("alice", ("spend", amount)) for amount in amounts)]
)


def spends(deliver: Any, *, repaired: bool = False) -> dict[str, int]:
    """Grants are taken once, spendings each time that they come; once repaired it refuses what is not covered."""
    state = {"alice": 0}
    seen: set[str] = set()

    def handle(message: Any) -> None:
        kind, amount = message.value
        if message.id in seen and (kind == "grant" or repaired):
            return
        seen.add(message.id)
        if repaired and kind == "spend" and state["alice"] < amount:
            raise ValueError("not covered")
        state["alice"] += amount if kind == "grant" else -amount

    deliver(handle)
    return state


def repaired(deliver: Any) -> dict[str, int]:
    return spends(deliver, repaired=True)


def subject(test: Test, broker: Settings) -> Subject:
    return Subject(test, broker, default_invariants(None))


@pytest.mark.parametrize("stream", [grants(), MAPPED], ids=["composite", "mapped"])
def test_the_minimal_stream_is_one_that_the_strategy_makes(stream: Any, tmp_path: Path) -> None:
    """A grant and what is spent of it, not a spending alone, which the repaired handler refuses in order: the file is
    then fixed, and can always be replayed."""
    for seed in range(8):
        verdict = check(spends, stream, Kafka(), seed=seed, schedules=300)
        assert (values_of(verdict), faults_of(verdict)) == ([("grant", 10), ("spend", 1)], ["Duplicate"])
        assert not verdict.is_part
        repro = read(verdict.save(tmp_path))
        assert play(repro, subject(spends, Kafka())).became == "STILL FAILS"
        assert play(repro, subject(repaired, Kafka())).became == "FIXED"


def test_of_a_literal_list_the_part_is_said_to_be_one_and_replay_falls_back(tmp_path: Path) -> None:
    """Nobody knows what else could be sent. The minimal part is shown, the whole list stays beside it in the file, and
    is played where the handler refuses the part."""
    whole = [Event("alice", value) for value in (("grant", 10), ("spend", 3), ("spend", 4))]
    verdict = check(spends, whole, Kafka(), faults={Duplicate}, seed=1)
    assert [kind for kind, _ in values_of(verdict)] == ["spend"]
    assert verdict.is_part
    assert "a part of the one that was found (1 of 3 events)" in " ".join(verdict.report().split())
    path = verdict.save(tmp_path)
    assert [event["id"] for event in json.loads(path.read_text())["found"]] == ["e1", "e2", "e3"]
    fixed = play(read(path), subject(repaired, Kafka()))
    assert (fixed.became, fixed.reason) == (
        "FIXED",
        "the handler refuses the minimal stream in order, so the one that was found was played: it holds",
    )


def refuses_and_spends_twice(deliver: Any) -> dict[str, int]:
    """The repair that was half done."""
    state = {"alice": 0}

    def handle(message: Any) -> None:
        kind, amount = message.value
        if kind == "spend" and state["alice"] < amount:
            raise ValueError("not covered")
        state["alice"] = 10 if kind == "grant" else state["alice"] - amount

    deliver(handle)
    return state


def test_what_still_fails_on_the_whole_stream_is_no_green(tmp_path: Path) -> None:
    """The part is refused in order, and the list that was found breaks the handler as before. Without it, as in a file
    of before, nobody can tell."""
    whole = [Event("alice", value) for value in (("grant", 10), ("spend", 3), ("spend", 4))]
    path = check(spends, whole, Kafka(), faults={Duplicate}, seed=1).save(tmp_path)
    still = play(read(path), subject(refuses_and_spends_twice, Kafka()))
    assert still.became == "CHANGED"
    assert still.reason.endswith("the one that was found was played: it still fails")
    assert still.verdict is not None
    assert len(values_of(still.verdict)) == 3
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if not k.startswith("found")}))
    assert play(read(path), subject(repaired, Kafka())).became == "CANNOT REPLAY"


def test_orders_of_values_of_which_not_all_can_be_tried_are_tried_mixed() -> None:
    """With one event less it fails where 6 or 7 comes first, which stand last among the values."""

    def fails(stream: Stream, _: object) -> bool:
        values = [event.value for event in stream.events]
        return values == [1, 2, 3, 4, 5, 6, 7] or (len(values) == 6 and values[0] >= 6 and values[0] > values[1])

    shrinker = Shrinker(Kafka(partitions=1).model, (Duplicate,), fails, lambda _: True, free_values=True)
    stream, faults = shrinker.shrink(Stream.of([Event("a", value) for value in range(1, 8)]), (Duplicate("e1"),))
    assert (len(stream), len(faults)) == (6, 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"found": 3}, '"found" must be a list'),
        ({"found_faults": {}}, '"found_faults" must be a list'),
        ({"found_faults": [{"fault": "Duplicate", "at": "e9"}]}, "names the event 'e9', which does not exist"),
    ],
)
def test_a_file_whose_found_stream_somebody_broke_is_one_line(
    tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    """Like any other part of it."""
    whole = [Event("alice", ("spend", 3)), Event("alice", ("spend", 4))]
    path = check(spends, whole, Kafka(), faults={Duplicate}, seed=1).save(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ReproError) as caught:
        read(path)
    assert says in str(caught.value)


def test_a_stream_of_events_is_never_called_a_part() -> None:
    """Any part of it is one that the strategy makes."""
    verdict = check(counts, NUMBERS, Kafka(), seed=1)
    assert (verdict.is_part, verdict.found) == (False, None)
    assert attrs.asdict(verdict, recurse=False)["found_faults"] == ()


def test_a_schedule_is_run_once_however_many_faults_come_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two events most plans are the same few deliveries."""
    asked: list[tuple[Case, Any]] = []  # the cases themselves, as of one that is gone another may have the address
    run = Case.run

    def spied(self: Case, faults: Any, steps: Any = None) -> Any:
        asked.append((self, None if steps is None else tuple(steps)))
        return run(self, faults, steps)

    monkeypatch.setattr(Case, "run", spied)
    assert len(values_of(check(counts, NUMBERS, Kafka(), seed=4))) == 1
    given = [(id(case), steps) for case, steps in asked if steps is not None]
    assert len(given) == len(set(given)) > 5
