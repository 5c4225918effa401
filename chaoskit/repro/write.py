"""Writing a repro file: literal, readable, whole or not at all."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from chaoskit.codec import lenient
from chaoskit.repro.converter import CONVERTER
from chaoskit.repro.read import Repro, parse, text_in
from chaoskit.repro.values import FORMAT, encode_broker, encode_event, encode_step, event_as_text, versions
from chaoskit.values.epoch import EPOCH
from chaoskit.values.errors import CodecError, ReproError
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import Fail, Fault, reaches_in
from chaoskit.values.outcome import Effect
from chaoskit.values.verdict import States, Verdict

MOST_OF_STATES = 256 * 1024
"""Characters of the states along the way in a file; where they are more they are left out."""

AS_TEXT = ".as-text.json"
"""How the file of a failure ends that has the text of some values only, so that it can be read and not be replayed."""


def document(verdict: Verdict, write_event: Callable[[Event], dict[str, Any]] = encode_event) -> dict[str, Any]:
    """The file as JSON data. Raises ReproError for a verdict without a failing schedule, CodecError for a value."""
    if verdict.status != "violated" or verdict.scenario is None or verdict.schedule is None:
        raise ReproError(f"nothing to save: the verdict is {verdict.status}")
    scenario = verdict.scenario
    faults = list(scenario.faults)
    data = {
        "format": FORMAT,
        "test": verdict.test or "",
        "broker": encode_broker(scenario.broker),
        "events": [write_event(event) for event in scenario.events],
        "faults": [CONVERTER.unstructure(fault, Fault) for fault in faults],
        "schedule": [encode_step(step, faults) for step in verdict.schedule],
        # For readers only: what has no encoding is text here, and costs no file.
        "expected": lenient(verdict.expected),
        "observed": lenient(verdict.observed),
        "violations": [{"invariant": v.invariant, "message": v.message} for v in verdict.violations],
        "label": verdict.label,
        "versions": versions(),
    }
    if verdict.loss != "left out":  # what files of before mean that say nothing
        data["loss"] = verdict.loss
    if scenario.epoch != EPOCH:  # as files of before have none
        data["epoch"] = scenario.epoch
    if verdict.found is not None:
        data["found"] = [write_event(event) for event in verdict.found]
        data["found_faults"] = [CONVERTER.unstructure(fault, Fault) for fault in verdict.found_faults]
    if verdict.states is not None and (states := _encode_states(verdict.states)) is not None:
        data["states"] = states
    if shown := _shown(verdict):
        data["told"] = shown
    return data


def _shown(verdict: Verdict) -> dict[str, Any]:
    """What a report says besides: with what the handler raised, by the number of the step, whether its memory survived
    restarts, which fields it read first, the effects that left, the kinds of fault under which it fails alike, and how
    many events fail by themselves where the stream is a whole one."""
    assert verdict.schedule is not None
    errors = {str(number): step.error for number, step in enumerate(verdict.schedule, start=1) if step.error}
    effects = {
        run: [_encode_effect(effect) for effect in given]
        for run, given in (("in_order", verdict.expected_effects), ("observed", verdict.observed_effects))
        if given
    }
    found = {"errors": errors, "effects": effects, "memory_kept": verdict.memory_kept, "read": list(verdict.read)}
    found |= {"also": list(verdict.also), "fewer": verdict.fewer or None}
    return {name: value for name, value in found.items() if value not in ({}, None, [])}


def _encode_effect(effect: Effect) -> dict[str, Any]:
    data = {"name": effect.name, "key": lenient(effect.key), "value": lenient(effect.value)}
    data |= {"event": effect.event, "step": effect.step}
    return {name: value for name, value in data.items() if value is not None}


def _encode_states(states: States) -> dict[str, Any] | None:
    """None where they would make the file huge."""
    data: dict[str, Any] = {
        "in_order": [lenient(state) for state in states.in_order],
        "observed": [lenient(state) for state in states.observed],
    }
    if states.first_difference is not None:
        data["first_difference"] = states.first_difference
    if states.initial is not None:
        data["initial"] = lenient(states.initial)
    # Left out, and not cut: half of the states would be read as all.
    return data if len(json.dumps(data)) <= MOST_OF_STATES else None


def file_name(verdict: Verdict) -> str:
    """A slug of the test and a hash of test, broker, faults and the keys of the events; values and ids are left out."""
    assert verdict.scenario is not None
    scenario = verdict.scenario
    keys = [lenient(event.key) for event in scenario.events]
    broker = encode_broker(scenario.broker)
    return _name(verdict.test or "", broker, [event.id for event in scenario.events], keys, scenario.faults)


def file_name_of(repro: Repro) -> str:
    """The name that `file_name` gave when this was saved, wherever it was read from."""
    broker = repro.own_broker or encode_broker(repro.broker)
    return _name(repro.test, broker, [event.id for event in repro.events], repro.keys, repro.faults)


def _name(
    test: str, broker: Mapping[str, Any], ids: Sequence[EventId], keys: Sequence[Any], faults: Sequence[Fault]
) -> str:
    positions = {id_: i for i, id_ in enumerate(ids)}
    # Without the point of an attempt that failed before anything: files of it had their names before there were points.
    parameters = [attrs.astuple(f)[1 : None if reaches_in(f) or not isinstance(f, Fail) else -1] for f in faults]
    plain = [[type(f).__name__, positions[f.at], *each] for f, each in zip(faults, parameters, strict=True)]
    identity = json.dumps([test or None, broker, sorted(plain), list(keys)], sort_keys=True)
    return f"{slug(test or 'check')}-{hashlib.sha256(identity.encode()).hexdigest()[:10]}.json"


def slug(test: str) -> str:
    """At most 60 characters that every file system takes, ending with the test's own name."""
    return re.sub(r"[^A-Za-z0-9]+", "-", test.replace(".py::", "-")).strip("-")[-60:].strip("-") or "test"


def failure_name(name: str, text: str) -> str:
    """`name` with a hash of all that makes this failure, so that no other one has it: also the values of the events,
    the steps and what is violated. Ids and versions are left out."""
    stem, dot, suffix = name.partition(".")
    return f"{stem}-{hashlib.sha256(_failure(text).encode('utf-8', 'replace')).hexdigest()[:8]}{dot}{suffix}"


def _failure(text: str) -> str:
    """What is the same in two files only where they are the same failure. Of a file that this version cannot read it is
    the whole text."""
    try:
        repro = parse(text, Path())
    except ReproError:
        return text
    steps, refused = repro.raw_steps()
    violated = sorted({violation["invariant"] for violation in repro.violations})
    values = [event.value for event in repro.events]
    return json.dumps([file_name_of(repro), values, steps, sorted(refused), violated], sort_keys=True)


def save(verdict: Verdict, directory: Path, *, suffix: str = ".json") -> Path:
    """Write the file whole or not at all, and give its path. See `write` for where one of its name is there already.

    Raises CodecError where a value has no encoding. What can be saved then is, for whoever reads it: it ends in
    `AS_TEXT`, so that it is not in the way of the file that can be written once the type is registered.
    """
    try:
        text = text_of(document(verdict))
    except CodecError as error:
        if suffix != ".json":
            raise
        path = write(directory, _ending(verdict, AS_TEXT), text_of(document(verdict, event_as_text)))
        where = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        raise CodecError(f"{error}\nWhat could be saved without it is in {where}") from error
    return write(directory, _ending(verdict, suffix), text)


def _ending(verdict: Verdict, suffix: str) -> str:
    return file_name(verdict).removesuffix(".json") + suffix


def text_of(data: Mapping[str, Any]) -> str:
    """The text of a file with this data."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    if any("\ud800" <= character <= "\udfff" for character in set(text)):  # a lone surrogate is no UTF-8
        text = json.dumps(data, indent=2) + "\n"
    return text


def write(directory: Path, name: str, text: str) -> Path:
    """Write a repro file that is there as text, and give its path. Raises ReproError with the reason.

    A file of this name that is there already stays. If it is the same failure it stands for this one, too; else this
    one gets another name: the file may be one that is repaired, or have values with which something else breaks.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return next(path for path in _places(directory, name, text) if _is_new(path, text) or _is_there(path, text))
    except OSError as error:
        raise ReproError(f"no repro file: {directory} cannot be written: {error.strerror or error}") from error


def _places(directory: Path, name: str, text: str) -> Iterator[Path]:
    """Where this may be written, one after the other, the same for everybody who has found it."""
    yield directory / name
    stem, dot, suffix = failure_name(name, text).partition(".")
    yield directory / f"{stem}{dot}{suffix}"
    for number in itertools.count(2):  # somebody has edited that one
        yield directory / f"{stem}-{number}{dot}{suffix}"


def _is_there(path: Path, text: str) -> bool:
    """Whether this file is the same failure."""
    try:
        return _failure(text_in(path)) == _failure(text)
    except ReproError:  # not ours; or deleted just now
        return False


def _is_new(path: Path, text: str) -> bool:
    """Write the file, unless there is one."""
    if path.exists():
        return False
    # In the same directory: a link or a rename does not cross file systems.
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o644)  # mkstemp makes it readable for its owner only
        # A link, since a rename would replace what another process has written in between.
        return _linked(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _linked(name: str, path: Path) -> bool:
    """Give the file `name` this path, unless somebody else was faster."""
    try:
        os.link(name, path)
    except FileExistsError:
        return False
    except (
        OSError,
        AttributeError,
        NotImplementedError,
    ):  # no hard links here: whoever makes the empty file has the name
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return False
        os.replace(name, path)
    return True
