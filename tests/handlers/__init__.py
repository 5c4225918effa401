"""Message handlers of which it is known what breaks them. The folder says what must happen.

`correct`: no delivery that Kafka can make is ever flagged. `buggy`: found, and shrunk to the least delivery.
"""

from __future__ import annotations

from types import ModuleType

from chaoskit.values.faults import FaultKind

Least = tuple[int, int]
"""The least number of events, and of faults over them, that change the final state."""

Kinds = FaultKind | tuple[FaultKind, ...]
"""One kind of fault alone, or several together."""

Truth = dict[Kinds, Least]
"""What breaks a handler, on `Kafka(partitions=1, consumers=1, idempotent_producer=False)`.

Kinds that do not stand here never do, alone."""


def name(handler: ModuleType) -> str:
    """The plain name of a handler, for the id of a test."""
    return handler.__name__.rpartition(".")[2]
