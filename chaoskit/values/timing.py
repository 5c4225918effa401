"""How long things take at a broker, in seconds of the time that a run has: `deliver.now()`."""

from __future__ import annotations

import attrs

DAY = 86_400.0


@attrs.frozen(kw_only=True)
class Timing:
    """How long things take. What a broker does not say is as it is with most.

    `lease`: until what was handed out and not settled is handed out again. `silence`: until a consumer that says
    nothing is taken for dead, beside the lease of what it has. `restart`: until a process that died has begun again.
    `attempt`: until an attempt has failed. `retries`: the waits before what was refused is tried again, the last of
    them for each further try; None: until its lease has run out. `last_try`: until what blocks its lane, and has used
    up its attempts, is tried once more. `by_hand`: until somebody puts a dead letter back, or sets a position back.
    `window`: in which the broker drops what is sent again, so that a copy was sent later; 0: none.
    """

    lease: float = 30.0
    silence: float = 0.0
    restart: float = 5.0
    attempt: float = 1.0
    retries: tuple[float, ...] | None = (1.0,)
    last_try: float = 3600.0
    by_hand: float = 2 * DAY
    window: float = 0.0

    def retry(self, number: int) -> float | None:
        """The wait before the retry of this number, from 1."""
        return None if self.retries is None else self.retries[min(number, len(self.retries)) - 1]


USUAL = Timing()

STEP = 0.01
"""Seconds that a message is under way, and that a delivery takes which does not fail."""
