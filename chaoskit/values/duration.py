"""How long something may run, as people write it."""

from __future__ import annotations

import re

from chaoskit.values.errors import UsageError

_UNITS = {"h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(text: str) -> float:
    """Seconds from `90`, `30s`, `10m`, `1h30m` or `0.5s`. Raises UsageError for anything else, and for no time at
    all."""
    found = _DURATION.fullmatch(text.strip().lower())
    total = (
        sum(float(number or 0) * unit for number, unit in zip(found.groups(), _UNITS.values(), strict=True))
        if found
        else 0
    )
    if total <= 0:
        raise UsageError(f"{text!r} is no length of time; write it as 30s, 10m, 1h30m, or a number of seconds")
    return total


def shown(seconds: float) -> str:
    """A length of time for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")
