"""Whether a thread waits for another execution, recognized by what it does and not by how long that takes.

A thread that runs, or wants to, waits for nobody, however busy the machine is: Linux says so of each thread. One that
takes a nap inside a library asks for a lock again and again, as SQLite does. One that sleeps may wait for a lock or for
an answer: it is given some looks, each of which takes the longer the busier the machine is, as the answer does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from statistics import median
from typing import Any, Protocol

import attrs

LOOK = 0.001
"""Seconds until a thread is looked at again, and more where this program does not get its turn."""
LEAST_LOOKS = 15
"""So often a thread is found in one sleep before it counts as blocked."""
MOST_LOOKS = 500
SLOWER = 10
"""As many milliseconds as so many usual deliveries take, and as many looks."""
LOOKS_TO_START = 1000
"""For a new process: to open a connection takes longer than a lock."""
ALL_ASLEEP = 3
"""So many times as often it is found asleep where it wakes in between, as the client of a server does that looks for
signals ten times a second: where the machine is busy that is more often than it can be looked at."""
ALL_TOLD = 10
"""One that wakes again and again counts as blocked after so many times as many looks: it asks for a lock itself, in a
loop."""

_TASKS = "/proc/self/task"
_LISTS_TASKS = os.path.isdir(_TASKS)
_NAPS = "hrtimer_nanosleep"
_OF_A_LIBRARY = ["0x0", "0x0"]
"""The clock and the flags with which C sleeps. Python's own `time.sleep` has others, and is no question for a lock."""


class AtWork(Protocol):
    @property
    def threads(self) -> list[threading.Thread]:
        """Its own, and those that work for it, such as the ones in which aiosqlite has its connections."""


@attrs.define
class Looks:
    """At one process while it has the baton, and whether it seems to wait for an execution that is stopped."""

    process: AtWork
    most: int
    """So often it may be found asleep."""
    _asleep: int = 0
    _all_asleep: int = 0
    _all: int = 0
    _done: tuple[Any, ...] = ()
    _at: tuple[int, int] | None = None

    def find_it_blocked(self, passed: int) -> bool:
        """Asked once in each `LOOK` seconds. `passed`: how many points it has passed so far."""
        self._all += 1
        numbers = [thread.native_id for thread in self.process.threads]
        if any(_naps(number) for number in numbers):
            return True
        # An answer has come where it has run for a moment: one call of a client may ask for several.
        done = (passed, *(_read(number, "schedstat").split()[-1:] for number in numbers))
        if done != self._done:
            self._done, self._asleep = done, 0
        if self._sleeps():
            self._asleep, self._all_asleep = self._asleep + 1, self._all_asleep + 1
        if self._asleep >= self.most or self._all_asleep >= ALL_ASLEEP * self.most:
            return True
        return self._all >= ALL_TOLD * self.most

    def _sleeps(self) -> bool:
        if _LISTS_TASKS:
            return not _works()
        frame = sys._current_frames().get(self.process.threads[0].ident or 0)
        before, self._at = self._at, None if frame is None else (id(frame), frame.f_lasti)
        return self._at is not None and self._at == before


def _naps(number: int | None) -> bool:
    return _read(number, "wchan") == _NAPS and _read(number, "syscall").split()[1:3] == _OF_A_LIBRARY


def _works() -> bool:
    """Whether any thread of this program but this one runs, wants to run, or waits for a disk."""
    own = str(threading.get_native_id())
    states = (_read(number, "stat").rpartition(")")[2].split()[:1] for number in os.listdir(_TASKS) if number != own)
    return any(state in (["R"], ["D"]) for state in states)


def seconds_run(number: int | None) -> float | None:
    """For how long this thread has had a core so far; None where the system does not say this."""
    told = _read(number, "schedstat").split()
    return int(told[0]) / 1e9 if told else None


def _read(number: int | str | None, name: str) -> str:
    """What Linux says of a thread; nothing where it has ended, or where it does not say this."""
    try:
        with open(f"{_TASKS}/{number}/{name}") as file:
            return file.read()
    except OSError:
        return ""


class Usual:
    """How long calm deliveries take, by the code of the handler."""

    def __init__(self) -> None:
        self._seconds: dict[object, deque[float]] = {}

    def took(self, code: object, seconds: float) -> None:
        self._seconds.setdefault(code, deque(maxlen=_KEPT)).append(seconds)

    def looks(self, code: object) -> int:
        """After how many looks that find it asleep an execution of it counts as blocked. Not by the slowest: that is
        one in which the machine was busy."""
        times = self._seconds.get(code)
        usual = median(times) if times else 0.0
        return int(min(MOST_LOOKS, max(LEAST_LOOKS, SLOWER * usual / LOOK)))


_KEPT = 25


def stands_still(ident: int | None) -> bool:
    """Whether this thread waits in a call, and does not work."""
    frame = sys._current_frames().get(ident or 0)
    return frame is not None and all(_is_at(ident, frame, frame.f_lasti) for _ in range(_STILL))


_STILL = 20
_never = threading.Lock()
_never.acquire()


def _is_at(ident: int | None, frame: Any, instruction: int) -> bool:
    _never.acquire(timeout=0.001)  # in a frame of ours, which no limit interrupts
    again = sys._current_frames().get(ident or 0)
    return again is frame and again.f_lasti == instruction
