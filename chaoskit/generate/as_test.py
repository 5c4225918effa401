"""A plain pytest regression test from a repro file: one delivery, no search."""

from __future__ import annotations

import functools
import json
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from chaoskit.brokers.together import Together
from chaoskit.codec import encode
from chaoskit.generate.project import (
    class_finder,
    dotted,
    import_name,
    is_own,
    package_root,
    pytest_settings,
    source_roots,
)
from chaoskit.generate.source import WIDTH, Code, Names, call, flat, laid_out, listed, quoted
from chaoskit.generate.target import BY_HAND, Target, target_of
from chaoskit.generate.values import Values
from chaoskit.report.columns import narrow
from chaoskit.report.effects import EFFECTS, effect_lines
from chaoskit.report.saved import saved_verdict
from chaoskit.report.terminal import headline
from chaoskit.report.traced import inside_parts
from chaoskit.repro.read import Repro
from chaoskit.values.epoch import EPOCH
from chaoskit.values.errors import CodecError, ReproError, UsageError
from chaoskit.values.event import Event
from chaoskit.values.faults import Fault
from chaoskit.values.invariant import BODY, DIED, ENDED, HANG
from chaoskit.values.scenario import Broker, Scenario
from chaoskit.values.texts import for_log, visible

CHAOS_TESTS = "chaos_tests"
"""What the module of the chaos test is called: as a module, its test is not collected a second time."""

OTHER_STEPS = (
    "its broker, events and faults do not make the steps of its schedule: it was edited by hand, or made by another "
    "version of chaoskit. `chaoskit replay` follows the steps themselves"
)

_SURVIVES: dict[str, str] = {
    "Redeliver": "a_redelivery",
    "DeadLetter": "a_dead_letter",
    "BatchSwap": "a_batch_swap",
    "Overtake": "being_overtaken",
    "Fail": "a_failed_attempt",
    "Overlap": "an_overlap",
    "Lose": "a_loss",
}


_NEEDS_A_GUARD = {HANG: "does not end", DIED: "takes its process with it"}
"""Violations, by their name in the file, after which nothing could be asserted."""


def regression_test(repro: Repro, root: Path, called: Path) -> str:
    """The source of the test, which stands beside the test that it calls. `root`: from which that one is named.
    `called`: what the user calls the file, which may lie in a zip file.

    Raises ReproError where there is no such test, with what to do instead. Nothing of the file or of the repository is
    imported or run.
    """
    target = target_of(repro.test, root)
    settings = pytest_settings(root)
    _check_it_ends(repro)
    scenario = _scenario(repro)
    if not target.decorated:
        _check_invariants(repro)
    file = root / repro.test.partition("::")[0]
    module = import_name(file, root, settings)
    # Loaded from its path a module has no package to be relative to.
    if module is None and target.imports_relatively:
        raise ReproError(
            f"{file.name} imports relatively and cannot be imported by its neighbours under --import-mode=importlib: "
            f"add its directory to `pythonpath` of pytest's settings. {BY_HAND}"
        )
    # Before anything is written: a name of the test's own must not hide one that the source needs.
    names = _names(target, file, root, module)
    # Classes in the file name their module as it was imported when it was saved; here it has one name.
    renamed = dict.fromkeys(_own_names(file, root, module), module or CHAOS_TESTS)
    roots = [*source_roots(root, settings), package_root(file)]
    values = Values(names, class_finder(file, renamed, roots), renamed)
    body = _body(repro, scenario, target, names, values)
    # In a literal these escapes are what they stand for.
    return for_log(_assembled(attrs.evolve(repro, path=called), root, target, names, body, file, module))


def _names(target: Target, file: Path, root: Path, module: str | None) -> Names:
    reserved = [
        *target.fixtures,
        *target.brought,
        CHAOS_TESTS,
        "scenario",
        "verdict",
        "test",
        "set",
        "frozenset",
        "float",
    ]
    own = dict.fromkeys(_own_names(file, root, module), CHAOS_TESTS)
    return Names(reserved, own, functools.partial(is_own, root))


def _own_names(file: Path, root: Path, module: str | None) -> list[str]:
    """The names that the module of the test may have had when the file was saved."""
    found = [module, dotted(file.resolve().relative_to(root.resolve())), dotted(Path(file.name))]
    return [name for name in dict.fromkeys(found) if name]


# The scenario.


def _scenario(repro: Repro) -> Scenario:
    """Of the values as they are encoded: what happens depends on the keys alone."""
    if _has_serializer(repro.path):
        raise ReproError(f"its broker has a key_serializer, which is a function, and a file cannot hold it. {BY_HAND}")
    if isinstance(repro.broker, Together):
        raise ReproError(f"it is of several streams, and a Scenario has one broker. {BY_HAND}")
    if repro.own_broker is not None:
        name = repro.own_broker["kind"]
        raise ReproError(f"its broker {name} is a class of your own, which a file does not hold. {BY_HAND}")
    try:
        scenario = Scenario(repro.events, repro.broker, repro.faults, epoch=repro.epoch)
        plain = Scenario(repro.events, repro.broker).schedule()
        if not _makes_the_steps(repro, scenario):
            raise ReproError(OTHER_STEPS)
    except UsageError as error:
        raise ReproError(f"{error}. {BY_HAND}") from error
    # A plain test of it would pass, and guard nothing.
    if scenario.schedule().steps == plain.steps:
        raise ReproError(f"its faults change nothing: it is in-order delivery. {BY_HAND}")
    return scenario


def _check_it_ends(repro: Repro) -> None:
    for violation in repro.violations:
        if violation["invariant"] in _NEEDS_A_GUARD:
            raise ReproError(
                f"the run {_NEEDS_A_GUARD[violation['invariant']]}, and so would a plain test: `chaoskit replay` plays "
                f"it where that does no harm. {BY_HAND}"
            )


def _has_serializer(path: Path) -> bool:
    broker = json.loads(path.read_text(encoding="utf-8"))["broker"]
    return broker.get("key_serializer") is not None


def _makes_the_steps(repro: Repro, scenario: Scenario) -> bool:
    """Whether the broker's model makes these steps where the handler refuses what it refused then; or begins with
    them, where the run ended in the middle."""
    steps, refusals = repro.raw_steps()
    play = scenario.broker.model(scenario.stream).play(scenario.faults)
    answer: bool | None = None
    for number, step in enumerate(steps):
        try:
            made = play.send(answer)
        except StopIteration:  # the file has more
            return False
        if tuple(made) != step:
            return False
        answer = number in refusals
    try:
        play.send(answer)
    except StopIteration:
        return True
    # The model has more: only a run that ended in the middle has not come to it.
    return repro.breaks(BODY) or repro.breaks(ENDED)


def _check_invariants(repro: Repro) -> None:
    broken = {str(violation["invariant"]) for violation in repro.violations}
    if repro.settled() is not None:
        raise ReproError(f"its handler settles its messages itself, to which a plain test has no broker. {BY_HAND}")
    unknown = broken - {"final_state", "refused", BODY}
    if unknown and unknown == broken:
        raise ReproError(
            f"it breaks {', '.join(sorted(broken))}, which was given to check() and is not in the file: call "
            "chaoskit.run(test, scenario, invariants=…) by hand"
        )


# The test.


def _body(repro: Repro, scenario: Scenario, target: Target, names: Names, values: Values) -> str:
    broker, scenario_name = _broker(repro.broker, names), names.name("chaoskit", "Scenario")
    events = [_event(event, key, names, values) for event, key in zip(repro.events, repro.keys, strict=True)]
    faults = [_fault(fault, names) for fault in scenario.faults]
    begins = {} if scenario.epoch == EPOCH else {"epoch": repr(scenario.epoch)}
    made = call(scenario_name, [listed(events, spread=True), broker, listed(faults)], begins, spread=True)
    scenario_, verdict, test = (_local(name, target) for name in ("scenario", "verdict", "test"))
    called = f"{CHAOS_TESTS}.{target.call}"
    lines = [laid_out(made, indent=4, before=f"{scenario_} = ")]
    if target.fixtures or target.arguments:
        given: dict[str, Code] = {name: values.source(encode(value)) for name, value in target.arguments.items()}
        given |= {fixture: fixture for fixture in target.fixtures}
        partial = call(names.name("functools", "partial"), [called], given)
        lines.append(laid_out(partial, indent=4, before=f"{test} = "))
        called = test
    run = call(names.name("chaoskit", "run"), [called, scenario_])
    lines.append(laid_out(run, indent=4, before=f"{verdict} = "))
    return "\n".join([*lines, f'    assert {verdict}.status == "held", {verdict}.report()'])


def _local(name: str, target: Target) -> str:
    return f"the_{name}" if name in target.fixtures else name


def _event(event: Event, key: Any, names: Names, values: Values) -> Code:
    try:
        parts = values.source(key), values.source(event.value)
    except CodecError as error:
        raise ReproError(f"event {event.id!r}: {error}. {BY_HAND}") from error
    return call(names.name("chaoskit", "Event"), parts, {"id": _plain(event.id)})


def _broker(broker: Broker, names: Names) -> Code:
    """Its class, with the settings that are not the defaults."""
    kind: Any = type(broker)
    settings = {f.name: getattr(broker, f.name) for f in attrs.fields(kind) if getattr(broker, f.name) != f.default}
    return call(names.name("chaoskit", kind.__name__), (), {name: _plain(value) for name, value in settings.items()})


def _fault(fault: Fault, names: Names) -> Code:
    fields = [field for field in attrs.fields(type(fault)) if field.name != "at"]
    given = {f.name: getattr(fault, f.name) for f in fields if getattr(fault, f.name) != f.default}
    kind = names.name("chaoskit", type(fault).__name__)
    return call(kind, [_plain(fault.at)], {name: _plain(value) for name, value in given.items()})


def _plain(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else repr(value)


def _assembled(
    repro: Repro, root: Path, target: Target, names: Names, body: str, file: Path, module: str | None
) -> str:
    verdict = saved_verdict(repro)
    made = f"Made by `chaoskit replay --as-test` from {_from_root(repro.path, root)}: this delivery alone, no search."
    head = _docstring([_sentence(headline(verdict)), "", made])
    assert verdict.schedule is not None
    ids = {str(event.id) for event in repro.events}
    told = [said for _, said in repro.broker.explain(verdict.schedule, repro.events)]
    # An id at the beginning stays as it is spelled.
    sentences = [_sentence(said if said.split()[0] in ids else said[0].upper() + said[1:]) for said in told]
    marks = list(target.marks)
    if target.used:
        marks.append(flat(call("pytest.mark.usefixtures", map(quoted, target.used))))
    if marks:
        names.module("pytest")
    above = "".join(f"@{mark}\n" for mark in marks)
    name = _test_name(repro, target)
    signature = laid_out(call(f"def {name}", target.fixtures), after=":")
    by_path = "" if module else f"\n{_by_path(file, names)}\n"
    brought = [f"{each} = {CHAOS_TESTS}.{each}" for each in target.brought]
    if brought:
        by_path += "\n# The fixtures of that module, for this one.\n" + "\n".join(brought) + "\n"
    imports = names.imports([f"import {module} as {CHAOS_TESTS}"] if module else [])
    inside = [line for part in inside_parts(verdict.schedule) for line in ("", f"{part.heading}:", *part.lines)]
    left = _comment(EFFECTS, effect_lines(verdict))
    test = f"{above}{signature}\n{_docstring(sentences, inside, indent=4)}\n{left}{body}\n"
    return f"{head}\n\n{imports}\n{by_path}\n\n{test}"


def _by_path(file: Path, names: Names) -> str:
    """The lines that load the module of the chaos test from its file."""
    util, sys = "importlib.util", names.module("sys")
    here = call(f"{names.name('pathlib', 'Path')}(__file__).with_name", [quoted(file.name)])
    made = call(names.name(util, "spec_from_file_location"), [quoted(CHAOS_TESTS), here])
    lines = [
        "# This directory is not on the import path (--import-mode=importlib): the file is",
        "# loaded from its place.",
        laid_out(made, before="spec = "),
        f"{CHAOS_TESTS} = {names.name(util, 'module_from_spec')}(spec)",
        f'{sys}.modules["{CHAOS_TESTS}"] = {CHAOS_TESTS}',
        f"spec.loader.exec_module({CHAOS_TESTS})",
    ]
    return "\n".join(lines)


def _test_name(repro: Repro, target: Target) -> str:
    test = target.call.rpartition(".")[2]
    names = [type(fault).__name__ for fault in repro.faults]
    kinds = dict.fromkeys(_SURVIVES.get(name, f"a_{name.lower()}") for name in names)
    return f"{test if test.startswith('test') else f'test_{test}'}_survives_{'_and_'.join(kinds)}"


def _from_root(path: Path, root: Path) -> str:
    """Where the file is in the repository; its name alone where it lies elsewhere."""
    place = path.resolve()
    return place.relative_to(root.resolve()).as_posix() if place.is_relative_to(root.resolve()) else path.name


# Texts.


def _comment(heading: str, lines: Sequence[str]) -> str:
    """Lines below a heading, each whole, in front of the statements of a test; nothing where there are none."""
    if not lines:
        return ""
    wrapped = [f"{heading}:"]
    for line in lines:
        text = visible(re.sub(r"[^\S ]+", " ", line))
        wrapped += textwrap.wrap(
            text, WIDTH - 8, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    return "".join(f"    # {line}\n" for line in wrapped)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _docstring(paragraphs: Sequence[str], below: Sequence[str] = (), *, indent: int = 0) -> str:
    """Each paragraph on lines of its own; on one line where there is one that fits. `below`: lines of a fixed width."""
    blanks = " " * indent
    safe = [_safe(paragraph) for paragraph in paragraphs]
    if len(safe) == 1 and not below and indent + len(safe[0]) + 6 <= WIDTH:
        return f'{blanks}"""{safe[0]}"""'
    safe[0] = f'"""{safe[0]}'
    lines = []
    # A single line would take the closing quotes, too.
    width = WIDTH - indent - (3 if len(safe) == 1 and not below else 0)
    for text in safe:
        lines += textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    lines += [_safe(narrow(line, WIDTH - indent)) for line in below]
    return "\n".join(f"{blanks}{line}".rstrip() for line in [*lines, '"""'])


def _safe(text: str) -> str:
    """Such that it cannot end the docstring or show other than it is."""
    text = visible(re.sub(r"[^\S ]+", " ", text)).replace("\\", "\\\\")
    text = text.replace('"""', '\\"\\"\\"')
    return text[:-1] + '\\"' if text.endswith('"') else text
