"""A run over logs as a trace that `permits` reads: every record that was accepted, read and committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from chaoskit.models.events import Committed, CommittedByHand, Happened, SetBack, StepMade, TakenForDead, what_happened
from chaoskit.models.log.policy import Reading
from chaoskit.models.log.run import GroupRun
from chaoskit.models.producer import Logs
from chaoskit.models.spelling import consumer_name, labels
from chaoskit.models.turns import Record, retries_of
from chaoskit.values.schedule import Do, Raw
from chaoskit.values.settling import Settles


def spell_log(
    group: GroupRun, steps: Sequence[Raw], raised: Sequence[int], settled: Mapping[int, Settles] | None = None
) -> str:
    """The words. Events are numbered 1, 2, 3… as they were produced; partition 0 is the unit p0."""
    happened = what_happened(group, steps, raised, settled)
    # Where a retry topic was not read in turn with its topic, it is told as what it is: a log of its own.
    apart = group.retry_listener >= 0
    beside = {event.record for event in happened if apart and event.record[0] >= 0 and retries_of(event.step)}
    speller = _GroupSpeller(group.logs, group.reading, beside)
    for number, event in enumerate(happened):
        speller.say(event, happened[number:])
    return " ".join(speller.words)


class _GroupSpeller:
    """Follows the positions of the partitions, and what each step commits. What was read `beside` them, from a retry
    topic, is in none."""

    def __init__(self, logs: Logs, reading: Reading, beside: set[Record]) -> None:
        self._logs, self._reading, self._beside = logs, reading, beside
        self.words: list[str] = []
        self._sent: dict[int, int] = {}
        self._labels = labels(logs, lambda lane, _: f"p{lane}/")
        self._shown: set[Record] = set()
        self._count = logs.counts[0] if logs.counts else 0
        self._position: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._owner: dict[int, int] = {}
        self._dead = -1
        self._resets = False
        """The commit was lost, and the restart is said already."""
        self._set_back: Record | None = None
        """The group is to start here."""

    def say(self, event: Happened, later: Sequence[Happened]) -> None:
        consumer, (lane, offset) = event.consumer, event.record
        match event:
            case Committed():
                self._commit(consumer)
            case CommittedByHand():
                self._committed[lane] = offset + 1
                self.words.append(f"{consumer_name(consumer)}: |c={self._place(lane, offset + 1)}")
            case TakenForDead():
                self._dead = consumer
            case SetBack():
                self._set_back = event.record
            case StepMade(do=Do.RESTART):
                self._restart(consumer)
            case StepMade(do=Do.TAKE_OVER):
                self._fetched(later)
                self._take_over(consumer, lane)
            case StepMade(runs=True):
                self._deliver(event)
            case StepMade(do=Do.LOSE):
                self._send_up_to(lane, offset)
                if self._reading.new_from is None:  # else the group begins behind it, without a word
                    self._lose(consumer, lane, offset)
            case StepMade(do=Do.PARK):
                self._send_up_to(lane, offset)
                self.words.append(f"{consumer_name(consumer)}: |dead {self._labels[lane, offset]}")
                if event.record not in self._beside:
                    self._reads_on(consumer, lane, offset + 1)
            case StepMade(do=Do.SKIP):
                self._reads_on(consumer, lane, offset + 1)
            case StepMade(do=Do.PUT_BACK):
                self._send_up_to(lane, offset)

    def _restart(self, consumer: int) -> None:
        name = consumer_name(consumer)
        if self._set_back is not None:
            (lane, offset), self._set_back = self._set_back, None
            self._commit(consumer)
            self.words += [f"{name}:⚡", f"|reset {self._place(lane, offset)}"]
            self._position[lane] = self._committed[lane] = offset
        elif not self._resets:
            self.words.append(f"{name}:⚡")
            self._rewind(consumer)
        self._resets = False

    def _fetched(self, later: Iterable[Happened]) -> None:
        """What a consumer runs after it has lost its partitions was accepted before that."""
        for event in later:
            if isinstance(event, StepMade) and event.runs and event.consumer == self._dead:
                self._send_up_to(*event.record)

    def _commit(self, consumer: int) -> None:
        for lane, position in self._position.items():
            if self._owner.get(lane) == consumer and self._committed.get(lane, 0) != position:
                self._committed[lane] = position
                self.words.append(f"{consumer_name(consumer)}: |c={self._place(lane, position)}")

    def _place(self, lane: int, offset: int) -> str:
        """The record at a position, or the end of its partition."""
        while (lane, offset) in self._beside:
            offset += 1
        return self._labels.get((lane, offset), f"p{lane}/end")

    def _lose(self, consumer: int, lane: int, offset: int) -> None:
        """Committed before it was run, and the process dies; or the commit is lost, and reading starts at the end."""
        name, record = consumer_name(consumer), (lane, offset)
        self._reads_on(consumer, lane, offset + 1)
        self._resets = self._reading.resets
        if self._resets:
            self.words += [f"{name}:⚡", f"|reset {self._place(lane, offset + 1)}"]
            self._rewind(consumer)
            self._position[lane] = self._committed[lane] = offset + 1
            return
        self.words.append(f"{name}:{self._labels[record]}{self._again(record)}-")
        self._commit(consumer)

    def _deliver(self, made: StepMade) -> None:
        consumer, record = made.consumer, made.record
        self._send_up_to(*record)
        raised = "!" if made.failed else ""
        self.words.append(f"{consumer_name(consumer)}:{self._labels[record]}{self._again(record)}{raised}")
        if not made.late and record not in self._beside:
            # A failed attempt leaves the position where it was.
            self._reads_on(consumer, record[0], record[1] + (not made.failed))

    def _again(self, record: Record) -> str:
        again = "r" if record in self._shown else ""
        self._shown.add(record)
        return again

    def _reads_on(self, consumer: int, lane: int, offset: int) -> None:
        self._owner[lane], self._position[lane] = consumer, offset

    def _rewind(self, consumer: int) -> None:
        for lane, owner in self._owner.items():
            if owner == consumer:
                self._position[lane] = self._committed.get(lane, 0)

    def _take_over(self, new: int, lane: int) -> None:
        old = self._dead
        self.words.append(f"|evict {consumer_name(old)}>{consumer_name(new)}")
        # It may have been taken for dead before it ran anything of this partition.
        self._owner.setdefault(lane, old)
        self._rewind(old)
        self._owner = {at: new if owner == old else owner for at, owner in self._owner.items()}

    def _send_up_to(self, lane: int, offset: int) -> None:
        """Everything up to this record was accepted by now; the topic may have grown for it."""
        for number in range(self._sent.get(lane, 0), offset + 1):
            position, label = self._logs.partitions[lane][number], self._labels[lane, number]
            # A copy tells nothing of growth: its event's count is that of its first sending.
            if (count := self._logs.counts[position]) > self._count and not label.endswith("'"):
                self._count = count
                self.words.append(f"|grow {count}")
            if (lane, number) not in self._beside:
                self.words.append(f"|put {label}")
        self._sent[lane] = max(self._sent.get(lane, 0), offset + 1)
