"""The state's storage is read off what the test's module, and the user's own modules behind it, import."""

from __future__ import annotations

import functools
import sqlite3
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chaoskit.repair.recipes import storage_of


def a_test_of(modules: list[ModuleType]) -> Any:
    """A test of the first module."""

    def test(deliver: Any) -> None: ...

    test.__module__ = modules[0].__name__
    return test


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[ModuleType]:
    """Four modules of the user's, each of which imports the next one."""
    modules = [ModuleType(f"of_the_user_{number}") for number in range(4)]
    for module, imported in zip(modules, [*modules[1:], None], strict=True):
        module.__file__ = str(tmp_path / f"{module.__name__}.py")
        vars(module)["imported"] = imported
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return modules


@pytest.mark.parametrize(("deep", "storage"), [(0, "sql"), (1, "sql"), (2, "sql"), (3, "python")])
def test_the_users_own_modules_are_followed_three_deep(chain: list[ModuleType], deep: int, storage: str) -> None:
    """The test, the handler that it imports, and the store that the handler imports."""
    vars(chain[deep])["database"] = sqlite3
    assert storage_of(a_test_of(chain)) == storage
    assert storage_of(functools.partial(a_test_of(chain))) == storage


def test_a_class_that_is_imported_tells_as_much_as_its_module(chain: list[ModuleType]) -> None:
    vars(chain[0])["Connection"] = sqlite3.Connection
    assert storage_of(a_test_of(chain)) == "sql"


def test_sql_goes_before_redis(chain: list[ModuleType]) -> None:
    """Ids are stored where a transaction can have them with the effect."""
    vars(chain[0])["redis"] = ModuleType("redis.client")
    assert storage_of(a_test_of(chain)) == "redis"
    vars(chain[1])["database"] = sqlite3
    assert storage_of(a_test_of(chain)) == "sql"
