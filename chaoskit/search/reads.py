"""Which fields of a message's value the handler reads, in the order in which it reads them first.

The in-order run is repeated with values that remember what was looked up in them: dicts in all that they do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from chaoskit.execution.limit import ends_the_test
from chaoskit.execution.script import Mailbox, Script
from chaoskit.search.oracle import Case
from chaoskit.values.schedule import DELIVER

MOST_EVENTS = 60
"""Of a longer stream nobody reads every value."""


def fields_read(case: Case) -> tuple[str, ...]:
    """Empty where no value is a dict with several fields. Raises nothing but what ends the process: whatever the
    handler does with such a value, it is only asked for words."""
    events = case.model.stream.events
    if len(events) > MOST_EVENTS or not any(type(event.value) is dict and len(event.value) > 1 for event in events):
        return ()
    seen: dict[str, None] = {}
    mailbox = Mailbox(case.model, case.subject.epoch)
    # Only plain dicts: of a class of the user's own nobody knows what a subclass would break.
    mailbox.message = case.model.mail([_reading(seen) if type(event.value) is dict else None for event in events])
    steps = [(DELIVER, 0, *step[2:]) for step in sorted(case.steps(()), key=lambda step: step[2])]
    try:
        case.subject.execute(Script(mailbox, steps, (), retries=False))
    except BaseException as error:  # also pytest.fail, and our limit of time: no word is worth an error
        if ends_the_test(error):
            raise
        return ()
    return tuple(seen)


def _reading(seen: dict[str, None]) -> Callable[[dict[Any, Any]], dict[Any, Any]]:
    return lambda value: _Reading(copy.deepcopy(value), seen)


class _Reading(dict[Any, Any]):
    """A dict that notes each field that is looked up by its name."""

    def __init__(self, value: dict[Any, Any], seen: dict[str, None]) -> None:
        super().__init__(value)
        self._seen = seen

    def __getitem__(self, name: Any) -> Any:
        self._note(name)
        return super().__getitem__(name)

    def get(self, name: Any, default: Any = None) -> Any:
        self._note(name)
        return super().get(name, default)

    def pop(self, name: Any, *default: Any) -> Any:
        self._note(name)
        return super().pop(name, *default)

    def __reduce__(self) -> Any:
        """What is copied out of a message is a plain dict."""
        return dict, (dict(self),)

    def _note(self, name: Any) -> None:
        if type(name) is str:
            self._seen.setdefault(name)
