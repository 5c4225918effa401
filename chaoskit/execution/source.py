"""What the producer has sent by some step of a run, as the source itself would say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.execution.script import Script
from chaoskit.values.event import Event
from chaoskit.values.schedule import LOSE, SKIP, Raw, is_handed


def sent_by(script: Script, steps: Sequence[Raw], number: int) -> tuple[Event, ...]:
    """All events up to the furthest one that a step up to that of this number, from 0, has shown."""
    furthest = max((position for step in steps[: number + 1] for position in _told(step)), default=-1)
    missing = _never_sent(script, steps)
    return tuple(script.mailbox.event(position) for position in range(furthest + 1) if position not in missing)


def _told(step: Raw) -> Iterator[int]:
    yield step[2]
    if len(step) > 6:  # a copy: the event after which it was sent
        yield step[6]


def _never_sent(script: Script, steps: Sequence[Raw]) -> set[int]:
    """The positions of what is lost, where this is compared with a run without them: the source of that one never had
    them."""
    if not script.leaves_out:
        return set()
    shown = {step[2] for step in steps if is_handed(step)}  # also what a process dies at
    # In an order that no model makes everything is shown that there is.
    if script.faults is None or script.retries is not None:
        return set(range(len(script.mailbox.model.stream))) - shown
    return {step[2] for step in steps if step[0] in (LOSE, SKIP)} - shown
