"""The workflow for GitHub Actions: a quick run for each change, and a long search each night."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path
from typing import Any

from chaoskit.generate.handlers import sources
from chaoskit.generate.project import is_own, package_root, parse, toml
from chaoskit.version import __version__

WORKFLOW = ".github/workflows/chaoskit.yml"
OLDEST_PYTHON = (3, 11)
"""What chaoskit needs."""
MOST_IMPORTS = 12
"""Named in the workflow, where it cannot say what to install."""
_BROUGHT = frozenset({"chaoskit", "hypothesis", "pytest", "attr", "attrs"})

# An action is named by the commit of its tag: a tag can be moved, and what it names then runs with what the job may do.
# The comment says which tag it is, and Dependabot moves both.
_TEXT = """\
# Chaos tests: a quick run for each change, and a long search each night.
#
# What the search finds fails its job, and is in the artifact chaoskit-1 or chaoskit-2 of the run. To bring it home:
# download the artifact's zip file, `chaoskit replay chaoskit-1.zip` in this repository, and unpack it into .chaoskit/
# to commit what stays as a regression test.
name: chaoskit

on:
  push:
  pull_request:
  schedule:
    - cron: "17 3 * * *" # each night, UTC
  workflow_dispatch:

permissions:
  contents: read

concurrency:
  group: chaoskit-${{ github.event_name }}-${{ github.ref }}
  cancel-in-progress: ${{ github.event_name == 'pull_request' }}

jobs:
  quick:
    if: github.event_name == 'push' || github.event_name == 'pull_request'
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
@SETUP@
      - run: pytest
      - uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2
        if: failure()
        with:
          name: chaoskit-quick
          path: .chaoskit/
          include-hidden-files: true # .chaoskit/ is one
          if-no-files-found: ignore

  nightly:
    if: github.event_name == 'schedule' || github.event_name == 'workflow_dispatch'
    runs-on: ubuntu-latest
    timeout-minutes: 50 # the search ends by itself; shrinking what it finds takes a little longer
    strategy:
      fail-fast: false
      matrix:
        shard: [1, 2]
    steps:
@SETUP@
      # What earlier nights found is tried first. Saved also when the search fails.
      - uses: actions/cache/restore@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0
        with:
          path: .hypothesis/
          key: hypothesis-${{ matrix.shard }}-${{ github.run_id }}-${{ github.run_attempt }}
          restore-keys: hypothesis-${{ matrix.shard }}-
      - run: chaoskit fuzz --time 30m -n auto --shard ${{ matrix.shard }}/2 --corpus .hypothesis/examples
      - uses: actions/cache/save@0057852bfaa89a56745cba8c7296529d2fc39830 # v4.3.0
        if: always()
        with:
          path: .hypothesis/
          key: hypothesis-${{ matrix.shard }}-${{ github.run_id }}-${{ github.run_attempt }}
      - uses: actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2
        if: always()
        with:
          name: chaoskit-${{ matrix.shard }}
          path: .chaoskit/
          include-hidden-files: true # .chaoskit/ is one
          if-no-files-found: ignore
"""


_SETUP = """\
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          persist-credentials: false
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065 # v5.6.0
        with:
          python-version: "@PYTHON@"
@INSTALL@"""


def workflow(root: Path) -> str:
    """The file's text, with the Python and the installation that the repository asks for."""
    commands = _installed(root)
    left = [] if len(commands) > 1 else _left_to_install(root)
    install = "\n".join([*left, *(f"      - run: {line}" for line in commands)])
    return _TEXT.replace("@SETUP@", _SETUP.replace("@PYTHON@", _python(root)).replace("@INSTALL@", install))


def _python(root: Path) -> str:
    """The oldest that the repository and chaoskit both take."""
    project = toml(root / "pyproject.toml").get("project", {})
    asked = re.search(r"(?:>=|~=|==)\s*3\.(\d+)", str(project.get("requires-python", "")))
    newest = max(OLDEST_PYTHON, (3, int(asked[1]))) if asked else (3, 12)
    return ".".join(map(str, newest))


def _installed(root: Path) -> list[str]:
    """The commands that install the repository, as it says, and chaoskit."""
    lines = []
    if is_installable(root):
        extra = _extra(root)
        lines.append(f'python -m pip install -e ".[{extra}]"' if extra else "python -m pip install -e .")
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-test.txt", "requirements_dev.txt"):
        if (root / name).is_file():
            lines.append(f"python -m pip install -r {name}")
    groups = toml(root / "pyproject.toml").get("dependency-groups", {})
    lines += [f"python -m pip install --group {name}" for name in ("dev", "test") if name in groups]
    return [*lines, f"python -m pip install chaoskit=={__version__}"]


def _left_to_install(root: Path) -> list[str]:
    """A line for whoever has to say what the modules import: nothing in the repository does."""
    found = imported_from_elsewhere(root)
    names = ", ".join(found[:MOST_IMPORTS]) + (", …" if len(found) > MOST_IMPORTS else "")
    return [f"      # TODO: install what the repository imports, before pytest needs it: {names}"] if found else []


def imported_from_elsewhere(root: Path) -> list[str]:
    """The packages that the repository's modules import, besides Python's own, their own and what chaoskit brings."""
    found: set[str] = set()
    for file in sources(root):
        tree = parse(file)
        names: set[str] = set()
        for node in ast.walk(tree) if tree else ():
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").partition(".")[0])
        beside = package_root(file)
        own = {name for name in names if is_own(root, name) or (is_own(beside, name) and file.stem != name)}
        found |= names - own - sys.stdlib_module_names - _BROUGHT
    # The test of a view or a task of Django needs it.
    return sorted(found | ({"pytest_django"} if "django" in found else set()))


def is_installable(root: Path) -> bool:
    """Whether pip can install the repository."""
    data = toml(root / "pyproject.toml")
    return "project" in data or "build-system" in data or (root / "setup.py").is_file()


def _extra(root: Path) -> str:
    """The optional dependencies that tests need, by their usual names."""
    project: dict[str, Any] = toml(root / "pyproject.toml").get("project", {})
    extras = project.get("optional-dependencies", {})
    return next((name for name in ("test", "tests", "testing", "dev") if name in extras), "")
