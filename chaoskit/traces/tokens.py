"""The words of a trace as frozen values; `text`, the word as it was written, does not count when two are compared."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal, TypeAlias

import attrs

RunOutcome: TypeAlias = Literal["ok", "failed", "held"]
Settlement: TypeAlias = Literal["ack", "nack", "term", "expire", "dead", "drop"]


QUOTE = "'"


@attrs.frozen(cache_hash=True)
class MessageLabel:
    """One broker message: `p0/1'` is the first copy of the payload `1`, in the unit `p0`."""

    name: str
    copy: int = 0
    unit: str | None = None

    def __str__(self) -> str:
        unit = "" if self.unit is None else f"{self.unit}/"
        return f"{unit}{self.name}{QUOTE * self.copy}"


@attrs.frozen
class Receive:
    """A message was handed to a consumer: run (`ok`), refused by its handler (`failed`), or not run (`held`)."""

    text: str = attrs.field(eq=False)
    consumer: str
    label: MessageLabel
    again: bool = False
    outcome: RunOutcome = "ok"


@attrs.frozen
class Batch:
    """Messages handed over together and run in that order."""

    text: str = attrs.field(eq=False)
    consumer: str
    members: tuple[Receive, ...]


@attrs.frozen
class Kill:
    """The consumer's process died, or lost its connection."""

    text: str = attrs.field(eq=False)
    consumer: str


@attrs.frozen
class Commit:
    """The consumer committed `label`, the next to read (None: everything that was read), or was refused."""

    text: str = attrs.field(eq=False)
    consumer: str
    label: MessageLabel | None
    unit: str | None = None
    refused: bool = False


@attrs.frozen
class Settle:
    """One message was acknowledged, refused, timed out, dead-lettered, or is gone for good."""

    text: str = attrs.field(eq=False)
    consumer: str
    what: Settlement
    label: MessageLabel


@attrs.frozen
class Put:
    """The broker accepted a payload as a new message, at the tail."""

    text: str = attrs.field(eq=False)
    label: MessageLabel


@attrs.frozen
class FailedSend:
    """An attempt to send failed, or got no answer; where one is listed, no other did."""

    text: str = attrs.field(eq=False)
    label: MessageLabel


@attrs.frozen
class Move:
    """A planned hand-over of one unit (None: of the only one)."""

    text: str = attrs.field(eq=False)
    source: str
    target: str
    unit: str | None = None


@attrs.frozen
class Evict:
    """`target` owns all units of `source`, which may still run what it has fetched."""

    text: str = attrs.field(eq=False)
    source: str
    target: str


@attrs.frozen
class Grow:
    """The number of units from now on."""

    text: str = attrs.field(eq=False)
    count: int


@attrs.frozen
class Reset:
    """The position jumps to `to` (None: the end of what was read), because the offset was lost or set."""

    text: str = attrs.field(eq=False)
    to: MessageLabel | None


@attrs.frozen
class Time:
    """Virtual time, in seconds since the beginning."""

    text: str = attrs.field(eq=False)
    seconds: float


@attrs.frozen
class End:
    """Everything that must be delivered was delivered."""

    text: str = attrs.field(eq=False)


Word: TypeAlias = Receive | Batch | Kill | Commit | Settle | Put | FailedSend | Move | Evict | Grow | Reset | Time | End


def deliveries(word: Word) -> tuple[Receive, ...]:
    """The deliveries of a word, in the order in which they were run."""
    match word:
        case Receive():
            return (word,)
        case Batch(members=members):
            return members
    return ()


@attrs.frozen
class Trace:
    """A parsed trace: its words, the content of the log if that was given, and the groups of verbs that occur."""

    words: tuple[Word, ...]
    log: tuple[MessageLabel, ...] | None = None
    groups: frozenset[str] = frozenset()


_NATURAL = re.compile(r"(.*?)([0-9]*)$", re.DOTALL)


@lru_cache(4096)
def natural_key(name: str) -> tuple[int, str]:
    """The place of a label in the produced order: by the number at its end (0 without one), then by its letters."""
    match = _NATURAL.match(name)
    assert match is not None
    return (int(match[2] or 0), match[1])
