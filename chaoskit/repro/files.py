"""The repro file: literal, readable, and data only."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import platform
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import attrs
import cattrs
import hypothesis
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_tagged_union

from chaoskit.brokers import BROKERS, is_own
from chaoskit.codec import Shown, decode, decode_plain, encode, lenient
from chaoskit.repro import bounds
from chaoskit.repro.own_broker import is_of_own, own_settings, same_own, stand_in
from chaoskit.values.epoch import EPOCH, is_epoch
from chaoskit.values.errors import ChaosError, CodecError, ReproError, StreamError, UsageError, did_you_mean
from chaoskit.values.event import Event, EventId, Stream
from chaoskit.values.faults import KIND_BY_NAME, Fault
from chaoskit.values.scenario import Broker
from chaoskit.values.schedule import ACTIONS, DELIVER_LIKE, Do, Raw, Step, to_raw
from chaoskit.values.texts import visible
from chaoskit.values.verdict import Loss, States, Verdict
from chaoskit.version import __version__

FORMAT = 1
MOST_OF_STATES = 256 * 1024
"""Characters of the states along the way in a file; where they are more they are left out."""
AS_TEXT = ".as-text.json"
"""How the file of a failure ends that has the text of some values only, so that it can be read and not be replayed."""
_TEST = re.compile(r"[^-:\s][^:\r\n\0]*\.py::[^\r\n\0]+")
_REQUIRED = (
    "test",
    "broker",
    "events",
    "faults",
    "schedule",
    "expected",
    "observed",
    "violations",
    "versions",
)


@attrs.frozen
class AsFound:
    """The scenario as the search met it, before it was made minimal. Values and `keys` are encoded."""

    events: tuple[Event, ...]
    faults: tuple[Fault, ...]
    keys: tuple[Any, ...]

    def stream(self) -> Stream:
        """The events with their values decoded. Raises ReproError."""
        return _decoded(self.keys, self.events)


def _decoded(keys: Sequence[Any], events: Sequence[Event]) -> Stream:
    with refused_as_one_line():
        for key, event in zip(keys, events, strict=True):
            if text := _kept_as_text([key, event.value]):
                raise CodecError(
                    f"only the text of a value of event {event.id} was kept: {text}. Register its type "
                    "(chaoskit.codec.register), let the test find it again, and delete this file"
                )
        pairs = zip(keys, events, strict=True)
        return Stream.of([Event(decode(key), decode(event.value), event.id, event.seq) for key, event in pairs])


@attrs.frozen
class Repro:
    """A file that was read. Values of events, `expected`, `observed` and `states` are still encoded: decoding them
    needs the classes that the test's module imports. Keys are decoded where that is possible without; `keys` has them
    encoded. `told` is what reports say besides, and nothing is played from it.
    """

    path: Path
    test: str
    broker: Broker
    events: tuple[Event, ...]
    faults: tuple[Fault, ...]
    schedule: tuple[Step, ...]
    expected: Any
    observed: Any
    violations: tuple[Mapping[str, Any], ...]
    keys: tuple[Any, ...]
    label: str | None = None
    states: States | None = None
    versions: Mapping[str, str] = attrs.field(factory=dict)
    loss: Loss = "left out"
    epoch: float = EPOCH
    found: AsFound | None = None
    told: Mapping[str, Any] = attrs.field(factory=dict)
    own_broker: Mapping[str, Any] | None = None
    """What the file says of a broker of the user's own; `broker` stands in for it then."""

    def breaks(self, invariant: str) -> bool:
        """Whether this is among what is violated."""
        return any(violation["invariant"] == invariant for violation in self.violations)

    def stream(self) -> Stream:
        """The events with their values decoded. Raises ReproError."""
        return _decoded(self.keys, self.events)

    def raw_steps(self) -> tuple[list[Raw], frozenset[int]]:
        """The steps as they are played, and the numbers of those that were refused."""
        positions = {event.id: i for i, event in enumerate(self.events)}
        steps = [to_raw(step, positions) for step in self.schedule]
        return steps, frozenset(i for i, step in enumerate(self.schedule) if step.raised)


# Our own values as JSON: cattrs does the work, and refuses what it does not know.


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, omit_if_default=False)

    def identity(value: Any, _: Any) -> EventId:
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise ValueError(f"{value!r} is not an event id")
        return value

    def exactly(value: Any, kind: type) -> Any:
        if type(value) is not kind:
            raise ValueError(f"{value!r} is not {kind.__name__}")
        return value

    for kind in (int, bool, str):
        converter.register_structure_hook(kind, exactly)
    converter.register_structure_hook_func(lambda t: t == EventId, identity)
    converter.register_structure_hook_func(
        lambda t: t == EventId | None, lambda value, t: None if value is None else identity(value, t)
    )
    converter.register_structure_hook_func(lambda t: t == Fault | None, lambda value, _: value)
    configure_tagged_union(Fault, converter, tag_name="fault")
    converter.register_structure_hook(
        Event,
        make_dict_structure_fn(
            Event,
            converter,
            key=override(struct_hook=lambda value, _: value),
            value=override(struct_hook=lambda value, _: value),
            _cattrs_forbid_extra_keys=True,
        ),
    )
    converter.register_unstructure_hook(
        Event,
        make_dict_unstructure_fn(
            Event, converter, key=override(unstruct_hook=encode), value=override(unstruct_hook=encode)
        ),
    )
    return converter


CONVERTER = _converter()


def encode_event(event: Event) -> dict[str, Any]:
    """An event as it is written. Raises CodecError, which names the event."""
    return {
        "id": event.id,
        "key": encode(event.key, f"the key of event {event.id}"),
        "seq": event.seq,
        "value": encode(event.value, f"the value of event {event.id}"),
    }


def _event_as_text(event: Event) -> dict[str, Any]:
    """An event of which that has an encoding which can have one, and the text of the rest is kept."""
    return {"id": event.id, "key": lenient(event.key), "seq": event.seq, "value": lenient(event.value)}


def encode_broker(broker: Broker) -> dict[str, Any]:
    """Kind and settings. A function among them is written as its name, and read as None."""
    own = is_own(broker)
    settings = {field.name: getattr(broker, field.name) for field in attrs.fields(type(broker))}  # type: ignore[arg-type]
    plain = {k: getattr(v, "__qualname__", repr(v)) if callable(v) else v for k, v in settings.items()}
    if own:
        return own_settings(broker, plain)
    return {"kind": type(broker).__name__, **plain}


def decode_broker(data: Any) -> Broker:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise ReproError('"broker" must be an object with a "kind"')
    kind = BROKERS.get(data["kind"])
    if kind is None:
        raise ReproError(f"unknown broker {data['kind']!r}{did_you_mean(data['kind'], BROKERS)}")
    known = {field.name for field in attrs.fields(kind)}
    settings = {name: value for name, value in data.items() if name not in ("kind", "key_serializer")}
    for name in settings:
        if name not in known:
            raise ReproError(f"{data['kind']} has no setting {name!r}{did_you_mean(name, known)}")
    bounds.check_settings(settings)
    try:
        return kind(**settings)
    except UsageError as error:
        raise ReproError(f'"broker": {error}') from error


def same_settings(one: Broker, two: Broker) -> bool:
    """Equal but for functions, which a file cannot hold."""
    left, right = encode_broker(one), encode_broker(two)
    for settings in (left, right):
        settings.pop("key_serializer", None)
    return left == right


def _kept_as_text(encoded: Any) -> str:
    """The first value of which only the text is there."""
    if isinstance(encoded, dict):
        if isinstance(text := encoded.get("$repr"), str):
            return text
        encoded = list(encoded.values())
    return next(filter(None, map(_kept_as_text, encoded)), "") if isinstance(encoded, list) else ""


def is_kind_of(repro: Repro, broker: Broker) -> bool:
    """Whether the test's broker is of the class that the file names; one of the user's own has its name alone."""
    if repro.own_broker is not None:
        return is_own(broker) and type(broker).__name__ == repro.own_broker["kind"]
    return type(broker) is type(repro.broker)


def saved_with(repro: Repro, broker: Broker) -> bool:
    """Whether the settings of the test's broker are those that the file was saved with."""
    if repro.own_broker is not None:
        return same_own(repro.own_broker, encode_broker(broker))
    return same_settings(repro.broker, broker)


def with_shown_values(repro: Repro) -> list[Event]:
    """The events, with what needs a class of the test shown as it is written."""
    return [attrs.evolve(event, value=shown_value(event.value)) for event in repro.events]


def shown_value(encoded: Any) -> Any:
    """The value, or its encoding where it needs a class."""
    try:
        return decode_plain(encoded)
    except CodecError:
        return encoded


# Writing.


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
        "expected": lenient(verdict.expected),
        "observed": lenient(verdict.observed),
        "violations": [{"invariant": v.invariant, "message": v.message} for v in verdict.violations],
        "label": verdict.label,
        "versions": versions(),
    }
    if verdict.loss != "left out":  # what files of before mean that say nothing
        data["loss"] = verdict.loss
    if scenario.epoch != EPOCH:
        data["epoch"] = scenario.epoch
    if verdict.found is not None:
        data["found"] = [write_event(event) for event in verdict.found]
        data["found_faults"] = [CONVERTER.unstructure(fault, Fault) for fault in verdict.found_faults]
    if verdict.states is not None and (states := _encode_states(verdict.states)) is not None:
        data["states"] = states
    if told := _told(verdict):
        data["told"] = told
    return data


def _told(verdict: Verdict) -> dict[str, Any]:
    """What a report says besides: with what the handler raised, by the number of the step, whether its memory survived
    restarts, and which fields it read first."""
    assert verdict.schedule is not None
    errors = {str(number): step.error for number, step in enumerate(verdict.schedule, start=1) if step.error}
    found = {"errors": errors, "memory_kept": verdict.memory_kept, "read": list(verdict.read)}
    return {name: value for name, value in found.items() if value not in ({}, None, [])}


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
    return data if len(json.dumps(data)) <= MOST_OF_STATES else None


def encode_step(step: Step, faults: Sequence[Fault]) -> dict[str, Any]:
    """A step as it is written; its fault as a number among these."""
    data: dict[str, Any] = {"action": step.action, "consumer": step.consumer}
    for name in ("event", "partition", "offset", "attempt"):
        if getattr(step, name) is not None:
            data[name] = getattr(step, name)
    if step.fault is not None:
        data["fault"] = faults.index(step.fault)
    if step.raised:
        data["raised"] = True
    if step.copy is not None:
        data["copy"] = attrs.asdict(step.copy, filter=lambda _, value: value is not None)
    return data


def versions() -> dict[str, str]:
    """Of what made the file."""
    python = platform.python_version()
    return {"chaoskit": __version__, "hypothesis": str(hypothesis.__version__), "python": python}


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
    plain = [[type(f).__name__, positions[f.at], *attrs.astuple(f)[1:]] for f in faults]
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
        path = write(directory, _ending(verdict, AS_TEXT), text_of(document(verdict, _event_as_text)))
        where = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        raise CodecError(f"{error}\nWhat could be saved without it is in {where}") from error
    return write(directory, _ending(verdict, suffix), text)


def _ending(verdict: Verdict, suffix: str) -> str:
    return file_name(verdict).removesuffix(".json") + suffix


def text_of(data: Mapping[str, Any]) -> str:
    """The text of a file with this data."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    if any("\ud800" <= character <= "\udfff" for character in text):  # a lone surrogate is no UTF-8
        text = json.dumps(data, indent=2) + "\n"
    return text


def write(directory: Path, name: str, text: str) -> Path:
    """Write a repro file that is there as text, and give its path. Raises ReproError with the reason.

    Where a file of this name is there it is kept. If it is the same failure it stands for this one, too; else this one
    gets another name: the file may be one that is repaired, or have values with which something else breaks.
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
        return _failure(_text_in(path)) == _failure(text)
    except ReproError:  # not ours; or deleted just now
        return False


def _is_new(path: Path, text: str) -> bool:
    """Write the file, unless there is one."""
    if path.exists():
        return False
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(name, 0o644)
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


# Reading.


def read(path: Path) -> Repro:
    """Read and check a file. Raises ReproError with one line that says what is wrong; runs nothing."""
    return parse(_text_in(path), path)


def _text_in(path: Path) -> str:
    """What stands in a file. A link in somebody else's repository may lead to a device that never ends."""
    try:
        if path.exists() and not path.is_file():
            raise ReproError("not a file")
        with path.open("rb") as file:
            content = file.read(bounds.LARGEST_FILE + 1)
        return content.decode()
    except FileNotFoundError:
        raise ReproError("no such file") from None
    except UnicodeDecodeError:
        raise ReproError("not UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ReproError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(text: str, path: Path) -> Repro:
    """What `read` makes of the text of a file that is called `path`."""
    if len(text) > bounds.LARGEST_FILE:
        raise ReproError(f"larger than {bounds.LARGEST_FILE:,} bytes, which is all that a repro file may have")
    with refused_as_one_line():
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ReproError(f"not JSON, or cut off: {error}") from None
        return _from_document(path, data)


@contextmanager
def refused_as_one_line() -> Iterator[None]:
    """Within this, whatever a file makes our code raise is the file's fault: a ReproError. It is the only place that
    says so, and all that reads or plays what may be a stranger's goes through it. Hence the broad `except`: a number of
    5,000 digits is a ValueError, a date past the year 9999 an OverflowError, and the next one nobody has thought of."""
    try:
        yield
    except ReproError:
        raise
    except ChaosError as error:
        raise ReproError(str(error)) from None
    except Exception as error:  # noqa: BLE001 - see above
        raise ReproError(f"broken ({type(error).__name__}: {_said(error)})") from None


def _said(error: Exception) -> str:
    """Its text; one that was made of what cannot be printed has none."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is about a stranger's value, whose text may be what is wrong with it
        return ""


def _from_document(path: Path, data: Any) -> Repro:
    if not isinstance(data, dict) or "format" not in data:
        raise ReproError('not a repro file: there is no "format"')
    if type(data["format"]) is not int or data["format"] != FORMAT:
        raise ReproError(f"format {data['format']!r} is not known to this version of chaoskit, which reads {FORMAT}")
    missing = [name for name in _REQUIRED if name not in data]
    if missing:
        raise ReproError(f"{', '.join(missing)} missing")
    test = data["test"]
    if not isinstance(test, str) or (test and not _is_test(test)):
        raise ReproError(f'"test" is {test!r}, not a pytest node id such as tests/test_wallet.py::test_wallet')
    bounds.check(data)
    stamped, keys = _read_events(data["events"], "events")
    ids = {event.id for event in stamped}
    faults = tuple(_read_fault(fault, ids) for fault in _list(data["faults"], "faults"))
    steps = tuple(_read_step(step, ids, faults) for step in _list(data["schedule"], "schedule"))
    violations = _list(data["violations"], "violations")
    if not violations or not all(isinstance(v, dict) and isinstance(v.get("invariant"), str) for v in violations):
        raise ReproError('"violations" must be a list of objects with an "invariant", and name one at least')
    own = data["broker"] if is_of_own(data["broker"]) else None
    broker = decode_broker(data["broker"]) if own is None else stand_in(own, faults)
    label = data.get("label")
    return Repro(
        path, test, broker, stamped, faults, steps, data["expected"], data["observed"],
        tuple(violations), keys, label if isinstance(label, str) else None,
        _read_states(data, len(stamped), len(steps)), _read_versions(data["versions"]), _read_loss(data),
        _read_epoch(data),
        _read_found(data), _read_told(data.get("told")), own,
    )  # fmt: skip


def _read_events(data: Any, name: str) -> tuple[tuple[Event, ...], tuple[Any, ...]]:
    """The events, and their keys as they are written."""
    events = tuple(_structured(event, Event, name) for event in _list(data, name))
    stamped = Stream.of([attrs.evolve(event, key=_key(event.key)) for event in events]).events
    return stamped, tuple(event.key for event in events)


def _read_found(data: Mapping[str, Any]) -> AsFound | None:
    """Files of before have its events only, and of other streams there is none."""
    if data.get("found") is None or "found_faults" not in data:
        return None
    events, keys = _read_events(data["found"], "found")
    ids = {event.id for event in events}
    return AsFound(events, tuple(_read_fault(f, ids) for f in _list(data["found_faults"], "found_faults")), keys)


def _is_test(test: str) -> bool:
    """Whether this can be the name of a test: never an option, and nothing that a terminal would obey."""
    return len(test) <= bounds.LONGEST_TEST and visible(test) == test and _TEST.fullmatch(test) is not None


def _read_states(data: Mapping[str, Any], events: int, steps: int) -> States | None:
    """Files of before have none, and a person may take them out."""
    states = data.get("states")
    if states is None:
        return None
    if not isinstance(states, dict):
        raise ReproError('"states" must be an object with "in_order" and "observed"')
    for name, noun, needed in (("in_order", "event", events), ("observed", "step", steps)):
        if not isinstance(found := states.get(name), list) or len(found) != needed:
            raise ReproError(
                f'"states": "{name}" must be a list of {needed}, one for each {noun}; or take "states" out'
            )
    first = states.get("first_difference")
    if first is not None and (type(first) is not int or not 1 <= first <= steps):
        raise ReproError(f'"states": "first_difference" is {first!r}, not the number of a step')
    return States(tuple(states["in_order"]), tuple(states["observed"]), first, states.get("initial"))


def _read_epoch(data: Mapping[str, Any]) -> float:
    """Files of before have none."""
    epoch: Any = data.get("epoch", EPOCH)
    if not is_epoch(epoch):
        raise ReproError(f'"epoch" is {visible(repr(epoch)[:40])}: seconds since 1970 are needed')
    return float(epoch)


def _read_loss(data: Mapping[str, Any]) -> Loss:
    """Files of before say nothing: what was lost was left out then."""
    loss: Any = data.get("loss", "left out")
    if loss not in get_args(Loss):
        raise ReproError(f'"loss" is {loss!r}: "left out" or "violation" is needed')
    return loss  # type: ignore[no-any-return]


def _read_versions(data: Any) -> dict[str, str]:
    """They are shown and never used: of a file with something else there, nothing is shown."""
    return {str(name): str(version) for name, version in data.items()} if isinstance(data, dict) else {}


def _read_told(data: Any) -> dict[str, Any]:
    """Only what is as it is written here: it is shown, and no reason not to replay the rest."""
    if not isinstance(data, dict):
        return {}
    errors, read, kept = data.get("errors"), data.get("read"), data.get("memory_kept")
    errors = errors if isinstance(errors, dict) else {}
    return {
        "errors": {number: text for number, text in errors.items() if isinstance(text, str)},
        "memory_kept": kept if isinstance(kept, bool) else None,
        "read": tuple(name for name in read if isinstance(name, str)) if isinstance(read, list) else (),
    }


def _key(encoded: Any) -> Any:
    """The key, or its text where it needs a class, of which others are imported when it is played."""
    try:
        return decode_plain(encoded)
    except CodecError:
        return Shown(json.dumps(encoded, sort_keys=True))


def _list(data: Any, name: str) -> list[Any]:
    if not isinstance(data, list):
        raise ReproError(f'"{name}" must be a list')
    return data


def _structured(data: Any, kind: Any, name: str) -> Any:
    try:
        return CONVERTER.structure(data, kind)
    except (cattrs.BaseValidationError, StreamError, TypeError, ValueError) as error:
        found = (
            cattrs.transform_error(error, path="") if isinstance(error, cattrs.BaseValidationError) else [str(error)]
        )
        raise ReproError(f'"{name}": ' + "; ".join(found[:2])) from error


def _read_fault(data: Any, ids: set[EventId]) -> Fault:
    kind = data.get("fault") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in KIND_BY_NAME:
        raise ReproError(f"unknown fault {kind!r}{did_you_mean(str(kind), KIND_BY_NAME)}")
    fault: Fault = _structured(data, Fault, "faults")
    if fault.at not in ids:
        raise ReproError(f"{kind} names the event {fault.at!r}, which does not exist")
    return fault


def _read_step(data: Any, ids: set[EventId], faults: Sequence[Fault]) -> Step:
    if not isinstance(data, dict):
        raise ReproError('"schedule" must be a list of objects')
    number = data.get("fault")
    if number is not None and (type(number) is not int or not 0 <= number < len(faults)):
        raise ReproError(f"a step names fault number {number!r}, which does not exist")
    plain = {key: value for key, value in data.items() if key != "fault"}
    step: Step = _structured(plain, Step, "schedule")
    if step.event is not None and step.event not in ids:
        raise ReproError(f"a step names the event {step.event!r}, which does not exist")
    if step.copy is not None and step.copy.after not in ids:
        raise ReproError(f"a step is a copy that was sent after the event {step.copy.after!r}, which does not exist")
    if step.action in DELIVER_LIKE and (step.event is None or step.partition is None or step.offset is None):
        raise ReproError(f"a step {step.action!r} needs an event, a partition and an offset")
    if step.consumer < 0 or (step.offset or 0) < 0 or (step.partition or 0) < 0:
        raise ReproError("a step has a negative consumer, partition or offset")
    return attrs.evolve(step, fault=None if number is None else faults[number])


assert len(ACTIONS) == len(Do)
