"""Adapters under xdist: whichever worker takes a test, it finds the same."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from plugin.projects import MODES, Project, mode_name

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
FRAMEWORKS = ("dramatiq", "huey")
"""Each as it is written, which fails, and repaired."""
CONSUMERS = ("nats", "pika")


def outcomes(project: Project, *mode: str) -> dict[str, str]:
    """What pytest says of each test: empty where it passes, else its report."""
    told = project.root / "told.xml"
    ran = project.pytest(*mode, "--chaos-schedules=10", "--chaos-seed=1", f"--junitxml={told}")
    assert told.exists(), ran.text
    found = {}
    for case in ElementTree.parse(told).iter("testcase"):
        failure = case.find("failure")
        text = "" if failure is None else failure.text or "failed"
        found[f"{case.get('classname')}::{case.get('name')}"] = re.sub(r"\[gw\d\].*", "", text)
    return found


def test_two_workers_find_what_one_process_finds(tmp_path: Path) -> None:
    for module in ("dramatiq", "huey", "nats", "pika"):
        pytest.importorskip(module, reason=f"{module} is missing")
    files = {f"test_{name}": EXAMPLES / "frameworks" / f"test_{name}.py" for name in FRAMEWORKS}
    files |= {f"test_{name}": EXAMPLES / "consumers" / f"test_{name}.py" for name in CONSUMERS}
    files["payments"] = EXAMPLES / "consumers" / "payments.py"
    sources = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    alone, together = (outcomes(Project.at(tmp_path / mode_name(mode), **sources), *mode) for mode in MODES)
    assert alone == together
    assert {name.partition("::")[0] for name, report in alone.items() if report} == {f"test_{f}" for f in FRAMEWORKS}
    assert sum(not report for report in alone.values()) == len(FRAMEWORKS) + len(CONSUMERS)
