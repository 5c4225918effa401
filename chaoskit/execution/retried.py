"""What a framework retries: the failures that are final, which nothing brings back, and an error that would not be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

from chaoskit.execution.script import FailsWith
from chaoskit.values.errors import Unavailable

_MARK = "_chaoskit_is_final"
_present: ContextVar[FailsWith] = ContextVar("chaoskit_retried", default=Unavailable)


def as_final(error: Any, *, used_up: bool) -> Exception:
    """This failure, to be raised as it is: the framework settles its message, so that nothing shows it again.
    `used_up`: it had been tried before, and the last attempt has failed, too."""
    # Not by setattr, which an exception with fields of its own may refuse.
    error.__dict__[_MARK] = "used up" if used_up else "at once"
    return error  # type: ignore[no-any-return]


def why_final(error: Exception) -> Literal["at once", "used up", ""]:
    """Empty where it is not final. To be asked once of each failure: the same exception may be raised again."""
    return error.__dict__.pop(_MARK, "")  # type: ignore[no-any-return]


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
