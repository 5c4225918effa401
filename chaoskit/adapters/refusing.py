"""How a framework's judgement of a message is told to `deliver`: what is raised comes again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from chaoskit.values.event import Message


class NotHandled(Exception):
    """The framework was answered that a message was not handled, without an exception that could be raised again: a
    status that is not 2xx, an item of `batchItemFailures`, a retry. `advice`: what to do where that happens although
    everything came once and in order; empty for what goes for any handler."""

    def __init__(self, said: str, advice: str = "") -> None:
        super().__init__(said)
        self.advice = advice


class Dropped:
    """What a framework has given up after one failure, by its own rule, though the broker would show it again.

    The failure is raised all the same, so that the report has its traceback, and in-order delivery stops at it. The
    showing that the broker's model makes of that is then passed over: the framework never gets it.
    """

    def __init__(self) -> None:
        self._again: dict[Hashable, tuple[int, int] | None] = {}
        """The records that are to be shown once more, with how often they had been tried."""

    def passes_over(self, message: Message) -> bool:
        """Whether this showing comes only of a failure that was final."""
        record = _record(message)
        if record not in self._again:
            return False
        before, now = self._again[record], _tried(message)
        if before is not None and now is not None and now <= before:
            return False  # a copy, or what was not settled: its framework gets it
        del self._again[record]
        return True

    def note(self, message: Message) -> None:
        """This failure of it is final."""
        self._again[_record(message)] = _tried(message)


def _record(message: Message) -> tuple[Any, ...]:
    return message.topic, message.partition, message.offset, message.message_id, message.id


def _tried(message: Message) -> tuple[int, int] | None:
    """How often it was put back and handed out; None where its broker counts neither."""
    if "retries" not in message.headers and message.attempt is None:
        return None
    return int(message.headers.get("retries", 0)), message.attempt or 1
