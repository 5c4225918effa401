"""Who tells when a process does what no file may make it do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich

import chaoskit

FORBIDDEN = {
    "exec", "os.exec", "os.fork", "os.forkpty", "os.link", "os.mkdir", "os.posix_spawn", "os.putenv", "os.remove",
    "os.rename", "os.rmdir", "os.spawn", "os.symlink", "os.system", "os.truncate", "pty.spawn", "shutil.copyfile",
    "shutil.move", "shutil.rmtree", "socket.bind", "socket.connect", "subprocess.Popen", "urllib.Request",
    "webbrowser.open", "pickle.find_class", "ctypes.dlopen", "code.__new__",
}  # fmt: skip

INSTALLED = ("<frozen ", *(str(Path(module.__file__ or "").parent) for module in (os, chaoskit, rich)))
"""Where the code of modules is that may be imported when they are needed for the first time."""
_SCRATCH = "chaoskit-"
"""The beginning of the names of the directories that our commands make for themselves, and take away."""

_seen: list[str] | None = None


def _listen(event: str, args: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    if event in ("os.mkdir", "os.rmdir", "shutil.rmtree") and _SCRATCH in str(args[0]):
        return
    if event == "exec" and str(getattr(args[0], "co_filename", "")).startswith(INSTALLED):
        return
    if event in FORBIDDEN:
        _seen.append(f"{event} {args!r:.200}")
    elif event == "import" and args[0].partition(".")[0] not in ("chaoskit", "encodings", "rich"):
        _seen.append(f"import {args[0]}")
    elif event == "open" and _writes(args):
        _seen.append(f"open {args!r:.200}")


def _writes(args: tuple[Any, ...]) -> bool:
    mode, flags = args[1], args[2]
    return any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & 3)


sys.addaudithook(_listen)  # there is no way to take one away: it does nothing while nobody watches


@contextmanager
def watched() -> Iterator[list[str]]:
    """Gives what was done inside: code run from a text, processes, files written, modules imported."""
    global _seen
    before, _seen, writes = _seen, [], sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield _seen
    finally:
        _seen, sys.dont_write_bytecode = before, writes
