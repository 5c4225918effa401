"""A strategy for the values that a handler reads, as source: a first guess, to be made what the producer sends."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from chaoskit.generate.places import ITEM, FieldUse, Reads
from chaoskit.generate.roles import NUMBERS, FieldPath, Roles
from chaoskit.generate.source import Code, Group, Names, behind, call, is_name, listed, mapping, quoted

_AMOUNTS = ("amount", "balance", "cents", "count", "points", "price", "qty", "quantity", "score", "size", "total")
_LETTERS = 'st.sampled_from(["a", "b", "c"])'
"""Where nothing shows what comes there."""


def strategy(reads: Reads, roles: Roles, names: Names) -> Code:
    """The source of the strategy of the values."""
    if not reads.places or set(reads.places) == {()}:
        seen = reads.places.get((), FieldUse())
        shows = seen.strings or seen.truth or seen.moment or seen.unique
        return _leaf("", seen) if shows else "st.integers(1, 100)"
    return _at((), reads, roles, names)


def letters(reads: Reads, roles: Roles) -> list[FieldPath]:
    """The places for which nothing but letters could be guessed."""
    return [
        place
        for place in drawn((), reads, roles)
        if place and ITEM not in place and _leaf(place[-1], reads.places[place]) == _LETTERS
    ]


def drawn(place: FieldPath, reads: Reads, roles: Roles) -> Iterator[FieldPath]:
    """The places from here on that are left to chance."""
    if place in roles.tied:
        return
    below = reads.below(place)
    for name in below:
        yield from drawn((*place, name), reads, roles)
    if not below and place in reads.places:
        yield place


def _at(place: FieldPath, reads: Reads, roles: Roles, names: Names) -> Code:
    seen = reads.places.get(place, FieldUse())
    below = reads.below(place)
    if not below:
        return _leaf(place[-1], seen)
    if ITEM in below:
        return call("st.lists", [_at((*place, ITEM), reads, roles, names)], {"max_size": "3"})
    left = [name for name in below if any(drawn((*place, name), reads, roles))]
    fields = {name: _at((*place, name), reads, roles, names) for name in left}
    is_made_later = not place or roles.ties_below(place)  # of what is drawn and what is tied
    if not is_made_later and reads.is_object_at(place):
        made = {name: code for name, code in fields.items() if is_name(name)}
        return call("st.builds", [names.name("types", "SimpleNamespace")], made)
    made_of = call("st.fixed_dictionaries", [mapping((quoted(name), code) for name, code in fields.items())])
    if not is_made_later and seen.json and isinstance(made_of, Group):
        return attrs.evolve(made_of, close=f").map({names.module('json')}.dumps)")
    return made_of


def with_ties(place: FieldPath, source: str, reads: Reads, roles: Roles, names: Names) -> Code:
    """The source of what lies at `place`: what was drawn, which is at `source`, with what the message says put in."""
    tied: dict[str, Code] = {}
    for name in reads.below(place):
        inner = (*place, name)
        if inner in roles.tied:
            tied[name] = roles.tied[inner]
        elif roles.ties_below(inner):
            tied[name] = with_ties(inner, f"{source}[{quoted(name)}]", reads, roles, names)
    left = [name for name in reads.below(place) if any(drawn((*place, name), reads, roles))]
    rest = [source] if left else []
    if reads.is_object_at(place):
        kind = names.name("types", "SimpleNamespace")
        # Else a name would be given twice, or could not be written before a `=`.
        if not {*left} & {*tied} and all(map(is_name, tied)):
            return call(kind, [f"**{each}" for each in rest], tied)
        return call(kind, [_merged(rest, tied, before="**")])
    made = _merged(rest, tied)
    is_text = reads.places[place].json if place else False
    return call(f"{names.module('json')}.dumps", [made]) if is_text else made


def _merged(rest: list[str], tied: dict[str, Code], before: str = "") -> Code:
    """`{**rest, "name": what ties it}`."""
    items = (*(f"**{each}" for each in rest), *(behind(f"{quoted(name)}: ", code) for name, code in tied.items()))
    return Group(before + "{", items, "}")


def _leaf(name: str, seen: FieldUse) -> Code:
    name = name.lower()
    if seen.unique:
        return "st.integers(1, 1_000_000_000)" if seen.number or seen.numbers else "st.uuids().map(str)"
    if seen.strings:
        return call("st.sampled_from", [listed(map(quoted, seen.strings))])
    if seen.moment:
        return "st.datetimes().map(lambda moment: moment.isoformat())"
    is_version = name in NUMBERS and not seen.numbers
    if seen.number or is_version or name in _AMOUNTS or name.endswith(tuple(f"_{each}" for each in _AMOUNTS)):
        return "st.integers(1, 100)"
    if seen.numbers:
        return call("st.sampled_from", [listed(map(str, seen.numbers))])
    if seen.truth:
        return "st.booleans()"
    return _LETTERS
