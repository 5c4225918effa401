"""The words of a broker: a template for each kind of fault, and the setting that rules it out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from chaoskit.brokers.overlaps import IN_THE_STATE
from chaoskit.values.faults import (
    BatchSwap,
    Crash,
    DeadLetter,
    Fail,
    FaultKind,
    Gather,
    Overlap,
    Overtake,
    Rehash,
    Rewind,
)
from chaoskit.values.schedule import Step

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
    which setting brings back that message alone, where its whole batch comes again. `beside`: who reads what was
    published for another try, and who reads all else, where these are two.
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
    beside: str = ""

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
