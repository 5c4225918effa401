"""What is certain of one unit of a log while its words are read, whichever of the possible states is the true one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from chaoskit.traces.log.layout import LogLayout, RecordId
from chaoskit.traces.log.rules import LogRules
from chaoskit.traces.tokens import Evict, Kill, MessageLabel, Move, Put, Settle, Word, deliveries


@attrs.define
class Lane:
    """One unit, or one key where keys are read side by side: its log, and what the words read so far have shown."""

    rules: LogRules
    layout: LogLayout
    unit: str | None
    groups: frozenset[str]
    one_key: bool = False
    """The unit is a key: nothing in it runs side by side."""
    from_end: bool = False
    """The unit came by growth, and its first reader begins at its end, wherever that was."""
    unput: set[int] = attrs.field(factory=set)
    """The records that a later word puts."""
    gone: set[int] = attrs.field(factory=set)
    shown: set[RecordId] = attrs.field(factory=set)
    failed: set[RecordId] = attrs.field(factory=set)
    killed: set[str] = attrs.field(factory=set)
    """The consumers that were killed and have run nothing since."""
    fetched: dict[str, int] = attrs.field(factory=dict)
    """The place behind what a consumer can hold that has lost the unit, where that is listed."""

    def learn(self, words: Iterable[tuple[int, Word, Word | None]]) -> Iterator[tuple[int, Word]]:
        """The words of this unit, one by one; each is whole, and then the part of it that concerns the unit.

        What a word says of the log is known before it is judged, and what it shows, afterwards.
        """
        for number, word, here in words:
            # No reader sees a put, so that there is no word of it `here`; but from it on the record exists.
            if isinstance(word, Put) and word.label.unit == self.unit:
                self.unput.discard(self.layout.index.get(_record(word.label), -1))
            if here is None:
                continue
            self._before(here)
            yield number, here
            self._after(here)

    def _before(self, word: Word) -> None:
        match word:
            case Settle(what="drop", label=label):
                self.gone.add(self.index(label))
            case Kill(consumer=consumer):
                self.killed.add(consumer)
            case Evict(source=source) | Move(source=source):
                # It can have read nothing that was accepted later.
                self.fetched[source] = self.written

    def _after(self, word: Word) -> None:
        for member in deliveries(word):
            record = _record(member.label)
            self.shown.add(record)
            self.killed.discard(member.consumer)
            if member.outcome == "failed":
                self.failed.add(record)
            elif member.outcome == "ok":
                self.failed.discard(record)

    @property
    def written(self) -> int:
        """The place behind the last record that was accepted by now."""
        return min(self.unput, default=len(self.layout.entries))

    def index(self, label: MessageLabel) -> int:
        """Where a record stands that is in the log."""
        return self.layout.index[_record(label)]

    def following(self, place: int) -> int:
        """The first record from here on that is not gone."""
        while place in self.gone:
            place += 1
        return place

    def before(self, place: int) -> int:
        """The last record before this place that is not gone."""
        place -= 1
        while place in self.gone:
            place -= 1
        return place

    def named(self, place: int) -> str:
        return self.layout.named(place)

    def free(self, group: str) -> bool:
        """No verb of this group occurs: what belongs to it may have happened unseen."""
        return group not in self.groups


def _record(label: MessageLabel) -> RecordId:
    return label.name, label.copy
