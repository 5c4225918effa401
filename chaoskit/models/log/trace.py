"""A run over logs as a trace that `permits` reads: every record that was accepted, read and committed."""

from __future__ import annotations

from collections.abc import Sequence

from chaoskit.models.causes import once_more
from chaoskit.models.log.run import GroupRun
from chaoskit.models.producer import Logs
from chaoskit.models.queue.trace import consumer_name
from chaoskit.models.turns import Record
from chaoskit.values.schedule import Do, Raw, what_of


def spell_log(group: GroupRun, steps: Sequence[Raw], raised: Sequence[int]) -> str:
    """The words. Events are numbered 1, 2, 3… as they were produced; partition 0 is the unit p0."""
    speller = _GroupSpeller(group)
    for number, (step, refused) in enumerate(once_more(group, steps, raised)):
        speller.before(step)
        if step[0] == Do.TAKE_OVER:
            speller.fetched(group.replaced[step[1]], steps[number:])
        speller.say(step, refused)
    speller.before(None)
    return " ".join(word if isinstance(word, str) else speller.position(*word) for word in speller.words)


class _GroupSpeller:
    """Follows the positions of the partitions, and what each step commits."""

    def __init__(self, group: GroupRun) -> None:
        self._group = group
        self.words: list[str | tuple[str, int, int]] = []
        """Words, and positions that are named when the log is whole: what is put back may still come in between."""
        self._sent: dict[int, int] = {}
        self._labels: dict[Record, str] = {}
        self._ranked: Logs | None = None
        self._records: dict[int, list[tuple[float, int, int]]] = {}
        """The records of each event in the logs that were ranked last."""
        self._shown: set[Record] = set()
        self._count = group.logs.counts[0] if group.logs.counts else 0
        self._position: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._owner: dict[int, int] = {}
        self._done: Record | None = None
        """The record that was processed last, until its commit is known."""
        self._commits = 0
        self._resets = False

    def before(self, step: Raw | None) -> None:
        """What the last record brought with it: a commit, unless a redelivery is pending."""
        every, group = self._group.reading.commit_every, self._group
        done, self._done = self._done, None
        if done is None:
            return
        committed = done in group.committed[self._commits :]
        if committed:
            self._commits = group.committed.index(done, self._commits) + 1
        consumer = self._owner[done[0]]
        if step is not None and step[0] == Do.DELIVER and (step[1], step[3], step[4]) == (consumer, *done):
            self._done = done  # in place once more, and not committed before that
            return
        losing = {consumer}
        if step is not None and step[0] == Do.TAKE_OVER and group.replaced[step[1]] == consumer:
            losing.add(step[1])
        restarted = step is not None and step[:2] == (Do.RESTART, consumer)
        pending = restarted or any(armed.consumer in losing for armed in group.pending)
        if committed if every is not None else not pending:
            self._commit(consumer)

    def _commit(self, consumer: int) -> None:
        for lane, position in self._position.items():
            if self._owner.get(lane) == consumer and self._committed.get(lane, 0) != position:
                self._committed[lane] = position
                self.words.append((f"{consumer_name(consumer)}: |c=", lane, position))

    def position(self, verb: str, lane: int, offset: int) -> str:
        """A verb with the record at a position, or the end of its partition."""
        return f"{verb}{self._labels.get((lane, offset), f'p{lane}/end')}"

    def say(self, step: Raw, refused: bool) -> None:
        do, (consumer, _, lane, offset, *_) = what_of(step), step[1:]
        name = consumer_name(consumer)
        if do == Do.RESTART and self._group.jumped_to is not None:
            lane, offset = self._group.jumped_to
            self._group.jumped_to = None
            self._commit(consumer)
            self.words += [f"{name}:⚡", ("|reset ", lane, offset)]
            self._position[lane] = self._committed[lane] = offset
        elif do == Do.RESTART and self._resets:
            self._resets = False
        elif do == Do.RESTART:
            self.words.append(f"{name}:⚡")
            self._rewind(consumer)
        elif do == Do.TAKE_OVER:
            self._take_over(consumer, lane)
        elif do == Do.PUT_BACK:
            self._send_up_to(lane, offset)
        elif do in (Do.DELIVER, Do.FAIL, Do.DIE):
            self._deliver(name, consumer, (lane, offset), refused or do == Do.FAIL)
        elif do == Do.LOSE and self._group.reading.new_from is not None:
            self._send_up_to(lane, offset)  # the group begins behind it, without a word
        elif do in (Do.PARK, Do.LOSE):
            self._send_up_to(lane, offset)
            if do == Do.PARK:
                self.words.append(f"{name}: |dead {self._labels[lane, offset]}")
            self._processed(consumer, lane, offset)
            if do == Do.LOSE:
                self._lose(name, consumer, lane, offset)
        elif do == Do.SKIP:
            self._processed(consumer, lane, offset)

    def fetched(self, old: int, steps: Sequence[Raw]) -> None:
        """What a consumer runs after it has lost its partitions was accepted before that."""
        for step in steps:
            consumer, _, lane, offset, *_ = step[1:]
            if what_of(step) in (Do.DELIVER, Do.FAIL, Do.DIE) and consumer == old:
                self._send_up_to(lane, offset)

    def _lose(self, name: str, consumer: int, lane: int, offset: int) -> None:
        """Committed before it was run, and the process dies; or the commit is lost, and reading starts at the end."""
        self._done = None
        self._resets = self._group.reading.resets
        if self._resets:
            self.words += [f"{name}:⚡", ("|reset ", lane, offset + 1)]
            self._rewind(consumer)
            self._position[lane] = self._committed[lane] = offset + 1
            return
        again = "r" if (lane, offset) in self._shown else ""
        self._shown.add((lane, offset))
        self.words.append(f"{name}:{self._labels[lane, offset]}{again}-")
        self._commit(consumer)

    def _deliver(self, name: str, consumer: int, record: Record, refused: bool) -> None:
        self._send_up_to(*record)
        again = "r" if record in self._shown else ""
        self._shown.add(record)
        self.words.append(f"{name}:{self._labels[record]}{again}{'!' if refused else ''}")
        if self._owner.get(record[0], consumer) != consumer:
            return
        if refused:
            self._owner[record[0]], self._position[record[0]], self._done = consumer, record[1], None
        else:
            self._processed(consumer, *record)

    def _processed(self, consumer: int, lane: int, offset: int) -> None:
        self._owner[lane] = consumer
        self._position[lane] = offset + 1
        self._done = lane, offset

    def _rewind(self, consumer: int) -> None:
        for lane, owner in self._owner.items():
            if owner == consumer:
                self._position[lane] = self._committed.get(lane, 0)

    def _take_over(self, new: int, lane: int) -> None:
        old = self._group.replaced[new]
        self.words.append(f"|evict {consumer_name(old)}>{consumer_name(new)}")
        self._owner.setdefault(lane, old)
        self._rewind(old)
        self._owner = {at: new if owner == old else owner for at, owner in self._owner.items()}

    def _copy(self, lane: int, number: int) -> int:
        """How many records of this event were accepted before this one, wherever they stand."""
        logs = self._group.logs
        if self._ranked is not logs:  # something was put back
            self._ranked, self._records = logs, {}
            for at, (log, times) in enumerate(zip(logs.partitions, logs.appended, strict=True)):
                for place, (position, time) in enumerate(zip(log, times, strict=True)):
                    self._records.setdefault(position, []).append((time, at, place))
        mine = logs.appended[lane][number], lane, number
        return sum(other < mine for other in self._records[logs.partitions[lane][number]])

    def _send_up_to(self, lane: int, offset: int) -> None:
        """Everything up to this record was accepted by now; the topic may have grown for it."""
        logs = self._group.logs
        for number in range(self._sent.get(lane, 0), offset + 1):
            position = logs.partitions[lane][number]
            copy = self._copy(lane, number)
            label = self._labels[lane, number] = f"p{lane}/{position + 1}{chr(39) * copy}"
            if logs.counts[position] > self._count and not copy:
                self._count = logs.counts[position]
                self.words.append(f"|grow {self._count}")
            self.words.append(f"|put {label}")
        self._sent[lane] = max(self._sent.get(lane, 0), offset + 1)
