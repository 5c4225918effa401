"""`chaoskit.replay`: a repro file played from Python."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import attrs

from chaoskit.decorator import subject_of
from chaoskit.errors import ReproError
from chaoskit.execute import Deliver
from chaoskit.investigate import default_invariants
from chaoskit.loop import leaves_no_task, own_loop
from chaoskit.replays import Answer, play
from chaoskit.repro import Repro, read
from chaoskit.run_pytest import replay_with_pytest
from chaoskit.search.subject import Subject
from chaoskit.verdict import Verdict
from chaoskit.watch import limited


def replay(path: str | Path) -> Verdict:
    """Play a repro file against the test that it names: "held" if it is fixed or no longer possible, else "violated".

    A test whose module is imported and that needs no fixtures is called directly; any other is run by pytest, from
    the current directory. Raises ReproError where the file cannot be read or replayed.
    """
    repro = read(Path(path))
    answer = _direct(repro) or _by_pytest(repro)
    if answer.became == "CANNOT REPLAY":
        raise ReproError(f"{path}: {answer.reason}")
    if answer.verdict is None:
        return Verdict("held", notes=(f"no longer possible: {answer.reason}",), test=repro.test)
    return answer.verdict


def _direct(repro: Repro) -> Answer | None:
    found = _imported(repro.test)
    if found is None:
        return None
    if hasattr(found, "chaos_terms"):
        if inspect.signature(found).parameters:
            return None
        with subject_of(found, {}) as subject, limited() as limit:
            subject = attrs.evolve(subject, limit=limit)
            return play(repro, subject, across_keys=found.chaos_terms.across_keys)
    with own_loop(leaves_no_task(found)) as run, limited() as limit:

        def body(deliver: Deliver) -> Any:
            return run(deliver)

        is_async = inspect.iscoroutinefunction(found)
        return play(repro, Subject(body, repro.broker, default_invariants(None), is_async, limit))


def _imported(test: str) -> Any:
    """The function of this name in a module that is imported already; nothing is imported for it."""
    file, _, name = test.partition("::")
    if not name or "::" in name or "[" in name:
        return None
    wanted = Path(file).resolve()
    for module in list(sys.modules.values()):
        origin = getattr(module, "__file__", None)
        if origin and Path(origin).resolve() == wanted:
            found = vars(module).get(name)
            return found if inspect.isfunction(found) else None
    return None


def _by_pytest(repro: Repro) -> Answer:
    return replay_with_pytest([repro], Path.cwd())[0]
