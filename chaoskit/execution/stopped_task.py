"""How a loop ends that waits in a task. Only what has a loop imports this, as asyncio takes its time."""

from __future__ import annotations

import asyncio

from chaoskit.execution.tasks import Stop


class StoppedTask(Stop, asyncio.CancelledError):
    """Raised where a task waits for a message when nothing is left: whoever runs such a loop cancels it so."""
