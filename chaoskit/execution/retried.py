"""What a framework retries: the failures that are final, which nothing brings back, and an error that would not be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import attrs

from chaoskit.execution.script import FailsWith
from chaoskit.values.errors import Unavailable
from chaoskit.values.event import Message

_MARK, _BY, _GIVES_UP = "_chaoskit_is_final", "_chaoskit_given_up_by", "_chaoskit_gives_up"
_present: ContextVar[FailsWith] = ContextVar("chaoskit_retried", default=Unavailable)


@attrs.frozen
class Final:
    """Why nothing shows a message again. `by`: the framework that gives up, as `brokers.frameworks` knows it.
    `used_up`: it had been tried before, and the last attempt has failed, too. `rejected`: its broker keeps it with the
    dead letters, if it has them; else it was settled as if all were well."""

    by: str
    used_up: bool
    rejected: bool = False


OfAttempts = Callable[[Message], Final | None]
"""From a message to how a failed attempt of it is final; None where it comes again."""


def as_final(error: Any, final: Final) -> Exception:
    """This failure, to be raised as it is: the framework makes an end of its message, and nothing shows it again."""
    # Not by setattr, which an exception with fields of its own may refuse.
    error.__dict__[_MARK] = final
    return error  # type: ignore[no-any-return]


def how_final(error: Exception) -> Final | None:
    """None where it is not final. To be asked once of each failure: the same exception may be raised again."""
    return error.__dict__.pop(_MARK, None)  # type: ignore[no-any-return]


def is_gone(error: Exception, final: Final) -> None:
    """Nothing has shown the message again, after this failure."""
    error.__dict__[_BY] = final.by


def given_up_by(error: Exception) -> str | None:
    """The framework that has given up, for the report; None where none did."""
    return error.__dict__.get(_BY)


def gives_up(handle: Callable[[Message], Any], of_an_attempt: OfAttempts) -> None:
    """`of_an_attempt`: what the framework around this handler makes of an attempt that fails before anything is done,
    with what `fails_with` says."""
    handle.__dict__[_GIVES_UP] = of_an_attempt


def gives_up_of(handler: Any) -> OfAttempts | None:
    """None where every failed attempt is the broker's matter."""
    while handler is not None:
        found = getattr(handler, "__dict__", {})
        if _GIVES_UP in found:
            return found[_GIVES_UP]  # type: ignore[no-any-return]
        handler = found.get("__wrapped__")
    return None


@contextmanager
def fails_with(make: FailsWith) -> Iterator[None]:
    """What a call raises in this task that is to fail, where the test does not say it."""
    token = _present.set(make)
    try:
        yield
    finally:
        _present.reset(token)


def what_is_retried() -> Exception:
    """An error of a call that fails, such as the present task retries."""
    return _present.get()()
