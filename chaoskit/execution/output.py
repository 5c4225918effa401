"""Silence while the search runs a test thousands of times."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

_opened: list[TextIO] = []


def _nowhere() -> TextIO:
    """A whole text file, with `buffer` and `fileno`, that keeps nothing. It stays open: what a handler made of it, such
    as a logger, may be used after the search, too."""
    if not _opened or _opened[-1].closed:
        # Not StringIO: it has no `buffer` and no `fileno`, which loggers and subprocesses ask for.
        number = os.open(os.devnull, os.O_WRONLY)
        text = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - as said
        _opened[:] = [text]
    return _opened[-1]


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed, logged and warned. Filters stay, so a warning that is an error is still raised; levels
    stay, too, so that nothing that a test does to logging is undone or left behind."""
    handle = logging.Logger.handle
    nowhere = _nowhere()
    with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
        warnings.showwarning = _drop
        # All loggers pass here; to disable them would change what a test sees of their levels.
        logging.Logger.handle = _drop  # type: ignore[method-assign]
        try:
            yield
        finally:
            logging.Logger.handle = handle  # type: ignore[method-assign]


def _drop(*args: Any, **kwargs: Any) -> None:
    pass
