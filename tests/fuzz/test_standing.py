"""Whose turn it is, and when a search has seen everything."""

from __future__ import annotations

import random

from chaoskit.fuzz.job import Finding, SliceResult
from chaoskit.fuzz.standing import FEWEST, MOST_SATURATED, Standing

KINDS = ("Duplicate", "Redeliver")


def output_of(worker: str = "gw0", **more: object) -> SliceResult:
    return SliceResult("a", worker, "held", **more)  # type: ignore[arg-type]


def known(*names: str) -> Standing:
    standing = Standing()
    standing.know(names)
    return standing


def test_each_test_gets_as_many_slices_as_the_others_and_workers_begin_with_different_ones() -> None:
    standing = known("a", "b", "c")
    given = [standing.next_for(["a", "b", "c"], f"gw{first}", first) for first in (0, 1, 2, 0, 1, 2)]
    assert given[:3] == [0, 1, 2]
    assert given[3:] == [1, 2, 0]
    assert [standing.next_for(["a", "b", "c"], "gw0") for _ in range(4)] == [2, 0, 1, 2]


def test_a_test_that_ended_gets_no_more_time() -> None:
    standing = known("a", "b")
    standing.tests["a"].take(SliceResult("a", "gw0", "broken", "no database"))
    assert [standing.next_for(["a", "b"], "gw0") for _ in range(3)] == [1, 1, 1]
    standing.tests["b"].take(SliceResult("b", "gw0", "held", exhausted=True))
    assert standing.next_for(["a", "b"], "gw0") is None
    assert not standing.searching


def search(standing: Standing, new: float, slices: int = 200) -> int:
    """Slices of a thousand schedules, of which this share is new, until the test gets no more time; how many."""
    chance, number = random.Random(1), 0
    for number in range(1, slices + 1):
        fresh = tuple(chance.getrandbits(64) for _ in range(int(1000 * new)))
        standing.tests["a"].take(output_of(schedules=1000 * number, fresh=fresh))
        if standing.tests["a"].ended:
            break
    return number


def test_a_search_that_sees_new_schedules_goes_on() -> None:
    """Even where most of what it tries was tried before."""
    standing = known("a")
    assert search(standing, new=0.05) == 200
    assert not standing.tests["a"].ended


def test_a_search_that_sees_nothing_new_ends() -> None:
    """But not before it has tried a lot."""
    standing = known("a")
    slices = search(standing, new=0)
    assert standing.tests["a"].ended == "saturated"
    assert FEWEST / 1000 <= slices < 2 * FEWEST / 1000


def test_a_search_that_has_said_so_several_times_ends() -> None:
    """Once may be chance: the next draws may be richer."""
    standing = known("a")
    for _ in range(MOST_SATURATED - 1):
        standing.tests["a"].take(output_of(saturated=True))
    standing.tests["a"].take(output_of())
    assert not standing.tests["a"].ended
    for _ in range(MOST_SATURATED):
        standing.tests["a"].take(output_of(saturated=True))
    assert standing.tests["a"].ended == "saturated"


def test_what_one_worker_has_shown_is_shown() -> None:
    """A kind of fault that came about on any of them; reasons only where none has shown all."""
    test = known("a").tests["a"]
    test.take(output_of("gw0", effective=KINDS[:1], not_tried=KINDS[1:], reasons=("Redeliver never changed",)))
    assert test.unknown == ("Redeliver never changed",)
    assert test.not_tried == ["Redeliver"]
    test.take(output_of("gw1", effective=KINDS))
    assert test.unknown == ()
    assert test.not_tried == []


def test_a_failure_that_two_workers_find_is_one() -> None:
    """Under its name; it is told once."""
    test = known("a").tests["a"]
    finding = Finding("a-1.json", "{}", "a fails", "report")
    assert test.take(output_of("gw0", findings=(finding,))) == [finding]
    assert test.take(output_of("gw1", findings=(finding,))) == []
    assert len(test.findings) == 1
