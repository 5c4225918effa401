"""A handler that hangs: the least scenario that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaoskit.execution.failures import where_it_hung
from chaoskit.execution.limit import Hung
from chaoskit.search.minimal import shrinker_for
from chaoskit.search.oracle import Subject
from chaoskit.search.plans import Plan
from chaoskit.search.verdicts import hung_verdict
from chaoskit.values.event import Stream
from chaoskit.values.faults import FaultKind
from chaoskit.values.verdict import Verdict

SLOW = "Where a machine may be so slow: --chaos-limit gives each run more time"


def fewest_that_hang(subject: Subject, events: Any, kinds: Sequence[FaultKind], hung: Hung, seed: int) -> Verdict:
    """The verdict on a run that did not end. Its scenario is made smaller under a tighter limit, and is a failure only
    if it hangs under the full one, too: once may be the machine's doing."""
    limit = subject.limit

    def hangs(stream: Stream, faults: Plan) -> bool:
        return hung_under(subject, stream, faults) is not None

    shrinker = shrinker_for(subject, events, kinds, hangs, in_order=False, seed=seed)
    faults, stream = hung.faults or (), hung.stream
    # Without faults there is nothing to take away.
    if faults and limit is not None:
        # Each candidate that hangs costs the whole limit, and there are dozens.
        with limit.tighter():
            smaller = shrinker.shrink(stream, faults)
        # Under the tighter limit the smaller one may only have been slow.
        again = hung_under(subject, *smaller) or hung_under(subject, stream, faults)
        if again is None:
            return Verdict("unknown", reasons=(f"{where_it_hung(hung)}; tried again, it did end. {SLOW}",))
        hung = again
    return hung_verdict(subject, hung)


def hung_under(subject: Subject, stream: Stream, faults: Plan) -> Hung | None:
    """How this scenario hangs; None where it ends."""
    try:
        subject.on(stream).run(faults)
    except Hung as hung:
        return hung
    return None
