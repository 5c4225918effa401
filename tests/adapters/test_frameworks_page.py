"""The page of frameworks, and the examples that it leads to."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples" / "frameworks"
PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\|.+\[(test_\w+\.py)\]\([^)]*\) \| (\d+) \|", PAGE, re.MULTILINE))


def lines_of_test(path: Path) -> int:
    """From its decorator `@chaos` on."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (test,) = (
        node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )
    assert test.end_lineno is not None
    return test.end_lineno - test.decorator_list[-1].lineno + 1


def test_each_row_is_an_example_and_counts_its_lines() -> None:
    """And no example is left out."""
    assert {path.name: lines_of_test(path) for path in sorted(EXAMPLES.glob("test_*.py"))} == {
        name: int(lines) for name, lines in sorted(ROWS.items())
    }


def test_each_example_finds_its_bug_and_holds_when_it_is_repaired(tmp_path: Path) -> None:
    """As they stand, in a run of their own; one whose library is missing is skipped there."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    options = ["-q", "-rA", "-n", "0", "--tb=line", "--chaos-seed=1", "--chaos-schedules=30", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "examples"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_ADDOPTS": "", "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^FAILED examples/(test_\w+)\.py::\w+\[written\]", done.stdout, re.MULTILINE))
    passed = set(re.findall(r"^PASSED examples/(test_\w+)\.py::\w+\[repaired\]", done.stdout, re.MULTILINE))
    skipped = set(re.findall(r"^SKIPPED .*examples/(test_\w+)\.py", done.stdout, re.MULTILINE))
    every = {name.removesuffix(".py") for name in ROWS}
    assert failed == every - skipped, done.stdout[-6000:]
    assert passed == every - skipped, done.stdout[-6000:]
    assert done.stdout.count(" does not survive ") >= len(failed), done.stdout[-6000:]
