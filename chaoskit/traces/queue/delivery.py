"""What one word does to one possible state of a queue."""

from __future__ import annotations

from chaoskit.traces.queue import locks, order
from chaoskit.traces.queue.capacity import add_span_until_return, check_room
from chaoskit.traces.queue.state import ANYBODY, MessageState, QueueState, refuse
from chaoskit.traces.tokens import Receive


def deliver(state: QueueState, word: Receive, receive: int) -> None:
    """One delivery; `receive` numbers the batch it is in, 0 outside of brackets."""
    at = state.facts.ids[word.label]
    its = state.messages[at]
    # A consumer runs what it has: that needs no mark, and for the broker nothing happens.
    if not word.again and word.outcome != "held":
        if its.is_unrun_at(word.consumer):
            _run_held(state, at, word)
            return
        if word.consumer in its.stale or (ANYBODY in its.stale and its.holder != word.consumer):
            _run_stale(state, at, word)
            return
    # Only what follows is a new hand-over: what a consumer holds or has lost it runs without asking the broker.
    _switch_active_consumer(state, at, word.consumer)
    # A broker that does not mark a second delivery shows it as a first one: what is known of the message decides.
    if word.again or (not state.rules.marks and (its.shown or word.consumer in its.not_by)):
        _check_redelivery(state, at, word, receive)
    else:
        _check_first_delivery(state, at, word, receive)
    _hand_over(state, at, word, receive)


def _run_held(state: QueueState, at: int, word: Receive) -> None:
    if word.consumer in state.messages[at].not_by:
        refuse(
            f"{word.consumer} runs what it holds one after another, in the order of hand-over: "
            f"it has passed {state.name(at)} already"
        )
    if state.rules.order == "locked":
        locks.check_not_stopped(state, at, word)
    order.pass_over_unrun(state, at, word.consumer)
    _record_run(state, at, word)


def _run_stale(state: QueueState, at: int, word: Receive) -> None:
    """A consumer that lost the message still runs it; its acknowledgement may count."""
    its = state.messages[at]
    state.change(at, stale=its.stale - {word.consumer}, known=its.known | {word.consumer})
    if (
        word.outcome == "ok"
        and state.rules.late_ack != "refused"
        and not state.facts.lists_acks
        and its.phase == "back"
    ):
        state.change(at, sure=False)


def _record_run(state: QueueState, at: int, word: Receive) -> None:
    # To the broker a task that failed is done, where it is acknowledged all the same.
    outcome = "ok" if word.outcome == "failed" and state.rules.failure_settles else word.outcome
    # Else it was lost or came back in the meantime, and this was the run of an old holder.
    if state.messages[at].phase == "out":
        state.change(at, ran=outcome, run_at=state.word)
    else:
        state.change(at, stale=state.messages[at].stale - {word.consumer})


def _hand_over(state: QueueState, at: int, word: Receive, receive: int) -> None:
    its, rules = state.messages[at], state.rules
    if rules.limit is not None and rules.limit_exact and its.shown >= rules.limit:
        refuse(f"{state.name(at)} is delivered at most {_times(rules.limit)}: {rules.limit_setting}")
    known, times = its.known | {word.consumer}, {"since": state.word, "until": -1, "away_at": -1, "taken_at": state.now}
    changes = {"phase": "out", "holder": word.consumer, "shown": its.shown + 1, "sure": True, "not_by": frozenset()}
    state.change(at, **changes, **times, receive=receive, ran="held", known=known, behind=False)
    if its.place is None:
        state.change(at, place=_free_place(state, at))
    if rules.settles == "at_hand_over":
        # Settled for the broker, and still to be run by the client that has it.
        stale = its.stale | {word.consumer} if word.outcome == "held" else its.stale
        state.settle(at, f"{rules.settles_setting} settles a message when it is handed over")
        state.change(at, stale=stale)
    elif word.outcome != "held":
        _record_run(state, at, word)


def _free_place(state: QueueState, at: int) -> tuple[int, int]:
    """A copy whose sending is not shown stands behind what was handed out before it."""
    handed = [state.place(other) for other in state.same_unit(at) if state.messages[other].phase != "new"]
    # Not behind those of unknown place, which are behind everything.
    low = max((place for place in handed if place[0] < 1 << 30), default=(-1, 0))
    return (low[0], low[1] + 1)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _check_first_delivery(state: QueueState, at: int, word: Receive, receive: int) -> None:
    its = state.messages[at]
    _check_exists(state, at)
    if its.phase not in {"new", "away"} or its.shown:
        _refuse_second_delivery(state, at)
    _check_not_swallowed(state, at)
    if its.place is None:
        _check_after_original(state, at)
        state.change(at, place=_free_place(state, at))
    if state.rules.order == "dispatch":
        order.check_first_delivery(state, at, word.consumer)
        return
    if state.rules.order == "locked":
        locks.check_order(state, at, word, receive)
    elif state.rules.order == "cascade":
        locks.check_key_order(state, at)
    if its.phase == "new":
        check_room(state, at, word.consumer)


def _check_exists(state: QueueState, at: int) -> None:
    its = state.messages[at]
    if its.phase == "unsent":
        refuse(f"{state.name(at)} cannot come: {its.why or f'it was not put before (|put {state.name(at)})'}")
    if its.phase in {"swallowed", "gone"}:
        refuse(f"{state.name(at)} cannot come: {its.why}")


def _refuse_second_delivery(state: QueueState, at: int) -> None:
    refuse(
        f"{state.name(at)} was handed over before, and {state.rules.broker} tells a second delivery: "
        f"write `{state.name(at)}r`, or `{state.name(at)}'` for another message with the same payload"
    )


def _check_after_original(state: QueueState, at: int) -> None:
    """A copy is accepted after its original, so in a queue with an order it cannot come first."""
    earlier = state.facts.earlier_copy(at)
    if earlier is None or state.rules.order == "none":
        return
    if state.messages[earlier].phase == "new" and not order.may_vanish(state):
        refuse(f"{state.name(at)} was sent after {state.name(earlier)}, which was not handed out yet")


def _check_not_swallowed(state: QueueState, at: int) -> None:
    """A copy of unknown sending time was accepted outside of the deduplication window, or is a redrive."""
    earlier, window = state.facts.earlier_copy(at), state.rules.window
    if earlier is None or window is None or not state.facts.lists_times or at in state.facts.puts:
        return
    before = state.messages[earlier]
    if before.phase == "gone":  # a redrive, which is exempt from deduplication
        return
    soonest = before.accepted + window
    if state.now < soonest and before.phase not in {"swallowed", "unsent"}:
        refuse(_swallowed(state, at, earlier))
    state.change(at, accepted=soonest)  # the earliest moment at which a broker took it for a new message


def _swallowed(state: QueueState, at: int, earlier: int) -> str:
    return (
        f"{state.rules.broker} swallows {state.name(at)}: the same payload was accepted as {state.name(earlier)} "
        f"less than {state.rules.window:g} s before ({state.rules.window_setting})"
    )


def _check_redelivery(state: QueueState, at: int, word: Receive, receive: int) -> None:
    _check_exists(state, at)
    rules = state.rules
    if rules.along is not None and state.messages[at].phase in {"out", "done"}:
        _come_along(state, at, rules.along(state, at))
    its = state.messages[at]
    if its.phase == "done":
        _check_may_return(state, at)
    if its.phase == "out":
        _check_was_given_up(state, at, word.consumer)
    if its.phase == "new":
        _handed_out_unseen(state, at, word)
    if its.phase in {"out", "lost", "back", "away", "new"}:
        add_span_until_return(state, at)
    if rules.order == "locked":
        if its.phase in {"out", "lost"}:
            locks.return_receive(state, at)
        locks.check_order(state, at, word, receive)
    elif rules.order == "cascade":
        locks.check_key_order(state, at)
        locks.return_later(state, at)
    elif rules.order == "dispatch":
        if its.phase == "lost":
            # Before the order is checked: the others of them may be due first.
            _return_all_of_holder(state, its)
        order.check_redelivery(state, at, word.consumer)
        check_room(state, at, word.consumer)
    if its.phase == "out" and its.ran == "held" and its.holder is not None and rules.zombies:
        state.change(at, stale=state.messages[at].stale | {its.holder})


def _come_along(state: QueueState, at: int, along: list[int]) -> None:
    """What was stored as one comes again as one, where any of it was not settled."""
    for other in along:
        its = state.messages[other]
        if its.phase in {"out", "lost"} and state.facts.unacked(its):
            order.return_to_queue(state, other)
    if state.messages[at].phase == "out":
        order.bring_along(state, at)


def _return_all_of_holder(state: QueueState, its: MessageState) -> None:
    """One message of a killed consumer is back, so all of them are."""
    for other, lost in enumerate(state.messages):
        if lost.phase == "lost" and lost.holder == its.holder:
            order.return_to_queue(state, other, noticed=True)


def _check_may_return(state: QueueState, at: int) -> None:
    its = state.messages[at]
    if state.rules.settled == "final" or state.rules.settles == "at_hand_over":
        refuse(f"{state.name(at)} is settled and never comes again: {its.why}")


def _check_was_given_up(state: QueueState, at: int, consumer: str) -> None:
    its, rules = state.messages[at], state.rules
    if rules.rereads and its.holder is None and state.died is not None and state.died[0] == consumer:
        return
    # A failed run gives it back by itself; and where no acknowledgement is listed, a timeout need not be either.
    if rules.settled == "may_return" or its.ran == "failed" or not state.facts.lists_acks:
        return
    refuse(
        f"{state.name(at)} is still held by {its.holder or 'a consumer that died'}: in this trace it was neither "
        f"refused nor did its time run out (|nack {state.name(at)} or |expire {state.name(at)})"
    )


def _handed_out_unseen(state: QueueState, at: int, word: Receive) -> None:
    """Marked as redelivered though no handler saw it: it lay in the buffer of a consumer that lost it."""
    if state.rules.settles == "at_hand_over":
        refuse(f"{state.rules.settles_setting} settles a message when it is handed over: it never comes again")
    known = order.any_handed_out(state)
    # Whoever died earlier cannot have had it.
    died = state.died is not None and state.died[1] > state.messages[at].put_at
    lost = died or not (state.facts.lists_kills and state.facts.lists_acks)
    one = 1 in {state.rules.receive, state.rules.prefetch, state.rules.outstanding}
    if not known or not lost or (one and state.rules.order != "none" and state.rules.consumers == 1):
        refuse(f"{state.name(at)} is marked as delivered before, but no consumer can have held it")
    if state.rules.order == "dispatch":
        order.hand_out_unseen(state, at, word.consumer)
    stale = frozenset({ANYBODY}) if state.rules.zombies and not state.killed else frozenset()
    state.change(at, phase="away", stale=stale)
    # The likeliest holder: what it held counts against its bound until it died.
    if state.died is not None:
        state.change(at, holder=state.died[0], until=state.died[1])


def _switch_active_consumer(state: QueueState, at: int, consumer: str) -> None:
    """Where only one consumer is let in, another name means that it took over."""
    queue = state.facts.queue(at)
    before, state.active[queue] = state.active.get(queue), consumer
    if state.rules.consumers != 1 or before in {None, consumer}:
        return
    if state.facts.lists_kills and not state.rules.moves_unseen:
        refuse(
            f"{before} is the one active consumer: {consumer} gets nothing before {before} is gone (⚡, |move, |evict)"
        )
    state.died = (before or "", state.word)
    for other, its in enumerate(state.messages):
        if its.phase == "out" and its.holder == before and state.facts.queue(other) == queue:
            _take_over(state, other)


def lose(state: QueueState, at: int) -> None:
    """Its consumer is gone; the broker may not know yet."""
    its = state.messages[at]
    state.change(at, phase="lost", sure=state.facts.unacked(its), until=state.word)


def _take_over(state: QueueState, at: int) -> None:
    """The old consumer lost it without dying: it can still run what it did not run."""
    its = state.messages[at]
    lose(state, at)
    if state.rules.zombies and its.ran == "held" and its.holder is not None:
        state.change(at, stale=its.stale | {its.holder})
