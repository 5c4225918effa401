"""What happened in a schedule, in the words of a broker: one sentence for each deviation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import attrs

from chaoskit.brokers.frameworks import FRAMEWORKS
from chaoskit.brokers.inside import answered, how_far, names_of, what_failed
from chaoskit.brokers.overlaps import meanwhile
from chaoskit.brokers.wording import CALL_FAILED, Words
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import BatchSwap, DeadLetter, Fail, Fault, Overlap, Overtake, Rehash, Resend, Zombie
from chaoskit.values.schedule import Schedule, Step

Cause = Fault | Step | None
"""What a sentence is about: a fault, or the first attempt at a message that the handler refused."""


def sentences(schedule: Schedule, events: Sequence[Event], words: Words, partitions: int) -> list[tuple[Cause, str]]:
    """One sentence for each fault that shows in the schedule, in order of appearance; and for each message that the
    handler refused, however often."""
    found: list[tuple[Cause, str]] = []
    explained: set[Fault] = set()
    refused: set[Place] = set()
    account = _Account(schedule.steps, events, words, partitions, brought_back(schedule.steps))
    call = range(0)
    for number, step in enumerate(schedule.steps):
        if step.action == "batch":
            call = range(number + 1, number + 1 + (step.size or 0))
        fault = step.fault
        if fault is not None and fault not in explained:
            explained.add(fault)
            found.append((fault, _sentence(_appearance(fault, number, schedule.steps), account)))
        if step.raised and not step.point and place_of(step) not in refused:
            refused.add(place_of(step))
            # What raised is the call, and of the others in it there is nothing more to report.
            more = [n for n in call if schedule.steps[n].raised] if number in call else [number]
            if number == more[0]:
                found.append((step, _refusals(more, account)))
    waiting = [step.event for step in schedule.steps if step.action == "wait"]
    if waiting:
        found.append((None, f"{names_of(waiting)} stood behind what was refused, and {_was(waiting)} never delivered"))
    return found


Place = tuple[int | None, int | None]


def place_of(step: Step) -> Place:
    """Where the message of this step is: the same for each delivery of it, another one for a copy. That a batch begins
    is about none."""
    return (None, None) if step.action == "batch" else (step.partition, step.offset)


def brought_back(steps: Sequence[Step]) -> dict[int, int]:
    """Deliveries that come again because the handler raised, or an attempt failed: the index of each, and of what is
    behind it. That may be an attempt at another message, whose whole batch comes again."""
    found: dict[int, int] = {}
    refused: dict[Place, int] = {}
    accepted: set[Place] = set()
    latest: dict[int | None, int] = {}
    for index, step in enumerate(steps):
        place = place_of(step)
        if step.action == "fail":
            refused[place] = latest[step.consumer] = latest[None] = index
        if step.action != "deliver":
            continue
        # What comes back may come to another consumer: then the latest failure of all is the cause.
        last = latest.get(step.consumer, latest.get(None))
        # A step of another fault has a sentence of its own.
        by_itself = step.fault is None or isinstance(step.fault, Fail)
        if by_itself and place in refused:
            found[index] = refused[place]
        elif by_itself and place in accepted and last is not None:
            found[index] = last
        if step.raised:
            refused[place] = latest[step.consumer] = latest[None] = index
        else:
            accepted.add(place)
            refused.pop(place, None)
    return found


def _was(ids: Sequence[EventId | None]) -> str:
    return "was" if len(set(ids)) == 1 else "were"


@attrs.frozen
class _Account:
    """What is to be reported, and in which words. `brought`: see `brought_back`."""

    steps: Sequence[Step]
    events: Sequence[Event]
    words: Words
    partitions: int
    brought: Mapping[int, int]


@attrs.frozen
class _Appearance:
    """A fault in a schedule. `number`: of the first step in which it shows, such as a restart before what comes again.
    `again`: the deliveries that it makes. `here`: the place of the first of these, or else `number`. `target`: the step
    whose message the sentence is about."""

    fault: Fault
    number: int
    again: Sequence[Step]
    here: int
    target: Step

    @property
    def subject(self) -> EventId:
        return self.target.event if self.target.event is not None else self.fault.at


def _appearance(fault: Fault, number: int, steps: Sequence[Step]) -> _Appearance:
    again = [s for s in steps[number:] if s.action == "deliver" and s.fault == fault]
    here = steps.index(again[0]) if again and again[0] is not steps[number] else number
    target = steps[here] if isinstance(fault, (BatchSwap, Overtake, Resend)) else steps[number]
    return _Appearance(fault, number, again, here, target)


def _sentence(shown: _Appearance, account: _Account) -> str:
    fault, step, words = shown.fault, account.steps[shown.number], account.words
    facts = {**words.names, **_what_and_where(shown, account), **_around(shown, account), **_of_kind(shown, account)}
    if isinstance(fault, Fail) and fault.point:
        return CALL_FAILED.happened.format(**facts, failed=what_failed(step), answered=answered(step, facts))
    return words.of(type(fault)).happened.format(**facts)


def _what_and_where(shown: _Appearance, account: _Account) -> dict[str, object]:
    """The message, its place and its consumer."""
    first, target = account.steps[shown.here], shown.target
    return {
        "event": shown.subject,
        "at": shown.fault.at,
        "record": account.words.record(target),
        "first": f"offset {first.offset} of partition {first.partition}",
        "consumer": account.steps[shown.number].consumer,
        "worker": account.words.worker,
        "partition": target.partition,
        "offset": target.offset,
        "key": _key(shown, account),
    }


def _around(shown: _Appearance, account: _Account) -> dict[str, object]:
    """How far the handler had come, what went before, and what came of it."""
    step, number, steps = account.steps[shown.number], shown.number, account.steps
    return {
        "again": names_of([s.event for s in shown.again] or [shown.fault.at]),
        "over": names_of(_overtaking(shown.subject, steps[: shown.here], account.events)),
        "after": _after(shown, steps),
        "died": how_far(step),
        "then": _then(shown, account),
        "together": _together(steps[number + 1 : number + 1 + (step.size or 0)]),
    }


def _of_kind(shown: _Appearance, account: _Account) -> dict[str, object]:
    """What only the sentences of some kinds name; empty where a template names it and there is nothing to say."""
    facts: dict[str, object] = {"back": "", "lost": "", "meanwhile": "", "old": "", "new": "", "held": ""}
    match shown.fault:
        case Fail():
            facts |= _failed(shown.number, account)
        case DeadLetter():
            facts["back"] = _back(shown, account)
        case BatchSwap(lost=True):
            facts["lost"] = " with everything in flight"
        case Overlap():
            facts["meanwhile"] = _meanwhile(shown.fault, shown.number, account)
        case Zombie():
            facts |= _taken_over(shown, account.steps[shown.number])
        case Rehash():
            facts |= _growth(shown.fault, account, _key(shown, account))
    return facts


def _key(shown: _Appearance, account: _Account) -> str:
    return repr(next(event.key for event in account.events if event.id == shown.fault.at))


def _overtaking(subject: EventId, before: Sequence[Step], events: Sequence[Event]) -> list[EventId | None]:
    """What was produced later, and had gone first."""
    order: dict[EventId | None, int] = {event.id: place for place, event in enumerate(events)}
    mine = order.get(subject, len(order))
    return [step.event for step in before if step.action == "deliver" and order[step.event] > mine]


def _after(shown: _Appearance, steps: Sequence[Step]) -> str:
    """What was newly delivered between the event and its return."""
    at, here = shown.fault.at, shown.here
    first = next((i for i, s in enumerate(steps[:here]) if s.action == "deliver" and s.event == at), here)
    known = {s.event for s in steps[: first + 1] if s.action == "deliver"}
    between = [s.event for s in steps[first + 1 : here] if s.action == "deliver" and s.event not in known]
    return f", after {names_of(between)}" if between else ""


def _back(shown: _Appearance, account: _Account) -> str:
    later, words = account.steps[shown.number + 1 :], account.words
    back = next((s for s in later if s.action == "put back" and s.event == shown.fault.at), None)
    if back is None:
        return ""
    place = words.place_of(back).replace(", ", " ")
    what = "record" if place else "message"
    return f"; later it was {words.put_back} as a new {what}" + (f", {place}" if place else "")


def _together(members: Sequence[Step]) -> str:
    times = Counter(member.event for member in members)
    return names_of([event if count == 1 else f"{event} ({count} messages)" for event, count in times.items()])


def _meanwhile(fault: Overlap, number: int, account: _Account) -> str:
    """What took place between the two parts of an execution: in the words for a `Zombie` where its message was lent
    again, else what the competing consumers ran."""
    steps, words = account.steps, account.words
    step, between = steps[number], meanwhile(number, steps)
    if fault.others:
        others = [each.event for each in between]
        beside = f" ({words.beside})" if words.beside and any(map(_is_retry, [step, *between])) else ""
        return f"{names_of(others)} {_was(others)} handled in the meantime{beside}"
    new = next((s.consumer for s in steps[number:] if s.action == "take over" and s.fault == fault), step.consumer)
    facts = {"old": step.consumer, "new": new, "held": step.event, "record": words.record(step), "event": step.event}
    lent = words.of(Zombie).happened.format(**words.names, **facts)
    rest = [each.event for each in between if each.event != step.event]
    return f"{lent}{f', with {names_of(rest)} in between' if rest else ''}"


def _is_retry(step: Step) -> bool:
    return step.copy is not None and step.copy.retries > 0


def _then(shown: _Appearance, account: _Account) -> str:
    """What became of the message of this step, at which a process died; of a handler that settles by itself what came
    back that it had not settled."""
    step, words = account.steps[shown.number], account.words
    again, after = shown.again, _after(shown, account.steps)
    if step.settled is not None:
        return (f"{names_of([s.event for s in again])} came again" if again else "all that it had was settled") + after
    later = [each for each in account.steps[shown.number + 1 :] if each.event == step.event]
    fates = [each.action for each in later]
    gone = next((place for place, fate in enumerate(fates) if fate in ("park", "skip")), None)
    # Of two deaths that are the same fault the first is reported.
    if gone is not None and all(each.action == "die" and each.fault == step.fault for each in later[:gone]):
        too = "it came again, and its process was killed at its last delivery, too; " if gone else ""
        back = f"; later it was {words.put_back} as a new message" if "put back" in fates else ""
        return f"{too}{_fate(fates[gone:], words)}{back}"
    return f"{step.event} came again{after}" if fates else f"{step.event} is never shown again"


def _taken_over(shown: _Appearance, step: Step) -> dict[str, object]:
    held = [s for s in shown.again if s.consumer != step.consumer]
    old = held[0].consumer if held else step.consumer
    return {"old": old, "new": step.consumer, "held": names_of([s.event for s in held] or [shown.fault.at])}


def _growth(fault: Rehash, account: _Account, key: str) -> dict[str, object]:
    steps = account.steps
    shown = [i for i, s in enumerate(steps) if s.action in ("deliver", "begin") and s.event == fault.at]
    homes, place = [steps[i].partition for i in shown], next(iter(shown), len(steps))
    late = [s for s in steps[place + 1 :] if s.action == "deliver" and s.fault == fault and s.event != fault.at]
    noun = account.words.unit
    return {
        "count": account.partitions,
        "to": fault.to,
        "event": fault.at,
        "home": homes[0] if homes else "another",
        "backlog": f", and was read before the backlog of {noun} {late[0].partition} ({late[0].event} first)"
        if late
        else "",
        "lag": f"; producers with old metadata sent the next {fault.lag} events of {key} to the old {noun}"
        if fault.lag
        else "",
    }


def _failed(number: int, account: _Account) -> dict[str, object]:
    """What became of the message whose attempt failed at this step, and what went before it meanwhile."""
    step, rest, words = account.steps[number], account.steps[number + 1 :], account.words
    # That it was refused to the end is reported as the handler's doing, in a sentence of its own.
    mine = [i for i, s in enumerate(rest) if s.event == step.event and s.action != "refuse"]
    fates = [rest[i].action for i in mine]
    again = next((i for i in mine if rest[i].action in ("deliver", "fail")), len(rest))
    new = (s for i, s in enumerate(rest[:again], number + 1) if s.action == "deliver" and i not in account.brought)
    passed = [s.event for s in new]
    back = f"; later it was {words.put_back} as a new message" if "put back" in fates[:2] else ""
    fate = _fate(fates[:1], words, step) + _came_along({number}, account) + back
    return {"fate": fate, "passed": f", after {names_of(passed)}" if passed and again < len(rest) else ""}


def _fate(actions: Sequence[str], words: Words, step: Step | None = None) -> str:
    """What became of a message that was not handled: the broker's words for what follows, or those of the framework
    that has given it up in this step."""
    framework = FRAMEWORKS.get(step.given_up_by or "") if step is not None and actions else None
    if step is not None and framework is not None:
        return framework.fate(actions[0], (step.error or "").partition(":")[0] or "what it raised", words.dead)
    return {
        "deliver": words.shown_again,
        "fail": words.shown_again,
        "park": words.set_aside.format(dead=words.dead),
        "skip": words.skipped,
        "refuse": "nothing else is left that it could wait for",
    }.get(actions[0] if actions else "", "nothing followed")


def _refusals(numbers: Sequence[int], account: _Account) -> str:
    """How often the handler raised on the message of the first of these steps, which are of one call, with what, and
    what became of it."""
    steps, words, number = account.steps, account.words, numbers[0]
    step = steps[number]
    mine = [(i, s) for i, s in enumerate(steps) if i >= number and place_of(s) == place_of(step)]
    raised = [place for place, (_, s) in enumerate(mine) if s.raised]
    fates = [s.action for _, s in mine[raised[-1] + 1 :]]
    then = _fate(["refuse"] if "refuse" in fates else fates, words, mine[raised[-1]][1])
    # One sentence for all attempts: a message may be refused ten times.
    times = f", {len(raised)} times" if len(raised) > 1 else ""
    # Each once: a handler mostly raises the same, ten times.
    errors = list(dict.fromkeys(s.error for _, s in mine if s.error))
    what = f" ({'; '.join(errors[:2])}{'; …' if len(errors) > 2 else ''})" if errors else ""
    with_it = _came_along({i for i, s in mine if s.raised}, account)
    where = words.record(step)
    if len(numbers) > 1:
        where = names_of([steps[n].event for n in numbers])
        then = then.replace("it was", "they were").replace("brings it back", "brings them back")
    return f"the handler raised on {where}{times}{what}: {then}{with_it}"


def _came_along(refusals: set[int], account: _Account) -> str:
    """The messages that these attempts brought back although the handler had taken them."""
    steps = account.steps
    own = {place_of(steps[index]) for index in refusals}
    others = [steps[i].event for i, by in account.brought.items() if by in refusals and place_of(steps[i]) not in own]
    return f", with the rest of its batch: {names_of(others)}, which had succeeded" if others else ""
