"""Question 4: what does the plugin cost a pytest run that has no chaos test?"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.measure import WALL, Figure, Row, Section, in_turn, say

NO_TESTS_COLLECTED = 5
PLUGIN, NO_PLUGIN = (), ("-p", "no:chaoskit")


def measure(quick: bool) -> Section:
    repetitions = 5 if quick else 11
    say("startup")
    with TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text("", encoding="utf-8")
        _collect(folder, PLUGIN, 0)  # compiles what it imports
        sides = {"with": partial(_collect, folder, PLUGIN), "without": partial(_collect, folder, NO_PLUGIN)}
        found = in_turn(sides, repetitions)
    rows = tuple(
        _row(choose(found["with"]), choose(found["without"]), f"{name} of {repetitions}")
        for name, choose in (("median", median), ("fastest", min))
    )
    note = (
        "Wall time of `pytest --collect-only` on one empty file, each run a process of its own, with the plugin and "
        "with `-p no:chaoskit`. The other plugins that are installed are loaded in both."
    )
    return Section("Start of pytest", "with the plugin", "without", note, rows)


def _row(one: float, other: float, of: str) -> Row:
    return Row(f"{one - other:+.0f} ms", one / other, Figure(one, "ms"), Figure(other, "ms"), of)


def _collect(folder: str, options: tuple[str, ...], _: int) -> float:
    """Milliseconds."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    clean["PYTHONPYCACHEPREFIX"] = str(Path(folder, "pycache"))
    started = WALL()
    done = subprocess.run([*command, "test_empty.py"], cwd=folder, env=clean, capture_output=True, check=False)
    took = WALL() - started
    if done.returncode != NO_TESTS_COLLECTED:
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout.decode()}{done.stderr.decode()}")
    return took * 1000
