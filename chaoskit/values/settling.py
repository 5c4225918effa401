"""What a handler that settles its messages itself says of them, and which of these verbs a broker has."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, cast, get_args

import attrs

from chaoskit.values.errors import UsageError
from chaoskit.values.raw import Sent

Verb = Literal["ack", "nack", "reject", "extend", "commit"]

Passing = Literal["pass"]
"""A message that something in front of the handler held back from it, such as one that came twice: it is settled as by
returning."""

ROUNDS = 5
"""Times that a message comes again whose lease runs out, before it counts as one that does so for ever."""

Settles: TypeAlias = tuple[tuple[Verb, int], ...]
"""What a handler settled in one delivery, in its order: the verb, and the number of the step that delivered it."""


@attrs.frozen
class Verbs:
    """What a broker has to settle a message with. `names`: those of its verbs; none where something else settles, which
    `otherwise` says. `late_counts`: a settlement counts also where its message was handed out again by then; else it
    does nothing. `once`: a second one of the same delivery is an error. `up_to`: it settles all that is older in its
    queue, too. `bound`: what limits how many may be unsettled, with {} for their number. `shows`: after so many
    deliveries of a message that is left open it is certain that it is never settled, as its lease runs out each time;
    0: it has no lease. `gives_up`: and so many are all that it has.
    """

    names: tuple[Verb, ...]
    otherwise: str = ""
    late_counts: bool = False
    once: bool = False
    up_to: bool = False
    bound: str = ""
    shows: int = 0
    gives_up: bool = False

    def why_not(self, verb: Verb) -> str:
        """What to write instead of a verb that the broker has not."""
        if verb == "reject" and "nack" in self.names:
            return "use nack(), and what was given back too often goes where the broker's limit sends it"
        if verb == "extend":
            return "it has no lease to renew"
        own = [f"{name}()" for name in self.names if name != "extend"]
        return f"use {' or '.join(own)}"


COMMITS = Verbs(("commit",))
"""A log: a position is committed, and no single message is settled."""
ACKS = Verbs(("ack", "nack"))
"""A queue: message by message."""


@attrs.frozen
class Settling:
    """The answer to a delivery where the handler settles by itself. It is true where the message was refused. `held`:
    this delivery is not settled; `settled`: what was, this delivery or earlier ones, by their raw steps. `gone`:
    whatever settles, the failure was final: its message was settled all the same, or rejected, and then it goes to the
    dead letters where its broker has them."""

    refused: bool
    held: bool
    settled: tuple[tuple[Verb, tuple[int, ...]], ...] = ()
    gone: Literal["", "settled", "rejected"] = ""

    def __bool__(self) -> bool:
        return self.refused


GONE = Settling(refused=True, held=False, gone="settled")
"""The answer to a delivery that a framework acknowledges although it failed."""
REJECTED = Settling(refused=True, held=False, gone="rejected")
"""The answer to a delivery that a framework gives up, so that its broker may keep it with the dead letters."""


def as_written(settles: Settles) -> tuple[str, ...]:
    """As it stands in a file, where steps are counted from 1."""
    return tuple(f"{verb} {number + 1}" for verb, number in settles)


def as_read(written: Sequence[str], steps: int) -> Settles:
    """What `as_written` has written; ValueError for what is none, or names none of so many steps."""
    found: list[tuple[Verb, int]] = []
    for text in written:
        verb, _, number = text.partition(" ")
        counts = number.isdecimal() and len(number) <= len(str(steps))
        if verb not in get_args(Verb) or not counts or not 0 < int(number) <= steps:
            raise ValueError(f'{text!r} settles no step: such as "ack 2" is needed')
        found.append((cast("Verb", verb), int(number) - 1))
    return tuple(found)


class Done:
    """What a verb returns: done already, and may be awaited."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


DONE = Done()


Given = TypeVar("Given", bound="Settleable")


class Settlement(Protocol):
    """Who learns how one delivery was settled."""

    def __call__(self, verb: Verb | Passing, /) -> None: ...


class Settleable(Sent):
    """What a handler can settle, under `deliver(handler, settle="handler")`. Every verb can be awaited, and need not
    be. Each raises UsageError where returning settles, and where the broker has no such verb."""

    __slots__ = ("_settlement",)
    _settlement: Settlement

    def settles_by(self, settlement: Settlement) -> None:
        """Whoever hands it over learns how it is settled."""
        self._settlement = settlement

    def ack(self) -> Done:
        """It is done, and never comes again."""
        return self._settled("ack")

    def nack(self, requeue: bool = True) -> Done:
        """It is given back, and comes again by the broker's rule; with `requeue=False` the same as `reject`."""
        return self._settled("nack" if requeue else "reject")

    def reject(self) -> Done:
        """It is given up: dropped, or set aside where the broker keeps dead letters."""
        return self._settled("reject")

    def extend(self) -> Done:
        """Its lease begins anew. What ends it here is a death or a lost connection, which no renewal prevents."""
        return self._settled("extend")

    def commit(self) -> Done:
        """On a log: everything of its partition up to this message is done, with the message."""
        return self._settled("commit")

    def _settled(self, verb: Verb) -> Done:
        settlement = getattr(self, "_settlement", None)
        if settlement is None:
            raise UsageError(
                f"message.{verb}(): a message is settled when its handler returns. Where the handler does it, write "
                'deliver(handler, settle="handler"); a copy of a message cannot be settled'
            )
        settlement(verb)
        return DONE


def settled_as(given: Given, message: Settleable) -> Given:
    """What was made of a message stands for it, where it is no message of its own."""
    if hasattr(message, "_serializer"):
        given.sent_by(message._serializer)
    settlement = getattr(message, "_settlement", None)
    if settlement is not None and getattr(given, "_settlement", None) is None:
        given.settles_by(settlement)
    return given


def passed_over(message: Settleable, given: Iterable[Settleable]) -> None:
    """The handler was given these in the place of this message; where it was not among them, it is settled."""
    settlement = getattr(message, "_settlement", None)
    if settlement is not None and all(getattr(each, "_settlement", None) is not settlement for each in given):
        settlement("pass")
