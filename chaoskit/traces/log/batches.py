"""Reading one shard with a Lambda function: a batch is invoked again as a whole until it succeeds or is given up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import attrs

from chaoskit.traces.log.lane import Lane
from chaoskit.traces.tokens import Batch, End, Kill, Receive, Reset, Settle, Word, deliveries

PendingBatch = tuple[int, int, int]
"""First and last place of a batch that is invoked again, and how often that was done already."""


@attrs.frozen
class BatchState:
    """What may be true of one shard: where it is read, and which batches are to be invoked again."""

    following: int | None = None
    """The first record of the next new batch; None: wherever the trace begins."""
    pending: tuple[PendingBatch, ...] = ()
    """The next one first."""
    last: PendingBatch | None = None
    """The batch that succeeded last, which a lost answer would bring again."""
    open: tuple[int, int] | None = None
    """First record and next one of an invocation that is written without brackets."""
    failed: int | None = None
    """The lowest record that failed in it."""
    used: int = 0
    """How often it was invoked again already."""
    cut_off: bool = False
    """A record was dropped in the middle of an invocation. What can follow is not known, so nothing is permitted."""


class BatchMachine:
    """What one word does to one state of a shard, or of one key where keys are invoked side by side."""

    def __init__(
        self, lane: Lane, *, batch_size: int, bisects: bool, partial_answers: bool, most_retries: int | None
    ) -> None:
        self.lane = lane
        self.batch_size = batch_size
        self.bisects = bisects
        self.partial_answers = partial_answers
        """The function answers which records failed, and only what follows the first of them is invoked again."""
        self.most_retries = most_retries

    def start(self) -> BatchState:
        return BatchState()

    def step(self, state: BatchState, word: Word) -> Iterable[BatchState | str]:
        match word:
            case Receive() | Batch():
                return self.invoke(state, word)
            case Kill():
                return self.kill(state)
            case Settle():
                return self.settle(state, word)
            case Reset(to=to):
                return [BatchState(None if to is None else self.lane.layout.place(to))]
            case End():
                return [state] if self.is_complete(state) else []
        return [state]

    def explain(self, states: Sequence[BatchState], word: Word, against: Sequence[str]) -> tuple[str, ...]:
        """What had to come next, in one sentence: the states differ in the limits of batches, which are not shown."""
        if against:
            return tuple(against[:1])
        if isinstance(word, End):
            return ("the trace is not complete: a batch is still to be invoked",)
        ended = [now for state in states for now in self.closed(state)]
        named, unit = self.lane.named, self.lane.rules.unit_word
        pending = min((now.pending[0] for now in ended if now.pending), default=None)
        if pending is not None:
            first, last, _ = pending
            until = "" if first == last else f" to {named(min(last, len(self.lane.layout.entries) - 1))}"
            text = f"a batch that failed is invoked again as a whole before anything else: {named(first)}{until}"
            return (f"{text}{self.limit()}",)
        following = min((now.following for now in ended if now.following is not None), default=None)
        due = "the next record" if following is None else named(self.lane.following(following))
        return (f"a {unit} is read in order, batch by batch: {due} comes next{self.limit()}",)

    def limit(self) -> str:
        return "" if self.most_retries is None else f" (maximum_retry_attempts={self.most_retries})"

    def invoke(self, state: BatchState, word: Receive | Batch) -> Iterator[BatchState]:
        members = deliveries(word)
        places = [self.lane.index(member.label) for member in members]
        failed = next((at for member, at in zip(members, places, strict=True) if member.outcome == "failed"), None)
        if isinstance(word, Receive):
            yield from self.longer(state, places[0], failed)
        for now in self.closed(state):
            if isinstance(word, Receive):
                yield from self.begun(now, places[0], failed)
            else:
                yield from self.whole_batch(now, places, failed)

    # Batches in brackets

    def whole_batch(self, state: BatchState, places: list[int], failed: int | None) -> Iterator[BatchState]:
        first, last = places[0], places[-1]
        # A batch is a piece of the shard, without holes.
        if places != [place for place in range(first, last + 1) if place not in self.lane.gone]:
            return
        for now, used in self.starts(state, first):
            if not now.pending or now.pending[0][1] == last:
                yield from self.answered(now, (first, last, used), failed)

    def starts(self, state: BatchState, first: int) -> list[tuple[BatchState, int]]:
        """The states in which a batch may begin here, with the retries it has used."""
        state = self.without_gone(state)
        # Lambda reads nothing new of a shard while a batch of it is still to be invoked.
        if state.pending:
            return [(state, state.pending[0][2])] if state.pending[0][0] == first else []
        if state.following is None or self.lane.following(state.following) == first:
            return [(state, 0)]
        if state.last is not None and state.last[0] == first and self.lane.free("process"):
            return [(attrs.evolve(state, pending=(state.last,)), 0)]  # the answer of the last invocation was lost
        return []

    def without_gone(self, state: BatchState) -> BatchState:
        pending = state.pending
        while pending and self.lane.gone.issuperset(range(pending[0][0], pending[0][1] + 1)):
            pending = pending[1:]
        return attrs.evolve(state, pending=pending)

    def answered(
        self, state: BatchState, batch: PendingBatch, failed: int | None, *, gives_up: bool = False
    ) -> Iterator[BatchState]:
        """The invocation ended: what is invoked next. `gives_up`: a verb says that batches are given up here."""
        first, last, used = batch
        rest = state.pending[1:]
        following = state.following if state.pending else last + 1
        if failed is None:
            yield BatchState(following, rest, (first, last, 0))
            return
        start = failed if self.partial_answers else first
        for ranges in self.again(start, last, used, shorter=start > first):
            yield BatchState(following, (*ranges, *rest))
        if (gives_up or self.lane.free("settle")) and self.is_used_up(start, last, used):
            yield BatchState(following, rest)

    def is_used_up(self, start: int, last: int, used: int) -> bool:
        """Whether a batch was invoked as often as it may be; one that can be halved is halved first."""
        halved = self.bisects and last > start
        return self.most_retries is not None and used >= self.most_retries and not halved

    def again(self, start: int, last: int, used: int, *, shorter: bool) -> Iterator[tuple[PendingBatch, ...]]:
        if self.bisects and last > start and not shorter:
            size = last - start + 1
            # Of an odd number either half may be the larger one.
            for half in {size // 2, (size + 1) // 2}:
                yield (start, start + half - 1, used), (start + half, last, used)
        elif self.most_retries is None or used < self.most_retries or shorter:
            yield ((start, last, used + 1),)

    # Records without brackets: the limits of the invocations are free

    def longer(self, state: BatchState, place: int, failed: int | None) -> Iterator[BatchState]:
        """The invocation in progress goes on with this record."""
        if state.open is None or self.lane.following(state.open[1]) != place:
            return
        if place - state.open[0] < self.batch_size:
            # What is invoked again begins at the first record that failed.
            lowest = state.failed if state.failed is not None else failed
            yield attrs.evolve(state, open=(state.open[0], place + 1), failed=lowest)

    def begun(self, state: BatchState, place: int, failed: int | None) -> Iterator[BatchState]:
        """A new invocation begins with this record."""
        for now, used in self.starts(state, place):
            yield BatchState(now.following, now.pending, now.last, (place, place + 1), failed, used)

    def closed(self, state: BatchState, *, gives_up: bool = False) -> Iterator[BatchState]:
        """The states after the open invocation ended, in each way in which it can have ended."""
        if state.open is None:
            yield from [] if state.cut_off else [state]
            return
        first, behind = state.open
        bare = attrs.evolve(state, open=None, failed=None, used=0)
        if state.failed is None:
            # A batch that is invoked again ends where it ended before, and so does its success.
            if not state.pending or state.pending[0][1] < behind:
                yield from self.answered(bare, (first, behind - 1, state.used), None, gives_up=gives_up)
            return
        # What follows a failure in its batch was not run, so the batch may be longer than what is shown of it.
        longest = min(first + self.batch_size, len(self.lane.layout.entries) + 1)
        ends = [state.pending[0][1] + 1] if state.pending else range(behind, max(behind, longest) + 1)
        for end in ends:
            yield from self.answered(bare, (first, end - 1, state.used), state.failed, gives_up=gives_up)

    # Other words

    def kill(self, state: BatchState) -> Iterator[BatchState]:
        """The function died or timed out: its batch failed, or the answer of the last one was lost."""
        if state.open is not None:
            failed = state.failed if state.failed is not None else state.open[0]
            yield from self.closed(attrs.evolve(state, failed=failed))
        for now in self.closed(state):
            yield now
            if now.last is not None and not now.pending:
                yield attrs.evolve(now, pending=(now.last,))

    def settle(self, state: BatchState, word: Settle) -> Iterator[BatchState | str]:
        if word.what not in ("drop", "dead"):
            yield "a function that reads a stream settles no single message: it answers for its batch"
            return
        ended = list(self.closed(state, gives_up=True))
        for now in ended:
            yield self.without_gone(now)
        if not ended:
            yield BatchState(cut_off=True)

    def is_complete(self, state: BatchState) -> bool:
        end = self.lane.layout.end
        ended = map(self.without_gone, self.closed(state))
        return any(not now.pending and self.lane.following(now.following or 0) >= end for now in ended)
