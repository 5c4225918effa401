"""The repository that a stranger's files are read in: a chaos test, classes, and traps that say when they spring."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TEST = "test_shop.py::test_shop"

SHOP = """
import enum
import os
import subprocess
from dataclasses import dataclass
from typing import NamedTuple

import attrs

import shop_events

SPRUNG = []

def trap(*args, **kwargs):
    SPRUNG.append("trap")

class Trap:
    amount: int = 1
    def __new__(cls, *args, **kwargs):
        SPRUNG.append("Trap")
        return object.__new__(cls)

@dataclass
class Dies:
    amount: int
    def __del__(self):
        SPRUNG.append("Dies")

@dataclass
class Watched:
    amount: int
    def __hash__(self):
        SPRUNG.append("hash")
        return 1

class Kind(enum.Enum):
    CREDIT = "credit"
    DEBIT = "debit"

class Point(NamedTuple):
    x: int
    y: int

@attrs.frozen
class Money:
    amount: int
    kind: Kind = Kind.CREDIT

@dataclass(frozen=True)
class Order:
    lines: list
    open: bool = True

class Twice(enum.Enum):
    ONE = 1

Twice = trap

def test_shop(deliver):
    seen = {}
    def handle(message):
        seen.setdefault(str(message.id), []).append(message.partition)
    deliver(handle)
    return seen
"""

EVENTS = """
import attrs

@attrs.define
class Parcel:
    weight: int
"""

CANARY = """
from pathlib import Path
import test_shop
test_shop.SPRUNG.append("imported")

class Kind:
    pass
"""


@contextmanager
def shop(root: Path) -> Iterator[list[str]]:
    """The repository at `root`, its test's module imported. Gives what was sprung."""
    files = {"test_shop": SHOP, "shop_events": EVENTS, "canary": CANARY, "scripts/canary_too": CANARY}
    for name, source in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    (root / "pytest.ini").write_text("[pytest]\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.syspath_prepend(str(root))
        module = importlib.import_module("test_shop")
        try:
            yield module.SPRUNG
        finally:
            for name in ("test_shop", "shop_events", "canary"):
                sys.modules.pop(name, None)
