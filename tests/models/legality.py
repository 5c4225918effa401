"""A second reading of what Kafka can deliver: from the steps of a run alone it says what is illegal in them.

It shares no code with `chaoskit/brokers`, not even the hash: keys are `a`, `b`, `c` (whose murmur2 stands in
`partitions.csv`) or None. It keeps the position of each partition, what each consumer has committed and how
many redeliveries are pending, and so knows where each restart must resume.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from chaoskit.brokers import Kafka
from chaoskit.values.faults import BatchSwap, DeadLetter, Duplicate, FaultKind, Redeliver, Rehash
from chaoskit.values.scenario import Scenario
from chaoskit.values.schedule import Do, Raw

HASH = {"a": 584102524, "b": 294391796, "c": 270014794}
"""murmur2 & 0x7fffffff."""

DELIVER, RESTART, PARK, PUT_BACK, SKIP, REFUSE, _, _, WAIT, FAIL = (int(do) for do in Do)

Record = tuple[int, int]
"""Partition and offset."""


class Illegal(AssertionError):
    """No Kafka does this."""


def require(condition: object, reason: str) -> None:
    if not condition:
        raise Illegal(reason)


def check_legal(scenario: Scenario, steps: Sequence[Raw], refused: Collection[int] = ()) -> None:
    """Raise Illegal where these steps, of which the numbers `refused` were refused, cannot have happened."""
    failed = {number for number, step in enumerate(steps) if step[0] == FAIL}
    steps = [(DELIVER, *step[1:]) if step[0] == FAIL else step for step in steps]
    reading = _Reading(scenario, steps, {*refused, *failed})
    for number in range(len(steps)):
        reading.step(number)
    reading.end()
    if not reading.blocked:  # else nobody has read the whole log
        _check_log(scenario, reading.log())


class _Faults:
    """The faults of a scenario, counted by the position of their event."""

    def __init__(self, scenario: Scenario) -> None:
        self.position = {event.id: n for n, event in enumerate(scenario.events)}
        self.all = scenario.faults
        self.copies = self.count(Duplicate)
        self.redeliveries = self.count(Redeliver)
        self.dead_letters = self.count(DeadLetter)

    def count(self, kind: FaultKind) -> Counter[int]:
        return Counter(self.position[fault.at] for fault in self.all if type(fault) is kind)

    def unspent(self) -> bool:
        return any(
            count for counter in (self.copies, self.redeliveries, self.dead_letters) for count in counter.values()
        )


class _Reading:
    def __init__(self, scenario: Scenario, steps: Sequence[Raw], refused: Collection[int]) -> None:
        broker = scenario.broker
        assert isinstance(broker, Kafka)
        self.broker, self.events, self.steps, self.refused = broker, scenario.events, steps, refused
        self.faults = _Faults(scenario)
        growth = [fault.to for fault in scenario.faults if type(fault) is Rehash]
        self.counts = {broker.partitions, *(to for to in growth if to > broker.partitions)}
        self.width = max(self.counts)
        self.next = [0] * self.width
        self.floor = [0] * self.width
        self.unused = [0] * self.width
        self.content: dict[Record, int] = {}
        self.put_back: set[Record] = set()
        self.parked: Counter[int] = Counter()
        self.armed: Counter[int] = Counter()
        self.pinned: dict[int, list[int]] = {}
        self.since_commit: Counter[int] = Counter()
        self.committed: dict[int, list[int]] = {}
        self.accepted: set[int] = set()
        self.lost: set[int] = set()
        self.ever_refused: set[int] = set()
        self.set_aside: set[int] = set()
        self.blocked: set[int] = set()
        self.resumes = _resumes(steps)

    def step(self, number: int) -> None:
        do, consumer, position, partition, offset, *_ = self.steps[number]
        if do == RESTART:
            self.restart(number, consumer)
            return
        require(consumer == partition % self.broker.consumers, f"step {number}: partition of another consumer")
        require(0 <= partition < self.width, f"step {number}: no such partition")
        if do == PUT_BACK:
            self.append(number, position, (partition, offset))
            return
        if do == WAIT:
            require(partition in self.blocked, f"step {number}: waits in a partition that nothing blocks")
            return
        if do == REFUSE:
            self.give_up(number, position, (partition, offset))
            return
        same = self.content.setdefault((partition, offset), position)
        require(same == position, f"step {number}: the record at an offset changed")
        require(offset == self.next[partition], f"step {number}: not the next offset of its partition")
        self.unused[partition] = max(self.unused[partition], offset + 1)
        if do == DELIVER:
            self.deliver(number, position)
        else:
            self.leave(number, position)

    def previous(self, number: int) -> Raw | None:
        return self.steps[number - 1] if number else None

    def following(self, number: int) -> Raw | None:
        return self.steps[number + 1] if number + 1 < len(self.steps) else None

    def deliver(self, number: int, position: int) -> None:
        step = self.steps[number]
        if self.previous(number) == step and number - 1 not in self.refused:
            self.faults.copies[position] -= 1
            require(self.faults.copies[position] >= 0, f"step {number}: a copy without a Duplicate")
        if number in self.refused:
            self.refusal(number, step)
        elif self.following(number) != step:
            self.accepted.add(position)
            self.arm(step[1], position)
            self.processed(number, step)

    def refusal(self, number: int, step: Raw) -> None:
        following = self.following(number)
        require(following is not None, f"step {number}: nothing follows a refusal")
        assert following is not None
        self.ever_refused.add(step[2])
        left = following[0] in (PARK, REFUSE)
        if self.broker.on_error == "skip":
            require(following == (SKIP, *step[1:]), f"step {number}: refused and not skipped")
        elif self.broker.on_error == "stop":
            stopped = following[:2] == (RESTART, step[1])
            require(left or stopped, f"step {number}: refused and the process lives on")

    def leave(self, number: int, position: int) -> None:
        """A record passes unprocessed: to the dead-letter topic, or skipped."""
        step = self.steps[number]
        after_refusal = number - 1 in self.refused and self.steps[number - 1][1:] == step[1:]
        if step[0] == PARK and after_refusal:
            require(self.broker.on_error != "stop", f"step {number}: a consumer that stops sets nothing aside")
            self.set_aside.add(position)  # of several copies of it one is put back
        elif step[0] == PARK:
            self.parked[position] += 1
            self.faults.dead_letters[position] -= 1
            require(self.faults.dead_letters[position] >= 0, f"step {number}: parked without a DeadLetter")
        else:
            require(after_refusal, f"step {number}: given up without a refusal")
            require(self.broker.on_error == "skip", f"step {number}: wrong way to give up")
            self.lost.add(position)
        self.processed(number, step)

    def give_up(self, number: int, position: int, record: Record) -> None:
        """Refused to the end, when nothing else is left: it stays set aside, or its partition waits for it."""
        require(
            all(step[0] in (REFUSE, WAIT) for step in self.steps[number:]), f"step {number}: something is left to read"
        )
        require(position in self.ever_refused, f"step {number}: given up without a refusal")
        self.lost.add(position)
        if self.broker.on_error == "stop":
            require(record[1] >= self.next[record[0]], f"step {number}: not what its partition waits for")
            self.blocked.add(record[0])
            return
        require(self.broker.on_error != "skip", f"step {number}: wrong way to give up")
        require(position in self.set_aside, f"step {number}: refused to the end, and not set aside")
        self.set_aside.remove(position)

    def arm(self, consumer: int, position: int) -> None:
        if self.faults.redeliveries[position] > 0:
            self.faults.redeliveries[position] -= 1
            if not self.armed[consumer]:
                self.pinned[consumer] = self.next[:]
            self.armed[consumer] += 1

    def processed(self, number: int, step: Raw) -> None:
        _, consumer, _, partition, *_ = step
        self.next[partition] += 1
        every = self.broker.commit_every
        if every is None:
            return
        self.since_commit[consumer] += 1
        if self.since_commit[consumer] == every and not self.dies_next(number, consumer):
            require(not self.armed[consumer], f"step {number}: a commit while a redelivery is pending")
            self.since_commit[consumer] = 0
            self.committed[consumer] = self.next[:]

    def dies_next(self, number: int, consumer: int) -> bool:
        later = (step for step in self.steps[number + 1 :] if step[0] != PUT_BACK)
        return next((step[:2] == (RESTART, consumer) for step in later), False)

    def commit_of(self, consumer: int) -> list[int]:
        if self.broker.commit_every is not None:
            return self.committed.get(consumer, [0] * self.width)
        return self.pinned[consumer] if self.armed[consumer] else self.next

    def restart(self, number: int, consumer: int) -> None:
        commit = self.commit_of(consumer)[:]
        resumes = self.resumes[number]
        for partition in range(consumer, self.width, self.broker.consumers):
            unread = commit[partition] if self.broker.on_error == "stop" else self.next[partition]
            at = resumes.get(partition, unread)
            require(at >= self.floor[partition], f"step {number}: a replay below the commit of an earlier one")
            require(at >= commit[partition], f"step {number}: a replay below the commit")
            require(at <= commit[partition], f"step {number}: a replay that skips what was not committed")
            self.next[partition] = self.floor[partition] = at
        died = number - 1 in self.refused and self.steps[number - 1][1] == consumer
        if not (died and self.broker.on_error == "stop"):
            self.armed[consumer] -= 1
            require(self.armed[consumer] >= 0, f"step {number}: a restart without a Redeliver")
        self.since_commit[consumer] = 0
        self.pinned[consumer] = self.next[:]

    def append(self, number: int, position: int, record: Record) -> None:
        partition, offset = record
        require(self.parked[position] or position in self.set_aside, f"step {number}: put back and never parked")
        if self.parked[position]:
            self.parked[position] -= 1
        else:
            self.set_aside.remove(position)
        require(record not in self.content, f"step {number}: put back at an offset that is taken")
        require(offset >= self.unused[partition], f"step {number}: put back among older records")
        homes = {home(self.events[position].key, count) for count in self.counts}
        require(None in homes or partition in homes, f"step {number}: put back into a partition of other keys")
        self.unused[partition] = offset + 1
        self.content[record] = position
        self.put_back.add(record)

    def end(self) -> None:
        require(not self.set_aside, "refused, set aside and never put back")
        require(not any(self.parked.values()), "parked and never put back")
        require(not any(self.armed.values()), "a redelivery is still pending")
        require(
            self.blocked or self.accepted | self.lost == set(range(len(self.events))),
            "an event was neither delivered nor given up",
        )
        if not self.refused:
            require(not self.lost, "an event was given up that nobody refused")
            require(not self.faults.unspent(), "a fault that could act did not")
        for partition in set(range(self.width)) - self.blocked:
            offsets = sorted(offset for at, offset in self.content if at == partition)
            require(offsets == list(range(self.next[partition])), f"partition {partition} was not read to its end")
        if not self.faults.all and not self.refused:
            require([step[2] for step in self.steps] == list(range(len(self.events))), "calm, but out of order")

    def log(self) -> dict[int, list[int]]:
        """What the producer wrote to each partition."""
        written: dict[int, list[int]] = {}
        for record in sorted(self.content):
            if record not in self.put_back:
                written.setdefault(record[0], []).append(self.content[record])
        return written


def _resumes(steps: Sequence[Raw]) -> dict[int, dict[int, int]]:
    """For each restart the offset at which each partition is next read."""
    ahead: dict[int, int] = {}
    found: dict[int, dict[int, int]] = {}
    for number in range(len(steps) - 1, -1, -1):
        do, _, _, partition, offset, *_ = steps[number]
        if do == RESTART:
            found[number] = ahead.copy()
        elif do not in (PUT_BACK, REFUSE, WAIT):
            ahead[partition] = offset
    return found


def home(key: str | None, count: int) -> int | None:
    """The partition of a key; None: any."""
    return None if key is None else HASH[key] % count


def _check_log(scenario: Scenario, log: dict[int, list[int]]) -> None:
    written = sorted(position for positions in log.values() for position in positions)
    require(written == list(range(len(scenario.events))), "the producer lost or doubled an event")
    for partition, positions in log.items():
        for position in positions:
            require(partition in _homes(scenario, position), f"event {position} in a partition of other keys")
        if positions != sorted(positions):
            _check_batches(scenario, positions)


def _homes(scenario: Scenario, position: int) -> Collection[int]:
    """Where the producer can send this event: by the count of now, or by that before a growth it missed."""
    assert isinstance(scenario.broker, Kafka)
    key = scenario.events[position].key
    count = scenario.broker.partitions
    missed: set[int] = set()
    at = {event.id: n for n, event in enumerate(scenario.events)}
    growth = sorted((at[fault.at], fault) for fault in scenario.faults if type(fault) is Rehash)
    for start, fault in growth:
        if start <= position:
            since = [e for e in scenario.events[start + 1 : position + 1] if e.key == key]
            if start < position and scenario.events[start].key == key and len(since) <= fault.lag:
                missed.add(count)
            count = max(count, fault.to)
    if key is None:
        return range(count)
    return {HASH[key] % n for n in {count, *missed}}


def _check_batches(scenario: Scenario, positions: list[int]) -> None:
    """Batches are whole, and one is overtaken by no more than the window allows for each of its failures."""
    broker = scenario.broker
    assert isinstance(broker, Kafka)
    built_ahead = broker.retry_order == "sequence"  # librdkafka has one request more than are in flight
    size = broker.records_per_batch
    in_order = sorted(positions)
    batches = [in_order[n : n + size] for n in range(0, len(in_order), size)]
    number_of = {position: number for number, batch in enumerate(batches) for position in batch}
    sent = list(dict.fromkeys(number_of[position] for position in positions))
    require(
        [position for number in sent for position in batches[number]] == positions,
        "a batch was torn or reordered",
    )
    at = {event.id: n for n, event in enumerate(scenario.events)}
    swaps = [f for f in scenario.faults if type(f) is BatchSwap and at[f.at] in number_of]
    for place, number in enumerate(sent):
        failures = sum(number_of[at[fault.at]] == number or fault.lost for fault in swaps)
        overtaken_by = sum(other > number for other in sent[:place])
        require(
            overtaken_by <= failures * (broker.max_in_flight - 1 + built_ahead),
            "a batch was overtaken by more than the window",
        )
