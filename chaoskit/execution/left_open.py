"""Messages that a handler which settles by itself has left open, where their leases run out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from chaoskit.values.schedule import DELIVER, DIE, PARK, REFUSE, RESTART, SKIP, Raw, what_of
from chaoskit.values.settling import Settles, Verbs


def shown_again(opened: Iterable[int], steps: Sequence[Raw], settles: Mapping[int, Settles], verbs: Verbs) -> list[Raw]:
    """What follows where nothing else is left, and no model says so: the last deliveries with the numbers `opened` were
    not settled. Those come again after which something was settled, and then for as long as their deliveries last."""
    if not verbs.shows:
        return []
    # The last in which something was done.
    last = max((number for number, each in settles.items() if any(verb != "extend" for verb, _ in each)), default=-1)
    times: dict[int, int] = {}
    for step in steps:
        times[step[2]] = times.get(step[2], 0) + (what_of(step) == DELIVER)
    found: list[Raw] = []
    for number in sorted(opened):
        do, consumer, position, lane, offset, attempt, *more = steps[number]
        shown = times[position]
        if shown == 1 and number >= last:
            continue
        if shown >= verbs.shows:
            found.append((REFUSE, *steps[number][1:]))
        else:
            found.append((do, consumer, position, lane, offset, attempt + 1, *more))
    return found


def given_up(
    steps: Sequence[Raw], refused: Collection[int], settles: Mapping[int, Settles], most: int
) -> Iterator[Raw]:
    """The steps in which messages were given up, after so many deliveries, the last of which the handler had only
    returned from, and none was settled later. What a process has died with is not among them."""
    left: dict[tuple[int, int], int] = {}
    died: set[int] = set()
    for number, step in enumerate(steps):
        do, record = what_of(step), (step[3], step[4])
        if do == RESTART:
            died.add(step[1])
        elif do in (DELIVER, DIE):
            if died:
                left = {at: last for at, last in left.items() if steps[last][1] not in died}
                died.clear()
            left.pop(record, None)
            if do == DELIVER and number not in refused and not _settles(settles, number, number):
                left[record] = number
        elif record in left and (do == REFUSE or (do in (PARK, SKIP) and steps[left[record]][5] >= most)):
            later = (at for at in range(number, len(steps)) if steps[at][2] == step[2])
            if not _dies_then(steps, number, steps[left[record]][1]) and not any(
                _settles(settles, a, a) for a in later
            ):
                yield step


def _dies_then(steps: Sequence[Raw], number: int, consumer: int) -> bool:
    """Whether this consumer died of what this step of a message is about."""
    after = next((step for step in steps[number:] if step[0] not in (PARK, SKIP, REFUSE)), None)
    return after is not None and after[0] == RESTART and after[1] == consumer


def _settles(settles: Mapping[int, Settles], number: int, message: int) -> bool:
    """Whether the delivery of this number settled the message of that one."""
    return any(verb != "extend" and at == message for verb, at in settles.get(number, ()))
