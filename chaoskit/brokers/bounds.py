"""The two ends, for those with a system of their own: nothing goes wrong, and anything does."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs

from chaoskit.brokers import verbs
from chaoskit.brokers.base import Settings, one_queue
from chaoskit.brokers.fields import positive_int, resource_name
from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.brokers.serialization import Serialization, partitions, unordered
from chaoskit.brokers.wording import IDEMPOTENT, Wording, Words, passed_unless
from chaoskit.models.producer import Producer
from chaoskit.models.queue.model import QueueSettings
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.traces.queue.rules import QueueRules
from chaoskit.traces.queue.state import QueueState, refuse
from chaoskit.traces.tokens import Batch, Receive, deliveries
from chaoskit.values import faults
from chaoskit.values.event import Event
from chaoskit.values.schedule import Raw

WORDS = Words(
    wordings={
        faults.Fail: passed_unless("a broker that keeps the order"),
        faults.Duplicate: Wording("{event} came twice in a row", f"a broker that delivers once. {IDEMPOTENT}"),
        faults.Redeliver: Wording("{event} came again{after}", f"a broker that delivers once. {IDEMPOTENT}"),
        faults.DeadLetter: Wording(
            "{event} was set aside before it had any effect{back}", "nobody who puts dead letters back"
        ),
        faults.Overtake: Wording("{over} came before {event}", "a broker that keeps the order"),
        faults.Resend: Wording("{at} was sent twice", f"a broker that deduplicates. {IDEMPOTENT}"),
        faults.Zombie: Wording(
            "consumer {old} was taken for dead and ran {held} nevertheless, as did consumer {new}",
            "fencing: a version that is compared in the same transaction as the effect",
        ),
        faults.Lose: Wording("{event} was lost", "a broker that keeps what was not handled"),
    },
    no_order="no order is promised.",
)


@attrs.frozen(kw_only=True)
class InOrder(Settings):
    """A system that delivers each message once, in order.

    No fault is possible: whatever fails here is wrong already.
    """

    queue: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = ("Each message once, in the order in which it was sent.",)
    sources: ClassVar[tuple[str, ...]] = ("by definition",)

    @property
    def words(self) -> Words:
        return WORDS

    def rules(self) -> QueueRules:
        return QueueRules(broker="InOrder", delivers=_in_order, sends_again=False)

    def impossible(self) -> Reasons:
        why = Impossible(
            "each message comes once, in order", hint="another broker, such as Anything(), makes it possible"
        )
        return dict.fromkeys((*faults.KINDS, *faults.INSIDE, *faults.CUTS), why)

    @property
    def serialization(self) -> Serialization:
        return partitions("queue", "one message at a time, in the order in which they were sent", "by definition")

    def stages(self) -> QueueSettings:
        return QueueSettings(
            self.queue, Producer(one_queue, 1), LeasePolicy(lock="queue"), _nothing, "application", verbs=verbs.ONCE
        )


@attrs.frozen(kw_only=True)
class Anything(Settings):
    """A system of which nothing is known. Messages come in any order, any number of times, or never."""

    consumers: int = positive_int(2, "that compete.")
    queue: str = resource_name("events")

    guarantees: ClassVar[tuple[str, ...]] = ("None: any order, any number of times, or never.",)
    sources: ClassVar[tuple[str, ...]] = ("by definition",)

    @property
    def words(self) -> Words:
        return WORDS

    def rules(self) -> QueueRules:
        return QueueRules(broker="Anything", delivers=_anything, dead="any", loses="anything", send_window=None)

    def impossible(self) -> Reasons:
        return {faults.Rehash: Impossible("there are no partitions", hint="Overtake makes the same orders")}

    @property
    def serialization(self) -> Serialization:
        return unordered("message", "no order is promised", "by definition", "no setting would keep it")

    def stages(self) -> QueueSettings:
        policy = LeasePolicy(self.consumers, in_order=False, gives_up="dead", expires="lease")
        return QueueSettings(self.queue, Producer(one_queue, 1, max_in_flight=10), policy, _nothing, "application")


def _nothing(event: Event, step: Raw) -> dict[str, Any]:
    return {}


def _in_order(state: QueueState, word: Receive | Batch) -> None:
    """Each message once and in order, but for what its handler refused: that is delivered again at once."""
    for each in deliveries(word):
        at = state.facts.ids[each.label]
        if each.again and state.messages[at].ran == "failed":  # the handler refused it
            state.change(at, ran=each.outcome)
            continue
        if each.again or each.label.copy or state.messages[at].phase != "new":
            refuse(f"each message is delivered once: {each.label} was delivered before, or sent before")
        first = next((other for other in state.before(at) if state.messages[other].phase == "new"), None)
        if first is not None:
            refuse(f"messages are delivered in order: {state.name(first)} is before {each.label}")
        passed = (other for other in state.after(at) if state.messages[other].phase not in ("new", "unsent"))
        later = next(passed, None)
        if later is not None:
            refuse(f"messages are delivered in order: {state.name(later)} is behind {each.label}")
        state.change(at, phase="done", shown=1, ran=each.outcome)


def _anything(state: QueueState, word: Receive | Batch) -> None:
    """Only what was never delivered cannot be delivered again."""
    for each in deliveries(word):
        at = state.facts.ids[each.label]
        if each.again and not state.messages[at].shown:
            refuse(f"{each.label} is marked as delivered before, but it never was")
        state.change(at, phase="done", shown=state.messages[at].shown + 1)
