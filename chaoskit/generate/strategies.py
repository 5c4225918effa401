"""A strategy for the values that a handler reads, as source: a first guess, to be made what the producer sends."""

from __future__ import annotations

import attrs

from chaoskit.generate.reads import ITEM, Reads, Seen
from chaoskit.generate.source import Code, Group, Names, call, is_name, listed, mapping, quoted

_IDS = ("id", "event_id", "message_id", "msg_id", "eventid", "messageid", "uuid", "idempotency_key", "dedup_id")
_NUMBERS = ("seq", "sequence", "sequence_number", "version", "revision")
_AMOUNTS = ("amount", "balance", "count", "points", "price", "qty", "quantity", "score", "size", "total")
_KEYS = ("account", "account_id", "customer", "customer_id", "iban", "key", "order_id", "sku", "user", "user_id")


@attrs.frozen
class Roles:
    """The fields at the top of the value that are no matter of chance: each says the same as something of the message.
    `own`: by field, what it is of the message."""

    own: dict[str, str]

    @property
    def key(self) -> str:
        """The field that says what the broker's key says; empty where there is none."""
        return next((field for field, what in self.own.items() if what == "key"), "")


def roles_of(reads: Reads) -> Roles:
    """Ids are the producer's, and stay the same on every delivery; what is looked up by belongs to the key, whose order
    the broker keeps."""
    own: dict[str, str] = {}
    keys = []
    for place, seen in reads.places.items():
        if len(place) != 1:
            continue
        name = place[0].lower()
        if name in _IDS or (name.endswith("id") and seen.member and not seen.index):
            own[place[0]] = "id"
        elif name in _NUMBERS:
            own[place[0]] = "seq"
        elif (
            (seen.index or seen.member or name in _KEYS)
            and not seen.strings
            and not seen.number
            and not _has_fields(reads, place)
        ):
            keys.append((not seen.index, name not in _KEYS, place[0]))
    if keys and not reads.uses_key:
        own[min(keys)[2]] = "key"
    return Roles({place[0]: own[place[0]] for place in reads.places if len(place) == 1 and place[0] in own})


def _has_fields(reads: Reads, place: tuple[str, ...]) -> bool:
    return any(other[: len(place)] == place and len(other) > len(place) for other in reads.places)


def strategy(reads: Reads, roles: Roles, names: Names) -> Code:
    """The source of the strategy of the values."""
    if not reads.places or set(reads.places) == {()}:
        seen = reads.places.get((), Seen())
        return _leaf("", seen) if seen.strings or seen.truth or seen.moment else "st.integers(1, 100)"
    return _at((), reads, roles, names)


def _at(place: tuple[str, ...], reads: Reads, roles: Roles, names: Names) -> Code:
    seen = reads.places.get(place, Seen())
    below = list(
        dict.fromkeys(
            other[len(place)] for other in reads.places if other[: len(place)] == place and len(other) > len(place)
        )
    )
    if not below:
        return _leaf(place[-1], seen)
    if ITEM in below:
        return call("st.lists", [_at((*place, ITEM), reads, roles, names)], {"max_size": "3"})
    if not place:
        below = [name for name in below if name not in roles.own]
    fields = {name: _at((*place, name), reads, roles, names) for name in below}
    if place and any(reads.places[*place, name].attribute for name in below):
        made = {name: code for name, code in fields.items() if is_name(name)}
        return call("st.builds", [names.name("types", "SimpleNamespace")], made)
    made_of = call("st.fixed_dictionaries", [mapping((quoted(name), code) for name, code in fields.items())])
    if place and seen.json and isinstance(made_of, Group):
        return attrs.evolve(made_of, close=f").map({names.module('json')}.dumps)")
    return made_of


def _leaf(name: str, seen: Seen) -> Code:
    name = name.lower()
    if seen.strings:
        return call("st.sampled_from", [listed(map(quoted, seen.strings))])
    if seen.moment:
        return "st.datetimes().map(lambda moment: moment.isoformat())"
    if seen.number or name in _AMOUNTS or name in _NUMBERS or name.endswith(tuple(f"_{each}" for each in _AMOUNTS)):
        return "st.integers(1, 100)"
    if seen.truth:
        return "st.booleans()"
    return 'st.sampled_from(["a", "b", "c"])'
