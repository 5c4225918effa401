"""All kinds that the broker can make but these."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, ImpossibleFault, UsageError, chaos, check
from chaoskit.brokers import InOrder, Kafka, SqsStandard
from chaoskit.strategies import events
from chaoskit.values.faults import BatchSwap, DeadLetter, Duplicate, Rehash
from handlers.small import inbox

EV = events(st.integers(1, 9), keys=st.just("a"), max_size=6)


def test_the_others_are_tried_and_these_are_not() -> None:
    """On a topic that grows a late write wins; dead letters put back do the same, and are left out as well."""
    grows = check(inbox, EV, Kafka(), without={DeadLetter}, schedules=300, seed=1)
    assert grows.scenario is not None
    assert {type(fault) for fault in grows.scenario.faults} == {Rehash}
    verdict = check(inbox, EV, Kafka(), without={Rehash, DeadLetter}, schedules=300, seed=1)
    assert verdict.status == "held"
    left = {kind.__name__ for kind in Kafka().kinds() if kind not in (Rehash, DeadLetter)}
    assert set(verdict.tally.effective + verdict.tally.not_tried) == left


def test_a_decorated_test_keeps_it_also_on_another_broker() -> None:
    test = chaos(EV, broker=Kafka(), without={DeadLetter, Rehash})(inbox)
    assert check(test, EV, schedules=100, seed=1).status == "held"
    assert check(test, EV, Kafka(partitions=3), schedules=100, seed=1).status == "held"
    assert check(test, EV, without={Duplicate, Rehash}, schedules=300, seed=1).status == "violated"


def test_nothing_left_out_is_all() -> None:
    assert check(inbox, EV, Kafka(), without=(), schedules=300, seed=1).status == "violated"


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "both": (Kafka(), {"faults": {Duplicate}, "without": {Rehash}}, UsageError, "faults and without were both given"),
    "impossible": (
        Kafka(), {"without": {BatchSwap}}, ImpossibleFault,
        "without contains BatchSwap, which Kafka cannot make anyway: an idempotent producer",
    ),
    "a name": (Kafka(), {"without": {"Rehash"}}, UsageError, "without contains 'Rehash'.*write the class"),
    "a text": (Kafka(), {"without": "Rehash"}, UsageError, "without='Rehash': a set of fault kinds is needed"),
    "unknown": (Kafka(), {"without": [int]}, UsageError, "without contains <class 'int'>, which is not a kind"),
    "all": (
        Kafka(), {"without": Kafka().kinds()}, UsageError,
        "without leaves nothing that Kafka can make",
    ),
    "of nothing": (InOrder(), {"without": {Rehash}}, ImpossibleFault, "which InOrder cannot make anyway"),
    "another broker": (SqsStandard(), {"without": {Rehash}}, ImpossibleFault, "which SqsStandard cannot make anyway"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_meant_is_an_error_at_both_doors(name: str) -> None:
    broker, given, error, said = WRONG[name]
    with pytest.raises(error, match=said):
        chaos(EV, broker=broker, **given)
    with pytest.raises(error, match=said):
        check(inbox, [Event("a", 1)], broker, **given)
