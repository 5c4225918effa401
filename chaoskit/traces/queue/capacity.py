"""How many messages can be unsettled at once, at one consumer or in all."""

from __future__ import annotations

from chaoskit.traces.queue.state import QueueState, Where, refuse

EVERYBODY = "*"
"""In the place of a consumer: all of them together."""


def check_room(state: QueueState, at: int, consumer: str) -> None:
    """There is room for one more: at its consumer (prefetch), and in all (pending acknowledgements)."""
    rules = state.rules
    if rules.at_hand is not None:
        _check_at_hand(state, at, consumer, rules.at_hand)
    if rules.prefetch is not None:
        _check_bound(state, at, consumer, rules.prefetch)
    if rules.outstanding is not None:
        _check_bound(state, at, EVERYBODY, rules.outstanding)
    if rules.check_room is not None:
        rules.check_room(state, at)


def _check_bound(state: QueueState, at: int, who: str, limit: int) -> None:
    # Only what certainly takes room: a trace is refused for nothing that may be otherwise.
    held = [other for other in unsettled_at(state, at, who) if other != at]
    if len(held) >= limit:
        refuse(_full_text(state, who, limit, held))
    if limit == 1:
        # One at a time: what was run has been acknowledged, or there were no room for this one.
        for other, its in enumerate(state.messages):
            if other == at or state.facts.queue(other) != state.facts.queue(at):
                continue
            if its.phase == "out" and its.ran == "ok" and who in {its.holder, EVERYBODY}:
                state.settle(other)
    add_span(state, (state.facts.queue(at), who), state.word, state.word, limit)


def _check_at_hand(state: QueueState, at: int, consumer: str, limit: int) -> None:
    """A consumer has room for what it has not run yet; what it has run and not settled takes none."""
    queue = state.facts.queue(at)
    unrun = [
        other
        for other, its in enumerate(state.messages)
        if other != at and state.facts.queue(other) == queue and its.is_unrun_at(consumer)
    ]
    if len(unrun) >= limit:
        refuse(f"{state.rules.at_hand_setting}: {consumer} has not run {', '.join(map(state.name, unrun))} yet")


def unsettled_at(state: QueueState, at: int, who: str) -> list[int]:
    """The messages of the queue of `at` that certainly count against the bound of `who`."""
    queue = state.facts.queue(at)
    return [o for o in range(len(state.messages)) if state.facts.queue(o) == queue and _takes_room(state, o, who)]


def _takes_room(state: QueueState, at: int, who: str) -> bool:
    """Whether a message certainly counts against the bound of `who`."""
    its = state.messages[at]
    if who == EVERYBODY:
        if its.phase in {"back", "away"}:
            return its.sure
        return its.phase == "out" and state.facts.unacked(its) and not _used_up(state, at)
    if its.phase != "out" or its.holder != who:
        return False
    # Run and perhaps acknowledged: whether it takes room is known only where acknowledgements are listed.
    if its.ran == "ok":
        return state.facts.unacked(its)
    return its.ran == "held" or _keeps_room(state, at, who)


def _keeps_room(state: QueueState, at: int, who: str) -> bool:
    """Whether a failed message certainly takes room at its consumer: it was not given back, or came back at once."""
    its, rules = state.messages[at], state.rules
    # Then it was not given back, or a |nack would say so
    if state.facts.lists_acks and its.run_at < state.facts.last_listed:
        return True
    alone = {"place": not may_be_elsewhere(state, at, who), "front": rules.consumers == 1 and rules.nacked is None}
    if not alone.get(rules.returns, False):
        return False
    return (rules.dead != "any" or state.facts.lists_exits) and not _used_up(state, at)


def _used_up(state: QueueState, at: int) -> bool:
    its, limit = state.messages[at], state.rules.limit
    return its.ran == "failed" and limit is not None and its.shown >= limit and not state.facts.lists_exits


def add_span(state: QueueState, where: Where, start: int, end: int, limit: int, *, longer: bool = False) -> None:
    """A message was unsettled there from word `start` to word `end`: never more than `limit` at one moment.

    `longer`: its hand-over is a span of one word already, which this one replaces.
    """
    if limit >= state.facts.deliveries:
        return  # spans would only multiply the states: so many are never out
    own = (where, start, start)
    spans = list(state.spans)
    if longer and own in spans:
        spans.remove(own)
    spans.append((where, start, end))
    mine = [(low, high) for other, low, high in spans if other == where]
    # The number changes only where one begins, so that no other moment can be the fullest.
    for moment in {low for low, _ in mine if start <= low <= end}:
        if sum(low <= moment <= high for low, high in mine) > limit:
            refuse(_full_text(state, where[1], limit, []))
    state.spans = tuple(spans)


def add_span_until_return(state: QueueState, at: int) -> None:
    """`at` comes back, so it was unsettled since its hand-over: at its consumer, and in all."""
    its, rules = state.messages[at], state.rules
    # A span ends before the word that shows the return: at that word there is room again.
    until = its.until if its.until >= 0 else state.word - 1
    since = its.since if its.since >= 0 else until
    if rules.prefetch is not None and its.holder is not None and its.ran != "failed":
        add_span(state, (state.facts.queue(at), its.holder), since, until, rules.prefetch, longer=its.since >= 0)
    if rules.outstanding is not None:
        add_span(state, (state.facts.queue(at), EVERYBODY), since, until, rules.outstanding, longer=its.since >= 0)


def add_span_until_ack(state: QueueState, at: int) -> None:
    """`at` is acknowledged at this word, so it was unsettled from its hand-over until then."""
    its, rules = state.messages[at], state.rules
    for who, limit in ((its.holder or EVERYBODY, rules.prefetch), (EVERYBODY, rules.outstanding)):
        if limit is not None and its.since >= 0:
            add_span(state, (state.facts.queue(at), who), its.since, state.word - 1, limit, longer=True)


def add_span_unseen(state: QueueState, at: int, consumer: str) -> None:
    """`at` turns out to have been at this consumer since it must have been handed out."""
    since, rules = state.messages[at].away_at, state.rules
    if since < 0:
        return
    # What a consumer has at hand ends with the run and not with the settlement, so those spans are counted separately.
    for who, limit in ((consumer, rules.prefetch), (EVERYBODY, rules.outstanding), (f"{consumer}-", rules.at_hand)):
        if limit is not None:
            add_span(state, (state.facts.queue(at), who), since, state.word - 1, limit)
    check_room(state, at, consumer)


def _full_text(state: QueueState, who: str, limit: int, held: list[int]) -> str:
    which = f" ({', '.join(map(state.name, held))})" if held else ""
    most = "at most one message is" if limit == 1 else f"at most {limit} messages are"
    if who.endswith("-"):
        return f"{state.rules.at_hand_setting}: {who[:-1]} cannot have had more at one moment"
    if who == EVERYBODY:
        return f"{most} not acknowledged at one moment{which}: max_ack_pending={limit}"
    return f"{most} unsettled at {who} at one moment{which}: prefetch={limit}"


def may_be_elsewhere(state: QueueState, at: int, consumer: str) -> bool:
    """Whether another consumer of the trace can have taken `at`."""
    return (
        state.rules.consumers != 1
        and bool(state.facts.names - state.messages[at].not_by - {consumer})
        and several_at_once(state)
    )


def several_at_once(state: QueueState) -> bool:
    """Whether two messages can be out at the same time at all."""
    return state.rules.outstanding != 1
