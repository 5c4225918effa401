"""What a broker cannot do: why, and which settings would allow it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from chaoskit.brokers.fields import assignments
from chaoskit.values.faults import Duplicate, FaultKind, Redeliver, Zombie

OR_MORE = "{} or more makes it possible"
WHERE_THE_APPLICATION_DOES = "{}, where the application does, makes it possible"


@attrs.frozen
class Impossible:
    """Why a kind of fault is impossible, and the settings that allow it; none where none does.

    As text it is a sentence. `hint` is its second half, where it is not simply that these settings, all together, make
    it possible: a template of them, in their order or by name.
    """

    why: str
    allowed_by: Mapping[str, object] = attrs.field(factory=dict)
    hint: str = ""

    def __str__(self) -> str:
        written = dict(zip(self.allowed_by, assignments(self.allowed_by), strict=True))
        first, *others = written.values() or ["no setting"]
        together = " with ".join([first, *([" and ".join(others)] if others else [])])
        return f"{self.why}; {self.hint.format(*written.values(), **written) or f'{together} makes it possible'}"


Reasons = dict[FaultKind, Impossible]

NO_GROWTH = Impossible("the number of partitions never changes (growth=False)", {"growth": True})


def delivered_once(limit: int | None, setting: str) -> Reasons:
    """What is impossible where the limit of deliveries is 1: whatever needs a second one."""
    why = Impossible(f"{setting}=1 gives up what was delivered once", {setting: 2})
    return dict.fromkeys((Duplicate, Redeliver, Zombie), why) if limit == 1 else {}
