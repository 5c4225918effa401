"""What is run: a correct trivial handler, and the buggy ones of the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies import events, wallet
from chaoskit.strategies.streams import Parts, parts_of

Deliver = Callable[..., Any]


def newest_wins(deliver: Deliver) -> dict[str, Any]:
    """The value with the greatest `seq` of each key: right under every delivery, and as little work as there is."""
    newest: dict[str, int] = {}
    rows: dict[str, Any] = {}

    def handle(message: Any) -> None:
        if message.seq > newest.get(message.key, 0):
            newest[message.key] = message.seq
            rows[message.key] = message.value

    deliver(handle)
    return rows


def ints(size: int) -> SearchStrategy[Any]:
    """Streams of exactly `size` events of two keys, with small payloads."""
    return events(st.integers(0, 1000), st.sampled_from(["alice", "bob"]), min_size=size, max_size=size)


def payments(size: int) -> SearchStrategy[Any]:
    """Streams of exactly `size` payments of two accounts, with realistic payloads: dicts of six fields."""
    return wallet(accounts=2, min_size=size, max_size=size)


def parts(strategy: SearchStrategy[Any]) -> Parts:
    """The keys and values of a strategy made by `events`, for tests by hand to draw from."""
    found = parts_of(strategy)
    assert found is not None
    return found


def buggy() -> tuple[ModuleType, ...]:
    """The handlers of tests/handlers/buggy."""
    found: tuple[ModuleType, ...] = of_the_tests("handlers.buggy").BUGGY
    return found


def of_the_tests(name: str) -> ModuleType:
    """A module below tests/."""
    return imported_from(Path(__file__).parent.parent / "tests", name)


def imported_from(folder: Path, name: str) -> ModuleType:
    """A module below this folder."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return import_module(name)
