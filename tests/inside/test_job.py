"""A job on what reaches inside the handler: its files, a corpus that another machine reads, a replay, what is shown."""

from __future__ import annotations

import json
from pathlib import Path

from plugin.projects import Project

TESTS = """
import chaoskit
from chaoskit import *

PAYMENTS = [Event("alice", 1), Event("alice", 2)]


class Table:
    def __init__(self):
        self.rows, self.ids = {}, set()

    @chaoskit.atomic
    def knows(self, message):
        return message.id in self.ids

    @chaoskit.atomic
    def add(self, message):
        self.rows[message.key] = self.rows.get(message.key, 0) + message.value

    @chaoskit.atomic
    def mark(self, message):
        self.ids.add(message.id)


@chaos(PAYMENTS, broker=Kafka(partitions=1), faults={Overlap})
def test_looks_first(deliver):
    table = Table()

    def handle(message):
        if not table.knows(message):
            table.add(message)
            table.mark(message)

    deliver(spawn=lambda: handle)
    return table.rows


@chaos(PAYMENTS, broker=Kafka(partitions=1), faults={Fail})
def test_marks_in_finally(deliver):
    table = Table()

    def handle(message):
        if not table.knows(message):
            try:
                table.add(message)
            finally:
                table.mark(message)

    deliver(spawn=lambda: handle)
    return table.rows
"""
STEPS = {"test_looks_first": "begin", "test_marks_in_finally": "deliver"}
SHOWN = {"test_looks_first": "this execution paused before this", "test_marks_in_finally": "raised Unavailable"}


def test_a_job_saves_them_and_another_machine_has_them_from_the_corpus(tmp_path: Path) -> None:
    one = Project.at(tmp_path / "one", test_inside=TESTS)
    told = one.chaoskit("fuzz", "--seed=1", "-n1", f"--corpus={tmp_path / 'corpus'}")
    assert told.code == 1, told.text
    saved = {json.loads(path.read_text())["test"].rpartition("::")[2]: path for path in one.repros}
    assert saved.keys() == STEPS.keys(), told.text
    for test, path in saved.items():
        steps = json.loads(path.read_text())["schedule"]
        assert any(step["action"] == STEPS[test] and step.get("point") is not None for step in steps), steps
        name = str(path.relative_to(one.root))
        replayed = one.chaoskit("replay", name)
        assert (replayed.code, "STILL FAILS" in replayed.out) == (1, True), replayed.text
        shown = one.chaoskit("show", name)
        assert (shown.code, SHOWN[test] in " ".join(shown.out.split())) == (0, True), shown.text

    other = Project.at(tmp_path / "other", test_inside=TESTS)
    plain = other.pytest("--chaos-schedules=1", f"--chaos-corpus={tmp_path / 'corpus'}")
    assert plain.out.count("the shared corpus had it; nothing was searched") == 2, plain.text
