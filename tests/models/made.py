"""The second direction: what was seen on a real broker, as the search of that broker can make it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations_with_replacement, product

from chaoskit import Event, Stream
from chaoskit.brokers import Settings
from chaoskit.search.plans import Plans
from chaoskit.traces import parse
from chaoskit.traces.tokens import Batch, Receive, natural_key
from chaoskit.values.faults import Fault
from chaoskit.values.schedule import Do, Raw

Run = tuple[int, bool]
"""The number of an event, from 1, and whether that attempt failed. Which attempt it is follows from those before it."""

BEAM = 12
"""Sets of faults that are tried with one fault more: those that make the longest beginnings."""


def sent(seen: str) -> Stream:
    """The events of a trace, in the order of their numbers. Message groups are keys; all else has one key."""
    keys = {natural_key(name)[0]: f"g{group}" for group, name in re.findall(r"g([0-9]+)/([0-9]+)", seen)}
    last = max((number for number, _ in order(seen)), default=1)
    return Stream.of([Event(keys.get(number, "a"), number) for number in range(1, last + 1)])


def order(seen: str) -> list[Run]:
    """The attempts that a trace shows, in order; of what was only handed over, none. A log alone is read once."""
    trace = parse(seen)
    shown: list[Receive] = []
    for word in trace.words:
        shown += word.members if isinstance(word, Batch) else [word] if isinstance(word, Receive) else []
    runs = [(natural_key(each.label.name)[0], each.outcome == "failed") for each in shown if each.outcome != "held"]
    return runs or [(natural_key(label.name)[0], False) for label in trace.log or ()]


def made_by(broker: Settings, seen: str, most: int = 3) -> tuple[Fault, ...] | None:
    """Faults, `most` at most, under which the model makes what was seen and nothing else; None if no such were found.

    An attempt that is to fail is refused by the handler, unless a fault makes it fail. Looks at those sets of faults
    whose orders begin alike the longest, so that None is no proof that there are none.
    """
    stream, runs = sent(seen), order(seen)
    singles = list(_singles(broker, stream))
    tried: dict[tuple[Fault, ...], int] = {}
    beam: list[tuple[Fault, ...]] = [()]
    for count in range(most + 1):
        for faults in beam:
            if faults not in tried:
                alike, whole = _alike(broker, stream, faults, runs)
                if whole:
                    return faults
                tried[faults] = alike
        if count < most:
            best = sorted(tried, key=lambda faults: (-tried[faults], len(faults)))[:BEAM]
            beam = [(*faults, fault) for faults in best for fault in singles]
    return None


def _singles(broker: Settings, stream: Stream) -> Iterator[Fault]:
    plans = Plans(broker.model(stream), broker.kinds(), 0)
    for position, event in enumerate(stream.events):
        for choice in plans.choices(position):
            for arguments in product(*choice.ranges):
                yield choice.kind(event.id, *arguments)


def _alike(broker: Settings, stream: Stream, faults: tuple[Fault, ...], runs: Sequence[Run]) -> tuple[int, bool]:
    """How many attempts are made as they should be, before the first that is not; and whether these are all."""
    play = broker.model(stream).play(faults)
    made = 0
    answer: bool | None = None
    while True:
        try:
            step = play.send(answer)
        except StopIteration:
            return made, made == len(runs)
        answer = None
        if step[0] not in (Do.DELIVER, Do.FAIL):
            continue
        fails = step[0] == Do.FAIL
        if made == len(runs) or runs[made][0] != step[2] + 1 or (fails and not runs[made][1]):
            return made, False
        answer = (runs[made][1] or None) if not fails else None
        made += 1


def begins(broker: Settings, numbers: Sequence[int], most: int = 3) -> tuple[Fault, ...] | None:
    """Faults, `most` at most, under which the handler sees these events of one key first, in this order; None if no
    such were found. All sets of two are tried, and of these the best with more."""
    pairs = _beginnings(broker, max(3, *numbers), min(2, most))
    alike = {faults: _alike_until(seen, numbers) for faults, seen in pairs.items()}
    found = next((faults for faults, length in alike.items() if length == len(numbers)), None)
    if found is not None or most <= 2:
        return found
    stream = _numbered(max(3, *numbers))
    model, singles = broker.model(stream), list(_singles(broker, stream))
    for _ in range(2, most):
        best = sorted(alike, key=lambda faults: (-alike[faults], len(faults)))[:WIDE]
        alike = {}
        for faults in ((*some, fault) for some in best for fault in singles):
            alike[faults] = _alike_until(_seen(model.play(faults)), numbers)
            if alike[faults] == len(numbers):
                return faults
    return None


WIDE = 25
"""Sets of two faults that are tried with a third one."""


@lru_cache(maxsize=4)
def _beginnings(broker: Settings, size: int, most: int) -> dict[tuple[Fault, ...], tuple[int, ...]]:
    """What the handler sees under each set of so many faults."""
    stream = _numbered(size)
    model, singles = broker.model(stream), list(_singles(broker, stream))
    sets = [some for count in range(most + 1) for some in combinations_with_replacement(singles, count)]
    return {faults: tuple(_seen(model.play(faults))) for faults in sets}


def _numbered(size: int) -> Stream:
    return Stream.of([Event("a", number) for number in range(1, size + 1)])


def _seen(steps: Iterable[Raw]) -> Iterator[int]:
    return (step[2] + 1 for step in steps if step[0] == Do.DELIVER)


def _alike_until(seen: Iterable[int], numbers: Sequence[int]) -> int:
    """How many are alike. What is seen behind the first that is not is not even played."""
    alike = 0
    for wanted, one in zip(numbers, seen, strict=False):
        if one != wanted:
            break
        alike += 1
    return alike
