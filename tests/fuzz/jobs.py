"""Projects for `chaoskit fuzz`, and what a job says."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from plugin.projects import HEAD, LONELY, Project, Ran, environment

QUIET = LONELY[2:]  # anyio, Faker and Valkey; the option of asyncio's stands in each call
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


FEW = '[Event("alice", 1), Event("alice", 2)], broker=Kafka(partitions=1), faults={Duplicate}'


def few(source: str, faults: str = "Duplicate") -> str:
    """The test with so few schedules that a job is through in a moment, on any machine: what is right has shown
    everything, and of what is wrong each kind of fault is known to fail. Its job ends by itself, without any --time."""
    return source.replace("PAYMENTS, broker=Kafka(partitions=6)", FEW.replace("{Duplicate}", f"{{{faults}}}"))


def project(root: Path, **tests: str) -> Project:
    """A project with a file for each of these tests: its name, and what its handler does with what it has seen."""
    return Project.at(root, **{f"test_{name}": handler_test(name, twice) for name, twice in tests.items()})


def small(root: Path, faults: str = "Duplicate", **tests: str) -> Project:
    """The same, of tests that have few schedules."""
    return Project.at(root, **{f"test_{name}": few(handler_test(name, twice), faults) for name, twice in tests.items()})


LONGEST = 128
"""Seconds that a job gets at most, where one of less did not come far enough."""
NO_TIME = "no slice of it ended in this time"


def fuzz(
    project: Project,
    *arguments: str,
    enough: Callable[[Ran], bool] = lambda ran: NO_TIME not in ran.out,
    env: Mapping[str, str] | None = None,
) -> Ran:
    """A job. Where its --time was not enough, it is done again as if it had not been, with twice the time: how far one
    comes in some seconds is the machine's affair."""
    with TemporaryDirectory() as stored:
        before = project.copy(Path(stored) / "before")
        while True:
            ran = project.chaoskit("fuzz", *LONELY, *arguments, env=env)
            seconds = [re.fullmatch(r"--time=(\d+)s", argument) for argument in arguments]
            longer = [f"--time={2 * int(found[1])}s" for found in seconds if found and 2 * int(found[1]) <= LONGEST]
            if not longer or enough(ran):
                return ran
            arguments = (*(argument for argument in arguments if not argument.startswith("--time=")), *longer)
            shutil.rmtree(project.root)
            before.copy(project.root)


STARTED: list[subprocess.Popen[str]] = []
"""Jobs that a test has started, which end with it."""


def start(project: Project, *arguments: str, ignores: Sequence[signal.Signals] = ()) -> subprocess.Popen[str]:
    """A job in a process group of its own, as a shell starts it; with `ignores` as nohup or a script does, in the
    background."""

    def ignore() -> None:
        for number in ignores:
            signal.signal(number, signal.SIG_IGN)

    job = subprocess.Popen(
        [sys.executable, "-m", "chaoskit", "fuzz", *LONELY, *arguments],
        cwd=project.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=ignore if ignores else None,
    )
    STARTED.append(job)
    return job


def end_started() -> None:
    """Whatever came of the test, none of its jobs goes on behind it, and none of their workers."""
    while STARTED:
        job = STARTED.pop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.wait()
        assert job.stdout is not None
        job.stdout.close()


def until(job: subprocess.Popen[str], text: str) -> str:
    """What the job says up to a line with this text."""
    assert job.stdout is not None
    output, patience = "", threading.Timer(120, job.kill)
    patience.start()
    for line in job.stdout:
        output += line
        if text in line:
            patience.cancel()
            return output
    patience.cancel()
    raise AssertionError(f"the job ended without {text!r}:\n{output}")


def stop(job: subprocess.Popen[str], kill: Callable[[int, int], None], number: signal.Signals) -> tuple[int, str]:
    """Send the signal; the exit code, and what was said after it."""
    kill(job.pid, number)
    output, _ = job.communicate(timeout=60)
    return job.returncode, output


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


def came_to(**words: str) -> Callable[[Ran], bool]:
    """Whether the summary has these words for these tests."""
    return lambda ran: all(
        re.search(rf"^{word} +\S*::test_{name} ", ran.out, re.MULTILINE) is not None for name, word in words.items()
    )


def let_children_be_interrupted() -> None:
    """A handler of our own is not handed on to children, where ignoring is."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
