"""Silence while the search runs a test thousands of times."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any


class _Nowhere(io.TextIOBase):
    """A text stream that keeps nothing."""

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


@contextmanager
def quiet() -> Iterator[None]:
    """Drop what is printed, logged and warned. Filters stay, so a warning that is an error is still raised; levels
    stay, too, so that nothing that a test does to logging is undone or kept."""
    handle = logging.Logger.handle
    nowhere = _Nowhere()
    with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
        warnings.showwarning = _drop
        logging.Logger.handle = _drop  # type: ignore[method-assign]
        try:
            yield
        finally:
            logging.Logger.handle = handle  # type: ignore[method-assign]


def _drop(*args: Any, **kwargs: Any) -> None:
    pass
