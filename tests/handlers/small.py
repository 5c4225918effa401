"""Four tests in small, for claims about a broker or a setting: what breaks each of them is said in a line."""

from __future__ import annotations

from chaoskit.execution.deliver import Deliver
from chaoskit.values.event import Message


def inbox(deliver: Deliver) -> dict[str, int]:
    """Remembers ids, and the last write wins: right under every repetition, wrong where an order changes."""
    state: dict[str, int] = {}
    seen: set[object] = set()

    def handle(message: Message) -> None:
        if message.id not in seen:
            seen.add(message.id)
            state[message.key] = message.value

    deliver(handle)
    return state


def newest(deliver: Deliver) -> dict[str, tuple[int, int]]:
    """The correct twin of `inbox`: what is older than what was applied is dropped."""
    state: dict[str, tuple[int, int]] = {}

    def handle(message: Message) -> None:
        if message.seq > state.get(message.key, (0, 0))[0]:
            state[message.key] = message.seq, message.value

    deliver(handle)
    return state


def sums(deliver: Deliver) -> dict[str, int]:
    """Adds up once what comes: right in every order and any number of times, wrong where something never comes."""
    balances: dict[str, int] = {}
    seen: set[object] = set()

    def handle(message: Message) -> None:
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances


def counts(deliver: Deliver) -> dict[str, int]:
    """Adds up whatever comes: a second delivery breaks it."""
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances
