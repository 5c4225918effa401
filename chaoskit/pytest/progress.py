"""How a long test stands: in a terminal a line that goes away again, in a log a line now and then."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from chaoskit.values.clock import now

PATIENCE = 2.0
"""Seconds of a test before a terminal shows how it stands."""
EVERY = 30.0
"""Seconds between two lines in a log."""


def stderr_of(config: pytest.Config) -> int:
    """The file number of standard error as it was before pytest captured it; 2 where that is not known."""
    return config.stash.get(fault_handler_stderr_fd_key, 2)


class Progress:
    """Asked about once a second, between two runs of a test. `line` says how it stands, given the seconds so far."""

    def __init__(self, config: pytest.Config, line: Callable[[float], str]) -> None:
        self._config = config
        self._line = line
        is_worker = hasattr(config, "workerinput")  # of xdist: what its reporter writes, nobody reads
        self._reporter: Any = None if is_worker else config.pluginmanager.get_plugin("terminalreporter")
        self._began = self._shown_at = now()
        self._is_shown = False

    def look(self, time: float) -> None:
        elapsed = time - self._began
        if self._reporter is not None and self._reporter.isatty:
            if elapsed >= PATIENCE:
                self._rewrite(self._line(elapsed))
        # A log keeps every line, so that there is one now and then only.
        elif time - self._shown_at >= EVERY:
            self._shown_at = time
            self._log(f"{self._line(elapsed)}\n")

    def close(self) -> None:
        """Nothing stays in a terminal."""
        if self._is_shown:
            self._rewrite("")
            self._uncaptured(lambda: self._reporter.write("\r", flush=True))

    def _rewrite(self, line: str) -> None:
        reporter = self._reporter

        def write() -> None:
            if not self._is_shown:
                reporter.ensure_newline()
            # One less: a full line would wrap, and not be erased.
            width = reporter._tw.fullwidth - 1
            reporter.rewrite(line if len(line) <= width else f"{line[: width - 1]}…", erase=True)
            reporter.flush()

        self._uncaptured(write)
        self._is_shown = True

    def _log(self, line: str) -> None:
        """A worker of xdist says it on its standard error."""
        if self._reporter is None:
            # The file number, since `sys.stderr` is captured while a test runs.
            os.write(stderr_of(self._config), line.encode())
            return

        def write() -> None:
            self._reporter.ensure_newline()
            self._reporter.write(line, flush=True)

        self._uncaptured(write)

    def _uncaptured(self, write: Callable[[], None]) -> None:
        """Past pytest's capture, which would put its own streams in the place of those that the search has there."""
        manager: Any = self._config.pluginmanager.get_plugin("capturemanager")
        streams = sys.stdout, sys.stderr
        with contextlib.nullcontext() if manager is None else manager.global_and_fixture_disabled():
            write()
        sys.stdout, sys.stderr = streams
