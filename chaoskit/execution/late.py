"""A message whose timestamp is made when it is read: that of a copy depends on all that the run has done by then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaoskit.values.event import Message

_STAMP: Any = Message.__dict__["timestamp"]
"""Where a message has it."""


def stamp_later(message: Message, when: Callable[[], float]) -> None:
    """Its timestamp is what this gives. Hardly a handler reads it, and so it costs nothing else."""
    _STAMP.__set__(message, when)
    _becomes(message, _Late)


def _becomes(message: Any, kind: type[Message]) -> None:
    message.__class__ = kind


class _Late(Message):
    """A message until its timestamp is read. Then it is one like all others."""

    __slots__ = ()

    def _settle(self) -> Message:
        when = _STAMP.__get__(self)
        _becomes(self, Message)
        self.timestamp = when()
        return self

    @property
    def timestamp(self) -> float:
        return self._settle().timestamp

    @timestamp.setter
    def timestamp(self, value: float) -> None:
        _becomes(self, Message)
        self.timestamp = value

    def __repr__(self) -> str:
        return repr(self._settle())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._settle().__reduce_ex__(protocol)
