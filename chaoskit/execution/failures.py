"""How a run fails that is no matter of states: refused, ended or hung; each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chaoskit.execution.limit import Hung
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event
from chaoskit.values.faults import INSIDE, FaultKind
from chaoskit.values.schedule import DELIVER, INSIDE_STEPS, what_of

IN_ORDER_NOTHING_RAISES = """\
What the handler is given in order has to be possible, and it has to take it:
- A stream that no producer sends, such as one subscription that is created twice. Leave it out:
    events(values, keys, valid=lambda stream: sum(event.value["kind"] == "created" for event in stream) <= 1)
  or make only what is possible. Any strategy of lists of Event will do, also one whose events depend on each other:
    st.lists(st.integers(1, 100)).map(
        lambda amounts: [Event("sub-1", "created"), *(Event("sub-1", amount) for amount in amounts)]
    )
- What the handler rejects rightly, such as an overdraft: catch it in the handler, so that the message is done with.
- A message that can never be handled: chaos(…, poison=({error},)) lets the broker's rule for it apply in order, too.
- A failure of what the handler calls, such as a lost connection or a timeout, is none of the stream's. In order nothing
  may fail; the fault `Fail` lets single attempts fail, as they do in production.
See "The streams" in the README."""
"""The ways out of a refusal in order, each with the line that does it."""


class ReferenceRefused(UsageError):
    """The handler raised although every message came once and in order."""

    def __init__(self, event: Event, error: Exception) -> None:
        kind, of_adapter = type(error).__name__, getattr(error, "advice", "")
        advice = of_adapter or (_ELSEWHERE if _fails_elsewhere(error) else _REJECTED).format(kind)
        super().__init__(
            f"the handler raised {kind} on event {event.id!r} ({event.value!r}) although everything "
            f"came once and in order: {error}. {advice}"
        )
        if not of_adapter:
            self.add_note(IN_ORDER_NOTHING_RAISES.format(error=kind))
        self.event, self._value, self._error = event.id, event.value, error

    def missing_field(self) -> object | None:
        """The key of a KeyError that the value of the event does not have, if it was that."""
        if not isinstance(self._error, KeyError) or not isinstance(self._value, Mapping) or not self._error.args:
            return None
        key: object = self._error.args[0]
        return None if key in self._value else key


_REJECTED = (
    "Leave streams that no producer sends out of the strategy, events(…, valid=…), and catch in the handler what it "
    "rejects rightly; where {0} means that this message can never be handled, say so: poison=({0},)"
)

_ELSEWHERE = (
    "That is a failure of what the handler calls: the kind of fault `Fail`, which chaoskit makes itself. Keep what "
    "stands in for the database or the service working; here it has to answer, each time"
)

_FAILURES = ("Connection", "Timeout", "Operational", "Interface", "Unavailable", "Network", "Disconnect")


def _fails_elsewhere(error: Exception) -> bool:
    """By its class, or by the name that clients give such an error."""
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(word in name for name in names for word in _FAILURES)


NEEDS_ASYNCIO = (
    "Crash and Overlap give each consumer process an event loop of its own, of asyncio: the loop of this test is "
    "another library's"
)


def what_dies(kinds: Iterable[FaultKind]) -> str:
    """What these kinds need to know of a process, and do not."""
    names = [kind.__name__ for kind in INSIDE if kind in set(kinds)]
    verb, knows = ("has", "dies with") if names == ["Crash"] else ("has", "belongs to")
    if len(names) > 1:
        verb, knows = "have", "dies with"
    return f"{' and '.join(names)} {verb} to know what {knows} the process: give deliver(spawn=make_handler)"


class NoThreads(UsageError):
    """The consumer processes of this test cannot be threads."""

    def __init__(self) -> None:
        super().__init__(NEEDS_ASYNCIO)


class ProcessEnded(Exception):
    """The handler ended its consumer in the middle of a run."""


class EndedInOrder(UsageError):
    """The handler ended its process although every message came once and in order."""

    def __init__(self, event: Event, end: BaseException) -> None:
        super().__init__(
            f"the handler ended its {ending(end)} on event {event.id!r} ({event.value!r}) although "
            "everything came once and in order. A consumer that ends handles nothing any more: raise an exception for "
            "a message that is to come again, and return for one that is done"
        )


class HungInOrder(UsageError):
    """The test did not end although every message came once and in order."""

    def __init__(self, hung: Hung) -> None:
        super().__init__(
            f"{where_it_hung(hung)}, although everything came once and in order. Where it may take so long: "
            "--chaos-limit, or limit= of check, gives each run more time"
        )


IDLE_HOLDS = (
    ". It waits, and no other execution is at work: a process that is idle may still hold a lock, as a handler leaves "
    "it that raised without a rollback"
)


def where_it_hung(hung: Hung) -> str:
    """What did not end, and for how long it was waited for."""
    last = hung.steps[-1] if hung.steps and not hung.over else (-1,)
    if last[0] == DELIVER or (last[0] > 0 and what_of(last) in INSIDE_STEPS):
        event = hung.stream[last[2]].id
        why = IDLE_HOLDS if hung.waits_for_nobody else ""
        where = f"step {len(hung.steps)}, the delivery of {event}{why}"
        return f"the handler did not return within {hung.seconds:g} s: {where}"
    where = "after the deliveries" if hung.over else f"at step {len(hung.steps)}" if hung.steps else "before `deliver`"
    return f"the test did not end within {hung.seconds:g} s: {where}"


def ending(end: BaseException) -> str:
    what = "process" if isinstance(end, SystemExit) else "task"
    return f"{what} ({type(end).__name__}: {end})" if str(end) else f"{what} ({type(end).__name__})"
