"""What it costs to judge a trace, counted in calls: seconds differ with whatever else the machine does."""

from __future__ import annotations

import sys
from typing import Protocol

from chaoskit.traces import Permitted


class Broker(Protocol):
    """What can be asked."""

    def permits(self, trace: str) -> Permitted: ...


def calls_to_judge(broker: Broker, trace: str) -> int:
    """How many functions are called until the trace is judged."""
    calls, before = 0, sys.getprofile()

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        broker.permits(trace)
    finally:
        sys.setprofile(before)
    return calls
