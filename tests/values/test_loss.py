"""What the settings of a broker lose: left out of the comparison and said so, or a violation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st

from chaoskit import Event, Scenario, Stream, UsageError, chaos, check, run
from chaoskit.brokers import Anything, Celery, Kafka, Kinesis, Outbox, RabbitMQ, Settings
from chaoskit.report.lines import lines
from chaoskit.report.page import page
from chaoskit.report.saved import saved_verdict
from chaoskit.report.terminal import held_lines
from chaoskit.repro.read import read
from chaoskit.repro.replay import play
from chaoskit.search.oracle import Subject
from chaoskit.strategies import events
from chaoskit.values.errors import ReproError
from chaoskit.values.faults import Fail, Lose, Rehash
from handlers.small import counts, sums
from models.systems import SYSTEMS

EV = events(st.integers(1, 9), keys=st.just("a"), max_size=6)
LITERAL = [Event("a", 1), Event("a", 2)]
SAID = "these settings can lose messages ({}): compared without what was lost; loss='violation' makes it a failure"


LOSING: dict[str, tuple[Settings, str]] = {
    "Kafka": (Kafka(commit_ahead=True), "commit_ahead=True"),
    "Outbox": (Outbox(cursor="id"), 'cursor="id"'),
    "Kinesis": (Kinesis(start_at_latest=True), "start_at_latest=True"),
    "Celery": (Celery(), "acks_late=False"),
}


@pytest.mark.parametrize("name", LOSING)
def test_a_pass_says_what_it_was_compared_without(name: str) -> None:
    broker, setting = LOSING[name]
    verdict = check(sums, EV, broker, faults={Lose}, schedules=60, seed=1)
    assert verdict.status == "held"
    assert verdict.tally.effective == ()
    assert verdict.tally.left_out == ("Lose",)
    assert SAID.format(setting) in verdict.notes


@pytest.mark.parametrize("name", LOSING)
def test_a_loss_is_found_with_one_event_and_one_fault(name: str) -> None:
    broker, _ = LOSING[name]
    verdict = check(sums, EV, broker, schedules=300, seed=1, loss="violation")
    assert verdict.status == "violated"
    assert verdict.scenario is not None
    assert len(verdict.scenario.events) == 1
    assert [type(fault) for fault in verdict.scenario.faults] == [Lose]
    report = " ".join(verdict.report().split())
    assert f"does not survive Lose, which {name} can do" in report
    assert "state['a']" in report
    assert "No order is what breaks it: what was lost is missing." in report


def test_what_nothing_can_lose_is_held_with_both() -> None:
    """The same handler on settings that keep everything: no word about loss, and nothing to find."""
    for loss in ("left out", "violation"):
        verdict = check(sums, EV, Kafka(), schedules=100, seed=1, loss=loss)  # type: ignore[arg-type]
        assert verdict.status == "held"
        assert not any("can lose messages" in note for note in verdict.notes)
        assert verdict.tally.left_out == ()


def test_every_report_of_a_pass_says_it() -> None:
    """The line of pytest and GitHub, the page, JSON lines and the text are written from the same lines."""
    verdict = attrs.evolve(check(sums, EV, Celery(), schedules=100, seed=1), test="t.py::test_sums")
    output = SAID.format("acks_late=False")
    assert output in held_lines(verdict)
    assert "Lose" not in held_lines(verdict)[0]
    assert {"type": "note", "text": output} in list(lines(verdict))
    assert next(iter(lines(verdict)))["left_out"] == ("Lose",)
    assert "these settings can lose messages (acks_late=False)" in page(verdict)
    assert output in " ".join(verdict.report().split())


def test_one_scenario_says_it_as_well() -> None:
    lost = Scenario([Event("a", 1, "e1"), Event("a", 2, "e2")], Celery(), [Lose("e1")])
    verdict = run(sums, lost)
    assert (verdict.status, verdict.notes) == ("held", (SAID.format("acks_late=False"),))
    assert run(sums, lost, loss="violation").status == "violated"


def test_a_loss_that_takes_another_fault_was_tried() -> None:
    """A group that begins at the latest loses what a new partition has: never without growth, and yet it did lose."""
    broker = Kafka(auto_offset_reset="latest")
    streams = events(st.integers(1, 9), keys=st.sampled_from(["a", "b"]), max_size=6)
    tally = check(counts, streams, broker, faults={Lose, Rehash}, schedules=100, seed=1).tally
    assert tally is not None
    assert (tally.left_out, tally.not_tried) == (("Lose",), ())


def test_a_decorated_test_keeps_its_loss() -> None:
    strict = chaos(EV, broker=Celery(), loss="violation")(sums)
    assert check(strict, EV, faults={Lose}, schedules=50, seed=1).status == "violated"
    assert check(strict, EV, faults={Lose}, schedules=50, seed=1, loss="left out").status == "held"


@pytest.mark.parametrize("ask", [lambda loss: chaos(EV, loss=loss), lambda loss: check(sums, LITERAL, loss=loss)])
def test_another_loss_is_an_error_that_names_both(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError, match="loss='lost': 'left out' or 'violation' is needed"):
        ask("lost")


def _saved(directory: Path) -> Path:
    verdict = check(sums, EV, Celery(), faults={Lose}, schedules=50, seed=1, loss="violation")
    return attrs.evolve(verdict, test="tests/test_sums.py::test_sums").save(directory)


def test_a_repro_file_knows_what_was_asked_and_replays_so(tmp_path: Path) -> None:
    repro = read(_saved(tmp_path))
    assert repro.loss == "violation"
    assert saved_verdict(repro).loss == "violation"
    subject = Subject(sums, Celery(), _invariants())
    assert play(repro, subject).became == "STILL FAILS"


def test_an_old_repro_file_leaves_out_what_was_lost(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    data = json.loads(path.read_text(encoding="utf-8"))
    del data["loss"]
    path.write_text(json.dumps(data), encoding="utf-8")
    repro = read(path)
    assert repro.loss == "left out"
    answer = play(repro, Subject(sums, Celery(), _invariants(), loss="violation"))
    assert (answer.became, answer.reason) == ("FIXED", SAID.format("acks_late=False"))


def test_a_file_with_another_loss_cannot_be_read(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"loss": "violation"', '"loss": []'), encoding="utf-8")
    with pytest.raises(ReproError, match='"loss" is'):
        read(path)


def _invariants() -> Any:
    from chaoskit.search.question import default_invariants

    return default_invariants(None)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_can_lose_names_its_setting(name: str) -> None:
    broker = SYSTEMS[name]
    if isinstance(broker, Anything):
        assert broker.loses == ""
        return
    assert bool(broker.loses) == (Lose in broker.kinds() or bool(broker.drops())), broker.loses


def test_a_run_that_lost_nothing_says_nothing_of_loss() -> None:
    """A failed attempt that was shown again: what other deliveries could lose is none of this one."""
    stream = Stream.of(LITERAL)
    broker = RabbitMQ(consumers=1)
    assert broker.loses
    assert run(sums, Scenario(stream.events, broker, [Fail(stream[0].id, 1)])).notes == ()
