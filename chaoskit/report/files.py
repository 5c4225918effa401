"""Reports as files: written whole or not at all, and nothing else is touched."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Put `text` in place of what is at `path`, in one move. Raises OSError where that cannot be.

    What is no plain file, such as /dev/stdout or a pipe, is written to as it is; a link stays one.
    """
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        path.write_text(text, encoding="utf-8")
        return
    # What a link leads to is replaced, and not the link.
    path = path.resolve()
    handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        # mkstemp makes it readable for its owner only, and who could read the old report can read the new one.
        os.chmod(name, stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def why_not(path: Path, error: OSError) -> str:
    """One line that says what could not be written and why."""
    return f"{path} cannot be written: {error.strerror or error}"
