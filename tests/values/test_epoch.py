"""When the producer begins to send: the present hour, kept in the seed and in the file."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Duplicate, Event, Kafka, Scenario, SqsStandard
from chaoskit.invariants import final_state
from chaoskit.report.saved import saved_verdict
from chaoskit.repro.read import parse, read
from chaoskit.repro.replay import play
from chaoskit.repro.write import file_name
from chaoskit.runner import fresh_seed
from chaoskit.search.oracle import Subject
from chaoskit.strategies import events
from chaoskit.values.epoch import EPOCH, epoch_of
from chaoskit.values.errors import ReproError, UsageError

EVENTS = events(st.integers(1, 9), keys=st.just("a"), max_size=4)
THEN = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC).timestamp()


def stamps(deliver):
    """Adds up, twice what comes twice, and keeps when each was sent."""
    state = {}

    def handle(message):
        total, sent = state.get(message.key, (0, []))
        state[message.key] = total + message.value, [*sent, message.timestamp]

    deliver(handle)
    return state


def check(**given):
    given = {"broker": Kafka(partitions=1), "faults": {Duplicate}, "schedules": 30, **given}
    return chaoskit.check(stamps, EVENTS, **given)


def first_sent(verdict):
    return verdict.expected["a"][1][0]


def test_a_seed_that_nobody_chose_begins_at_the_present_hour_and_ever_after_at_that_hour():
    """A signature that is an hour old, and none of years ago; the seed that is printed gives the same again."""
    verdict = check()
    assert -1 <= time.time() - verdict.scenario.epoch < 3700
    assert verdict.scenario.epoch % 3600 == 0
    assert verdict.scenario.epoch <= first_sent(verdict) < verdict.scenario.epoch + 10
    again = check(seed=verdict.seed)
    assert (again.scenario, again.expected, again.observed) == (verdict.scenario, verdict.expected, verdict.observed)


@pytest.mark.parametrize("seed", [0, 1, 42, -7, 2**32 - 1, 2**64])
def test_a_seed_that_somebody_chose_knows_no_hour(seed):
    """The same on every day: what a test run prints does not depend on when it is run."""
    assert epoch_of(seed) == EPOCH


def test_a_fresh_seed_has_the_hour_in_it_whatever_a_handler_makes_of_the_clock(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert epoch_of(fresh_seed()) > EPOCH
    assert fresh_seed() != fresh_seed()


def test_what_somebody_says_is_what_the_messages_say():
    """In `check`, in `chaos`, and where `check` is given what `chaos` decorates."""
    decorated = chaoskit.chaos(EVENTS, broker=Kafka(partitions=1), epoch=THEN)(stamps)
    for verdict in (
        check(epoch=THEN, seed=1),
        chaoskit.check(decorated, EVENTS, faults={Duplicate}, schedules=30, seed=1),
        chaoskit.check(decorated, EVENTS, faults={Duplicate}, schedules=30),
    ):
        assert verdict.scenario.epoch == THEN
        assert THEN <= first_sent(verdict) < THEN + 10
    with pytest.raises(chaoskit.ChaosFailure) as raised:
        decorated()
    assert raised.value.verdict.scenario.epoch == THEN


@pytest.mark.parametrize("epoch", ["now", True, -1, float("nan"), float("inf"), 1e15, datetime.now(UTC)])
def test_what_is_no_time_is_a_usage_error(epoch):
    for asked in (
        lambda: check(epoch=epoch),
        lambda: chaoskit.chaos(EVENTS, epoch=epoch),
        lambda: Scenario([Event("a", 1)], Kafka(), epoch=epoch),
    ):
        with pytest.raises(UsageError, match="seconds since 1970 are needed, such as"):
            asked()


def test_one_scenario_is_run_at_its_own_time():
    scenario = Scenario([Event("a", 1, "e1")], SqsStandard(), [chaoskit.Redeliver("e1")], epoch=THEN)
    verdict = chaoskit.run(stamps, scenario)
    assert first_sent(verdict) == THEN
    assert verdict.scenario == scenario


def subject(verdict):
    return Subject(stamps, verdict.scenario.broker, (final_state(),))


def test_a_file_keeps_when_it_was_and_is_replayed_then(tmp_path):
    """Exactly: the observed state is the saved one. Its name says nothing of it."""
    verdict = check(epoch=THEN, seed=1)
    path = verdict.save(tmp_path)
    assert json.loads(path.read_text())["epoch"] == THEN
    assert play(read(path), subject(verdict)).became == "STILL FAILS"
    assert saved_verdict(read(path)).scenario.epoch == THEN
    assert file_name(check(seed=1)) == path.name


def test_a_file_that_says_nothing_is_of_november_2023(tmp_path):
    """As all of before are; and as those of a chosen seed, which are the same as ever."""
    verdict = check(seed=1)
    path = verdict.save(tmp_path)
    assert "epoch" not in json.loads(path.read_text())
    assert read(path).epoch == EPOCH
    assert play(read(path), subject(verdict)).became == "STILL FAILS"


@pytest.mark.parametrize("epoch", ["soon", None, True, -1, 1e300, [0]])
def test_a_file_with_something_else_there_is_refused_in_a_line(tmp_path, epoch):
    path = check(seed=1).save(tmp_path)
    with pytest.raises(ReproError, match=r'"epoch" is .*: seconds since 1970 are needed'):
        parse(json.dumps(json.loads(path.read_text()) | {"epoch": epoch}), path)


@pytest.mark.parametrize("group", ["consumer", "parallel"])
def test_the_headers_of_what_was_set_aside_say_the_same_time(group):
    """Spring's, which tell when the original was sent."""
    seen = []
    scenario = Scenario([Event("a", 1, "e1")], Kafka(group=group), [chaoskit.DeadLetter("e1", 0)], epoch=THEN)

    def test(deliver):
        deliver(lambda message: seen.append((message.timestamp, message.headers)))
        return 0

    chaoskit.run(test, scenario)
    reported = [headers["kafka_dlt-original-timestamp"] for _, headers in seen if headers]
    assert reported
    assert set(reported) == {int(1000 * THEN).to_bytes(8)}
