"""More machines than one: shards, other hosts, and a corpus that they share."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.database import ExampleDatabase

from chaoskit.fuzz.job import Job
from chaoskit.repro.corpus import PAUSE, Corpus
from fuzz.jobs import COUNTS_TWICE, fuzz, handler_test, project, small, start, stop, until
from fuzz.servers import valkey
from plugin.projects import Project, Ran

RARE = "balances[message.key] += message.value == 77"
"""Counts twice only what is worth 77: nothing that a first slice meets by chance."""


@pytest.fixture(params=["directory", "valkey"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A corpus in a directory that all machines see, and one on a real server."""
    (tmp_path / "shared").mkdir()
    if request.param == "directory":
        yield str(tmp_path / "shared")
        return
    with valkey(tmp_path / "shared") as server:
        yield server.url


def machine(tmp_path: Path, name: str, twice: str = RARE) -> Project:
    """A machine of its own: the same repository in another place, without the files of the others."""
    return project(tmp_path / name / "shop", wrong=twice)


def test_what_one_machine_found_is_the_first_thing_that_another_tries(tmp_path: Path, corpus: str) -> None:
    """Machine B has it before it searches, in a job; and C in an ordinary run of one schedule, which would not find it.
    It is a repro file there, too."""
    a, b, c = (machine(tmp_path, name) for name in "abc")
    job = start(a, "--time=60s", "--seed=1", "-n2", f"--corpus={corpus}")
    until(job, "chaoskit replay")
    assert stop(job, os.kill, signal.SIGINT)[0] == 1
    alone = machine(tmp_path, "alone").pytest("--chaos-schedules=1", "--chaos-seed=1")
    assert "does not survive" not in alone.out, alone.text

    reported = fuzz(b, "--time=1s", "--seed=1", "-n1", f"--corpus={corpus}")
    assert reported.code == 1, reported.text
    assert "FOUND (from the shared corpus) test_wrong does not survive " in reported.out
    assert {path.name for path in a.repros if not path.name.endswith(".as-met.json")} <= {p.name for p in b.repros}

    plain = c.pytest("--chaos-schedules=1", f"--chaos-corpus={corpus}")
    assert plain.code == 1, plain.text
    assert "another machine found this, and the shared corpus had it; nothing was searched" in plain.out
    assert c.chaoskit("replay", ".chaoskit").code == 1


def test_what_is_repaired_leaves_the_corpus(tmp_path: Path, corpus: str) -> None:
    """A machine with the repaired handler drops the failure: nobody else has to try it any more."""
    assert machine(tmp_path, "a", COUNTS_TWICE).pytest("--chaos-seed=1", f"--chaos-corpus={corpus}").code == 1
    repaired = machine(tmp_path, "b", "pass").pytest("--chaos-seed=1", f"--chaos-corpus={corpus}")
    assert repaired.code == 0, repaired.text
    other = machine(tmp_path, "c", COUNTS_TWICE).pytest("--chaos-seed=1", f"--chaos-corpus={corpus}")
    assert "another machine" not in other.out


def test_shards_workers_and_slices_have_seeds_of_their_own() -> None:
    """Eight jobs with one seed, eight workers each, a hundred slices: no seed comes twice; and the next time they are
    the same."""
    jobs = [Job(42, shard=shard, shards=8) for shard in range(1, 9)]
    seeds = [job.seed_of(f"gw{w}", number) for job in jobs for w in range(8) for number in range(100)]
    assert len(set(seeds)) == len(seeds)
    assert seeds[0] == Job(42, shard=1, shards=8).seed_of("gw0", 0)


def test_two_shards_with_one_seed_are_told_apart_in_the_first_line(tmp_path: Path) -> None:
    ran = fuzz(machine(tmp_path, "a", "pass"), "--time=1s", "--seed=9", "--shard=2/3", "-n0")
    assert ran.out.startswith("chaoskit fuzz for 1.0 s, seed 9, shard 2 of 3\n"), ran.text


def test_workers_elsewhere_bring_home_what_they_find(tmp_path: Path) -> None:
    """xdist's gateways: the worker has a copy of the project in another directory, as on another host, and the file is
    here in the end."""
    here = small(tmp_path / "here" / "shop", wrong=COUNTS_TWICE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    places = f"--rsyncdir={here.root}", f"--tx=popen//chdir={elsewhere}", str(here.root / "test_wrong.py")
    ran: Ran = fuzz(here, "--seed=1", *places)
    assert ran.code == 1, ran.text
    assert list(elsewhere.rglob("*.json")), "the worker did not run elsewhere"
    assert here.repros
    assert here.chaoskit("replay", ".chaoskit").code == 1


class Flaky(ExampleDatabase):
    """A database that can be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.there = True
        self.saved: list[tuple[bytes, bytes]] = []
        self.asked = 0

    def _answer(self) -> None:
        self.asked += 1
        if not self.there:
            raise ConnectionError("refused")

    def save(self, key: bytes, value: bytes) -> None:
        self._answer()
        self.saved.append((key, value))

    def fetch(self, key: bytes) -> Iterator[bytes]:
        self._answer()
        yield from (value for saved, value in self.saved if saved == key)

    def delete(self, key: bytes, value: bytes) -> None:
        self._answer()
        self.saved.remove((key, value))


def test_a_database_that_comes_back_is_told_what_it_missed(tmp_path: Path) -> None:
    """Gone in the middle of a job: it is said once, asked again after a pause only, and then has everything."""
    shop = project(tmp_path / "shop", wrong=COUNTS_TWICE)
    assert shop.pytest("--chaos-seed=1").code == 1
    text = shop.only_repro().read_text()
    database, now = Flaky(), [0.0]
    corpus = Corpus(database, clock=lambda: now[0])
    database.there = False
    corpus.add("test_wrong.py::test_wrong", text)
    assert corpus.failures("test_wrong.py::test_wrong") == []
    asked = database.asked
    assert len(corpus.notes) == 1
    assert "does not answer; going on without it: ConnectionError: refused" in corpus.notes[0]
    database.there = True
    now[0] = PAUSE - 1
    assert corpus.failures("test_wrong.py::test_wrong") == []
    assert database.asked == asked
    now[0] = PAUSE + 1
    corpus.failures("test_wrong.py::test_wrong")
    assert [found for _, found in corpus.failures("test_wrong.py::test_wrong")] == [text]
    assert corpus.notes[1:] == ["the shared corpus answers again"]
    database.there = False
    corpus.add("test_wrong.py::test_wrong", "first")
    database.there = True
    now[0] += PAUSE + 1
    corpus.add("test_wrong.py::test_wrong", "second")
    assert [value for _, value in database.saved] == [text.encode(), b"first", b"second"]


def test_what_is_not_ours_in_a_shared_database_is_left_alone(tmp_path: Path) -> None:
    """Other versions, other tests, garbage: nothing of it stops a run."""
    database = Flaky()
    corpus = Corpus(database)
    for value in (b"\xff", b"{}", b'{"format": 99}', handler_test("right").encode()):
        database.save(b"chaoskit failures of test_a.py::test_a", value)
    assert corpus.failures("test_a.py::test_a") == []
    assert len(database.saved) == 4
