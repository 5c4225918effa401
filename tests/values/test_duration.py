"""Lengths of time, read and shown."""

from __future__ import annotations

import pytest

from chaoskit.values.duration import seconds, shown
from chaoskit.values.errors import UsageError


@pytest.mark.parametrize(
    ("text", "length"),
    [("90", 90), ("30s", 30), ("10m", 600), ("1h30m", 5400), ("2h", 7200), ("0.5s", 0.5), (" 5M ", 300), ("1m30", 90)],
)
def test_what_people_write_is_read(text: str, length: float) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "soon", "10 minutes", "m", "5m1h", "1e3", "nan", "inf"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no length of time; write it as 30s, 10m"):
        seconds(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [(0.41, "0.4 s"), (12.4, "12 s"), (60, "1 min"), (185, "3 min 5 s"), (7800, "2 h 10 min"), (3600, "1 h")],
)
def test_what_is_shown_has_two_units_at_most(length: float, text: str) -> None:
    assert shown(length) == text
