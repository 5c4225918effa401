"""The settings of a broker as fields, each with what it can be and what it means: `chaoskit brokers` prints them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from chaoskit.values.errors import UsageError, did_you_mean
from chaoskit.values.faults import FaultKind

T = TypeVar("T")
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def described(text: str, allowed: str) -> dict[str, str]:
    """What a field carries: its text, and what it can be, such as `int >= 1 or None`."""
    return {"text": text, "allowed": allowed}


def setting(default: T, text: str, allowed: str, validator: Validator | None = None) -> T:
    return attrs.field(default=default, validator=validator, metadata=described(text, allowed))


def positive_int(default: int, text: str) -> int:
    return setting(default, text, "int >= 1", at_least(1))


def optional_int(text: str, default: int | None = None) -> int | None:
    """A whole number, 1 or more, or None."""
    return setting(default, text, "int >= 1 or None", attrs.validators.optional(at_least(1)))


def boolean(text: str, default: bool = False) -> bool:
    return setting(default, text, "True or False", _is_boolean)


def opt_in(kind: FaultKind, text: str) -> bool:
    """Off by default; a kind of fault that no broker makes unless it is asked for."""
    metadata = {**described(text, "True or False"), "allows": kind}
    found: bool = attrs.field(default=False, validator=_is_boolean, metadata=metadata)
    return found


def resource_name(default: str, text: str = "its name, as messages carry it.") -> str:
    return setting(default, text, "str", _is_name)


def one_of(words: Sequence[str], text: str) -> Any:
    """One of these words, by default the first."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in words:
            raise UsageError(f"{_as_given(instance, attribute, value)}: not known{did_you_mean(str(value), words)}")

    return setting(words[0], text, alternatives([literal(word) for word in words]), check)


def at_least(least: int) -> Validator:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        # By the exact type: True is an int, too.
        if type(value) is not int or value < least:
            raise UsageError(f"{_as_given(instance, attribute, value)}: a whole number, {least} or more, is needed")

    return check


def _is_boolean(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"{_as_given(instance, attribute, value)}: True or False is needed")


def _is_name(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{_as_given(instance, attribute, value)}: a name is needed")


def _as_given(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> str:
    return f"{type(instance).__name__}({attribute.name}={value!r})"


def without_effect(broker: Any, settings: Iterable[str], where: str) -> None:
    """Raise UsageError where one of these settings was given another value, although `where` nothing reads it."""
    for each in settings:
        field = attrs.fields_dict(type(broker))[each]
        value = getattr(broker, each)
        # The default may stand for "not given": attrs does not distinguish the two.
        if value != field.default:
            raise UsageError(f"{_as_given(broker, field, value)}: {each} has no effect with {where}")


def literal(value: object) -> str:
    """A value as one would write it."""
    return f'"{value}"' if isinstance(value, str) else repr(value)


def assignments(settings: Mapping[str, object]) -> list[str]:
    """Settings as one would write them: `group="share"`."""
    return [f"{name}={literal(value)}" for name, value in settings.items()]


def alternatives(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
