"""How many different things were seen, counted in little memory."""

from __future__ import annotations

import pytest

from chaoskit.search.distinct import EXACT, Distinct


def counted(values: range) -> Distinct:
    distinct = Distinct()
    for value in values:
        distinct.add(value)
        distinct.add(value)
    return distinct


@pytest.mark.parametrize("many", [0, 1, EXACT - 1])
def test_few_are_counted_exactly(many: int) -> None:
    """However often each comes."""
    assert counted(range(many)).estimate == many


@pytest.mark.parametrize("many", [10_000, 300_000])
def test_many_are_counted_within_a_few_hundredths(many: int) -> None:
    """Also numbers in a row, which are spread no better than hashes of tuples."""
    assert counted(range(many)).estimate == pytest.approx(many, rel=0.05)


def test_two_counts_together_are_as_one_that_has_seen_everything() -> None:
    """What both saw counts once; what is told is told once."""
    one, two, whole = counted(range(30_000)), counted(range(20_000, 50_000)), counted(range(50_000))
    together = Distinct()
    for part in (one, two):
        together.merge(part.take_fresh())
        assert part.take_fresh() == []
    assert together.estimate == whole.estimate


def test_what_is_told_gets_less_and_less() -> None:
    """A long search has next to nothing to tell any more: reports stay small."""
    distinct = counted(range(200_000))
    assert len(distinct.take_fresh()) == EXACT
    for value in range(200_000, 210_000):
        distinct.add(value)
    assert len(distinct.take_fresh()) < EXACT / 10
