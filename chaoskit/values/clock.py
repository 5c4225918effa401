"""The clock that lengths of time are measured with."""

from __future__ import annotations

import time
from functools import partial

today = partial(time.time)
"""Seconds since 1970, by the clock on the wall."""

now = partial(time.monotonic)
"""Seconds of a clock that never jumps. It is bound before a handler can put another one in its place; as a partial,
because freezegun replaces `monotonic` in each module that has it."""
