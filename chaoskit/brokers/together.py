"""Several streams, each with its broker, whose handlers share one state. It is no system of its own: what it can do is
what each of its brokers can, and to mix their deliveries, which nothing orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from chaoskit.brokers.base import Settings
from chaoskit.brokers.bounds import Anything
from chaoskit.brokers.sentences import Cause
from chaoskit.models.together import TogetherModel
from chaoskit.traces import Permitted
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import KINDS, Fault, FaultKind, Overtake
from chaoskit.values.schedule import Schedule, Step

APART = "nothing orders one stream against another: let what comes first wait for the other, or make the two commute"


@attrs.frozen
class Together(Anything):
    """The brokers of `chaos({orders: Kafka(), payments: Webhook()})`, each with the topic of its stream."""

    topics: tuple[str, ...] = ()
    brokers: tuple[Settings, ...] = ()

    @property
    def called(self) -> str:
        """Those that there are: this class is ours, and no word of the user's."""
        return " and ".join(dict.fromkeys(type(broker).__name__ for broker in self.brokers))

    def model(self, stream: Stream) -> TogetherModel:  # type: ignore[override]  # a model of models
        return TogetherModel(stream, self.topics, self.brokers)

    def kinds(self) -> tuple[FaultKind, ...]:
        return tuple(kind for kind in KINDS if self.why_impossible(kind) is None)

    def why_impossible(self, kind: FaultKind) -> str | None:
        if kind is Overtake:
            return None
        pairs = zip(self.topics, self.brokers, strict=True)
        reasons = [(topic, why) for topic, broker in pairs if (why := broker.why_impossible(kind)) is not None]
        if len(reasons) < len(self.topics):
            return None
        each = [f"{topic}: {why}" for topic, why in reasons]
        return "; ".join(each if len({why for _, why in reasons}) > 1 else [reasons[0][1]])

    def drops(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for broker in self.brokers for name in broker.drops()))

    @property
    def loses(self) -> str:
        return ", ".join(dict.fromkeys(filter(None, (broker.loses for broker in self.brokers))))

    @property
    def whole_batch(self) -> str:
        return "; ".join(dict.fromkeys(filter(None, (broker.whole_batch for broker in self.brokers))))

    @property
    def promises_no_order(self) -> str:
        reasons = dict.fromkeys(broker.promises_no_order.rstrip(".") for broker in self.brokers)
        return "" if "" in reasons else f"{'; '.join(reasons)}."  # of one that does, it may be its order that is broken

    def ruled_out_by(self, kind: FaultKind) -> str:
        pairs = zip(self.topics, self.brokers, strict=True)
        able = {topic: broker for topic, broker in pairs if broker.why_impossible(kind) is None}
        reasons = {topic: broker.ruled_out_by(kind).rstrip(".") for topic, broker in able.items()}
        return ". ".join([APART, *_each(reasons)] if kind is Overtake else _each(reasons))

    def what_rules_out(self, kind: FaultKind, faults: Sequence[Fault], events: Sequence[Event]) -> str:
        """The same of those `faults` that are of this kind: for the streams that have them."""
        model = self.model(Stream(tuple(events)))
        at = {fault.at: model.holds(fault) for fault in faults if type(fault) is kind}
        topics = {event.topic for event in events if event.id in at and not at[event.id]}
        pairs = zip(self.topics, self.brokers, strict=True)
        reasons = {topic: broker.ruled_out_by(kind).rstrip(".") for topic, broker in pairs if topic in topics}
        found = [*([APART] if any(at.values()) else []), *_each(reasons)]
        # Of another kind than those that were met it is asked where the order of all was not fixed.
        return ". ".join(found) or self.ruled_out_by(kind)

    # What happened, in the words of each.

    def explain(self, schedule: Schedule, events: Sequence[Event]) -> list[tuple[Cause, str]]:
        model, found = self.model(Stream(tuple(events))), list[tuple[Cause, str]]()
        for fault in dict.fromkeys(step.fault for step in schedule if step.fault is not None):
            if model.holds(fault):
                found.append((fault, self._held_back(fault, model)))
        for number, part in enumerate(model.parts):
            inner = [self._inner(step, model) for step in schedule if self._number(step) == number]
            own = [event for event in events if event.topic == part.topic]
            for cause, text in part.broker.explain(Schedule(tuple(inner)), own) if inner and own else ():
                found.append((model.outer(cause, number) if isinstance(cause, Step) else cause, text))
        return found

    def _held_back(self, fault: Fault, model: TogetherModel) -> str:
        topic = next(event.topic for event in model.stream if event.id == fault.at)
        others = " and ".join(each for each in self.topics if each != topic)
        return f"{fault.at} ({topic}) came behind what was sent later to {others}: nothing orders the streams"

    def _inner(self, step: Step, model: TogetherModel) -> Step:
        many = len(self.topics)
        copy = step.copy
        if copy is not None and copy.partition is not None:
            copy = attrs.evolve(copy, partition=copy.partition // many)
        return attrs.evolve(
            step,
            consumer=step.consumer // many,
            partition=None if step.partition is None else step.partition // many,
            copy=copy,
            fault=None if step.fault is not None and model.holds(step.fault) else step.fault,
        )

    def _number(self, step: Step) -> int:
        return step.consumer % len(self.topics)

    def lane(self, step: Step, key: Any) -> str | None:
        number = self._number(step)
        lane = self.brokers[number].lane(self._bare(step), key)
        return None if lane is None else f"{self.topics[number]}: {lane}"

    def mark(self, step: Step) -> str:
        number = self._number(step)
        mark = self.brokers[number].mark(self._bare(step))
        return f"{self.topics[number]}: {mark}" if mark and step.event is None else mark

    def _bare(self, step: Step) -> Step:
        many, partition = len(self.topics), step.partition
        partition = None if partition is None else partition // many
        return attrs.evolve(step, consumer=step.consumer // many, partition=partition)

    def across(self, schedule: Schedule, events: Sequence[Event]) -> str:
        """What to say where an order without faults gives the same."""
        accepts = 'If either result is right, chaos(across_keys="any") accepts it.'
        delivered = [{event.id: event for event in events}[id_] for id_ in schedule.delivered]
        for topic in self.topics:
            if [e.id for e in delivered if e.topic == topic] != [e.id for e in events if e.topic == topic]:
                return (
                    "Across streams or keys: some order that may come without any fault gives this result, too: "
                    f"nothing fixed the order between the streams, or between keys of one. {accepts}"
                )
        many = "two" if len(self.topics) == 2 else str(len(self.topics))
        return (
            f"It depends on how the {many} streams interleave: each event came once, and in the order of its own "
            f"stream, and nothing orders one stream against the other. {accepts}"
        )

    def permits(self, trace: str) -> Permitted:
        raise UsageError(f"ask the broker of each stream: {', '.join(self.topics)} are of {len(self.brokers)} brokers")


def _each(reasons: Mapping[str, str]) -> list[str]:
    """What each stream's broker says, once where all say the same."""
    texts = (
        [f"{topic}: {text}" for topic, text in reasons.items()] if len(set(reasons.values())) > 1 else reasons.values()
    )
    return list(dict.fromkeys(texts))
