"""`deliver(handler, serializer=…)`: what makes `message.raw` of a run's messages."""

from __future__ import annotations

import copy

import attrs

from chaoskit.execution.script import Script
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Message
from chaoskit.values.raw import Serializer
from chaoskit.values.schedule import Raw


def sent_by(script: Script, serializer: Serializer | None) -> Script:
    """The same script, whose messages are sent by this serializer. Raises UsageError for what is no function."""
    if serializer is None:
        return script
    if not callable(serializer):
        raise UsageError(f"deliver(serializer={serializer!r}): a function from the value to bytes is needed")
    mailbox, given = copy.copy(script.mailbox), script.mailbox.message

    def message(step: Raw) -> Message:
        made = given(step)
        made.sent_by(serializer)
        return made

    mailbox.message = message
    return attrs.evolve(script, mailbox=mailbox)
