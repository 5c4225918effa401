"""What was tried around a handler that fails, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from chaoskit.values.boundary import Boundary
from chaoskit.values.event import Event
from chaoskit.values.scenario import Scenario
from chaoskit.values.state import Difference

MoveName = Literal[
    "ids", "version", "resequence", "one key", "transaction", "unique key", "lock", "outbox", "fence", "escape",
    "retry",
]  # fmt: skip
"""`ids`: remember the ids of messages and skip those that are known. `version`: drop what is older than what is there.
`resequence`: hold a message back until those before it have come. `one key`: total order, one key for all messages.
`transaction`: what a handler does for a message is one transaction. `unique key`: so is it, and the id of the message
is in it under a unique key. `lock`: two executions of one key come one after the other. `outbox`: what leaves is
written in the transaction, and sent by somebody else. `fence`: a store refuses what a former owner writes. `escape`: an
error of a call comes out of the handler, so that the message comes again. `retry`: so it does because a framework is
asked for it."""


@attrs.frozen
class Repair:
    """A move that was put around the handler, and what a search with these `kinds` of fault found then.

    `status` is "held", "violated" or "unknown" (`reasons`); `schedules` is how many distinct ones were run with the
    move in place, 0 where it holds since none of these kinds can happen with it. `repairs_this`: the minimal scenario
    of the failure passes with it. `breaks` are the names of the kinds that still break the handler, and `scenario` is
    the least delivery that does; None where nothing does. `distance`: the most deliveries that lay between two copies
    of one message; 0 where none came twice. `needs` says what the move takes, `code` shows it in a few lines for this
    kind of handler.
    """

    move: MoveName
    status: Literal["held", "violated", "unknown"]
    breaks: tuple[str, ...] = ()
    scenario: Scenario | None = None
    kinds: tuple[str, ...] = ()
    repairs_this: bool = False
    schedules: int = 0
    distance: int = 0
    needs: str = ""
    code: str = ""
    reasons: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Clash:
    """Two events of a minimal scenario that do not commute: handled without any fault, once in the order in which they
    were produced and once swapped, they give two states, which part in `differences`. `assigned`: the places of these
    that have what the later of the two writes alone, whatever the other did; an addition would commute there, and so
    would an assignment that the newer version wins."""

    first: Event
    second: Event
    in_order: Any
    swapped: Any
    differences: tuple[Difference, ...] = ()
    assigned: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Advice:
    """What was tried for a failure: the moves, cheapest first, the events that do not commute, and, where no move
    within a key holds, which other key would keep in order what has to stay so."""

    repairs: tuple[Repair, ...] = ()
    clashes: tuple[Clash, ...] = ()
    boundary: Boundary | None = None


@attrs.define(eq=False)
class Later:
    """Advice that is found when somebody asks for it, once. `known` is None until then."""

    _find: Callable[[], Advice] = Advice
    known: Advice | None = None

    def ask(self) -> Advice:
        if self.known is None:
            self.known = self._find()
        return self.known
