"""`chaoskit.replay`: a repro file played from Python."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any

import attrs

from chaoskit.decorator import subject_of
from chaoskit.execution.event_loop import leaves_no_task, own_loop
from chaoskit.execution.execute import Deliver
from chaoskit.execution.limit import limited
from chaoskit.pytest.replay import outside, replay_with_pytest
from chaoskit.repro.files import Repro, read
from chaoskit.repro.replay import Answer, play
from chaoskit.search.investigate import default_invariants
from chaoskit.search.oracle import Subject
from chaoskit.values.errors import ReproError
from chaoskit.values.verdict import Verdict


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
            subject, terms = attrs.evolve(subject, limit=limit), found.chaos_terms
            return play(repro, subject, across_keys=terms.across_keys, faults=terms.faults)
    if repro.own_broker is not None:
        name = repro.own_broker["kind"]
        why = f"its broker is {name}, a class of your own, which only a test can name: @chaos(…, {name}())"
        return Answer("CANNOT REPLAY", repro.path, repro.test, why)
    with own_loop(leaves_no_task(found)) as run, limited() as limit:

        def body(deliver: Deliver) -> Any:
            return run(deliver)

        is_async = inspect.iscoroutinefunction(found)
        return play(repro, Subject(body, repro.broker, default_invariants(None), is_async, limit))


def _imported(test: str) -> Any:
    """The chaos test, or the function of `deliver`, of this name in a module below the current directory that is
    imported already; nothing is imported for it. Any other function is not for a file to call."""
    file, _, name = test.partition("::")
    if not name or "::" in name or "[" in name:
        return None
    if outside(test, Path.cwd()):
        return None
    wanted = Path(file).resolve()
    for module in list(sys.modules.values()):
        origin = getattr(module, "__file__", None)
        if origin and Path(origin).resolve() == wanted:
            found = vars(module).get(name)
            return found if inspect.isfunction(found) and _is_chaos_test(found) else None
    return None


def _is_chaos_test(found: Any) -> bool:
    return hasattr(found, "chaos_terms") or list(inspect.signature(found).parameters) == ["deliver"]


def _by_pytest(repro: Repro) -> Answer:
    return replay_with_pytest([repro], Path.cwd())[0]
