"""Reading one unit with the KEY-parallel consumer: keys run side by side, and completed records are not replayed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations

import attrs

from chaoskit.traces.log.layout import deliveries
from chaoskit.traces.log.state import View
from chaoskit.traces.notation import spell
from chaoskit.traces.tokens import (
    Batch,
    Commit,
    Deliver,
    End,
    Evict,
    Kill,
    Move,
    Reset,
    Settle,
    Word,
    natural_key,
)


@attrs.frozen
class State:
    """`saved`: completed and certainly in the committed map; `tail`: completed since, in that order."""

    owner: str | None = None
    saved: frozenset[int] = frozenset()
    tail: tuple[int, ...] = ()
    done: frozenset[int] = frozenset()
    """What the process that owns the unit takes for completed."""
    zombies: tuple[tuple[str, frozenset[int]], ...] = ()
    failures: tuple[tuple[int, int], ...] = ()
    last: int | None = None


class ParallelReader:
    """All that can be true of one unit after each word."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.rules = view.rules
        self.states = {State()}
        self.killed: set[str] = set()
        self.fetched: dict[str, int] = {}
        """The place behind what a consumer can hold that has lost the unit, where that is listed."""
        entries = view.layout.entries
        self.key = ["" if view.one_key else _key(entry.record[0] if entry.record else entry.name) for entry in entries]

    def read(self, word: Word) -> tuple[str, ...]:
        match word:
            case Deliver() | Batch():
                return self.delivered(word)
            case Kill(consumer=consumer):
                self.killed.add(consumer)
                return self.step(lambda state: self.kill(state, consumer))
            case Evict(source=source, target=target) | Move(source=source, target=target):
                zombie = isinstance(word, Evict)
                self.fetched[source] = self.view.written
                return self.step(lambda state: self.hand_over(state, source, target, zombie))
            case Commit():
                return self.step(lambda state: self.commit(state, word))
            case Settle():
                return self.settle(word)
            case Reset():
                return self.step(lambda state: {State(state.owner)})
            case End():
                return self.step(self.complete)
        return ()

    def step(self, move: Callable[[State], set[State] | str]) -> tuple[str, ...]:
        after: set[State] = set()
        why: list[str] = []
        for state in self.states:
            found = move(state)
            if isinstance(found, str):
                why.append(found)
            else:
                after |= found
        if not after:
            return tuple(dict.fromkeys(why))[:3]
        self.states = after
        return ()

    def delivered(self, word: Deliver | Batch) -> tuple[str, ...]:
        for number, member in enumerate(deliveries(word)):
            why = self.step(partial(self.deliver, member=member, first=number == 0))
            if why:
                return why
            self.killed.discard(member.consumer)
        return ()

    def deliver(self, state: State, member: Deliver, first: bool) -> set[State] | str:
        place = self.view.layout.index[member.label.name, member.label.copy]
        plain = self.run(state, member, place)
        hidden = first and isinstance(plain, str) and self.view.free("process") and state.owner is not None
        if not hidden:
            return plain
        assert state.owner is not None
        if state.owner == member.consumer:
            befores = self.restarted(state)
        else:
            befores = self.hand_over(state, state.owner, member.consumer, True)
        found: set[State] = set()
        why = plain
        for before in befores:
            after = self.run(before, member, place)
            if isinstance(after, str):
                why = after if member.consumer != state.owner else why
            else:
                found |= after
        return found or why

    def restarted(self, state: State) -> set[State]:
        """The owner starts from the committed map: some of what was completed last may be missing in it."""
        keeps = [frozenset[int]()]
        if self.view.free("commit"):
            keeps = [frozenset(state.tail[:kept]) for kept in range(len(state.tail) + 1)]
            keeps += self.unreported(state.tail)
        saved = {state.saved | kept for kept in keeps}
        return {State(state.owner, kept, (), kept, state.zombies) for kept in saved}

    def unreported(self, tail: tuple[int, ...]) -> list[frozenset[int]]:
        """The last record of a key may have run without being reported as completed, while those of other keys were."""
        last = {self.key[place]: place for place in tail}
        missing = [pair for size in (1, 2) for pair in combinations(sorted(last.values()), size)]
        return [frozenset(tail) - set(places) for places in missing]

    def kill(self, state: State, consumer: str) -> set[State]:
        zombies = tuple(pair for pair in state.zombies if pair[0] != consumer)
        if state.owner != consumer:
            return {attrs.evolve(state, zombies=zombies)}
        return self.restarted(attrs.evolve(state, owner=None, zombies=zombies))

    def hand_over(self, state: State, source: str, target: str, zombie: bool) -> set[State]:
        if state.owner not in (None, source):
            return {state}
        zombies = tuple(pair for pair in state.zombies if pair[0] not in (source, target))
        if zombie and self.rules.zombies:
            zombies = tuple(sorted({*zombies, (source, state.done)}, key=lambda pair: pair[0]))
        return self.restarted(attrs.evolve(state, owner=target, zombies=zombies))

    def run_unowned(self, state: State, member: Deliver, place: int, held: frozenset[int]) -> set[State] | str:
        """Nobody owns the unit now: an old owner runs what it holds, or has joined again."""
        joined = attrs.evolve(state, zombies=tuple(pair for pair in state.zombies if pair[0] != member.consumer))
        found = self.run(joined, member, place)
        if member.outcome == "held" or self.cannot_run(state, held, place) or self.never_fetched(member, place):
            return found
        late = {self.run_by_zombie(state, member, held, place)}
        return late if isinstance(found, str) else found | late

    def never_fetched(self, member: Deliver, place: int) -> str:
        if place < self.fetched.get(member.consumer, place + 1):
            return ""
        lost = f"{member.consumer} has lost the {self.rules.unit_word} and cannot fetch"
        return f"{lost}: {self.view.named(place)} was accepted later"

    def run(self, state: State, member: Deliver, place: int) -> set[State] | str:
        zombie = dict(state.zombies).get(member.consumer)
        if state.owner is None and zombie is not None:
            return self.run_unowned(state, member, place, zombie)
        if state.owner not in (None, member.consumer) and zombie is None:
            listed = "" if self.view.free("process") else ", and no hand-over to it is listed here"
            return f"{member.consumer} does not own the {self.rules.unit_word}: {state.owner} does{listed}"
        done = state.done if state.owner in (None, member.consumer) or zombie is None else zombie
        why = self.cannot_run(state, done, place)
        if state.owner not in (None, member.consumer):
            why = why or self.never_fetched(member, place)
        if why or member.outcome == "held":
            return why or {attrs.evolve(state, owner=state.owner or member.consumer)}
        if state.owner not in (None, member.consumer):
            return {self.run_by_zombie(state, member, done, place)}
        state = attrs.evolve(state, owner=member.consumer, last=place)
        if member.outcome == "failed":
            return self.fail(state, place)
        return {self.finish(state, place)}

    def cannot_run(self, state: State, done: frozenset[int], place: int) -> str:
        named = self.view.named
        if place in done and not (state.last == place and self.rules.repeats_in_place):
            return f"{named(place)} is completed in the committed map, and only incomplete records are replayed"
        for earlier in range(place):
            if self.key[earlier] == self.key[place] and earlier not in done | self.view.gone:
                if self.view.layout.entries[earlier].record is None:
                    continue
                return f"{named(earlier)} has the same key as {named(place)} and comes before it"
        return ""

    def run_by_zombie(self, state: State, member: Deliver, done: frozenset[int], place: int) -> State:
        after = done | {place} if member.outcome == "ok" else done
        zombies = tuple((name, after if name == member.consumer else old) for name, old in state.zombies)
        return attrs.evolve(state, zombies=zombies)

    def fail(self, state: State, place: int) -> set[State]:
        if self.rules.on_error == "stop":
            return self.restarted(attrs.evolve(state, owner=None))
        if self.rules.on_error in ("skip", "retry_topic"):
            return {self.finish(state, place)}
        failures = dict(state.failures)
        failures[place] = failures.get(place, 0) + 1
        again = attrs.evolve(state, failures=tuple(sorted(failures.items())), last=None)
        limit = self.rules.max_attempts
        if limit is not None and failures[place] >= limit and self.view.free("settle"):
            return {again, self.finish(state, place)}
        return {again}

    def finish(self, state: State, place: int) -> State:
        failures = tuple(pair for pair in state.failures if pair[0] != place)
        tail = state.tail if place in state.tail else (*state.tail, place)
        return attrs.evolve(state, done=state.done | {place}, tail=tail, failures=failures)

    def commit(self, state: State, word: Commit) -> set[State] | str:
        if word.refused:
            return {state}
        if word.consumer in self.killed:
            return f"{word.consumer} was killed and has run nothing since: it has nothing to commit"
        if state.owner not in (None, word.consumer):
            lost = f"{word.consumer} does not own the {self.rules.unit_word}"
            return f"{lost}, so the broker refuses its commit: `{spell(word)}!`"
        if word.label is not None and state.owner is not None:
            place = self.view.layout.place(word.label)
            base = next((p for p in range(self.view.layout.end) if p not in state.done | self.view.gone), place)
            started = any(p < base for p in state.done)
            if place > base and started:
                return f"the base offset is the first record that is not completed, which is {self.view.named(base)}"
        return {attrs.evolve(state, saved=state.done, tail=())}

    def settle(self, word: Settle) -> tuple[str, ...]:
        place = self.view.layout.index[word.label.name, word.label.copy]
        if word.what == "drop":
            self.view.gone.add(place)
            return ()
        if word.what == "dead":
            left = Deliver(word.text, word.consumer, word.label)
            return self.step(partial(self.deliver, member=left, first=True))
        text = f"a {self.rules.unit_word} has no settlement of one message"
        return (f"{text}: a consumer commits a position, as in `|c=5`",)

    def complete(self, state: State) -> set[State] | str:
        for place, entry in enumerate(self.view.layout.entries):
            if entry.real and place not in state.done | self.view.gone:
                return f"the trace is not complete: {self.view.named(place)} must still be run"
        return {state}


def _key(name: str) -> str:
    """The letters of a label that has a number too; a bare number has a key of its own."""
    number, letters = natural_key(name)
    return letters if number and letters else f"={name}"
