"""What a broker cannot do: why, and which settings would allow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from chaoskit.brokers.fields import assignments
from chaoskit.values.faults import Duplicate, FaultKind, Redeliver, Zombie

OR_MORE = "{} or more makes it possible"
WHERE_THE_APPLICATION_DOES = "{}, where the application does, makes it possible"


@attrs.frozen
class Impossible:
    """Why a kind of fault is impossible, and the settings that allow it; none where none does.

    As text it is a sentence that ends with a hint: `hint`, a template of these settings in their order or by name, or
    else that all of them together make it possible.
    """

    why: str
    allowed_by: Mapping[str, object] = attrs.field(factory=dict)
    hint: str = ""

    def __str__(self) -> str:
        settings = assignments(self.allowed_by)
        # In their order for a hint of one setting, by name where a sentence needs several.
        hint = self.hint.format(*settings, **dict(zip(self.allowed_by, settings, strict=True)))
        return f"{self.why}; {hint or f'{_together(settings)} makes it possible'}"


def _together(settings: Sequence[str]) -> str:
    if not settings:
        return "no setting"
    first, *others = settings
    return f"{first} with {' and '.join(others)}" if others else first


Reasons = dict[FaultKind, Impossible]

NO_GROWTH = Impossible("the number of partitions never changes (growth=False)", {"growth": True})


def delivered_once(limit: int | None, setting: str) -> Reasons:
    """What is impossible where the limit of deliveries is 1: whatever needs a second one."""
    why = Impossible(f"{setting}=1 gives up what was delivered once", {setting: 2})
    return dict.fromkeys((Duplicate, Redeliver, Zombie), why) if limit == 1 else {}
