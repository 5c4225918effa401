"""What a model learns of its steps: whether the handler refused the message, and what it settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaoskit.values.schedule import BEGIN, DELIVER, FAIL, GO_ON, PARK, SKIP, Raw, is_handed, what_of
from chaoskit.values.settling import GONE, REJECTED, Settles, Settling


def answer_of(steps: Sequence[Raw], number: int, settled: Mapping[int, Settles], *, refused: bool) -> Settling:
    """What the model learns of the delivery with this number. Of an execution that goes on that is what was settled of
    its message since it began, too."""
    begun = begun_at(steps, number)
    earlier = [each for at in range(begun, number) for each in settled.get(at, ()) if each[1] == begun]
    settles = (*earlier, *settled[number])
    held = not any(verb != "extend" and at == begun for verb, at in settles)
    if earlier:  # a position that was committed may have gone back since
        settles = (*(each for each in earlier if each[0] != "commit"), *settled[number])
    return Settling(refused, held, tuple((verb, _delivering(steps[at])) for verb, at in settles))


def begun_at(steps: Sequence[Raw], number: int) -> int:
    """The number of the step in which the execution began that this one runs."""
    if what_of(steps[number]) != GO_ON:
        return number
    consumer = steps[number][1]
    return next(at for at in range(number - 1, -1, -1) if what_of(steps[at]) == BEGIN and steps[at][1] == consumer)


def _delivering(step: Raw) -> Raw:
    """The delivery of this message, whatever became of it."""
    return (DELIVER, *step[1:])


def answers_of(
    steps: Sequence[Raw], raised: Sequence[int], settled: Mapping[int, Settles] | None
) -> list[bool | Settling | None]:
    """What the model learned after each of these steps; `settled` by their numbers, None where returning settles."""
    refused = set(raised)
    if settled is None:
        failed = (number for number, step in enumerate(steps) if step[0] == FAIL or number in refused)
        gone = {number: how for number in failed if (how := how_gone(steps, number)) is not None}
        return [gone.get(number, number in refused or None) for number in range(len(steps))]
    return [
        answer_of(steps, number, settled, refused=number in refused) if number in settled else None
        for number in range(len(steps))
    ]


def how_gone(steps: Sequence[Raw], number: int) -> Settling | None:
    """How the message of this delivery, which was refused, is gone at once, by its framework or by its broker's own
    rule, which make the same steps; None where it is not. What else the refusal ended may stand between."""
    for step in steps[number + 1 :]:
        if step[0] in (SKIP, PARK) and step[3:5] == steps[number][3:5]:
            return GONE if step[0] == SKIP else REJECTED
        if is_handed(step) or step[0] == FAIL:
            return None
    return None
