"""The page of frameworks, and the examples that it leads to."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Any

import pytest

from chaoskit import check

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "frameworks"
PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\|.+\[(test_\w+\.py)\]\([^)]*\) \| (\d+) \|", PAGE, re.MULTILINE))


def the_test_of(path: Path) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """The one test of an example."""
    (test,) = (
        node
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )
    return test


def lines_of(path: Path) -> int:
    """Of its test, from its decorator `@chaos` on, without those that are empty."""
    test = the_test_of(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    return sum(bool(line.strip()) for line in lines[test.decorator_list[-1].lineno - 1 : test.end_lineno])


def test_each_row_is_an_example_and_counts_its_lines() -> None:
    """And no example is left out."""
    assert {path.name: lines_of(path) for path in sorted(EXAMPLES.glob("test_*.py"))} == {
        name: int(lines) for name, lines in sorted(ROWS.items())
    }


def test_each_row_of_the_readme_leads_to_its_files_and_counts_their_lines() -> None:
    """Of the clients, too; no example is left out."""
    table = README[README.index("| you have | lines |") :].partition("\n\n")[0].splitlines()[2:]
    told: dict[str, int] = {}
    for row in table:
        links, counted = row.split(" | ")[:2]
        files = re.findall(r"\]\((examples/\w+/test_\w+\.py)\)", links)
        told |= dict(zip(files, map(int, counted.split(", ")), strict=True))
    examples = [
        path for folder in ("consumers", "frameworks") for path in (ROOT / "examples" / folder).glob("test_*.py")
    ]
    assert told == {path.relative_to(ROOT).as_posix(): lines_of(path) for path in examples}


@pytest.mark.parametrize("name", ROWS)
def test_each_example_finds_its_bug_and_holds_when_it_is_repaired(name: str) -> None:
    """Searched as `@chaos` says above it, with the parameter of the one case and of the other."""
    if name == "test_django.py":
        pytest.importorskip("django")
        import one_django  # noqa: F401 - the settings of this process are those of all its tests
    names: dict[str, Any] = {"__name__": f"example_{name.removesuffix('.py')}"}
    exec(compile((EXAMPLES / name).read_text(encoding="utf-8"), EXAMPLES / name, "exec"), names)
    test = the_test_of(EXAMPLES / name)
    asked = test.decorator_list[-1]
    assert isinstance(asked, ast.Call)
    settings = {str(word.arg): eval(ast.unparse(word.value), names) for word in asked.keywords}
    events, function = eval(ast.unparse(asked.args[0]), names), names[test.name]
    (marked,) = (mark for mark in function.pytestmark if mark.name == "parametrize")
    parameter, values = marked.args
    came = {}
    for value in values:
        given = value.values[0] if hasattr(value, "values") else value
        case = functools.partial(function, **{parameter: given})
        verdict = check(case, events, schedules=20, seed=1, **settings)
        came[getattr(value, "id", None) or value] = verdict.status
    assert came == {"written": "violated", "repaired": "held"}
