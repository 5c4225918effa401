"""What leaves, beside a row: two effects that no transaction holds together, and the outbox that holds them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import chaoskit
from chaoskit import Message
from chaoskit.execution.deliver import Deliver
from handlers.inside.rows import Rows
from inside.subjects import Handle, Test


def mailing(how: str) -> Test:
    """A row and a mail, one before the other."""

    def test(deliver: Deliver) -> dict[str, int]:
        rows = Rows()

        @chaoskit.atomic
        def mail(message: Message) -> None:
            deliver.effect("mail", message.value, key=message.id)

        def handle(message: Message) -> None:
            if how == "who saves it mails":
                if rows.claim(message):
                    mail(message)
            elif not rows.knows(message):
                first, then = (mail, rows.claim) if how == "mail before save" else (rows.claim, mail)
                first(message)
                then(message)

        deliver(spawn=lambda: handle)
        return rows.balances

    return test


class Outbox(Rows):
    """With the mails that are to be sent, written in the transaction of the row."""

    def __init__(self) -> None:
        super().__init__()
        self.unsent: dict[object, int] = {}

    @chaoskit.atomic
    def book(self, message: Message) -> None:
        if self.claim(message):
            self.unsent[message.id] = message.value


def through_an_outbox(deliver: Deliver) -> dict[str, int]:
    """The twin of them all: the relay is no part of the handler, and sends what stands in the outbox."""
    rows = Outbox()

    def handle(message: Message) -> None:
        if not rows.knows(message):
            rows.book(message)

    @contextlib.contextmanager
    def process() -> Iterator[Handle]:
        yield handle
        # The relay, which nothing of this disturbs: it is another process.
        while rows.unsent:
            key, value = rows.unsent.popitem()
            deliver.effect("mail", value, key=key)

    deliver(spawn=process)
    return rows.balances
