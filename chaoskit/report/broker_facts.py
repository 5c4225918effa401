"""What there is to say about a broker, as data: read off its settings class, so that it is written once."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import attrs

from chaoskit.brokers.base import Settings
from chaoskit.brokers.base import as_written as as_written
from chaoskit.brokers.fields import literal
from chaoskit.brokers.impossible import Impossible
from chaoskit.values.event import Event, EventId, Stream
from chaoskit.values.faults import ALL_KINDS, INSIDE, Fault, FaultKind
from chaoskit.values.scenario import all_kinds
from chaoskit.values.schedule import Schedule


@attrs.frozen
class Setting:
    """One setting: what it can be, its default as Python writes it, and its text."""

    name: str
    allowed: str
    default: str
    text: str


@attrs.frozen
class Possible:
    """A kind of fault that the broker makes under its defaults.

    `happened` is what it reported of a run of four events, e1 to e4, and `order` what the handler saw in that run.
    """

    kind: FaultKind
    happened: str
    order: tuple[EventId, ...]
    ruled_out_by: str


@attrs.frozen
class Facts:
    """One broker under its defaults. `summary` is a sentence, `about` what follows it, if anything."""

    name: str
    summary: str
    about: str
    guarantees: tuple[str, ...]
    settings: tuple[Setting, ...]
    possible: tuple[Possible, ...]
    impossible: dict[FaultKind, Impossible]
    sources: tuple[str, ...]

    def reasons(self) -> list[tuple[str, tuple[FaultKind, ...]]]:
        """Why something is impossible, each reason once, with the kinds of fault for which it is one."""
        found: dict[str, tuple[FaultKind, ...]] = {}
        for kind, reason in self.impossible.items():
            found[str(reason)] = (*found.get(str(reason), ()), kind)
        return list(found.items())


def facts(broker: type[Settings]) -> Facts:
    """All that is known of a broker."""
    settings = broker()
    summary, about = _about(broker)
    impossible = settings.cannot()
    return Facts(
        broker.__name__,
        summary,
        about,
        broker.guarantees,
        tuple(_settings(broker)),
        tuple(_possible(settings, kind) for kind in all_kinds(settings) if kind in ALL_KINDS),
        {kind: impossible[kind] for kind in ALL_KINDS if kind in impossible},
        broker.sources,
    )


def in_one_sentence(broker: type[Settings]) -> str:
    """What the broker is."""
    return _about(broker)[0]


def _settings(broker: type[Settings]) -> Iterator[Setting]:
    for field in attrs.fields(broker):
        yield Setting(field.name, field.metadata["allowed"], literal(field.default), field.metadata["text"])


def _about(broker: type[Settings]) -> tuple[str, str]:
    """What the class docstring says: its first sentence, and the others."""
    first, _, rest = " ".join((inspect.getdoc(broker) or "").split()).partition(". ")
    return (f"{first}.", rest) if rest else (first, "")


# What can happen, by letting it happen.

EXAMPLE = Stream.of(Event(key, value) for value, key in enumerate(["alice", "alice", "bob", "alice"], start=1))
"""What the examples are runs of: four events, e1 to e4, of which e3 has another key."""


HANDED_OUT = ("deliver", "die", "begin")
"""Steps in which the handler sees the message."""


def _possible(broker: Settings, kind: FaultKind) -> Possible:
    for fault, schedule in _runs(broker, kind):
        # Some faults change nothing in so short a stream at their mildest: a run that shows nothing explains nothing.
        seen = tuple(step.event for step in schedule if step.action in HANDED_OUT and step.event is not None)
        if seen != EXAMPLE.ids or kind in INSIDE:
            sentences = [text for cause, text in broker.explain(schedule, EXAMPLE.events) if cause == fault]
            if sentences:
                # Where it was begun in order, what tells is when each was done.
                order = schedule.delivered if seen == EXAMPLE.ids else seen
                return Possible(kind, sentences[0], order, broker.ruled_out_by(kind))
    return Possible(kind, "", (), broker.ruled_out_by(kind))


def _runs(broker: Settings, kind: FaultKind) -> Iterator[tuple[Fault, Schedule]]:
    """Runs with one fault of this kind, the mildest that has something between cause and effect."""
    model = broker.model(EXAMPLE)
    names = [field.name for field in attrs.fields(kind)[1:]]
    for position, id_ in enumerate(EXAMPLE.ids):
        choices = model.arguments(kind, position)
        if choices is None:
            continue
        # `after` counts what comes in between, without which it would look like a copy. Of where a fault reaches inside
        # the handler the model knows nothing.
        chosen = [some[-1] if name == "after" else some[0] for name, some in zip(names, _few(choices), strict=False)]
        fault = kind(id_, *chosen)
        yield fault, model.schedule([fault], list(model.play([fault])), ())


def _few(choices: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    return (some[:2] for some in choices)
