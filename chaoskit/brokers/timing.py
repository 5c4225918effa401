"""How long things take at a broker: its usual times, with what its settings say."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from chaoskit.brokers.fields import at_least, described
from chaoskit.values.timing import Timing

Part = Literal["lease", "silence", "retries"]
"""What of the times a setting is: see `Timing`."""


def timed(part: Part, default: Any, text: str) -> Any:
    """A setting in seconds, which is this part of the times; with None it says nothing."""
    least, allowed = at_least(1), "int >= 1"
    if default is None:
        least, allowed = attrs.validators.optional(least), "int >= 1 or None"
    return attrs.field(default=default, validator=least, metadata={**described(text, allowed), "timing": part})


def timing_of(broker: Any, usual: Timing) -> Timing:
    """The usual times with those of this broker's settings in their place."""
    own: dict[str, Any] = {}
    for field in attrs.fields(type(broker)):
        part, value = field.metadata.get("timing"), getattr(broker, field.name)
        if part is not None and value is not None:
            own[part] = (float(value),) if part == "retries" else float(value)
    return attrs.evolve(usual, **own)


CONNECTED = Timing(lease=0.0, retries=(0.0,))
"""What a consumer holds hangs on its connection: it comes back at once when that is gone, or when it is refused."""

GIVEN_BACK = Timing(retries=(0.0,))
"""What is refused is given back at once; what is not settled comes back when its lease has run out."""

INVISIBLE = Timing(retries=None)
"""Nothing is given back: what was refused comes again when its lease has run out, as what was not settled."""
