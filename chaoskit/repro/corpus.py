"""Failures that machines share through a database of Hypothesis: whatever one has found is the first thing that another
tries."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import hypothesis
from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from chaoskit.repro.bounds import LARGEST_FILE, LARGEST_SUM
from chaoskit.repro.read import Repro, parse
from chaoskit.values.clock import now
from chaoskit.values.errors import ReproError, UsageError
from chaoskit.values.texts import one_line

PAUSE = 30.0
"""Seconds after which a database that did not answer is asked again."""

MOST_ENTRIES = 200
"""Failures of one test that are looked at: whoever can write into the database could put any number there."""


def database_of(place: str | None, directory: Path) -> ExampleDatabase | None:
    """The database at `place`: a directory (from `directory`), or `redis://host:port/number`, also of Valkey, which
    needs the package redis. None: that of Hypothesis' settings profile, if it has one. Raises UsageError."""
    if place is None:
        profile: Any = hypothesis.settings.default
        found: ExampleDatabase | None = profile.database
        return found
    scheme = urlsplit(place).scheme
    if scheme in ("redis", "rediss", "valkey", "valkeys"):
        return _redis(place.replace("valkey", "redis", 1))  # the same protocol; the package redis knows no other name
    if scheme and "://" in place:
        raise UsageError(f"{place!r}: a directory or redis://host:port/0 is needed")
    return _directory(directory / place)


def _directory(path: Path) -> ExampleDatabase:
    """Hypothesis' own says nothing where it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be made: {error.strerror or error}") from error
    if not os.access(path, os.W_OK):
        raise UsageError(f"{path}: cannot be written")
    return DirectoryBasedExampleDatabase(path)


def _redis(url: str) -> ExampleDatabase:
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis
    except ImportError:
        raise UsageError(f"{url!r} needs the package redis: pip install 'chaoskit[redis]'") from None
    try:
        # A server that hangs must not cost a worker its slice.
        return RedisExampleDatabase(Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5))
    except ValueError as error:
        raise UsageError(f"{url!r}: {error}") from error


@attrs.define(eq=False)
class Corpus:
    """The failures of tests in a database. One that does not answer costs no finding: `notes` say so, it is asked again
    after a pause, and then gets what it missed. `clock` counts seconds."""

    database: ExampleDatabase
    notes: list[str] = attrs.field(factory=list)
    clock: Callable[[], float] = now
    _missed: list[tuple[str, str]] = attrs.field(factory=list)
    _reported: set[str] = attrs.field(factory=set)
    _silent_until: float | None = None

    def take_notes(self) -> list[str]:
        """What is to be reported, once."""
        notes, self.notes = self.notes, []
        return notes

    def failures(self, test: str) -> list[tuple[Repro, str]]:
        """Those of this test, each with its text, in an order that does not depend on the database. What cannot be read
        is left out, which is reported once."""
        found = self._ask(lambda: sorted(_some(self.database.fetch(_key(test)))))
        if found is None:
            return []
        self._tell_missed()
        entries = [_entry(text, test) for text in found]
        refused = [entry for entry in entries if isinstance(entry, str)]
        if refused:
            more = f", and {len(refused) - 1:,} more" if len(refused) > 1 else ""
            self._say_once(f"the shared corpus has what cannot be read, and it is left out: {refused[0]}{more}")
        return [entry for entry in entries if isinstance(entry, tuple)]

    def leave_out(self, reason: str) -> None:
        """An entry could not be played: it costs nobody a search, and is reported once."""
        self._say_once(f"the shared corpus has what cannot be played, and it is left out: {reason}")

    def _say_once(self, note: str) -> None:
        if note not in self._reported:
            self._reported.add(note)
            self.notes.append(note)

    def add(self, test: str, text: str) -> None:
        # Held until it is saved, whether the database answers now or not.
        self._missed.append((test, text))
        self._tell_missed()

    def drop(self, test: str, text: str) -> None:
        """It is no failure any more."""
        self._ask(lambda: self.database.delete(_key(test), text.encode()))

    def _tell_missed(self) -> None:
        while self._missed:
            test, text = self._missed[0]
            if self._ask(lambda test=test, text=text: self.database.save(_key(test), text.encode()) or True) is None:  # type: ignore[misc]
                return
            self._missed.pop(0)

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer; None where there is none."""
        if self._silent_until is not None and self.clock() < self._silent_until:
            return None
        try:
            answer = question()
        except Exception as error:  # noqa: BLE001 - somebody else's database may raise anything; the notes say so
            if self._silent_until is None:
                self.notes.append(f"the shared corpus does not answer; going on without it: {_short(error)}")
            self._silent_until = self.clock() + PAUSE
            return None
        if self._silent_until is not None:
            self._silent_until = None
            self.notes.append("the shared corpus answers again")
        return answer


def _key(test: str) -> bytes:
    return b"chaoskit failures of " + test.encode()


def _short(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return one_line(f"{type(error).__name__}: {lines[0]}".strip(": "))


def _some(texts: Iterable[bytes]) -> Iterator[bytes]:
    """As many as anybody looks at."""
    left = LARGEST_SUM
    for text in islice(texts, MOST_ENTRIES):
        left -= min(len(text), LARGEST_FILE)
        if left < 0:
            return
        # Empty, so that it counts among what cannot be read, and is reported.
        yield text if len(text) <= LARGEST_FILE else b""


def _entry(text: bytes, test: str) -> tuple[Repro, str] | str | None:
    """The repro and its text, or why there is none; None for one of another test."""
    try:
        decoded = text.decode()
        repro = parse(decoded, Path("the shared corpus"))
    except UnicodeDecodeError:
        return "not UTF-8 text"
    except ReproError as error:  # of another version, or not ours
        return str(error)
    return (repro, decoded) if repro.test == test else None
