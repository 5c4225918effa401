"""Reading one unit with a cursor: offset order, one owner, replays from the commit, zombies, retries in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from chaoskit.traces.log.layout import deliveries
from chaoskit.traces.log.state import Cursor, State, View, evicted, held_until, killed, resumed
from chaoskit.traces.notation import spell
from chaoskit.traces.tokens import Batch, Commit, Deliver, End, Evict, Kill, Label, Move, Reset, Settle, Word

Steps = tuple[set[State], list[str]]
"""The states that a word leads to, and the sentences of those that it does not lead out of."""


class CursorReader:
    """All that can be true of one unit after each word."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.rules = view.rules
        self.states = {State(None, 0, len(view.layout.entries))}
        self.batch_start = 0

    def read(self, word: Word) -> tuple[str, ...]:
        """Move by one word; the sentences of a refusal, or nothing."""
        match word:
            case Deliver() | Batch():
                found = self.delivered(word)
            case Kill(consumer=consumer):
                found = {killed(state, consumer) for state in self.states}, []
            case Evict(source=source, target=target):
                found = {after for state in self.states for after in self.evict(state, source, target)}, []
            case Move():
                found = self.all(lambda state: self.move(state, word))
            case Commit():
                found = self.all(lambda state: self.commit(state, word))
            case Settle():
                found = self.settle(word)
            case Reset(to=to):
                found = {self.reset(state, to) for state in self.states}, []
            case End():
                found = self.all(self.complete)
            case _:
                return ()
        if found[0]:
            self.states = found[0]
            return ()
        return tuple(dict.fromkeys(found[1]))[:3]

    def all(self, step: Callable[[State], State | str]) -> Steps:
        """One step of each state, to a state or to a sentence."""
        after: set[State] = set()
        why: list[str] = []
        for state in self.states:
            found = step(state)
            if isinstance(found, str):
                why.append(found)
            else:
                after.add(found)
        return after, why

    # Deliveries

    def delivered(self, word: Deliver | Batch) -> Steps:
        states, why = self.states, list[str]()
        places = [self.view.layout.index[member.label.name, member.label.copy] for member in deliveries(word)]
        batch = isinstance(word, Batch)
        stop = places[-1] + 1 if batch else None
        self.batch_start = places[0]
        for number, (member, place) in enumerate(zip(deliveries(word), places, strict=True)):
            after: set[State] = set()
            for state in states:
                hidden = self.hidden(state, member.consumer) if number == 0 else ()
                for now in (state, *hidden):
                    found, reason = self.run(now, member, place, batch and number > 0)
                    after |= found
                    why += [reason] if reason and (now is state or place < self.position(state)) else []
            states = after
        for member in deliveries(word):
            self.note(member)
        return {self.opened(state, word.consumer, places[0], stop) for state in states} if batch else states, why

    def opened(self, state: State, consumer: str, first: int, stop: int | None) -> State:
        """The batch in brackets is exactly what the consumer fetched."""
        cursor = state.cursor(consumer)
        if cursor is None or cursor.end is not None:
            return state
        return state.put(consumer, attrs.evolve(cursor, base=first, stop=stop))

    def position(self, state: State) -> int:
        """The furthest place that is read next, for choosing the sentence."""
        places = [cursor.run for _, cursor in state.cursors if cursor.run is not None]
        return max(places, default=state.high)

    def note(self, member: Deliver) -> None:
        record = (member.label.name, member.label.copy)
        self.view.shown.add(record)
        if member.outcome == "failed":
            self.view.failed.add(record)
        elif member.outcome == "ok":
            self.view.failed.discard(record)

    def hidden(self, state: State, consumer: str) -> Iterator[State]:
        """What may have happened unseen before a delivery: a restart of the consumer, or a hand-over to it."""
        if not self.view.free("process") or state.owner is None:
            return
        if state.owner != consumer:
            yield evicted(self.view, state, state.owner, consumer)
            if state.cursor(consumer) is None and state.first is not None and self.rules.zombies:
                end = min(state.first + self.rules.max_poll_records, self.view.written)
                yield state.put(consumer, Cursor(None, state.first, state.first, end=end))
            return
        cursor = state.cursor(consumer)
        if cursor is not None and cursor.run is not None:
            yield state.put(consumer, Cursor())

    def run(self, state: State, member: Deliver, place: int, inside: bool) -> tuple[set[State], str]:
        """One delivery. `inside`: it was handed over together with the one before."""
        consumer = member.consumer
        cursor = state.cursor(consumer)
        if cursor is None:
            if state.owner is not None:
                return set(), self.not_owner(state, consumer)
            state, cursor = attrs.evolve(state, owner=consumer), Cursor()
        if cursor.run is None and cursor.end is not None:
            low, high = self.view.following(cursor.base), self.view.following(cursor.got)
            if not low <= place <= min(high, cursor.end - 1):
                return set(), self.not_owner(state, consumer)
            cursor = resumed(self.rules, cursor, place)
        elif cursor.run is None:
            why = self.not_at_commit(state, place)
            if why:
                return set(), why
            first = place if state.first is None else state.first
            state = attrs.evolve(state, low=place, high=place, first=first)
            cursor = Cursor(place, place, place)
        elif cursor.stop is not None and cursor.end is None and cursor.run >= cursor.stop and not inside:
            cursor = attrs.evolve(cursor, stop=None, base=cursor.run)
        assert cursor.run is not None
        if member.outcome == "held":
            if inside and cursor.failures:
                return {state}, ""  # what follows a failure in its batch is not run
            return self.hand_over(state, consumer, cursor, place)
        if self.view.following(cursor.run) == place:
            return self.execute(state, member, cursor, place, inside)
        if self.seeks_back(state, cursor, place) and not inside:
            return self.repeat(state, member, cursor, place)
        return set(), self.out_of_order(state, consumer, cursor, place)

    def not_at_commit(self, state: State, place: int) -> str:
        low, high = self.view.following(state.low), self.view.following(state.high)
        if low <= place <= high or (place >= low and self.rules.start_at_latest):
            return ""
        if self.view.from_end and state.low == 0:
            return ""
        commit, named = self.rules.commit_word, self.view.named
        if state.low == state.high:
            return f"a replay starts at the {commit}, which is {named(state.low)}"
        return f"a replay starts at the {commit}, which lies between {named(state.low)} and {named(state.high)}"

    def not_owner(self, state: State, consumer: str) -> str:
        unit = self.rules.unit_word
        listed = "" if self.view.free("process") else ", and no hand-over to it is listed here"
        return f"{consumer} does not own the {unit}: {state.owner} does{listed}"

    def hand_over(self, state: State, consumer: str, cursor: Cursor, place: int) -> tuple[set[State], str]:
        if cursor.end is not None:
            return set(), self.zombie_text(consumer, cursor)
        if self.view.following(cursor.got) != place:
            return set(), self.out_of_order(state, consumer, attrs.evolve(cursor, run=cursor.got), place)
        return {state.put(consumer, attrs.evolve(cursor, got=place + 1, ran=False))}, ""

    def execute(
        self, state: State, member: Deliver, cursor: Cursor, place: int, inside: bool
    ) -> tuple[set[State], str]:
        if cursor.end is not None and place >= cursor.end:
            return set(), self.zombie_text(member.consumer, cursor)
        if member.outcome == "failed":
            return self.fail(state, member, cursor, place, inside), ""
        if inside and cursor.failures:
            return set(), self.out_of_order(state, member.consumer, cursor, place)
        return {self.advance(state, member.consumer, cursor, place)}, ""

    def advance(self, state: State, consumer: str, cursor: Cursor, place: int, ran: bool = True) -> State:
        """The record is done with: the position moves behind it, and a commit may follow."""
        after = attrs.evolve(cursor, run=place + 1, got=max(cursor.got, place + 1), failures=0, ran=ran)
        state = state.put(consumer, after)
        if state.owner != consumer or not self.view.free("commit"):
            return state
        high = place + 1
        if self.rules.commit_ahead:
            high = min(held_until(self.rules, after), len(self.view.layout.entries))
        low = state.low if self.rules.commit_every is None else max(state.low, place + 1 - self.rules.commit_every)
        return attrs.evolve(state, high=max(state.high, high), low=low)

    def fail(self, state: State, member: Deliver, cursor: Cursor, place: int, inside: bool) -> set[State]:
        consumer, rules = member.consumer, self.rules
        if rules.on_error in ("skip", "retry_topic"):
            return {self.advance(state, consumer, cursor, place, ran=False)}
        if rules.on_error == "stop":
            return {killed(state, consumer)}
        failures = cursor.failures + 1
        again = attrs.evolve(cursor, run=place, got=max(place, cursor.got if cursor.end else place), failures=failures)
        found = {state.put(consumer, attrs.evolve(again, ran=False))}
        if inside and state.owner == consumer:
            found.add(state.put(consumer, attrs.evolve(again, run=self.batch_start, got=self.batch_start, ran=False)))
        if rules.max_attempts is not None and failures >= rules.max_attempts and self.view.free("settle"):
            found.add(self.advance(state, consumer, cursor, place, ran=False))
        return found

    def seeks_back(self, state: State, cursor: Cursor, place: int) -> bool:
        assert cursor.run is not None
        just_run = cursor.ran and self.view.before(cursor.run) == place
        committed = state.low > place
        return self.rules.repeats_in_place and just_run and cursor.end is None and not committed

    def repeat(self, state: State, member: Deliver, cursor: Cursor, place: int) -> tuple[set[State], str]:
        back = attrs.evolve(cursor, run=place, got=place)
        return self.execute(state, member, back, place, False)

    def zombie_text(self, consumer: str, cursor: Cursor) -> str:
        assert cursor.end is not None
        lost = f"{consumer} has lost the {self.rules.unit_word} and cannot fetch"
        if cursor.end >= len(self.view.layout.entries):
            return lost
        if cursor.end in self.view.later:
            return f"{lost}: {self.view.named(cursor.end)} was accepted later"
        return f"{lost}: it held nothing from {self.view.named(cursor.end)} on ({self.rules.poll_word} bounds it)"

    def out_of_order(self, state: State, consumer: str, cursor: Cursor, place: int) -> str:
        assert cursor.run is not None
        due, unit = self.view.following(cursor.run), self.rules.unit_word
        named = self.view.named
        if place < due and self.view.layout.entries[place].record not in self.view.shown:
            text = f"a {unit} is read in order: {named(place)} comes before {named(self.view.before(due))}"
            return (
                f"{text}, as it was produced ({self.rules.order_hint} writes other orders)"
                if self.rules.order_hint
                else text
            )
        if place < due:
            listed = "" if self.view.free("process") else ", and none is listed here"
            back = f"a {unit} is read in order: {consumer} is at {named(due)}"
            return f"{back} and goes back only by a restart, a hand-over or a reset{listed}"
        if cursor.failures:
            text = f"{named(due)} failed and is retried in place before anything after it runs"
            return f"{text} (on_error='skip' or 'retry_topic' would go on)"
        text = f"a {unit} is read in order and without a gap: {named(due)} comes before {named(place)}"
        return _hinted(text, self.rules.ahead_hint, "can lose it")

    # Verbs

    def evict(self, state: State, source: str, target: str) -> set[State]:
        if state.owner not in (None, source):
            return {state}
        lost = evicted(self.view, state, source, target)
        unknown = state.owner is None and (state.first is None or state.died not in (None, source))
        return {lost, state} if unknown else {lost}

    def move(self, state: State, word: Move) -> State | str:
        if state.owner not in (None, word.source):
            return f"{word.source} does not own the {self.rules.unit_word}: {state.owner} does"
        return attrs.evolve(state.put(word.source, None), owner=word.target).put(word.target, Cursor())

    def commit(self, state: State, word: Commit) -> State | str:
        cursor = state.cursor(word.consumer)
        if word.refused or (word.label is None and word.unit is None and cursor is None):
            return state
        if (cursor is not None and cursor.end is not None) or state.owner not in (None, word.consumer):
            lost = f"{word.consumer} does not own the {self.rules.unit_word}"
            return f"{lost}, so the broker refuses its commit: `{spell(word)}!`"
        position = state.high if cursor is None or cursor.run is None else cursor.run
        place = position if word.label is None else self.view.layout.place(word.label)
        why = self.cannot_commit(state, cursor, place, position)
        return why or attrs.evolve(state, low=place, high=place)

    def cannot_commit(self, state: State, cursor: Cursor | None, place: int, position: int) -> str:
        named, commit = self.view.named, self.rules.commit_word
        if place < state.low and not self.rules.commits_go_back:
            return f"the {commit} is {named(state.low)} already and does not go back"
        if place <= self.view.following(position):
            return ""
        fetched = held_until(self.rules, cursor) if cursor is not None and cursor.run is not None else position
        if not self.rules.commit_ahead:
            text = f"a commit follows the run, and {named(position)} was not run yet"
            return _hinted(text, self.rules.ahead_hint, "would allow it")
        return "" if place <= fetched else f"a commit reaches only what was fetched, which ends before {named(fetched)}"

    def settle(self, word: Settle) -> Steps:
        record = (word.label.name, word.label.copy)
        place = self.view.layout.index[record]
        if word.what == "drop":
            self.view.gone.add(place)
            return {self.without(state, place) for state in self.states}, []
        if word.what != "dead":
            text = f"a {self.rules.unit_word} has no settlement of one message"
            return set(), [f"{text}: a consumer commits a position, as in `|c=5`"]
        after: set[State] = set()
        why: list[str] = []
        for state in self.states:
            for now in (state, *self.hidden(state, word.consumer)):
                for consumer in dict.fromkeys((word.consumer, now.owner or word.consumer)):
                    found = self.dead(now, word, consumer, place)
                    if isinstance(found, str):
                        why += [found] if now is state else []
                    else:
                        after.add(found)
        return after, why

    def without(self, state: State, place: int) -> State:
        for name, cursor in state.cursors:
            if cursor.run == place and cursor.failures:
                state = state.put(name, attrs.evolve(cursor, failures=0))
        return state

    def dead(self, state: State, word: Settle, consumer: str, place: int) -> State | str:
        cursor = state.cursor(consumer)
        if cursor is not None and cursor.end is not None and (cursor.run is None or place >= cursor.end):
            return self.zombie_text(consumer, cursor)
        if cursor is None and state.owner not in (None, consumer):
            return self.not_owner(state, consumer)
        if cursor is None or cursor.run is None:
            why = self.not_at_commit(state, place)
            if why:
                return why
            state = attrs.evolve(state, owner=consumer, low=place, high=place)
            cursor = Cursor(place, place, place)
        assert cursor.run is not None
        if self.view.following(cursor.run) == place:
            return self.advance(state, consumer, cursor, place, ran=False)
        if place > cursor.run:
            return self.out_of_order(state, consumer, cursor, place)
        if (word.label.name, word.label.copy) in self.view.failed:
            return state
        return f"{word.label} was run without a failure: nothing sends it to the dead letters"

    def reset(self, state: State, to: Label | None) -> State:
        end = len(self.view.layout.entries)
        owner = state.owner
        if to is None:
            low = self.position(state) if owner is not None else state.low
            state = attrs.evolve(state, low=min(low, end), high=end)
        else:
            place = self.view.layout.place(to)
            state = attrs.evolve(state, low=place, high=place)
        return state if owner is None else state.put(owner, Cursor())

    def complete(self, state: State) -> State | str:
        cursor = None if state.owner is None else state.cursor(state.owner)
        place = state.high if cursor is None or cursor.run is None else cursor.run
        due = self.view.following(place)
        if due >= self.view.layout.end or (self.view.from_end and state.first is None):
            return state
        return f"the trace is not complete: {self.view.named(due)} must still be run"


def _hinted(text: str, hint: str, does: str) -> str:
    """The sentence with the setting that would allow it, if there is one."""
    return f"{text} ({hint} {does})" if hint else text
