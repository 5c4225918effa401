"""The table of findings names tests that exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from findings import ALL

ROOT = Path(__file__).parent.parent


def _tests(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
    return found


@pytest.mark.parametrize("row", sorted(ALL))
def test_each_finding_is_shown_by_a_test_that_exists(row):
    """A row without a test, or with one that was renamed, is a finding that may come back."""
    shown, tests = ALL[row]
    assert shown
    assert tests
    for test in tests:
        path, _, name = test.partition("::")
        assert name.startswith("test_"), test
        assert name in _tests(ROOT / path), test
