"""What leaves and no rollback takes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import chaoskit
from chaoskit import DeadLetter, Effect, Event, Kafka, Outcome, Redeliver, Scenario, UsageError
from chaoskit.invariants import effects_at_least_once, effects_exactly_once, final_state
from chaoskit.report.lines import json_lines
from chaoskit.report.page import page
from chaoskit.report.saved import saved_verdict
from chaoskit.repro.read import read
from chaoskit.values.errors import StaleState

STREAM = [Event("a", 1), Event("a", 2)]
ONE = Kafka(partitions=1)
BOTH = [final_state(), effects_exactly_once()]


def messages(invariant: Any, in_order: list[Effect], observed: list[Effect]) -> list[str]:
    """What is violated."""
    found = invariant.check(Outcome(None, effects=tuple(in_order)), Outcome(None, effects=tuple(observed)))
    return [violation.message for violation in found]


WELCOME, THANKS = Effect("mail", "welcome", "o1"), Effect("mail", {"text": "thanks"}, "o1")


def test_exactly_once_sees_what_is_repeated_missing_and_new() -> None:
    """By name, key and value; their order is nobody's concern, nor is the delivery at which they took place."""
    once = effects_exactly_once()
    elsewhere = Effect("mail", "welcome", "o1", event="e7", step=9)
    assert not messages(once, [WELCOME, THANKS], [THANKS, elsewhere])
    assert messages(once, [WELCOME], [WELCOME, WELCOME]) == ["mail of 'o1' ('welcome') took place twice, in order once"]
    assert messages(once, [THANKS], []) == ["mail of 'o1' ({'text': 'thanks'}) did not take place, in order once"]
    assert messages(once, [], [Effect("charge", 5)] * 3) == ["charge (5) took place 3 times, in order never"]
    assert len(messages(once, [WELCOME], [THANKS])) == 2


def test_at_least_once_sees_only_what_is_missing() -> None:
    """A repetition is the receiver's to know."""
    at_least = effects_at_least_once()
    assert not messages(at_least, [WELCOME], [WELCOME, WELCOME, THANKS])
    assert messages(at_least, [WELCOME, WELCOME], [WELCOME]) == [
        "mail of 'o1' ('welcome') took place once, in order twice"
    ]


def mails(deliver: Any) -> dict[Any, int]:
    """Each time, and saves once."""
    rows: dict[Any, int] = {}

    def handle(message: Any) -> None:
        deliver.effect("mail", message.value, key=message.id)
        rows[message.id] = message.value

    deliver(handle)
    return rows


async def mails_async(deliver: Any) -> dict[Any, int]:
    rows: dict[Any, int] = {}

    async def handle(message: Any) -> None:
        deliver.effect("mail", message.value, key=message.id)
        rows[message.id] = message.value

    await deliver(handle)
    return rows


def mails_in_steps(deliver: Any) -> dict[Any, int]:
    rows: dict[Any, int] = {}

    def handle(message: Any) -> None:
        deliver.effect("mail", message.value, key=message.id)
        rows[message.id] = message.value

    for _ in deliver.steps(handle):
        pass
    return rows


EVERY = [mails, mails_async, mails_in_steps]
TWICE = Scenario(STREAM, ONE, [Redeliver("e2", 0)])


@pytest.mark.parametrize("test", EVERY)
def test_an_effect_knows_its_event_and_its_step(test: Callable[[Any], Any]) -> None:
    """A state that is right says nothing of a second mail."""
    assert chaoskit.run(test, TWICE, invariants=[final_state()]).status == "held"
    verdict = chaoskit.run(test, TWICE, invariants=BOTH)
    assert [v.message for v in verdict.violations] == ["mail of 'e2' (2) took place twice, in order once"]
    assert verdict.outcome is not None
    seen = [(e.name, e.value, e.key, e.event, e.step) for e in verdict.outcome.effects]
    # The third step is the restart.
    assert seen == [("mail", 1, "e1", "e1", 1), ("mail", 2, "e2", "e2", 2), ("mail", 2, "e2", "e2", 4)]
    assert [e.step for e in verdict.expected_effects] == [1, 2]


def test_an_effect_of_an_attempt_that_was_refused_counts() -> None:
    """The handler mails and then raises, and when the message comes again it mails a second time."""

    def test(deliver: Any) -> dict[Any, int]:
        rows: dict[Any, int] = {}

        def handle(message: Any) -> None:
            deliver.effect("mail", key=message.id)
            if message.seq > 1 and message.seq - 1 not in rows:
                raise ValueError("not before its predecessor")
            rows[message.seq] = message.value

        deliver(handle)
        return rows

    scenario = Scenario(STREAM, ONE, [DeadLetter("e1", 0)])
    assert chaoskit.run(test, scenario, invariants=[final_state()]).status == "held"
    verdict = chaoskit.run(test, scenario, invariants=BOTH)
    assert "mail of 'e2' took place" in verdict.violations[0].message


def test_a_flush_in_the_clean_stop_has_effects_of_no_delivery() -> None:
    """They are compared as any other."""

    def test(deliver: Any) -> int:
        held: list[Any] = []

        @contextmanager
        def process() -> Any:
            yield lambda message: held.append(message.value)
            for value in held:
                deliver.effect("publish", value)

        deliver(spawn=process)
        return 0

    verdict = chaoskit.run(test, TWICE, invariants=[effects_exactly_once()])
    assert [v.message for v in verdict.violations] == ["publish (2) took place twice, in order once"]
    assert {(e.event, e.step) for e in verdict.observed_effects} == {(None, None)}


def test_what_is_recorded_is_a_copy() -> None:
    """What the handler does with it afterwards changes nothing."""

    def test(deliver: Any) -> int:
        basket: list[int] = []

        def handle(message: Any) -> None:
            basket.append(message.value)
            deliver.effect("publish", basket)

        deliver(handle)
        return 0

    verdict = chaoskit.run(test, Scenario(STREAM, ONE, []), invariants=[effects_exactly_once()])
    assert verdict.outcome is not None
    assert [e.value for e in verdict.outcome.effects] == [[1], [1, 2]]


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_name_is_needed(name: Any) -> None:
    """Also where the handler swallows the error."""

    def test(deliver: Any) -> int:
        def handle(message: Any) -> None:
            with suppress(UsageError):
                deliver.effect(name, 1)

        deliver(handle)
        return 0

    with pytest.raises(UsageError, match="the first argument is what happens, such as 'mail'"):
        chaoskit.run(test, TWICE)


def test_a_value_that_cannot_be_copied_is_an_error() -> None:
    """Such as a connection."""

    def test(deliver: Any) -> int:
        deliver(lambda message: deliver.effect("mail", (number for number in range(3))))
        return 0

    with pytest.raises(UsageError, match=r"deliver.effect\('mail', …\): .* cannot be copied"):
        chaoskit.run(test, TWICE)


def test_where_nothing_was_recorded_nothing_was_shown() -> None:
    """No false green: a double that forgets to record holds for ever."""
    verdict = chaoskit.check(
        lambda deliver: deliver(lambda message: None), STREAM, ONE, seed=1, invariants=[effects_exactly_once()]
    )
    assert verdict.status == "unknown"
    assert "in order no effect was recorded" in verdict.reasons[0]


def test_effects_that_differ_from_run_to_run_are_an_error() -> None:
    """A random number in a mail is no bug of the handler's."""
    with pytest.raises(StaleState, match=r"the effects of two in-order runs of the same stream differ at effects\[0\]"):
        chaoskit.check(
            lambda deliver: deliver(lambda message: deliver.effect("mail", uuid4())),
            STREAM, ONE, seed=1, invariants=[effects_exactly_once()],
        )  # fmt: skip


def test_every_report_has_them(tmp_path: Path) -> None:
    """Beside the state, and in what is read from a saved file, too."""
    verdict = chaoskit.run(mails, TWICE, invariants=BOTH)
    table = "Effects that left\n                    in order      observed\n"
    second = "  mail of 'e2': 2   once, at e2   twice, in steps 2 and 4\n"
    first = "  mail of 'e1': 1   once, at e1   once, in step 1\n"
    assert table + second + first in verdict.report()
    saved = saved_verdict(read(verdict.save(tmp_path)))
    assert table + second + first in saved.report()
    assert '<td class="observed">twice, in steps 2 and 4</td>' in page(saved)
    lines = [json.loads(line) for line in json_lines(saved).splitlines()]
    effects = [line for line in lines if line["type"] == "effect"]
    assert effects[-1] == {
        "type": "effect", "run": "observed", "name": "mail", "key": "e2", "value": 2, "event": "e2", "step": 4,
    }  # fmt: skip
    assert [line["run"] for line in effects] == ["in order"] * 2 + ["observed"] * 3


def test_a_file_with_something_else_in_their_place_is_read(tmp_path: Path) -> None:
    """They are shown only."""
    path = chaoskit.run(mails, TWICE, invariants=BOTH).save(tmp_path)
    data = json.loads(path.read_text(encoding="utf-8"))
    data["told"]["effects"] = {"in_order": 7, "observed": [{"name": 7}, {"name": "mail", "step": "x", "event": []}, 3]}
    path.write_text(json.dumps(data), encoding="utf-8")
    assert [(e.name, e.step, e.event) for e in saved_verdict(read(path)).observed_effects] == [("mail", None, None)]


def test_without_effects_no_report_names_them() -> None:
    """A run of any other test."""
    arrivals: list[Any] = []

    def test(deliver: Any) -> list[Any]:
        arrivals.clear()
        deliver(lambda message: arrivals.append(message.id))
        return arrivals

    verdict = chaoskit.run(test, TWICE)
    assert verdict.status == "violated"
    assert "Effects" not in verdict.report() + page(verdict)


def test_effects_that_another_order_of_keys_gives_too_are_across_keys() -> None:
    """As with states: only where the very same effects come of an order that no fault makes."""

    def numbers(deliver: Any) -> int:
        count = [0]

        def handle(message: Any) -> None:
            count[0] += 1
            deliver.effect("publish", count[0], key=message.key)

        deliver(handle)
        return 0

    stream = [Event("a", 1), Event("b", 2)]
    overtaken = Scenario(stream, Kafka(partitions=6), [chaoskit.Overtake("e1", 0)])
    assert chaoskit.run(numbers, overtaken, invariants=BOTH).label == "across keys"
    again = Scenario(stream, Kafka(partitions=6), [chaoskit.Duplicate("e1")])
    assert chaoskit.run(numbers, again, invariants=BOTH).label == "within"


class Unequal:
    """Its == is neither true nor false."""

    def __eq__(self, other: object) -> bool:
        raise TypeError("no")

    __hash__ = None  # type: ignore[assignment]


def test_a_report_is_written_whatever_the_values_are() -> None:
    """Where nobody asked for effects they need not be comparable; where somebody did, it is an error."""
    arrivals: list[Any] = []

    def test(deliver: Any) -> list[Any]:
        arrivals.clear()

        def handle(message: Any) -> None:
            arrivals.append(message.id)
            deliver.effect("mail", Unequal())

        deliver(handle)
        return arrivals

    assert "What differs" in chaoskit.run(test, TWICE).report()
    with pytest.raises(StaleState, match="cannot be compared"):
        chaoskit.run(test, TWICE, invariants=BOTH)
