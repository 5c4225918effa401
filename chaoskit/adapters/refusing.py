"""How a framework's judgement of a message is told to `deliver`: what is raised comes again."""

from __future__ import annotations


class NotHandled(Exception):
    """The framework was answered that a message was not handled, without an exception that could be raised again: a
    status that is not 2xx, an item of `batchItemFailures`, a retry. `advice`: what to do where that happens although
    everything came once and in order; empty for what goes for any handler."""

    def __init__(self, said: str, advice: str = "") -> None:
        super().__init__(said)
        self.advice = advice
