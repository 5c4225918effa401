"""Reading one unit with a cursor: offset order, one owner, replays from the commit, zombies, retries in place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.traces.log import cursor_refusals as refusals
from chaoskit.traces.log.lane import Lane
from chaoskit.traces.log.position import CursorState, Position, evict, fetched_until, kill, resume_as_zombie
from chaoskit.traces.machine import sort_out
from chaoskit.traces.tokens import (
    Batch,
    Commit,
    End,
    Evict,
    Kill,
    MessageLabel,
    Move,
    Receive,
    Reset,
    Settle,
    Word,
    deliveries,
)

CursorMoves = list[CursorState | str]


class CursorMachine:
    """What one word does to one state of a unit that is read with a cursor."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.rules = lane.rules

    def start(self) -> CursorState:
        return CursorState(None, 0, len(self.lane.layout.entries))

    def step(self, state: CursorState, word: Word) -> CursorMoves:
        match word:
            case Receive() | Batch():
                return self.deliver(state, word)
            case Kill(consumer=consumer):
                return [kill(state, consumer)]
            case Evict():
                return [*self.evict(state, word)]
            case Move():
                return [self.move(state, word)]
            case Commit():
                return [self.commit(state, word)]
            case Settle():
                return self.settle(state, word)
            case Reset(to=to):
                return [self.reset(state, to)]
            case End():
                return [self.complete(state)]
        return [state]

    def explain(self, states: Sequence[CursorState], word: Word, against: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(against))[:3]

    # Deliveries

    def deliver(self, state: CursorState, word: Receive | Batch) -> CursorMoves:
        first, *others = deliveries(word)
        start = self.lane.index(first.label)
        found = self.seen_or_unseen(state, first, start)
        if isinstance(word, Receive):
            return found
        states, against = sort_out(found)
        for member in others:
            place = self.lane.index(member.label)
            states, later = sort_out(found for now in states for found in self.run(now, member, place, start))
            against += later
        stop = self.lane.index(word.members[-1].label) + 1
        return [*against, *(self.fetched(after, word.consumer, start, stop) for after in states)]

    def fetched(self, state: CursorState, consumer: str, first: int, stop: int) -> CursorState:
        """The batch in brackets is exactly what the consumer fetched."""
        position = state.position(consumer)
        # Of one that has lost the unit it is known already where its records end.
        if position is None or position.end is not None:
            return state
        return state.put(consumer, position._replace(base=first, stop=stop))

    def seen_or_unseen(self, state: CursorState, member: Receive, place: int) -> CursorMoves:
        """The delivery as it is, or after something that the trace leaves out."""
        found = [*self.run(state, member, place, None)]
        # Only for what goes back can it be of use to say why a hidden restart or hand-over does not explain it.
        goes_back = place < state.furthest
        for now in self.hidden(state, member.consumer):
            after = self.run(now, member, place, None)
            found += [each for each in after if goes_back or not isinstance(each, str)]
        return found

    def hidden(self, state: CursorState, consumer: str) -> Iterator[CursorState]:
        """What may have happened unseen before a delivery: a restart of the consumer, or a hand-over to it."""
        if not self.lane.free("process") or state.owner is None:
            return
        position = state.position(consumer)
        # Whoever owns the unit can only have restarted; anybody else can only have been given it.
        if state.owner != consumer:
            yield evict(self.lane, state, state.owner, consumer)
            # Or it had owned the unit before the trace began, and runs what it fetched then.
            if position is None and state.first is not None and self.rules.zombies:
                end = min(state.first + self.rules.max_poll_records, self.lane.written)
                yield state.put(consumer, Position(None, state.first, state.first, end=end))
        # One that begins at the commit would do so after a restart, too.
        elif position is not None and position.run is not None:
            yield state.put(consumer, Position())

    def run(self, state: CursorState, member: Receive, place: int, batch: int | None) -> CursorMoves:
        """One delivery. `batch`: where the batch begins in which it was handed over behind another one."""
        found = self.reads_at(state, member.consumer, place, batch)
        if isinstance(found, str):
            return [found]
        state, position = found
        assert position.run is not None
        if member.outcome == "held":
            if batch is not None and position.failures:
                return [state]  # what follows a failure in its batch is not run
            return [self.hand_over(state, member.consumer, position, place)]
        if self.lane.following(position.run) == place:
            return self.execute(state, member, position, place, batch)
        # Within a batch in brackets nothing is handed over a second time: it is what one poll returned.
        if self.seeks_back(state, position, place) and batch is None:
            back = position._replace(run=place, got=place)
            return self.execute(state, member, back, place, None)
        return [refusals.out_of_order(self.lane, member.consumer, position, place)]

    def reads_at(
        self, state: CursorState, consumer: str, place: int, batch: int | None
    ) -> tuple[CursorState, Position] | str:
        """Where the consumer is when it is handed this place; one that starts does so at the commit."""
        position = state.position(consumer)
        if position is None:
            # The first one to be seen owns the unit, whoever it was given to before the trace.
            if state.owner is not None:
                return refusals.not_owner(self.lane, state, consumer)
            state = CursorState(consumer, state.low, state.high, state.positions, state.first, state.died)
            position = Position()
        if position.run is None and position.end is not None:
            low, high = self.lane.following(position.base), self.lane.following(position.got)
            # It ran nothing while it owned the unit, so that it may have begun anywhere the commit may have been.
            if not low <= place <= min(high, position.end - 1):
                return refusals.not_owner(self.lane, state, consumer)
            position = resume_as_zombie(self.rules, position, place)
        elif position.run is None:
            why = refusals.not_at_commit(self.lane, state, place)
            if why:
                return why
            first = place if state.first is None else state.first
            # That a replay began here pins the commit: a restart from now on begins here at the earliest.
            state = CursorState(state.owner, place, place, state.positions, first, state.died)
            position = Position(place, place, place)
        # The batch in brackets is used up: what is handed over now is from another fetch, of a size that is not shown.
        elif position.stop is not None and position.end is None and position.run >= position.stop and batch is None:
            position = position._replace(stop=None, base=position.run)
        return state, position

    def hand_over(self, state: CursorState, consumer: str, position: Position, place: int) -> CursorState | str:
        if position.end is not None:
            return refusals.of_zombie(self.lane, consumer, position)
        if self.lane.following(position.got) != place:
            return refusals.out_of_order(self.lane, consumer, position._replace(run=position.got), place)
        return state.put(consumer, position._replace(got=place + 1, ran=False))

    def execute(
        self, state: CursorState, member: Receive, position: Position, place: int, batch: int | None
    ) -> CursorMoves:
        if position.end is not None and place >= position.end:
            return [refusals.of_zombie(self.lane, member.consumer, position)]
        if member.outcome == "failed":
            return self.fail(state, member.consumer, position, place, batch)
        if batch is not None and position.failures:
            return [refusals.out_of_order(self.lane, member.consumer, position, place)]
        return [self.advance(state, member.consumer, position, place)]

    def advance(
        self, state: CursorState, consumer: str, position: Position, place: int, ran: bool = True
    ) -> CursorState:
        """The record is done with: the position moves behind it, and a commit may follow."""
        got, base, stop = max(position.got, place + 1), position.base, position.stop
        after = Position(place + 1, got, base, stop, position.end, position.ends_with_log, 0, ran)
        state = state.put(consumer, after)
        # Of a zombie the broker refuses the commit; and where commits are listed, there is none but those.
        if state.owner != consumer or not self.lane.free("commit"):
            return state
        high = place + 1
        if self.rules.commit_ahead:
            # Offsets that are stored when a record is handed over may reach all that was fetched.
            high = min(fetched_until(self.rules, after), len(self.lane.layout.entries))
        # One who commits after every so many records has certainly committed those before.
        low = state.low if self.rules.commit_every is None else max(state.low, place + 1 - self.rules.commit_every)
        return state.committed(low, max(state.high, high))

    def fail(self, state: CursorState, consumer: str, position: Position, place: int, batch: int | None) -> CursorMoves:
        rules = self.rules
        # Not `ran`: a client seeks back to what it has handled, and not to what it has passed over.
        if rules.on_error in ("skip", "retry_topic"):
            return [self.advance(state, consumer, position, place, ran=False)]
        if rules.on_error == "stop":
            return [kill(state, consumer)]
        failures = position.failures + 1
        got = max(place, position.got if position.end else place)
        again = position._replace(run=place, got=got, failures=failures, ran=False)
        found: CursorMoves = [state.put(consumer, again)]
        if batch is not None and state.owner == consumer:  # a client may seek back to the first one of its poll
            found.append(state.put(consumer, again._replace(run=batch, got=batch)))
        # Where settlements are listed, it is set aside by its word and not by the last failure.
        if rules.max_attempts is not None and failures >= rules.max_attempts and self.lane.free("settle"):
            found.append(self.advance(state, consumer, position, place, ran=False))
        return found

    def seeks_back(self, state: CursorState, position: Position, place: int) -> bool:
        """Whether the client can run the record once more that it has just run."""
        assert position.run is not None
        just_run = position.ran and self.lane.before(position.run) == place
        committed = state.low > place
        return self.rules.repeats_in_place and just_run and position.end is None and not committed

    # Verbs

    def evict(self, state: CursorState, word: Evict) -> list[CursorState]:
        if state.owner not in (None, word.source):
            return [state]
        lost = evict(self.lane, state, word.source, word.target)
        # Before anything was read, and after a kill, somebody else may have owned the unit.
        unknown = state.owner is None and (state.first is None or state.died not in (None, word.source))
        return [lost, state] if unknown else [lost]

    def move(self, state: CursorState, word: Move) -> CursorState | str:
        if state.owner not in (None, word.source):
            return f"{word.source} does not own the {self.rules.unit_word}: {state.owner} does"
        return state.put(word.source, None)._replace(owner=word.target).put(word.target, Position())

    def commit(self, state: CursorState, word: Commit) -> CursorState | str:
        position = state.position(word.consumer)
        # A refused commit changes nothing, and `|c=end` of somebody who reads other units says nothing of this one.
        if word.refused or (word.label is None and word.unit is None and position is None):
            return state
        if (position is not None and position.end is not None) or state.owner not in (None, word.consumer):
            return refusals.commit_of_another(self.lane, word)
        run = state.high if position is None or position.run is None else position.run
        place = run if word.label is None else self.lane.layout.place(word.label)
        why = self.why_no_commit(state, position, place, run)
        return why or state.committed(place, place)

    def why_no_commit(self, state: CursorState, position: Position | None, place: int, run: int) -> str:
        named, commit = self.lane.named, self.rules.commit_word
        if place < state.low and not self.rules.commits_go_back:
            return f"the {commit} is {named(state.low)} already and does not go back"
        if place <= self.lane.following(run):
            return ""
        if not self.rules.commit_ahead:
            text = f"a commit follows the run, and {named(run)} was not run yet"
            return refusals.hinted(text, self.rules.ahead_hint, "would allow it")
        started = position is not None and position.run is not None
        fetched = fetched_until(self.rules, position) if position is not None and started else run
        return "" if place <= fetched else f"a commit reaches only what was fetched, which ends before {named(fetched)}"

    def settle(self, state: CursorState, word: Settle) -> CursorMoves:
        place = self.lane.index(word.label)
        if word.what == "drop":
            return [self.without_failures(state, place)]
        if word.what != "dead":
            return [refusals.no_settlement(self.rules)]
        found: CursorMoves = []
        # Who set the record aside may have come by a hand-over that is not shown, as with a delivery.
        for now in (state, *self.hidden(state, word.consumer)):
            # The name may be left out, and is then that of the last delivery: the owner can be meant, too.
            for consumer in dict.fromkeys((word.consumer, now.owner or word.consumer)):
                after = self.dead_letter(now, word.label, consumer, place)
                # Against a hidden hand-over no sentence is needed: nobody has claimed one.
                found += [after] if now is state or not isinstance(after, str) else []
        return found

    def without_failures(self, state: CursorState, place: int) -> CursorState:
        """The record that is retried is gone: what follows it is run."""
        for name, position in state.positions:
            if position.run == place and position.failures:
                state = state.put(name, position._replace(failures=0))
        return state

    def dead_letter(self, state: CursorState, label: MessageLabel, consumer: str, place: int) -> CursorState | str:
        position = state.position(consumer)
        # What it held when it lost the unit it sets aside as it runs it: without asking the broker.
        if position is not None and position.end is not None and (position.run is None or place >= position.end):
            return refusals.of_zombie(self.lane, consumer, position)
        if position is None and state.owner not in (None, consumer):
            return refusals.not_owner(self.lane, state, consumer)
        if position is None or position.run is None:
            why = refusals.not_at_commit(self.lane, state, place)
            if why:
                return why
            state = state._replace(owner=consumer, low=place, high=place)
            position = Position(place, place, place)
        assert position.run is not None
        if self.lane.following(position.run) == place:
            return self.advance(state, consumer, position, place, ran=False)
        if place > position.run:
            return refusals.out_of_order(self.lane, consumer, position, place)
        if (label.name, label.copy) in self.lane.failed:
            return state
        return f"{label} was run without a failure: nothing sends it to the dead letters"

    def reset(self, state: CursorState, to: MessageLabel | None) -> CursorState | str:
        """Whoever reads next starts at `to`; the end of the log is anywhere behind what was read."""
        end = len(self.lane.layout.entries)
        low = state.furthest if state.owner is not None else state.low
        if to is None or to.name == "end":
            state = state._replace(low=min(low, end), high=end)
        else:
            place = self.lane.layout.place(to)
            if place < low and not self.lane.rules.resets_back:
                return refusals.set_back(self.lane)
            state = state._replace(low=place, high=place)
        return state if state.owner is None else state.put(state.owner, Position())

    def complete(self, state: CursorState) -> CursorState | str:
        position = None if state.owner is None else state.position(state.owner)
        due = self.lane.following(state.high if position is None or position.run is None else position.run)
        if due >= self.lane.layout.end or (self.lane.from_end and state.first is None):
            return state
        return f"the trace is not complete: {self.lane.named(due)} must still be run"
