"""Reading one shard with a Lambda function: a batch is invoked again as a whole until it succeeds or is given up."""

from __future__ import annotations

import attrs

from chaoskit.traces.log.layout import deliveries
from chaoskit.traces.log.state import View
from chaoskit.traces.tokens import Batch, Deliver, End, Kill, Reset, Settle, Word

Range = tuple[int, int, int]
"""First and last place of a batch that is invoked again, and how often that was done already."""


@attrs.frozen
class State:
    """`pending` are the ranges to invoke again, the next one first; `open` is the invocation in progress."""

    following: int | None = None
    """The first record of the next new batch; None: wherever the trace begins."""
    pending: tuple[Range, ...] = ()
    last: Range | None = None
    """The batch that succeeded last, which a lost answer would bring again."""
    open: tuple[int, int] | None = None
    """First record and next one of an invocation that is written without brackets."""
    failed: int | None = None
    """The lowest record that failed in it."""
    used: int = 0


class LambdaReader:
    """All that can be true of one shard, or of one key where keys are invoked side by side, after each word."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.rules = view.rules
        self.states = {State()}
        self.dropping = False
        """Whether the word that is read says that a batch is given up."""

    def read(self, word: Word) -> tuple[str, ...]:
        match word:
            case Deliver() | Batch():
                found = self.invoke(word)
            case Kill():
                found = {after for state in self.states for after in self.killed(state)}
            case Settle():
                return self.settle(word)
            case Reset(to=to):
                place = None if to is None else self.view.layout.place(to)
                found = {State(place)}
            case End():
                found = {state for state in self.states if self.complete(state)}
            case _:
                return ()
        if not found:
            return (self.why(word),)
        self.states = found
        return ()

    def invoke(self, word: Deliver | Batch) -> set[State]:
        places = [self.view.layout.index[member.label.name, member.label.copy] for member in deliveries(word)]
        failed = next((place for m, place in zip(deliveries(word), places, strict=True) if m.outcome == "failed"), None)
        if isinstance(word, Batch):
            return {
                after
                for state in self.states
                for now in self.closed(state)
                for after in self.batch(now, places, failed)
            }
        found = {after for state in self.states for after in self.longer(state, places[0], failed)}
        for state in self.states:
            for now in self.closed(state):
                found |= self.begun(now, places[0], failed)
        return found

    # Batches in brackets

    def batch(self, state: State, places: list[int], failed: int | None) -> set[State]:
        whole = [place for place in range(places[0], places[-1] + 1) if place not in self.view.gone]
        if places != whole:
            return set()
        first, last = places[0], places[-1]
        found: set[State] = set()
        for now, used in self.starts(state, first):
            if now.pending and now.pending[0][1] != last:
                continue
            found |= self.answered(now, (first, last, used), failed)
        return found

    def starts(self, state: State, first: int) -> list[tuple[State, int]]:
        """The states in which a batch may begin here, with the retries it has used."""
        state = self.without_gone(state)
        if state.pending:
            return [(state, state.pending[0][2])] if state.pending[0][0] == first else []
        found = []
        if state.following is None or self.view.following(state.following) == first:
            found.append((state, 0))
        elif state.last is not None and state.last[0] == first and self.view.free("process"):
            found.append((attrs.evolve(state, pending=(state.last,)), 0))
        return found

    def without_gone(self, state: State) -> State:
        pending = state.pending
        while pending and all(place in self.view.gone for place in range(pending[0][0], pending[0][1] + 1)):
            pending = pending[1:]
        return attrs.evolve(state, pending=pending)

    def answered(self, state: State, batch: Range, failed: int | None) -> set[State]:
        """The invocation ended: what is invoked next."""
        first, last, used = batch
        rest = state.pending[1:] if state.pending else ()
        following = last + 1 if not state.pending else state.following
        done = State(following, rest, (first, last, 0))
        if failed is None:
            return {done}
        start = failed if self.rules.report_item_failures else first
        return {State(following, (*ranges, *rest)) for ranges in self.again(start, last, used, start > first)} | (
            {attrs.evolve(done, last=None)} if self.given_up(start, last, used) else set()
        )

    def given_up(self, start: int, last: int, used: int) -> bool:
        limit = self.rules.maximum_retry_attempts
        splits = self.rules.bisect and last > start
        return 0 <= limit <= used and not splits and (self.dropping or self.view.free("settle"))

    def again(self, start: int, last: int, used: int, shorter: bool) -> list[tuple[Range, ...]]:
        limit = self.rules.maximum_retry_attempts
        found: list[tuple[Range, ...]] = []
        if self.rules.bisect and last > start and not shorter:
            size = last - start + 1
            for half in {size // 2, (size + 1) // 2}:
                found.append(((start, start + half - 1, used), (start + half, last, used)))
        elif limit < 0 or used < limit or shorter:
            found.append(((start, last, used + 1),))
        return found

    # Records without brackets: the limits of the invocations are free

    def longer(self, state: State, place: int, failed: int | None) -> set[State]:
        if state.open is None or self.view.following(state.open[1]) != place:
            return set()
        if place - state.open[0] >= self.rules.batch_size:
            return set()
        lowest = state.failed if state.failed is not None else failed
        return {attrs.evolve(state, open=(state.open[0], place + 1), failed=lowest)}

    def begun(self, state: State, place: int, failed: int | None) -> set[State]:
        found = set()
        for now, used in self.starts(state, place):
            found.add(State(now.following, now.pending, now.last, (place, place + 1), failed, used))
        return found

    def closed(self, state: State) -> list[State]:
        """The states after the open invocation ended, in each way in which it can have ended."""
        if state.open is None:
            return [state]
        first, behind = state.open
        bare = attrs.evolve(state, open=None, failed=None, used=0)
        if state.failed is None:
            if state.pending and state.pending[0][1] >= behind:
                return []
            return list(self.answered(bare, (first, behind - 1, state.used), None))
        longest = min(first + self.rules.batch_size, len(self.view.layout.entries) + 1)
        ends = [state.pending[0][1] + 1] if state.pending else range(behind, max(behind, longest) + 1)
        found: set[State] = set()
        for end in ends:
            found |= self.answered(bare, (first, end - 1, state.used), state.failed)
        return list(found)

    # Other words

    def killed(self, state: State) -> set[State]:
        """The function died or timed out: its batch failed, or the answer of the last one was lost."""
        found: set[State] = set()
        if state.open is not None:
            failed = state.failed if state.failed is not None else state.open[0]
            for now in self.closed(attrs.evolve(state, failed=failed)):
                found.add(now)
        for now in self.closed(state):
            found.add(now)
            if now.last is not None and not now.pending:
                found.add(attrs.evolve(now, pending=(now.last,)))
        return found

    def settle(self, word: Settle) -> tuple[str, ...]:
        if word.what in ("drop", "dead"):
            self.view.gone.add(self.view.layout.index[word.label.name, word.label.copy])
            self.dropping = True
            self.states = {self.without_gone(now) for state in self.states for now in self.closed(state)}
            self.dropping = False
            return ()
        return ("a function that reads a stream settles no single message: it answers for its batch",)

    def complete(self, state: State) -> bool:
        end = self.view.layout.end
        return any(
            not now.pending and self.view.following(now.following or 0) >= end
            for now in map(self.without_gone, self.closed(state))
        )

    def why(self, word: Word) -> str:
        if isinstance(word, End):
            return "the trace is not complete: a batch is still to be invoked"
        pending = sorted({now.pending[0] for state in self.states for now in self.closed(state) if now.pending})
        if pending:
            first, last, used = pending[0]
            named = self.view.named
            batch = (
                named(first)
                if first == last
                else f"{named(first)} to {named(min(last, len(self.view.layout.entries) - 1))}"
            )
            return f"a batch that failed is invoked again as a whole before anything else: {batch}{self.limit(used)}"
        dues = {now.following for state in self.states for now in self.closed(state) if now.following is not None}
        due = self.view.named(self.view.following(min(dues))) if dues else "the next record"
        return f"a {self.rules.unit_word} is read in order, batch by batch: {due} comes next{self.limit(0)}"

    def limit(self, used: int) -> str:
        limit = self.rules.maximum_retry_attempts
        return f" (maximum_retry_attempts={limit})" if limit >= 0 else ""
