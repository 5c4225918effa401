"""What settle verbs, sends, kills and the end of the trace do to one possible state of a queue."""

from __future__ import annotations

from chaoskit.traces.queue import locks, order
from chaoskit.traces.queue.capacity import add_span_until_ack
from chaoskit.traces.queue.delivery import lose
from chaoskit.traces.queue.state import QueueState, refuse
from chaoskit.traces.tokens import Evict, Kill, Move, Settle


def settle(state: QueueState, word: Settle, *, late_counts: bool) -> None:
    """One settle verb; `late_counts` chooses what a late acknowledgement did where both can be."""
    if state.rules.delivers is not None:  # for the two bounds a settlement binds nothing
        return
    at = state.facts.ids[word.label]
    if state.messages[at].phase == "unsent":
        refuse(f"{state.name(at)} was not put before")
    match word.what:
        case "ack":
            _ack(state, at, word.consumer, late_counts)
        case "nack":
            _nack(state, at, word.consumer)
        case "term":
            _term(state, at, word.consumer)
        case "expire":
            _expire(state, at)
        case "dead":
            _dead(state, at)
        case "drop":
            _drop(state, at)


def _ack(state: QueueState, at: int, consumer: str, late_counts: bool) -> None:
    its = state.messages[at]
    if its.phase in {"new", "swallowed"}:
        refuse(f"{state.name(at)} was never handed out, so nobody can acknowledge it")
    if its.phase in {"done", "gone"}:  # a second acknowledgement changes nothing, and brokers accept it
        return
    _check_was_handed(state, at, consumer)
    if its.phase == "out" and its.holder == consumer:
        add_span_until_ack(state, at)
    else:
        if state.rules.late_ack == "refused":
            refuse(
                f"{consumer} does not hold {state.name(at)} any more, and {state.rules.broker} refuses a late "
                f"acknowledgement: {state.name(at)} stays in the queue"
            )
        if state.rules.late_ack == "maybe" and not late_counts:
            return
    state.settle(at)
    for other in [] if state.rules.covers is None else state.rules.covers(state, at):
        state.settle(other, f"the acknowledgement of {state.name(at)} covered it")


def _check_was_handed(state: QueueState, at: int, consumer: str) -> None:
    """Who acknowledges was handed the message, and is the same process still."""
    its = state.messages[at]
    if consumer in its.known or its.phase == "away":
        return
    if consumer in state.killed:
        refuse(f"{consumer} was killed and holds nothing of before: it cannot acknowledge {state.name(at)}")
    if not state.rules.anybody_acks:
        refuse(f"{consumer} was never handed {state.name(at)}, so it cannot acknowledge it")


def _nack(state: QueueState, at: int, consumer: str) -> None:
    its = state.messages[at]
    if its.phase != "out" or its.holder != consumer:
        refuse(f"{consumer} does not hold {state.name(at)}, so it cannot give it back")
    _give_back(state, at, alone=state.rules.single_returns, nacked=True)
    if state.rules.requested_at_nack is not None:
        state.buffered |= state.rules.requested_at_nack(state, at)


def _term(state: QueueState, at: int, consumer: str) -> None:
    its, rules = state.messages[at], state.rules
    if not rules.gives_up:
        refuse(f"{rules.broker} has nothing with which a consumer gives a message up for good under these settings")
    if its.phase != "out" or its.holder != consumer:
        refuse(f"{consumer} does not hold {state.name(at)}, so it cannot give it up")
    state.leave(at, "its consumer gave it up")


def _expire(state: QueueState, at: int) -> None:
    its, lease = state.messages[at], state.rules.lease
    if its.phase == "back":
        return
    if its.phase not in {"out", "lost", "away"}:
        refuse(f"{state.name(at)} is not held by anybody, so its time cannot run out")
    if lease is not None and state.facts.lists_times and its.phase == "out" and state.now - its.taken_at < lease:
        refuse(f"{state.name(at)} was handed out less than {lease:g} s before: its time has not run out")
    _give_back(state, at, alone=state.rules.single_returns)


def _give_back(state: QueueState, at: int, *, alone: bool, nacked: bool = False) -> None:
    if (
        state.rules.order == "cascade"
    ):  # the client's buffer is served on; the cascade starts when it is delivered again
        its = state.messages[at]
        kept = its.stale | {its.holder or ""} if its.ran == "held" and state.rules.zombies else its.stale
        state.change(at, ran="failed", stale=kept - {""}, holder=None)
    elif state.rules.order == "locked" and not alone:
        locks.return_receive(state, at)
    else:
        order.return_to_queue(state, at, nacked=nacked)


def _dead(state: QueueState, at: int) -> None:
    rules = state.rules
    if rules.dead == "never":
        setting = f": {rules.dead_setting}" if rules.dead_setting else ""
        refuse(f"{rules.broker} has no dead letters under these settings{setting}")
    if state.messages[at].phase in {"done", "gone"}:
        refuse(f"{state.name(at)} cannot be dead-lettered: {state.messages[at].why}")
    state.leave(at, "it was dead-lettered")


def _drop(state: QueueState, at: int) -> None:
    rules, its = state.rules, state.messages[at]
    if its.phase == "swallowed":
        return
    if its.phase == "done" and rules.settles != "at_hand_over":
        refuse(f"{state.name(at)} is settled and cannot be lost any more")
    if rules.loses is None and rules.limit is None and rules.settles != "at_hand_over":
        refuse(f"{rules.broker} loses no message under these settings")
    state.leave(at, "it was lost for good")


def put(state: QueueState, at: int, *, outside: bool) -> None:
    """A send; where no time is given, `outside` chooses whether it is outside of the deduplication window."""
    rules = state.rules
    if state.messages[at].phase != "unsent":
        refuse(f"{state.name(at)} was put already: another send of the payload is `{state.name(at)}'`")
    earlier = state.facts.earlier_copy(at)
    # The window counts from what was accepted: a send that was swallowed does not prolong it.
    while earlier is not None and state.messages[earlier].phase in {"unsent", "swallowed"}:
        earlier = state.facts.earlier_copy(earlier)
    # Dead letters that are put back are exempt from deduplication, and the trace does not say which put is one.
    redrive = any(state.messages[other].phase == "gone" for other in state.facts.earlier_copies(at))
    if rules.window is not None and earlier is not None and not redrive:
        age = state.now - state.messages[earlier].accepted
        inside = age < rules.window if state.facts.lists_times else not outside
        if inside:
            why = (
                f"{rules.broker} swallowed it, as {state.name(earlier)} with the same payload was accepted less than "
                f"{rules.window:g} s before ({rules.window_setting})"
            )
            state.change(at, phase="swallowed", why=why)
            return
    last = max((its.place[0] for its in state.messages if its.place is not None), default=-1)
    state.change(at, phase="new", place=(last + 1, 0), accepted=state.now, put_at=state.word)


def kill(state: QueueState, word: Kill) -> None:
    """The consumer is gone, with its buffer and all that it was running."""
    state.killed, state.died = state.killed | {word.consumer}, (word.consumer, state.word)
    state.active = {queue: active for queue, active in state.active.items() if active != word.consumer}
    for at, its in enumerate(state.messages):
        if its.phase == "out" and its.holder == word.consumer:
            _killed(state, at)
    for at, its in enumerate(state.messages):
        if word.consumer in its.stale | its.known:
            state.change(at, stale=its.stale - {word.consumer}, known=its.known - {word.consumer})
    if not state.facts.names - {word.consumer}:
        state.buffered = frozenset()  # there is no other client in whose buffer anything could lie


def _killed(state: QueueState, at: int) -> None:
    its = state.messages[at]
    sure = state.facts.unacked(its)
    # A lease outlives its consumer. A lock of which the last run may have been settled is not known to come back.
    if state.rules.loss == "lease" or (state.rules.order == "locked" and not sure):
        state.change(at, holder=None, until=state.word)
    elif state.rules.order == "dispatch":
        lose(state, at)
    elif state.rules.order == "locked":
        locks.return_receive(state, at)
    else:
        order.return_to_queue(state, at)
        state.change(at, sure=sure)


def hand_over(state: QueueState, word: Move | Evict) -> None:
    """A planned hand-over settles what was run; an eviction gives back what is not settled."""
    state.active = {
        queue: word.target if active == word.source else active for queue, active in state.active.items()
    } or {None: word.target}
    for at, its in enumerate(state.messages):
        if its.phase != "out" or its.holder != word.source:
            continue
        if not state.facts.unacked(its) and isinstance(word, Move):
            state.settle(at)
        elif isinstance(word, Evict) and state.rules.order == "locked":
            locks.return_receive(state, at)
        elif isinstance(word, Evict):
            order.return_to_queue(state, at)
            state.change(at, sure=state.facts.unacked(its))


def check_complete(state: QueueState) -> None:
    """Nothing that must come is missing."""
    for at in range(len(state.messages)):
        _check_settled(state, at)


def _check_settled(state: QueueState, at: int) -> None:
    its, rules = state.messages[at], state.rules
    if its.phase in {"done", "gone", "swallowed", "unsent"} or order.may_vanish(state):
        return
    if its.phase == "new":
        refuse(f"{state.name(at)} was never delivered, and {rules.broker} loses no message under these settings")
    settled = not state.facts.unacked(its)
    waived = not rules.comes_back or rules.covers is not None or order.may_leave(state, at)
    if waived or (its.phase == "out" and settled) or (its.phase in {"back", "lost"} and not its.sure):
        return
    refuse(f"{state.name(at)} is not settled, so it must come again")
