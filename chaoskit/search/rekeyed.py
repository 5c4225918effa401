"""A stream whose broker is given other keys than its events have: the handler sees those that it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from chaoskit.values.epoch import EPOCH
from chaoskit.values.event import Event, Message, Stream
from chaoskit.values.faults import Fault, FaultKind
from chaoskit.values.scenario import Broker, Clock, Model, Restamped, Steps
from chaoskit.values.schedule import Raw, Schedule
from chaoskit.values.settling import Settles, Verbs


def rekeyed(broker: Broker, stream: Stream, keys: Sequence[Any]) -> Model:
    """The stream in this broker, which is given these keys in place of those of the events."""
    other = [Event(key, event.value, event.id, topic=event.topic) for key, event in zip(keys, stream, strict=True)]
    return Rekeyed(broker.model(Stream.of(other)), stream)


def one_key(broker: Broker, stream: Stream) -> Model:
    """All under one key: the broker keeps everything in one order."""
    return rekeyed(broker, stream, ["all"] * len(stream))


@attrs.frozen(eq=False)
class Rekeyed:
    """The model of the other keys. Its stream, and what a handler receives, are those of the producer."""

    _model: Model
    stream: Stream

    @property
    def skips_refused(self) -> bool:
        return self._model.skips_refused

    @property
    def handover(self) -> Any:
        return self._model.handover

    def in_batches(self, most: int | None, *, by_hand: bool = False) -> None:
        self._model.in_batches(most, by_hand=by_hand)

    @property
    def verbs(self) -> Verbs:
        return self._model.verbs

    def play(self, faults: Iterable[Fault]) -> Steps:
        return self._model.play(faults)

    def schedule(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> Schedule:
        return self._model.schedule(faults, steps, raised, settled)

    def trace(
        self,
        faults: Sequence[Fault],
        steps: Sequence[Raw],
        raised: Sequence[int],
        settled: Mapping[int, Settles] | None = None,
    ) -> str:
        return self._model.trace(faults, steps, raised, settled)

    def arguments(self, kind: FaultKind, position: int) -> tuple[Sequence[int], ...] | None:
        return self._model.arguments(kind, position)

    def lanes(self) -> list[list[int]]:
        return self._model.lanes()

    def times(self, faults: Sequence[Fault] | None, epoch: float) -> Clock:
        return self._model.times(faults, epoch)

    def mail(
        self,
        copiers: Sequence[Callable[[Any], Any] | None],
        epoch: float = EPOCH,
        restamped: Restamped | None = None,
    ) -> Callable[[Raw], Message]:
        letter, events = self._model.mail(copiers, epoch, restamped), self.stream.events

        def message(step: Raw) -> Message:
            made, meant = letter(step), events[step[2]]
            # `seq`, too, which the broker's stream has counted under its own keys.
            made.key, made.seq = meant.key, meant.seq
            return made

        return message
