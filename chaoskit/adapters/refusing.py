"""How a framework's judgement of a message reaches `deliver`: what is raised comes again."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


class NotHandled(Exception):
    """The framework was answered that a message was not handled, without an exception that could be raised again: a
    status that is not 2xx, an item of `batchItemFailures`, a retry. `advice`: what to do where that happens although
    everything came once and in order; empty for what goes for any handler."""

    def __init__(self, text: str, advice: str = "") -> None:
        super().__init__(text)
        self.advice = advice


def mentions(function: Callable[..., Any], *names: str) -> bool:
    """Whether the code of this function has one of these names, by which it asks for another attempt."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and not {*code.co_names, *code.co_freevars}.isdisjoint(names)
