"""Reading a repro file: it is data only, and may be anybody's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import attrs

from chaoskit.brokers import is_own
from chaoskit.codec import decode
from chaoskit.repro import bounds
from chaoskit.repro.own_broker import is_of_own, same_own, stand_in
from chaoskit.repro.together import together_of
from chaoskit.repro.values import (
    FORMAT,
    decode_broker,
    encode_broker,
    key_of,
    listed,
    read_fault,
    read_step,
    same_settings,
    shown_value,
    stored_as_text,
    structured,
)
from chaoskit.values.epoch import EPOCH, is_epoch
from chaoskit.values.errors import ChaosError, CodecError, ReproError
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import KIND_BY_NAME, Fault
from chaoskit.values.outcome import Effect
from chaoskit.values.scenario import Broker
from chaoskit.values.schedule import Raw, Step, to_raw
from chaoskit.values.settling import Settles, as_read
from chaoskit.values.texts import visible
from chaoskit.values.verdict import Loss, States

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


@attrs.frozen
class Repro:
    """A file that was read. Values of events, `expected`, `observed` and `states` are still encoded: decoding them
    needs the classes that the test's module imports. Keys are decoded where that is possible without; `keys` has them
    encoded. `told` is what reports show besides, and nothing is played from it.
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

    def settled(self) -> dict[int, Settles] | None:
        """What was settled at each step, where the handler does that itself; else None. Raises ReproError."""
        written = {number: step.settled for number, step in enumerate(self.schedule) if step.settled is not None}
        with refused_as_one_line():
            return {number: as_read(each, len(self.schedule)) for number, each in written.items()} or None


def _decoded(keys: Sequence[Any], events: Sequence[Event]) -> Stream:
    with refused_as_one_line():
        for key, event in zip(keys, events, strict=True):
            if text := stored_as_text([key, event.value]):
                raise CodecError(
                    f"only the text of a value of event {event.id} was kept: {text}. Register its type "
                    "(chaoskit.codec.register), let the test find it again, and delete this file"
                )
        pairs = zip(keys, events, strict=True)
        decoded = [attrs.evolve(event, key=decode(key), value=decode(event.value)) for key, event in pairs]
        return Stream.of(decoded)


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


def read(path: Path) -> Repro:
    """Read and check a file. Raises ReproError with one line that says what is wrong; runs nothing."""
    return parse(text_in(path), path)


def text_in(path: Path) -> str:
    """What stands in a file. A link in somebody else's repository may lead to a device that never ends."""
    try:
        if path.exists() and not path.is_file():
            raise ReproError("not a file")
        with path.open("rb") as file:
            content = file.read(bounds.LARGEST_FILE + 1)  # one more tells that it is larger
        return content.decode()
    except FileNotFoundError:
        raise ReproError("no such file") from None
    except UnicodeDecodeError:
        raise ReproError("not UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ReproError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def parse(text: str, path: Path) -> Repro:
    """What `read` makes of the text of a file that is called `path`."""
    # Before anything parses it.
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
        raise ReproError(f"broken ({type(error).__name__}: {_reason(error)})") from None


def _reason(error: Exception) -> str:
    """Its text; one that was made of what cannot be printed has none."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is about a stranger's value, whose text may be what is wrong with it
        return ""


def _from_document(path: Path, data: Any) -> Repro:
    if not isinstance(data, dict) or "format" not in data:
        raise ReproError('not a repro file: there is no "format"')
    # A later format may mean something else by the same words: no guess.
    if type(data["format"]) is not int or data["format"] != FORMAT:
        raise ReproError(f"format {data['format']!r} is not known to this version of chaoskit, which reads {FORMAT}")
    missing = [name for name in _REQUIRED if name not in data]
    if missing:
        raise ReproError(f"{', '.join(missing)} missing")
    test = data["test"]
    if not isinstance(test, str) or (test and not _is_test(test)):
        raise ReproError(f'"test" is {test!r}, not a pytest node id such as tests/test_wallet.py::test_wallet')
    # Before anything is made of it: all that follows costs as much as the file asks for.
    bounds.check(data)
    stamped, keys = _read_events(data["events"], "events")
    # Events first, as faults and steps name them.
    ids = {event.id for event in stamped}
    faults = tuple(read_fault(fault, ids) for fault in listed(data["faults"], "faults"))
    steps = tuple(read_step(step, ids, faults) for step in listed(data["schedule"], "schedule"))
    violations = listed(data["violations"], "violations")
    if not violations or not all(isinstance(v, dict) and isinstance(v.get("invariant"), str) for v in violations):
        raise ReproError('"violations" must be a list of objects with an "invariant", and name one at least')
    own = data["broker"] if is_of_own(data["broker"]) else None
    broker = decode_broker(data["broker"]) if own is None else together_of(own, faults) or stand_in(own, faults)
    label = data.get("label")
    return Repro(
        path, test, broker, stamped, faults, steps, data["expected"], data["observed"],
        tuple(violations), keys, label if isinstance(label, str) else None,
        _read_states(data, len(stamped), len(steps)), _read_versions(data["versions"]), _read_loss(data),
        _read_epoch(data),
        _read_found(data), _read_shown(data.get("told")), own,
    )  # fmt: skip


def _read_events(data: Any, name: str) -> tuple[tuple[Event, ...], tuple[Any, ...]]:
    """The events, and their keys as they are written."""
    events = tuple(structured(event, Event, name) for event in listed(data, name))
    stamped = Stream.of([attrs.evolve(event, key=key_of(event.key)) for event in events]).events
    return stamped, tuple(event.key for event in events)


def _read_found(data: Mapping[str, Any]) -> AsFound | None:
    """Files of before have its events only, and of other streams there is none."""
    if data.get("found") is None or "found_faults" not in data:
        return None
    events, keys = _read_events(data["found"], "found")
    ids = {event.id for event in events}
    return AsFound(events, tuple(read_fault(f, ids) for f in listed(data["found_faults"], "found_faults")), keys)


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


def _read_shown(data: Any) -> dict[str, Any]:
    """Only what is as it is written here: it is shown, and no reason not to replay the rest."""
    if not isinstance(data, dict):
        return {}
    errors, read, memory_kept, also = (data.get(name) for name in ("errors", "read", "memory_kept", "also"))
    fewer = data.get("fewer")
    errors = errors if isinstance(errors, dict) else {}
    return {
        "errors": {number: text for number, text in errors.items() if isinstance(text, str)},
        "memory_kept": memory_kept if isinstance(memory_kept, bool) else None,
        "read": tuple(name for name in read if isinstance(name, str)) if isinstance(read, list) else (),
        "effects": {run: _read_effects(data.get("effects"), run) for run in ("in_order", "observed")},
        "fewer": max(0, fewer) if type(fewer) is int else 0,
        "also": tuple(k for k in also if isinstance(k, str) and k in KIND_BY_NAME) if isinstance(also, list) else (),
    }


def _read_effects(data: Any, run: str) -> tuple[Effect, ...]:
    """Their keys and values stay as they are written."""
    given = data.get(run) if isinstance(data, dict) else None
    return tuple(
        Effect(
            each["name"], each.get("value"), each.get("key"),
            event if isinstance(event := each.get("event"), (str, int)) else None,
            step if type(step := each.get("step")) is int else None,
        )
        for each in (given if isinstance(given, list) else ())
        if isinstance(each, dict) and isinstance(each.get("name"), str)
    )  # fmt: skip
