"""Which fields of a value are no matter of chance, guessed from their names and from what the handler does with them.

A producer stamps its events: an id, which stays on every delivery and on every copy, the key, a version. What a broker
stamps is another thing: it is new for whatever is sent again, and must not be taken for the event's own id.
"""

from __future__ import annotations

import re

import attrs

from chaoskit.brokers import BROKERS
from chaoskit.generate.places import ITEM, FieldUse, Reads
from chaoskit.generate.source import Code
from chaoskit.values.event import Event, Message, Stream

FieldPath = tuple[str, ...]

_OWN_IDS = frozenset(
    {"eventid", "messageid", "msgid", "uuid", "eventuuid", "idempotencykey", "dedupid", "deduplicationid", "dedupkey"}
)
_ABOUT_THE_EVENT = frozenset(
    {"meta", "metadata", "header", "headers", "envelope", "event", "message", "msg", "context", "info", "json_body"}
)
"""Whose `id` is the event's. That of anything else, such as `data.object`, is a thing's, and may be the key."""
NUMBERS = ("seq", "sequence", "sequence_number", "version", "revision")
_NUMBERS = frozenset(name.replace("_", "") for name in NUMBERS)
_TIMES = re.compile(r".*(_at|At|timestamp|Timestamp)|ts|time|created|updated|modified|occurred")
KEYS = frozenset(
    {
        "account", "accountid", "aggregateid", "customer", "customerid", "entityid", "iban", "key", "orderid",
        "orderingkey", "partitionkey", "sku", "subscription", "subscriptionid", "user", "userid",
    }
)  # fmt: skip
_ENDS_AS_IDS = re.compile(r".*(_id|Id|ID|_uuid|Uuid|UUID|_uid|Uid)|uid|guid")
_OF_OTHER_THINGS = re.compile(
    "(brand|buyer|category|channel|client|company|country|course|currency|device|group|item|location|merchant|org|"
    "organisation|organization|owner|parent|partner|product|project|region|seller|sensor|shop|site|store|supplier|team|"
    "tenant|type|variant|vendor|warehouse|workspace)(id|uuid|uid)"
)
"""Ids that many events have in common."""
_STATES = frozenset({"state", "status"})
_KINDS = frozenset({"action", "event", "eventname", "eventtype", "kind", "type"})
"""Which sort of event it is: no key, whatever is looked up by it."""

# What brokers stamp.

_RECORDS = re.compile(r"(Kinesis|Sqs|SQS|Sns|SNS|Dynamo|Consumer|Kafka|EventSource|Stream)\w*Record")
_OF_RECORDS = frozenset(
    {
        "Body", "ReceiptHandle", "MessageAttributes", "Sns", "attributes", "awsRegion", "aws_region", "dynamodb",
        "eventSourceARN", "event_source_arn", "json_body", "kinesis", "md5OfBody", "messageAttributes",
        "message_attributes", "receiptHandle", "receipt_handle",
    }
)  # fmt: skip
"""Fields that a broker's record has, and hardly a producer's value."""
_INSIDE_OF_RECORDS = frozenset({"kinesis", "Kinesis", "dynamodb", "attributes", "Attributes", "Sns", "sns"})
_SPELLED_BY_BROKERS = frozenset({"messageId", "MessageId", "eventID"})
_STAMPED = {
    "messageid": "message_id",
    "eventid": "event_id",
    "offset": "offset",
    "partition": "partition",
    "sequencenumber": "sequence",
    "approximatereceivecount": "attempt",
    "deliverycount": "attempt",
    "deliveryattempt": "attempt",
    "redelivered": "redelivered",
    "messagegroupid": "group",
    "messagededuplicationid": "deduplication_id",
}
"""By its name, small and without lines, what chaoskit's messages call it."""
_IDENTITIES = ("message_id", "event_id")


@attrs.frozen
class Roles:
    """`own`: by the place of a field, the source of what the producer writes there, of the message. `stamped`: the same
    of what the broker writes. `missing`: the places of what some broker stamps, and this one does not."""

    own: dict[FieldPath, str]
    stamped: dict[FieldPath, Code] = attrs.field(factory=dict)
    missing: tuple[FieldPath, ...] = ()
    key_place: FieldPath = ()
    """Where the value has the key, if it is drawn with the value."""
    apart: tuple[FieldPath, ...] = ()
    """Ids by whose names alone no two events have the same."""

    @property
    def key(self) -> str:
        """What the broker's key is the name of: a field, or what a field `id` lies in; empty where there is none."""
        place = next((place for place, what in self.own.items() if what == "message.key"), ())
        return next((name for name in reversed(place) if name != "id"), "")

    @property
    def tied(self) -> dict[FieldPath, Code]:
        """All that the message carries."""
        return {**self.own, **self.stamped}

    def ties_below(self, place: FieldPath) -> bool:
        return any(other[: len(place)] == place and len(other) > len(place) for other in self.tied)


def roles_of(reads: Reads, broker: str) -> Roles:
    """Ids are the producer's, and stay the same on every delivery; what is looked up by belongs to the key, whose order
    the broker keeps; and what `broker` stamps is in its own messages."""
    leaves = {place: seen for place, seen in reads.places.items() if place and ITEM not in place}
    # What only leads to other fields has no role of its own.
    leaves = {place: seen for place, seen in leaves.items() if not reads.below(place)}
    names = _stamped(reads, leaves, broker)
    message = _message_of(broker)
    stamped: dict[FieldPath, Code] = {
        place: source for place, name in names.items() if (source := _said(message, name))
    }
    missing = tuple(place for place, name in names.items() if place not in stamped and name in _IDENTITIES)
    rest = {place: seen for place, seen in leaves.items() if place not in names}
    own, apart = _own(reads, rest), []
    for place, seen in rest.items():
        if place in own or not is_id_of_one_event(place[-1]) or seen.strings:
            continue
        # What the message says of its id is a text.
        if not (seen.number or seen.numbers or seen.truth):
            own[place] = "message.id"
        elif len(place) == 1 and not reads.is_json:
            seen.unique = True
        apart += [place] if place in own or seen.unique else []
    return Roles({place: own[place] for place in rest if place in own}, stamped, missing, apart=tuple(apart))


def drawn_roles(reads: Reads, roles: Roles) -> Roles:
    """With what the message would say drawn, for a handler before which nothing can put it into the value."""
    key: FieldPath = ()
    for place, what in roles.own.items():
        if what == "message.key":
            key, name = place, roles.key.removesuffix("_id").removesuffix("Id") or "key"
            reads.places[place].strings = [f"{name}-1", f"{name}-2"]
        elif what == "message.id":
            reads.places[place].unique = True
    return Roles({}, key_place=key, apart=roles.apart)


def is_own_id(name: str) -> bool:
    """Whether it is called like the id of an event."""
    return _plain(name) in _OWN_IDS


def is_id_of_one_event(name: str) -> bool:
    """Whether it is called like an id that no other event has: `payment_id`, but not `customer_id`."""
    plain = _plain(name)
    is_other = plain in KEYS or _OF_OTHER_THINGS.fullmatch(plain) is not None
    return is_own_id(name) or (_ENDS_AS_IDS.fullmatch(name) is not None and not is_other)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


# The producer's.


def _own(reads: Reads, leaves: dict[FieldPath, FieldUse]) -> dict[FieldPath, str]:
    own: dict[FieldPath, str] = {}
    has_id = any(_plain(place[-1]) in _OWN_IDS for place in leaves)
    # What says how a thing is now has the thing's id, which its other events have, too.
    is_of_a_thing = any(_counts(place, seen) or _plain(place[-1]) in _STATES for place, seen in leaves.items())
    keys = []
    for place, seen in leaves.items():
        is_apart = is_id_of_one_event(place[-1])
        if _is_id(reads, place, seen, has_id):
            own[place] = "message.id"
        elif _counts(place, seen):
            own[place] = "message.seq"
        elif not (seen.strings or seen.number or seen.numbers) and (
            _may_be_key(place, seen) or (is_apart and is_of_a_thing)
        ):
            # The likeliest is the least: no id of one event, looked up by, then named like a key, then not deep inside.
            keys.append((is_apart, not seen.index, _plain(place[-1]) not in KEYS, len(place), place))
    if keys and not reads.uses_key:
        own[min(keys)[-1]] = "message.key"
    return {place: own[place] for place in leaves if place in own}


def _is_id(reads: Reads, place: FieldPath, seen: FieldUse, has_id: bool) -> bool:
    """`has_id`: another field is called the event's id, and a mere `id` is something else's."""
    name = _plain(place[-1])
    only_remembered = seen.member and not seen.index
    if name in _OWN_IDS:
        return True
    if name != "id":
        return name.endswith("id") and only_remembered
    around = place[:-1]
    is_about_the_event = not around or around[-1].lower() in _ABOUT_THE_EVENT or reads.places[around].json
    return only_remembered or (is_about_the_event and not has_id)


def _counts(place: FieldPath, seen: FieldUse) -> bool:
    """A number that grows with each event of a key. What is compared with fixed numbers is the version of a schema."""
    is_time = seen.ordered and not seen.moment and _TIMES.fullmatch(place[-1]) is not None
    return (_plain(place[-1]) in _NUMBERS and not seen.numbers) or is_time


def _may_be_key(place: FieldPath, seen: FieldUse) -> bool:
    if _plain(place[-1]) in _KINDS:
        return False
    is_id_of_a_thing = _plain(place[-1]) == "id"
    return seen.index or seen.member or is_id_of_a_thing or _plain(place[-1]) in KEYS


# The broker's.


def _stamped(reads: Reads, leaves: dict[FieldPath, FieldUse], broker: str) -> dict[FieldPath, str]:
    """What a broker has stamped of these. A value that was taken out of its message or of JSON has nothing of it."""
    if reads.whole or reads.is_json:
        return {}
    is_record = _is_record(reads)
    # "e1" is the event's own id, which an application has put there itself.
    stamps_ids = _message_of(broker).message_id not in (None, "e1")
    found = {}
    for place in leaves:
        name = _STAMPED.get(_plain(place[-1]), "")
        inside = len(place) == 2 and is_record and place[0] in _INSIDE_OF_RECORDS
        # Deeper inside it is the producer's value, whatever it is called.
        if not name or not (len(place) == 1 or inside):
            continue
        if name == "event_id" and not (is_record or place[0] in _SPELLED_BY_BROKERS):
            continue
        if name == "message_id" and not (is_record or place[-1] in _SPELLED_BY_BROKERS or stamps_ids):
            continue
        found[place] = name
    return found


def _is_record(reads: Reads) -> bool:
    """Whether the handler takes what its broker's client gives, not what the producer wrote."""
    if _RECORDS.fullmatch(reads.annotation.strip("'\"").rpartition(".")[2]):
        return True
    if {place[0] for place in reads.places if place} & _OF_RECORDS:
        return True
    body = reads.places.get(("body",))
    return (body is not None and body.json) or (reads.message == "record" and reads.is_object)


def _message_of(broker: str) -> Message:
    """A message of this broker, with the settings that it has by itself."""
    model = BROKERS[broker]().model(Stream.of([Event("key", 0)]))
    step = next(model.play(()))
    return model.mail([None])(step)


def _said(message: Message, name: str) -> str:
    """The source of what this broker's messages say of it; empty where they say nothing."""
    if name == "event_id":
        if message.partition is not None and message.sequence is not None:
            return 'f"{message.partition}:{message.sequence}"'
        name = "message_id"
    return f"message.{name}" if getattr(message, name) is not None else ""
