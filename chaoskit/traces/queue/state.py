"""What is fixed for one trace of a queue (`TraceFacts`), and what one possible state of it is (`QueueState`)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple, NoReturn, TypeAlias

import attrs

from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.tokens import (
    Evict,
    Kill,
    MessageLabel,
    Move,
    Put,
    Reset,
    RunOutcome,
    Settle,
    Trace,
    Word,
    deliveries,
    natural_key,
)

Phase: TypeAlias = Literal["new", "unsent", "swallowed", "away", "out", "lost", "back", "done", "gone"]
"""`unsent`: put by a later word. `swallowed`: by a deduplication. `away`: handed out, but where is not shown. `out`: at
its holder. `lost`: its consumer was killed, and the broker may not have noticed. `back`: in the queue again. `done`:
settled. `gone`: it left for the dead letters, or for good."""

Where = tuple[str | None, str]
"""A queue and a consumer of it."""

ANYBODY = "?"
"""In `stale`: some consumer that the trace did not show at the hand-over."""

HANDED: frozenset[Phase] = frozenset({"away", "out", "lost", "back", "done", "gone"})
BACK_BEFORE_LATER = "it would have come back before a later one if it had been unsettled"
"""Why a message is taken to be settled, where those of a queue come back in order."""

FILLED = 50
"""Messages filled in between two labels; one is enough to find the gap."""


class NotPossible(Exception):
    """This state cannot make the word; the text is the rule."""


def refuse(rule: str) -> NoReturn:
    raise NotPossible(rule)


class MessageState(NamedTuple):
    """One broker message as far as the trace decides it. A number of a word is -1 where there was none."""

    phase: Phase = "new"
    holder: str | None = None
    """The consumer that has it, if that is known."""
    ran: RunOutcome = "held"
    shown: int = 0
    """Deliveries so far."""
    sure: bool = True
    """False for one that came back or was acknowledged, nobody knows which yet."""
    not_by: frozenset[str] = frozenset()
    """Consumers that cannot have it now, since they ran what comes behind it."""
    stale: frozenset[str] = frozenset()
    """Consumers that lost it before they ran it, and still can."""
    known: frozenset[str] = frozenset()
    """Consumers that were handed it and did not die since."""
    behind: bool = False
    """It came back to the back of the queue."""
    put_at: int = -1
    """The word at which it was put,"""
    away_at: int = -1
    """must have been handed out unseen,"""
    since: int = -1
    """was handed out,"""
    run_at: int = -1
    """was run,"""
    until: int = -1
    """and came back, or was lost."""
    turn: int = 0
    """Its number among all returns."""
    receive: int = 0
    """The batch it was handed out in, 0 for none."""
    taken_at: float = 0.0
    """The moment of its hand-over, in seconds,"""
    accepted: float = 0.0
    """and that at which the broker accepted it."""
    place: tuple[int, int] | None = None
    """Its position in the queue; None: not known before it is handed out."""
    why: str = ""
    """Why it does not come any more, as a sentence."""

    def is_unrun_at(self, consumer: str) -> bool:
        """Whether this consumer holds it and has not run it."""
        return self.phase == "out" and self.holder == consumer and self.ran == "held"


@attrs.frozen
class TraceFacts:
    """The rules, and what the whole trace says: its messages, its consumers and which verbs it lists."""

    rules: QueueRules
    labels: tuple[MessageLabel, ...]
    ids: dict[MessageLabel, int]
    units: tuple[str, ...]
    """The unit of each message, within which there is an order."""
    names: frozenset[str]
    """The consumers."""
    puts: frozenset[int]
    """The messages that a word puts."""
    deliveries: int
    lists_acks: bool
    last_listed: int
    """The word behind which acknowledgements are open, though they are listed."""
    lists_exits: bool
    lists_kills: bool
    lists_puts: bool
    lists_times: bool

    def unacked(self, its: MessageState) -> bool:
        """Whether a message that is out is certainly not acknowledged.

        A trace that lists acknowledgements lists all of them; what was run behind the last listed one is open.
        """
        return its.ran != "ok" or (self.lists_acks and its.run_at < self.last_listed)

    def queue(self, at: int) -> str | None:
        """The queue of a message, if the trace names several: a group or a key is in one of all consumers."""
        return self.labels[at].unit if self.rules.unit == "queue" else None

    def number(self, at: int) -> int:
        return natural_key(self.labels[at].name)[0]

    def earlier_copy(self, at: int) -> int | None:
        """The message that the same payload was sent as before."""
        return next(self.earlier_copies(at), None)

    def earlier_copies(self, at: int) -> Iterator[int]:
        """All messages that the same payload was sent as before, the latest first."""
        label = self.labels[at]
        earlier = (attrs.evolve(label, copy=copy) for copy in range(label.copy - 1, -1, -1))
        return (self.ids[each] for each in earlier if each in self.ids)


class QueueState:
    """One possible state. The driver gets it when it is done: then it is compared by all that it knows."""

    __slots__ = ("active", "buffered", "died", "facts", "killed", "messages", "now", "rules", "spans", "turn", "word")

    def __init__(self, facts: TraceFacts, messages: Iterable[MessageState]) -> None:
        self.facts = facts
        self.rules = facts.rules
        self.messages = list(messages)
        self.word = -1
        """The number of the word that is read."""
        self.now = 0.0
        self.turn = 0
        self.spans: tuple[tuple[Where, int, int], ...] = ()
        self.buffered: frozenset[int] = frozenset()
        self.active: dict[str | None, str] = {}
        self.killed: frozenset[str] = frozenset()
        self.died: tuple[str, int] | None = None

    def at_next_word(self) -> QueueState:
        """A copy for one word to work on."""
        other = QueueState(self.facts, self.messages)
        other.word, other.now, other.turn, other.spans = self.word + 1, self.now, self.turn, self.spans
        other.buffered, other.active, other.killed = self.buffered, dict(self.active), self.killed
        other.died = self.died
        return other

    def _known(self) -> tuple[object, ...]:
        active = frozenset(self.active.items())
        # Without the number of the word: all states of a set have read the same.
        return (tuple(self.messages), self.now, self.turn, self.spans, self.buffered, active, self.killed, self.died)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QueueState) and self._known() == other._known()

    def __hash__(self) -> int:
        return hash(self._known())

    def name(self, at: int) -> str:
        return str(self.facts.labels[at])

    def change(self, at: int, **changes: Any) -> None:
        self.messages[at] = self.messages[at]._replace(**changes)

    def settle(self, at: int, why: str = "it was acknowledged") -> None:
        self.change(at, phase="done", holder=None, why=why)

    def leave(self, at: int, why: str = "its deliveries are used up") -> None:
        self.change(at, phase="gone", holder=None, why=why)

    def same_unit(self, at: int) -> Iterator[int]:
        """The other messages of the unit of `at`."""
        unit = self.facts.units[at]
        return (other for other, its in enumerate(self.facts.units) if its == unit and other != at)

    def before(self, at: int) -> list[int]:
        """The messages of the unit that were accepted before `at`, in their order."""
        mine = self.place(at)
        return sorted((other for other in self.same_unit(at) if self.place(other) < mine), key=self.place)

    def after(self, at: int) -> list[int]:
        mine = self.place(at)
        return sorted((other for other in self.same_unit(at) if self.place(other) > mine), key=self.place)

    def place(self, at: int) -> tuple[int, int]:
        """Its position in the log; what was not accepted yet is behind everything."""
        return self.messages[at].place or (1 << 30, at)


def study(rules: QueueRules, trace: Trace) -> TraceFacts:
    """Collect the messages, consumers and listed verbs of a trace."""
    labels = tuple(_labels(trace))
    ids = {label: at for at, label in enumerate(labels)}
    settles = {word.what for word in trace.words if isinstance(word, Settle)}
    delivered = [each for word in trace.words for each in deliveries(word)]
    consumers = {each.consumer for each in delivered} | {
        word.consumer for word in trace.words if isinstance(word, Kill)
    }
    return TraceFacts(
        rules=rules,
        labels=labels,
        ids=ids,
        units=tuple(f"{label.unit or ''}/{_row(label.name)}" for label in labels),
        # A is the consumer in force where a trace names none.
        names=frozenset(consumers | {"A"}),
        puts=frozenset(ids[word.label] for word in trace.words if isinstance(word, Put)),
        deliveries=len(delivered),
        lists_acks=any(_settles(word) for word in trace.words),
        last_listed=max((at for at, word in enumerate(trace.words) if _settles(word)), default=-1),
        lists_exits=bool(settles),
        lists_kills=any(isinstance(word, Kill | Move | Evict) for word in trace.words),
        lists_puts="producer" in trace.groups,
        lists_times="time" in trace.groups,
    )


def start(facts: TraceFacts, trace: Trace) -> QueueState:
    """The state before the first word: what is not put later is in its queue, in its order."""
    log = None if trace.log is None else {label: at for at, label in enumerate(trace.log)}
    ranked = sorted(facts.labels, key=lambda label: (natural_key(label.name), label.copy))
    rank = {label: at for at, label in enumerate(ranked)}
    messages = []
    for at, label in enumerate(facts.labels):
        # Where puts are listed, a copy without one was never sent; first copies may have been there before.
        if at in facts.puts or (facts.lists_puts and label.copy):
            messages.append(MessageState(phase="unsent"))
        elif log is not None:
            place = (log[label], 0) if label in log else None
            messages.append(
                MessageState(place=place) if place else MessageState(phase="unsent", why="it is not in the log")
            )
        else:
            # When a copy was sent is not known: it has a place as soon as it is seen.
            messages.append(MessageState(place=None if label.copy else (rank[label], 0)))
    return QueueState(facts, messages)


def _settles(word: Word) -> bool:
    return isinstance(word, Settle) and word.what in {"ack", "nack", "term", "expire"}


def _labels(trace: Trace) -> list[MessageLabel]:
    """All messages: those of the trace and the numbers that must exist between them, unless the sends are listed."""
    found = dict.fromkeys(trace.log or ())
    found |= dict.fromkeys(each.label for word in trace.words for each in deliveries(word))
    found |= dict.fromkeys(word.label for word in trace.words if isinstance(word, Settle | Put))
    found |= dict.fromkeys(word.to for word in trace.words if isinstance(word, Reset) if word.to is not None)
    sent = {
        (word.label.unit, _row(word.label.name)) for word in trace.words if isinstance(word, Put) if not word.label.copy
    }
    if trace.log is None:
        found |= dict.fromkeys(_between(label for label in found if (label.unit, _row(label.name)) not in sent))
    return list(found)


def _between(labels: Iterable[MessageLabel]) -> Iterator[MessageLabel]:
    rows: dict[tuple[str | None, str], dict[int, str]] = {}
    for label in labels:
        letters, digits = _split(label.name)
        if digits:
            rows.setdefault((label.unit, letters), {})[int(digits)] = digits
    holders = Counter(number for numbers in rows.values() for number in numbers)
    if max(holders.values(), default=0) == 1 and len({letters for _, letters in rows}) == 1:
        elsewhere = set(holders)  # all units share one numbering: what one of them has is missing in no other
    else:
        elsewhere = set()
    for (unit, letters), numbers in rows.items():
        ordered = sorted(numbers)
        for low, high in pairwise(ordered):
            width = len(numbers[low])  # e01 and e03 have e02 between them, not e2
            # Numbers that nobody shows exist all the same: a gap in what was handed out is a gap.
            missing = (n for n in range(low + 1, min(high, low + FILLED + 1)) if n not in elsewhere)
            yield from (MessageLabel(f"{letters}{n:0{width}}", 0, unit) for n in missing)


def _row(name: str) -> str:
    """Labels of letters alone are one row; numbered ones are a row for each word in front of the number."""
    letters, digits = _split(name)
    return letters if digits else "~"


def _split(name: str) -> tuple[str, str]:
    match = re.fullmatch(r"(.*?)([0-9]*)", name)
    assert match
    return match[1], match[2]
