"""Two executions of one row: what each of them reads before it writes, and what has to be one statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chaoskit
from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from inside.subjects import Handle, Store, Test


class Rows(Store):
    """With a version for each row."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, int] = {}

    @chaoskit.atomic
    def read(self, key: str) -> tuple[int, int]:
        return self.balances.get(key, 0), self.versions.get(key, 0)

    @chaoskit.atomic
    def set(self, key: str, balance: int) -> None:
        self.balances[key] = balance

    @chaoskit.atomic
    def write(self, message: Message, balance: int, version: int | None = None) -> bool:
        """Unless it was done already; and where a `version` is given only if it is still that."""
        if message.id in self.seen:
            return True
        if version is not None and self.versions.get(message.key, 0) != version:
            return False
        self.seen.add(message.id)
        self.balances[message.key], self.versions[message.key] = balance, self.versions.get(message.key, 0) + 1
        return True

    @chaoskit.atomic
    def claim(self, message: Message) -> bool:
        """The effect and the id under a unique key, and whether it was the first."""
        first = message.id not in self.seen
        self.add_once([message])
        return first

    @chaoskit.atomic
    def insert(self, message: Message) -> None:
        """The effect and the id in one transaction, and nothing that refuses it the second time."""
        self.add(message)
        self.seen.add(message.id)


def lost_update(rows: Rows) -> Handle:
    def handle(message: Message) -> None:
        balance, _ = rows.read(message.key)
        rows.write(message, balance + message.value)

    return handle


def compared_version(rows: Rows) -> Handle:
    def handle(message: Message) -> None:
        while True:
            balance, version = rows.read(message.key)
            if rows.write(message, balance + message.value, version):
                return

    return handle


def update_behind_a_mark(rows: Rows) -> Handle:
    """Read, modify, write, in a handler that marks first."""

    def handle(message: Message) -> None:
        if rows.knows(message):
            return
        rows.mark(message)
        balance, _ = rows.read(message.key)
        rows.set(message.key, balance + message.value)

    return handle


def check_then_insert(rows: Rows) -> Handle:
    def handle(message: Message) -> None:
        if not rows.knows(message):
            rows.insert(message)

    return handle


def unique_key(rows: Rows) -> Handle:
    def handle(message: Message) -> None:
        if not rows.knows(message):
            rows.add_once([message])

    return handle


def on(make: Callable[[Rows], Handle]) -> Test:
    def test(deliver: Deliver) -> dict[str, int]:
        rows = Rows()
        deliver(spawn=lambda: make(rows))
        return rows.balances

    return test


def ids_in_memory(rows: Rows) -> Handle:
    """What a process has seen it forgets when it dies."""
    seen: set[object] = set()

    def handle(message: Message) -> None:
        if message.id not in seen:
            rows.add(message)
            seen.add(message.id)

    return handle


class Awaited(Rows):
    """The same, awaited."""

    async def aknows(self, message: Message) -> bool:
        return self.knows(message)

    async def aadd(self, message: Message) -> None:
        self.add(message)

    async def amark(self, message: Message) -> None:
        self.mark(message)

    async def aadd_once(self, message: Message) -> None:
        self.add_once([message])


def awaited(*, together: bool) -> Test:
    """The effect and the mark of an async handler, in one statement or in two."""

    async def test(deliver: Deliver) -> dict[str, int]:
        rows = Awaited()

        async def handle(message: Message) -> None:
            if await rows.aknows(message):
                return
            if together:
                await rows.aadd_once(message)
            else:
                await rows.aadd(message)
                await rows.amark(message)

        await deliver(spawn=lambda: handle)
        return rows.balances

    return test


# An object that is read whole and saved whole.


class Documents:
    """Stands for an ORM: what it reads is an object of the process's own, which knows nothing of later changes."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Any, Any]] = {}

    @chaoskit.atomic
    def get(self, key: str) -> dict[Any, Any]:
        return dict(self.rows.get(key, {}))

    @chaoskit.atomic
    def save(self, key: str, row: dict[Any, Any]) -> None:
        """All columns, whichever was changed."""
        self.rows[key] = dict(row)

    @chaoskit.atomic
    def update(self, key: str, **columns: Any) -> None:
        """The columns that were changed."""
        self.rows[key] = self.rows.get(key, {}) | columns


def saves_the_object(documents: Documents) -> Handle:
    def handle(message: Message) -> None:
        order = documents.get(message.key)
        order[f"item {message.id}"] = message.value
        documents.save(message.key, order)

    return handle


def saves_what_it_changed(documents: Documents) -> Handle:
    def handle(message: Message) -> None:
        documents.update(message.key, **{f"item {message.id}": message.value})

    return handle


def over_documents(make: Callable[[Documents], Handle]) -> Test:
    def test(deliver: Deliver) -> dict[str, dict[Any, Any]]:
        documents = Documents()
        deliver(spawn=lambda: make(documents))
        return documents.rows

    return test


def webhook_and_page(*, changed_alone: bool) -> Callable[[Documents], Handle]:
    """Two handlers of one row: a webhook notes a payment, the page to which the customer comes back a visit. The
    webhook is right; the page saves all that it has read, or what it has `changed_alone`."""

    def make(documents: Documents) -> Handle:
        def on_webhook(message: Message) -> None:
            documents.update(message.key, **{f"payment {message.id}": True})

        def on_page(message: Message) -> None:
            if changed_alone:
                documents.update(message.key, **{f"visit {message.id}": True})
                return
            order = documents.get(message.key)
            order[f"visit {message.id}"] = True
            documents.save(message.key, order)

        def handle(message: Message) -> None:
            on_webhook(message) if message.value == "webhook" else on_page(message)

        return handle

    return make
