"""What there is to say about a broker, as data: read off its settings class, so that it is written once.

The texts of the settings stand in the class docstring, in paragraphs of the form ``` `name`: text. ```
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_type_hints

import attrs

from chaoskit.brokers.base import Settings, positive
from chaoskit.values.event import Event, EventId, Stream
from chaoskit.values.faults import KINDS, Fault, FaultKind
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

    `happened` is what it said of a run of four events, e1 to e4, and `order` what the handler saw in that run.
    """

    kind: FaultKind
    happened: str
    order: tuple[EventId, ...]
    ruled_out_by: str


@attrs.frozen
class Impossible:
    """A kind of fault that it cannot make under its defaults, and which settings would allow it; none if none can."""

    kind: FaultKind
    why: str
    allowed_by: tuple[str, ...]


@attrs.frozen
class Facts:
    """One broker. `summary` is a sentence, `about` what follows it, if anything."""

    name: str
    summary: str
    about: str
    guarantees: tuple[str, ...]
    settings: tuple[Setting, ...]
    possible: tuple[Possible, ...]
    impossible: tuple[Impossible, ...]
    sources: tuple[str, ...]

    def reasons(self) -> list[tuple[str, tuple[FaultKind, ...]]]:
        """Why something is impossible, each reason once, with the kinds of fault for which it is one."""
        found: dict[str, tuple[FaultKind, ...]] = {}
        for each in self.impossible:
            found[each.why] = (*found.get(each.why, ()), each.kind)
        return list(found.items())


def facts(broker: type[Settings]) -> Facts:
    """All that is known of a broker under its defaults."""
    settings = broker()
    summary, about = _about(broker)
    impossible = settings.impossible()
    return Facts(
        broker.__name__,
        summary,
        about,
        broker.guarantees,
        tuple(_settings(broker)),
        tuple(_possible(settings, kind) for kind in settings.kinds()),
        tuple(
            Impossible(kind, impossible[kind], _allowed_by(impossible[kind])) for kind in KINDS if kind in impossible
        ),
        broker.sources,
    )


def in_one_sentence(broker: type[Settings]) -> str:
    """What the broker is."""
    return _about(broker)[0]


def as_written(broker: Settings) -> str:
    """A broker as one would write it: `Kafka(group="share")`."""
    changed = [
        f"{field.name}={_literal(value)}"
        for field in attrs.fields(type(broker))
        if (value := getattr(broker, field.name)) != field.default
    ]
    return f"{type(broker).__name__}({', '.join(changed)})"


# The docstring.

_OPENS = re.compile(r"((?:`[a-z_]+`, )*`[a-z_]+`): ")
"""What stands before the text of a setting, or of several at once."""


def setting_texts(broker: type[Settings]) -> dict[str, str]:
    """The text of each setting by its name, as the docstring has it."""
    texts: dict[str, str] = {}
    for paragraph in _paragraphs(broker):
        _, *parts = _OPENS.split(paragraph)
        for names, text in zip(parts[::2], parts[1::2], strict=True):
            texts |= dict.fromkeys(re.findall(r"`(\w+)`", names), text.strip())
    return texts


def _paragraphs(broker: type[Settings]) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", inspect.getdoc(broker) or "")]


def _about(broker: type[Settings]) -> tuple[str, str]:
    text = " ".join(paragraph for paragraph in _paragraphs(broker) if not _OPENS.match(paragraph))
    first, _, rest = text.partition(". ")
    return (f"{first}.", rest) if rest else (first, "")


# The settings.


def _settings(broker: type[Settings]) -> Iterator[Setting]:
    texts, types = setting_texts(broker), get_type_hints(broker)
    for field in attrs.fields(broker):
        allowed = _allowed(field, types[field.name])
        yield Setting(field.name, allowed, _literal(field.default), texts.get(field.name, ""))


_TYPES = {bool: "True or False", int: "int", str: "str"}


def _allowed(field: attrs.Attribute[Any], type_: Any) -> str:
    """What a setting can be, such as `int >= 1 or None`."""
    optional = type(None) in get_args(type_)
    if words := _known_words(field):
        names = list(map(_literal, words))
    else:
        inner = next(each for each in get_args(type_) if each is not type(None)) if optional else type_
        names = [_TYPES.get(inner, "function")]
    if positive in (field.validator, getattr(field.validator, "validator", None)):
        names[0] += " >= 1"
    return _alternatives([*names, "None"] if optional else names)


def _known_words(field: attrs.Attribute[Any]) -> Sequence[str]:
    """The words that `one_of` lets through: its validator is a closure over them."""
    if not inspect.isfunction(field.validator):
        return ()
    known: Sequence[str] = inspect.getclosurevars(field.validator).nonlocals.get("known", ())
    return known


def _literal(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _alternatives(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _allowed_by(why: str) -> tuple[str, ...]:
    """The settings that a reason names as what would allow the fault: those behind its last semicolon."""
    return tuple(dict.fromkeys(re.findall(r"(\w+)=", why.rpartition(";")[2])))


# What can happen, by letting it happen.

EXAMPLE = Stream.of(Event(key, value) for value, key in enumerate(["alice", "alice", "bob", "alice"], start=1))
"""What the examples are runs of: four events, e1 to e4, of which e3 has another key."""


def _possible(broker: Settings, kind: FaultKind) -> Possible:
    for fault, schedule in _runs(broker, kind):
        if schedule.delivered != EXAMPLE.ids:
            sentences = [text for cause, text in broker.explain(schedule, EXAMPLE.events) if cause == fault]
            if sentences:
                return Possible(kind, sentences[0], schedule.delivered, broker.ruled_out_by(kind))
    return Possible(kind, "", (), broker.ruled_out_by(kind))


def _runs(broker: Settings, kind: FaultKind) -> Iterator[tuple[Fault, Schedule]]:
    """Runs with one fault of this kind, the mildest that has something between cause and effect."""
    model = broker.model(EXAMPLE)
    names = [field.name for field in attrs.fields(kind)[1:]]
    for position, id_ in enumerate(EXAMPLE.ids):
        choices = model.arguments(kind, position)
        if choices is None:
            continue
        chosen = [some[-1] if name == "after" else some[0] for name, some in zip(names, _few(choices), strict=True)]
        fault = kind(id_, *chosen)
        yield fault, model.schedule([fault], list(model.play([fault])), ())


def _few(choices: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    return (some[:2] for some in choices)
