"""The sentences about a word that a unit read in order cannot make."""

from __future__ import annotations

from chaoskit.traces.log.lane import Lane
from chaoskit.traces.log.position import CursorState, Position
from chaoskit.traces.log.rules import LogRules
from chaoskit.traces.notation import spell
from chaoskit.traces.tokens import Commit


def hinted(text: str, hint: str, does: str) -> str:
    """The sentence with the setting that would allow it, if there is one."""
    return f"{text} ({hint} {does})" if hint else text


def not_at_commit(lane: Lane, state: CursorState, place: int) -> str:
    """Why a replay cannot start here, or nothing."""
    low, high = lane.following(state.low), lane.following(state.high)
    # Where nothing was committed, one that reads from the latest on begins behind whatever is there by then.
    if low <= place <= high or (place >= low and lane.rules.start_at_latest):
        return ""
    if lane.from_end and state.low == 0:  # it begins at the end of a new unit, wherever that was
        return ""
    commit, named = lane.rules.commit_word, lane.named
    if state.low == state.high:
        return f"a replay starts at the {commit}, which is {named(state.low)}"
    return f"a replay starts at the {commit}, which lies between {named(state.low)} and {named(state.high)}"


def set_back(lane: Lane) -> str:
    rules = lane.rules
    lost = f"a {rules.commit_word} that is lost starts at the end, and is not set back here"
    return hinted(lost, rules.reset_hint, "would let it")


def not_owner(lane: Lane, state: CursorState, consumer: str) -> str:
    listed = "" if lane.free("process") else ", and no hand-over to it is listed here"
    return f"{consumer} does not own the {lane.rules.unit_word}: {state.owner} does{listed}"


def commit_of_another(lane: Lane, word: Commit) -> str:
    lost = f"{word.consumer} does not own the {lane.rules.unit_word}"
    return f"{lost}, so the broker refuses its commit: `{spell(word)}!`"


def no_settlement(rules: LogRules) -> str:
    return f"a {rules.unit_word} has no settlement of one message: a consumer commits a position, as in `|c=5`"


def accepted_later(lane: Lane, consumer: str, place: int) -> str:
    lost = f"{consumer} has lost the {lane.rules.unit_word} and cannot fetch"
    return f"{lost}: {lane.named(place)} was accepted later"


def of_zombie(lane: Lane, consumer: str, position: Position) -> str:
    """Why a consumer that lost the unit cannot have what it is handed."""
    assert position.end is not None
    lost = f"{consumer} has lost the {lane.rules.unit_word} and cannot fetch"
    if position.end >= len(lane.layout.entries):
        return lost
    if position.ends_with_log:
        return accepted_later(lane, consumer, position.end)
    return f"{lost}: it held nothing from {lane.named(position.end)} on ({lane.rules.poll_word} bounds it)"


def out_of_order(lane: Lane, consumer: str, position: Position, place: int) -> str:
    assert position.run is not None
    due, unit, hint = lane.following(position.run), lane.rules.unit_word, lane.rules.order_hint
    named = lane.named
    # What was never shown is no replay: it must have been written behind what was run.
    if place < due and lane.layout.entries[place].record not in lane.shown:
        text = f"a {unit} is read in order: {named(place)} comes before {named(lane.before(due))}"
        return f"{text}, as it was produced ({hint} writes other orders)" if hint else text
    if place < due:
        listed = "" if lane.free("process") else ", and none is listed here"
        back = f"a {unit} is read in order: {consumer} is at {named(due)}"
        return f"{back} and goes back only by a restart, a hand-over or a reset{listed}"
    if position.failures:
        text = f"{named(due)} failed and is retried in place before anything after it runs"
        return f"{text} (on_error='skip' or 'retry_topic' would go on)"
    text = f"a {unit} is read in order and without a gap: {named(due)} comes before {named(place)}"
    return hinted(text, lane.rules.ahead_hint, "can lose it")
