"""What a broker hands over in one call of a handler that takes batches, and what it takes back where that failed."""

from __future__ import annotations

from typing import Literal

import attrs

ALL = 1 << 60
"""No bound of the broker's own."""


@attrs.frozen
class Handover:
    """How messages come in one call.

    `most`: of one poll, receive, pull or invocation. `one_lane`: all of one partition, shard or session; else a call
    may have messages of several. `whole`: the broker itself calls, and settles a call as a whole: what it does not
    settle comes again with all of its call. `failed`: what is not settled of a call in which some messages failed: the
    "listed" ones, or all "from the lowest" on; None: it has no notion of that. `again`: how what was not settled comes
    back: in "any" batches, in the "same" one, or in "halves" of it. `anew`: it comes back as another message.
    """

    most: int = ALL
    one_lane: bool = False
    whole: bool = False
    failed: Literal["listed", "from the lowest"] | None = "listed"
    again: Literal["any", "same", "halves"] = "any"
    anew: bool = False
