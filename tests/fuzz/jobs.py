"""Projects for `chaoskit fuzz`, and what a job says."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from plugin.projects import HEAD, LONELY, Project, Ran, environment

QUIET = LONELY[2:]  # anyio and Faker; the option of asyncio's stands in each call
DUPLICATES = """
def make(balances):
    seen = set()
    def handle(message):
        if message.id in seen:
            {twice}
            return
        seen.add(message.id)
        balances[message.key] = balances.get(message.key, 0) + message.value
    return handle

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_{name}(deliver):
    balances = {{}}
    deliver(make(balances))
    return balances
"""


def handler_test(name: str, twice: str = "pass") -> str:
    """A test whose handler does this with a message that it has seen already; a correct one does nothing."""
    return HEAD + "import os, time\n" + DUPLICATES.format(name=name, twice=twice)


COUNTS_TWICE = "balances[message.key] += message.value"


def project(root: Path, **tests: str) -> Project:
    """A project with a file for each of these tests: its name, and what its handler does with what it has seen."""
    return Project.at(root, **{f"test_{name}": handler_test(name, twice) for name, twice in tests.items()})


def fuzz(project: Project, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
    return project.chaoskit("fuzz", *LONELY, *arguments, env=env)


def start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    """A job in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "chaoskit", "fuzz", *LONELY, *arguments],
        cwd=project.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )


def until(job: subprocess.Popen[str], text: str) -> str:
    """What the job says up to a line with this text."""
    assert job.stdout is not None
    said, patience = "", threading.Timer(120, job.kill)
    patience.start()
    for line in job.stdout:
        said += line
        if text in line:
            patience.cancel()
            return said
    patience.cancel()
    raise AssertionError(f"the job ended without {text!r}:\n{said}")


def stop(job: subprocess.Popen[str], kill: Callable[[int, int], None], number: signal.Signals) -> tuple[int, str]:
    """Send the signal; the exit code, and what was said after it."""
    kill(job.pid, number)
    said, _ = job.communicate(timeout=60)
    return job.returncode, said


def total(ran: Ran) -> tuple[int, int]:
    """The schedules that were run, and how many were distinct, of the last but one line."""
    found = re.search(r"^([\d,]+) schedules, (?:about )?([\d,]+) distinct, ", ran.out, re.MULTILINE)
    assert found is not None, ran.text
    schedules, distinct = (int(number.replace(",", "")) for number in found.groups())
    return schedules, distinct


def row(ran: Ran, test: str) -> list[str]:
    """The line of a test in the summary, in words."""
    found = re.search(rf"^(\w+ +\S*::{test} .*)$", ran.out, re.MULTILINE)
    assert found is not None, ran.text
    return found[1].split()
