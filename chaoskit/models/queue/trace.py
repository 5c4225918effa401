"""A run of a queue as a trace that `permits` reads: every send, hand-over, acknowledgement and lease that ended."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal

import attrs

from chaoskit.models.causes import once_more
from chaoskit.models.queue.run import QueueRun
from chaoskit.models.queue.state import Note
from chaoskit.models.turns import Record
from chaoskit.values.schedule import Do, Raw, what_of

Style = Literal["settled", "crashed", "invoked", "relay"]
"""What a broker tells: each settlement; or crashes; or failed invocations; or what a relay publishes."""


def consumer_name(number: int) -> str:
    """A, B, … Z, and then C26 and so on."""
    return chr(ord("A") + number) if number < 26 else f"C{number}"


@attrs.frozen
class _Happened:
    """A step, or what the broker did between two, in order. `what` is a `Do`, or the name of a note."""

    what: Do | str
    record: Record
    position: int
    consumer: int
    attempt: int = 1
    refused: bool = False
    late: bool = False
    """A run by somebody who has lost the message."""
    since: Record | None = None
    """The first message of its batch."""


def spell_queue(
    run: QueueRun,
    steps: Sequence[Raw],
    raised: Sequence[int],
    unit_of: Callable[[int, int], str],
    window: int,
    lease: int,
    style: Style,
) -> str:
    """The words. Events are numbered 1, 2, 3… as they were produced; `unit_of` names the unit of a queue and position.

    Where the broker has a deduplication `window` (seconds) the trace has times, too: a send each second, a copy when
    the window has passed, and a lease (seconds) that runs out when it can. `style`: what a broker tells of its
    settlements.
    """
    run.notes = []
    happened = list(_happened(run, steps, raised))
    return " ".join(_QueueSpeller(run, unit_of, window, lease, style).words(happened))


def _happened(run: QueueRun, steps: Sequence[Raw], raised: Sequence[int]) -> Iterator[_Happened]:
    undead: dict[Record, list[int]] = {}
    died: Record | None = None
    for step, refused in once_more(run, steps, raised):
        if what_of(step) in (Do.FAIL, Do.DIE) and run.policy.renewed:
            continue  # a relay does not learn what its consumers fail at
        if step[0] == Do.RESTART:
            yield from _between(run, undead, _Happened(Do.RESTART, (-1, -1), -1, step[1]), died)
            died = None
            continue
        yield from _between(run, undead)
        do, (consumer, position, lane, place, attempt, *_) = what_of(step), step[1:]
        died = None
        if do == Do.DIE:
            do, died = Do.DELIVER, (lane, place)
        if do == Do.FAIL:
            do, refused = Do.DELIVER, True
        late = do == Do.DELIVER and consumer in undead.get((lane, place), ())
        if late:
            undead[lane, place].remove(consumer)
        yield _Happened(Do(do), (lane, place), position, consumer, attempt, refused, late)
    yield from _between(run, undead)


def _between(
    run: QueueRun, undead: dict[Record, list[int]], restart: _Happened | None = None, died: Record | None = None
) -> Iterator[_Happened]:
    """What the run has noted since the last step. A restart stands before the first message that it brings back: of a
    process that `died` at a message, none that came back before that one was left open."""
    notes, run.notes = run.notes, []
    for note in notes or ():
        if died is not None:
            if note.what == "open" and note.turn[1:3] == died:
                died = None
            yield _noted(note)
            continue
        if note.what == "undead":
            undead.setdefault(note.turn[1:3], []).append(note.turn[3][1])
        if restart is not None and note.what == "back" and note.turn[3][1] == restart.consumer:
            yield restart
            restart = None
        yield _noted(note)
    if restart is not None:
        yield restart


def _noted(note: Note) -> _Happened:
    _, consumer, position, lane, place, attempt, *_ = note.turn[3]
    since = None if note.since is None else note.since[1:3]
    return _Happened(note.what, (lane, place), position, consumer, attempt, since=since)


class _QueueSpeller:
    def __init__(
        self,
        run: QueueRun,
        unit_of: Callable[[int, int], str],
        window: int,
        lease: int,
        style: Style,
    ) -> None:
        self._style, self._shown = style, set[Record]()
        self._run, self._unit_of, self._window, self._lease = run, unit_of, window, lease
        self._retries = run.policy.refused == "renewed"
        """What fails is sent again by the task itself, and not moved by the broker."""
        self._one_owner = run.policy.lock == "queue" or run.policy.consumers == 1
        self._undead, self._takeovers = -1, 0
        self._sent: dict[int, int] = {}
        self._labels: dict[Record, str] = {}
        self._copies: dict[int, int] = {}
        self._accepted: dict[str, float] = {}
        self._taken: dict[Record, float] = {}
        self._holding: set[Record] = set()
        self._failed: set[Record] = set()
        self._now = -1.0
        self._said: list[str] = []

    def words(self, happened: Sequence[_Happened]) -> list[str]:
        ends = (
            ("open", "again") if self._style == "invoked" else ("back", "open", "again", "requeued", Do.PARK, Do.SKIP)
        )
        kept, batches = _unsettled(happened, ends), _received_with(happened)
        if self._run.policy.lock == "group" and self._style == "settled":
            batches = self._receives(happened, kept)
        for number, each in enumerate(happened):
            for record in batches.get(number, ()):
                if self._style == "settled":
                    self._send_up_to(record, put_back=False)
            self._say(each, number in kept)
        return self._said

    def _receives(self, happened: Sequence[_Happened], unsettled: Collection[int]) -> dict[int, list[Record]]:
        """What one receive of a group hands out later: it was sent before the receive began, with this number."""
        begun: dict[str, tuple[int, set[Record]]] = {}
        found: dict[int, list[Record]] = {}
        for number, each in enumerate(happened):
            if each.late or each.what in (Do.RESTART, Do.TAKE_OVER, "open", "undead"):
                continue
            group = self._unit_of(each.record[0], each.position)
            start, out = begun.get(group, (number, set[Record]()))
            if each.what in ("held", Do.DELIVER):
                found.setdefault(start, []).append(each.record)
            settled = each.what == Do.DELIVER and number not in unsettled and not each.refused
            out = out - {each.record} if settled or each.what not in ("held", Do.DELIVER) else out | {each.record}
            begun[group] = (start, out)
            if not out:
                del begun[group]
        return found

    def _say(self, each: _Happened, unsettled: bool) -> None:
        name = consumer_name(self._takeovers if self._style == "relay" else each.consumer)
        if self._style != "settled":
            self._say_of_log(each, name, unsettled)
            return
        if each.what == Do.RESTART:
            self._said.append(f"{name}:⚡")
            return
        if each.what == "undead":
            self._undead = each.consumer
        if each.what == Do.TAKE_OVER and self._one_owner:
            self._said.append(f"|evict {consumer_name(self._undead)}>{name}")
        if each.what in (Do.TAKE_OVER, Do.REFUSE, Do.WAIT, "open", "undead"):
            return
        self._send_up_to(each.record, put_back=each.what == Do.PUT_BACK)
        label = self._labels[each.record]
        again = "r" if each.attempt > 1 and not each.late else ""
        if each.what == "held":
            self._taken[each.record] = self._now
            self._holding.add(each.record)
            self._said.append(f"{name}:{label}{again}-")
        elif each.what == Do.DELIVER:
            if each.refused:
                self._failed.add(each.record)
            if each.record in self._holding and not each.late:
                again = ""
            elif not each.late:
                self._taken[each.record] = self._now
            if not each.late:
                self._holding.discard(each.record)
            self._said.append(f"{name}:{label}{again}{'!' if each.refused else ''}")
            if not unsettled and not each.late and not each.refused:
                self._said.append(f"|ack {label}")
        elif each.what == "requeued":
            if each.since is not None:
                self._send_up_to(each.since, put_back=False)
            self._holding.discard(each.record)
            self._said.append(f"{name}: |nack {label}")
        elif each.what == "again":
            self._said.append(f"{name}: |nack {label}")
        elif each.what == "jumped":
            self._said.append(f"|reset {label}")
        elif each.what == "back":
            self._holding.discard(each.record)
            self._wait_for_lease(each.record)
            self._said.append(f"{name}: |expire {label}")
        elif each.what == Do.PARK and self._retries and each.record not in self._failed:
            run = f"{name}:{label}{'' if each.record in self._holding else again}!"
            self._said.append(run)
        elif each.what == Do.PARK and not self._retries:
            self._said.append(f"|dead {label}")
        elif each.what in (Do.SKIP, Do.LOSE):
            self._said.append(f"|drop {label}")

    def _say_of_log(self, each: _Happened, name: str, unsettled: bool) -> None:
        """Where single messages are not settled: a crash, or a failed invocation, says what comes again."""
        if each.what == "undead":
            self._undead = each.consumer
            if self._style == "crashed":  # what it holds was accepted before it lost its queue
                self._send_up_to(each.record, put_back=False)
        relay = self._style == "relay"
        if each.what == Do.RESTART and self._style != "invoked":
            self._said.append(f"{name}:⚡")
        elif each.what == Do.TAKE_OVER and relay:
            self._takeovers += 1
            self._said.append(f"|evict {name}>{consumer_name(self._takeovers)}")
        elif each.what == Do.TAKE_OVER:
            self._said.append(f"|evict {consumer_name(self._undead)}>{name}")
        if each.what not in (Do.DELIVER, Do.PARK, Do.PUT_BACK, Do.LOSE, Do.SKIP):
            return
        if not relay:
            self._send_up_to(each.record, put_back=each.what == Do.PUT_BACK)
        elif each.record not in self._labels:
            copied = each.what == Do.PUT_BACK
            self._copies[each.position] = self._copies.get(each.position, 0) + copied
            copy = self._copies[each.position] if copied else 0
            unit = self._unit_of(each.record[0], each.position)
            self._labels[each.record] = f"{unit}{each.position + 1}{chr(39) * copy}"
        label = self._labels[each.record]
        if each.what == Do.DELIVER:
            again = "r" if each.record in self._shown else ""
            self._shown.add(each.record)
            failed = each.refused or (unsettled and self._style == "invoked")
            self._said.append(f"{name}:{label}{again}{'!' if failed else ''}")
        elif each.what == Do.PARK:
            self._said.append(f"{name}: |dead {label}")
        elif each.what in (Do.LOSE, Do.SKIP) and self._style != "relay":
            self._said.append(f"|drop {label}")

    def _send_up_to(self, record: Record, *, put_back: bool) -> None:
        """Everything up to this message was accepted by now."""
        lane, place = record
        log = self._run.logs.partitions[lane]
        for number in range(self._sent.get(lane, 0), place + 1):
            copy = self._copies.get(log[number], 0)
            label = self._labels[lane, number] = self._label(lane, log[number])
            if self._window:
                self._time_of_send(label, copy, put_back and number == place)
            self._said.append(f"|put {label}")
        self._sent[lane] = max(self._sent.get(lane, 0), place + 1)

    def _label(self, lane: int, position: int) -> str:
        """The name of the next message of this event."""
        copy = self._copies.get(position, 0)
        self._copies[position] = copy + 1
        return f"{self._unit_of(lane, position)}{position + 1}{chr(39) * copy}"

    def _time_of_send(self, label: str, copy: int, put_back: bool) -> None:
        """A copy is sent again when the window has passed; a dead letter that is put back is no such copy."""
        earlier = self._accepted.get(label[:-1], self._now) if copy else self._now
        self._at(max(self._now + 1, earlier + self._window + 1 if copy and not put_back else 0))
        self._accepted[label] = self._now

    def _wait_for_lease(self, record: Record) -> None:
        if self._window:
            self._at(max(self._now, self._taken.get(record, self._now) + self._lease))

    def _at(self, now: float) -> None:
        if now > self._now:
            self._now = now
            self._said.append(f"|t={now:g}s")


def _received_with(happened: Sequence[_Happened]) -> dict[int, list[Record]]:
    """What was received together with the run of this number, and was not run."""
    last: dict[Record, int] = {}
    found: dict[int, list[Record]] = {}
    for number, each in enumerate(happened):
        if each.what == Do.DELIVER and not each.late:
            last[each.record] = number
        elif each.since is not None and each.since in last:
            found.setdefault(last[each.since], []).append(each.record)
    return found


def _unsettled(happened: Sequence[_Happened], ends: Collection[Do | str]) -> set[int]:
    """The runs that were not settled: those that end in one of these ways before they are run again."""
    last: dict[Record, int] = {}
    found: set[int] = set()
    for number, each in enumerate(happened):
        if each.what == Do.DELIVER and not each.late:
            last[each.record] = number
        elif each.what in ends and each.record in last:
            found.add(last[each.record])
    return found
