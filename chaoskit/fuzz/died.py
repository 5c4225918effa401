"""A worker whose process died while a handler ran: which schedule it was, as a repro file like any other."""

from __future__ import annotations

import json
from pathlib import Path

from chaoskit.apart import died_verdict, play_apart
from chaoskit.errors import ChaosError, ReproError
from chaoskit.fuzz.job import Finding
from chaoskit.fuzz.recorder import last_run
from chaoskit.report.terminal import as_text, headline
from chaoskit.repro import encode_step, file_name, parse, text_of, write
from chaoskit.scenario import Scenario
from chaoskit.verdict import Verdict

AGAIN = "Played once more in a process of its own, it died again"
NOT_AGAIN = "Played once more in a process of its own, it did not die: look for what else differs between two runs"


def finding_of(record: Path, test: str, root: Path, directory: Path) -> Finding | str:
    """The failure behind the death of a worker that kept this record; or what is known, in a sentence, where it cannot
    be a finding. It is saved in `directory`, then played once more to learn the step."""
    found = last_run(record)
    if found is None or found["test"] != test:
        return "the process that ran it died, and what it was at is not known"
    if found["faults"] is None:
        return "the process that ran it died in the handler although everything came once and in order"
    try:
        name, text = _document(found)
        path = write(directory, name, text)
    except ReproError as error:
        return f"the process that ran it died in the handler; {error}"
    except ChaosError as error:
        return f"the process that ran it died in the handler; its schedule is not known: {error}"
    repro = parse(text, path)
    answer = play_apart(repro, root)
    verdict = answer.verdict or died_verdict(repro, "the process died in the handler")
    said = AGAIN if answer.verdict is not None else NOT_AGAIN
    return Finding(name, text, headline(verdict), _report(verdict, path, said))


def _report(verdict: Verdict, path: Path, said: str) -> str:
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    text = as_text(verdict, replay=f"chaoskit replay {shown}")
    return f"{headline(verdict)}\n{said}.\n{text}"


def _document(found: dict[str, object]) -> tuple[str, str]:
    """The name and the text of the repro file. Its steps are what the model makes of the faults. Raises ChaosError."""
    repro = parse(json.dumps(found), Path("a record"))
    scenario = Scenario(repro.events, repro.broker, repro.faults)
    schedule = scenario.schedule()
    data = {**found, "schedule": [encode_step(step, repro.faults) for step in schedule]}
    name = file_name(Verdict("violated", scenario=scenario, schedule=schedule, test=repro.test))
    return name, text_of(data)
