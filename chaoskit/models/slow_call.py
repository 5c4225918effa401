"""What stands in a run for a call with several messages that its consumer is slow with."""

from __future__ import annotations

import attrs

from chaoskit.values.faults import Overtake


@attrs.frozen(order=True)
class SlowCall(Overtake):
    """A consumer that competes with others has this message and the `holds` next ones, and settles them only when
    `by`+1 others are done."""

    holds: int = 0
