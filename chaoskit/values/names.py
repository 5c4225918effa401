"""The name of a test that nobody has collected, and of a file as somebody here would write it."""

from __future__ import annotations

import inspect
from pathlib import Path


def name_of(test: object) -> str:
    """`path.py::name` from the current directory, as pytest would name it; empty for what has no such name."""
    name = getattr(test, "__qualname__", "")
    try:
        file = Path(inspect.getfile(test)).resolve()  # type: ignore[arg-type]
    except (TypeError, OSError):
        return ""
    if not name or "<" in name or file.suffix != ".py" or not file.is_relative_to(Path.cwd()):
        return ""
    return f"{file.relative_to(Path.cwd()).as_posix()}::{name.replace('.', '::')}"


def from_here(path: Path) -> str:
    """From the current directory, where it is below."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
