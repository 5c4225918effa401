"""What a handler tolerates: each kind of fault that a broker can make is searched alone, and then all of them together,
with what does not break it alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from chaoskit.brokers import base_of
from chaoskit.execution.failures import ReferenceRefused
from chaoskit.execution.limit import Hung
from chaoskit.execution.script import PASS_THROUGH, Move
from chaoskit.repair.recipes import Storage
from chaoskit.repair.repairs import MOST, cheapest_repair
from chaoskit.search.draw import draw_streams
from chaoskit.search.investigate import investigate
from chaoskit.search.oracle import CheckerFailed
from chaoskit.search.question import Question, SearchSettings, derive
from chaoskit.search.question import question as question_of
from chaoskit.search.several import on_all_streams
from chaoskit.values.errors import ChaosError, UsageError
from chaoskit.values.event import Message, Stream
from chaoskit.values.faults import ALL_KINDS, FaultKind
from chaoskit.values.scenario import Broker, all_kinds, allowed_kinds, called, checked_kinds
from chaoskit.values.tolerance import MIXTURES, Column, Tolerance, Trial
from chaoskit.values.verdict import Verdict

PROBED = 20
"""Streams that are run in order to see what a handler reads that there is not: what fails mostly does at once."""

Say = Callable[[str], None]


def tolerance_of(
    question: Question,
    brokers: Sequence[Broker | Mapping[Any, Any]],
    wanted: Collection[FaultKind],
    storage: Storage,
    say: Say = lambda what: None,
) -> Tolerance:
    """The test of this question on each of these brokers, whichever the question is about; of several streams all on
    each of them, or as a mapping says. `wanted`: the kinds that are
    asked about; the others are "not exercised", where they can happen. `say` is called with what is searched next."""
    if not brokers:
        raise UsageError("brokers is empty: name one at least, such as brokers=[Kafka(), RabbitMQ()]")
    several = [on_all_streams(question.subject.broker, broker) for broker in brokers]
    for broker in several:  # all of them, before the first takes its time
        allowed_kinds(broker, None)
        base_of(broker)
    columns = []
    for number, broker in enumerate(several, start=1):
        place = f" ({number} of {len(several)} brokers)" if len(several) > 1 else ""
        asked = _On(question, broker, frozenset(wanted), storage, say, place)
        columns.append(asked.column())
    return Tolerance(tuple(columns), seed=question.seed)


def kinds_asked(faults: Iterable[FaultKind] | None, without: Iterable[FaultKind] | None = None) -> frozenset[FaultKind]:
    """The kinds that are asked about, whichever broker can make them. Raises UsageError for what is no kind of
    fault."""
    if faults is not None and without is not None:
        raise UsageError("faults and without were both given: name the kinds to try, or those to leave out, not both")
    if without is not None:
        return frozenset(ALL_KINDS).difference(checked_kinds(without, "without"))
    if faults is None:
        return frozenset(ALL_KINDS)
    return frozenset(checked_kinds(faults, "faults"))


class _FailsInOrder(Exception):
    """No delivery of this broker is to blame for what fails here. The text says what does."""


@attrs.frozen(eq=False)
class _On:
    """The questions about one broker."""

    question: Question
    broker: Broker
    wanted: frozenset[FaultKind]
    storage: Storage
    say: Say
    place: str

    def column(self) -> Column:
        possible = [kind for kind in all_kinds(self.broker) if kind in self.wanted]
        trials = {kind: self._not_searched(kind) for kind in ALL_KINDS if kind not in possible}
        try:
            for kind in possible:
                trials[kind] = self._alone(kind, len(possible))
            mixtures = self._mixtures(trials, possible)
            # With no kind to search, no search has run the test yet.
            if not possible:
                self._must_hold_in_order()
        except _FailsInOrder as error:
            why = str(error)
            trials |= {kind: Trial(kind.__name__, "not exercised", why=why) for kind in possible}
            mixtures = Trial(MIXTURES, "not exercised" if possible else "cannot happen", why=why)
            return Column(self.broker, (*(trials[kind] for kind in ALL_KINDS), mixtures), why)
        return Column(self.broker, (*(trials[kind] for kind in ALL_KINDS), mixtures))

    def _not_searched(self, kind: FaultKind) -> Trial:
        why = self.broker.why_impossible(kind)
        if why is None:
            return Trial(kind.__name__, "not exercised", why="it was not asked about (faults, without)")
        return Trial(kind.__name__, "cannot happen", why=why)

    def _alone(self, kind: FaultKind, rows: int) -> Trial:
        self.say(f"{kind.__name__} on {called(self.broker)}{self.place}")
        asked = self._question((kind,), rows)
        return self._trial(kind.__name__, asked, self._found(asked))

    def _mixtures(self, trials: dict[FaultKind, Trial], possible: Sequence[FaultKind]) -> Trial:
        """Of the kinds that do not break it alone. A search of many now and then meets what a search of one has missed:
        that goes to the row of the one."""
        if len(possible) < 2:
            return Trial(MIXTURES, "cannot happen", why="there are no two kinds to mix")
        self.say(f"{MIXTURES} on {called(self.broker)}{self.place}")
        while True:
            kinds = tuple(kind for kind in possible if trials[kind].answer != "breaks")
            if len(kinds) < 2:
                why = "each kind breaks it alone" if not kinds else f"all but {kinds[0].__name__} break it alone"
                return Trial(MIXTURES, "not exercised", why=why, kinds=tuple(kind.__name__ for kind in kinds))
            asked = self._question(kinds, len(possible))
            verdict = self._found(asked)
            broke = {type(fault) for fault in verdict.scenario.faults} if verdict.scenario is not None else set()
            if len(broke) != 1:
                return self._trial(MIXTURES, asked, verdict)
            # One kind was enough: it goes to that row, and the others are mixed without it.
            (kind,) = broke
            trials[kind] = self._trial(kind.__name__, self._question((kind,), len(possible)), verdict)

    def _trial(self, name: str, asked: Question, verdict: Verdict) -> Trial:
        schedules, kinds = verdict.tally.schedules, tuple(kind.__name__ for kind in asked.kinds)
        trial = Trial(name, "survives", schedules, kinds=kinds if name == MIXTURES else ())
        if verdict.status == "violated":
            assert verdict.scenario is not None
            broke = {type(fault) for fault in verdict.scenario.faults}
            ruled_out = {kind.__name__: self.broker.ruled_out_by(kind) for kind in ALL_KINDS if kind in broke}
            self.say(f"which move repairs {name} on {called(self.broker)}{self.place}")
            repair = cheapest_repair(asked, verdict, self.storage)
            return attrs.evolve(
                trial, answer="breaks", scenario=verdict.scenario, label=verdict.label, ruled_out_by=ruled_out,
                repair=repair,
            )  # fmt: skip
        if why := self._shown_nothing(asked, verdict):
            return attrs.evolve(trial, answer="not exercised", why=why)
        return trial

    def _shown_nothing(self, asked: Question, verdict: Verdict) -> str:
        """Why what did not fail says nothing of these kinds; empty where it does."""
        if verdict.status == "unknown":
            return "; ".join(verdict.reasons)
        if not verdict.tally.effective and verdict.tally.left_out:
            return asked.subject.leaves_out(asked.kinds)
        if len(asked.kinds) == 1 and not verdict.tally.effective:
            return "it never came about in these streams"
        return ""

    def _question(self, kinds: tuple[FaultKind, ...], rows: int) -> Question:
        """All rows of a broker together have the patience of one search."""
        given = self.question.settings
        settings = SearchSettings(
            schedules=min(given.schedules, MOST), seed=given.seed, streams=given.streams,
            across_keys=given.across_keys, examples=given.examples, fixtures=given.fixtures,
            # One more than the kinds, for the mixtures.
            patience=None if given.patience is None else given.patience / (rows + 1),
        )  # fmt: skip
        subject = attrs.evolve(self.question.subject, broker=self.broker)
        asked = question_of(subject, self.question.events, settings, faults=kinds)
        # Where nothing says what dies with a process, the row says so: nobody has asked for that kind by its name.
        return attrs.evolve(asked, asks_inside=False)

    def _found(self, asked: Question) -> Verdict:
        try:
            verdict = investigate(asked)
        # Before the clause below: here the test's own error is reported, and not ours.
        except ReferenceRefused as error:
            raise _FailsInOrder(self._in_order(error.__cause__ or error) or str(error)) from error
        except PASS_THROUGH:
            raise
        except (ChaosError, CheckerFailed) as error:
            raise _FailsInOrder(str(error)) from error
        except Exception as error:
            # What the body of a test raises in order comes as it is, and so would a mistake of ours.
            if why := self._in_order(error):
                raise _FailsInOrder(why) from error
            raise
        if verdict.status == "violated" and verdict.scenario is not None and not verdict.scenario.faults:
            why = verdict.violations[0].message
            raise _FailsInOrder(self._in_order(None) or f"it fails in order already: {why}")
        return verdict

    def _must_hold_in_order(self) -> None:
        """Where no fault can happen, nothing else has looked."""
        try:
            why = self._in_order(None)
        except ChaosError as error:
            why = str(error)
        if why:
            raise _FailsInOrder(why)

    def _in_order(self, error: BaseException | None) -> str:
        """What the test reads, where it fails in order, that this broker's messages do not carry, or else what it
        raised; empty where it does not fail."""
        reads = _Reads()
        subject = attrs.evolve(self.question.subject, broker=self.broker, move=reads.watching)
        raised: list[BaseException | None] = []

        def take(stream: Stream, salt: int) -> bool:
            try:
                failed = bool(subject.on(stream).fails_in_order())
            except PASS_THROUGH:
                return False
            except (Exception, Hung) as found:  # noqa: BLE001 - whatever the test raises
                raised.append(found.__cause__ or found)
                return True
            if failed:
                raised.append(None)
            return failed

        events = self.question.events
        if isinstance(events, Stream):
            take(events, 0)
        else:
            draw_streams(events, take, streams=PROBED, seed=derive(self.question.seed, "in order"), digest=None)
        if not raised:
            return ""
        # What stopped the search, if anything did: it is what the user would have seen.
        first = error or raised[0]
        what = "it fails in order already" if first is None else f"it raises {_error_text(first)} in order"
        if not reads.missing:
            return what
        names = " and ".join(f"message.{name}" for name in reads.missing)
        return f"{what}: it reads {names}, which {called(self.broker)} does not carry"


def _error_text(error: BaseException) -> str:
    """A class, and its text where it has one."""
    return f"{type(error).__name__} ({error})" if str(error) else type(error).__name__


CARRIED = tuple(field.name for field in attrs.fields(Message) if field.default is None)
"""The fields of a message that are None where the broker does not carry them."""


@attrs.define(eq=False)
class _Reads:
    """Which of these fields the handler read as None of the message that it was given last."""

    missing: dict[str, None] = attrs.field(factory=dict)

    def watching(self) -> Move:
        missing = self.missing

        class Noting(Message):
            """A message that notes what is read of it."""

            __slots__ = ()

            def __getattribute__(self, name: str) -> object:
                value = super().__getattribute__(name)
                if value is None and name in CARRIED:
                    missing[name] = None
                return value

        def move(message: Message) -> Iterator[Message]:
            # Only of the last message, which is the one at which it failed.
            missing.clear()
            yield Noting(**{field.name: getattr(message, field.name) for field in attrs.fields(Message)})

        return move
