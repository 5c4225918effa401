"""The notation of deliveries: `parse` reads it, `spell` and `spell_trace` write it.

Words stand in time order, separated by blanks: `5` (run), `5!` (its handler refused it), `5-` (handed over, not
run), `5r` (the same broker message again), `5'` (another broker message with the same payload), `p0/5` (in the
unit p0), `B:5` (at consumer B, in force until the next name), `[1 2 3]` (one receive or batch), `⚡` (the consumer
in force is killed), and verbs that start with `|`. `log: 2 1 3 ;` in front gives the content of the log.
If a verb of a group occurs, then of that group only what is listed happened; a group without a verb is free.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NoReturn, get_args

import attrs

from chaoskit.traces.tokens import (
    QUOTE,
    Batch,
    Commit,
    End,
    Evict,
    FailedSend,
    Grow,
    Kill,
    MessageLabel,
    Move,
    Put,
    Receive,
    Reset,
    RunOutcome,
    Settle,
    Settlement,
    Time,
    Trace,
    Word,
    natural_key,
)
from chaoskit.values.errors import UsageError, did_you_mean

SETTLEMENTS: dict[str, Settlement] = {name: name for name in get_args(Settlement)}

EXAMPLES = {
    "c": "|c=5",
    **{name: f"|{name} 2" for name in SETTLEMENTS},
    "move": "|move A>B p1",
    "evict": "|evict A>B",
    "grow": "|grow 12",
    "reset": "|reset 100",
    "put": "|put 1'",
    "fail": "|fail 2",
    "t": "|t=299s",
    "end": "|end",
}
"""Every verb, as it is written."""

MEANT = {
    "commit": "|c=5",
    "committed": "|c=5",
    "time": "|t=299s",
    "kill": "⚡",
    "crash": "⚡",
    "timeout": "|expire 1",
    "redeliver": "5r",
    "publish": "|put 1",
    "send": "|put 1",
    "delete": "|ack 2",
    "reject": "|term 2",
}
"""Words for the same thing that no spelling is near to."""

# A label of letters alone does not end in r: `ar` would be `a` again.
LABEL = r"(?:[A-Za-z_]*[0-9]+|[A-Za-z_]*[A-Za-qs-z_])"
_DELIVERY = re.compile(rf"(?:(?P<unit>[.-]*\w[\w.-]*)/)?(?P<name>{LABEL})(?P<copy>'*)(?P<again>r?)(?P<outcome>[!-]?)")
_JUMBLED = re.compile(rf"(?:(?P<unit>[.-]*\w[\w.-]*)/)?(?P<name>{LABEL})(?P<marks>['r!-]+)")
_CONSUMER = re.compile(r"([A-Z][A-Za-z0-9_]*):(.*)", re.DOTALL)
_SMALL_CONSUMER = re.compile(r"([a-z_][A-Za-z0-9_]*):(.*)", re.DOTALL)
_HANDOVER = re.compile(r"([A-Z][A-Za-z0-9_]*)>([A-Z][A-Za-z0-9_]*)")
_UNIT = re.compile(r"[.-]*\w[\w.-]*")
_IN_UNIT = re.compile(r"(?P<unit>[.-]*\w[\w.-]*)/")
_SECONDS = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNITS_OF_TIME = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_OUTCOMES: dict[str, RunOutcome] = {"": "ok", "!": "failed", "-": "held"}
_MARKS: dict[RunOutcome, str] = {"ok": "", "failed": "!", "held": "-"}
_FORM = "a delivery is a label and its marks in the order `'`, `r`, then `!` or `-`, such as `5`, `p0/5'`, `5r!`"


def parse(text: str) -> Trace:
    """The trace that `text` writes; `UsageError` names the word that cannot be read and what would be right."""
    return _Parser(text).trace()


def spell(word: Word) -> str:
    """One word in the notation, without the name of its consumer."""
    match word:
        case Receive(label=label, again=again, outcome=outcome):
            return f"{label}{'r' if again else ''}{_MARKS[outcome]}"
        case Batch(members=members):
            return f"[{' '.join(map(spell, members))}]"
        case Commit(label=label, unit=unit, refused=refused):
            end = "end" if unit is None else f"{unit}/end"
            return f"|c={end if label is None else label}{'!' if refused else ''}"
        case Settle(what=what, label=label):
            return f"|{what} {label}"
    return _spell_other(word)


def _spell_other(word: Word) -> str:
    match word:
        case Kill():
            return "⚡"
        case FailedSend(label=label):
            return f"|fail {label}"
        case Put(label=label):
            return f"|put {label}"
        case Move(source=source, target=target, unit=unit):
            return f"|move {source}>{target}" + ("" if unit is None else f" {unit}")
        case Evict(source=source, target=target):
            return f"|evict {source}>{target}"
        case Grow(count=count):
            return f"|grow {count}"
        case Reset(to=to):
            return f"|reset {'end' if to is None else to}"
        case Time(seconds=seconds):
            return f"|t={seconds:.10g}s"
    return "|end"


def spell_trace(trace: Trace) -> str:
    """The whole trace; `parse` reads it back to an equal value."""
    words = [] if trace.log is None else ["log:", *map(str, trace.log), *([";"] if trace.words else [])]
    consumer = "A"
    for word in trace.words:
        at = getattr(word, "consumer", consumer)  # a send or a growth is nobody's, and changes no consumer in force
        words.append(spell(word) if at == consumer else f"{at}:{spell(word)}")
        consumer = at
    return " ".join(words)


def group_of(word: Word) -> str | None:
    """Which group of verbs a word belongs to; None for deliveries and `|end`."""
    match word:
        case Commit():
            return "commit"
        case Settle():
            return "settle"
        case Kill() | Move() | Evict() | Grow() | Reset():
            return "process"
        case Put() | FailedSend():
            return "producer"
        case Time():
            return "time"
    return None


@lru_cache(4096)
def _delivered(piece: str) -> tuple[MessageLabel, bool, RunOutcome] | None:
    """The label of a delivery, whether it came again, and how it was run; the same few words are in all traces."""
    match = _DELIVERY.fullmatch(piece)
    if not match:
        return None
    label = MessageLabel(match["name"], len(match["copy"]), match["unit"])
    return label, bool(match["again"]), _OUTCOMES[match["outcome"]]


class _Parser:
    """Reads the words from left to right. `at` is the next one, `start` the first one of the word being read."""

    def __init__(self, text: str) -> None:
        # Some keyboards add a variation selector, which nobody sees.
        self.pieces = text.replace("⚡\ufe0f", "⚡").split()
        self.at = 0
        self.start = 0
        self.consumer = "A"
        self.clock = 0.0
        # Of the whole trace, before any word is read: `|move A>B p1` may come before the first `p1/5`.
        self.units = {match["unit"] for piece in self.pieces if "/" in piece and (match := _IN_UNIT.search(piece))}

    def trace(self) -> Trace:
        if not self.pieces:
            raise UsageError("the trace is empty: it needs at least one word, such as `5 6 ⚡ 6r 7`")
        log = self.log() if self.pieces[0] == "log:" else None
        words = tuple(self.words())
        groups = frozenset(group for word in words if (group := group_of(word)) is not None)
        return Trace(words, log, groups)

    def fail(self, why: str) -> NoReturn:
        shown = " ".join(self.pieces[self.start : max(self.at, self.start + 1)])
        raise UsageError(f"word {self.start + 1} of the trace, `{shown}`: {why}")

    def log(self) -> tuple[MessageLabel, ...]:
        self.at = 1
        members: list[MessageLabel] = []
        while self.at < len(self.pieces):
            self.start = self.at
            piece = self.pieces[self.at]
            self.at += 1
            if piece == ";":
                break
            label = self.label_of(piece)
            if label is None:
                self.fail(
                    "the log has labels only, such as `log: 2 1 3 ;`, and ends with a `;` before what is delivered"
                )
            if label in members:
                self.fail(f"{label} is in the log already; the same payload once more is `{label}'`")
            members.append(label)
        if not members:
            self.start = 0
            self.fail("the log is empty: it needs at least one label, such as `log: 2 1 3 ;`")
        return tuple(members)

    def words(self) -> Iterator[Word]:
        while self.at < len(self.pieces):
            self.start = self.at
            word = self.word()
            yield word
            if isinstance(word, End) and self.at < len(self.pieces):
                self.start = self.at
                self.fail("nothing can follow `|end`, it says that the trace is complete")

    def word(self) -> Word:
        piece = self.named(self.pieces[self.at])
        self.at += 1
        if piece == "⚡":
            return Kill(self.text(), self.consumer)
        if piece.startswith("|"):
            return self.verb(piece[1:])
        if piece.startswith("["):
            return self.batch(piece[1:])
        return self.delivery(piece)

    def named(self, piece: str) -> str:
        """The piece without the consumer's name in front of it, which is in force from here."""
        if ":" not in piece:
            return piece
        small = _SMALL_CONSUMER.fullmatch(piece)
        if small:
            self.fail(self.small(small[1], small[2]))
        match = _CONSUMER.fullmatch(piece)
        if not match:
            return piece
        self.consumer = match[1]
        if match[2]:
            if _CONSUMER.fullmatch(match[2]):
                self.fail("a word has one consumer, such as `A:5`")
            return match[2]
        self.at += 1
        if self.at >= len(self.pieces):
            self.fail(f"nothing follows the consumer's name; `{match[1]}:5` is a delivery at {match[1]}")
        if _CONSUMER.fullmatch(self.pieces[self.at]):
            self.fail(f"two consumers in a row; `{match[1]}:5` is a delivery at {match[1]}")
        return self.pieces[self.at]

    def small(self, name: str, rest: str) -> str:
        if name == "log":
            return "the content of the log stands once, before everything else: `log: 2 1 3 ; 2 1`"
        return f"a consumer's name starts with a capital letter, such as `{name.capitalize()}:{rest}`"

    def text(self) -> str:
        return self.pieces[self.start] if self.at == self.start + 1 else " ".join(self.pieces[self.start : self.at])

    def delivery(self, piece: str) -> Receive:
        found = _delivered(piece)
        if found is None:
            self.fail(self.unreadable(piece))
        label, again, outcome = found
        if label.name == "end":
            self.fail("`end` is no label; `|end` says that the trace is complete")
        self.check_unit(label)
        return Receive(self.text(), self.consumer, label, again, outcome)

    def unreadable(self, piece: str) -> str:
        jumbled = _JUMBLED.fullmatch(piece)
        if jumbled:
            return f"{_FORM}; did you mean `{_in_order(jumbled)}`?"
        if piece == ";":
            return "a `;` ends the content of the log, which starts with `log:`"
        if re.fullmatch(r"(?:[\w.-]+/)?'*r[!-]?", piece):
            return f"`r` needs a label before it; {_FORM}"
        if re.fullmatch(r"(?:[\w.-]+/)?[A-Za-z_]*r'*[!-]?", piece):
            return f"a label of letters may not end in r, which is the mark for `again`: end it with a number; {_FORM}"
        if "⚡" in piece:
            return "`⚡` is a word of its own: put blanks around it"
        if "]" in piece:
            return "this batch was never opened; one receive is written `[1 2 3]`"
        if "’" in piece or "′" in piece:
            return "a copy is marked with the plain quote, such as `1'`"
        return f"a label is a number, letters and a number, or letters (`5`, `e12`, `a`); {_FORM}"

    def batch(self, piece: str) -> Batch:
        members: list[Receive] = []
        while True:
            inner, closed = (piece[:-1], True) if piece.endswith("]") else (piece, False)
            if inner:
                members.append(self.member(inner))
            if closed:
                break
            if self.at >= len(self.pieces):
                self.fail("the batch is not closed; one receive is written `[1 2 3]`")
            piece = self.pieces[self.at]
            self.at += 1
        if not members:
            self.fail("the batch is empty; one receive is written `[1 2 3]`")
        return Batch(self.text(), self.consumer, tuple(members))

    def member(self, piece: str) -> Receive:
        if piece.startswith(("[", "|", "⚡")) or _CONSUMER.fullmatch(piece) or _SMALL_CONSUMER.fullmatch(piece):
            self.fail(f"`{piece}` cannot stand inside a batch, which holds deliveries only; one receive is `[1 2 3]`")
        return attrs.evolve(self.delivery(piece), text=piece)

    def label_of(self, piece: str) -> MessageLabel | None:
        found = _delivered(piece)
        if found is None or found[1:] != (False, "ok"):
            return None
        self.check_unit(found[0])
        return found[0]

    def check_unit(self, label: MessageLabel) -> None:
        """`|move A>B 4-` would be a unit that moves, or a hand-over and then a delivery."""
        marked = None if label.unit is None else _delivered(label.unit)
        if marked is not None and marked[1:] != (False, "ok"):
            self.fail(f"a unit is not called `{label.unit}`, which is a delivery with a mark")

    def verb(self, piece: str) -> Word:
        name, glued, value = piece.partition("=")
        if not name:
            self.fail(f"a verb is written without a blank after the bar, such as {_listed(EXAMPLES.values())}")
        if name in MEANT:
            self.fail(f"no verb is called {name!r}; write `{MEANT[name]}`")
        if name not in EXAMPLES:
            self.fail(f"no verb is called {name!r}{did_you_mean(name, EXAMPLES)}")
        if name == "end":
            if glued:
                self.fail("`|end` takes nothing")
            return End(self.text())
        return self.argued(name, value if glued else None)

    def argued(self, name: str, value: str | None) -> Word:
        if not value:
            if value is not None or self.at >= len(self.pieces) or self.pieces[self.at].startswith(("|", "⚡")):
                self.fail(f"`|{name}` needs an argument, such as `{EXAMPLES[name]}`")
            value = self.pieces[self.at]
            self.at += 1
        if name in SETTLEMENTS:
            return Settle(self.text(), self.consumer, SETTLEMENTS[name], self.label(name, value))
        match name:
            case "c":
                return self.commit(value)
            case "put":
                return Put(self.text(), self.label("put", value))
            case "fail":
                return FailedSend(self.text(), self.label("fail", value))
            case "move":
                return self.move(value)
            case "evict":
                return Evict(self.text(), *self.hand_over("evict", value))
            case "grow":
                return self.grow(value)
            case "reset":
                return Reset(self.text(), None if value == "end" else self.label("reset", value))
        return self.time(value)

    def label(self, verb: str, value: str) -> MessageLabel:
        label = self.label_of(value)
        if label is None:
            letters = "; a label may not end in r, which is the mark for `again`" if value.endswith("r") else ""
            self.fail(f"`|{verb}` takes the label of one message, such as `{EXAMPLES[verb]}`, not `{value}`{letters}")
        return label

    def commit(self, value: str) -> Commit:
        refused = value.endswith("!")
        named = value.removesuffix("!")
        unit, slash, name = named.rpartition("/")
        if name == "end" and (bool(slash) == bool(unit)):  # `/end` names no unit, and is not read as one
            return Commit(self.text(), self.consumer, None, unit or None, refused)
        label = self.label("c", named)
        return Commit(self.text(), self.consumer, label, label.unit, refused)

    def hand_over(self, verb: str, value: str) -> tuple[str, str]:
        match = _HANDOVER.fullmatch(value)
        if not match:
            self.fail(f"`|{verb}` takes two consumers, such as `{EXAMPLES[verb]}`, not `{value}`")
        if match[1] == match[2]:
            self.fail(f"`|{verb}` from {match[1]} to itself changes nothing; it takes two consumers")
        return match[1], match[2]

    def move(self, value: str) -> Move:
        source, target = self.hand_over("move", value)
        following = self.pieces[self.at] if self.at < len(self.pieces) else ""
        unit = None
        if self.names_a_unit(following):
            unit = following
            self.at += 1
        elif self.units:
            self.fail(f"`|move` takes the unit that moves, one of {', '.join(sorted(self.units))}: `|move A>B p1`")
        return Move(self.text(), source, target, unit)

    def names_a_unit(self, piece: str) -> bool:
        """In a trace without units, only a name that is unlike its labels is one: `p1` beside 1 2 3."""
        if not _UNIT.fullmatch(piece) or piece in self.units:
            return piece in self.units
        match = _DELIVERY.fullmatch(piece)
        if self.units or match is None or match["outcome"] or match["again"]:
            return False
        letters = natural_key(piece)[1]
        found = (_DELIVERY.search(other) for index, other in enumerate(self.pieces) if index != self.at)
        return bool(letters) and letters not in {natural_key(match["name"])[1] for match in found if match}

    def grow(self, value: str) -> Grow:
        if not re.fullmatch(r"[0-9]+", value) or int(value) == 0:
            self.fail(f"`|grow` takes the number of units from now on, such as `|grow 12`, not `{value}`")
        return Grow(self.text(), int(value))

    def time(self, value: str) -> Time:
        match = _SECONDS.fullmatch(value)
        if not match:
            self.fail(f"`|t` takes seconds, minutes, hours or days, such as `|t=299s`, `|t=5m`, `|t=1h`, not `{value}`")
        seconds = float(match[1]) * _UNITS_OF_TIME[match[2]]
        if seconds < self.clock:
            self.fail(f"time runs backwards: it was {self.clock:.10g}s already (the times count from the beginning)")
        self.clock = seconds
        return Time(self.text(), seconds)


def _in_order(match: re.Match[str]) -> str:
    unit = "" if match["unit"] is None else f"{match['unit']}/"
    marks = match["marks"]
    outcome = "!" if "!" in marks else "-" if "-" in marks else ""
    return f"{unit}{match['name']}{QUOTE * marks.count(QUOTE)}{'r' if 'r' in marks else ''}{outcome}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
