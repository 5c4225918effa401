"""The limit for each run of a chaos test, as --chaos-limit has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaoskit.execution.limit import LIMIT, Limit, why_no_limit
from chaoskit.pytest.progress import stderr_of
from chaoskit.repro.subprocess import VARIABLE
from chaoskit.values.duration import seconds


def limit_of(config: pytest.Config) -> Limit:
    given = config.getoption("chaos_limit")
    limit = Limit(LIMIT if given is None else seconds(given), stacks_to=stderr_of(config))
    limit.hard = not config.getini("faulthandler_timeout")  # there is one such timer in a process
    return limit


@contextmanager
def armed(limit: Limit, notes: list[str], *, is_asked: bool) -> Iterator[bool]:
    """Within this the limit holds, if the answer is yes. If somebody asked for it, the notes say why it does not."""
    why = why_no_limit()
    # Nobody needs to hear of a default that does not hold.
    if why is not None and is_asked:
        notes.append(f"runs have no limit of time: {why}")
    if why is not None or VARIABLE in os.environ:  # a replay in a process of its own arms its own limit
        yield False
        return
    with limit.armed():
        yield True
