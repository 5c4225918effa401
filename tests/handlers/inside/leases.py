"""Locks that run out while their owner still works, or outlive it; and what is forgotten too early."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chaoskit
from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from inside.subjects import Handle, Store, Test

TTL = 20
"""Seconds: less than any broker waits for a consumer that does not answer."""


class Locked(Exception):
    """Somebody else has it."""


class Locks:
    """Stands for Redis: a lock for each name that runs out, with a number that grows with each owner."""

    def __init__(self) -> None:
        self.held: dict[object, tuple[int, float]] = {}
        self.owners = 0

    @chaoskit.atomic
    def take(self, name: object, now: float) -> int:
        _, until = self.held.get(name, (0, 0.0))
        if until > now:
            raise Locked(name)
        self.owners += 1
        self.held[name] = self.owners, now + TTL
        return self.owners

    @chaoskit.atomic
    def release(self, name: object, token: int) -> None:
        """Unless it is another's by now."""
        if self.held.get(name, (0, 0.0))[0] == token:
            del self.held[name]


class Fenced(Store):
    """A store that is told by whom it is asked, and refuses one that has been followed by another."""

    def __init__(self) -> None:
        super().__init__()
        self.highest: dict[object, int] = {}

    def admit(self, name: object, token: int) -> None:
        if token < self.highest.get(name, 0):
            raise Locked(name)
        self.highest[name] = token

    @chaoskit.atomic
    def knows_of(self, message: Message, name: object, token: int) -> bool:
        # A reading, too: behind it no earlier owner may write what this one has not seen.
        self.admit(name, token)
        return message.id in self.seen

    @chaoskit.atomic
    def book(self, message: Message, name: object, token: int) -> None:
        """The effect and the id in one transaction."""
        self.admit(name, token)
        self.add(message)
        self.seen.add(message.id)


def locked(name: Callable[[Message], object], *, fenced: bool) -> Test:
    """A lock of each `name`, and under it the look whether it was done and the work. Without a fence the store takes
    any token."""

    def test(deliver: Deliver) -> dict[str, int]:
        locks, store = Locks(), Fenced()

        def handle(message: Message) -> None:
            token = locks.take(name(message), deliver.now())
            shown = token if fenced else 0
            if not store.knows_of(message, name(message), shown):
                store.book(message, name(message), shown)
            locks.release(name(message), token)

        deliver(spawn=lambda: handle)
        return store.balances

    return test


class Leases:
    """Stands for a table of locks that run out, and the balances beside it: each method is one transaction."""

    def __init__(self) -> None:
        self.until: dict[Any, float] = {}
        self.done: set[Any] = set()
        self.balances: dict[Any, int] = {}

    @chaoskit.atomic
    def take(self, message: Message, now: float) -> bool:
        if self.until.get(message.id, 0.0) > now:
            return False
        self.until[message.id] = now + 60
        return True

    @chaoskit.atomic
    def finish(self, message: Message) -> None:
        if message.id not in self.done:
            self.done.add(message.id)
            self.balances[message.key] = self.balances.get(message.key, 0) + message.value


def locks(*, waits: bool) -> Test:
    """Takes a lock that outlives its process. Who finds it taken comes again, or believes that somebody does it."""

    def test(deliver: Any) -> dict[Any, int]:
        leases = Leases()

        def process() -> Handle:
            def handle(message: Message) -> None:
                if leases.take(message, deliver.now()):
                    leases.finish(message)
                elif waits and message.id not in leases.done:
                    raise TimeoutError("locked")

            return handle

        deliver(spawn=process)
        return leases.balances

    return test


def remembers(seconds: float | None, clock: Callable[[Any], float] = lambda deliver: deliver.now()) -> Test:
    """A table of ids that forgets after a while, or never."""

    def test(deliver: Any) -> dict[Any, int]:
        seen: dict[Any, float] = {}
        totals: dict[Any, int] = {}

        def handle(message: Message) -> None:
            now = clock(deliver)
            if message.id in seen and (seconds is None or now - seen[message.id] < seconds):
                return
            seen[message.id] = now
            totals[message.key] = totals.get(message.key, 0) + message.value

        deliver(handle)
        return totals

    return test
