"""A repro of a process that died is played in a process of its own, which may die again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from chaoskit.execution.limit import LIMIT, Limit, why_no_limit
from chaoskit.execution.script import Script
from chaoskit.repro.read import Repro, with_shown_values
from chaoskit.repro.replay import Answer, play
from chaoskit.search.oracle import Subject
from chaoskit.values.duration import seconds
from chaoskit.values.event import Message
from chaoskit.values.faults import FaultKind
from chaoskit.values.invariant import DIED, Violation
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Schedule
from chaoskit.values.verdict import Verdict

VARIABLE = "CHAOSKIT_APART"
"""The environment of that process has the file in which it says how far it has come."""

LIMIT_VARIABLE = "CHAOSKIT_APART_LIMIT"
"""Seconds of a run there. As an option it would be armed around the replay, which arms its own."""

PATIENCE = 300.0
"""Seconds for that process, which starts pytest and imports the test."""


def play_in_subprocess(repro: Repro, root: Path, limit: str | None = None) -> Answer:
    """Play this file in a new pytest, with this limit for a run. Its answer, or that the process died again, and at
    which step."""
    file = root / repro.test.partition("::")[0]
    with TemporaryDirectory(prefix="chaoskit-apart-") as directory:
        status = Path(directory) / "status.json"
        # No cache: it would forget the last failures of the run that is going on.
        arguments = ["-p", "no:cacheprovider", f"--rootdir={root}", f"--chaos-replay={repro.path.resolve()}", str(file)]
        variables = {VARIABLE: str(status), LIMIT_VARIABLE: str(LIMIT if limit is None else seconds(limit))}
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", *arguments],
                # Nobody is there to answer a debugger.
                cwd=root, env=os.environ | variables, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Answer("CANNOT REPLAY", repro.path, repro.test, f"it did not end within {PATIENCE:g} s")
        # It is written before the first delivery, so that the test was never called.
        if not status.exists():
            return Answer("CANNOT REPLAY", repro.path, repro.test, "pytest did not come to the test")
        found = json.loads(status.read_text(encoding="utf-8"))
    if found["became"] is None:
        return _died_again(repro, ran.returncode, found["delivered"])
    changed = found["became"] in ("STILL FAILS", "CHANGED")
    reason = "the process lives, but the test fails" if changed else found["reason"]
    return Answer("CHANGED" if changed else found["became"], repro.path, repro.test, reason)


def _died_again(repro: Repro, code: int, delivered: int) -> Answer:
    steps = [number for number, step in enumerate(repro.schedule, start=1) if step.action == "deliver"]
    where = ""
    if 0 < delivered <= len(steps):
        number = steps[delivered - 1]
        where = f" at step {number}, the delivery of {repro.schedule[number - 1].event}"
    message = f"the process died in the handler{where} ({how_it_ended(code)})"
    return Answer("STILL FAILS", repro.path, repro.test, message, died_verdict(repro, message))


def how_it_ended(code: int) -> str:
    """An exit code of a process in words."""
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


def died_verdict(repro: Repro, message: str) -> Verdict:
    """Violated, with the schedule of the file."""
    shown = with_shown_values(repro)
    return Verdict(
        "violated",
        violations=(Violation(DIED, message),),
        scenario=Scenario(shown, repro.broker, repro.faults, epoch=repro.epoch),
        schedule=Schedule(repro.schedule),
        test=repro.test,
    )


# In that process.


def play_as_subprocess(
    repro: Repro, subject: Subject, status: Path, *, across_keys: str, faults: Collection[FaultKind] | None = None
) -> Answer:
    """Play the file, and say before each delivery how many there were. A run that takes twice its limit ends the
    process."""
    file = _StatusFile(status)

    def counting(message: Message) -> Iterator[Message]:
        file.delivered += 1
        # Before the handler is called: behind it there may be no process.
        file.write(None)
        yield message

    file.write(None)
    limit = None if why_no_limit() else Limit(float(os.environ[LIMIT_VARIABLE]), hard=True)
    counted = attrs.evolve(subject, move=lambda: counting, observer=file, limit=limit)
    try:
        with nullcontext() if limit is None else limit.armed():
            answer = play(repro, counted, across_keys=across_keys, faults=faults)
    # Whatever it is, the process lives: without a word here it would count as dead.
    except BaseException as error:
        file.write(Answer("CANNOT REPLAY", repro.path, repro.test, f"{type(error).__name__}: {error}"))
        raise
    file.write(answer)
    return answer


@attrs.define
class _StatusFile:
    """Says how far a run has come, and in the end what has become of the repro."""

    path: Path
    delivered: int = 0

    def begins(self, script: Script) -> None:
        self.delivered = 0

    def ends(self) -> None:
        pass

    def write(self, answer: Answer | None) -> None:
        became, reason = (None, "") if answer is None else (answer.became, answer.reason)
        data = {"delivered": self.delivered, "became": became, "reason": reason}
        self.path.write_text(json.dumps(data), encoding="utf-8")
