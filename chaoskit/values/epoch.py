"""When the producer begins to send: one event a second from then on, as `message.timestamp` says."""

from __future__ import annotations

import math
from typing import Any

from chaoskit.values.errors import UsageError

EPOCH = 1_700_000_000.0
"""14 November 2023: where nobody says when, and the seed does not know the hour. Files that say nothing mean it."""

_HOUR = 3600
_BITS = 32
_HOURS = range(438_000, 1_139_544)
"""Those of the years 2020 to 2099, counted from 1970."""
_END = 253_402_300_800
"""The year 10,000, which no datetime knows."""


def seed_at(time: float, chance: int) -> int:
    """A seed that has the hour of this time in it, and 32 bits of chance: the same seed, the same timestamps."""
    return int(time // _HOUR) << _BITS | chance


def epoch_of(seed: int) -> float:
    """The hour that this seed was drawn in, in seconds since 1970. One that somebody chose, such as 42, knows none."""
    hour = seed >> _BITS
    return float(hour * _HOUR) if hour in _HOURS else EPOCH


def is_epoch(given: Any) -> bool:
    """Whether this is a time that a producer may begin to send."""
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return number and math.isfinite(given) and 0 <= given < _END


def checked_epoch(given: Any) -> float | None:
    """`epoch=` of `chaos` and `check`. Raises UsageError for what is no time."""
    if given is None:
        return None
    if not is_epoch(given):
        raise UsageError(
            f"epoch={given!r}: seconds since 1970 are needed, such as time.time(), or datetime(…).timestamp()"
        )
    return float(given)
