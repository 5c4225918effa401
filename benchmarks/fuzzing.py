"""Question 7: what do more workers bring to a job, and what does what they share cost?"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import WALL, Expected, Figure, Row, Section, in_turn, medians, say
from benchmarks.subjects import of_the_tests
from chaoskit import Event, Kafka, Redeliver, Scenario, run
from chaoskit.fuzz.job import SLICE
from chaoskit.repro.corpus import Corpus, database_of
from chaoskit.repro.write import document, text_of

EXPECTED = Expected(1.8, at_least=True)
LOOKS = 200

TEST = """
from hypothesis import strategies as st
from chaoskit import Kafka, chaos
from chaoskit.strategies import events

@chaos(events(st.integers(0, 1000), st.sampled_from(["alice", "bob"]), min_size=10, max_size=10), broker=Kafka())
def test_newest_wins(deliver):
    newest, rows = {}, {}
    def handle(message):
        if message.seq > newest.get(message.key, 0):
            newest[message.key] = message.seq
            rows[message.key] = message.value
    deliver(handle)
    return rows
"""


def measure(quick: bool) -> Section:
    seconds, repetitions = (5, 2) if quick else (10, 3)
    say(f"fuzzing: jobs of {seconds} s")
    with TemporaryDirectory() as folder:
        Path(folder, "test_wins.py").write_text(TEST, encoding="utf-8")
        sides = {str(workers): partial(_distinct, folder, seconds, workers) for workers in (2, 1)}
        found = medians(in_turn(sides, repetitions))
    one, two = found["1"], found["2"]
    row = Row(
        f"distinct schedules of one test in {seconds} s, two workers against one",
        two / one, Figure(two, ""), Figure(one, ""), f"median of {repetitions}", EXPECTED,
    )  # fmt: skip
    note = (
        "`chaoskit fuzz` as a process, with the workers that it starts, on one correct test, streams of 10 ints. "
        "Distinct is what the workers have tried together, each schedule once. Below: what a worker asks of the shared "
        f"corpus at the start of a slice ({SLICE:g} s), with twenty failures of the test in it, and what a new failure "
        "costs; wall time."
    )
    return Section("More workers", "two, or a slice", "one, or the corpus", note, (row, *_corpus_rows()))


def _distinct(folder: str, seconds: int, workers: int, repetition: int) -> float:
    command = [sys.executable, "-m", "chaoskit", "fuzz", f"--time={seconds}s", f"-n{workers}", f"--seed={repetition}"]
    done = subprocess.run([*command, "-p", "no:randomly"], cwd=folder, capture_output=True, text=True, check=False)
    found = re.search(r"^[\d,]+ schedules, (?:about )?([\d,]+) distinct, no failure$", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise RuntimeError(done.stdout + done.stderr)
    return float(found[1].replace(",", ""))


def _corpus_rows() -> Iterator[Row]:
    with TemporaryDirectory() as folder:
        yield from _rows("a directory", folder)
    servers = of_the_tests("fuzz.servers")
    if servers.find_binary() is None:
        say("fuzzing: no Valkey here; its rows are left out")
        return
    with TemporaryDirectory() as folder, servers.valkey(Path(folder)) as server:
        yield from _rows("Valkey on this machine", server.url)


def _rows(what: str, place: str) -> Iterator[Row]:
    database = database_of(place, Path())
    assert database is not None
    corpus = Corpus(database)
    for number in range(20):
        corpus.add("test.py::test", _failure(number))
    failure = _failure(0)
    for name, ask in (
        ("a slice against a look into the corpus", lambda number: corpus.failures("test.py::test")),
        ("against sharing a new failure", lambda number: corpus.add(f"test.py::test_{number}", failure)),
    ):
        took = _milliseconds(ask)
        slice_ = SLICE * 1000
        yield Row(f"{name}, {what}", slice_ / took, Figure(slice_, "ms"), Figure(took, "ms"), f"median of {LOOKS}")
    assert corpus.notes == []


def _milliseconds(ask: Callable[[int], object]) -> float:
    found = []
    for number in range(LOOKS):
        started = WALL()
        ask(number)
        found.append((WALL() - started) * 1000)
    return median(found)


def _failure(number: int) -> str:
    """The text of a repro file of two events."""
    scenario = Scenario([Event("alice", number), Event("alice", 2)], Kafka(), [Redeliver("e1", after=1)])

    def twice(deliver: Callable[..., None]) -> list[int]:
        seen: list[int] = []
        deliver(lambda message: seen.append(message.value))
        return seen

    return text_of({**document(run(twice, scenario)), "test": "test.py::test"})
