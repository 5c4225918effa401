"""Which of the known bugs a test would have noticed: each is planted, and the test's own search runs again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from chaoskit.execution.limit import Hung, ends_the_test
from chaoskit.execution.script import Move, Script
from chaoskit.planted.bugs import BUGS
from chaoskit.planted.views import VIEWS
from chaoskit.search.draw import draw_streams
from chaoskit.search.evidence import Evidence
from chaoskit.search.found import Found
from chaoskit.search.investigate import first_failure, investigate
from chaoskit.search.oracle import CheckerFailed
from chaoskit.search.question import Question, SearchSettings, derive
from chaoskit.search.sensitivity import value_matters
from chaoskit.search.shape import with_siblings
from chaoskit.values.event import Stream
from chaoskit.values.faults import Crash
from chaoskit.values.planted import (
    HANDLER_BUGS,
    INSIDE_BUGS,
    STATE_BUGS,
    HandlerBug,
    Planted,
    PlantedStatus,
    SelfCheck,
    StateBug,
)
from chaoskit.values.scenario import Scenario
from chaoskit.values.verdict import Verdict

Seen = TypeVar("Seen")
Bug = TypeVar("Bug", HandlerBug, StateBug)

Say = Callable[[str], None]

MOST = 400
"""Schedules for each bug. One that can be noticed is, mostly within the first ten."""
MOST_OF_STATE = 100
"""Schedules for a bug in the state, which shows by what is seen in order."""
PATIENCE = 10.0
"""Seconds for each bug, after which no new stream is begun."""
STREAMS = 20
"""That are looked at before anything is planted."""

FAILS = "the test fails without any planted bug: repair that first"
IN_BATCHES = "nothing was planted: the bugs stand around a handler of single messages, and this one takes batches"
NO_FAULT = "this broker makes no fault under these settings, so that no bug of a handler can show"

WHY_NOT: dict[HandlerBug, str] = {
    "forgets ids": "no message came twice",
    "ignores versions": "no message of a key came behind its successor",
    "drops an effect": "nothing went wrong with any message that the handler is given",
    "applies after failing": "no attempt failed",
    "acknowledges first": "no attempt failed and no process ended",
    "marks first": "no process died inside the handler",
    "effect outside the transaction": "no process died inside the handler",
}
SAME: dict[HandlerBug, str] = {
    "forgets ids": "what is compared is the same when a message counts twice",
    "ignores versions": "what is compared is the same in whatever order the messages of a key are handled",
    "drops an effect": "what is compared is the same without a message",
    "applies after failing": "what is compared is the same when a message counts twice",
    "acknowledges first": "what is compared is the same without a message",
    "marks first": "what is compared is the same without a message",
    "effect outside the transaction": "what is compared is the same when a message counts twice",
}
DROPS: tuple[HandlerBug, ...] = ("drops an effect", "acknowledges first", "marks first")
"""No right handler is the same without a message, whatever else it need not heed."""


def checked(question: Question, verdict: Verdict, say: Say = lambda bug: None) -> Verdict:
    """The verdict of a search, with what its test would have noticed; unknown where that is nothing. In a test that
    fails by itself nothing is planted. `say` is called with what is planted next."""
    if verdict.status == "violated" or (verdict.status == "unknown" and why_not(question)):
        return verdict
    found = self_check_of(question, say)
    verdict = attrs.evolve(verdict, self_check=found)
    if not found.asserts_nothing:
        return verdict
    missed = [each.bug for each in found.planted if each.place == "handler" and each.status == "missed"]
    reason = (
        "the self-check planted bugs around the handler, and the test would have noticed none of them "
        f"({', '.join(missed)}): it asserts nothing of what the handler does. Return what each message changes, "
        "such as balances or rows, and compare it with final_state()"
    )
    return attrs.evolve(verdict, status="unknown", reasons=(*verdict.reasons, reason))


def self_check_of(question: Question, say: Say = lambda bug: None) -> SelfCheck:
    """Each bug in turn, those of the handler first. The test itself holds under what is asked. `say` is called with
    each."""
    if not question.kinds:
        return SelfCheck(reason=NO_FAULT)
    if question.subject.batches.most is not None:
        return SelfCheck(reason=IN_BATCHES)
    given = question.settings
    settings = SearchSettings(
        schedules=min(given.schedules, MOST), patience=PATIENCE, seed=given.seed, streams=given.streams,
        across_keys=given.across_keys, examples=given.examples, fixtures=given.fixtures,
    )  # fmt: skip
    asked = attrs.evolve(question, settings=settings)
    streams = Streams.of(asked)
    handler = [_in_handler(asked, bug, streams) for bug in _announced(HANDLER_BUGS, say)]
    inside = [_in_handler(asked, bug, streams) for bug in _announced(INSIDE_BUGS, say)]
    # Where nothing says what dies with a process there is no inside, and nothing to report of it.
    handler += [each for each in inside if each.status != "cannot happen"]
    caught: list[Any] = [each.bug for each in handler if each.status == "caught"]
    return SelfCheck((*handler, *(_in_state(asked, bug, caught, streams) for bug in _announced(STATE_BUGS, say))))


def _announced(bugs: Iterable[Bug], say: Say) -> Iterator[Bug]:
    for bug in bugs:
        say(bug)
        yield bug


def why_not(question: Question) -> str:
    """Why nothing is to be planted in a test: a search without any bug finds a failure, or an invariant raises there.
    Empty where it holds."""
    settings = attrs.evolve(question.settings, schedules=min(question.settings.schedules, MOST), evidence=Evidence())
    try:
        found, _ = first_failure(attrs.evolve(question, settings=settings))
    except CheckerFailed as failed:
        return str(failed)
    except Hung:
        return FAILS
    return "" if found is None else FAILS


@attrs.define
class Streams:
    """What the streams of the test show in order. `shared`: some have several events of one key; `values_show`: another
    value in the place of one of these changes what is compared."""

    shared: bool = False
    values_show: bool = False

    @classmethod
    def of(cls, question: Question) -> Streams:
        found = cls()

        def look(stream: Stream, salt: int) -> bool:
            found.shared = found.shared or bool(with_siblings(stream))
            found.values_show = bool(_tried(lambda: value_matters(question.subject.on(stream))))
            # True ends the drawing: one that shows it is enough.
            return found.values_show

        if question.is_literal:
            look(question.events, 0)
        else:
            seed = derive(question.seed, "values")
            draw_streams(question.events, look, streams=STREAMS, seed=seed, digest=None)
        return found


def _in_handler(question: Question, bug: HandlerBug, streams: Streams) -> Planted:
    acted = Acted()
    planted = Planted(bug, "handler", "caught")
    if bug in INSIDE_BUGS:  # no other kind triggers it
        question = attrs.evolve(question, kinds=tuple(kind for kind in question.kinds if kind is Crash))
        if not question.kinds:
            return attrs.evolve(planted, status="cannot happen", why=WHY_NOT[bug])
    outcome = _tried(partial(first_failure, _with_bug(question, bug, streams, acted)))
    if outcome is None:
        return attrs.evolve(planted, why="the test raised an error of its own with it")
    found, schedules = outcome
    planted = attrs.evolve(planted, schedules=schedules)
    if found is not None:
        return attrs.evolve(planted, **_of(found))
    if not acted.once:
        return attrs.evolve(planted, status="cannot happen", why=WHY_NOT[bug])
    status: PlantedStatus = "no difference" if streams.values_show and bug not in DROPS else "missed"
    hidden = "" if streams.values_show or bug in DROPS else ", and shows nothing of the messages' values"
    return attrs.evolve(planted, status=status, why=f"{SAME[bug]}{hidden}")


def _of(found: Found) -> dict[str, Any]:
    subject = found.case.subject
    scenario = Scenario(found.case.model.stream.events, subject.broker, found.faults, epoch=subject.epoch)
    return {"breaks": tuple(dict.fromkeys(type(fault).__name__ for fault in found.faults)), "scenario": scenario}


def _in_state(question: Question, bug: StateBug, caught: Sequence[HandlerBug], streams: Streams) -> Planted:
    """Noticed is a bug with which the test does not hold any more, or no longer shows what it does."""
    acted = Acted()
    planted = Planted(bug, "state", "caught")
    asked = _evolved(question, view=VIEWS[bug](acted))
    few = attrs.evolve(asked.settings, schedules=min(asked.settings.schedules, MOST_OF_STATE))
    verdict = _tried(partial(investigate, attrs.evolve(asked, settings=few)))
    # A view that breaks the test, or leaves it unknown, is noticed.
    if verdict is None or verdict.status != "held":
        return planted if verdict is None else attrs.evolve(planted, schedules=verdict.tally.schedules)
    planted = attrs.evolve(planted, schedules=verdict.tally.schedules)
    if not acted.once:
        why = "the test gives no state" if bug != "only its length" else "the state has no length"
        return attrs.evolve(planted, status="cannot happen", why=why)
    # What shows values, or a bug of the handler, and would not by its length: the test is more than that.
    if bug == "only its length" and (streams.values_show or any(_is_missed(asked, each, streams) for each in caught)):
        return planted
    return attrs.evolve(planted, status="missed", why="the test would hold all the same")


def _is_missed(question: Question, bug: HandlerBug, streams: Streams) -> bool:
    outcome = _tried(partial(first_failure, _with_bug(question, bug, streams, Acted())))
    return outcome is not None and outcome[0] is None


@attrs.define
class Acted:
    """Whether a bug ever had anything to do."""

    once: bool = False

    def __call__(self) -> None:
        self.once = True


def _with_bug(question: Question, bug: HandlerBug, streams: Streams, acted: Acted) -> Question:
    def planted(script: Script) -> Move:
        return BUGS[bug](script, acted, streams.shared)

    return _evolved(question, bug=planted)


def _evolved(question: Question, **changes: Any) -> Question:
    """With something planted, and with an evidence of its own."""
    settings = attrs.evolve(question.settings, evidence=Evidence())
    return attrs.evolve(question, subject=attrs.evolve(question.subject, **changes), settings=settings)


def _tried(look: Callable[[], Seen]) -> Seen | None:
    """What it gives. None where the test, its state or an invariant raises, or does not end: it was not written for a
    handler that does what this one does, and its user learns it."""
    try:
        return look()
    except BaseException as error:  # pytest.fail is no Exception
        if ends_the_test(error):
            raise
        return None
