"""Reading one unit with the KEY-parallel consumer: keys run side by side, and completed records are not replayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import attrs

from chaoskit.traces.log import cursor_refusals as refusals
from chaoskit.traces.log.lane import Lane
from chaoskit.traces.machine import sort_out
from chaoskit.traces.tokens import (
    Batch,
    Commit,
    End,
    Evict,
    Kill,
    Move,
    Receive,
    Reset,
    Settle,
    Word,
    deliveries,
    natural_key,
)

Completed = frozenset[int]
"""Places of the log, each completed."""


@attrs.frozen
class ParallelState:
    """What may be true of one unit: who owns it, and what is completed in the committed map and beyond it."""

    owner: str | None = None
    saved: Completed = frozenset()
    """Certainly in the committed map."""
    tail: tuple[int, ...] = ()
    """Completed since, in that order."""
    done: Completed = frozenset()
    """What the process that owns the unit takes for completed."""
    zombies: tuple[tuple[str, Completed], ...] = ()
    failures: tuple[tuple[int, int], ...] = ()
    last: int | None = None
    """Just run; only this record can be run again in place."""

    def owned_by(self, consumer: str) -> bool:
        """Whether it owns the unit, or can: where nobody does, whoever comes first does."""
        return self.owner in (None, consumer)


ParallelMoves = Iterable[ParallelState | str]


class ParallelMachine:
    """What one word does to one state of a unit whose keys are run side by side."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.rules = lane.rules
        entries = lane.layout.entries
        self.key = ["" if lane.one_key else _key(entry.record[0] if entry.record else entry.name) for entry in entries]

    def start(self) -> ParallelState:
        return ParallelState()

    def step(self, state: ParallelState, word: Word) -> ParallelMoves:
        match word:
            case Receive() | Batch():
                return self.deliver_all(state, word)
            case Kill(consumer=consumer):
                return self.kill(state, consumer)
            case Evict(source=source, target=target) | Move(source=source, target=target):
                return self.hand_over(state, source, target, leaves_zombie=isinstance(word, Evict))
            case Commit():
                return [self.commit(state, word)]
            case Settle():
                return self.settle(state, word)
            case Reset():
                return [ParallelState(state.owner)]
            case End():
                return [self.complete(state)]
        return [state]

    def explain(self, states: Sequence[ParallelState], word: Word, against: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(against))[:3]

    # Deliveries

    def deliver_all(self, state: ParallelState, word: Receive | Batch) -> ParallelMoves:
        first, *others = deliveries(word)
        if not others:
            return self.deliver(state, first)
        states, against = sort_out(self.deliver(state, first))
        for member in others:
            place = self.lane.index(member.label)
            states, later = sort_out(found for now in states for found in self.run(now, member, place))
            against += later
        return [*against, *states]

    def deliver(self, state: ParallelState, member: Receive) -> ParallelMoves:
        """The delivery as it is, or, only where it cannot be so, after a restart or a hand-over that is not shown."""
        place = self.lane.index(member.label)
        plain, why = sort_out(self.run(state, member, place))
        # A hidden restart multiplies the states by what was completed since the commit: only where nothing else
        # explains it.
        if plain or state.owner is None or not self.lane.free("process"):
            return plain or why
        if state.owner == member.consumer:
            found, _ = sort_out(found for now in self.restarted(state) for found in self.run(now, member, place))
            return found or why
        befores = self.hand_over(state, state.owner, member.consumer, leaves_zombie=True)
        found, against = sort_out(found for now in befores for found in self.run(now, member, place))
        # One sentence is enough: those of the other maps differ only in what was committed.
        return found or against[-1:] or why

    def run(self, state: ParallelState, member: Receive, place: int) -> ParallelMoves:
        held = dict(state.zombies).get(member.consumer)
        if held is None and not state.owned_by(member.consumer):
            listed = "" if self.lane.free("process") else ", and no hand-over to it is listed here"
            return [f"{member.consumer} does not own the {self.rules.unit_word}: {state.owner} does{listed}"]
        if held is not None and state.owner is None:
            return self.run_unowned(state, member, place, held)
        if held is not None and state.owner != member.consumer:
            return [self.run_by_zombie(state, member, held, place)]
        return self.run_by_owner(state, member, place)

    def run_by_owner(self, state: ParallelState, member: Receive, place: int) -> ParallelMoves:
        why = self.why_not_run(state, state.done, place)
        if why:
            return [why]
        if member.outcome == "held":
            return [attrs.evolve(state, owner=member.consumer)]
        state = attrs.evolve(state, owner=member.consumer, last=place)
        return self.fail(state, place) if member.outcome == "failed" else [self.finish(state, place)]

    def run_by_zombie(self, state: ParallelState, member: Receive, held: Completed, place: int) -> ParallelState | str:
        why = self.why_not_run(state, held, place) or self.why_not_fetched(member, place)
        if why:
            return why
        if member.outcome != "ok":  # its attempts count for nobody: whoever owns the unit begins anew
            return state
        after = held | {place}
        zombies = tuple((name, after if name == member.consumer else old) for name, old in state.zombies)
        return attrs.evolve(state, zombies=zombies)

    def run_unowned(self, state: ParallelState, member: Receive, place: int, held: Completed) -> ParallelMoves:
        """Nobody owns the unit now: an old owner runs what it holds, or has joined again."""
        joined = attrs.evolve(state, zombies=tuple(pair for pair in state.zombies if pair[0] != member.consumer))
        found = self.run_by_owner(joined, member, place)
        if member.outcome == "held":
            return found
        late = self.run_by_zombie(state, member, held, place)
        if isinstance(late, str):
            return found
        states, _ = sort_out(found)
        return [*states, late]

    def why_not_fetched(self, member: Receive, place: int) -> str:
        if place < self.lane.fetched.get(member.consumer, place + 1):
            return ""
        return refusals.accepted_later(self.lane, member.consumer, place)

    def why_not_run(self, state: ParallelState, done: Completed, place: int) -> str:
        """Why a process to which these are completed does not run this one, or nothing."""
        named = self.lane.named
        if place in done and not (state.last == place and self.rules.repeats_in_place):
            return f"{named(place)} is completed in the committed map, and only incomplete records are replayed"
        for earlier in range(place):
            # Only the same key waits: that is what this consumer is for.
            waits = self.key[earlier] == self.key[place] and earlier not in done | self.lane.gone
            if waits and self.lane.layout.entries[earlier].record is not None:
                return f"{named(earlier)} has the same key as {named(place)} and comes before it"
        return ""

    def fail(self, state: ParallelState, place: int) -> ParallelMoves:
        if self.rules.on_error == "stop":
            return self.restarted(attrs.evolve(state, owner=None))
        if self.rules.on_error in ("skip", "retry_topic"):
            return [self.finish(state, place)]
        failures = dict(state.failures)
        failures[place] = failures.get(place, 0) + 1
        # What fails in its second run in place was not completed by the first one.
        done, tail = state.done - {place}, tuple(each for each in state.tail if each != place)
        counted = tuple(sorted(failures.items()))  # sorted: states are compared
        again = attrs.evolve(state, failures=counted, last=None, done=done, tail=tail)
        limit = self.rules.max_attempts
        # Where dead letters are listed, it is set aside by its word and not by its last failure.
        if limit is not None and failures[place] >= limit and self.lane.free("settle"):
            return [again, self.finish(state, place)]
        return [again]

    def finish(self, state: ParallelState, place: int) -> ParallelState:
        failures = tuple(pair for pair in state.failures if pair[0] != place)
        tail = state.tail if place in state.tail else (*state.tail, place)
        return attrs.evolve(state, done=state.done | {place}, tail=tail, failures=failures)

    # Restarts and hand-overs

    def restarted(self, state: ParallelState) -> list[ParallelState]:
        """The owner starts from the committed map: some of what was completed last may be missing in it."""
        commits = [Completed()]
        if self.lane.free("commit"):
            # The commit was after any of them: what was completed behind it is replayed.
            commits = [Completed(state.tail[:length]) for length in range(len(state.tail) + 1)]
            commits += self.unreported(state.tail)
        maps = dict.fromkeys(state.saved | completed for completed in commits)
        return [ParallelState(state.owner, found, (), found, state.zombies) for found in maps]

    def unreported(self, tail: tuple[int, ...]) -> list[Completed]:
        """The last record of a key may have run without being reported as completed, while those of other keys were."""
        last = {self.key[place]: place for place in tail}
        missing = [pair for size in (1, 2) for pair in combinations(sorted(last.values()), size)]
        return [frozenset(tail) - set(places) for places in missing]

    def kill(self, state: ParallelState, consumer: str) -> list[ParallelState]:
        zombies = tuple(pair for pair in state.zombies if pair[0] != consumer)
        if state.owner != consumer:
            return [attrs.evolve(state, zombies=zombies)]
        return self.restarted(attrs.evolve(state, owner=None, zombies=zombies))

    def hand_over(self, state: ParallelState, source: str, target: str, *, leaves_zombie: bool) -> list[ParallelState]:
        if not state.owned_by(source):  # it is the word for another unit
            return [state]
        zombies = tuple(pair for pair in state.zombies if pair[0] not in (source, target))
        if leaves_zombie and self.rules.zombies:
            zombies = tuple(sorted({*zombies, (source, state.done)}, key=lambda pair: pair[0]))
        return self.restarted(attrs.evolve(state, owner=target, zombies=zombies))

    # Verbs

    def commit(self, state: ParallelState, word: Commit) -> ParallelState | str:
        if word.refused:
            return state
        if word.consumer in self.lane.killed:
            return f"{word.consumer} was killed and has run nothing since: it has nothing to commit"
        if not state.owned_by(word.consumer):
            return refusals.commit_of_another(self.lane, word)
        if word.label is not None and state.owner is not None:
            place = self.lane.layout.place(word.label)
            completed = state.done | self.lane.gone
            base = next((p for p in range(self.lane.layout.end) if p not in completed), place)
            # The trace may begin in the middle of a log: then the records before its first one are not missing.
            if place > base and any(p < base for p in state.done):
                return f"the base offset is the first record that is not completed, which is {self.lane.named(base)}"
        return attrs.evolve(state, saved=state.done, tail=())

    def settle(self, state: ParallelState, word: Settle) -> ParallelMoves:
        match word.what:
            case "drop":
                return [state]
            case "dead":  # it is done with like one that was run
                return self.deliver(state, Receive(word.text, word.consumer, word.label))
        return [refusals.no_settlement(self.rules)]

    def complete(self, state: ParallelState) -> ParallelState | str:
        for place, entry in enumerate(self.lane.layout.entries):
            if entry.real and place not in state.done | self.lane.gone:
                return f"the trace is not complete: {self.lane.named(place)} must still be run"
        return state


def _key(name: str) -> str:
    """The letters of a label that has a number too; a bare number has a key of its own."""
    number, letters = natural_key(name)
    return letters if number and letters else f"={name}"
