"""Failures that are final: a framework settles the message although its handler raised, so that nothing shows it again."""

from __future__ import annotations

from typing import Any

_MARK = "_chaoskit_is_final"


def as_final(error: Any) -> Exception:
    """This failure, to be raised as it is."""
    # Not by setattr, which an exception with fields of its own may refuse.
    error.__dict__[_MARK] = True
    return error  # type: ignore[no-any-return]


def is_final(error: Exception) -> bool:
    """Asked once of each failure: the same exception may be raised again, and not be final."""
    return error.__dict__.pop(_MARK, False) is True
