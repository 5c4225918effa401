"""How far a handler had come where its process was killed, where it paused, and where a call of it failed: the parts of
sentences that are the same on every broker."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from chaoskit.values.event import EventId
from chaoskit.values.schedule import Step

MOST_OF_EXPRESSION = 60
"""Letters of an expression of the handler's in a sentence."""


def what_failed(step: Step) -> str:
    if step.failed is None:
        return f"call {step.point or 0} of those that can fail was to fail"
    place = f" ({step.failed.place})" if step.failed.place else ""
    return f"`{_short(step.failed.expression)}`{place} raised {step.failed.error}"


def answered(step: Step, facts: Mapping[str, object]) -> str:
    """What the handler made of it."""
    if step.raised:
        same = step.failed is not None and step.error == step.failed.error
        did = "let the error out" if same else f"raised {step.error}" if step.error else "raised"
        # The error is the last that was spoken of: the message is named.
        fate = re.sub(r"\bit(s?)\b", lambda found: f"{facts['at']}{_POSSESSIVE[found[1]]}", f"{facts['fate']}", count=1)
        return f"and the handler {did}: {fate}{facts['passed']}"
    return f"and the handler returned as if nothing had happened: {facts['at']} counts as handled"


_POSSESSIVE = {"": "", "s": "'s"}


def how_far(step: Step) -> str:
    """How far the handler had come, where its process was killed or it paused."""
    stop = step.died or step.stopped
    if stop is not None and not stop.before:
        return "after all of its effects" + (" and before the acknowledgement" if step.settled is None else "")
    point = step.point or 0
    effects = f"after {point} effect{'' if point == 1 else 's'}" if point else "before its first effect"
    if stop is None:
        return effects
    place = f" ({stop.place})" if stop.place else ""
    before = f"before `{_short(stop.before)}`{place}"
    if not point:  # where only named points count, others may have been passed
        return before
    which = "" if point == 1 else "the last of them "
    last = f", {which}`{_short(stop.happened[-1])}`," if stop.happened else ""
    return f"{effects}{last} and {before}"


def _short(expression: str) -> str:
    """In a sentence; the whole stands in its line of source."""
    line = " ".join(expression.split())
    return line if len(line) <= MOST_OF_EXPRESSION else f"{line[: MOST_OF_EXPRESSION - 1]}…"


def names_of(ids: Sequence[EventId | None], most: int = 5) -> str:
    """Each once, as a list in a sentence."""
    names = [str(id_) for id_ in dict.fromkeys(ids)]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) or "nothing"


def gone_at(steps: Sequence[Step]) -> list[Step]:
    """The deliveries in which a call failed and the handler raised, with which the message was gone."""
    gone = {(step.partition, step.offset) for step in steps if step.action == "skip"}
    return [step for step in steps if step.failed is not None and step.raised and (step.partition, step.offset) in gone]
