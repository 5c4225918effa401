"""A saved repro as a verdict. Nothing is run: what needs a class of the test stays as it is written."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, get_args

import attrs
from rich.console import RenderableType

from chaoskit.codec import decode_plain
from chaoskit.report.terminal import report
from chaoskit.report.values import Undecoded
from chaoskit.repro.read import Repro
from chaoskit.values.errors import CodecError
from chaoskit.values.invariant import Violation
from chaoskit.values.outcome import Effect
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Schedule
from chaoskit.values.state import parted
from chaoskit.values.verdict import Label, States, Verdict


def saved_verdict(repro: Repro) -> Verdict:
    """What the search reported when it saved this file."""
    expected, observed = _shown(repro.expected), _shown(repro.observed)
    # Without a state, as where the test raised, the message says it all.
    found = parted(expected, observed) if observed is not None else ()
    messages = [str(violation.get("message", violation["invariant"])) for violation in repro.violations]
    violations = [Violation(str(v["invariant"]), m) for v, m in zip(repro.violations, messages, strict=True)]
    # A file has no differences of its own: they are those of its two states, and stand with what is violated first.
    if violations and found:
        violations[0] = Violation(violations[0].invariant, violations[0].message, found)
    return Verdict(
        "violated",
        violations=tuple(violations),
        scenario=Scenario(
            [attrs.evolve(e, value=_shown(e.value)) for e in repro.events],
            repro.broker,
            repro.faults,
            epoch=repro.epoch,
        ),
        schedule=_schedule(repro),
        label=repro.label if repro.label in get_args(Label) else None,  # type: ignore[arg-type]
        expected=expected,
        observed=observed,
        expected_effects=_effects(repro, "in_order"),
        observed_effects=_effects(repro, "observed"),
        test=repro.test,
        states=_states(repro.states),
        versions=repro.versions,
        loss=repro.loss,
        memory_kept=repro.told.get("memory_kept"),
        read=repro.told.get("read", ()),
        also=repro.told.get("also", ()),
        fewer=repro.told.get("fewer", 0),
    )


def _effects(repro: Repro, run: str) -> tuple[Effect, ...]:
    found: tuple[Effect, ...] = repro.told.get("effects", {}).get(run, ())
    return tuple(attrs.evolve(each, key=_shown(each.key), value=_shown(each.value)) for each in found)


def _schedule(repro: Repro) -> Schedule:
    errors = repro.told.get("errors", {})
    steps = enumerate(repro.schedule, start=1)
    return Schedule(tuple(attrs.evolve(step, error=errors.get(str(number))) for number, step in steps))


def saved_report(repro: Repro, *, states: bool = False) -> RenderableType:
    """As text; with the state after each step, if that is wanted."""
    return report(saved_verdict(repro), replay=saved_replay(repro), states=states)


def saved_replay(repro: Repro) -> str:
    """The command that plays this file again; the whole of a zip file, if it came from one."""
    files = [path for path in (repro.path, *repro.path.parents) if path.is_file()]
    return f"chaoskit replay {shlex.quote(str(files[0] if files else repro.path))}"


def _states(states: States | None) -> States | None:
    if states is None:
        return None
    shown = _all_shown(states.in_order), _all_shown(states.observed)
    return States(*shown, states.first_difference, _shown(states.initial))


def _all_shown(encoded: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(_shown(each) for each in encoded)


def _shown(encoded: Any) -> Any:
    """Decoded as far as that is possible without the classes of the test."""
    try:
        return decode_plain(encoded)
    except CodecError:
        if isinstance(encoded, list):
            return [_shown(each) for each in encoded]
        # Part by part, so that one value that needs a class leaves the others readable.
        if isinstance(encoded, dict) and not any(key.startswith("$") for key in encoded):
            return {key: _shown(value) for key, value in encoded.items()}
        return Undecoded(encoded)
