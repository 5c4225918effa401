"""Settings with which real clients and brokers lose, repeat or reorder: what each breaks, and what survives it.

For each setting a handler that it breaks is found at its known minimum, and a correct twin, or the same handler without
the setting, is held. What the search makes is compared with the judge of traces in test_generated.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Message, UsageError, check
from chaoskit.brokers import Kafka, Settings
from chaoskit.faults import FaultKind, Lose, Rehash
from chaoskit.strategies import events
from chaoskit.verdict import Verdict

EV = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]), max_size=6)


def sums(deliver: Any) -> dict[str, int]:
    """Adds up once what comes, in any order: only a loss can break it."""
    balances: dict[str, int] = {}
    seen: set[Any] = set()

    def handle(message: Message) -> None:
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances


def counts(deliver: Any) -> dict[str, int]:
    """Adds up whatever comes: a second delivery breaks it."""
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances


def minimum(verdict: Verdict) -> tuple[int, list[FaultKind]]:
    """How many events, and which faults."""
    assert verdict.status == "violated", verdict.report()
    assert verdict.scenario is not None
    return len(verdict.scenario.events), [type(fault) for fault in verdict.scenario.faults]


def told(verdict: Verdict) -> str:
    return " ".join(verdict.report().split())


def loses(broker: Settings, **asked: Any) -> Verdict:
    return check(sums, EV, broker, schedules=1000, seed=1, loss="violation", **asked)


# Kafka: commits in the background.


def test_a_background_commit_loses_the_record_in_hand() -> None:
    verdict = loses(Kafka(auto_commit=True))
    assert minimum(verdict) == (1, [Lose])
    assert "the client committed it in the background (enable.auto.commit) before it was handled" in told(verdict)
    assert "auto_commit=False" in told(verdict)
    assert loses(Kafka()).status == "held"


def test_the_clients_that_commit_so_by_default_are_named() -> None:
    why = str(Kafka().why_impossible(Lose))
    assert "auto_commit=True makes it possible (the default of confluent-kafka and aiokafka" in why
    assert Kafka(auto_commit=True).loses == "auto_commit=True"


def test_the_rest_of_a_consume_is_lost_with_it() -> None:
    """One consume(4) hands over 1 to 4, which are committed at once; the process dies at 3."""
    assert Kafka(auto_commit=True).permits("1 2 3- 4- |c=5 ⚡ 5")
    assert not Kafka().permits("1 2 3- 4- |c=5 ⚡ 5")


@pytest.mark.parametrize("other", [{"commit_every": 2}, {"commit_ahead": True}])
def test_one_consumer_commits_in_one_way(other: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="has no effect with auto_commit=True"):
        Kafka(auto_commit=True, **other)


# Kafka: where a new partition is read from.


def test_the_first_records_of_a_new_partition_are_never_read() -> None:
    verdict = loses(Kafka(auto_offset_reset="latest"))
    events, kinds = minimum(verdict)
    assert events == 1
    assert sorted(kind.__name__ for kind in kinds) == ["Lose", "Rehash"]
    assert "the group learned of partition" in told(verdict)
    assert 'auto_offset_reset="earliest"' in told(verdict)
    assert loses(Kafka()).status == "held"


def test_a_pass_from_the_end_says_what_can_be_lost_and_is_no_unknown() -> None:
    verdict = check(sums, EV, Kafka(auto_offset_reset="latest"), schedules=1000, seed=1)
    assert verdict.status == "held", verdict.report()
    assert verdict.tally.left_out == ("Lose",)
    assert any('(auto_offset_reset="latest")' in note for note in verdict.notes)


def test_without_growth_nothing_begins_at_an_end() -> None:
    with pytest.raises(UsageError, match="auto_offset_reset has no effect with growth=False"):
        Kafka(auto_offset_reset="latest", growth=False)
    assert Rehash not in Kafka(growth=False).kinds()


FROM_LATEST = Kafka(partitions=2, auto_offset_reset="latest")
FROM_THE_END: dict[str, tuple[str, bool]] = {
    "the first of a new partition": ("|put p0/1 p0/1 |grow 3 |put p2/2 |put p2/3 p2/3 |end", True),
    "all of a new partition": ("|put p0/1 p0/1 |grow 3 |put p2/2 |end", True),
    "not in its middle": ("|put p0/1 p0/1 |grow 3 |put p2/2 |put p2/3 |put p2/4 p2/2 p2/4 |end", False),
    "not before what was committed": (
        "|grow 3 |put p2/1 |put p2/2 |put p2/3 |put p2/4 A:p2/2 A:|c=p2/3 A:⚡ A:p2/4 |end",
        False,
    ),
}


@pytest.mark.parametrize("case", FROM_THE_END)
def test_a_new_partition_is_read_from_wherever_its_end_was(case: str) -> None:
    trace, legal = FROM_THE_END[case]
    assert bool(FROM_LATEST.permits(trace)) == legal, FROM_LATEST.permits(trace)
