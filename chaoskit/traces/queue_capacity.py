"""How many messages can be unsettled at once, at one consumer or in all."""

from __future__ import annotations

from chaoskit.traces.queue_state import Case, State, Where, refuse

EVERYBODY = "*"


def room(case: Case, state: State, at: int, consumer: str, word: int) -> None:
    """There is room for one more: at its consumer (prefetch), and in all (pending acknowledgements)."""
    rules = case.rules
    if rules.prefetch is not None:
        _room(case, state, at, consumer, word, rules.prefetch)
    if rules.outstanding is not None:
        _room(case, state, at, EVERYBODY, word, rules.outstanding)
    if rules.span is not None:
        _span(case, state, at, rules.span)


def _room(case: Case, state: State, at: int, who: str, word: int, limit: int) -> None:
    held = [other for other in _held(case, state, at, who) if other != at]
    if len(held) >= limit:
        refuse(_full(case, who, limit, held))
    if limit == 1:
        for other, its in enumerate(state.messages):
            if other == at or case.queue(other) != case.queue(at):
                continue
            if its.phase == "out" and its.ran == "ok" and who in {its.holder, EVERYBODY}:
                state.settle(other)
    stretch(case, state, (case.queue(at), who), word, word, limit)


def _held(case: Case, state: State, at: int, who: str) -> list[int]:
    """The messages of the queue of `at` that certainly count against the bound of `who`."""
    queue = case.queue(at)
    return [o for o in range(len(case.labels)) if case.queue(o) == queue and _unsettled(case, state, o, who)]


def _unsettled(case: Case, state: State, at: int, who: str) -> bool:
    """Whether a message certainly counts against the bound of `who`."""
    its = state.messages[at]
    if who == EVERYBODY:
        if its.phase == "back":
            return its.sure
        return its.phase == "out" and case.unacked(its) and not _used_up(case, state, at)
    if its.phase != "out" or its.holder != who:
        return False
    if its.ran == "ok":
        return case.unacked(its)
    return its.ran == "held" or (its.ran == "failed" and case.rules.returns == "place" and case.rules.dead != "any")


def _used_up(case: Case, state: State, at: int) -> bool:
    its, limit = state.messages[at], case.rules.limit
    return its.ran == "failed" and limit is not None and its.count >= limit and not case.lists_exits


def stretch(case: Case, state: State, where: Where, start: int, end: int, limit: int, *, longer: bool = False) -> None:
    """A message was unsettled there from word `start` to word `end`: never more than `limit` at one moment."""
    if limit >= case.deliveries:
        return
    own = (where, start, start)
    spans = list(state.spans)
    if longer and own in spans:
        spans.remove(own)
    spans.append((where, start, end))
    mine = [(low, high) for other, low, high in spans if other == where]
    for moment in {low for low, _ in mine if start <= low <= end}:
        if sum(low <= moment <= high for low, high in mine) > limit:
            refuse(_full(case, where[1], limit, []))
    state.spans = tuple(spans)


def stayed(case: Case, state: State, at: int, word: int) -> None:
    """`at` comes back, so it was unsettled since its hand-over: at its consumer, and in all."""
    its, rules = state.messages[at], case.rules
    until = its.until if its.until >= 0 else word - 1
    since = its.since if its.since >= 0 else until
    if rules.prefetch is not None and its.holder is not None and its.ran != "failed":
        stretch(case, state, (case.queue(at), its.holder), since, until, rules.prefetch, longer=its.since >= 0)
    if rules.outstanding is not None:
        stretch(case, state, (case.queue(at), EVERYBODY), since, until, rules.outstanding, longer=its.since >= 0)


def _full(case: Case, who: str, limit: int, held: list[int]) -> str:
    which = f" ({', '.join(map(case.name, held))})" if held else ""
    most = "at most one message is" if limit == 1 else f"at most {limit} messages are"
    if who == EVERYBODY:
        return f"{most} not acknowledged at one moment{which}: max_ack_pending={limit}"
    return f"{most} unsettled at {who} at one moment{which}: prefetch={limit}"


def _span(case: Case, state: State, at: int, span: int) -> None:
    unsettled = [o for o in state.before(case, at) if _open(state, o)]
    if unsettled and _distance(case, state, unsettled[0], at) >= span:
        refuse(
            f"{case.name(at)} is {span} or more messages behind {case.name(unsettled[0])}, "
            f"which is not settled: max_record_locks={span} (group.share.partition.max.record.locks)"
        )


def _distance(case: Case, state: State, first: int, at: int) -> int:
    """How many messages of their unit stand from the first one on before the other."""
    if not case.lists_puts:
        return case.number(at) - case.number(first)
    return sum(state.place(other) >= state.place(first) for other in state.before(case, at))


def _open(state: State, at: int) -> bool:
    its = state.messages[at]
    return its.phase in {"new", "back"} or (its.phase == "out" and its.ran != "ok")


def kept_back(case: Case, state: State, at: int, holder: str | None, *, lost: bool) -> frozenset[int]:
    """The new messages that can lie in the buffers of live consumers at the moment when `at` of `holder` comes back."""
    limit = case.rules.prefetch
    live = set(case.names) if case.rules.consumers != 1 else {state.active.get(case.queue(at), "A")}
    if lost:
        live -= {holder or ""}
    waiting = [other for other in state.after(case, at) if state.messages[other].phase == "new"]
    if limit is None:
        return frozenset(waiting if live else ())
    free = sum(limit - len(_held(case, state, at, who)) for who in live)
    return frozenset(waiting[: max(0, free - (holder in live))])


def asked_for(case: Case, state: State, at: int) -> frozenset[int]:
    """The new messages that can be under way to consumers when `at` is given back: those for which there is room."""
    waiting = [other for other in state.after(case, at) if state.messages[other].phase == "new"]
    if case.rules.outstanding is None:
        return frozenset(waiting)
    return frozenset(waiting[: max(0, case.rules.outstanding - len(_held(case, state, at, EVERYBODY)))])


def at_once(case: Case) -> bool:
    """Whether two messages can be out at the same time at all."""
    return case.rules.outstanding != 1
