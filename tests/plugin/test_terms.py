"""`loss`, `poison` and `without` as pytest, `chaoskit replay` and `chaoskit fuzz` show them: one run of each."""

from __future__ import annotations

import json

import pytest

from chaoskit.brokers import Celery
from plugin.projects import FIXED, HEAD, LONELY, Project, Ran

TESTS = """
from chaoskit.values.faults import Lose
from handlers import handler

def sums(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@chaos(PAYMENTS, broker=Celery(), schedules=100)
def test_left_out(deliver):
    return sums(deliver)

@chaos(PAYMENTS, broker=Celery(), loss="violation", schedules=100)
def test_violation(deliver):
    return sums(deliver)

@chaos(PAYMENTS, broker=Kafka(), without={Rehash, DeadLetter}, schedules=100)
def test_without(deliver):
    return sums(deliver)

@chaos(events(st.sampled_from([1, 7]), keys=st.just("a")), broker=SqsFifo(max_receive_count=3), poison=(ValueError,),
       schedules=100)
def test_poison(deliver):
    balances = {}
    seen = set()
    def handle(message):
        if message.value == 7:
            seen.clear()
            raise ValueError("no amount")
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value
    deliver(handle)
    return balances
"""

SAID = (
    "these settings can lose messages (acks_late=False): compared without what was lost; "
    "loss='violation' makes it a failure"
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    project = Project.at(tmp_path_factory.mktemp("terms"), handlers=FIXED, test_terms=HEAD + TESTS)
    return project, project.pytest("--chaos-seed=1")


def test_the_line_of_a_pass_says_what_was_left_out(ran: tuple[Project, Ran]) -> None:
    said = ran[1].said_of()["test_terms.py::test_left_out"]
    assert SAID in said
    assert "Lose" not in said
    assert SAID not in ran[1].said_of()["test_terms.py::test_without"]


def test_a_loss_fails_the_test_and_is_saved_and_replayed(ran: tuple[Project, Ran]) -> None:
    project, said = ran
    assert said.code == 1, said.text
    assert "test_violation does not survive Lose, which Celery can do" in said.out
    files = {json.loads(path.read_text())["test"]: path for path in project.repros}
    assert sorted(files) == ["test_terms.py::test_poison", "test_terms.py::test_violation"]
    assert json.loads(files["test_terms.py::test_violation"].read_text())["loss"] == "violation"
    assert "loss" not in json.loads(files["test_terms.py::test_poison"].read_text())
    replayed = project.chaoskit("replay", *[str(path) for path in files.values()])
    assert replayed.code == 1, replayed.text
    assert replayed.out.count("STILL FAILS") == 2, replayed.text


def test_the_summary_of_a_job_says_what_was_left_out(ran: tuple[Project, Ran]) -> None:
    fuzzed = ran[0].chaoskit("fuzz", *LONELY, "--time=2s", "--seed=1", "-k", "left_out")
    assert fuzzed.code == 0, fuzzed.text
    assert f"test_terms.py::test_left_out: {SAID}" in fuzzed.out
    kinds = len(Celery().kinds()) - 1
    assert f"{kinds} of {kinds}" in fuzzed.out
