"""`DeadLetter`: a message is set aside, and somebody puts it back later."""

from __future__ import annotations

from chaoskit.models.queue.state import QueueState
from chaoskit.models.queue.waiting import SetAside
from chaoskit.models.turns import Caused, Turn, step_as
from chaoskit.values.faults import DeadLetter
from chaoskit.values.schedule import PARK


def on_queue(state: QueueState, turn: Turn, fault: DeadLetter) -> Caused:
    state.gone.append((len(state.history), turn, fault))
    state.latest = max(state.latest, turn[0])
    state.waiting.add(SetAside(turn[3], fault), fault.after + 1)
    return [(step_as(PARK, turn), fault)]
