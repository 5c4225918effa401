"""What happened, in the words of a broker: one sentence for each deviation, and the setting that rules it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs

from chaoskit.brokers.frameworks import FRAMEWORKS
from chaoskit.brokers.inside import answered, how_far, names_of, what_failed
from chaoskit.brokers.overlaps import IN_THE_STATE, meanwhile
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import (
    BatchSwap,
    Crash,
    DeadLetter,
    Fail,
    Fault,
    FaultKind,
    Gather,
    Overlap,
    Overtake,
    Rehash,
    Resend,
    Rewind,
    Zombie,
)
from chaoskit.values.schedule import Schedule, Step

IDEMPOTENT = "Make the handler idempotent: remember event ids in the same transaction as the effect"
"""What remains where no setting helps."""
TWICE = (
    "Put the effect and the mark that it is done into one transaction, or let a unique key refuse the effect the "
    "second time"
)
IN_ORDER = (
    "Compare a version in the same transaction as the effect, or hold back what comes early until what it follows is "
    "there"
)
"""What remains where a failed attempt is overtaken."""


@attrs.frozen
class Wording:
    """What a broker says of one kind of fault: what happened, and which setting, or else which habit, rules it out.

    `happened` is a template. It may name {event}, {record} (the event and its place), {first} (the offset and
    partition of what came again first), {again} (what came again), {over} (later events that went first), {after}
    (what came in between, as a clause, or nothing), {back} (where it was put back, as a clause, or nothing), {old} and
    {new} (consumers), {partition}, {offset}, {consumer}, {at}, {home}, {key}, {backlog}, {lag}, {lost}, {count}, {to},
    {held}, {meanwhile} (what took place while an execution had stopped), {fate} (what became of a message whose attempt
    failed), {passed} (what went before it meanwhile, as a clause, or nothing), {worker}, {died} (how far the handler
    had come), {then} (what became of its message) and {together} (what came in one call). Both may name the broker's
    {unit}, {lane}, {topic} and {routed_by}.
    """

    happened: str
    ruled_out_by: str

    def unless(self, ruled_out_by: str) -> Wording:
        """The same happens, and something else rules it out."""
        return Wording(self.happened, ruled_out_by)


FAILED = "an attempt to handle {record} failed before it had any effect: {fate}{passed}"
NOTHING_PASSES = Wording(FAILED, "no setting: an attempt can always fail. Nothing of the same order went before it")
"""Where a failed attempt keeps what is in order with it from being handed out."""


def passed_unless(setting: str) -> Wording:
    """A failed attempt that others go before, and the setting with which they do not."""
    return Wording(FAILED, f"{setting}. {IN_ORDER}" if setting else f"no setting: others go on. {IN_ORDER}")


@attrs.frozen
class Words:
    """A broker's words. `wordings`: what it says of a kind in its own way, not as `DEFAULT` does.

    `place` is a template of a message's {partition}, {offset} and {attempt}, or empty. `lane` is what a lane of its
    timeline is called, which `lanes` says: the consumer, the partition or queue, or the key. `worker` is what runs a
    handler, `unit` what has a key, `topic` what grows by units, and `routed_by` what messages of one unit share.
    `no_order` says that the broker keeps no order within a key, where it does not, as what follows a colon.
    `dead`: where given-up messages go, `put_back`: what brings them back, `restarts`: what a restart is called.
    `shown_again`, `set_aside` and `skipped` are what becomes of a message whose handler raised; `whole_batch` says
    which setting brings back that message alone, where its whole batch comes again.
    """

    wordings: Mapping[FaultKind, Wording]
    lane: str = "consumer"
    lanes: Literal["consumer", "partition", "key"] = "consumer"
    worker: str = "consumer"
    unit: str = "queue"
    topic: str = "topic"
    routed_by: str = "key"
    place: str = ""
    dead: str = "to the dead-letter queue"
    put_back: str = "put back"
    restarts: str = "consumer {consumer} restarts"
    shown_again: str = "it was shown again"
    set_aside: str = "its attempts were used up, and it went {dead}"
    skipped: str = "it was dropped, and nothing brings it back"
    whole_batch: str = ""
    no_order: str = ""

    def of(self, kind: FaultKind) -> Wording:
        """What this broker says of a kind of fault: its own words, or else the kind's."""
        return self.wordings[kind] if kind in self.wordings else DEFAULT[kind]

    def but(self, wordings: Mapping[FaultKind, Wording], **changes: Any) -> Words:
        """The same words, but for these kinds of fault."""
        return attrs.evolve(self, wordings={**self.wordings, **wordings}, **changes)

    def ruled_out_by(self, kind: FaultKind) -> str:
        return self.of(kind).ruled_out_by.format(**self.names)

    @property
    def names(self) -> dict[str, object]:
        """How the broker calls its parts."""
        return {"unit": self.unit, "lane": self.lane, "topic": self.topic, "routed_by": self.routed_by}

    def record(self, step: Step) -> str:
        place = self.place_of(step)
        return f"{step.event} ({place})" if place else f"{step.event}"

    def place_of(self, step: Step) -> str:
        return self.place.format(partition=step.partition, offset=step.offset, attempt=step.attempt)


SLOW = "{lane} {consumer} was slow with {event}: others finished {over} first"
"""An Overtake among consumers that compete."""
SENT_TOGETHER = "sending {at} failed at first, and the retry landed behind {over}, sent at the same time"
PUBLISHED_AGAIN = "publishing {at} failed at first, and the retry arrived after {over}"
"""A BatchSwap of a producer that does not wait for one message before the next."""

CALL_FAILED = Wording(
    "{failed} while {worker} {consumer} handled {record}, {answered}",
    "no setting: any call can fail. Let the error out, so that the message comes again, and put all that the handler "
    "changes into one transaction, together with the mark that it is done, which belongs in no `finally` and no "
    "`except`",
)
"""A `Fail` with a point."""
CUT_ALONE = (
    "It depends on where the batch ends: the same messages in the same order, one in each call, give the in-order "
    "result."
)

DEFAULT: Mapping[FaultKind, Wording] = {
    Fail: NOTHING_PASSES,
    DeadLetter: Wording(
        "{record} failed before it had any effect; the application set it aside and went on{back}",
        "a handler that stops at a message it cannot handle (dead_letters=False)",
    ),
    Rehash: Wording(
        "the {topic} grew from {count} to {to} {unit}s: {event} of key {key} went to {unit} {home}{backlog}{lag}",
        "a {unit} count that never changes",
    ),
    BatchSwap: Wording("sending {at} failed at first, and the retry arrived after {over}", "a producer that waits"),
    Rewind: Wording(
        "the committed position was set back to {first} when {at} was done, by an operator or because it was lost: "
        "{again} came again",
        f"nobody who resets positions while the handler's effects are still there. {IDEMPOTENT}",
    ),
    Crash: Wording(
        "the process of {worker} {consumer} was killed while it handled {record}, {died}: {then}",
        f"no setting: a process can be killed between any two effects. {TWICE}",
    ),
    Gather: Wording(
        "{together} came in one call, and the batch ended there",
        "no setting but batches of one: where a batch ends is decided by what has arrived by then",
    ),
    Overlap: Wording(
        "{worker} {consumer} paused while it handled {record}, {died}, and went on later: {meanwhile}", IN_THE_STATE
    ),
    Overtake: Wording(
        "{unit} {partition} was read late: {over} of other {unit}s went before {event}",
        "one {routed_by} for events that depend on each other; nothing orders two {unit}s",
    ),
}
"""The words of a kind, for brokers that have none of their own."""


UNASKED: Mapping[FaultKind, str] = {
    Rewind: "the position of its consumers is not set back behind what they have settled"
}
"""The kinds that no broker makes unless a setting of its own (`fields.opt_in`) asks for them; and why it does not."""


Cause = Fault | Step | None
"""What a sentence is about: a fault, or the first attempt at a message that the handler refused."""


def sentences(schedule: Schedule, events: Sequence[Event], words: Words, partitions: int) -> list[tuple[Cause, str]]:
    """One sentence for each fault that shows in the schedule, in order of appearance; and for each message that the
    handler refused, however often."""
    found: list[tuple[Cause, str]] = []
    explained: set[Fault] = set()
    refused: set[Place] = set()
    brought = brought_back(schedule.steps)
    call = range(0)
    for number, step in enumerate(schedule.steps):
        if step.action == "batch":
            call = range(number + 1, number + 1 + (step.size or 0))
        fault = step.fault
        if fault is not None and fault not in explained:
            explained.add(fault)
            found.append((fault, _sentence(fault, number, schedule.steps, events, words, partitions, brought)))
        if step.raised and not step.point and place_of(step) not in refused:
            refused.add(place_of(step))
            # What raised is the call, and of the others in it nothing more is to be said.
            more = [n for n in call if schedule.steps[n].raised] if number in call else [number]
            if number == more[0]:
                found.append((step, _refusals(more, schedule.steps, words, brought)))
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


def _sentence(
    fault: Fault,
    number: int,
    steps: Sequence[Step],
    events: Sequence[Event],
    words: Words,
    partitions: int,
    brought: Mapping[int, int],
) -> str:
    step = steps[number]
    again = [s for s in steps[number:] if s.action == "deliver" and s.fault == fault]
    # A fault may show in another step first, such as a restart before what comes again.
    shown = again[0] if again else step
    target = shown if isinstance(fault, (BatchSwap, Overtake, Resend)) else step
    subject = target.event if target.event is not None else fault.at
    here = steps.index(shown) if shown is not step else number
    key = repr(next(event.key for event in events if event.id == fault.at))
    facts: dict[str, object] = {
        **words.names,
        "event": subject,
        "at": fault.at,
        "record": words.record(target),
        "first": _place_in_words(shown),
        "again": names_of([s.event for s in again] or [fault.at]),
        "over": names_of(_overtaking(subject, steps[:here], events)),
        "after": _after(fault, here, steps),
        "consumer": step.consumer,
        "partition": target.partition,
        "offset": target.offset,
        "back": _back(fault, number, steps, words),
        **(_failed(number, steps, words, brought) if isinstance(fault, Fail) else {}),
        "lost": " with everything in flight" if isinstance(fault, BatchSwap) and fault.lost else "",
        "key": key,
        "worker": words.worker,
        "died": how_far(step),
        "then": _then(number, steps, words, _after(fault, here, steps), again),
        "together": _together(steps[number + 1 : number + 1 + (step.size or 0)]),
        "meanwhile": _meanwhile(fault, number, steps, words) if isinstance(fault, Overlap) else "",
        **_taken_over(fault, step, again),
        **(_growth(fault, steps, partitions, key, words) if isinstance(fault, Rehash) else {}),
    }
    if isinstance(fault, Fail) and fault.point:
        return CALL_FAILED.happened.format(**facts, failed=what_failed(step), answered=answered(step, facts))
    return words.of(type(fault)).happened.format(**facts)


def _overtaking(subject: EventId, before: Sequence[Step], events: Sequence[Event]) -> list[EventId | None]:
    """What was produced later, and had gone first."""
    order: dict[EventId | None, int] = {event.id: place for place, event in enumerate(events)}
    mine = order.get(subject, len(order))
    return [step.event for step in before if step.action == "deliver" and order[step.event] > mine]


def _place_in_words(step: Step) -> str:
    return f"offset {step.offset} of partition {step.partition}"


def _after(fault: Fault, here: int, steps: Sequence[Step]) -> str:
    """What was newly delivered between the event and its return."""
    first = next((i for i, s in enumerate(steps[:here]) if s.action == "deliver" and s.event == fault.at), here)
    known = {s.event for s in steps[: first + 1] if s.action == "deliver"}
    between = [s.event for s in steps[first + 1 : here] if s.action == "deliver" and s.event not in known]
    return f", after {names_of(between)}" if between else ""


def _back(fault: Fault, number: int, steps: Sequence[Step], words: Words) -> str:
    if not isinstance(fault, DeadLetter):
        return ""
    back = next((s for s in steps[number + 1 :] if s.action == "put back" and s.event == fault.at), None)
    if back is None:
        return ""
    place = words.place_of(back).replace(", ", " ")
    what = "record" if place else "message"
    return f"; later it was {words.put_back} as a new {what}" + (f", {place}" if place else "")


def _together(members: Sequence[Step]) -> str:
    times = Counter(member.event for member in members)
    return names_of([event if count == 1 else f"{event} ({count} messages)" for event, count in times.items()])


def _meanwhile(fault: Overlap, number: int, steps: Sequence[Step], words: Words) -> str:
    """What took place between the two parts of an execution: in the words for a `Zombie` where its message was lent
    again, else what the competing consumers ran."""
    step, between = steps[number], meanwhile(number, steps)
    if fault.others:
        others = [each.event for each in between]
        return f"{names_of(others)} {_was(others)} handled in the meantime"
    new = next((s.consumer for s in steps[number:] if s.action == "take over" and s.fault == fault), step.consumer)
    facts = {"old": step.consumer, "new": new, "held": step.event, "record": words.record(step), "event": step.event}
    lent = words.of(Zombie).happened.format(**words.names, **facts)
    rest = [each.event for each in between if each.event != step.event]
    return f"{lent}{f', with {names_of(rest)} in between' if rest else ''}"


def _then(number: int, steps: Sequence[Step], words: Words, after: str, again: Sequence[Step]) -> str:
    """What became of the message of this step, at which a process died; of a handler that settles by itself what came
    back that it had not settled."""
    step = steps[number]
    if step.settled is not None:
        return (f"{names_of([s.event for s in again])} came again" if again else "all that it had was settled") + after
    later = [each for each in steps[number + 1 :] if each.event == step.event]
    fates = [each.action for each in later]
    gone = next((place for place, fate in enumerate(fates) if fate in ("park", "skip")), None)
    # Of two deaths that are the same fault the first is told.
    if gone is not None and all(each.action == "die" and each.fault == step.fault for each in later[:gone]):
        too = "it came again, and its process was killed at its last delivery, too; " if gone else ""
        back = f"; later it was {words.put_back} as a new message" if "put back" in fates else ""
        return f"{too}{_fate(fates[gone:], words)}{back}"
    return f"{step.event} came again{after}" if fates else f"{step.event} is never shown again"


def _taken_over(fault: Fault, step: Step, again: Sequence[Step]) -> dict[str, object]:
    if not isinstance(fault, Zombie):
        return {"old": "", "new": "", "held": ""}
    held = [s for s in again if s.consumer != step.consumer]
    old = held[0].consumer if held else step.consumer
    return {"old": old, "new": step.consumer, "held": names_of([s.event for s in held] or [fault.at])}


def _growth(fault: Rehash, steps: Sequence[Step], partitions: int, key: str, words: Words) -> dict[str, object]:
    shown = [i for i, s in enumerate(steps) if s.action in ("deliver", "begin") and s.event == fault.at]
    homes, place = [steps[i].partition for i in shown], next(iter(shown), len(steps))
    late = [s for s in steps[place + 1 :] if s.action == "deliver" and s.fault == fault and s.event != fault.at]
    noun = words.unit
    return {
        "count": partitions,
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


def _failed(number: int, steps: Sequence[Step], words: Words, brought: Mapping[int, int]) -> dict[str, object]:
    """What became of the message whose attempt failed at this step, and what went before it meanwhile."""
    step, rest = steps[number], steps[number + 1 :]
    # That it was refused to the end is told as the handler's doing, in a sentence of its own.
    mine = [i for i, s in enumerate(rest) if s.event == step.event and s.action != "refuse"]
    fates = [rest[i].action for i in mine]
    again = next((i for i in mine if rest[i].action in ("deliver", "fail")), len(rest))
    passed = [s.event for i, s in enumerate(rest[:again], number + 1) if s.action == "deliver" and i not in brought]
    back = f"; later it was {words.put_back} as a new message" if "put back" in fates[:2] else ""
    fate = _fate(fates[:1], words, step) + _came_along({number}, steps, brought) + back
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


def _refusals(numbers: Sequence[int], steps: Sequence[Step], words: Words, brought: Mapping[int, int]) -> str:
    """How often the handler raised on the message of the first of these steps, which are of one call, with what, and
    what became of it."""
    number, step = numbers[0], steps[numbers[0]]
    mine = [(i, s) for i, s in enumerate(steps) if i >= number and place_of(s) == place_of(step)]
    raised = [place for place, (_, s) in enumerate(mine) if s.raised]
    fates = [s.action for _, s in mine[raised[-1] + 1 :]]
    then = _fate(["refuse"] if "refuse" in fates else fates, words, mine[raised[-1]][1])
    # One sentence for all attempts: a message may be refused ten times.
    times = f", {len(raised)} times" if len(raised) > 1 else ""
    # Each once: a handler mostly raises the same, ten times.
    errors = list(dict.fromkeys(s.error for _, s in mine if s.error))
    what = f" ({'; '.join(errors[:2])}{'; …' if len(errors) > 2 else ''})" if errors else ""
    with_it = _came_along({i for i, s in mine if s.raised}, steps, brought)
    where = words.record(step)
    if len(numbers) > 1:
        where = names_of([steps[n].event for n in numbers])
        then = then.replace("it was", "they were").replace("brings it back", "brings them back")
    return f"the handler raised on {where}{times}{what}: {then}{with_it}"


def _came_along(refusals: set[int], steps: Sequence[Step], brought: Mapping[int, int]) -> str:
    """The messages that these attempts brought back although the handler had taken them."""
    own = {place_of(steps[index]) for index in refusals}
    others = [steps[i].event for i, by in brought.items() if by in refusals and place_of(steps[i]) not in own]
    return f", with the rest of its batch: {names_of(others)}, which had succeeded" if others else ""
