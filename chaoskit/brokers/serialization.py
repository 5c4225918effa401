"""What a broker handles one message at a time: its serialization point, which decides how many consumers can help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import attrs

from chaoskit.brokers.fields import assignments

Unit = Literal["partition", "key", "queue", "nothing"]


@attrs.frozen
class Serialization:
    """The serialization point of a broker under its settings, with the fact and where it is from.

    `unit` says what keeps its order while many consumers work. "partition": a key has its home in one of the broker's
    partitions, and of each of these one message is under way at a time. "key": of each key one message is under way at
    a time, and any free consumer takes the next. "queue": only all of it, by one consumer; more of them compete.
    "nothing": not even one consumer gets an order. `name` is the broker's own word for it.

    `owned`: partition p belongs to consumer p % consumers; else any free consumer takes the next partition. `sole`: all
    of them belong to one consumer, and no other may be there. `slices`: parts of one partition that are under way at
    the same time, each with its keys. `competes`: without order any number of consumers share one partition.
    `per_second`: the most messages a second of the whole queue, however many consumers there are, and `quota` says why;
    None: there is no such quota.
    `takes`: what the application has to add for order per key, where the broker alone does not keep it. `allowed_by`:
    the settings under which it would keep order per key, where it does not; `instead`: what does where no setting
    would.
    """

    name: str
    unit: Unit
    fact: str
    source: str
    owned: bool = False
    sole: bool = False
    slices: int = 1
    competes: bool = False
    per_second: int | None = None
    quota: str = ""
    takes: str = ""
    allowed_by: Mapping[str, object] = attrs.field(factory=dict)
    instead: str = ""

    @property
    def lane(self) -> str:
        """What is handled one message at a time, in a word or two."""
        return self.name if self.slices == 1 else f"part of a {self.name}"

    @property
    def bounds_no_order(self) -> bool:
        """Whether no order is bound to partitions, too: a consumer group reads each of them with one member."""
        return self.unit == "partition" and not self.competes

    @property
    def keeps_keys(self) -> bool:
        """Whether there is order per key while several consumers work."""
        return self.unit in ("partition", "key")

    @property
    def why_not_per_key(self) -> str:
        """Why there is no order per key, and what would bring it; empty where there is."""
        if self.keeps_keys:
            return ""
        settings = " with ".join(assignments(self.allowed_by))
        return f"{self.fact}; {settings} would keep it" if settings else f"{self.fact}; {self.instead}"

    @property
    def why_not_total(self) -> str:
        """Why there is no total order; empty where there is."""
        return self.why_not_per_key if self.unit == "nothing" else ""


def partitions(
    name: str, fact: str, source: str, *, owned: bool = True, slices: int = 1, competes: bool = False
) -> Serialization:
    """Each partition is read in order, as a log is."""
    return Serialization(name, "partition", fact, source, owned=owned, slices=slices, competes=competes)


def keys(
    name: str, fact: str, source: str, *, per_second: int | None = None, quota: str = "", takes: str = ""
) -> Serialization:
    """Messages of one key are in order, and keys are side by side."""
    return Serialization(name, "key", fact, source, per_second=per_second, quota=quota, takes=takes)


def competing(name: str, fact: str, source: str, **otherwise: object) -> Serialization:
    """A queue that hands out in order: one consumer handles it in order, and several finish in any order. `otherwise`
    are the settings under which it keeps the order of a key."""
    instead = "one such queue for each hash of the key, with one consumer each, keeps it"
    return Serialization(name, "queue", fact, source, allowed_by=otherwise, instead=instead)


def unordered(name: str, fact: str, source: str, instead: str = "", **otherwise: object) -> Serialization:
    """No order, not even for one consumer. `otherwise` are the settings under which it keeps the order of a key."""
    return Serialization(name, "nothing", fact, source, allowed_by=otherwise, instead=instead)
