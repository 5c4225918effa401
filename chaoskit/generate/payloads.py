"""The class of an event's value, where the handler's source names it: a pydantic model, a dataclass, a class of attrs,
a TypedDict. Its module is read and not imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Literal

import attrs

from chaoskit.generate.adapted import Adapted
from chaoskit.generate.bounded import takes_what
from chaoskit.generate.classes import last_name
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.lookup import SourceModule, find_class, source_of
from chaoskit.generate.places import ITEM, FieldUse, Reads
from chaoskit.generate.roles import KEYS, Roles, is_id_of_one_event, is_own_id
from chaoskit.generate.source import Code, Group, Names, behind, call, listed, quoted

Family = Literal["pydantic", "dataclass", "attrs", "dict"]
Takes = Literal["instance", "json", "dict"]
_CARRIED = frozenset(
    {
        "aio_pika", "aiokafka", "aws_lambda", "boto3_sqs", "confluent_kafka", "faststream", "kafka_python", "pika",
        "webhooks",
    }
)  # fmt: skip
"""Adapters that send an instance as the JSON of its fields."""
_FAMILIES: tuple[tuple[str, Family], ...] = (
    ("BaseModel", "pydantic"), ("TypedDict", "dict"), ("dataclass", "dataclass"), ("define", "attrs"),
    ("frozen", "attrs"),
)  # fmt: skip


@attrs.frozen(eq=False)
class Payload:
    """`name` of `module`. `takes`: what the handler gets of it. `key`: the field that is the events' key, "" for none
    that shows. `said`: what the message carries of fields. `few`: the values that the handler distinguishes in fields
    of which the class allows any. `apart`: ids that no two events have in common."""

    module: str
    name: str
    family: Family
    takes: Takes
    key: str
    said: Mapping[str, str]
    few: Mapping[str, Code]
    apart: tuple[str, ...] = ()

    def values(self, names: Names) -> Code:
        """The first argument of `events`."""
        name = names.name(self.module, self.name)
        if not self.few:
            return name
        keys = {self.key: listed_keys(self.key)} if self.key else {}
        return call("st.builds", [name], {**keys, **self.few})

    def made(self, names: Names) -> Code:
        """What the handler takes, of `message.value`."""
        return self._as_taken(self._with_said(names), names)

    def _with_said(self, names: Names) -> Code:
        pairs = [behind(f"{quoted(name)}: ", what) for name, what in self.said.items()]
        if not pairs:
            return "message.value"
        if self.family == "pydantic":
            return call("message.value.model_copy", (), {"update": Group("{", tuple(pairs), "}")})
        if self.family == "dict":
            return Group("{", ("**message.value", *pairs), "}")
        module, function = ("dataclasses", "replace") if self.family == "dataclass" else ("attrs", "evolve")
        return call(f"{names.module(module)}.{function}", ["message.value"], dict(self.said))

    def _as_taken(self, value: Code, names: Names) -> Code:
        if self.takes == "instance":
            return value
        if self.family == "pydantic":
            after = ".model_dump_json()" if self.takes == "json" else '.model_dump(mode="json")'
            return value + after if isinstance(value, str) else attrs.evolve(value, close=value.close + after)
        module = {"dataclass": "dataclasses", "attrs": "attrs"}.get(self.family)
        plain = value if module is None else call(f"{names.module(module)}.asdict", [value])
        return call(f"{names.module('json')}.dumps", [plain], {"default": "str"}) if self.takes == "json" else plain


def listed_keys(key: str) -> Code:
    name = key.removesuffix("_id").removesuffix("Id") or "key"
    return call("st.sampled_from", [listed([quoted(f"{name}-1"), quoted(f"{name}-2")])])


def payload_of(handler: FoundHandler, reads: Reads, roles: Roles, known: Adapted | None) -> Payload | None:
    """The class of the value; None where the source names none, or where what the handler reads of it is not its."""
    name, takes = _named(reads, known)
    found = find_class(source_of(handler), name) if name else None
    if found is None:
        return None
    family, fields = _family(*found), _fields(*found)
    if family is None or roles.stamped or any(place[0] not in fields for place in reads.places if place):
        return None
    said = {place: what for place, what in roles.own.items() if what != "message.key"}
    few = _few(reads, fields)
    if few is None or any(len(place) > 1 for place in said) or (few and family == "dict"):
        return None
    if said and known is not None and known.loop:
        return None
    tied = {place[0]: what for place, what in said.items() if takes_what(what, fields[place[0]])}
    key = _key(roles, fields, tied)
    few = {name: code for name, code in few.items() if name not in tied and name != key}
    apart = [name for name in fields if (name,) in roles.apart and (name in tied or reads.places[name,].unique)]
    # A handler that counts twice does not read the id yet by which it is repaired.
    unread = [name for name in fields if (name,) not in reads.places and name != key and is_id_of_one_event(name)]
    if not (known and known.loop):
        tied |= {name: "message.id" for name in unread if takes_what("message.id", fields[name])}
    apart += [name for name in unread if name in tied]
    return Payload(found[0].name, name, family, takes, key, tied, few, tuple(apart))


def _named(reads: Reads, known: Adapted | None) -> tuple[str, Takes]:
    if known is not None:
        return (known.kind.name if known.kind and known.adapter in _CARRIED else ""), "instance"
    if reads.validated:
        return reads.validated, "json" if reads.is_json else "dict"
    plain = reads.annotation.strip("'\"")
    return (plain if plain.isidentifier() and not reads.whole else ""), "instance"


# The class.


def _bases(source: SourceModule, kind: ast.ClassDef) -> Iterator[tuple[SourceModule, ast.ClassDef]]:
    for base in kind.bases:
        found = find_class(source, base.id) if isinstance(base, ast.Name) and base.id != kind.name else None
        if found is not None:
            yield found


def _family(source: SourceModule, kind: ast.ClassDef) -> Family | None:
    for told, own in _FAMILIES:
        if any(last_name(each) == told for each in [*kind.bases, *kind.decorator_list]):
            return own
    return next((family for base in _bases(source, kind) if (family := _family(*base)) is not None), None)


def _fields(source: SourceModule, kind: ast.ClassDef) -> dict[str, str]:
    """Its annotated fields and those of its bases, each with all that is written of it."""
    found: dict[str, str] = {}
    for base in _bases(source, kind):
        found |= _fields(*base)
    for node in kind.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            written = ast.unparse(node.annotation)
            if "ClassVar" not in written:
                found[node.target.id] = written + (f" = {ast.unparse(node.value)}" if node.value else "")
    return found


# Its fields.


def _few(reads: Reads, fields: Mapping[str, str]) -> dict[str, Code] | None:
    """Of fields of any text or number the values that the handler compares with; None where one lies deeper."""
    found: dict[str, Code] = {}
    for place, seen in reads.places.items():
        told = _told_apart(seen)
        if not place or not told:
            continue
        if len(place) > 1:
            return None
        if re.fullmatch(r"(str|int|float)( = .*)?", fields[place[0]]):
            found[place[0]] = call("st.sampled_from", [listed(told)])
    return found


def _told_apart(seen: FieldUse) -> list[str]:
    return [*map(quoted, seen.strings), *map(str, seen.numbers)]


def _key(roles: Roles, fields: Mapping[str, str], tied: Mapping[str, str]) -> str:
    """The one that the handler looks things up by, or that is called like one."""
    for place, what in roles.own.items():
        if what == "message.key" and ITEM not in place:
            return ".".join(place)
    free = [name for name in fields if name not in tied and not is_own_id(name)]
    named = [name for name in free if name.lower().replace("_", "") in KEYS]
    named += [name for name in free if name == "id" or name.endswith(("_id", "Id"))]
    return next(iter(named), "")
