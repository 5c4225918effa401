"""The plain test of a repro file has the table of effects, as the other reports have."""

from __future__ import annotations

from pathlib import Path

from plugin.projects import HEAD, Project

MAILS = """
from chaoskit.invariants import effects_exactly_once


@chaos(PAYMENTS, faults={Redeliver}, invariants=[effects_exactly_once()], schedules=50)
def test_mails(deliver):
    deliver(lambda message: deliver.effect("mail\\n    raise SystemExit", message.value, key="bob"))
    return 1
"""


def test_the_effects_stand_above_the_statements(tmp_path: Path) -> None:
    """Each how often in order and as observed; what a name has in it stays a comment."""
    project = Project.at(tmp_path, test_mails=HEAD + MAILS)
    assert project.pytest("--chaos-seed=1").code == 1
    ran = project.chaoskit("replay", "--as-test", ".chaoskit")
    above, _, left = ran.out.partition("    # Effects that left:\n")
    assert above.rstrip().endswith('"""'), ran.text
    comment, _, statements = left.partition("    scenario = ")
    assert all(line.startswith("    # ") for line in comment.splitlines())
    flat = " ".join(line.strip(" #") for line in comment.splitlines())
    assert "in order once, at e" in flat
    assert "observed twice, in steps" in flat
    assert statements
    compile(ran.out, "test", "exec")
