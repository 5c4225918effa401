"""Known bugs that were planted around a handler, and whether its test notices them."""

from __future__ import annotations

from typing import Literal, get_args

import attrs

from chaoskit.values.scenario import Scenario

HandlerBug = Literal[
    "forgets ids", "ignores versions", "drops an effect", "applies after failing", "acknowledges first", "marks first",
    "effect outside the transaction",
]  # fmt: skip
"""`forgets ids`: what comes again counts as new. `ignores versions`: the events of a key are handled in the order in
which they come. `drops an effect`: of what something goes wrong with nothing is handled. `applies after failing`: the
attempt that failed has left its effect, and the next one adds its own. `acknowledges first`: an attempt that fails, or
whose process ends, is the last. `marks first`: what a process died at counts as done, however much of it is.
`effect outside the transaction`: what a process died at counts as new, although it is done."""

StateBug = Literal["frozen", "constant", "only its length"]
"""`frozen`: the first state that was seen is given for ever. `constant`: 0 in its place. `only its length`: `len()` of
it."""

INSIDE_BUGS: tuple[HandlerBug, ...] = ("marks first", "effect outside the transaction")
"""Those that only a process shows that dies inside the handler: they are planted where `spawn` says what dies."""
HANDLER_BUGS: tuple[HandlerBug, ...] = tuple(bug for bug in get_args(HandlerBug) if bug not in INSIDE_BUGS)
STATE_BUGS: tuple[StateBug, ...] = get_args(StateBug)

PlantedStatus = Literal["caught", "missed", "no difference", "cannot happen"]


@attrs.frozen
class Planted:
    """A bug, planted in the `handler` or in the `state` that the test gives.

    `status` is "caught" (the test would have failed), "missed", "no difference" (what the test compares is the same
    with it, though other values show: right for a sum, which no order changes) or "cannot happen" (nothing in this test
    triggers it). `why` says it in a sentence where it was not caught. `schedules`: distinct ones that were run with it.
    `breaks`: the kinds of fault of the delivery in which it was met, and `scenario` that delivery, not made minimal.
    """

    bug: HandlerBug | StateBug
    place: Literal["handler", "state"]
    status: PlantedStatus
    schedules: int = 0
    breaks: tuple[str, ...] = ()
    scenario: Scenario | None = None
    why: str = ""


@attrs.frozen
class SelfCheck:
    """What came of all that was planted. Nothing was where `reason` says why not."""

    planted: tuple[Planted, ...] = ()
    reason: str = ""

    def named(self, status: PlantedStatus) -> tuple[str, ...]:
        """The bugs of this status, those of the handler first."""
        return tuple(each.bug for each in self.planted if each.status == status)

    @property
    def caught(self) -> tuple[str, ...]:
        return self.named("caught")

    @property
    def missed(self) -> tuple[str, ...]:
        return self.named("missed")

    @property
    def asserts_nothing(self) -> bool:
        """None of the bugs of the handler that can happen would have been noticed."""
        status = {each.status for each in self.planted if each.place == "handler"}
        return "caught" not in status and "missed" in status
