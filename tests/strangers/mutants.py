"""Repro files as somebody might send them who means harm: good ones, changed at random where it hurts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from chaoskit import Event, Scenario, Verdict, Violation
from chaoskit.brokers import Settings
from chaoskit.repro.write import document
from chaoskit.values.scenario import Broker
from chaoskit.values.verdict import States
from models.systems import SYSTEMS
from strangers.project import TEST

DIGITS = "@digits@"
"""Stands for a number of 5,000 digits, which Python refuses to make."""

CODE = "__import__('os').system('touch PWNED')"
CLASSES = [
    "os:system", "subprocess:Popen", "subprocess:run", "builtins:eval", "builtins:exec", "test_shop:trap",
    "test_shop:Trap", "test_shop:Dies", "test_shop:Watched", "test_shop:Twice", "test_shop:os", "test_shop:SPRUNG",
    "test_shop:Kind", "test_shop:Point", "test_shop:Money", "test_shop:Order", "shop_events:Parcel", "canary:Kind",
    "scripts.canary_too:Kind", "enum:Enum", "enum:Flag", "pathlib:Path", "tempfile:_TemporaryFileCloser",
    "inspect:FullArgSpec", "chaoskit.values.verdict:Verdict", "chaoskit:Event", "os:system\nimport os", "a b:c", "os:",
    ":x",
    "test_shop:Money.amount", "o\u017f:system", "test_shop:Kind\x1b[31m", "..:x", "test_shop:lambda",
]  # fmt: skip
TEXTS = [
    "", "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "a\r\nb", "n\n::error::forged", "\n  ::stop-commands::x",
    "##[error]x", "\u202egnp.exe", "\u2028", "\x00", "\x9b31m", "\ud800", '"""', '\\"""', "'''", '"', "\\",
    "\\N{BULLET}", "{0.__class__}",
    "%s%n", f'"""\n{CODE}\n"""', f"'+{CODE}+'", CODE, "x" * 3000, "a" * 70 + " ::error::x", "alice", "e1", "e2", "1",
    "final_state", "hang", "died", "refused", "Kafka", "test_shop.py::trap", "scripts/canary_too.py::x",
    "canary.py::test_shop", "../canary.py::x", "/etc/passwd.py::x", "test_shop.py::test_shop[\x1b[31m]", "-p x.py::y",
    "file:///etc/passwd", "<script>alert(1)</script>", "]]>", "&#x1b;", "| a | b |", "`x`",
    "test_shop.py::Trap::__new__",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 2, 3, 7, 255, 1000, 99_999, 100_001, 2**31, 2**63, 10**30, -(2**63), 10**400, True, False, 0.5, 1e308,
    float("nan"), float("inf"), -0.0, DIGITS,
]  # fmt: skip


def _nested(depth: int, around: Callable[[Any], Any]) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = around(found)
    return found


NESTED = [
    _nested(90, lambda x: [x]), _nested(450, lambda x: [x]), _nested(45, lambda x: {"$tuple": [x]}),
    _nested(45, lambda x: {"$frozenset": [x]}), _nested(9, lambda x: {"$frozenset": [x]}),
    _nested(95, lambda x: {"a": x}), _nested(200, lambda x: {"a": [x]}),
]  # fmt: skip
SCALARS: dict[str, list[Any]] = {
    "decimal": ["9.90", "sNaN", "NaN", "-Infinity", "1e999999", [0, [1], 2], 1, "x", "1" * 5000],
    "uuid": ["00000000-0000-0000-0000-000000000001", "{x}", [], 5],
    "datetime": ["2024-01-02T00:00:00", "9999-99-99", "0001-01-01T00:00:00+14:00", 1e300, []],
    "date": ["2024-01-02", "0000-00-00", {}], "time": ["12:00:00", "25:00", None],
    "timedelta": [[1, 2, 3], [1e300, 0, 0], [10**30, 0, 0], [], "abc", [1, 2, 3, 4], {"a": 1}, [float("nan"), 0, 0]],
    "bytes": ["AAAA", "not base64!", "\u2713", 1, []], "float": ["nan", "inf", "1.5", [], float("nan")],
    "repr": ["<x>", 1, [], "\x1b[31m", None], "set": [[1, 1], [[]], 5, "ab", {}], "frozenset": [[1], [{}]],
    "tuple": [[], [1], 5, "ab"], "dict": [[[1, 2]], [[[], 1]], [1], [[1]], {"a": 1}, [[float("nan"), 1]] * 2],
    "enum": [None, 1, []], "object": [None, 1, []], "unknown": [1], "": [1], "$": [{"$": 1}],
}  # fmt: skip


NAMES = ["$tuple", "$object", "value", "message", "copy", "raised", "fault"]
FIELDS = ["amount", "kind", "lines", "open", "weight", "x", "y", CODE, "__class__"]


def hostile(chance: random.Random) -> Any:
    """Something that no file should have at this place."""
    kind = chance.randrange(8)
    if kind == 0:
        return chance.choice(NUMBERS)
    if kind == 1:
        return chance.choice(TEXTS)
    if kind == 2:
        return chance.choice([None, [], {}, [[]], [{}], {"": 1}, *NESTED])
    if kind == 3:
        tag = chance.choice(list(SCALARS))
        return {f"${tag}": chance.choice(SCALARS[tag])}
    if kind == 4:
        return {"$enum": chance.choice(CLASSES), "value": chance.choice(["credit", "debit", 1, CODE, hostile(chance)])}
    if kind == 5:
        items = [chance.choice([1, CODE, "touch PWNED", hostile(chance)]) for _ in range(chance.randrange(4))]
        return {"$object": chance.choice(CLASSES), "items": items}
    if kind == 6:
        names = chance.sample(
            ["amount", "kind", "lines", "open", "weight", "x", "y", CODE, "__class__"], chance.randrange(4)
        )
        return {"$object": chance.choice(CLASSES), "fields": {name: hostile(chance) for name in names}}
    return {f"${chance.choice(list(SCALARS))}": hostile(chance)}


# Good files.


def good(system: Settings, test: str = TEST) -> Iterator[dict[str, Any]]:
    """A file for each kind of fault that this broker can make."""
    debit = {"$enum": "test_shop:Kind", "value": "debit"}
    values = [
        {"a": [1, None]}, {"$object": "test_shop:Money", "fields": {"amount": 1, "kind": debit}},
        {"$tuple": [1, {"$set": [1]}]}, {"$object": "test_shop:Point", "items": [1, 2]},
    ]  # fmt: skip
    events = [Event(key, number) for number, key in enumerate(["a", "b", "a", "a"])]
    for kind in system.kinds():
        given = {field.name: 1 for field in attrs.fields(kind) if field.name not in ("at", "to", "lost")}
        given |= {"to": 13} if kind.__name__ == "Rehash" else {}
        data = document(_verdict(Scenario(events, _broker(system), [kind("e1", **given)]), test))
        for event, value in zip(data["events"], values, strict=True):
            event["value"] = value
        yield data


def _broker(system: Settings) -> Broker:
    return system


def _verdict(scenario: Scenario, test: str) -> Verdict:
    schedule = scenario.schedule()
    states = States(tuple({"sum": n} for n in range(4)), tuple({"sum": n} for n in range(len(schedule))), 2)
    return Verdict(
        "violated", (Violation("final_state", "the final state differs"),), scenario=scenario, schedule=schedule,
        label="within", expected={"sum": 1, "log": [1, 2]}, observed={"sum": 2, "log": [1]}, test=test, states=states,
    )  # fmt: skip


def seeds() -> list[dict[str, Any]]:
    return [data for system in SYSTEMS.values() for data in good(system)]


# Changes.

DEEPEST = 110
"""Beyond of which nothing is changed: Python could not follow."""


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each part of a document that is not too deep in it."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inside if len(path) < DEEPEST else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def _copied(data: Any) -> Any:
    return json.loads(json.dumps(data))


def _part(data: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        data = data[key]
    return data


def change(data: dict[str, Any], chance: random.Random) -> None:
    """Change one part of it, half of the time one that is not among the steps, which are many."""
    found = list(places(data))
    if chance.random() < 0.7:
        found = [path for path in found if path[0] != "schedule"] or found
    if not found:
        return
    path = chance.choice(found)
    inside, last = _part(data, path[:-1]), path[-1]
    how = chance.randrange(8)
    if how == 0:
        del inside[last]
    elif how == 1 and isinstance(inside, list):
        inside.insert(last, _copied(chance.choice([inside[last], hostile(chance)])))
    elif how == 1:
        inside[chance.choice([*TEXTS, *NAMES])] = _copied(inside[last])
    elif how == 2:
        inside[last] = _copied(_part(data, chance.choice(found)))
    elif how == 3 and type(inside[last]) is int:
        inside[last] += chance.choice([-1, 1, 10, 10**9])
    elif how == 4 and isinstance(inside[last], str):
        at = chance.randrange(len(inside[last]) + 1)
        inside[last] = f"{inside[last][:at]}{chance.choice(TEXTS)}{inside[last][at:]}"
    elif how == 5 and isinstance(inside[last], list):
        inside[last] *= chance.choice([0, 2, 3])
    else:
        inside[last] = _copied(hostile(chance))


def mutant(seed: dict[str, Any], chance: random.Random) -> bytes:
    """The text of a changed file, sometimes with changes that are no JSON any more."""
    data = _copied(seed)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        change(data, chance)
    text = json.dumps(data, ensure_ascii=True).replace(f'"{DIGITS}"', "9" * 5000)
    content = text.encode()
    if chance.random() < 0.03:
        at = chance.randrange(len(content))
        content = chance.choice([content[:at], content[:at] + bytes([chance.randrange(256)]) + content[at + 1 :]])
    return content
