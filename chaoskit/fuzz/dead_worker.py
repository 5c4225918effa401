"""A worker whose process died while a handler ran: which schedule it was, as a repro file like any other."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from chaoskit.fuzz.job import Finding
from chaoskit.fuzz.recorder import last_run
from chaoskit.pytest.saved import replay_command, repro_directory
from chaoskit.report.terminal import as_text, headline
from chaoskit.repro.read import parse
from chaoskit.repro.subprocess import play_in_subprocess
from chaoskit.repro.values import encode_step
from chaoskit.repro.write import failure_name, file_name, text_of, write
from chaoskit.values.errors import ChaosError, ReproError
from chaoskit.values.scenario import Scenario
from chaoskit.values.verdict import Verdict

AGAIN = "Played once more in a process of its own, it died again."
NOT_AGAIN = (
    "the process that ran it died, and under the same schedule it did not die again: it may have been killed from "
    "outside, or have run out of memory"
)


def finding_of(record: Path, test: str, config: pytest.Config, limit: str | None) -> Finding | str:
    """The failure behind the death of a worker that wrote this record, saved as a repro file; or what is known, in a
    sentence, where nobody can tell that it is one. It is played once more, to be sure and to learn the step,
    with this limit for a run."""
    found = last_run(record)
    if found is None or found["test"] != test:
        return "the process that ran it died, and what it was at is not known"
    # Without faults no delivery is to blame, and a repro file has nothing to show.
    if not found["faults"]:
        return "the process that ran it died in the handler without any fault"
    try:
        name, text = _document(found)
        with TemporaryDirectory(prefix="chaoskit-died-") as scratch:
            repro = parse(text, write(Path(scratch), name, text))
            # In a process of its own, as this one hands out the job.
            verdict = play_in_subprocess(repro, config.rootpath, limit).verdict
    except ChaosError as error:
        return f"the process that ran it died in the handler; its schedule is not known: {error}"
    if verdict is None:
        return NOT_AGAIN
    saved, trouble = "", ""
    try:
        path = write(repro_directory(config), name, text)
        replay, saved = replay_command(config, [str(path)]), path.name
    except ReproError as error:
        replay = trouble = str(error)
    report = f"{headline(verdict)}\n{AGAIN}\n{as_text(verdict, replay=replay)}"
    return Finding(failure_name(name, text), text, headline(verdict), report, trouble=trouble, saved=saved)


def _document(found: dict[str, object]) -> tuple[str, str]:
    """The name and the text of the repro file. Its steps are what the model makes of the faults. Raises ChaosError."""
    repro = parse(json.dumps(found), Path("a record"))
    scenario = Scenario(repro.events, repro.broker, repro.faults, epoch=repro.epoch)
    schedule = scenario.schedule()
    data = {**found, "schedule": [encode_step(step, repro.faults) for step in schedule]}
    name = file_name(Verdict("violated", scenario=scenario, schedule=schedule, test=repro.test))
    return name, text_of(data)
